//! Connections within a process: the one-shot command line runs the hall through one. The same manners as QUIC,
//! without packets: streams appear to the peer at their first byte, closing reaches every stream, the last
//! handle closes with code 0.

mod pipe;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use clankers_protocol::{NodeId, limits::CONNECTION_STREAMS, text};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch};

use pipe::{Announce, Pipe, Slot};
pub(crate) use pipe::{Reader, Writer};

use crate::{
    connection::Closed,
    limits::{CONNECTION_UNI_STREAMS, REASON_CHARS},
};

/// Which of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// What the two ends share.
#[derive(Debug)]
struct Link {
    closed: watch::Sender<Option<(Side, u32, String)>>,
    pipes: Mutex<Vec<Weak<Pipe>>>,
}

impl Link {
    fn close(&self, side: Side, code: u32, reason: &str) {
        let first = self.closed.send_if_modified(|said| {
            let first = said.is_none();
            if first {
                *said = Some((side, code, text::line(reason, REASON_CHARS)));
            }
            first
        });
        if first {
            let pipes = std::mem::take(&mut *self.pipes.lock().unwrap_or_else(PoisonError::into_inner));
            pipes.iter().filter_map(Weak::upgrade).for_each(|pipe| pipe.lose());
        }
    }

    fn pipe(&self) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::default());
        {
            let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
            pipes.retain(|p| p.strong_count() > 0);
            pipes.push(Arc::downgrade(&pipe));
        }
        // A close that ran between open's check and the push has not seen this pipe.
        if self.closed.borrow().is_some() {
            pipe.lose();
        }
        pipe
    }
}

/// A stream on its way to the peer.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// What the peer reads.
    read: Arc<Pipe>,
    /// What the peer writes, unless the stream is one-way.
    write: Option<Arc<Pipe>>,
    slot: Slot,
}

/// Streams of one kind from one end to the other.
#[derive(Debug)]
struct Lane {
    sender: mpsc::Sender<Incoming>,
    slots: Arc<Semaphore>,
    incoming: AsyncMutex<mpsc::Receiver<Incoming>>,
}

fn lanes(limit: usize) -> (Lane, Lane) {
    let (to_b, at_b) = mpsc::channel(limit);
    let (to_a, at_a) = mpsc::channel(limit);
    let lane =
        |sender, at| Lane { sender, slots: Arc::new(Semaphore::new(limit)), incoming: AsyncMutex::new(at) };
    (lane(to_b, at_a), lane(to_a, at_b))
}

/// One end of a connection in memory.
#[derive(Debug)]
pub(crate) struct End {
    link: Arc<Link>,
    side: Side,
    remote: NodeId,
    both_ways: Lane,
    one_way: Lane,
}

/// Two ends; the first is `a`'s.
pub(crate) fn pair(a: NodeId, b: NodeId) -> (Arc<End>, Arc<End>) {
    let link = Arc::new(Link { closed: watch::Sender::new(None), pipes: Mutex::new(Vec::new()) });
    let (bi_a, bi_b) = lanes(usize::try_from(CONNECTION_STREAMS).unwrap_or(1));
    let (uni_a, uni_b) = lanes(usize::try_from(CONNECTION_UNI_STREAMS).unwrap_or(1));
    let end_a = End { link: link.clone(), side: Side::A, remote: b, both_ways: bi_a, one_way: uni_a };
    let end_b = End { link, side: Side::B, remote: a, both_ways: bi_b, one_way: uni_b };
    (Arc::new(end_a), Arc::new(end_b))
}

impl End {
    pub(crate) fn remote(&self) -> NodeId {
        self.remote
    }

    pub(crate) async fn open(self: &Arc<Self>) -> Result<(Writer, Reader), Closed> {
        let (announce, slot) = self.take_slot(&self.both_ways).await?;
        let (out, back) = (self.link.pipe(), self.link.pipe());
        let incoming = Incoming { read: out.clone(), write: Some(back.clone()), slot: slot.clone() };
        let writer = Writer::new(out, self.clone(), slot.clone(), Some(Announce::new(announce, incoming)));
        Ok((writer, Reader::new(back, self.clone(), slot)))
    }

    pub(crate) async fn open_uni(self: &Arc<Self>) -> Result<Writer, Closed> {
        let (announce, slot) = self.take_slot(&self.one_way).await?;
        let out = self.link.pipe();
        let incoming = Incoming { read: out.clone(), write: None, slot: slot.clone() };
        Ok(Writer::new(out, self.clone(), slot, Some(Announce::new(announce, incoming))))
    }

    async fn take_slot(&self, lane: &Lane) -> Result<(mpsc::OwnedPermit<Incoming>, Slot), Closed> {
        let slots = lane.slots.clone();
        let sender = lane.sender.clone();
        let both = async move {
            let slot = slots.acquire_owned().await.ok()?;
            let permit = sender.reserve_owned().await.ok()?;
            Some((permit, Slot::new(slot)))
        };
        tokio::select! {
            biased;
            closed = self.closed() => Err(closed),
            got = both => match got {
                Some(got) => Ok(got),
                // The other end is gone, and has said so in its drop.
                None => Err(self.closed().await),
            },
        }
    }

    pub(crate) async fn accept(self: &Arc<Self>) -> Result<(Writer, Reader), Closed> {
        loop {
            let Incoming { read, write, slot } = self.next(&self.both_ways).await?;
            // A lane for both ways carries nothing else; one without a way back is dropped.
            if let Some(back) = write {
                let writer = Writer::new(back, self.clone(), slot.clone(), None);
                return Ok((writer, Reader::new(read, self.clone(), slot)));
            }
        }
    }

    pub(crate) async fn accept_uni(self: &Arc<Self>) -> Result<Reader, Closed> {
        let Incoming { read, slot, .. } = self.next(&self.one_way).await?;
        Ok(Reader::new(read, self.clone(), slot))
    }

    async fn next(&self, lane: &Lane) -> Result<Incoming, Closed> {
        let mut incoming = lane.incoming.lock().await;
        tokio::select! {
            biased;
            next = incoming.recv() => match next {
                Some(next) => Ok(next),
                None => Err(self.closed().await),
            },
            closed = self.closed() => Err(closed),
        }
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.link.close(self.side, code, reason);
    }

    pub(crate) fn close_reason(&self) -> Option<Closed> {
        let said = self.link.closed.borrow();
        said.as_ref().map(|(side, code, reason)| Closed {
            code: Some(*code),
            reason: reason.clone(),
            by_peer: *side != self.side,
        })
    }

    pub(crate) async fn closed(&self) -> Closed {
        let mut watch = self.link.closed.subscribe();
        // The sender lives in the link that we hold, so waiting cannot fail; the loop ends with a reason.
        loop {
            if let Some(closed) = self.close_reason() {
                return closed;
            }
            if watch.changed().await.is_err() {
                return Closed { code: None, reason: "the other end is gone".to_owned(), by_peer: true };
            }
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close(0, "");
    }
}
