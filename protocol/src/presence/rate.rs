//! Token buckets. What is left of a refill is kept, so that one who asks often gets as much as one who asks seldom.

use std::collections::BTreeMap;

use crate::{NodeId, Timestamp, timing::Elapsed};

/// Tokens that come back one by one.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    most: u32,
    left: u32,
    /// Milliseconds until one token comes back.
    each_ms: u64,
    /// Up to when tokens were given back (milliseconds elapsed).
    paid: u64,
}

impl Bucket {
    /// A full bucket of `most` tokens, of which one comes back every `each_ms` milliseconds.
    #[must_use]
    pub fn new(most: u32, each_ms: u64) -> Self {
        Self { most, left: most, each_ms: each_ms.max(1), paid: 0 }
    }

    /// Takes a token, when there is one; `elapsed` is any count of milliseconds that never falls.
    pub fn take(&mut self, elapsed: u64) -> bool {
        self.refill(elapsed);
        self.left.checked_sub(1).map(|left| self.left = left).is_some()
    }

    /// Puts a token back.
    pub fn give(&mut self) {
        self.left = self.left.saturating_add(1).min(self.most);
    }

    /// When the next token can be had (milliseconds elapsed).
    #[must_use]
    pub fn next(&self) -> u64 {
        if self.left > 0 { self.paid } else { self.paid.saturating_add(self.each_ms) }
    }

    /// Whether nothing is taken from it.
    fn is_full(&mut self, elapsed: u64) -> bool {
        self.refill(elapsed);
        self.left == self.most
    }

    fn refill(&mut self, elapsed: u64) {
        let due = elapsed.saturating_sub(self.paid) / self.each_ms;
        if due >= u64::from(self.most - self.left) {
            // Full: time is not saved up.
            (self.left, self.paid) = (self.most, elapsed.max(self.paid));
        } else {
            self.left = self.left.saturating_add(u32::try_from(due).unwrap_or(u32::MAX));
            self.paid = self.paid.saturating_add(due.saturating_mul(self.each_ms));
        }
    }
}

/// A bucket for each peer.
#[derive(Debug)]
pub struct Meters {
    most: u32,
    each_ms: u64,
    peers: usize,
    clock: Elapsed,
    buckets: BTreeMap<NodeId, Bucket>,
}

impl Meters {
    /// Buckets as [`Bucket::new`] makes them, for so many peers at a time (count). When all are in use, others get
    /// nothing: a full bucket is forgotten first.
    #[must_use]
    pub fn new(most: u32, each_ms: u64, peers: usize) -> Self {
        Self { most, each_ms, peers, clock: Elapsed::default(), buckets: BTreeMap::new() }
    }

    /// Takes a token of this peer's.
    pub fn take(&mut self, now: Timestamp, peer: NodeId) -> bool {
        let elapsed = self.clock.advance(now);
        if !self.buckets.contains_key(&peer) && self.buckets.len() >= self.peers {
            self.buckets.retain(|_, bucket| !bucket.is_full(elapsed));
            if self.buckets.len() >= self.peers {
                return false;
            }
        }
        let fresh = Bucket { paid: elapsed, ..Bucket::new(self.most, self.each_ms) };
        self.buckets.entry(peer).or_insert(fresh).take(elapsed)
    }

    /// Forgets a peer.
    pub fn forget(&mut self, peer: NodeId) {
        self.buckets.remove(&peer);
    }

    /// Peers with a bucket (count).
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no peer has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_refills_however_fast_it_is_polled() {
        // Polled every millisecond for ten seconds: 5 at first, then one in 100 ms.
        let mut bucket = Bucket::new(5, 100);
        let taken = (0..10_000).filter(|ms| bucket.take(*ms)).count();
        assert_eq!(taken, 5 + 99);
    }

    #[test]
    fn those_who_come_later_wait_for_room() {
        let mut meters = Meters::new(1, 1_000, 2);
        let id = |n: u8| NodeId([n; 32]);
        let at = Timestamp(1_700_000_000_000);
        assert!(meters.take(at, id(1)) && meters.take(at, id(2)));
        assert!(!meters.take(at, id(3)) && !meters.take(at, id(1)));
        assert!(meters.take(at.plus_ms(1_000), id(3)), "the others are full again and forgotten");
        meters.forget(id(3));
        assert!(meters.is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_time(
            most in 1_u32..20, each in 1_u64..500,
            steps in prop::collection::vec(0_u64..300, 1..300),
        ) {
            let mut bucket = Bucket::new(most, each);
            let (mut now, mut taken) = (0, 0_u64);
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(now));
                prop_assert!(taken <= u64::from(most) + now / each);
                prop_assert!(bucket.left <= most);
                prop_assert!(bucket.left > 0 || bucket.next() > now);
            }
        }
    }
}
