//! Words from the side that wait to be heard.

use std::collections::VecDeque;

use clankers_protocol::event::SteerEvent;

use crate::limits::{STEERS, STEERS_BYTES};

#[derive(Debug, Default)]
pub(super) struct Steers {
    waiting: VecDeque<SteerEvent>,
    bytes: usize,
}

impl Steers {
    /// Gives the words back when too many wait already.
    pub(super) fn push(&mut self, words: SteerEvent) -> Result<(), SteerEvent> {
        let bytes = self.bytes.saturating_add(words.text.len());
        if self.waiting.len() >= STEERS || bytes > STEERS_BYTES {
            return Err(words);
        }
        self.bytes = bytes;
        self.waiting.push_back(words);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All of them, oldest first.
    pub(super) fn take(&mut self) -> Vec<SteerEvent> {
        self.bytes = 0;
        self.waiting.drain(..).collect()
    }
}
