//! How each file comes together.

use std::collections::BTreeMap;

use super::{BadFile, End, Fault, FileBlock, Output, Phase, Receiver};
use crate::{
    limits::TRANSFER_OPEN_FILES,
    request::transfer::DoneFile,
    transfer::{BlockSet, Cv, Root, tree},
};

/// How an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// A directory.
    Dir,
    /// Blocks are missing, or their hash.
    Open,
    /// Whole and verified, not named yet.
    Ready,
    /// Named.
    Placed,
    /// Here from before: named, or another file that is the same.
    Whole,
    /// It does not arrive.
    Bad,
    /// It is not wanted.
    Declined,
}

/// What is known of a file under way.
#[derive(Debug)]
pub(super) struct Part {
    /// Blocks that are written and verified.
    pub(super) set: BlockSet,
    /// Blocks that are on their way into the file.
    storing: BTreeMap<u32, Cv>,
    pub(super) root: tree::RootBuilder,
    /// What the sender says that the hash is.
    done: Option<Root>,
    /// Some blocks are from before.
    pub(super) had: bool,
}

impl Part {
    pub(super) fn new(size: u64) -> Self {
        Self {
            set: BlockSet::default(),
            storing: BTreeMap::new(),
            root: tree::RootBuilder::new(size),
            done: None,
            had: false,
        }
    }

    /// Bytes of the blocks that are here, of a file of this size.
    fn bytes(&self, size: u64) -> u64 {
        let span =
            |block| tree::block_span(size, block).map_or((0, 0), |(at, len)| (at, at + u64::from(len)));
        let of = |(from, to): (u32, u32)| span(to.saturating_sub(1)).1.saturating_sub(span(from).0);
        self.set.ranges().map(of).fold(0, u64::saturating_add)
    }
}

pub(super) fn slot(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Receiver {
    fn status(&self, file: u32) -> Status {
        self.status.get(slot(file)).copied().unwrap_or(Status::Dir)
    }

    fn size(&self, file: u32) -> Result<u64, End> {
        let entry = self.manifest.as_ref().and_then(|manifest| manifest.file(file));
        entry
            .map(|entry| entry.size)
            .ok_or_else(|| End::Broken(format!("entry {file} is no file of the manifest")))
    }

    /// The size of a file that is open.
    pub(super) fn open_file(&self, file: u32) -> Option<u64> {
        self.size(file).ok().filter(|_| self.status(file) == Status::Open)
    }

    pub(super) fn set_root(&mut self, file: u32, root: Root) {
        if let Some(place) = self.roots.get_mut(slot(file)) {
            *place = root;
        }
    }

    fn set_status(&mut self, file: u32, status: Status) {
        if let Some(place) = self.status.get_mut(slot(file)) {
            *place = status;
        }
    }

    /// There is nothing more to do for this file.
    pub(super) fn settle(&mut self, file: u32, status: Status) {
        self.set_status(file, status);
        self.parts.remove(&file);
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    /// The hash of a file that has arrived.
    pub(super) fn placed_root(&self, file: u32) -> Option<Root> {
        let arrived = matches!(self.status(file), Status::Placed | Status::Whole);
        arrived.then(|| self.roots.get(slot(file)).copied()).flatten()
    }

    /// A block's header.
    pub(super) fn block(&mut self, head: FileBlock, out: &mut Vec<Output>) -> Result<(), End> {
        if !matches!(self.phase, Phase::Receiving | Phase::Sealing) {
            return Err(End::Broken("a block came before the transfer was accepted".into()));
        }
        let size = self.size(head.file)?;
        if tree::block_span(size, head.block).is_none_or(|(_, len)| len != head.len) {
            return Err(End::Broken(format!("entry {} has no such block {}", head.file, head.block)));
        }
        let is_open = self.status(head.file) == Status::Open && !self.same.contains_key(&head.file);
        let is_wanted = is_open && {
            let part = self.part(head.file, size)?;
            let is_new = !part.set.contains(head.block) && !part.storing.contains_key(&head.block);
            if is_new {
                part.storing.insert(head.block, head.cv);
            }
            is_new
        };
        if is_wanted {
            self.storing = self.storing.saturating_add(1);
            out.push(Output::Take(head));
        } else {
            self.received = self.received.saturating_add(head.len.into());
            out.push(Output::Spurn(head));
        }
        Ok(())
    }

    /// What is known of an open file; only so many are under way at a time.
    fn part(&mut self, file: u32, size: u64) -> Result<&mut Part, End> {
        if self.parts.len() >= TRANSFER_OPEN_FILES && !self.parts.contains_key(&file) {
            return Err(End::Broken(format!("over {TRANSFER_OPEN_FILES} files are begun and none is ended")));
        }
        Ok(self.parts.entry(file).or_insert_with(|| Part::new(size)))
    }

    /// A block is no more on its way; its hash and length, if its file is still open and waits for it.
    fn arrived(&mut self, file: u32, block: u32) -> Option<(Cv, u32)> {
        let size = self.size(file).ok()?;
        let (_, len) = tree::block_span(size, block)?;
        self.storing = self.storing.saturating_sub(1);
        self.received = self.received.saturating_add(len.into());
        let cv = self.parts.get_mut(&file)?.storing.remove(&block)?;
        Some((cv, len))
    }

    pub(super) fn stored(&mut self, file: u32, block: u32, out: &mut Vec<Output>) {
        let Some((cv, len)) = self.arrived(file, block) else { return };
        self.sent_bytes = self.sent_bytes.saturating_add(len.into());
        let Some(part) = self.parts.get_mut(&file) else { return };
        if part.set.insert(block) {
            part.root.put(block, cv);
            self.progress.bytes = self.progress.bytes.saturating_add(len.into());
        }
        self.look_at(file, out);
    }

    pub(super) fn damaged(&mut self, file: u32, block: u32, out: &mut Vec<Output>) {
        if self.arrived(file, block).is_some() {
            self.fail(file, Fault::Mismatch, out);
        }
    }

    /// The sender has read a file to its end.
    pub(super) fn done(&mut self, done: DoneFile, out: &mut Vec<Output>) -> Result<(), End> {
        let size = self.size(done.file)?;
        if self.status(done.file) != Status::Open {
            return Ok(());
        }
        match self.same.get(&done.file) {
            Some(same) if *same == done.root => {
                self.settle(done.file, Status::Whole);
                self.set_root(done.file, done.root);
                self.progress.bytes = self.progress.bytes.saturating_add(size);
                self.progress.files_done = self.progress.files_done.saturating_add(1);
            }
            Some(_) => self.fail(done.file, Fault::Conflict, out),
            None => {
                self.part(done.file, size)?.done = Some(done.root);
                self.look_at(done.file, out);
            }
        }
        Ok(())
    }

    /// Whether a file is whole, and what its sender read.
    fn look_at(&mut self, file: u32, out: &mut Vec<Output>) {
        let Some(part) = self.parts.get(&file) else { return };
        let Some(root) = part.root.root() else { return };
        let size = self.size(file).unwrap_or(0);
        // The hash of a file's one block is the file's; it was read once, by a sender who checked it then.
        let is_told = tree::blocks(size) == 1 && !part.had;
        match part.done {
            None if !is_told => {}
            Some(done) if done != root && part.had => {
                self.progress.bytes = self.progress.bytes.saturating_sub(size);
                // With nothing from before, the next such answer is the sender's own doing.
                self.parts.insert(file, Part::new(size));
                self.again.push(file);
                out.push(Output::Forget(file));
            }
            Some(done) if done != root => {
                out.push(Output::Forget(file));
                self.fail(file, Fault::Mismatch, out);
            }
            _ => {
                self.parts.remove(&file);
                self.set_root(file, root);
                self.set_status(file, Status::Ready);
                self.ready.push_back(file);
                out.push(Output::Ready);
            }
        }
    }

    /// The sender gives a file up.
    pub(super) fn gone(&mut self, bad: BadFile, out: &mut Vec<Output>) -> Result<(), End> {
        self.size(bad.file)?;
        if self.status(bad.file) == Status::Open {
            out.push(Output::Forget(bad.file));
            self.give_up(bad.file, Fault::from_number(bad.fault), out);
        }
        Ok(())
    }

    fn give_up(&mut self, file: u32, fault: Fault, out: &mut Vec<Output>) {
        let size = self.size(file).unwrap_or(0);
        // What arrived of it counts no more than the rest of it.
        let counted = match self.status(file) {
            Status::Ready => size,
            _ => self.parts.get(&file).map_or(0, |part| part.bytes(size)),
        };
        self.settle(file, Status::Bad);
        self.progress.bytes = self.progress.bytes.saturating_sub(counted);
        self.progress.had = self.progress.had.min(self.progress.bytes);
        self.progress.total = self.progress.total.saturating_sub(size);
        self.progress.files = self.progress.files.saturating_sub(1);
        self.progress.bad = self.progress.bad.saturating_add(1);
        out.push(Output::FileFailed(file, fault));
    }

    /// This side gives a file up.
    fn fail(&mut self, file: u32, fault: Fault, out: &mut Vec<Output>) {
        if matches!(self.status(file), Status::Open | Status::Ready) {
            self.give_up(file, fault, out);
            self.bad.push(BadFile { file, fault: fault.number() });
        }
    }

    pub(super) fn store_failed(&mut self, file: u32, block: u32, fault: Fault, out: &mut Vec<Output>) {
        if self.arrived(file, block).is_some() {
            self.fail(file, fault, out);
        }
    }

    pub(super) fn unfit(&mut self, file: u32, fault: Fault, out: &mut Vec<Output>) {
        if self.phase == Phase::Receiving && self.status(file) == Status::Open {
            self.fail(file, fault, out);
        }
    }

    /// The next file to name: whole, and verified. Sync it before.
    pub fn next_ready(&mut self) -> Option<(u32, Root)> {
        let file = match self.ready.pop_front() {
            Some(file) => file,
            None => {
                let file = self.next_empty()?;
                self.empty = file + 1;
                self.set_root(file, tree::EMPTY_ROOT);
                self.set_status(file, Status::Ready);
                file
            }
        };
        self.placing = self.placing.saturating_add(1);
        self.roots.get(slot(file)).map(|root| (file, *root))
    }

    /// An empty file that is not named yet: it is whole from the beginning.
    pub(super) fn next_empty(&mut self) -> Option<u32> {
        if !matches!(self.phase, Phase::Receiving) {
            return None;
        }
        let manifest = self.manifest.as_ref()?;
        let is_next = |file: &u32| {
            manifest.file(*file).is_some_and(|entry| entry.size == 0)
                && self.status(*file) == Status::Open
                && !self.same.contains_key(file)
        };
        let found = (self.empty..manifest.len()).find(is_next);
        self.empty = found.unwrap_or(manifest.len());
        found
    }

    pub(super) fn placed(&mut self, file: u32) {
        if self.status(file) == Status::Ready {
            self.placing = self.placing.saturating_sub(1);
            self.settle(file, Status::Placed);
            self.progress.files_done = self.progress.files_done.saturating_add(1);
        }
    }

    pub(super) fn place_failed(&mut self, file: u32, fault: Fault, out: &mut Vec<Output>) {
        if self.status(file) == Status::Ready {
            self.placing = self.placing.saturating_sub(1);
            self.fail(file, fault, out);
        }
    }
}
