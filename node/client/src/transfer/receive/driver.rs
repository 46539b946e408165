//! The machine's shell itself: what comes in, what is to be done, one thing after the other.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use clankers_files::{FilesError, Landing};
use clankers_mesh::Connection;
use clankers_protocol::{
    Message, NodeId, Timestamp,
    limits::TRANSFER_LANES,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileOffer,
    transfer::{
        Fault, TransferId,
        manifest::Manifest,
        receipt::Receipt,
        receiver::{Input, Output, Receiver},
        talk::{End, FromReceiver, FromSender},
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Judge, Meter, Plumbing, Received, Receiving, Verdict,
    disk::{self, Done, Scan, Scanned},
};
use crate::{
    limits::{FAR, TELL_EVERY},
    transfer::{
        Phase, Progress, Telling, TransferError,
        door::Door,
        error,
        lane::Came,
        parting, progress,
        talk::{Clock, Heard, Mouth, at},
    },
};

pub(super) struct Driver {
    machine: Receiver,
    seed: Zeroizing<[u8; 32]>,
    sender: NodeId,
    peer: NodeId,
    judge: Option<Judge>,
    dialed: Option<Connection>,
    door: Door,
    plumbing: Plumbing,
    mouth: Mouth,
    clock: Clock,
    out: Vec<Output>,
    manifest: Option<Arc<Manifest>>,
    landing: Option<Arc<Landing>>,
    /// What the judge says.
    verdicts: (mpsc::Sender<Verdict>, mpsc::Receiver<Verdict>),
    judging: JoinSet<()>,
    /// What works on the disk.
    jobs: JoinSet<Done>,
    lanes: JoinSet<()>,
    scan: Arc<Scan>,
    syncing: bool,
    dirty: bool,
    /// Files that are the same under their final names, if their roots are.
    same: BTreeSet<u32>,
    bad: Vec<(u32, Fault)>,
    phase: Phase,
    sent_bytes: u64,
    /// Counts what comes, and how much of it may (bytes).
    meter: Option<Arc<dyn Meter>>,
    admitted: u64,
    first: Option<FileOffer>,
    /// What failed on this side's disk.
    here: Option<FilesError>,
    /// A data stream broke: what the peer says about it is waited for until then.
    broken: Option<Instant>,
}

impl Driver {
    pub(super) fn new(receiving: Receiving, now: Timestamp, mouth: Mouth) -> Self {
        let clock = Clock::start(now);
        Self {
            machine: Receiver::new(clock.now(), receiving.limits),
            seed: receiving.seed,
            sender: receiving.sender,
            peer: receiving.peer,
            judge: Some(receiving.judge),
            dialed: receiving.dialed,
            door: receiving.door,
            plumbing: receiving.plumbing,
            mouth,
            clock,
            out: Vec::new(),
            manifest: None,
            landing: None,
            verdicts: mpsc::channel(2),
            judging: JoinSet::new(),
            jobs: JoinSet::new(),
            lanes: JoinSet::new(),
            scan: Arc::default(),
            syncing: false,
            dirty: false,
            same: BTreeSet::new(),
            bad: Vec::new(),
            phase: Phase::Offering,
            sent_bytes: 0,
            meter: None,
            admitted: 0,
            first: receiving.first,
            here: None,
            broken: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
        ended: impl Future<Output = Box<Refusal>>,
    ) -> Result<Received, TransferError> {
        let mut ended = std::pin::pin!(ended);
        let mut ticks = interval(TELL_EVERY);
        let (mut stopping, mut tell) = (false, Telling::new(tell));
        if let Some(offer) = self.first.take() {
            self.input(Input::Frame(FromSender::from(offer)));
        }
        let end = loop {
            if let Some(end) = self.act().await {
                break end;
            }
            self.sync_if_due();
            tokio::select! {
                next = heard.recv() => self.hear(next),
                Some(came) = self.plumbing.came.recv() => self.came(came).await,
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.done(done),
                Some(verdict) = self.verdicts.1.recv() => self.judged(verdict),
                Some(_) = self.judging.join_next(), if !self.judging.is_empty() => {}
                Some(_) = self.lanes.join_next(), if !self.lanes.is_empty() => {}
                Some(why) = self.plumbing.broke.recv() => {
                    tracing::info!(%why, "a data stream of a transfer broke");
                    // A peer that ends it says why on another stream.
                    self.broken.get_or_insert_with(|| Instant::now() + why.patience());
                }
                () = at(self.broken) => self.input(Input::Lost),
                () = self.mouth.work(), if self.mouth.is_busy() => {}
                () = self.clock.wait() => self.input(Input::Tick),
                refusal = &mut ended, if !stopping => {
                    stopping = true;
                    self.input(Input::Refuse(refusal));
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.input(Input::Cancel);
                }
                _ = ticks.tick() => {
                    if self.phase == Phase::Checking {
                        self.input(Input::Scanned { bytes: self.scan.bytes.load(Ordering::Relaxed) });
                    }
                    let arrived = self.plumbing.arrived.load(Ordering::Relaxed);
                    if arrived > self.machine.progress().arrived {
                        self.input(Input::Arriving { bytes: arrived });
                    }
                    tell.say(self.progress());
                }
            }
        };
        self.scan.halt.store(true, Ordering::Relaxed);
        self.last_sync().await;
        tell.say(self.progress());
        if let Some(refusal) = parting(&end, self.peer) {
            self.mouth.say(Refusal::KIND, &refusal.encode());
        }
        self.mouth.finish().await;
        match (end, self.manifest) {
            (End::Done(receipt), Some(manifest)) => Ok(Received { receipt, manifest, bad: self.bad }),
            (End::Refused(refusal), _) => Err(match self.here {
                Some(error) => TransferError::Files(error),
                None => error::ended(End::Refused(refusal)),
            }),
            (other, _) => Err(error::ended(other)),
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.clock.now(), input, &mut self.out);
    }

    fn hear(&mut self, next: Option<Heard>) {
        let input = match next {
            Some(Heard::Frame(kind, body)) => match FromSender::decode(kind, &body) {
                Ok(Some(frame)) => Input::Frame(frame),
                Ok(None) => return,
                Err(error) => {
                    let refusal = Refusal::new(RefusalCode::Malformed, &error.to_string(), self.peer);
                    Input::Refuse(Box::new(refusal))
                }
            },
            Some(Heard::Ended) | None => Input::Lost,
        };
        self.input(input);
    }

    /// Does what the machine says.
    async fn act(&mut self) -> Option<End> {
        let mut end = None;
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                match output {
                    Output::Judge => self.judge(),
                    Output::Send(frame) => self.say(&frame),
                    // Answered where the blocks come.
                    Output::Take(_) | Output::Spurn(_) => {}
                    Output::Ready => self.place_ready(),
                    Output::Forget(file) => self.forget(file).await,
                    Output::FileFailed(file, fault) => self.bad.push((file, fault)),
                    Output::Seal(receipt) => self.seal(*receipt),
                    Output::WakeAt(at) => self.clock.wake_at(at),
                    Output::Over(over) => end = Some(over),
                }
            }
        }
        end
    }

    fn say(&mut self, frame: &FromReceiver) {
        let (kind, body) = frame.encode();
        self.mouth.say(kind, &body);
    }

    /// Blocks came: those that are wanted are written.
    async fn came(&mut self, came: Came) {
        let mut wanted = Vec::with_capacity(came.blocks.len());
        for (block, range) in came.blocks {
            self.input(Input::Block(block));
            // Only what the machine says of this block matters to its bytes; the rest is done in its turn.
            let took = self.out.extract_if(.., |output| matches!(output, Output::Take(_) | Output::Spurn(_)));
            if took.last().is_some_and(|output| matches!(output, Output::Take(_))) {
                self.sent_bytes = self.sent_bytes.saturating_add(block.len.into());
                wanted.push((block, range));
            }
        }
        if !wanted.is_empty() && !self.may_come().await {
            return;
        }
        if let (Some(landing), false) = (&self.landing, wanted.is_empty()) {
            let (landing, meter) = (Arc::clone(landing), self.meter.clone());
            self.dirty = true;
            self.jobs.spawn_blocking(move || disk::write(&landing, &came.buffer, wanted, meter.as_deref()));
        }
    }

    /// Whether all that came so far may: more than was looked for comes when something comes twice.
    async fn may_come(&mut self) -> bool {
        let more = self.sent_bytes.saturating_sub(self.admitted);
        let Some(meter) = self.meter.clone().filter(|_| more > 0) else { return true };
        match tokio::task::spawn_blocking(move || meter.admit(more, 0)).await {
            Ok(Ok(())) => {
                self.admitted = self.admitted.saturating_add(more);
                return true;
            }
            Ok(Err(refusal)) => self.input(Input::Refuse(refusal)),
            Err(error) => {
                tracing::error!(%error, "counting what was received failed from within");
                self.input(Input::Lost);
            }
        }
        false
    }

    fn judge(&mut self) {
        let (Some(judge), Some(offer), Some(manifest)) =
            (self.judge.take(), self.machine.offer(), self.machine.manifest())
        else {
            return;
        };
        let (offer, manifest) = (Arc::new(offer.clone()), Arc::new(manifest.clone()));
        self.manifest = Some(Arc::clone(&manifest));
        self.judging.spawn(judge(offer, manifest, self.verdicts.0.clone()));
    }

    fn judged(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Wait(until) => {
                self.phase = Phase::Waiting { until };
                self.input(Input::Wait(until));
            }
            Verdict::Refuse(refusal) => self.input(Input::Refuse(refusal)),
            Verdict::Take(taken) => {
                self.phase = Phase::Checking;
                let (Some(offer), Some(manifest)) = (self.machine.offer(), &self.manifest) else { return };
                let (offer, manifest) = (offer.clone(), Arc::clone(manifest));
                let scan = Arc::clone(&self.scan);
                self.meter.clone_from(&taken.meter);
                self.jobs.spawn_blocking(move || {
                    Done::Begun(Box::new(disk::begin(*taken, &offer, &manifest, &scan)))
                });
            }
        }
    }

    /// Something was done on the disk.
    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Inputs(inputs, failed)) => {
                inputs.into_iter().for_each(|input| self.input(input));
                if let Some(refused) = failed {
                    self.refuse(refused);
                }
            }
            Ok(Done::Begun(begun)) => match *begun {
                Ok(scanned) => self.begun(scanned),
                Err(refused) => self.refuse(refused),
            },
            Ok(Done::Synced(synced)) => {
                self.syncing = false;
                match synced {
                    Ok(bytes) => self.input(Input::Durable { bytes }),
                    Err(error) => self.fail(&error),
                }
            }
            Ok(Done::Sealed(sealed)) => match *sealed {
                Ok((receipt, signature)) => self.input(Input::Landed { receipt, signature }),
                Err(refused) => self.refuse(refused),
            },
            Err(error) => {
                tracing::error!(%error, "writing what was received failed from within");
                self.input(Input::Lost);
            }
        }
    }

    fn fail(&mut self, error: &clankers_files::FilesError) {
        tracing::warn!(%error, "a transfer cannot be finished");
        self.refuse(disk::refused(error));
    }

    /// The disk here ends it.
    fn refuse(&mut self, mut refused: disk::Refused) {
        if self.here.is_none() {
            self.here = refused.here.take();
        }
        self.input(Input::Refuse(Box::new(refused.for_peer(self.peer))));
    }

    /// It can be received: says what is here already.
    fn begun(&mut self, scanned: Scanned) {
        match scanned {
            Scanned::Landed(receipt) => {
                let signature = clankers_auth::receipt::sign(&self.seed, &receipt, self.sender);
                self.input(Input::Landed { receipt, signature });
            }
            Scanned::Landing { landing, before, after, same, admitted } => {
                self.same = same;
                self.admitted = admitted;
                before.into_iter().for_each(|input| self.input(input));
                let name = landing.name();
                self.landing = Some(landing);
                self.phase = Phase::Running;
                let far = self.dialed.as_ref().is_none_or(|connection| connection.rtt() >= FAR);
                let lanes = if far { TRANSFER_LANES } else { 1 };
                if self.lanes_of(lanes) > 1 {
                    self.plumbing.pool.grow(usize::from(lanes));
                }
                self.input(Input::Accept { name, lanes });
                after.into_iter().for_each(|input| self.input(input));
                if let (Some(connection), Some(transfer)) = (&self.dialed, self.transfer()) {
                    self.door.open(connection, transfer, self.lanes_of(lanes), &mut self.lanes);
                }
            }
        }
    }

    fn transfer(&self) -> Option<TransferId> {
        self.machine.offer().map(|offer| offer.transfer)
    }

    fn lanes_of(&self, lanes: u8) -> u8 {
        lanes.min(self.machine.offer().map_or(1, |offer| offer.lanes)).max(1)
    }

    /// Files whose roots are right: with their modes and times they are whole.
    fn place_ready(&mut self) {
        let Some(landing) = self.landing.clone() else { return };
        let mut ready = Vec::new();
        while let Some((file, _)) = self.machine.next_ready() {
            ready.push(file);
        }
        self.jobs.spawn_blocking(move || disk::place(&landing, ready));
    }

    /// Nothing of a file is had any more; before anything else is done with it.
    async fn forget(&mut self, file: u32) {
        let Some(landing) = self.landing.clone() else { return };
        let dropped = tokio::task::spawn_blocking(move || landing.drop_file(file)).await;
        if let Ok(Err(error)) = dropped {
            self.input(Input::Unfit { file, fault: error::fault(&error) });
        }
    }

    fn sync_if_due(&mut self) {
        let Some(landing) = self.landing.as_ref().filter(|_| self.dirty && !self.syncing) else { return };
        if landing.sync_due() {
            let landing = Arc::clone(landing);
            (self.dirty, self.syncing) = (false, true);
            self.jobs.spawn_blocking(move || Done::Synced(landing.sync()));
        }
    }

    /// What arrived is kept: what is being written is waited for, and made durable.
    async fn last_sync(&mut self) {
        self.judging.abort_all();
        while self.jobs.join_next().await.is_some() {}
        if let Some(landing) = self.landing.take().filter(|_| self.dirty) {
            let synced = tokio::task::spawn_blocking(move || landing.sync()).await;
            if let Ok(Err(error)) = synced {
                tracing::warn!(%error, "what was received may not survive a crash");
            }
        }
    }

    /// Everything is there or given up: it gets its final name, and the receipt is signed.
    fn seal(&mut self, receipt: Receipt) {
        self.phase = Phase::Finishing;
        let Some(landing) = self.landing.clone() else { return };
        let missing: BTreeSet<u32> = self.bad.iter().map(|(file, _)| *file).collect();
        let same: Vec<u32> = self.same.iter().copied().filter(|file| !missing.contains(file)).collect();
        let (seed, sender) = (self.seed.clone(), self.sender);
        self.dirty = false;
        self.jobs.spawn_blocking(move || {
            let sealed = disk::seal(&landing, receipt, &missing, &same).map(|receipt| {
                let signature = clankers_auth::receipt::sign(&seed, &receipt, sender);
                (Box::new(receipt), signature)
            });
            Done::Sealed(Box::new(sealed))
        });
    }

    fn progress(&self) -> Progress {
        let mut of = self.machine.progress();
        if self.phase == Phase::Checking {
            of.bytes = self.scan.bytes.load(Ordering::Relaxed).min(of.total);
        }
        progress(self.phase, of, self.sent_bytes, self.clock.now().since(self.machine.heard()))
    }
}
