//! Who was refused for want of authority, and how often lately: whoever keeps trying is refused unread.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use clankers_protocol::{NodeId, Timestamp};

use crate::limits::{DENIAL_WINDOWS, DENIALS_PER_MINUTE, SOURCE_DENIALS_PER_MINUTE};

/// Whose refusals are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// A principal that has shown a valid chain, or a stranger's key.
    Peer(NodeId),
    /// Strangers from one IPv4 address or IPv6 /64: fresh keys are free to make, addresses are not.
    Source([u16; 4]),
}

impl Counted {
    /// Where strangers come from. This machine itself is not counted: its owner's own runs begin as strangers.
    pub(crate) fn source(addr: Option<SocketAddr>) -> Option<Self> {
        match addr?.ip().to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
                Some(Self::Source([0, 0, pair(a, b), pair(c, d)]))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Some(Self::Source([a, b, c, d]))
            }
        }
    }

    fn per_minute(self) -> u32 {
        match self {
            Self::Peer(_) => DENIALS_PER_MINUTE,
            Self::Source(_) => SOURCE_DENIALS_PER_MINUTE,
        }
    }
}

/// Windows of one minute. The table is bounded: when it is full of recent ones, whoever is not in it yet is not
/// counted, and the limits on connections hold alone. So a flood of keys can lock out nobody but itself.
#[derive(Debug, Default)]
pub(crate) struct DenialLimiter {
    windows: BTreeMap<Counted, Window>,
    swept: Timestamp,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    since: Timestamp,
    count: u32,
}

const MINUTE_MS: u64 = 60_000;
/// How often a full table is swept at the most (milliseconds).
const SWEEP_MS: u64 = 1_000;

impl Window {
    fn is_recent(&self, now: Timestamp) -> bool {
        now >= self.since && now.since(self.since) < MINUTE_MS
    }
}

impl DenialLimiter {
    /// Whether requests of these are still read.
    pub(crate) fn allows(&self, now: Timestamp, who: Counted) -> bool {
        let recent = self.windows.get(&who).filter(|window| window.is_recent(now));
        recent.is_none_or(|window| window.count < who.per_minute())
    }

    /// Counts one refusal.
    pub(crate) fn denied(&mut self, now: Timestamp, who: Counted) {
        if self.windows.len() >= DENIAL_WINDOWS && !self.windows.contains_key(&who) {
            // A sweep goes through the whole table: in a flood that is for once a second, not for each refusal.
            if now.since(self.swept) < SWEEP_MS && now >= self.swept {
                return;
            }
            self.swept = now;
            self.windows.retain(|_, window| window.is_recent(now));
            if self.windows.len() >= DENIAL_WINDOWS {
                return;
            }
        }
        let window = self.windows.entry(who).or_default();
        if !window.is_recent(now) {
            *window = Window { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> Counted {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Counted::Peer(NodeId(id))
    }

    #[test]
    fn whoever_keeps_trying_waits_a_minute() {
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
    fn a_flood_of_fresh_keys_fills_the_table_and_locks_out_nobody() {
        let mut limiter = DenialLimiter::default();
        let now = Timestamp(5);
        (0..100_000).for_each(|n| limiter.denied(now, peer(n)));
        assert!(limiter.windows.len() <= DENIAL_WINDOWS);
        assert!(limiter.allows(now, peer(200_000)));
        limiter.denied(now.plus_ms(MINUTE_MS), peer(200_001));
        assert_eq!(limiter.windows.len(), 1, "old windows make room");
    }

    #[test]
    fn sources_are_coarse_and_this_machine_is_none() {
        let source = |addr: &str| Counted::source(Some(addr.parse().unwrap()));
        assert_eq!(source("127.0.0.1:1"), None);
        assert_eq!(source("[::1]:1"), None);
        assert_eq!(Counted::source(None), None);
        assert_eq!(source("192.0.2.1:1"), source("192.0.2.1:2"));
        assert_eq!(source("192.0.2.1:1"), source("[::ffff:192.0.2.1]:1"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
        assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::ffff:1]:1"));
    }
}
