//! The control stream of a transfer: pumped both ways beside the machine, so that a peer that does not read holds up
//! nothing but itself.

use std::{collections::VecDeque, pin::pin, time::Duration};

use bytes::Bytes;
use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{Timestamp, frame, kind::Kind, limits::FRAME_BYTES};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::limits::{CONTROL_FRAMES, LAST_FRAMES};

/// What comes on the control stream.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A frame.
    Frame(Kind, Bytes),
    /// Nothing more.
    Ended,
}

/// What is to be said, in order; it waits here while the peer does not read.
#[derive(Debug)]
pub(crate) struct Mouth {
    say: mpsc::Sender<Bytes>,
    waiting: VecDeque<Bytes>,
}

impl Mouth {
    /// Says a frame when there is room.
    pub(crate) fn say(&mut self, kind: Kind, body: &[u8]) {
        // The machines make no frame that is over the limit; one that were would be missed at once.
        if let Ok(frame) = frame::encode(kind, body, FRAME_BYTES) {
            self.waiting.push_back(frame);
        }
    }

    /// Whether something waits to be said.
    pub(crate) fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Says what waits, as there is room for it; pending when nothing waits. Cancel-safe.
    pub(crate) async fn work(&mut self) {
        while let Some(next) = self.waiting.pop_front() {
            match self.say.try_reserve() {
                Ok(room) => room.send(next),
                Err(_) => {
                    self.waiting.push_front(next);
                    match self.say.reserve().await {
                        // The frame is taken in the next turn.
                        Ok(_room) => {}
                        // Nobody writes any more: the reader's end says so as well.
                        Err(_) => self.waiting.clear(),
                    }
                }
            }
        }
    }

    /// Hands over all that waits, however long it takes: the last words.
    pub(crate) async fn finish(mut self) {
        for frame in self.waiting.drain(..) {
            if self.say.send(frame).await.is_err() {
                break;
            }
        }
    }
}

/// Runs `drive` with the control stream pumped beside it; what it said last is sent before this returns, within
/// [`LAST_FRAMES`]. With `linger` until the peer has it.
pub(crate) async fn pumped<T, F: Future<Output = T>>(
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
    linger: bool,
    drive: impl FnOnce(Mouth, mpsc::Receiver<Heard>) -> F,
) -> T {
    // What is said here is of the bulk itself.
    writer.stream().stand_aside();
    let (say, words) = mpsc::channel(CONTROL_FRAMES);
    let (tell, heard) = mpsc::channel(CONTROL_FRAMES);
    let done = {
        let mut driving = pin!(drive(Mouth { say, waiting: VecDeque::new() }, heard));
        let mut reading = pin!(listen(reader, tell));
        let mut writing = pin!(write(writer, words));
        let (mut reads, mut writes) = (true, true);
        let done = loop {
            tokio::select! {
                done = &mut driving => break done,
                () = &mut reading, if reads => reads = false,
                () = &mut writing, if writes => writes = false,
            }
        };
        if writes {
            let _unheard = timeout(LAST_FRAMES, writing).await;
        }
        done
    };
    let finished = writer.finish();
    if linger && finished.is_ok() {
        let _unheard = timeout(LAST_FRAMES, writer.stream().stopped()).await;
    }
    done
}

async fn listen(reader: &mut FrameReader, tell: mpsc::Sender<Heard>) {
    reader.set_limit(FRAME_BYTES);
    loop {
        let heard = match reader.next().await {
            Ok(Some(frame)) => Heard::Frame(frame.kind, frame.body),
            Ok(None) | Err(_) => Heard::Ended,
        };
        let over = matches!(heard, Heard::Ended);
        if tell.send(heard).await.is_err() || over {
            return;
        }
    }
}

/// Until there is nothing more to say; after the stream broke the rest is dropped.
async fn write(writer: &mut FrameWriter, mut words: mpsc::Receiver<Bytes>) {
    let mut works = true;
    while let Some(frame) = words.recv().await {
        works = works && writer.send_encoded(frame).await.is_ok();
    }
}

/// At this moment, if there is one. Cancel-safe.
pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The machine's clock: the wall's when the transfer began, going on evenly whatever is set there; and when it wants to
/// be woken.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: Timestamp,
    began: Instant,
    wake: Option<Instant>,
}

impl Clock {
    pub(crate) fn start(wall: Timestamp) -> Self {
        Self { wall, began: Instant::now(), wake: None }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.wall.plus_ms(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(Instant::now() + Duration::from_millis(at.since(self.now())));
    }

    /// Waits until the machine wants to be woken; then it has to say anew when. Cancel-safe.
    pub(crate) async fn wait(&mut self) {
        at(self.wake).await;
        self.wake = None;
    }
}
