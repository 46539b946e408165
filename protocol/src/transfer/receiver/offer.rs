//! The offer: its manifest as it comes, what is here from before, and the answer.

use super::{Builder, End, Output, Phase, Receiver};
use crate::{
    Timestamp,
    limits::{TRANSFER_JUDGE_MS, TRANSFER_PAGE_ENTRIES, TRANSFER_SILENCE_MS},
    message::Ext,
    request::transfer::{
        BlockRange, Entry, EntryKind, FileAccept, FileHave, FileOffer, FileWait, HaveFile, HaveState,
    },
    transfer::{
        Cv, Root,
        manifest::ManifestError,
        name::{self, SafePath},
        receiver::files::{Part, Status, slot},
        tree,
    },
};

impl Receiver {
    pub(super) fn offered(&mut self, mut offer: Box<FileOffer>, out: &mut Vec<Output>) -> Result<(), End> {
        let dirty = |name: &str| crate::text::line(name, 80);
        if let Some(to) = &offer.to {
            SafePath::parse(to)
                .map_err(|error| End::Unsound(ManifestError::Name { name: dirty(to), error }))?;
        }
        name::check_part(&offer.name)
            .map_err(|error| End::Unsound(ManifestError::Name { name: dirty(&offer.name), error }))?;
        let entries = std::mem::take(&mut offer.entries);
        let builder = Builder::announced(self.limits, Self::totals(&offer)).map_err(End::Unsound)?;
        (self.progress.total, self.progress.files) = (offer.bytes, offer.files);
        (self.builder, self.offer) = (Some(builder), Some(offer));
        self.phase = Phase::Listing;
        self.listed(&entries, out)
    }

    pub(super) fn listed(&mut self, entries: &[Entry], out: &mut Vec<Output>) -> Result<(), End> {
        let (Some(builder), Some(offer)) = (self.builder.as_mut(), self.offer.as_ref()) else {
            return Err(End::Broken("a page of no manifest".into()));
        };
        if entries.is_empty() {
            return Err(End::Broken("an empty page of a manifest".into()));
        }
        for entry in entries {
            if builder.is_empty() && entry.name != offer.name {
                return Err(End::Unsound(ManifestError::RootName));
            }
            builder.push(entry).map_err(End::Unsound)?;
        }
        if !builder.is_complete() {
            return Ok(());
        }
        let Some(builder) = self.builder.take() else { return Ok(()) };
        let manifest = builder.finish().map_err(End::Unsound)?;
        let status = |kind| if kind == EntryKind::Dir { Status::Dir } else { Status::Open };
        self.status = manifest.iter().map(|(_, entry)| status(entry.kind)).collect();
        self.roots = vec![Root([0; 32]); self.status.len()];
        self.unsettled = manifest.totals().files;
        self.manifest = Some(manifest);
        self.phase = Phase::Judging;
        out.push(Output::Judge);
        Ok(())
    }

    fn is_judged(&self) -> bool {
        matches!(self.phase, Phase::Judging | Phase::Waiting)
    }

    pub(super) fn wait(&mut self, until: Timestamp, out: &mut Vec<Output>) {
        if self.is_judged() {
            self.phase = Phase::Waiting;
            // The shell says that it is over then; this is for a shell that does not.
            self.pulse.until(Some(until.plus_ms(TRANSFER_SILENCE_MS)));
            out.push(Output::Send(FileWait { until, ext: Ext::default() }.into()));
        }
    }

    /// What is read again takes its time, and moves.
    pub(super) fn scanned(&mut self, now: Timestamp, bytes: u64) {
        if self.is_judged() && bytes > self.scanned {
            self.scanned = bytes;
            self.phase = Phase::Judging;
            self.pulse.until(Some(now.plus_ms(TRANSFER_JUDGE_MS)));
        }
    }

    pub(super) fn held(&mut self, file: u32, blocks: &[(u32, Cv)]) {
        let Some(size) = self.open_file(file).filter(|_| self.is_judged()) else { return };
        let part = self.parts.entry(file).or_insert_with(|| Part::new(size));
        for (block, cv) in blocks {
            if let Some((_, len)) = tree::block_span(size, *block).filter(|_| part.root.put(*block, *cv)) {
                part.had |= part.set.insert(*block);
                self.progress.bytes = self.progress.bytes.saturating_add(len.into());
                self.progress.had = self.progress.had.saturating_add(len.into());
            }
        }
    }

    pub(super) fn whole(&mut self, file: u32, root: Root) {
        let Some(size) = self.open_file(file).filter(|_| self.is_judged()) else { return };
        self.settle(file, Status::Whole);
        self.set_root(file, root);
        self.progress.bytes = self.progress.bytes.saturating_add(size);
        self.progress.had = self.progress.had.saturating_add(size);
        self.progress.files_done = self.progress.files_done.saturating_add(1);
    }

    pub(super) fn same(&mut self, file: u32, root: Root) {
        if self.is_judged() && self.open_file(file).is_some() {
            self.same.insert(file, root);
        }
    }

    pub(super) fn decline(&mut self, file: u32) {
        let Some(size) = self.open_file(file).filter(|_| self.is_judged()) else { return };
        self.settle(file, Status::Declined);
        self.declined = self.declined.saturating_add(1);
        self.progress.total = self.progress.total.saturating_sub(size);
        self.progress.files = self.progress.files.saturating_sub(1);
    }

    pub(super) fn accept(&mut self, name: String, lanes: u8, out: &mut Vec<Output>) {
        if !self.is_judged() {
            return;
        }
        self.phase = Phase::Receiving;
        self.pulse.until(None);
        self.name.clone_from(&name);
        self.send_have(out);
        out.push(Output::Send(FileAccept { name, lanes, ext: Ext::default() }.into()));
        if self.next_empty().is_some() {
            out.push(Output::Ready);
        }
    }

    /// Tells what is here already, in pages.
    fn send_have(&self, out: &mut Vec<Output>) {
        let mut page: Vec<HaveFile> = Vec::new();
        let mut room = TRANSFER_PAGE_ENTRIES;
        let mut flush = |page: &mut Vec<HaveFile>, room: &mut usize| {
            *room = TRANSFER_PAGE_ENTRIES;
            let files = std::mem::take(page);
            if !files.is_empty() {
                out.push(Output::Send(FileHave { files, ext: Ext::default() }.into()));
            }
        };
        for (file, status) in (0_u32..).zip(&self.status) {
            let state = match (status, self.same.get(&file)) {
                (Status::Whole, _) => {
                    HaveState::Whole(self.roots.get(slot(file)).copied().unwrap_or(Root([0; 32])))
                }
                (Status::Declined, _) => HaveState::Declined,
                (Status::Open, Some(root)) => HaveState::Same(*root),
                (Status::Open, None) => {
                    let Some(part) = self.parts.get(&file) else { continue };
                    let ranges: Vec<_> =
                        part.set.ranges().map(|(from, to)| BlockRange { from, to }).collect();
                    for ranges in ranges.chunks(TRANSFER_PAGE_ENTRIES / 2) {
                        if room < ranges.len() {
                            flush(&mut page, &mut room);
                        }
                        room -= ranges.len();
                        page.push(HaveFile { file, state: HaveState::Blocks(ranges.to_vec()) });
                    }
                    continue;
                }
                _ => continue,
            };
            if room == 0 {
                flush(&mut page, &mut room);
            }
            room -= 1;
            page.push(HaveFile { file, state });
        }
        flush(&mut page, &mut room);
    }
}
