//! Whether the other side is there, whether something moves, and when to say that one is there oneself.

use crate::{
    Timestamp,
    limits::{TRANSFER_BEAT_MS, TRANSFER_SILENCE_MS, TRANSFER_STALL_MS},
};

/// The times that matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    /// Something came from the other side.
    heard: Timestamp,
    /// Something moved that the other side is to move.
    moved: Timestamp,
    /// Something was said to it.
    said: Timestamp,
    /// A time by which the phase has to be over.
    until: Option<Timestamp>,
}

impl Pulse {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { heard: now, moved: now, said: now, until: None }
    }

    pub(super) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
    }

    pub(super) fn heard_at(&self) -> Timestamp {
        self.heard
    }

    pub(super) fn moved(&mut self, now: Timestamp) {
        self.moved = now;
    }

    pub(super) fn said(&mut self, now: Timestamp) {
        self.said = now;
    }

    /// The phase that begins now has to be over by then.
    pub(super) fn until(&mut self, until: Option<Timestamp>) {
        self.until = until;
    }

    /// Whether to give up: the other side is silent, or late, or does not move what it has to (`its_turn`).
    pub(super) fn is_stalled(&self, now: Timestamp, its_turn: bool) -> bool {
        now.since(self.heard) >= TRANSFER_SILENCE_MS
            || (its_turn && now.since(self.moved) >= TRANSFER_STALL_MS)
            || self.until.is_some_and(|until| now >= until)
    }

    /// Whether it is time to say that one is here.
    pub(super) fn is_beat(&self, now: Timestamp) -> bool {
        now.since(self.said) >= TRANSFER_BEAT_MS
    }

    /// When to look again.
    pub(super) fn next(&self) -> Timestamp {
        let times = [self.heard.plus_ms(TRANSFER_SILENCE_MS), self.said.plus_ms(TRANSFER_BEAT_MS)];
        times.into_iter().chain(self.until).min().unwrap_or(self.heard)
    }
}
