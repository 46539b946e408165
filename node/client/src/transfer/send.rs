//! The sender's shell: reads and hashes pieces beside the async threads, sends them on lanes, and tells the machine.

mod pieces;

use std::{collections::BTreeMap, sync::Arc};

use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    Message, NodeId, Timestamp,
    refusal::Refusal,
    request::transfer::{FileManifest, FileReceipt},
    transfer::{
        Fault, Root, TransferId,
        sender::{Input, OfferDraft, Output, Piece, Sender},
        talk::{End, FromReceiver, FromSender},
    },
};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinSet,
    time::{Instant, interval},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::pieces::{Opened, Work};
use super::{
    Looked, Phase, Progress, TransferError,
    door::Door,
    lane::LaneError,
    pool::Pool,
    talk::{Clock, Heard, Mouth, at, pumped},
};
use crate::limits::{
    EVENTS_WAITING, LIMIT_ONE_LANE, LOADS_WAITING, PIECES_AT_WORK, SEND_BUFFERS, SMALL_BYTES, SMALL_FILES,
    TELL_EVERY,
};

/// A transfer to be sent, on a control stream that is open.
#[derive(Debug)]
pub struct Sending {
    looked: Arc<Looked>,
    draft: OfferDraft,
    /// Who is at the other end of the connection.
    peer: NodeId,
    /// Where the data streams are opened, when that is up to this side.
    dialed: Option<Connection>,
    door: Door,
    plumbing: Plumbing,
}

/// The ends of what the tasks of the transfer speak through.
#[derive(Debug)]
struct Plumbing {
    work: Work,
    hashed: mpsc::Receiver<Vec<Input>>,
    written: mpsc::Receiver<u32>,
    broke: mpsc::Receiver<LaneError>,
    _open: DropGuard,
}

/// What came of it.
#[derive(Debug)]
pub struct Sent {
    /// What the receiver says, with its signature, which is not verified yet.
    pub receipt: Box<FileReceipt>,
    /// Files that did not arrive.
    pub bad: Vec<(u32, Fault)>,
    /// The hash of all that was read and sent; none when the receipt answered the offer, and nothing was.
    pub root: Option<Root>,
}

impl Sending {
    /// Prepares to send. `dialed` is the connection when this side dialed it, and so opens the data streams; else the
    /// peer's go to [`Sending::door`].
    #[must_use]
    pub fn new(looked: Arc<Looked>, draft: OfferDraft, peer: NodeId, dialed: Option<Connection>) -> Self {
        let pool = Pool::new(SEND_BUFFERS);
        let (loads, queue) = mpsc::channel(LOADS_WAITING);
        let (tell, hashed) = mpsc::channel(EVENTS_WAITING);
        let (wrote, written) = mpsc::channel(EVENTS_WAITING);
        let (breaks, broke) = mpsc::channel(1);
        let (door, open) = Door::out(Arc::new(Mutex::new(queue)), wrote, breaks);
        let work = Work { looked: Arc::clone(&looked), pool, loads, tell };
        let plumbing = Plumbing { work, hashed, written, broke, _open: open };
        Self { looked, draft, peer, dialed, door, plumbing }
    }

    /// Sends no more bytes in a second than this, [`LIMIT_RATE_LEAST`](crate::limits::LIMIT_RATE_LEAST) at least.
    #[must_use]
    pub fn limited(mut self, rate: Option<u64>) -> Self {
        self.door = self.door.limited(rate);
        if rate.is_some_and(|rate| rate < LIMIT_ONE_LANE) {
            self.draft.lanes = 1;
        }
        self
    }

    /// Where the data streams go that the peer opens.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Sends: returns when the receiver has signed for all of it, or it is over otherwise. When `ended` comes first the
    /// right to it has ended, and the peer is refused.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn run(
        self,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
        now: Timestamp,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
        ended: impl Future<Output = Box<Refusal>>,
    ) -> Result<Sent, TransferError> {
        // The last word is the receiver's, unless this side has none left.
        pumped(reader, writer, false, |mouth, heard| {
            Driver::new(self, now, mouth).run(heard, tell, stop, ended)
        })
        .await
    }
}

struct Driver {
    machine: Sender,
    transfer: TransferId,
    peer: NodeId,
    dialed: Option<Connection>,
    door: Door,
    plumbing: Plumbing,
    mouth: Mouth,
    clock: Clock,
    out: Vec<Output>,
    /// The manifest has more pages.
    pages: bool,
    /// The machine has more pieces.
    pieces: bool,
    /// A piece that did not go with those before it.
    held: Option<Piece>,
    opened: BTreeMap<u32, Arc<Opened>>,
    /// Pieces at work, and lanes.
    jobs: JoinSet<()>,
    lanes: JoinSet<()>,
    bad: Vec<(u32, Fault)>,
    phase: Phase,
    sent_bytes: u64,
    /// A data stream broke: what the peer says about it is waited for until then.
    broken: Option<Instant>,
    /// What the receipt's root has to be.
    root: Option<Root>,
}

impl Driver {
    fn new(sending: Sending, now: Timestamp, mouth: Mouth) -> Self {
        let Sending { looked, draft, peer, dialed, door, plumbing } = sending;
        let clock = Clock::start(now);
        Self {
            transfer: draft.transfer,
            machine: Sender::new(clock.now(), draft, looked.manifest().clone()),
            peer,
            dialed,
            door,
            plumbing,
            mouth,
            clock,
            out: Vec::new(),
            pages: false,
            pieces: false,
            held: None,
            opened: BTreeMap::new(),
            jobs: JoinSet::new(),
            lanes: JoinSet::new(),
            bad: Vec::new(),
            phase: Phase::Offering,
            sent_bytes: 0,
            broken: None,
            root: None,
        }
    }

    async fn run(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
        ended: impl Future<Output = Box<Refusal>>,
    ) -> Result<Sent, TransferError> {
        let mut ended = std::pin::pin!(ended);
        let mut ticks = interval(TELL_EVERY);
        let (mut stopping, mut tell) = (false, super::Telling::new(tell));
        self.input(Input::Start);
        let end = loop {
            if let Some(end) = self.act() {
                break end;
            }
            self.dispatch();
            tokio::select! {
                next = heard.recv() => self.hear(next),
                Some(inputs) = self.plumbing.hashed.recv() => inputs.into_iter().for_each(|input| self.input(input)),
                Some(bytes) = self.plumbing.written.recv() => {
                    self.sent_bytes = self.sent_bytes.saturating_add(bytes.into());
                    self.input(Input::Written { bytes });
                }
                Some(why) = self.plumbing.broke.recv() => {
                    tracing::info!(%why, "a data stream of a transfer broke");
                    // A receiver that ends it says why on another stream.
                    self.broken.get_or_insert_with(|| Instant::now() + why.patience());
                }
                () = at(self.broken) => self.input(Input::Lost),
                Some(_) = self.jobs.join_next(), if !self.jobs.is_empty() => {}
                Some(_) = self.lanes.join_next(), if !self.lanes.is_empty() => {}
                () = self.mouth.work(), if self.mouth.is_busy() => {}
                () = self.clock.wait() => self.input(Input::Tick),
                refusal = &mut ended => {
                    self.mouth.say(Refusal::KIND, &refusal.encode());
                    break End::Refused(refusal);
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.input(Input::Cancel);
                }
                _ = ticks.tick() => tell.say(self.progress()),
            }
        };
        self.jobs.abort_all();
        tell.say(self.progress());
        let bad = std::mem::take(&mut self.bad);
        if let Some(refusal) = super::parting(&end, self.peer) {
            self.mouth.say(Refusal::KIND, &refusal.encode());
        }
        // What is said last is handed over before the stream is finished.
        self.mouth.finish().await;
        match end {
            End::Done(receipt) => Ok(Sent { receipt, bad, root: self.root }),
            other => Err(super::error::ended(other)),
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.clock.now(), input, &mut self.out);
    }

    fn hear(&mut self, next: Option<Heard>) {
        let input = match next {
            Some(Heard::Frame(kind, body)) => match FromReceiver::decode(kind, &body) {
                Ok(Some(frame)) => Input::Frame(frame),
                // A frame of a newer version.
                Ok(None) => return,
                Err(error) => {
                    tracing::info!(%error, "a receiver said something malformed");
                    Input::Lost
                }
            },
            Some(Heard::Ended) | None => Input::Lost,
        };
        self.input(input);
    }

    /// Does what the machine says.
    fn act(&mut self) -> Option<End> {
        let mut end = None;
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                match output {
                    Output::Send(frame) => {
                        if matches!(frame, FromSender::Commit(_)) {
                            self.phase = Phase::Finishing;
                            self.root = self.machine.root();
                        }
                        let (kind, body) = frame.encode();
                        self.mouth.say(kind, &body);
                    }
                    Output::Pages => self.pages = true,
                    Output::Pieces => self.pieces = true,
                    Output::Check(file) => {
                        let opened = self.opened.remove(&file).unwrap_or_default();
                        self.jobs.spawn(self.plumbing.work.clone().check(file, opened));
                    }
                    Output::Waiting(until) => self.phase = Phase::Waiting { until },
                    Output::Accepted { lanes, .. } => {
                        self.phase = Phase::Running;
                        if lanes > 1 {
                            self.plumbing.work.pool.grow(2 * usize::from(lanes));
                        }
                        if let Some(connection) = &self.dialed {
                            self.door.open(connection, self.transfer, lanes, &mut self.lanes);
                        }
                    }
                    Output::FileFailed(file, fault) => {
                        self.opened.remove(&file);
                        self.bad.push((file, fault));
                    }
                    Output::WakeAt(at) => self.clock.wake_at(at),
                    Output::Over(over) => end = Some(over),
                }
            }
        }
        end
    }

    /// Begins what there is room for: pages while nothing else waits to be said, pieces while few are at work.
    fn dispatch(&mut self) {
        while self.pages && !self.mouth.is_busy() {
            match self.machine.next_page() {
                Some(page) => self.mouth.say(FileManifest::KIND, &page.encode()),
                None => self.pages = false,
            }
        }
        while self.pieces && self.jobs.len() < PIECES_AT_WORK {
            let Some(piece) = self.next_piece() else {
                self.pieces = false;
                break;
            };
            let work = self.plumbing.work.clone();
            if !piece.check {
                let opened = Arc::clone(self.opened.entry(piece.file).or_default());
                self.jobs.spawn(work.block(piece, opened));
                continue;
            }
            let batch = self.batch(piece);
            self.jobs.spawn(work.small(batch));
        }
    }

    fn next_piece(&mut self) -> Option<Piece> {
        self.held.take().or_else(|| self.machine.next_piece())
    }

    /// Small files that go together with this one.
    fn batch(&mut self, first: Piece) -> Vec<Piece> {
        let mut bytes = u64::from(first.len);
        let mut batch = vec![first];
        while batch.len() < SMALL_FILES
            && let Some(piece) = self.next_piece()
        {
            bytes += u64::from(piece.len);
            if !piece.check || bytes > SMALL_BYTES {
                self.held = Some(piece);
                break;
            }
            batch.push(piece);
        }
        batch
    }

    fn progress(&self) -> Progress {
        let of = self.machine.progress();
        // Bytes before it is accepted are those that the receiver reads again.
        let phase = match self.phase {
            Phase::Offering if of.bytes > 0 => Phase::Checking,
            // All is read and said, and is still on its way.
            Phase::Finishing if of.bytes < of.total => Phase::Running,
            phase => phase,
        };
        let quiet = self.clock.now().since(self.machine.heard());
        Progress { root: self.root, ..super::progress(phase, of, self.sent_bytes, quiet) }
    }
}
