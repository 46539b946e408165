//! How much strangers may have at once: the `UNAUTHENTICATED_*` limits on connections, by where they come from.
//!
//! The counting is pure. A permit gives its place back when the connection is admitted or dropped.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use crate::limits::{
    UNAUTHENTICATED_CONNECTIONS, UNAUTHENTICATED_CONNECTIONS_PER_SOURCE, UNAUTHENTICATED_RETRY_FROM,
};

/// Where a connection comes from, as coarse as one owner usually is: an IPv4 address or an IPv6 /64. Everything
/// that comes by relay is one source, since nothing in a relayed first packet is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    V6([u16; 4]),
    /// Through a relay.
    Relayed,
}

impl From<SocketAddr> for Source {
    fn from(addr: SocketAddr) -> Self {
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::from(ip),
        }
    }
}

impl From<Ipv6Addr> for Source {
    fn from(ip: Ipv6Addr) -> Self {
        let [a, b, c, d, ..] = ip.segments();
        Self::V6([a, b, c, d])
    }
}

impl Source {
    /// This machine itself.
    fn is_loopback(self) -> bool {
        match self {
            Self::V4(ip) => ip.is_loopback(),
            Self::V6(upper) => upper == [0; 4],
            Self::Relayed => false,
        }
    }
}

/// What to do with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it shake hands.
    Accept,
    /// Have it prove its address first.
    Retry,
    /// Too many: refuse it.
    Refuse,
}

/// Counts the unauthenticated connections of each source.
#[derive(Debug, Default)]
pub struct SourceLimiter {
    counts: BTreeMap<Source, usize>,
    total: usize,
}

impl SourceLimiter {
    /// Judges a new connection and, when it is accepted, counts it. `proven` says that the source has shown that
    /// it receives at its address.
    pub fn judge(&mut self, source: Source, proven: bool) -> Verdict {
        let of_source = self.counts.get(&source).copied().unwrap_or(0);
        let cap = match source {
            // One place for all relayed peers, so a share of the whole rather than one owner's.
            Source::Relayed => UNAUTHENTICATED_CONNECTIONS / 2,
            Source::V4(_) | Source::V6(_) => UNAUTHENTICATED_CONNECTIONS_PER_SOURCE,
        };
        // However full of strangers the node is, this machine's own commands get in: they begin as strangers too.
        let here = source.is_loopback();
        if of_source >= cap || self.total >= UNAUTHENTICATED_CONNECTIONS && !here {
            return Verdict::Refuse;
        }
        if self.total >= UNAUTHENTICATED_RETRY_FROM && !proven && !here {
            return Verdict::Retry;
        }
        self.counts.insert(source, of_source + 1);
        self.total += 1;
        Verdict::Accept
    }

    /// Gives back the place of one accepted connection.
    pub fn release(&mut self, source: Source) {
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
            self.total = self.total.saturating_sub(1);
        }
    }

    /// Connections counted now.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

/// A limiter that permits point back to.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLimiter(Arc<Mutex<SourceLimiter>>);

impl SharedLimiter {
    pub(crate) fn judge(&self, source: Source, proven: bool) -> (Verdict, Option<SourcePermit>) {
        let verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner).judge(source, proven);
        let permit = (verdict == Verdict::Accept).then(|| SourcePermit { limiter: self.clone(), source });
        (verdict, permit)
    }
}

/// A counted place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct SourcePermit {
    limiter: SharedLimiter,
    source: Source,
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        self.limiter.0.lock().unwrap_or_else(PoisonError::into_inner).release(self.source);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(n: u32) -> Source {
        Source::V4(Ipv4Addr::from_bits(n))
    }

    #[test]
    fn one_source_cannot_take_every_place() {
        let mut limiter = SourceLimiter::default();
        let taken = (0..10_000).filter(|_| limiter.judge(v4(1), true) == Verdict::Accept).count();
        assert_eq!(taken, UNAUTHENTICATED_CONNECTIONS_PER_SOURCE);
        assert_eq!(limiter.judge(v4(2), true), Verdict::Accept);
    }

    #[test]
    fn this_machine_gets_in_however_full_of_strangers_the_node_is() {
        let mut limiter = SourceLimiter::default();
        for n in 0..10_000 {
            limiter.judge(v4(0x0a00_0000 + n / 8), true);
        }
        assert_eq!(limiter.judge(v4(0x0b00_0000), true), Verdict::Refuse);
        let here = Source::V4(Ipv4Addr::LOCALHOST);
        let taken = (0..1_000).filter(|_| limiter.judge(here, false) == Verdict::Accept).count();
        assert_eq!(taken, UNAUTHENTICATED_CONNECTIONS_PER_SOURCE);
        assert_eq!(limiter.judge(Source::from(Ipv6Addr::LOCALHOST), false), Verdict::Accept);
    }

    #[test]
    fn a_whole_64_counts_as_one_source() {
        let ip = |low: u64| {
            let bits = (0x2001_0db8_0000_0001_u128 << 64) | u128::from(low);
            Source::from(SocketAddr::from((Ipv6Addr::from_bits(bits), 7)))
        };
        assert_eq!(ip(1), ip(u64::MAX));
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        assert_eq!(Source::from(mapped), Source::V4(Ipv4Addr::new(192, 0, 2, 1)));
    }

    #[test]
    fn forged_sources_are_asked_to_prove_themselves() {
        let mut limiter = SourceLimiter::default();
        let mut asked = 0;
        for n in 0..100_000 {
            match limiter.judge(v4(n), false) {
                Verdict::Retry => asked += 1,
                Verdict::Accept | Verdict::Refuse => {}
            }
        }
        assert_eq!(limiter.total(), UNAUTHENTICATED_RETRY_FROM);
        assert_eq!(asked, 100_000 - UNAUTHENTICATED_RETRY_FROM);
        // Who does receive at its address still gets in.
        assert_eq!(limiter.judge(v4(0xffff_0000), true), Verdict::Accept);
    }

    proptest! {
        #[test]
        fn the_count_is_what_was_accepted_less_what_was_released(
            steps in prop::collection::vec((0_u32..6, any::<bool>(), any::<bool>()), 0..2000),
        ) {
            let mut limiter = SourceLimiter::default();
            let mut model: Vec<u32> = Vec::new();
            for (n, proven, release) in steps {
                if release {
                    if let Some(at) = model.iter().position(|m| *m == n) {
                        model.swap_remove(at);
                        limiter.release(v4(n));
                    }
                } else if limiter.judge(v4(n), proven) == Verdict::Accept {
                    model.push(n);
                }
                prop_assert_eq!(limiter.total(), model.len());
                prop_assert!(limiter.total() <= UNAUTHENTICATED_CONNECTIONS);
            }
            for n in model { limiter.release(v4(n)); }
            prop_assert_eq!(limiter.total(), 0);
            prop_assert!(limiter.counts.is_empty());
        }
    }
}
