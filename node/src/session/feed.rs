//! Fan-out: one ring of encoded frames, and subscribers that are no more than a place in it.
//!
//! A frame is encoded once. A slow subscriber holds nothing up: when the ring has moved on without it, it
//! loses live deltas and catches up on durable events from the log.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use clankers_protocol::Message;
use clankers_protocol::{event::StreamItem, frame};
use tokio::sync::watch;

use super::open_items::{OpenItems, OpenText};
use crate::limits::{READ_FRAMES, RING_BYTES};

/// One frame of the feed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Place in the feed since the session was loaded: from 0, no gaps.
    pub(crate) index: u64,
    /// Seq of the prompt that it belongs to.
    pub(crate) prompt_seq: u64,
    /// Its own seq, when it is durable.
    pub(crate) seq: Option<u64>,
    /// Header and body.
    pub(crate) frame: Bytes,
    /// It ends its prompt.
    pub(crate) settles: bool,
}

impl Entry {
    /// Whether it is for the prompt's own listeners alone: why its log failed, addressed to its prompter.
    pub(crate) fn is_private(&self) -> bool {
        self.settles && self.seq.is_none()
    }
}

/// Where a viewer enters: everything before is in the log, or in the texts of what is unfinished.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Its place in the feed.
    pub(crate) index: u64,
    /// Seq of the durable event that comes next there.
    pub(crate) next_seq: u64,
    /// What is unfinished at that place.
    pub(crate) open: Vec<OpenText>,
}

/// What a subscriber finds at its place.
#[derive(Debug)]
pub(crate) enum Read {
    /// Frames, in order; none when it is at the end.
    Frames(Vec<Entry>),
    /// Its place is gone: durable events below `resume_seq` come from the log, then it goes on at
    /// `resume_index`.
    Lagged { resume_index: u64, resume_seq: u64 },
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    next_index: u64,
    /// Seq of the durable event that comes next.
    next_seq: u64,
    open: OpenItems,
}

impl Ring {
    fn push(&mut self, prompt_seq: u64, seq: Option<u64>, frame: Bytes, settles: bool) {
        let index = self.next_index;
        self.next_index += 1;
        if let Some(seq) = seq {
            self.next_seq = seq + 1;
        }
        self.bytes += frame.len();
        self.entries.push_back(Entry { index, prompt_seq, seq, frame, settles });
    }

    fn shrink(&mut self) {
        while self.bytes > RING_BYTES && self.entries.len() > 1 {
            if let Some(old) = self.entries.pop_front() {
                self.bytes -= old.frame.len();
            }
        }
    }
}

/// The ring of one loaded session.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
}

impl Feed {
    /// A feed whose log ends before `next_seq`.
    pub(crate) fn new(next_seq: u64) -> Self {
        Self { ring: Mutex::new(Ring { next_seq, ..Ring::default() }), head: watch::Sender::new(0) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // The ring is whole between statements, whatever a holder's panic cut short.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces items, which are durable already where they have a seq.
    pub(crate) fn publish(&self, items: impl IntoIterator<Item = (u64, StreamItem)>) {
        let mut ring = self.ring();
        for (prompt_seq, item) in items {
            let (kind, body) = item.encode();
            // An event over the frame limit cannot be made: every part of one has a smaller limit.
            let Ok(frame) = frame::encode(kind, &body, clankers_protocol::limits::FRAME_BYTES) else {
                continue;
            };
            let (seq, settles) = match &item {
                StreamItem::Durable(d) => {
                    (Some(d.seq), matches!(d.event, clankers_protocol::event::Event::Settled(_)))
                }
                StreamItem::Live(..) => (None, false),
            };
            ring.open.note(prompt_seq, &item);
            ring.push(prompt_seq, seq, frame, settles);
        }
        ring.shrink();
        let head = ring.next_index;
        drop(ring);
        self.head.send_replace(head);
    }

    /// Announces a frame that ends a prompt's stream without settling it: the log has failed.
    pub(crate) fn publish_last(&self, prompt_seq: u64, frame: Bytes) {
        let mut ring = self.ring();
        ring.push(prompt_seq, None, frame, true);
        let head = ring.next_index;
        drop(ring);
        self.head.send_replace(head);
    }

    /// Announces something that is no event: who came, what waits. Whoever misses it gets the state anew.
    pub(crate) fn publish_message<M: Message>(&self, message: &M) {
        let Ok(frame) = frame::encode(M::KIND, &message.encode(), clankers_protocol::limits::FRAME_BYTES)
        else {
            return;
        };
        let mut ring = self.ring();
        ring.push(0, None, frame, false);
        ring.shrink();
        let head = ring.next_index;
        drop(ring);
        self.head.send_replace(head);
    }

    /// Where a viewer enters now.
    pub(crate) fn join(&self) -> Joined {
        let ring = self.ring();
        Joined { index: ring.next_index, next_seq: ring.next_seq, open: ring.open.texts() }
    }

    /// Forgets what was published, when nobody listens: the log has what matters.
    pub(crate) fn trim(&self) {
        if self.subscribers() == 0 {
            let mut ring = self.ring();
            ring.entries = VecDeque::new();
            ring.bytes = 0;
        }
    }

    /// The place after everything published, and the seq that comes next there.
    pub(crate) fn end(&self) -> (u64, u64) {
        let ring = self.ring();
        (ring.next_index, ring.next_seq)
    }

    /// Up to [`READ_FRAMES`] frames from `index`.
    pub(crate) fn read(&self, index: u64) -> Read {
        let ring = self.ring();
        let oldest = ring.entries.front().map_or(ring.next_index, |e| e.index);
        if index < oldest {
            let resume_seq = ring.entries.iter().find_map(|e| e.seq).unwrap_or(ring.next_seq);
            return Read::Lagged { resume_index: oldest, resume_seq };
        }
        let skip = usize::try_from(index - oldest).unwrap_or(usize::MAX);
        Read::Frames(ring.entries.iter().skip(skip).take(READ_FRAMES).cloned().collect())
    }

    /// Frames announced so far, and those at hand (count, bytes).
    pub(crate) fn depth(&self) -> (u64, usize, usize) {
        let ring = self.ring();
        (ring.next_index, ring.entries.len(), ring.bytes)
    }

    /// Wakes when something is published.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Who waits here.
    pub(crate) fn subscribers(&self) -> usize {
        self.head.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        Timestamp,
        conversation::{ToolStatus, Usage},
        event::{Delta, DeltaKind, Durable, Event, ToolResultEvent, UsageEvent},
    };

    use super::*;

    fn durable(seq: u64, bytes: usize) -> StreamItem {
        StreamItem::Durable(Durable {
            seq,
            at: Timestamp(0),
            event: Event::ToolResult(ToolResultEvent {
                item: "c".into(),
                name: "read".into(),
                status: ToolStatus::Ok,
                text: "x".repeat(bytes),
            }),
        })
    }

    fn live() -> StreamItem {
        StreamItem::Live(DeltaKind::Text, Delta { item: "m".into(), offset: 0, text: "y".into() })
    }

    #[test]
    fn a_reader_sees_everything_in_order() {
        let feed = Feed::new(1);
        feed.publish([(1, durable(1, 1)), (1, live()), (1, durable(2, 1))]);
        let Read::Frames(frames) = feed.read(0) else { panic!("lagged") };
        assert_eq!(frames.iter().map(|e| e.seq).collect::<Vec<_>>(), [Some(1), None, Some(2)]);
        assert_eq!(feed.end(), (3, 3));
        let Read::Frames(none) = feed.read(3) else { panic!("lagged") };
        assert!(none.is_empty());
    }

    #[test]
    fn a_slow_reader_is_told_where_the_log_takes_over() {
        let feed = Feed::new(1);
        let big = 600 * 1024;
        feed.publish((1..=6).map(|seq| (1, durable(seq, big))));
        let Read::Lagged { resume_index, resume_seq } = feed.read(0) else { panic!("not lagged") };
        let Read::Frames(frames) = feed.read(resume_index) else { panic!("lagged again") };
        assert_eq!(frames[0].seq, Some(resume_seq));
        assert_eq!(frames.last().unwrap().seq, Some(6));
        assert!(feed.ring().bytes <= RING_BYTES);
    }

    #[test]
    fn a_ring_of_deltas_alone_resumes_at_the_next_seq() {
        let feed = Feed::new(7);
        let usage = UsageEvent { model: "m".into(), usage: Usage::default(), cost: None };
        let item = StreamItem::Durable(Durable { seq: 7, at: Timestamp(0), event: Event::Usage(usage) });
        feed.publish([(1, item)]);
        let text = "z".repeat(30_000);
        for n in 0..200 {
            let delta = Delta { item: "m".into(), offset: n * 30_000, text: text.clone() };
            feed.publish([(1, StreamItem::Live(DeltaKind::Text, delta))]);
        }
        let Read::Lagged { resume_seq, .. } = feed.read(0) else { panic!("not lagged") };
        assert_eq!(resume_seq, 8);
    }
}
