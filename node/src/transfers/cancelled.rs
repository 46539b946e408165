//! What the owner cancelled of what others send or fetch: their sender does not go on with it by itself. An empty file for
//! each, so that it holds over a restart.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    time::SystemTime,
};

use clankers_protocol::{NodeId, transfer::TransferId};

use crate::limits::CANCELLED;

/// The directory of them.
#[derive(Debug)]
pub(crate) struct Cancelled {
    dir: PathBuf,
}

impl Cancelled {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Another peer may use the same id: its own transfer is another one.
    fn path(&self, id: TransferId, peer: NodeId) -> PathBuf {
        self.dir.join(format!("{id}.{peer}"))
    }

    /// Whether the owner cancelled this one. Blocks.
    pub(crate) fn has(&self, id: TransferId, peer: NodeId) -> bool {
        self.path(id, peer).exists()
    }

    /// Notes that the owner cancelled this one. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn add(&self, id: TransferId, peer: NodeId) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600).open(self.path(id, peer))?;
        self.trim();
        fs::File::open(&self.dir)?.sync_all()
    }

    /// It may be sent once more. Blocks.
    pub(crate) fn forget(&self, id: TransferId, peer: NodeId) {
        let _none = fs::remove_file(self.path(id, peer));
    }

    /// Drops the oldest, beyond [`CANCELLED`].
    fn trim(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut all: Vec<(SystemTime, PathBuf)> =
            entries.filter_map(|one| Some((one.metadata().ok()?.modified().ok()?, one.path()))).collect();
        all.sort();
        let old = all.len().saturating_sub(CANCELLED);
        for (_, path) in all.into_iter().take(old) {
            let _gone = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cancelled_is_so_for_its_peer_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let cancelled = Cancelled::new(dir.path().join("cancelled"));
        let (id, peer, other) = (TransferId([1; 16]), NodeId([2; 32]), NodeId([3; 32]));
        assert!(!cancelled.has(id, peer));
        cancelled.add(id, peer).unwrap();
        cancelled.add(id, peer).unwrap();
        assert!(cancelled.has(id, peer) && !cancelled.has(id, other));
        cancelled.forget(id, peer);
        assert!(!cancelled.has(id, peer));
        for number in 0..u16::try_from(CANCELLED + 3).unwrap() {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_le_bytes());
            cancelled.add(TransferId(bytes), peer).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("cancelled")).unwrap().count(), CANCELLED);
    }
}
