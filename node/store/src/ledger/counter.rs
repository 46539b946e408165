//! One link's totals. Pure.

use clankers_protocol::{CidDigest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::limits;

/// What was used under a link, reservations included.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LedgerUsage {
    /// Money (nano-USD).
    pub spent_nano_usd: u64,
    /// A model's tokens (count).
    pub tokens_used: u64,
    /// What was started within the last minute (count); what began up to 5 s earlier may be in it.
    pub per_min: u64,
    /// Prompts that run now (count).
    pub concurrent: u64,
    /// Content of files that came to this node (bytes).
    pub received_bytes: u64,
}

impl LedgerUsage {
    pub(super) fn with(self, concurrent: u64) -> Self {
        Self { concurrent, ..self }
    }
}

/// What is to be charged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Money (nano-USD).
    pub nano_usd: u64,
    /// A model's tokens (count).
    pub tokens: u64,
    /// Starts, for the rate (count).
    pub starts: u64,
    /// Content of files (bytes).
    pub bytes: u64,
}

/// A link's totals as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CounterRow {
    /// The first link of the chain in which it was first seen: whose room it takes.
    pub(crate) group: CidDigest,
    /// When the link expires.
    pub(crate) expires: Timestamp,
    /// Nano-USD.
    pub(crate) spent: u64,
    pub(crate) tokens: u64,
    /// (bucket's number since 1970, starts in it) of the last minute, in order.
    pub(crate) starts: Vec<(u64, u64)>,
    /// Content of files that came here (bytes); in no row of before there was version 4 of the tables.
    #[serde(default)]
    pub(crate) received: u64,
}

/// The bucket of a moment.
fn bucket(at: Timestamp) -> u64 {
    at.0 / limits::RATE_BUCKET_MS
}

/// Whether the bucket may hold starts of the minute before `now`. A bucket of the near future is one from before the clock
/// was set back a little: it counts. One of the far future would block for ever: it does not.
fn is_recent(number: u64, now: Timestamp) -> bool {
    let window = limits::RATE_WINDOW_MS / limits::RATE_BUCKET_MS;
    number.abs_diff(bucket(now)) <= window
}

impl CounterRow {
    pub(super) fn new(group: CidDigest, expires: Timestamp) -> Self {
        Self { group, expires, spent: 0, tokens: 0, starts: Vec::new(), received: 0 }
    }

    pub(super) fn usage(&self, now: Timestamp) -> LedgerUsage {
        let recent = self.starts.iter().filter(|(number, _)| is_recent(*number, now));
        let per_min = recent.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        LedgerUsage {
            spent_nano_usd: self.spent,
            tokens_used: self.tokens,
            per_min,
            concurrent: 0,
            received_bytes: self.received,
        }
    }

    /// Charges it; gives what was really added (nano-USD, tokens, bytes): a counter stops at its end.
    pub(super) fn charge(&mut self, amount: Amount, now: Timestamp) -> (u64, u64, u64) {
        let (spent, tokens, received) = (self.spent, self.tokens, self.received);
        self.spent = spent.saturating_add(amount.nano_usd);
        self.tokens = tokens.saturating_add(amount.tokens);
        self.received = received.saturating_add(amount.bytes);
        self.starts.retain(|(number, _)| is_recent(*number, now));
        if amount.starts > 0 {
            let number = bucket(now);
            match self.starts.iter_mut().find(|(known, _)| *known == number) {
                Some((_, count)) => *count = count.saturating_add(amount.starts),
                None => self.starts.push((number, amount.starts)),
            }
            self.starts.sort_unstable();
        }
        let added = |now: u64, before: u64| now.saturating_sub(before);
        (added(self.spent, spent), added(self.tokens, tokens), added(self.received, received))
    }

    /// Two copies of one row: whatever either counted counts.
    pub(crate) fn at_least(&mut self, other: &Self) {
        self.expires = self.expires.max(other.expires);
        self.spent = self.spent.max(other.spent);
        self.tokens = self.tokens.max(other.tokens);
        self.received = self.received.max(other.received);
        for (number, count) in &other.starts {
            match self.starts.iter_mut().find(|(known, _)| known == number) {
                Some((_, mine)) => *mine = (*mine).max(*count),
                None => self.starts.push((*number, *count)),
            }
        }
        self.starts.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn row() -> CounterRow {
        CounterRow::new(CidDigest([1; 32]), NOW)
    }

    #[test]
    fn starts_leave_after_a_minute_and_the_row_stays_small() {
        let mut row = row();
        for i in 0..10_000 {
            row.charge(Amount { starts: 1, ..Amount::default() }, NOW.plus_ms(i * 100));
            assert!(row.starts.len() <= 13, "{}", row.starts.len());
        }
        let end = NOW.plus_ms(999_900);
        assert!((600..=650).contains(&row.usage(end).per_min), "{:?}", row.usage(end));
        assert_eq!(row.usage(end.plus_ms(65_000)).per_min, 0);
        assert!(row.usage(Timestamp(end.0 - 30_000)).per_min > 300, "the clock was set back a little");
        assert_eq!(
            row.usage(Timestamp(end.0 - 3_600_000)).per_min,
            0,
            "or far: it does not block for an hour"
        );
    }

    proptest! {
        /// Never fewer than the true count of the last minute, never more than that of the last 65 s.
        #[test]
        fn the_rate_is_never_understated(steps in prop::collection::vec(0_u64..20_000, 1..60)) {
            let (mut row, mut at, mut all) = (row(), NOW, Vec::new());
            for step in steps {
                at = at.plus_ms(step);
                row.charge(Amount { starts: 1, ..Amount::default() }, at);
                all.push(at);
                let within = |ms: u64| all.iter().filter(|start| at.since(**start) < ms).count() as u64;
                let per_min = row.usage(at).per_min;
                prop_assert!((within(60_000)..=within(65_001)).contains(&per_min));
            }
        }

        #[test]
        fn charges_never_wrap(amounts in prop::collection::vec(any::<(u64, u64)>(), 1..9)) {
            let mut row = row();
            for (nano_usd, tokens) in amounts {
                let before = row.usage(NOW);
                let added = row.charge(Amount { nano_usd, tokens, starts: u64::MAX, bytes: tokens }, NOW);
                let after = row.usage(NOW);
                prop_assert_eq!(after.spent_nano_usd, before.spent_nano_usd.saturating_add(nano_usd));
                prop_assert_eq!(after.tokens_used, before.tokens_used.saturating_add(tokens));
                prop_assert_eq!(added.0, after.spent_nano_usd - before.spent_nano_usd);
                prop_assert_eq!(after.received_bytes, before.received_bytes.saturating_add(tokens));
                prop_assert_eq!(added.2, after.received_bytes - before.received_bytes);
                prop_assert_eq!(after.per_min, u64::MAX);
            }
        }

        /// Whatever copies are brought together in whatever order: the same, and nothing less than any of them.
        #[test]
        fn copies_come_together_in_any_order(a in copy(), b in copy()) {
            let (mut one, mut two) = (a.clone(), b.clone());
            one.at_least(&b);
            two.at_least(&a);
            prop_assert_eq!(&one, &two);
            for copy in [a, b] {
                prop_assert!(one.spent >= copy.spent && one.tokens >= copy.tokens && one.expires >= copy.expires);
                prop_assert!(one.received >= copy.received);
                prop_assert!(one.usage(NOW).per_min >= copy.usage(NOW).per_min);
            }
        }
    }

    fn copy() -> impl Strategy<Value = CounterRow> {
        let start = (bucket(NOW) - 20..bucket(NOW) + 5, 0_u64..9);
        (any::<(u64, u64, u64)>(), prop::collection::vec((start, 0_u64..9), 0..5)).prop_map(
            |((spent, tokens, received), starts)| {
                let mut row = CounterRow { spent, tokens, received, ..row() };
                for ((number, _), count) in starts {
                    row.charge(Amount { starts: count, ..Amount::default() }, Timestamp(number * 5000));
                }
                row
            },
        )
    }
}
