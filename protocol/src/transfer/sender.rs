//! The machine of the side that has the files.
//!
//! The shell reads and hashes what [`Sender::next_piece`] says, on as many lanes as it likes, and tells what came of it.
//! A file's hash is told to the receiver only after the file was seen unchanged behind its last block: a file of one
//! block is checked by the shell before the block leaves ([`Piece::check`]), a longer one when the machine asks
//! ([`Output::Check`]).

mod words;
mod work;

use std::collections::{BTreeMap, VecDeque};

pub use self::words::{Input, OfferDraft, Output, Piece};
pub use super::talk::{End, Progress};
use super::{
    Fault, Root,
    manifest::{self, Manifest},
    name,
    pulse::Pulse,
    talk::FromReceiver,
};
use crate::{
    Timestamp,
    limits::{TRANSFER_JUDGE_MS, TRANSFER_LANES, TRANSFER_SILENCE_MS, TRANSFER_WAIT_MS},
    message::Ext,
    request::transfer::{
        BadFile, DoneFile, FileAccept, FileBad, FileCancel, FileCommit, FileDone, FileManifest, FileOffer,
        FileProgress, FileReceipt,
    },
};
use work::{Part, Status};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    /// The manifest is on its way, or judged.
    Offered,
    /// The owner is asked.
    Waiting,
    Sending,
    /// Everything is said.
    Committed,
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Sender {
    draft: OfferDraft,
    manifest: Manifest,
    phase: Phase,
    pulse: Pulse,
    /// First entry of the next page.
    page: u32,
    /// How each entry is.
    status: Vec<Status>,
    /// The hash of each file that is read, or that the receiver has.
    roots: Vec<Root>,
    /// Files of which more is known: those under way, and those that the receiver has some of.
    parts: BTreeMap<u32, Part>,
    /// Next piece: file, block.
    cursor: (u32, u32),
    /// Files to be sent once more, and the next block of the first.
    again: VecDeque<u32>,
    again_block: u32,
    /// Files that are neither sent nor given up (count).
    unsettled: u32,
    done: Vec<DoneFile>,
    bad: Vec<BadFile>,
    /// Bytes that were read and hashed.
    read: u64,
    /// Bytes of pieces that are ready to leave or have left: from then on it is the receiver's turn.
    loaded: u64,
    /// Bytes that were written into streams.
    written: u64,
    progress: Progress,
    /// What the receiver said last.
    acked: Option<FileProgress>,
    /// The most that it ever said, of each count.
    best: [u64; 4],
}

impl Sender {
    /// A sender of this, to whom `now` nothing was said yet.
    #[must_use]
    pub fn new(now: Timestamp, draft: OfferDraft, manifest: Manifest) -> Self {
        let totals = manifest.totals();
        let progress = Progress { total: totals.bytes, files: totals.files, ..Progress::default() };
        Self {
            draft,
            phase: Phase::New,
            pulse: Pulse::new(now),
            page: 0,
            status: Vec::new(),
            roots: Vec::new(),
            parts: BTreeMap::new(),
            cursor: (0, 0),
            again: VecDeque::new(),
            again_block: 0,
            unsettled: totals.files,
            done: Vec::new(),
            bad: Vec::new(),
            read: 0,
            loaded: 0,
            written: 0,
            progress,
            acked: None,
            best: [0; 4],
            manifest,
        }
    }

    /// What is sent.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What the receipt's root has to be, once all is said: to be kept, for a receipt that gets lost.
    #[must_use]
    pub fn root(&self) -> Option<Root> {
        let is_said = self.phase == Phase::Committed;
        is_said.then(|| manifest::whole_root(&self.manifest, |file| self.sent_root(file)))
    }

    /// When the other side said something last.
    #[must_use]
    pub fn heard(&self) -> Timestamp {
        self.pulse.heard_at()
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The next page of the manifest, after the one in the offer.
    pub fn next_page(&mut self) -> Option<FileManifest> {
        if self.phase == Phase::New {
            return None;
        }
        let entries = self.manifest.page(self.page);
        self.page += u32::try_from(entries.len()).unwrap_or(u32::MAX);
        (!entries.is_empty()).then(|| FileManifest { entries, ext: Ext::default() })
    }

    /// One step. After [`Output::Over`] nothing comes any more.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Over {
            return;
        }
        let begin = out.len();
        match input {
            Input::Start if self.phase == Phase::New => self.start(now, out),
            Input::Start | Input::Tick => {}
            Input::Frame(frame) => {
                self.pulse.heard(now);
                if let Err(words) = self.frame(now, frame, out) {
                    self.over(End::Broken(words), out);
                }
            }
            Input::Hashed { file, block, cv } => self.hashed(now, file, block, cv, out),
            Input::Written { bytes } => {
                self.written = self.written.saturating_add(bytes.into());
            }
            Input::Checked { file } => self.checked(file),
            Input::Failed { file, fault } => self.failed(file, fault, true, out),
            Input::Cancel => {
                out.push(Output::Send(FileCancel { ext: Ext::default() }.into()));
                self.over(End::Cancelled { by_peer: false }, out);
            }
            Input::Lost => self.over(End::Lost, out),
        }
        if self.phase == Phase::Over {
            return;
        }
        self.tell(now, out);
        if out.iter().skip(begin).any(|output| matches!(output, Output::Send(_))) {
            self.pulse.said(now);
        }
        self.look_at_the_clock(now, out);
    }

    fn start(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.phase = Phase::Offered;
        self.pulse = Pulse::new(now);
        self.pulse.until(Some(now.plus_ms(TRANSFER_JUDGE_MS)));
        let totals = self.manifest.totals();
        let entries = self.manifest.page(0);
        self.page = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let draft = self.draft.clone();
        out.push(Output::Send(
            FileOffer {
                leaf: draft.leaf,
                transfer: draft.transfer,
                name: self.manifest.root_name().to_owned(),
                source: draft.source,
                bytes: totals.bytes,
                files: totals.files,
                dirs: totals.dirs,
                to: draft.to,
                on_conflict: draft.on_conflict,
                lanes: draft.lanes.clamp(1, TRANSFER_LANES),
                entries,
                ext: draft.ext,
            }
            .into(),
        ));
        if self.page < self.manifest.len() {
            out.push(Output::Pages);
        }
    }

    fn frame(&mut self, now: Timestamp, frame: FromReceiver, out: &mut Vec<Output>) -> Result<(), String> {
        let offered = matches!(self.phase, Phase::Offered | Phase::Waiting);
        let sending = matches!(self.phase, Phase::Sending | Phase::Committed);
        match frame {
            FromReceiver::Wait(wait) if offered => {
                self.phase = Phase::Waiting;
                // It is the receiver's word: nobody waits for ever on it.
                let until = wait.until.min(now.plus_ms(TRANSFER_WAIT_MS));
                self.pulse.until(Some(until.plus_ms(TRANSFER_SILENCE_MS)));
                out.push(Output::Waiting(until));
            }
            FromReceiver::Have(have) if offered => self.have(have.files)?,
            FromReceiver::Accept(accept) if offered => self.accept(now, &accept, out)?,
            FromReceiver::Again(again) if sending => {
                self.pulse.moved(now);
                again.files.into_iter().try_for_each(|file| self.once_more(file, out))?;
            }
            FromReceiver::Bad(bad) if sending => {
                self.pulse.moved(now);
                for BadFile { file, fault } in bad.files {
                    self.known_file(file)?;
                    self.failed(file, Fault::from_number(fault), false, out);
                }
            }
            FromReceiver::Progress(progress) => {
                if self.has_moved(&progress) {
                    self.pulse.moved(now);
                    if offered {
                        // What it has from before is read again.
                        self.pulse.until(Some(now.plus_ms(TRANSFER_JUDGE_MS)));
                    }
                }
                self.progress.bytes = progress.bytes.min(self.progress.total);
                self.progress.files_done = progress.files.min(self.progress.files);
                self.progress.arrived = progress.received.min(self.loaded);
                self.acked = Some(*progress);
            }
            FromReceiver::Receipt(receipt) if self.phase == Phase::Committed => {
                self.check_receipt(&receipt)?;
                (self.progress.bytes, self.progress.files_done) =
                    (receipt.receipt.bytes, receipt.receipt.files);
                self.over(End::Done(receipt), out);
            }
            // It landed long ago, and the receipt got lost: what was read then is not read again.
            FromReceiver::Receipt(receipt) if offered => {
                let said = &receipt.receipt;
                let totals = self.manifest.totals();
                let files = u64::from(said.files) + u64::from(said.bad) + u64::from(said.declined);
                let is_same = said.transfer == self.draft.transfer && said.source == self.draft.source;
                if !is_same || files != u64::from(totals.files) || said.bytes > totals.bytes {
                    return Err("the receipt is of another transfer".into());
                }
                (self.progress.bytes, self.progress.files_done) = (said.bytes, said.files);
                self.over(End::Done(receipt), out);
            }
            FromReceiver::Cancel(_) => self.over(End::Cancelled { by_peer: true }, out),
            FromReceiver::Refusal(refusal) => self.over(End::Refused(refusal), out),
            frame => return Err(format!("{} came where it makes no sense", frame.encode().0)),
        }
        Ok(())
    }

    fn accept(&mut self, now: Timestamp, accept: &FileAccept, out: &mut Vec<Output>) -> Result<(), String> {
        name::check_part(&accept.name)
            .map_err(|error| format!("the name that the receiver chose: {error}"))?;
        self.make_room();
        self.phase = Phase::Sending;
        self.pulse.moved(now);
        self.pulse.until(None);
        let had = self.progress.had;
        self.progress.bytes = had;
        let lanes = accept.lanes.clamp(1, self.draft.lanes.clamp(1, TRANSFER_LANES));
        out.push(Output::Accepted { name: accept.name.clone(), lanes, had });
        self.settle_empty_files();
        if self.unsettled > 0 {
            out.push(Output::Pieces);
        }
        Ok(())
    }

    /// What the receipt says has to be what was sent.
    fn check_receipt(&self, receipt: &FileReceipt) -> Result<(), String> {
        let said = &receipt.receipt;
        let sent = |index: u32| self.sent_root(index);
        let (mut files, mut bytes) = (0_u32, 0_u64);
        for (index, entry) in self.manifest.files() {
            if sent(index).is_some() {
                (files, bytes) = (files.saturating_add(1), bytes.saturating_add(entry.size));
            }
        }
        let root = manifest::whole_root(&self.manifest, sent);
        let is_same = said.transfer == self.draft.transfer && said.source == self.draft.source;
        if !is_same || said.root != root || said.files != files || said.bytes != bytes {
            return Err(format!(
                "the receipt is of {} files with {} bytes and the root {}, sent were {files} with {bytes} and {root}",
                said.files, said.bytes, said.root
            ));
        }
        Ok(())
    }

    /// Whether the receiver came further than it ever was; each of the counts ends somewhere.
    fn has_moved(&mut self, now: &FileProgress) -> bool {
        let total = self.manifest.totals();
        let now = [
            now.received.min(self.loaded),
            now.durable.min(self.written),
            now.bytes.min(total.bytes),
            now.files.min(total.files).into(),
        ];
        let grew = now.iter().zip(&self.best).any(|(now, best)| now > best);
        for (best, now) in self.best.iter_mut().zip(now) {
            *best = now.max(*best);
        }
        grew
    }

    /// A piece waits for the receiver to take it, or to say that it has.
    fn loaded(&mut self, now: Timestamp, bytes: u32) {
        if self.outstanding() == 0 {
            self.pulse.moved(now);
        }
        self.loaded = self.loaded.saturating_add(bytes.into());
    }

    /// Bytes that the receiver has not told of yet.
    fn outstanding(&self) -> u64 {
        self.loaded.saturating_sub(self.acked.as_ref().map_or(0, |acked| acked.received))
    }

    /// Says what is to be said.
    fn tell(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Sending | Phase::Committed) {
            return self.beat(now, out);
        }
        let flush = self.unsettled == 0 || self.pulse.is_beat(now);
        if !self.bad.is_empty() && (flush || self.bad.len() >= work::BATCH) {
            let files = std::mem::take(&mut self.bad);
            out.push(Output::Send(FileBad { files, ext: Ext::default() }.into()));
        }
        if !self.done.is_empty() && (flush || self.is_read() || self.done.len() >= work::BATCH) {
            let files = std::mem::take(&mut self.done);
            out.push(Output::Send(FileDone { files, ext: Ext::default() }.into()));
        }
        if self.phase == Phase::Sending && self.unsettled == 0 {
            self.phase = Phase::Committed;
            self.pulse.moved(now);
            out.push(Output::Send(FileCommit { ext: Ext::default() }.into()));
        }
        self.beat(now, out);
    }

    fn beat(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.phase != Phase::New && self.pulse.is_beat(now) {
            let progress =
                FileProgress { bytes: self.read, durable: 0, received: 0, files: 0, ext: Ext::default() };
            out.push(Output::Send(progress.into()));
        }
    }

    fn look_at_the_clock(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let its_turn = match self.phase {
            Phase::New => return,
            Phase::Sending => self.outstanding() > 0,
            phase => phase == Phase::Committed,
        };
        if self.pulse.is_stalled(now, its_turn) {
            self.over(End::Stalled, out);
        } else {
            out.push(Output::WakeAt(self.pulse.next()));
        }
    }

    fn over(&mut self, end: End, out: &mut Vec<Output>) {
        self.phase = Phase::Over;
        out.push(Output::Over(end));
    }
}
