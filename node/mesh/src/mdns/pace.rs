//! How soon to listen again after a flood, and how much of it to bear then.
//!
//! For each packet mdns-sd goes through all that it keeps: what an answer costs grows with those before it. Nobody can tell a flood's
//! beginning from a large network that was just asked who is there, so that much is borne; but not again a moment later.

use std::time::Duration;

use crate::limits::{BROWSE_AGAIN_MAX_MS, BROWSE_AGAIN_MS, MDNS_CACHE_RECORDS, MDNS_FLOODED_RECORDS};

/// Kept from one time of listening to the next.
#[derive(Debug)]
pub(super) struct Pace {
    /// The next pause (milliseconds).
    pause: u64,
    records: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { pause: BROWSE_AGAIN_MS, records: MDNS_CACHE_RECORDS }
    }

    /// How many records mdns-sd may keep while it listens.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The pause after listening for so long, until mdns-sd was flooded or closed the subscription.
    pub(super) fn rest(&mut self, flooded: bool, listened: Duration) -> Duration {
        if listened > Duration::from_millis(BROWSE_AGAIN_MAX_MS) {
            self.pause = BROWSE_AGAIN_MS;
        }
        let pause = self.pause;
        // After the longest pause as much as at first, or a network that is truly so large would never be heard out.
        self.records =
            if flooded && pause < BROWSE_AGAIN_MAX_MS { MDNS_FLOODED_RECORDS } else { MDNS_CACHE_RECORDS };
        self.pause = pause.saturating_mul(2).min(BROWSE_AGAIN_MAX_MS);
        Duration::from_millis(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1_000);

    #[test]
    fn a_flood_that_goes_on_is_borne_in_small_pieces_and_now_and_then_whole() {
        let mut pace = Pace::new();
        assert_eq!(pace.records(), MDNS_CACHE_RECORDS);
        let mut rested = Duration::ZERO;
        let (mut small, mut whole) = (0, 0);
        for _ in 0..20 {
            let pause = pace.rest(true, MOMENT);
            assert!(pause >= rested, "{pause:?} after {rested:?}");
            rested = pause;
            if pause < Duration::from_millis(BROWSE_AGAIN_MAX_MS) {
                assert_eq!(pace.records(), MDNS_FLOODED_RECORDS, "after {pause:?}");
                small += 1;
            } else {
                assert_eq!(pace.records(), MDNS_CACHE_RECORDS, "after {pause:?}");
                whole += 1;
            }
        }
        assert!(small >= 4 && whole >= 10, "{small} small, {whole} whole");
    }

    #[test]
    fn peace_of_some_seconds_ends_it() {
        let mut pace = Pace::new();
        for _ in 0..10 {
            pace.rest(true, MOMENT);
        }
        let first = Duration::from_millis(BROWSE_AGAIN_MS);
        assert_eq!(pace.rest(false, Duration::from_millis(BROWSE_AGAIN_MAX_MS + 1)), first);
        assert_eq!(pace.records(), MDNS_CACHE_RECORDS);
        assert_eq!(pace.rest(true, MOMENT), first * 2);
        assert_eq!(pace.records(), MDNS_FLOODED_RECORDS);
    }
}
