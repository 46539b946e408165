//! One listener's place in a prompt's events: first what the log has, then what comes.

use std::sync::Arc;

use bytes::Bytes;
use clankers_protocol::{
    event::{Durable, StreamItem},
    frame,
    limits::FRAME_BYTES,
};
use clankers_store::{LogError, Page};
use tokio::sync::watch;

use super::{Session, feed::Read};
use crate::limits::{CATCH_UP_BYTES, CATCH_UP_EVENTS};

/// Where a listener begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// The first seq that it wants.
    pub(crate) seq: u64,
    /// Durable events below this come from the log.
    pub(crate) log_until: u64,
    /// Its place in the feed after that.
    pub(crate) index: u64,
}

/// A listener of one prompt.
#[derive(Debug)]
pub(crate) struct Subscription {
    session: Arc<Session>,
    prompt_seq: u64,
    next_seq: u64,
    log_until: u64,
    index: u64,
    over: bool,
    changed: watch::Receiver<u64>,
}

impl Session {
    /// Listens to a prompt from its first event.
    pub(crate) fn subscribe(self: &Arc<Self>, prompt_seq: u64, start: Start) -> Subscription {
        Subscription {
            session: Arc::clone(self),
            prompt_seq,
            next_seq: start.seq,
            log_until: start.log_until,
            index: start.index,
            over: false,
            changed: self.feed.watch(),
        }
    }
}

impl Subscription {
    /// The next frames of the prompt, at least one; `None` after the one that settles it, or when the
    /// session ends without. Cancel-safe.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read back.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, LogError> {
        while !self.over {
            let frames =
                if self.next_seq < self.log_until { self.read_log().await? } else { self.read_feed() };
            match frames {
                Some(frames) if frames.is_empty() => {}
                Some(frames) => return Ok(Some(frames)),
                None => self.wait().await,
            }
        }
        Ok(None)
    }

    async fn wait(&mut self) {
        if self.session.is_over() && *self.changed.borrow_and_update() == self.index {
            self.over = true;
            return;
        }
        tokio::select! {
            changed = self.changed.changed() => self.over = changed.is_err(),
            () = self.session.commands.closed() => {}
        }
    }

    /// Frames from the feed; `None` when there are none yet.
    fn read_feed(&mut self) -> Option<Vec<Bytes>> {
        let entries = match self.session.feed.read(self.index) {
            Read::Lagged { resume_index, resume_seq } => {
                self.index = resume_index;
                self.log_until = resume_seq;
                return Some(Vec::new());
            }
            Read::Frames(entries) => entries,
        };
        self.index = entries.last()?.index + 1;
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let seen = entry.seq.is_some_and(|seq| seq < self.next_seq);
            if let Some(seq) = entry.seq {
                self.next_seq = self.next_seq.max(seq + 1);
            }
            if entry.prompt_seq == self.prompt_seq && !seen {
                frames.push(entry.frame);
                if entry.settles {
                    self.over = true;
                    break;
                }
            }
        }
        Some(frames)
    }

    async fn read_log(&mut self) -> Result<Option<Vec<Bytes>>, LogError> {
        let (reader, from) = (self.session.reader.clone(), self.next_seq);
        let page = Page { events: CATCH_UP_EVENTS, bytes: CATCH_UP_BYTES };
        let read = tokio::task::spawn_blocking(move || reader.read(from, page)).await;
        let events = read.unwrap_or_else(|_| Ok(Vec::new()))?;
        if events.is_empty() {
            self.next_seq = self.log_until;
        }
        let mut frames = Vec::new();
        for durable in events {
            if durable.seq >= self.log_until {
                self.next_seq = self.log_until;
                break;
            }
            self.next_seq = durable.seq + 1;
            if self.owns(&durable) {
                self.over = self.settles(&durable);
                let (kind, body) = StreamItem::Durable(durable).encode();
                frames.extend(frame::encode(kind, &body, FRAME_BYTES).ok());
            }
            if self.over {
                break;
            }
        }
        Ok(Some(frames))
    }

    fn owns(&self, durable: &Durable) -> bool {
        self.session.lock_prompts().by_seq(self.prompt_seq).is_some_and(|entry| entry.owns(durable))
    }

    fn settles(&self, durable: &Durable) -> bool {
        matches!(durable.event, clankers_protocol::event::Event::Settled(_))
    }
}
