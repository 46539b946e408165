//! How fast a transfer is, from how far it was at what time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Phase, Progress};
use crate::limits::RATE_WINDOW;

/// Bytes per second of late, from how many there were at what time.
#[derive(Debug, Default)]
struct Rate {
    seen: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Notes how many bytes there are `at` this time since the beginning.
    fn note(&mut self, at: Duration, bytes: u64) {
        if self.seen.back().is_some_and(|(_, before)| bytes < *before) {
            self.seen.clear();
        }
        // Two for each second that is looked at.
        if self.seen.back().is_none_or(|(before, _)| at.saturating_sub(*before) >= RATE_WINDOW / 10) {
            self.seen.push_back((at, bytes));
        } else if let Some(last) = self.seen.back_mut() {
            last.1 = bytes;
        }
        while self.seen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= RATE_WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Bytes per second, from the first that is remembered to `at`.
    fn per_second(&self, at: Duration) -> u64 {
        let (Some((from, first)), Some((_, last))) = (self.seen.front(), self.seen.back()) else { return 0 };
        let millis = at.saturating_sub(*from).as_millis();
        if millis < 100 {
            return 0;
        }
        u64::try_from(u128::from(last.saturating_sub(*first)) * 1000 / millis).unwrap_or(u64::MAX)
    }
}

/// How fast a transfer is.
#[derive(Debug, Default)]
struct Speed {
    /// By what comes: on a slow link a block takes longer than is looked back.
    came: Rate,
    /// By what is there: blocks that are there already do not come.
    there: Rate,
}

impl Speed {
    fn note(&mut self, at: Duration, progress: &Progress) {
        self.came.note(at, progress.arrived);
        self.there.note(at, progress.bytes);
    }

    fn per_second(&self, at: Duration) -> u64 {
        match self.came.per_second(at) {
            0 => self.there.per_second(at),
            rate => rate,
        }
    }
}

/// Tells whoever watches how far a transfer is, and how fast.
#[derive(Debug)]
pub(super) struct Telling<'t> {
    tell: &'t watch::Sender<Progress>,
    begun: Instant,
    speed: Speed,
}

impl<'t> Telling<'t> {
    pub(super) fn new(tell: &'t watch::Sender<Progress>) -> Self {
        Self { tell, begun: Instant::now(), speed: Speed::default() }
    }

    /// So far it is now.
    pub(super) fn say(&mut self, mut now: Progress) {
        // What is read again before is no speed.
        if matches!(now.phase, Phase::Running | Phase::Finishing) {
            let at = self.begun.elapsed();
            self.speed.note(at, &now);
            now.rate_bps = self.speed.per_second(at);
        }
        self.tell.send_replace(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_late_and_forgets_what_was_there_before() {
        let mut rate = Rate::default();
        let at = Duration::from_millis;
        rate.note(at(0), 1_000_000);
        assert_eq!(rate.per_second(at(0)), 0, "what was there before is no speed");
        for tick in 1..=100 {
            rate.note(at(tick * 100), 1_000_000 + tick * 1_000);
        }
        assert!((9_000..=11_000).contains(&rate.per_second(at(10_000))), "{}", rate.per_second(at(10_000)));
        assert!(rate.seen.len() <= 12);
        // Nothing comes any more: it falls to nothing.
        rate.note(at(20_000), 1_100_000);
        assert_eq!(rate.per_second(at(26_000)), 0);
        rate.note(at(26_000), 5);
        assert_eq!(rate.per_second(at(26_000)), 0, "it began anew");
    }

    #[test]
    fn the_rate_does_not_fall_to_nothing_between_two_blocks_of_a_slow_link() {
        // 1 Mbit/s: a block takes eight seconds, and each side hears once in a second what has come.
        let (mut speed, link) = (Speed::default(), 131_072);
        for second in 0..60 {
            let arrived = second * link;
            let bytes = arrived / (1024 * 1024) * 1024 * 1024;
            let at = Duration::from_secs(second);
            speed.note(at, &Progress { arrived, bytes, ..Progress::default() });
            let rate = speed.per_second(at);
            assert!(second < 2 || (link * 9 / 10..=link * 11 / 10).contains(&rate), "{second}: {rate}");
        }
        // What is there and does not travel counts where nothing else does.
        let mut speed = Speed::default();
        for second in 0..9 {
            let at = Duration::from_secs(second);
            speed.note(at, &Progress { bytes: second << 20, ..Progress::default() });
            assert!(second < 2 || speed.per_second(at) > 1 << 19, "{second}");
        }
    }
}
