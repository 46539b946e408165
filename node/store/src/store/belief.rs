//! How far the clock is believed when something is forgotten for good.
//!
//! While a clock is ahead, what it calls over is refused, and holds again once the clock is put right. What was forgotten does
//! not: revocations that are gone could have been of anything that had ended by then, so all of that stays refused. Hence a
//! node forgets by a clock only that has gone right for [`FORGET_AFTER_MS`]: as fast as the time that the system counts for
//! itself, which nobody can set. A clock that is put forward or back begins anew, and so does one of a machine that slept.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clankers_protocol::Timestamp;

use crate::limits::{CLOCK_STEP_MS, FORGET_AFTER_MS};

/// See the module.
#[derive(Debug)]
pub(crate) struct Belief {
    /// None: whatever the clock says is believed at once.
    steady: Option<Mutex<Steady>>,
    /// Up to when things are over for good, besides that it must be so by the clock (milliseconds).
    past: AtomicU64,
}

impl Belief {
    pub(crate) fn at_once() -> Self {
        Self { steady: None, past: AtomicU64::new(u64::MAX) }
    }

    pub(crate) fn patient(now: Timestamp) -> Self {
        let at = Instant::now();
        Self { steady: Some(Mutex::new(Steady { since: at, at, wall: now })), past: AtomicU64::new(0) }
    }

    /// Looks at the clock. Whoever then forgets, forgets by what this found, until the next look.
    pub(crate) fn look(&self, now: Timestamp) {
        let Some(steady) = &self.steady else { return };
        let believed = steady.lock().unwrap_or_else(PoisonError::into_inner).look(now, Instant::now());
        self.past.store(if believed { now.0 } else { 0 }, Ordering::Release);
    }

    /// Up to when things are over for good.
    pub(crate) fn past(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.min(self.past.load(Ordering::Acquire)))
    }
}

/// Two clocks, as they were when they were last compared.
#[derive(Debug)]
struct Steady {
    /// Since when they agree.
    since: Instant,
    at: Instant,
    wall: Timestamp,
}

impl Steady {
    /// Whether the wall clock has gone right for long enough.
    fn look(&mut self, now: Timestamp, at: Instant) -> bool {
        let passed = u64::try_from(at.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        if now.0.abs_diff(self.wall.0.saturating_add(passed)) > CLOCK_STEP_MS {
            self.since = at;
        }
        (self.at, self.wall) = (at, now);
        at.saturating_duration_since(self.since) >= Duration::from_millis(FORGET_AFTER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const MINUTE: u64 = 60_000;
    const YEAR: u64 = 365 * 24 * 60 * MINUTE;

    #[test]
    fn a_clock_is_believed_after_it_went_right_for_a_while_and_no_jump_is() {
        let begun = Instant::now();
        let mut steady = Steady { since: begun, at: begun, wall: NOW };
        let at = |minutes: u64| begun + Duration::from_millis(minutes * MINUTE);
        let wall = |minutes: u64, ahead: u64| NOW.plus_ms(minutes * MINUTE + ahead);
        for minute in 0..60 {
            assert!(!steady.look(wall(minute, 0), at(minute)), "minute {minute}");
        }
        // A few seconds more or less are no jump.
        assert!(steady.look(wall(60, 20_000), at(60)));
        assert!(steady.look(wall(61, 0), at(61)));
        // Two years ahead, and put right.
        assert!(!steady.look(wall(62, 2 * YEAR), at(62)));
        assert!(!steady.look(wall(90, 2 * YEAR), at(90)));
        assert!(!steady.look(wall(91, 0), at(91)));
        assert!(!steady.look(wall(150, 0), at(150)));
        assert!(steady.look(wall(151, 0), at(151)));
        // Whoever sets a clock ahead for good is believed in the end.
        assert!(!steady.look(wall(152, YEAR), at(152)));
        assert!(steady.look(wall(212, YEAR), at(212)));
    }

    #[test]
    fn nothing_is_over_for_good_before_the_clock_is_believed() {
        let belief = Belief::patient(NOW);
        belief.look(NOW.plus_ms(2 * YEAR));
        assert_eq!(belief.past(NOW.plus_ms(2 * YEAR)), Timestamp(0));
        let belief = Belief::at_once();
        belief.look(NOW.plus_ms(2 * YEAR));
        assert_eq!(belief.past(NOW), NOW);
    }
}
