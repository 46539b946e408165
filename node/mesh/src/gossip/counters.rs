//! What a team's gossip has done and, above all, dropped.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts of one team's gossip since it started; of connections, those open now.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct GossipCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl GossipCounters {
            /// Every count with its name, in a fixed order.
            #[must_use]
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> GossipCounters {
                GossipCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections open now, those being closed included.
    connections,
    /// Neighbours now.
    neighbors,
    /// Members that have shown their membership and may be dialed and accepted, now.
    shown,
    /// Timers under way in the core, now.
    timers,
    /// Messages sent to neighbours.
    sent,
    /// Messages received from neighbours.
    received,
    /// Payloads delivered to the hall.
    delivered,
    /// Events dropped since the hall did not take them.
    dropped_lagged,
    /// Messages of a neighbour over its rate, dropped.
    dropped_peer_rate,
    /// Payloads of an author over its rate, dropped.
    dropped_author_rate,
    /// Payloads that the hall's judgement dropped: stale, replayed, of a removed author.
    dropped_judged,
    /// Payloads that nobody could have signed, dropped.
    dropped_forged,
    /// Messages that no honest node sends, dropped.
    dropped_odd,
    /// Payloads that have made too many hops, dropped.
    dropped_tired,
    /// Messages to members that were not reached, dropped.
    dropped_unreached,
    /// Connections refused: membership not shown.
    refused_not_shown,
    /// Connections refused: too many.
    refused_busy,
    /// Neighbours cut since they took messages too slowly.
    cut_slow,
    /// Neighbours cut for what they sent.
    cut_conduct,
    /// Connections lost without a goodbye.
    lost,
    /// Dials made.
    dials,
    /// Dials that failed.
    dials_failed,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn set(counter: &AtomicU64, n: usize) {
    counter.store(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
}
