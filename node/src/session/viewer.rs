//! One viewer's place in a session: the history that it wants, then what comes. No queue of its own: it reads the
//! log up to where it joined, then the ring; when the ring has moved on without it, it joins again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use clankers_protocol::{
    Message,
    event::{Delta, Durable, StreamItem},
    frame,
    limits::{BEAT_MS, DELTA_BYTES, FRAME_BYTES},
    message::Ext,
    request::attach::{Beat, From, Gap, GapWhy},
};
use clankers_store::{LogError, Page};
use tokio::sync::watch;

use super::{Session, feed::Read, open_items::OpenText};
use crate::limits::{CATCH_UP_BYTES, CATCH_UP_EVENTS};

/// A viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    session: Arc<Session>,
    /// What is told first.
    gap: Option<Gap>,
    next_seq: u64,
    /// Durable events below this come from the log.
    log_until: u64,
    /// Its place in the feed after that.
    index: u64,
    /// Unfinished texts to send before the feed.
    open: Vec<OpenText>,
    /// It missed something that is no event: it is told how things are.
    behind: bool,
    changed: watch::Receiver<u64>,
}

/// Where a viewer begins, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begins {
    pub(crate) epoch: u64,
    pub(crate) head_seq: u64,
    pub(crate) first_seq: u64,
}

impl Session {
    /// Lets a viewer in, with the history that it wants.
    pub(crate) fn view(self: &Arc<Self>, from: From) -> (Viewer, Begins) {
        // Before the place is taken: what is announced in between wakes it.
        let changed = self.feed.watch();
        let joined = self.feed.join();
        let epoch = self.reader.epoch();
        let head_seq = joined.next_seq.saturating_sub(1);
        let (first_seq, gap) = first(from, epoch, head_seq);
        let viewer = Viewer {
            session: Arc::clone(self),
            gap,
            next_seq: first_seq,
            log_until: joined.next_seq,
            index: joined.index,
            open: joined.open,
            behind: false,
            changed,
        };
        (viewer, Begins { epoch, head_seq, first_seq })
    }

    /// The last `count` events before this one, or up to the head: with the log's epoch and head.
    pub(crate) fn past(self: &Arc<Self>, before: Option<u64>, count: u64) -> (Viewer, u64, u64) {
        let (mut viewer, begins) = self.view(From::Tail(0));
        let next_seq = begins.head_seq.saturating_add(1);
        viewer.log_until = before.unwrap_or(next_seq).clamp(1, next_seq);
        viewer.next_seq = viewer.log_until.saturating_sub(count).max(1);
        (viewer, begins.epoch, begins.head_seq)
    }
}

/// The seq with which a stream begins, and what is missing before it.
fn first(from: From, epoch: u64, head_seq: u64) -> (u64, Option<Gap>) {
    match from {
        From::Begin => (1, None),
        From::Tail(count) => (head_seq.saturating_sub(count).saturating_add(1), None),
        From::After { epoch: cursor, seq } => {
            let same = cursor.is_none_or(|cursor| cursor == epoch);
            // A cursor ahead of the head was seen in another epoch, whatever it says.
            if same && seq <= head_seq {
                return (seq.saturating_add(1), None);
            }
            let from = seq.saturating_add(1);
            (1, Some(Gap { from, to: 0, why: GapWhy::Epoch, ext: Ext::default() }))
        }
    }
}

fn encoded<M: Message>(message: &M) -> Option<Bytes> {
    frame::encode(M::KIND, &message.encode(), FRAME_BYTES).ok()
}

impl Viewer {
    /// What was unfinished where it joined.
    pub(crate) fn open(&self) -> &[OpenText] {
        &self.open
    }

    /// Seq of the event that comes next out of the log, and of the one that does not.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.next_seq, self.log_until)
    }

    /// The next frames out of the log, and no further.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read at all.
    pub(crate) async fn older(&mut self) -> Result<Option<Vec<Bytes>>, LogError> {
        if self.next_seq < self.log_until { self.read_log().await.map(Some) } else { Ok(None) }
    }

    /// The next frames, at least one; a beat when nothing happens for a while; `None` when the session has ended.
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read at all.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, LogError> {
        loop {
            let frames = if let Some(gap) = self.gap.take() {
                encoded(&gap).into_iter().collect()
            } else if self.next_seq < self.log_until {
                self.read_log().await?
            } else if self.behind || !self.open.is_empty() {
                self.catch_up()
            } else {
                match self.read_feed() {
                    Some(frames) => frames,
                    None if self.is_over() => return Ok(None),
                    None => self.wait().await,
                }
            };
            if !frames.is_empty() {
                return Ok(Some(frames));
            }
        }
    }

    fn is_over(&mut self) -> bool {
        self.session.is_over() && *self.changed.borrow_and_update() == self.index
    }

    /// Waits for news; what there is to say when there are none.
    async fn wait(&mut self) -> Vec<Bytes> {
        let news = async {
            tokio::select! {
                _changed = self.changed.changed() => {}
                () = self.session.commands.closed() => {}
            }
        };
        match tokio::time::timeout(Duration::from_millis(BEAT_MS), news).await {
            Ok(()) => Vec::new(),
            Err(_) => encoded(&Beat { head_seq: self.session.head_seq(), ext: Ext::default() })
                .into_iter()
                .collect(),
        }
    }

    /// Frames from the feed; `None` when there are none yet.
    fn read_feed(&mut self) -> Option<Vec<Bytes>> {
        let entries = match self.session.feed.read(self.index) {
            Read::Frames(entries) => entries,
            Read::Lagged { .. } => {
                // Whoever is late gets what lasts from the log, and joins the others where they are.
                let joined = self.session.feed.join();
                (self.index, self.log_until, self.open) = (joined.index, joined.next_seq, joined.open);
                self.behind = true;
                return Some(Vec::new());
            }
        };
        self.index = entries.last()?.index + 1;
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.is_private() || entry.seq.is_some_and(|seq| seq < self.next_seq) {
                continue;
            }
            self.next_seq = entry.seq.map_or(self.next_seq, |seq| seq + 1);
            frames.push(entry.frame);
        }
        Some(frames)
    }

    /// How things are, when something was missed, and the texts of what is unfinished.
    fn catch_up(&mut self) -> Vec<Bytes> {
        let mut frames = Vec::new();
        if std::mem::take(&mut self.behind) {
            frames.extend(encoded(&self.session.state(&self.open)));
        }
        for open in std::mem::take(&mut self.open) {
            let (mut offset, mut rest) = (open.from, open.text.as_str());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.floor_char_boundary(DELTA_BYTES));
                let delta = Delta { item: open.item.clone(), offset, text: piece.to_owned() };
                let (kind, body) = StreamItem::Live(open.kind, delta).encode();
                frames.extend(frame::encode(kind, &body, FRAME_BYTES).ok());
                offset += piece.len() as u64;
                rest = after;
            }
        }
        frames
    }

    async fn read_log(&mut self) -> Result<Vec<Bytes>, LogError> {
        let from = self.next_seq;
        let events = match self.page(from, CATCH_UP_EVENTS).await {
            // One of them is damaged: they come one by one up to it, and it is said to be missing.
            Err(LogError::Damaged { .. } | LogError::UnknownEvent { .. }) => match self.page(from, 1).await {
                Err(error @ (LogError::Damaged { .. } | LogError::UnknownEvent { .. })) => {
                    tracing::error!(session = %self.session.id.short(), seq = from, %error, "an event cannot be read");
                    self.next_seq = from + 1;
                    let gap = Gap { from, to: from, why: GapWhy::Lost, ext: Ext::default() };
                    return Ok(encoded(&gap).into_iter().collect());
                }
                other => other?,
            },
            other => other?,
        };
        if events.is_empty() {
            self.next_seq = self.log_until;
        }
        let mut frames = Vec::with_capacity(events.len());
        for durable in events {
            if durable.seq >= self.log_until {
                self.next_seq = self.log_until;
                break;
            }
            self.next_seq = durable.seq + 1;
            let (kind, body) = StreamItem::Durable(durable).encode();
            frames.extend(frame::encode(kind, &body, FRAME_BYTES).ok());
        }
        Ok(frames)
    }

    async fn page(&self, from: u64, events: usize) -> Result<Vec<Durable>, LogError> {
        let reader = self.session.reader.clone();
        let page = Page { events, bytes: CATCH_UP_BYTES };
        tokio::task::spawn_blocking(move || reader.read(from, page)).await.unwrap_or_else(|_| Ok(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_where_it_was_asked_to_or_says_what_is_missing() {
        let seq = |from| first(from, 7, 10);
        assert_eq!(seq(From::Begin), (1, None));
        assert_eq!(seq(From::Tail(0)).0, 11);
        assert_eq!(seq(From::Tail(3)).0, 8);
        assert_eq!(seq(From::Tail(u64::MAX)).0, 1);
        assert_eq!(seq(From::After { epoch: Some(7), seq: 10 }), (11, None));
        assert_eq!(seq(From::After { epoch: None, seq: 4 }), (5, None));
        for other in [From::After { epoch: Some(6), seq: 4 }, From::After { epoch: None, seq: u64::MAX }] {
            let (first, gap) = seq(other);
            assert_eq!((first, gap.map(|gap| (gap.to, gap.why))), (1, Some((0, GapWhy::Epoch))));
        }
    }
}
