//! The machine of the side that has the files.
//!
//! The shell reads and hashes what [`Sender::next_piece`] says, on as many lanes as it likes, and tells what came of it.
//! A file's hash is told to the receiver only after the file was seen unchanged behind its last block: a file of one
//! block is checked by the shell before the block leaves ([`Piece::check`]), a longer one when the machine asks
//! ([`Output::Check`]).

mod work;

use std::collections::{BTreeMap, VecDeque};

pub use super::talk::{End, Progress};
use super::{
    Cv, Fault, FileIdentity, Root, SourceIdentity, TransferId,
    manifest::{self, Manifest},
    name,
    pulse::Pulse,
    talk::{FromReceiver, FromSender},
};
use crate::{
    CidDigest, Timestamp,
    limits::{TRANSFER_JUDGE_MS, TRANSFER_LANES, TRANSFER_SILENCE_MS},
    message::Ext,
    request::transfer::{
        BadFile, DoneFile, FileAccept, FileBad, FileCancel, FileCommit, FileDone, FileManifest, FileOffer,
        FileProgress, FileReceipt, OnConflict,
    },
};
use work::{Part, Status};

/// What an offer says besides the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferDraft {
    /// The chain's leaf; none in answer to a fetch.
    pub leaf: Option<CidDigest>,
    /// Names the transfer.
    pub transfer: TransferId,
    /// Says whether it is the same source as before.
    pub source: SourceIdentity,
    /// Directory in the receiver's inbox.
    pub to: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
    /// Data streams that would be used (count).
    pub lanes: u8,
}

/// One block to read and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index of the file's entry.
    pub file: u32,
    /// The block in it.
    pub block: u32,
    /// Where it begins (bytes).
    pub offset: u64,
    /// How long it is (bytes).
    pub len: u32,
    /// To be sent on a lane; else the receiver has it, and it is only hashed.
    pub send: bool,
    /// The file is this block: to be seen unchanged after it was read and before it leaves.
    pub check: bool,
    /// What the file was when the manifest was made.
    pub id: FileIdentity,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin.
    Start,
    /// A frame came on the control stream.
    Frame(FromReceiver),
    /// A piece was read and hashed.
    Hashed {
        /// Its file.
        file: u32,
        /// Its block.
        block: u32,
        /// Its hash.
        cv: Cv,
    },
    /// A piece's bytes went into a stream (count).
    Written {
        /// How many.
        bytes: u32,
    },
    /// The file was seen unchanged, behind its last block.
    Checked {
        /// Which.
        file: u32,
    },
    /// The file cannot be sent.
    Failed {
        /// Which.
        file: u32,
        /// Why.
        fault: Fault,
    },
    /// No more of this.
    Cancel,
    /// It is time.
    Tick,
    /// The connection is lost.
    Lost,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this on the control stream.
    Send(FromSender),
    /// Send what [`Sender::next_page`] gives until it gives nothing.
    Pages,
    /// [`Sender::next_piece`] has something.
    Pieces,
    /// All blocks of this file are hashed: see whether it is unchanged; [`Input::Checked`] or [`Input::Failed`].
    Check(u32),
    /// The receiver's owner is asked, until then.
    Waiting(Timestamp),
    /// The receiver takes it.
    Accepted {
        /// The root's final name: safe.
        name: String,
        /// Data streams to open at most (count).
        lanes: u8,
        /// Bytes that it has already.
        had: u64,
    },
    /// A file does not arrive.
    FileFailed(u32, Fault),
    /// Call again with [`Input::Tick`] at this time, if nothing comes before.
    WakeAt(Timestamp),
    /// It is over; nothing else follows.
    Over(End),
}

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
    /// Bytes that were written into streams.
    written: u64,
    progress: Progress,
    /// What the receiver said last.
    acked: Option<FileProgress>,
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
            written: 0,
            progress,
            acked: None,
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
            Input::Hashed { file, block, cv } => self.hashed(file, block, cv, out),
            Input::Written { bytes } => {
                if self.outstanding() == 0 {
                    self.pulse.moved(now);
                }
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
                ext: Ext::default(),
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
                self.pulse.until(Some(wait.until.plus_ms(TRANSFER_SILENCE_MS)));
                out.push(Output::Waiting(wait.until));
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
                if self.acked.as_ref() != Some(&*progress) {
                    self.pulse.moved(now);
                }
                self.progress.bytes = progress.bytes.min(self.progress.total);
                self.progress.files_done = progress.files.min(self.progress.files);
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

    /// Bytes that the receiver has not told of yet.
    fn outstanding(&self) -> u64 {
        self.written.saturating_sub(self.acked.as_ref().map_or(0, |acked| acked.received))
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
