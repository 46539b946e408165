//! A token bucket without a timer of its own: it tells when it has enough for a frame.

use std::time::Duration;

use super::setting::Rate;
use crate::limits::BUCKET_BYTES;

/// In any window of length w, frames of at most `max(BUCKET_BYTES, largest frame) + rate * w` bytes leave.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    rate: Option<Rate>,
    /// When it is full again, if nothing more is taken.
    full: Duration,
}

impl Bucket {
    /// Another rate; what is missing in the bucket stays missing.
    pub(super) fn set(&mut self, now: Duration, rate: Option<Rate>) {
        let missing = match self.rate {
            Some(old) => old.bytes_in(self.full.saturating_sub(now)),
            None => 0,
        };
        self.full = rate.map_or(now, |new| now + new.time_of(missing));
        self.rate = rate;
    }

    /// When there is enough for a frame of this size.
    pub(super) fn ready(&self, size: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let to_spare = BUCKET_BYTES.saturating_sub(size as u64);
        // Rounded down, so that the frame rather waits a nanosecond.
        self.full.saturating_sub(rate.time_of(to_spare).saturating_sub(Duration::from_nanos(1)))
    }

    /// Takes a frame of this size out at `at`.
    pub(super) fn take(&mut self, at: Duration, size: usize) {
        if let Some(rate) = self.rate {
            self.full = self.full.max(at) + rate.time_of(size as u64);
        }
    }
}
