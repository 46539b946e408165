//! All that is not sent of a source: every one of it is counted, only some of it is named.

use super::{SkipReason, Skipped};
use crate::limits;

impl SkipReason {
    /// Whether somebody who sends a directory would miss this: links and special files nobody expects to be sent.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        !matches!(self, Self::Link | Self::BrokenLink | Self::Loop | Self::Special(_) | Self::Home)
    }
}

/// What of a source is not sent. What the globs left out is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips {
    named_missed: Vec<Skipped>,
    named_others: Vec<Skipped>,
    missed: u64,
    others: u64,
}

impl Skips {
    /// Counts it; what is missed takes the place of what is not, when not all can be named.
    pub(super) fn push(&mut self, skipped: Skipped) {
        let is_missed = skipped.why.is_missed();
        let count = if is_missed { &mut self.missed } else { &mut self.others };
        *count = count.saturating_add(1);
        if self.named_missed.len().saturating_add(self.named_others.len()) >= limits::SKIPPED
            && (!is_missed || self.named_others.pop().is_none())
        {
            return;
        }
        if is_missed { self.named_missed.push(skipped) } else { self.named_others.push(skipped) }
    }

    /// At most [`limits::SKIPPED`] of it, what is missed first.
    pub fn named(&self) -> impl Iterator<Item = &Skipped> {
        self.named_missed.iter().chain(&self.named_others)
    }

    /// How much of it somebody would miss (count).
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How much of it nobody would (count).
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// How much it is in all (count).
    #[must_use]
    pub fn count(&self) -> u64 {
        self.missed.saturating_add(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_named_before_what_is_not_and_all_is_counted() {
        let mut skips = Skips::default();
        let mut push = |number: usize, why: &SkipReason| {
            skips.push(Skipped { path: number.to_string(), why: why.clone() });
        };
        (0..limits::SKIPPED + 7).for_each(|number| push(number, &SkipReason::Link));
        (0..5).for_each(|number| push(number, &SkipReason::NotText));
        push(0, &SkipReason::Link);
        let links = limits::SKIPPED as u64 + 8;
        assert_eq!((skips.missed(), skips.others(), skips.count()), (5, links, links + 5));
        let missed: Vec<bool> = skips.named().map(|one| one.why.is_missed()).collect();
        assert_eq!(missed.len(), limits::SKIPPED);
        assert!(missed[..5].iter().all(|one| *one) && !missed[5..].iter().any(|one| *one));
        (0..limits::SKIPPED + 7)
            .for_each(|number| skips.push(Skipped { path: number.to_string(), why: SkipReason::NotText }));
        assert_eq!(skips.missed(), limits::SKIPPED as u64 + 12);
        assert_eq!(skips.named().filter(|one| one.why.is_missed()).count(), limits::SKIPPED);
    }
}
