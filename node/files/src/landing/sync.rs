//! What was written becomes durable, many bytes or files at a time.

use std::{
    collections::BTreeSet,
    io,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use super::{Landing, State, TREE, lock, under};
use crate::{
    error::{FilesError, Result},
    limits, os,
};

/// What is not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    files: BTreeSet<u32>,
    bytes: u64,
    since: Option<Instant>,
    /// Bytes that are durable.
    durable: u64,
}

impl Landing {
    pub(super) fn wrote(&self, files: &[u32], bytes: usize) {
        let mut unsynced = lock(&self.unsynced);
        unsynced.files.extend(files);
        unsynced.bytes = unsynced.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        unsynced.since.get_or_insert_with(Instant::now);
    }

    /// Whether it is time for [`Landing::sync`]: 64 MiB or a second.
    #[must_use]
    pub fn sync_due(&self) -> bool {
        let unsynced = lock(&self.unsynced);
        let waited = unsynced.since.is_some_and(|at| at.elapsed() >= Duration::from_millis(limits::SYNC_MS));
        unsynced.bytes >= limits::SYNC_BYTES || waited
    }

    /// Makes what was written durable, the data and then the journal; says how many bytes of this run are durable now.
    ///
    /// A disk that fails here may have lost what it had taken: those files are dropped, and asked for again.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub fn sync(&self) -> Result<u64> {
        let (files, bytes) = {
            let mut unsynced = lock(&self.unsynced);
            unsynced.since = None;
            (std::mem::take(&mut unsynced.files), std::mem::take(&mut unsynced.bytes))
        };
        if !self.in_memory {
            if let Err(error) = self.sync_files(&files) {
                for file in files {
                    if let Some(item) = self.item(file) {
                        // The disk fails: what cannot be removed is read again by the next attempt.
                        let _ = self.drop_part(file, &item);
                    }
                }
                return Err(FilesError::writing("make durable", &self.start.wish.root_name, &error));
            }
            self.start
                .journal
                .sync()
                .map_err(|e| FilesError::writing("make durable", &self.start.wish.root_name, &e))?;
        }
        let mut unsynced = lock(&self.unsynced);
        unsynced.durable = unsynced.durable.saturating_add(bytes);
        Ok(unsynced.durable)
    }

    fn sync_files(&self, files: &BTreeSet<u32>) -> io::Result<()> {
        if files.len() > limits::SYNC_FILES && os::sync_all_of(&self.start.part)? {
            return Ok(());
        }
        for index in files {
            let kept =
                lock(&self.open).iter().find(|(known, _)| known == index).map(|(_, file)| file.clone());
            if let Some(file) = kept {
                os::sync_data(&file)?;
                continue;
            }
            let Some(item) = self.item(*index) else { continue };
            if !matches!(self.state(*index), State::Partial(_) | State::Whole) {
                continue;
            }
            let path = under(TREE, &item.path);
            let (dir, name) = lock(&self.tree).parent(&path, false)?;
            match dir.file(name, OFlags::RDONLY, 0) {
                Ok(file) => os::sync_data(&file)?,
                // Its mode forbids reading it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    os::sync_all_of(&self.start.part)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Everything of the tree, names and modes included, before it gets its final name.
    pub(super) fn sync_tree(&self) -> Result<()> {
        if self.in_memory {
            return Ok(());
        }
        let failed = |e: io::Error| FilesError::writing("make durable", &self.start.wish.root_name, &e);
        let many = usize::try_from(self.start.wish.listing.len()).unwrap_or(usize::MAX) > limits::SYNC_FILES;
        if many && os::sync_all_of(&self.start.part).map_err(failed)? {
            return Ok(());
        }
        self.sync()?;
        for (_, item) in self.wanted() {
            let path = under(TREE, &item.path);
            // What is no directory, or is not there, was synced as a file or is not to land.
            let Ok(dir) = lock(&self.tree).dir(&path, false) else { continue };
            dir.sync().map_err(failed)?;
        }
        self.start.part.sync().map_err(failed)
    }
}
