//! What is left to read, to hash and to send.

use super::{Output, Phase, Piece, Sender};
use crate::{
    Timestamp,
    request::transfer::{BadFile, DoneFile, EntryKind, HaveFile, HaveState},
    transfer::{BlockSet, Cv, Fault, Root, tree},
};

/// Files told of in one frame (count).
pub(super) const BATCH: usize = 1_024;

/// How an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// A directory: nothing to do.
    Dir,
    /// Not read yet, or not wholly.
    Open,
    /// Read, hashed, unchanged.
    Sent,
    /// The receiver has it whole.
    Whole,
    /// It does not arrive.
    Bad,
    /// The receiver does not want it.
    Declined,
}

/// What is known of a file that is under way.
#[derive(Debug)]
pub(super) struct Part {
    /// Blocks that the receiver has.
    has: BlockSet,
    /// It has another file of this size: ours is only hashed.
    same: bool,
    /// It asked for all blocks once more.
    again: bool,
    /// The shell looks whether the file is unchanged.
    checking: Option<Root>,
    root: tree::RootBuilder,
}

impl Part {
    fn new(size: u64) -> Self {
        let root = tree::RootBuilder::new(size);
        Self { has: BlockSet::default(), same: false, again: false, checking: None, root }
    }
}

fn slot(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Sender {
    /// Makes room for how each entry is: only when somebody has an interest in them.
    pub(super) fn make_room(&mut self) {
        if self.status.is_empty() {
            let status = |kind| if kind == EntryKind::Dir { Status::Dir } else { Status::Open };
            self.status = self.manifest.iter().map(|(_, entry)| status(entry.kind)).collect();
            self.roots = vec![Root([0; 32]); self.status.len()];
        }
    }

    pub(super) fn known_file(&self, file: u32) -> Result<u64, String> {
        let entry = self.manifest.file(file);
        entry.map(|entry| entry.size).ok_or_else(|| format!("entry {file} is no file of the manifest"))
    }

    pub(super) fn status(&self, file: u32) -> Status {
        self.status.get(slot(file)).copied().unwrap_or(Status::Dir)
    }

    /// The file is open no more.
    fn settle(&mut self, file: u32, status: Status) -> bool {
        let Some(place) = self.status.get_mut(slot(file)).filter(|place| **place == Status::Open) else {
            return false;
        };
        *place = status;
        self.unsettled = self.unsettled.saturating_sub(1);
        true
    }

    fn settle_with(&mut self, file: u32, status: Status, root: Root) {
        if self.settle(file, status)
            && let Some(place) = self.roots.get_mut(slot(file))
        {
            *place = root;
        }
    }

    /// The file's hash, if it has arrived for all that this side knows.
    pub(super) fn sent_root(&self, file: u32) -> Option<Root> {
        let arrived = matches!(self.status(file), Status::Sent | Status::Whole);
        arrived.then(|| self.roots.get(slot(file)).copied()).flatten()
    }

    /// What the receiver has from before.
    pub(super) fn have(&mut self, files: Vec<HaveFile>) -> Result<(), String> {
        self.make_room();
        for HaveFile { file, state } in files {
            let size = self.known_file(file)?;
            if self.status(file) != Status::Open {
                return Err(format!("the receiver says twice what it has of entry {file}"));
            }
            match state {
                HaveState::Blocks(ranges) => {
                    let blocks = tree::blocks(size);
                    let part = self.parts.entry(file).or_insert_with(|| Part::new(size));
                    for range in ranges {
                        if range.from >= range.to || range.to > blocks {
                            return Err(format!("the receiver says it has blocks that entry {file} has not"));
                        }
                        for block in range.from..range.to {
                            if part.has.insert(block) {
                                let len = tree::block_span(size, block).map_or(0, |(_, len)| len);
                                self.progress.had = self.progress.had.saturating_add(len.into());
                            }
                        }
                    }
                }
                HaveState::Whole(root) => {
                    self.settle_with(file, Status::Whole, root);
                    self.progress.had = self.progress.had.saturating_add(size);
                }
                HaveState::Same(_) => {
                    self.parts.entry(file).or_insert_with(|| Part::new(size)).same = true;
                }
                HaveState::Declined => {
                    self.settle(file, Status::Declined);
                    self.progress.total = self.progress.total.saturating_sub(size);
                    self.progress.files = self.progress.files.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    /// An empty file has no block: there is nothing to read, and nothing to say but that it may be the same.
    pub(super) fn settle_empty_files(&mut self) {
        let empty = |entry: &crate::transfer::manifest::EntryRef<'_>| {
            entry.size == 0 && entry.kind == EntryKind::File
        };
        for file in 0..self.manifest.len() {
            if self.manifest.get(file).as_ref().is_some_and(empty) && self.status(file) == Status::Open {
                self.settle_with(file, Status::Sent, tree::EMPTY_ROOT);
                if self.parts.remove(&file).is_some_and(|part| part.same) {
                    self.done.push(DoneFile { file, root: tree::EMPTY_ROOT });
                }
            }
        }
    }

    /// The next piece to read, in the order of the manifest; files that are asked for once more come first.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if !matches!(self.phase, Phase::Sending) {
            return None;
        }
        while let Some(file) = self.again.front().copied() {
            let piece = self.piece(file, self.again_block);
            self.again_block += 1;
            if piece.is_some() {
                return piece;
            }
            self.again.pop_front();
            self.again_block = 0;
        }
        while self.cursor.0 < self.manifest.len() {
            let (file, block) = self.cursor;
            // A file that is asked for once more was read to its end by this cursor.
            if let Some(piece) = self.piece(file, block) {
                self.cursor.1 += 1;
                return Some(piece);
            }
            self.cursor = (file + 1, 0);
        }
        None
    }

    fn piece(&self, file: u32, block: u32) -> Option<Piece> {
        let entry = self.manifest.file(file).filter(|_| self.status(file) == Status::Open)?;
        let (offset, len) = tree::block_span(entry.size, block)?;
        let send = self.parts.get(&file).is_none_or(|part| !part.same && !part.has.contains(block));
        let check = send && tree::blocks(entry.size) == 1;
        Some(Piece { file, block, offset, len, send, check, id: entry.id })
    }

    /// Whether every piece was given out.
    pub(super) fn is_read(&self) -> bool {
        self.again.is_empty() && self.cursor.0 >= self.manifest.len()
    }

    /// A piece was hashed.
    pub(super) fn hashed(&mut self, now: Timestamp, file: u32, block: u32, cv: Cv, out: &mut Vec<Output>) {
        let Some(entry) = self.manifest.file(file).filter(|_| self.status(file) == Status::Open) else {
            return;
        };
        let size = entry.size;
        let Some((_, len)) = tree::block_span(size, block) else { return };
        self.read = self.read.saturating_add(len.into());
        let is_one = tree::blocks(size) == 1;
        let leaves = self.piece(file, block).is_some_and(|piece| piece.send);
        if leaves {
            self.loaded(now, len);
        }
        if is_one && leaves {
            // Whether it was asked for again is kept: that is only once.
            if !self.parts.get(&file).is_some_and(|part| part.again) {
                self.parts.remove(&file);
            }
            return self.settle_with(file, Status::Sent, Root(cv.0));
        }
        let part = self.parts.entry(file).or_insert_with(|| Part::new(size));
        part.root.put(block, cv);
        if part.checking.is_none()
            && let Some(root) = part.root.root()
        {
            part.checking = Some(root);
            out.push(Output::Check(file));
        }
    }

    /// The file is unchanged behind its last block.
    pub(super) fn checked(&mut self, file: u32) {
        let Some(part) = self.parts.get_mut(&file) else { return };
        let Some(root) = part.checking.take() else { return };
        if !part.again {
            self.parts.remove(&file);
        }
        if self.status(file) == Status::Open {
            self.done.push(DoneFile { file, root });
            self.settle_with(file, Status::Sent, root);
        }
    }

    /// A file does not arrive; by this side's doing the other one is told.
    pub(super) fn failed(&mut self, file: u32, fault: Fault, ours: bool, out: &mut Vec<Output>) {
        let was_open = self.status(file) == Status::Open;
        // The receiver may find that out late; this side not, once it has said that all is well.
        let may = was_open || (!ours && self.status(file) == Status::Sent);
        if !may {
            return;
        }
        if was_open {
            self.settle(file, Status::Bad);
        } else if let Some(place) = self.status.get_mut(slot(file)) {
            *place = Status::Bad;
        }
        self.parts.remove(&file);
        if self.again.front() == Some(&file) {
            self.again_block = 0;
        }
        self.again.retain(|again| *again != file);
        let size = self.manifest.file(file).map_or(0, |entry| entry.size);
        self.progress.total = self.progress.total.saturating_sub(size);
        self.progress.bytes = self.progress.bytes.min(self.progress.total);
        self.progress.files = self.progress.files.saturating_sub(1);
        self.progress.bad = self.progress.bad.saturating_add(1);
        out.push(Output::FileFailed(file, fault));
        if ours {
            self.bad.push(BadFile { file, fault: fault.number() });
        }
    }

    /// What the receiver had of a file was not what it thought: all blocks, once.
    pub(super) fn once_more(&mut self, file: u32, out: &mut Vec<Output>) -> Result<(), String> {
        let size = self.known_file(file)?;
        if self.status(file) != Status::Sent {
            return Ok(());
        }
        if self.parts.insert(file, Part { again: true, ..Part::new(size) }).is_some_and(|part| part.again) {
            return Err(format!("the receiver asks for entry {file} again and again"));
        }
        if let Some(place) = self.status.get_mut(slot(file)) {
            *place = Status::Open;
        }
        self.unsettled = self.unsettled.saturating_add(1);
        self.phase = Phase::Sending;
        self.again.push_back(file);
        out.push(Output::Pieces);
        Ok(())
    }
}
