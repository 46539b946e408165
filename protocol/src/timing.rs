//! What the machines of the mesh share: time that only goes on, one alarm each, and dice from a seed.

use crate::Timestamp;

/// Milliseconds that went by since the first look at the clock. A clock that is set back stands still here; one that is
/// set forward makes everything due once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Elapsed {
    last: Option<Timestamp>,
    ms: u64,
}

impl Elapsed {
    /// Goes on to `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) -> u64 {
        self.ms = self.at(now);
        self.last = Some(now);
        self.ms
    }

    /// What [`Elapsed::advance`] would say.
    pub(crate) fn at(&self, now: Timestamp) -> u64 {
        self.ms.saturating_add(self.last.map_or(0, |last| now.since(last)))
    }
}

/// The one time at which a machine wants to be called.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Alarm(Option<u64>);

impl Alarm {
    /// The shell's timer is over, or may be.
    pub(crate) fn rang(&mut self) {
        self.0 = None;
    }

    /// What to tell the shell, when something is due at another time (milliseconds elapsed) than it was told last.
    pub(crate) fn set(&mut self, now: Timestamp, elapsed: u64, due: Option<u64>) -> Option<Timestamp> {
        let due = due?;
        if self.0 == Some(due) {
            return None;
        }
        self.0 = Some(due);
        Some(now.plus_ms(due.saturating_sub(elapsed)))
    }
}

/// Steele, Lea and Flood's SplitMix64 (2014): spreads what would happen at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        self.roll() % most.saturating_add(1).max(1)
    }
}

/// Runs a watched machine from ten seeds, so many steps in all; says which step of which seed broke a rule.
#[cfg(test)]
pub(crate) fn watch<W>(steps: u32, new: impl Fn(u64) -> W, step: impl Fn(&mut W)) {
    for seed in 0..10 {
        let mut watched = new(seed);
        for count in 0..steps / 10 {
            let one = std::panic::AssertUnwindSafe(|| step(&mut watched));
            if let Err(why) = std::panic::catch_unwind(one) {
                eprintln!("seed {seed}, step {count}");
                std::panic::resume_unwind(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let mut clock = Elapsed::default();
        let year = 365 * 24 * 3600 * 1000;
        assert_eq!(clock.advance(Timestamp(year)), 0);
        assert_eq!(clock.advance(Timestamp(year + 5)), 5);
        assert_eq!(clock.advance(Timestamp(3)), 5);
        assert_eq!(clock.advance(Timestamp(10)), 12);
    }

    #[test]
    fn the_shell_is_told_once() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.set(Timestamp(100), 7, Some(10)), Some(Timestamp(103)));
        assert_eq!(alarm.set(Timestamp(101), 8, Some(10)), None);
        alarm.rang();
        assert_eq!(alarm.set(Timestamp(101), 8, Some(10)), Some(Timestamp(103)));
        assert_eq!(alarm.set(Timestamp(101), 8, None), None);
    }
}
