//! No faster than somebody said: a transfer whose bytes leave at a rate that was asked for.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use crate::limits::{LIMIT_PIECE_BYTES, LIMIT_RATE_LEAST, LIMIT_SLICE};

/// The rate of one transfer, all its data streams together.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Bytes in a second.
    rate: u64,
    /// Bytes that leave at a time.
    piece: usize,
    /// When the next piece may leave.
    next: Mutex<Instant>,
}

impl Limit {
    /// So many bytes in a second, [`LIMIT_RATE_LEAST`] at least.
    pub(crate) fn new(rate: u64) -> Self {
        let rate = rate.max(LIMIT_RATE_LEAST);
        let slice = u128::from(rate) * LIMIT_SLICE.as_millis() / 1_000;
        let piece = usize::try_from(slice).unwrap_or(usize::MAX).clamp(1, LIMIT_PIECE_BYTES);
        Self { rate, piece, next: Mutex::new(Instant::now()) }
    }

    /// What of a chunk may leave now, after its turn has come.
    pub(crate) async fn turn(&self, chunk: &mut Bytes) -> Bytes {
        let piece = chunk.split_to(chunk.len().min(self.piece));
        let wait = self.take(piece.len(), Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        piece
    }

    /// How long a piece has to wait. What a late timer or a slow network lost is made up for, a slice of time at the most.
    fn take(&self, bytes: usize, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now.checked_sub(LIMIT_SLICE).unwrap_or(now));
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX) * 1_000_000_000 / u128::from(self.rate);
        *next = turn + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        turn.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave in ten seconds when each wait takes `late` longer than it was to.
    fn in_ten_seconds(rate: u64, late: Duration) -> u64 {
        let limit = Limit::new(rate);
        let start = *limit.next.lock().unwrap();
        let (mut now, mut bytes) = (start, 0);
        loop {
            let wait = limit.take(limit.piece, now);
            if !wait.is_zero() {
                now += wait + late;
            }
            if now.duration_since(start) >= Duration::from_secs(10) {
                return bytes;
            }
            bytes += limit.piece as u64;
        }
    }

    #[test]
    fn the_rate_is_kept_and_the_pieces_are_small() {
        for rate in [LIMIT_RATE_LEAST, 1_000_000, 20 << 20, 1 << 30] {
            for late in [Duration::ZERO, Duration::from_millis(2)] {
                let bytes = in_ten_seconds(rate, late);
                assert!((rate * 98 / 10..=rate * 102 / 10).contains(&bytes), "{rate}, {late:?}: {bytes}");
            }
            let piece = Limit::new(rate).piece;
            assert!(piece <= 256 * 1024 && piece as u64 <= rate / 8, "{rate}: {piece}");
        }
        assert_eq!(Limit::new(1).rate, LIMIT_RATE_LEAST, "a slower one would be taken for a stall");
    }

    #[test]
    fn a_pause_is_not_made_up_for_in_one_go() {
        let limit = Limit::new(1 << 20);
        let later = Instant::now() + Duration::from_secs(60);
        let mut burst = 0;
        while limit.take(limit.piece, later).is_zero() {
            burst += limit.piece;
        }
        assert!(burst <= (1 << 20) / 4, "{burst} bytes at once");
    }
}
