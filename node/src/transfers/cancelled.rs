//! What the owner cancelled of what others send or fetch: it is not gone on with until the owner forgets it. A small file
//! for each, so that it holds over a restart; its name says which transfer it was, whose, and of what.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clankers_files::PartId;
use clankers_protocol::{
    NodeId,
    request::transfer::keeping::{TransferInfo, TransferState},
    transfer::TransferId,
};

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

    /// All that are marked: their names, and where they are.
    fn marks(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|one| Some((one.file_name().into_string().ok()?, one.path())))
    }

    /// The transfer that the owner cancelled, when it is this one of this peer (another may use the same id), or was of
    /// the same not longer ago than this: whoever sends it anew gives it another id. Blocks.
    pub(crate) fn has(
        &self,
        (id, peer): (TransferId, NodeId),
        part: &PartId,
        keep: Duration,
    ) -> Option<TransferId> {
        let (own, same) = (format!("{id}.{peer}"), format!(".{peer}.{part}"));
        let is_recent = |path: &PathBuf| {
            let touched = fs::metadata(path).and_then(|meta| meta.modified());
            touched.is_ok_and(|at| at.elapsed().unwrap_or_default() < keep)
        };
        let found = self.marks().find_map(|(name, path)| {
            let is_meant = name.starts_with(&own) || (name.ends_with(&same) && is_recent(&path));
            is_meant.then_some(name)
        })?;
        found.split('.').next()?.parse().ok()
    }

    /// All of them that can be shown. Blocks.
    pub(crate) fn all(&self) -> Vec<TransferInfo> {
        let read = |(_, path): (String, PathBuf)| serde_json::from_slice(&fs::read(path).ok()?).ok();
        self.marks().filter_map(read).collect()
    }

    /// Notes that the owner cancelled this one. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn add(&self, info: &TransferInfo, part: &PartId) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.dir.join(format!("{}.{}.{part}", info.transfer, info.peer));
        let info = TransferInfo { state: TransferState::Cancelled, ..info.clone() };
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(&info)?)?;
        file.sync_data()?;
        self.trim();
        fs::File::open(&self.dir)?.sync_all()
    }

    /// It may be sent once more. Blocks.
    pub(crate) fn forget(&self, id: TransferId, peer: NodeId) {
        let own = format!("{id}.{peer}");
        for (_, path) in self.marks().filter(|(name, _)| name.starts_with(&own)) {
            let _none = fs::remove_file(path);
        }
    }

    /// Drops the oldest, beyond [`CANCELLED`].
    fn trim(&self) {
        let of = |path: PathBuf| Some((fs::metadata(&path).ok()?.modified().ok()?, path));
        let mut all: Vec<(SystemTime, PathBuf)> = self.marks().filter_map(|(_, path)| of(path)).collect();
        all.sort();
        let old = all.len().saturating_sub(CANCELLED);
        for (_, path) in all.into_iter().take(old) {
            let _gone = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{Timestamp, request::transfer::keeping::Direction, transfer::SourceIdentity};

    use super::*;

    const KEEP: Duration = Duration::from_secs(3_600);

    fn info(transfer: TransferId, peer: NodeId) -> TransferInfo {
        TransferInfo {
            transfer,
            peer,
            label: None,
            direction: Direction::Receive,
            name: "a".into(),
            bytes: 9,
            done_bytes: 3,
            files: 1,
            state: TransferState::Running,
            error: None,
            at: Timestamp(1),
        }
    }

    #[test]
    fn what_was_cancelled_is_so_for_its_peer_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let cancelled = Cancelled::new(dir.path().join("cancelled"));
        let (id, peer, other) = (TransferId([1; 16]), NodeId([2; 32]), NodeId([3; 32]));
        let part = |name: &str| PartId::of("p", "", name, &SourceIdentity([9; 32]));
        let (this, that, fresh) = (part("a"), part("b"), TransferId([7; 16]));
        assert_eq!(cancelled.has((id, peer), &this, KEEP), None);
        cancelled.add(&info(id, peer), &this).unwrap();
        cancelled.add(&info(id, peer), &this).unwrap();
        assert_eq!(cancelled.has((id, peer), &that, KEEP), Some(id));
        assert_eq!(cancelled.has((id, other), &this, KEEP), None);
        // The same under another id.
        assert_eq!(cancelled.has((fresh, peer), &this, KEEP), Some(id));
        assert_eq!(cancelled.has((fresh, peer), &that, KEEP), None);
        assert_eq!(cancelled.has((fresh, other), &this, KEEP), None);
        assert_eq!(cancelled.has((fresh, peer), &this, Duration::ZERO), None, "not for ever");
        let shown = TransferInfo { state: TransferState::Cancelled, ..info(id, peer) };
        assert_eq!(cancelled.all(), [shown]);
        cancelled.forget(id, peer);
        assert_eq!(cancelled.has((id, peer), &this, KEEP), None);
        for number in 0..u16::try_from(CANCELLED + 3).unwrap() {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_le_bytes());
            cancelled.add(&info(TransferId(bytes), peer), &this).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("cancelled")).unwrap().count(), CANCELLED);
    }
}
