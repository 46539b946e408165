//! A directory in which transfers land, and what is unfinished there.

mod begin;
mod measure;

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clankers_protocol::transfer::tree;
use rustix::fs::FlockOperation;

pub use begin::{Begun, Wish};
pub use measure::Usage;

use crate::{
    about::{self, About, Done, PartId},
    dir::Dir,
    error::{FilesError, Result, Trouble},
    journal::{self, Journal},
    limits,
    os::Ident,
};

/// A directory held open in which transfers land: one peer's part of the inbox, or a directory of the user's.
///
/// What is not whole yet lies in `.clankers-part` in it, on the same file system and private; what has its final name is
/// whole and was compared with the sender's hash.
#[derive(Debug, Clone)]
pub struct Place {
    pub(crate) base: Dir,
    path: PathBuf,
}

/// An unfinished transfer.
#[derive(Debug, Clone)]
pub struct Partial {
    /// Its id.
    pub id: PartId,
    /// What it is about; `None` when its description is damaged (it can still be forgotten).
    pub about: Option<About>,
    /// About how much of it is there (bytes), as its journal claims.
    pub had_bytes: u64,
    /// Whether it runs at this moment.
    pub running: bool,
    /// How long nothing has been added to it.
    pub age: Duration,
}

/// A transfer that landed, as it is remembered for a sender that asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its id.
    pub id: PartId,
    /// The transfer's id as its sender gave it, 32 hex digits.
    pub transfer_id: String,
    /// Who sent it; empty when that was not kept.
    pub principal: String,
    /// Its final name.
    pub name: String,
    /// What was given to [`Landing::commit`](crate::Landing::commit).
    pub note: Vec<u8>,
    /// How long ago it landed.
    pub age: Duration,
}

impl Place {
    /// Opens a directory of the user's.
    ///
    /// # Errors
    /// `BadPlace` when it is no directory, `Io`.
    pub fn open(dir: &Path) -> Result<Self> {
        let shown = dir.to_string_lossy();
        let base = Dir::open(dir).map_err(|e| FilesError::writing("open the directory", &shown, &e))?;
        Ok(Self { base, path: dir.to_owned() })
    }

    pub(crate) fn new(base: Dir, path: PathBuf) -> Self {
        Self { base, path }
    }

    /// Its path when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn shown(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The directory of what is unfinished, when there is one.
    fn parts(&self) -> Result<Option<Dir>> {
        match self.base.sub(limits::PARTS_DIR) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(FilesError::writing("look at the unfinished transfers in", &self.shown(), &error))
            }
        }
    }

    /// Everything unfinished, in the order of ids; at most [`limits::PARTS`].
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn partials(&self) -> Result<Vec<Partial>> {
        let Some(parts) = self.parts()? else { return Ok(Vec::new()) };
        let ids = part_ids(&parts)
            .map_err(|e| FilesError::writing("list the unfinished transfers in", &self.shown(), &e))?;
        Ok(ids.into_iter().filter_map(|id| partial(&parts, id)).collect())
    }

    /// What landed here and is still remembered, the latest first, so many at the most.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn remembered(&self, most: usize) -> Result<Vec<Remembered>> {
        let Some(parts) = self.parts()? else { return Ok(Vec::new()) };
        let one = |(age, name): (Duration, String)| {
            let done: Done = about::read(&parts, &name)?;
            Some(Remembered {
                id: PartId::parse(name.strip_suffix(".done")?)?,
                transfer_id: done.transfer_id,
                principal: done.principal,
                name: done.name,
                note: about::unhex(&done.note),
                age,
            })
        };
        Ok(dones(&parts).into_iter().take(most).filter_map(one).collect())
    }

    /// Removes an unfinished transfer and all that came of it; `false` when there is none.
    ///
    /// # Errors
    /// `Busy` while it runs, `Io`.
    pub fn forget(&self, id: &PartId) -> Result<bool> {
        let Some(parts) = self.parts()? else { return Ok(false) };
        let failed =
            |e: &std::io::Error| FilesError::writing("remove the unfinished transfer", id.as_str(), e);
        let guard = Guard::take(&parts).map_err(|e| failed(&e))?;
        let part = match parts.sub(id.as_str()) {
            Ok(part) => part,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            // Not a directory: nothing of ours, and in the way.
            Err(_) => return parts.remove_tree(id.as_str()).map(|()| true).map_err(|e| failed(&e)),
        };
        // The lock is kept until the directory is gone.
        let journal = Journal::open(&part);
        if matches!(journal, Ok(None)) {
            let why = "it is running at this moment";
            return Err(FilesError::new(Trouble::Busy, "remove the unfinished transfer", id.as_str(), why));
        }
        parts.remove_tree(id.as_str()).map_err(|e| failed(&e))?;
        drop((journal, guard));
        self.tidy();
        Ok(true)
    }

    /// Removes unfinished transfers to which nothing was added for so long, and receipts as old as
    /// [`limits::DONE_AGE_SECS`]; says which transfers.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn sweep(&self, older_than: Duration) -> Result<Vec<Partial>> {
        let old = self.partials()?.into_iter().filter(|part| !part.running && part.age >= older_than);
        let mut gone = Vec::new();
        for part in old {
            match self.forget(&part.id) {
                Ok(true) => gone.push(part),
                Ok(false) => {}
                Err(error) if error.kind() == Trouble::Busy => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(parts) = self.parts()? {
            sweep_dones(&parts, Duration::from_secs(limits::DONE_AGE_SECS), limits::DONES);
        }
        self.tidy();
        Ok(gone)
    }

    /// The receipt of what landed is kept elsewhere: a transfer that asks again is not known any more.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn settle(&self, id: &PartId) -> Result<()> {
        if let Some(parts) = self.parts()? {
            parts
                .unlink(&id.done_name())
                .map_err(|e| FilesError::writing("tidy up after", id.as_str(), &e))?;
        }
        self.tidy();
        Ok(())
    }

    /// Removes the directory for what is unfinished when nothing is in it.
    pub(crate) fn tidy(&self) {
        let Ok(Some(parts)) = self.parts() else { return };
        // Whoever begins at this moment holds it, and finds it again afterwards.
        if let Ok(Some(_guard)) = Guard::linked(&self.base, &parts) {
            self.tidy_guarded();
        }
    }

    /// The same for who holds the guard.
    pub(crate) fn tidy_guarded(&self) {
        if let Ok(Some(parts)) = self.parts() {
            // What cannot be removed now is tried again the next time.
            let _ = parts.finish_removals();
        }
        // Fails when something is in it.
        let _ = self.base.rmdir(limits::PARTS_DIR);
    }
}

/// A lock on all part directories of a place: names are chosen and directories removed one at a time.
pub(crate) struct Guard(Dir);

impl Guard {
    /// The directory of all part directories of a place, made when there is none, and its lock.
    pub(crate) fn ready(base: &Dir) -> std::io::Result<(Dir, Self)> {
        let mut last = std::io::ErrorKind::ResourceBusy.into();
        // Who has the lock before may remove what is empty, at any moment of this.
        for _ in 0..limits::READY_TRIES {
            match Self::try_ready(base) {
                Ok(Some(ready)) => return Ok(ready),
                Ok(None) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn try_ready(base: &Dir) -> std::io::Result<Option<(Dir, Self)>> {
        let parts = base.sub_or_make(limits::PARTS_DIR)?.0;
        Ok(Self::linked(base, &parts)?.map(|guard| (parts, guard)))
    }

    /// The lock, unless another directory has the name by then.
    fn linked(base: &Dir, parts: &Dir) -> std::io::Result<Option<Self>> {
        let guard = Self::take(parts)?;
        let held = Ident::of(&rustix::fs::fstat(parts)?);
        let there = base.look(limits::PARTS_DIR)?.is_some_and(|stat| Ident::of(&stat) == held);
        Ok(there.then_some(guard))
    }

    pub(crate) fn take(parts: &Dir) -> std::io::Result<Self> {
        // A handle of its own: the lock belongs to it.
        let own = parts.sub(".")?;
        rustix::fs::flock(&own, FlockOperation::LockExclusive)?;
        Ok(Self(own))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// The ids of all part directories, sorted.
pub(crate) fn part_ids(parts: &Dir) -> std::io::Result<Vec<PartId>> {
    let mut ids = Vec::new();
    for entry in parts.names()? {
        let (name, _) = entry?;
        if ids.len() > limits::PARTS {
            break;
        }
        ids.extend(std::str::from_utf8(&name).ok().and_then(PartId::parse));
    }
    ids.sort();
    Ok(ids)
}

fn partial(parts: &Dir, id: PartId) -> Option<Partial> {
    let part = parts.sub(id.as_str()).ok()?;
    let about: Option<About> = about::read(&part, about::NAME);
    let claims = journal::peek(&part).map_or(0, |claims| claims.len());
    // Blocks of small files are small: never more than the whole.
    let total = about.as_ref().map_or(u64::MAX, |about| about.total_bytes);
    let files = about.as_ref().map_or(1, |about| about.files.max(1));
    let blocks = u64::from(tree::blocks(total)).max(files);
    let share = u128::from(total) * u128::try_from(claims).unwrap_or(0) / u128::from(blocks.max(1));
    let touched = journal::touched(&part).unwrap_or_else(|_| SystemTime::now());
    Some(Partial {
        had_bytes: u64::try_from(share).unwrap_or(u64::MAX).min(total),
        running: Journal::is_held(&part),
        age: touched.elapsed().unwrap_or_default(),
        about,
        id,
    })
}

/// Removes receipts that are old or too many.
pub(crate) fn sweep_dones(parts: &Dir, older_than: Duration, keep: usize) {
    for (at, (age, name)) in dones(parts).iter().enumerate() {
        if *age >= older_than || at >= keep {
            let _ = parts.unlink(name);
        }
    }
}

/// The names of all receipts and their ages, the youngest first.
fn dones(parts: &Dir) -> Vec<(Duration, String)> {
    let Ok(names) = parts.names() else { return Vec::new() };
    let mut found: Vec<(Duration, String)> = names
        .flatten()
        .filter_map(|(name, _)| String::from_utf8(name).ok())
        .filter(|name| name.ends_with(".done"))
        .filter_map(|name| {
            let stat = parts.look(&name).ok()??;
            let at = crate::os::Stamp::of(&stat).mtime_ns;
            let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(at).unwrap_or(0));
            Some((at.elapsed().unwrap_or_default(), name))
        })
        .collect();
    found.sort();
    found
}
