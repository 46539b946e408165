//! The machine of the side that writes the files.
//!
//! It takes the manifest in and refuses what is not sound; the shell then judges it (rights, quotas, names, what is there
//! from before). Blocks are taken when they are wanted, a file is given out to be named ([`Receiver::next_ready`]) when
//! all its blocks are there and their hash is what the sender read, and the receipt is made when every file is named,
//! given up or not wanted. So there is no final name before its file is whole and verified.

mod files;
mod offer;
mod words;

use std::collections::{BTreeMap, VecDeque};

pub use self::words::{Input, Output};
pub use super::talk::{End, Progress};
use super::{
    Fault, Root,
    manifest::{Builder, Manifest, ManifestLimits, Totals},
    pulse::Pulse,
    receipt::Receipt,
    talk::{FromReceiver, FromSender},
};
use crate::{
    Timestamp,
    limits::{TRANSFER_ACK_BYTES, TRANSFER_JUDGE_MS},
    message::Ext,
    request::transfer::{
        BadFile, FileAgain, FileBad, FileBlock, FileCancel, FileOffer, FileProgress, FileReceipt,
    },
};
use files::{Part, Status};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing came yet.
    New,
    /// The manifest comes.
    Listing,
    /// The shell looks.
    Judging,
    /// The owner is asked.
    Waiting,
    Receiving,
    /// All is named.
    Sealing,
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Receiver {
    limits: ManifestLimits,
    phase: Phase,
    pulse: Pulse,
    offer: Option<Box<FileOffer>>,
    builder: Option<Builder>,
    manifest: Option<Manifest>,
    name: String,
    /// How each entry is.
    status: Vec<Status>,
    /// The hash of each file that is ready or named.
    roots: Vec<Root>,
    /// Files under way, or of which more is known.
    parts: BTreeMap<u32, Part>,
    /// Files whose name another one has that is to stay: its hash.
    same: BTreeMap<u32, Root>,
    ready: VecDeque<u32>,
    /// Where to look for the next empty file.
    empty: u32,
    /// Files that were given out to be named (count).
    placing: u32,
    /// Blocks that are being written (count).
    storing: u32,
    /// Files that are neither named, nor given up, nor unwanted (count).
    unsettled: u32,
    committed: bool,
    bad: Vec<BadFile>,
    again: Vec<u32>,
    receipt: Option<Box<Receipt>>,
    sent_bytes: u64,
    received: u64,
    /// The same, with those of blocks that are not whole yet.
    arriving: u64,
    durable: u64,
    declined: u32,
    /// Bytes verified when that was told last.
    told: u64,
    /// What the sender said of itself last.
    heard: u64,
    progress: Progress,
    /// Bytes from before that were read again so far, while they are.
    scanned: u64,
}

impl Receiver {
    /// A receiver that takes no more than this in one transfer.
    #[must_use]
    pub fn new(now: Timestamp, limits: ManifestLimits) -> Self {
        let mut pulse = Pulse::new(now);
        pulse.until(Some(now.plus_ms(TRANSFER_JUDGE_MS)));
        Self {
            limits,
            phase: Phase::New,
            pulse,
            offer: None,
            builder: None,
            manifest: None,
            name: String::new(),
            status: Vec::new(),
            roots: Vec::new(),
            parts: BTreeMap::new(),
            same: BTreeMap::new(),
            ready: VecDeque::new(),
            empty: 0,
            placing: 0,
            storing: 0,
            unsettled: 0,
            committed: false,
            bad: Vec::new(),
            again: Vec::new(),
            receipt: None,
            sent_bytes: 0,
            received: 0,
            arriving: 0,
            durable: 0,
            declined: 0,
            told: 0,
            heard: 0,
            progress: Progress::default(),
            scanned: 0,
        }
    }

    /// The offer, without its page of the manifest.
    #[must_use]
    pub fn offer(&self) -> Option<&FileOffer> {
        self.offer.as_deref()
    }

    /// The manifest, once it is whole and sound.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { arrived: self.received.max(self.arriving), ..self.progress }
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

    /// One step. After [`Output::Over`] nothing comes any more.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Over {
            return;
        }
        let begin = out.len();
        if let Err(end) = self.step(now, input, out) {
            self.over(end, out);
        }
        if self.phase == Phase::Over {
            return;
        }
        self.tell(now, out);
        if out.iter().skip(begin).any(|output| matches!(output, Output::Send(_))) {
            self.pulse.said(now);
            self.told = self.progress.bytes;
        }
        self.seal(now, out);
        self.look_at_the_clock(now, out);
    }

    fn step(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) -> Result<(), End> {
        let is_step = match &input {
            Input::Tick | Input::Lost | Input::Cancel | Input::Frame(FromSender::Progress(_)) => false,
            Input::Arriving { bytes } => *bytes > self.arriving,
            _ => true,
        };
        if is_step {
            self.pulse.moved(now);
        }
        match input {
            Input::Frame(frame) => {
                self.pulse.heard(now);
                self.frame(now, frame, out)?;
            }
            Input::Block(block) => {
                self.pulse.heard(now);
                self.block(block, out)?;
            }
            Input::Wait(until) => self.wait(until, out),
            Input::Scanned { bytes } => self.scanned(now, bytes),
            Input::Held { file, blocks } => self.held(file, &blocks),
            Input::Whole { file, root } => self.whole(file, root),
            Input::Same { file, root } => self.same(file, root),
            Input::Decline { file } => self.decline(file),
            Input::Accept { name, lanes } => self.accept(name, lanes, out),
            Input::Refuse(refusal) => {
                out.push(Output::Send(FromReceiver::Refusal(refusal.clone())));
                return Err(End::Refused(refusal));
            }
            Input::Arriving { bytes } if is_step => {
                self.pulse.heard(now);
                self.arriving = bytes;
            }
            Input::Stored { file, block } => self.stored(file, block, out),
            Input::Damaged { file, block } => self.damaged(file, block, out),
            Input::StoreFailed { file, block, fault } => self.store_failed(file, block, fault, out),
            Input::Unfit { file, fault } => self.unfit(file, fault, out),
            Input::Durable { bytes } => self.durable = bytes,
            Input::Placed { file } => self.placed(file),
            Input::PlaceFailed { file, fault } => self.place_failed(file, fault, out),
            Input::Sealed { signature } => self.sealed(signature, out),
            Input::Landed { receipt, signature } => self.landed(*receipt, signature, out),
            Input::Cancel => {
                out.push(Output::Send(FileCancel { ext: Ext::default() }.into()));
                return Err(End::Cancelled { by_peer: false });
            }
            Input::Lost => return Err(End::Lost),
            Input::Tick | Input::Arriving { .. } => {}
        }
        Ok(())
    }

    fn frame(&mut self, now: Timestamp, frame: FromSender, out: &mut Vec<Output>) -> Result<(), End> {
        let receiving = self.phase == Phase::Receiving;
        match frame {
            FromSender::Offer(offer) if self.phase == Phase::New => self.offered(offer, out)?,
            FromSender::Manifest(page) if self.phase == Phase::Listing => self.listed(&page.entries, out)?,
            FromSender::Done(done) if receiving => {
                done.files.into_iter().try_for_each(|done| self.done(done, out))?;
            }
            FromSender::Bad(bad) if receiving => {
                bad.files.into_iter().try_for_each(|bad| self.gone(bad, out))?;
            }
            FromSender::Commit(_) if receiving => self.committed = true,
            FromSender::Progress(progress) => {
                if progress.bytes != self.heard {
                    self.pulse.moved(now);
                }
                self.heard = progress.bytes;
            }
            FromSender::Cancel(_) => return Err(End::Cancelled { by_peer: true }),
            FromSender::Refusal(refusal) => return Err(End::Refused(refusal)),
            frame => {
                return Err(End::Broken(format!("{} came where it makes no sense", frame.encode().0)));
            }
        }
        Ok(())
    }

    /// Says what is to be said.
    fn tell(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if !self.bad.is_empty() {
            let files = std::mem::take(&mut self.bad);
            out.push(Output::Send(FileBad { files, ext: Ext::default() }.into()));
        }
        if !self.again.is_empty() {
            let files = std::mem::take(&mut self.again);
            out.push(Output::Send(FileAgain { files, ext: Ext::default() }.into()));
        }
        let much = self.progress.bytes.abs_diff(self.told) >= TRANSFER_ACK_BYTES;
        if self.phase != Phase::New && (self.pulse.is_beat(now) || (much && self.phase == Phase::Receiving)) {
            let progress = FileProgress {
                bytes: if self.phase == Phase::Judging { self.scanned } else { self.progress.bytes },
                durable: self.durable,
                received: self.received.max(self.arriving),
                files: self.progress.files_done,
                ext: Ext::default(),
            };
            out.push(Output::Send(progress.into()));
        }
    }

    /// Everything is named: a receipt is due.
    fn seal(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let is_due = self.phase == Phase::Receiving && self.committed && self.unsettled == 0;
        let Some(mut receipt) = is_due.then(|| self.make_receipt()).flatten() else { return };
        receipt.at = now;
        self.phase = Phase::Sealing;
        self.receipt = Some(Box::new(receipt.clone()));
        out.push(Output::Seal(Box::new(receipt)));
    }

    fn sealed(&mut self, signature: Vec<u8>, out: &mut Vec<Output>) {
        let Some(receipt) = self.receipt.take().filter(|_| self.phase == Phase::Sealing) else { return };
        self.landed(*receipt, signature, out);
    }

    fn landed(&mut self, receipt: Receipt, signature: Vec<u8>, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Judging | Phase::Waiting | Phase::Sealing) {
            return;
        }
        let receipt = FileReceipt { receipt, signature, ext: Ext::default() };
        out.push(Output::Send(receipt.clone().into()));
        self.over(End::Done(Box::new(receipt)), out);
    }

    fn look_at_the_clock(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        // What this side has still to write or to name is not the other one's delay.
        let busy = self.storing > 0 || self.placing > 0 || !self.ready.is_empty();
        let its_turn = matches!(self.phase, Phase::Listing) || (self.phase == Phase::Receiving && !busy);
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

    fn make_receipt(&self) -> Option<Receipt> {
        let (offer, manifest) = (self.offer.as_ref()?, self.manifest.as_ref()?);
        let placed = |index: u32| self.placed_root(index);
        let arrived = manifest.files().filter(|(index, _)| placed(*index).is_some());
        let (files, bytes) = arrived.fold((0_u32, 0_u64), |(files, bytes), (_, entry)| {
            (files.saturating_add(1), bytes.saturating_add(entry.size))
        });
        Some(Receipt {
            transfer: offer.transfer,
            source: offer.source,
            name: self.name.clone(),
            root: super::manifest::whole_root(manifest, placed),
            files,
            bytes,
            sent_bytes: self.sent_bytes,
            bad: self.progress.bad,
            declined: self.declined,
            at: Timestamp(0),
        })
    }

    fn totals(offer: &FileOffer) -> Totals {
        Totals { bytes: offer.bytes, files: offer.files, dirs: offer.dirs }
    }
}
