//! Who was refused for want of authority, and how often lately: a peer that keeps trying is refused unread.

use std::collections::BTreeMap;

use clankers_protocol::{NodeId, Timestamp};

use crate::limits::{DENIAL_PEERS, DENIALS_PER_MINUTE};

/// One window of one minute for each peer. Fresh ids are free to make, so the table is bounded: when it is full
/// of recent windows, further peers share one.
#[derive(Debug, Default)]
pub(crate) struct DenialLimiter {
    windows: BTreeMap<NodeId, Window>,
    others: Window,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    since: Timestamp,
    count: u32,
}

const MINUTE_MS: u64 = 60_000;

impl Window {
    fn fresh(&mut self, now: Timestamp) -> &mut Self {
        if now.since(self.since) >= MINUTE_MS || now < self.since {
            *self = Self { since: now, count: 0 };
        }
        self
    }
}

impl DenialLimiter {
    /// Whether requests of this peer are still read.
    pub(crate) fn allows(&mut self, now: Timestamp, peer: NodeId) -> bool {
        let full = self.windows.len() >= DENIAL_PEERS;
        let window = match self.windows.get_mut(&peer) {
            Some(window) => window,
            None if full => &mut self.others,
            None => return true,
        };
        window.fresh(now).count < DENIALS_PER_MINUTE
    }

    /// Counts one refusal.
    pub(crate) fn denied(&mut self, now: Timestamp, peer: NodeId) {
        if self.windows.len() >= DENIAL_PEERS && !self.windows.contains_key(&peer) {
            self.windows.retain(|_, window| now.since(window.since) < MINUTE_MS);
        }
        let window = if self.windows.len() < DENIAL_PEERS || self.windows.contains_key(&peer) {
            self.windows.entry(peer).or_insert(Window { since: now, count: 0 })
        } else {
            &mut self.others
        };
        let window = window.fresh(now);
        window.count = window.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> NodeId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        NodeId(id)
    }

    #[test]
    fn a_peer_that_keeps_trying_waits_a_minute() {
        let mut limiter = DenialLimiter::default();
        let start = Timestamp(1_000_000);
        for _ in 0..DENIALS_PER_MINUTE {
            assert!(limiter.allows(start, peer(1)));
            limiter.denied(start, peer(1));
        }
        assert!(!limiter.allows(start.plus_ms(59_999), peer(1)));
        assert!(limiter.allows(start.plus_ms(59_999), peer(2)), "others are not spoiled");
        assert!(limiter.allows(start.plus_ms(60_000), peer(1)));
    }

    #[test]
    fn fresh_ids_do_not_grow_the_table() {
        let mut limiter = DenialLimiter::default();
        let now = Timestamp(5);
        (0..100_000).for_each(|n| limiter.denied(now, peer(n)));
        assert!(limiter.windows.len() <= DENIAL_PEERS);
        assert!(!limiter.allows(now, peer(200_000)), "the shared window is used up");
        assert!(limiter.allows(now, peer(1)), "a known peer has its own");
    }
}
