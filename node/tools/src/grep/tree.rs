//! Searching a tree with a few threads, and yet always with the same answer.
//!
//! Each thread takes the next files of the one walk, searches them, and hands in what it found; hits are reported in
//! the order of the walk. Nobody waits for the others: whoever is free walks on. Once what is handed in is more than
//! can be shown, no further files are taken, so that what waits for its turn stays small.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;

use super::Report;
use super::search::{FileHits, Search};
use crate::error::ToolError;
use crate::find::NameGlob;
use crate::limits::{SEARCH_BATCH, SEARCH_THREADS_MAX};
use crate::walk::{Entry, Skipped, Walk};
use crate::workspace::View;

static THREADS: LazyLock<usize> = LazyLock::new(|| {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(SEARCH_THREADS_MAX)
});

/// Searches what a walk finds, as far as `glob` lets it.
pub(super) fn search(
    view: &View,
    walk: Walk<'_>,
    glob: Option<&NameGlob>,
    search: &Search<'_>,
    report: &mut Report,
) -> Result<Skipped, ToolError> {
    let hunt = Hunt {
        view,
        search,
        glob,
        source: Mutex::new(Source { walk, taken: 0, end: None }),
        found: Mutex::new(Found { report, waiting: BTreeMap::new(), hits: 0, next: 0, unreadable: 0 }),
        enough: AtomicBool::new(false),
        full: AtomicBool::new(false),
    };
    let whole = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..*THREADS).map(|_| scope.spawn(|| hunt.work())).collect();
        hunt.work();
        helpers.into_iter().all(|helper| helper.join().is_ok())
    });
    if !whole {
        return Err(ToolError::io("finish", "grep", io::Error::other("one of its threads failed")));
    }
    let unreadable = unlocked(hunt.found).unreadable;
    let Source { walk, end, .. } = unlocked(hunt.source);
    if let Some(Err(error)) = end {
        return Err(error);
    }
    let mut skipped = walk.skipped;
    skipped.unreadable += unreadable;
    Ok(skipped)
}

/// What the threads of one search share.
struct Hunt<'a, 'w> {
    view: &'a View,
    search: &'a Search<'a>,
    glob: Option<&'a NameGlob>,
    source: Mutex<Source<'w>>,
    found: Mutex<Found<'a>>,
    /// No further files need to be looked at.
    enough: AtomicBool,
    /// The report is full, so that what is still being looked at does not matter either.
    full: AtomicBool,
}

/// Where the files come from.
struct Source<'w> {
    walk: Walk<'w>,
    /// Batches that were taken.
    taken: usize,
    end: Option<Result<(), ToolError>>,
}

/// What was found so far.
struct Found<'a> {
    report: &'a mut Report,
    /// Batches that are done before one that was taken earlier, by number.
    waiting: BTreeMap<usize, Vec<(String, FileHits)>>,
    /// Hits in `waiting`.
    hits: usize,
    /// The batch that is reported next.
    next: usize,
    unreadable: u64,
}

impl Hunt<'_, '_> {
    fn work(&self) {
        let mut searcher = self.search.searcher();
        while let Some((number, batch)) = self.take() {
            let (mut found, mut unreadable) = (Vec::new(), 0);
            for entry in batch {
                if self.full.load(Ordering::Relaxed) {
                    break;
                }
                let hits = match self.view.file_in(&entry.dir, &entry.name) {
                    Ok(file) => self.search.file(&mut searcher, file.file),
                    Err(ToolError::Io { .. }) => FileHits::failed(),
                    // Out of the caller's reach, or no regular file any more: as if it were not there.
                    Err(_) => continue,
                };
                unreadable += u64::from(hits.failed);
                // What is not shown must not count as enough to show.
                if !hits.binary && !hits.lines.is_empty() {
                    found.push((entry.path, hits));
                }
            }
            self.hand_in(number, found, unreadable);
        }
    }

    /// The next files, and their place in the order; none at the end.
    fn take(&self) -> Option<(usize, Vec<Entry>)> {
        let mut source = locked(&self.source);
        if source.end.is_some() || self.enough.load(Ordering::Relaxed) {
            return None;
        }
        let mut batch = Vec::with_capacity(SEARCH_BATCH);
        while batch.len() < SEARCH_BATCH {
            match source.walk.next() {
                Ok(Some(entry)) if entry.kind != FileType::RegularFile => {}
                Ok(Some(entry)) => {
                    if self.glob.is_none_or(|glob| glob.matches(&entry.name, &entry.path)) {
                        batch.push(entry);
                    }
                }
                Ok(None) => {
                    source.end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    source.end = Some(Err(error));
                    break;
                }
            }
        }
        source.taken += 1;
        Some((source.taken - 1, batch))
    }

    fn hand_in(&self, number: usize, hits: Vec<(String, FileHits)>, unreadable: u64) {
        let mut found = locked(&self.found);
        found.unreadable += unreadable;
        found.hits += hits.iter().map(|(_, hits)| hits.hits).sum::<usize>();
        found.waiting.insert(number, hits);
        let mut next = found.next;
        while let Some(batch) = found.waiting.remove(&next) {
            for (path, hits) in batch {
                found.hits -= hits.hits;
                found.report.add(&path, hits);
            }
            next += 1;
        }
        found.next = next;
        if found.report.full() {
            self.full.store(true, Ordering::Relaxed);
        }
        if found.report.full() || found.hits > self.search.limit {
            self.enough.store(true, Ordering::Relaxed);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
