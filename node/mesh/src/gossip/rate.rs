//! How much one neighbour may send, and how much of one author is passed on. Pure: the time is given.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use clankers_protocol::NodeId;
use tokio::time::Instant;

use crate::limits::{
    GOSSIP_AUTHOR_MESSAGES_BURST, GOSSIP_AUTHOR_MESSAGES_PER_S, GOSSIP_AUTHORS, GOSSIP_PEER_BYTES_BURST,
    GOSSIP_PEER_BYTES_PER_S, GOSSIP_PEER_EXCESS, GOSSIP_PEER_FORGED, GOSSIP_PEER_FORGIVEN_S,
    GOSSIP_PEER_JOINS_BURST, GOSSIP_PEER_JOINS_PER_S, GOSSIP_PEER_MESSAGES_BURST, GOSSIP_PEER_MESSAGES_PER_S,
    GOSSIP_SEEN, GOSSIP_SEEN_MS,
};

/// A token bucket: so many units per second, and so many at once after a pause.
///
/// Counted in thousandths of a unit, so that a bucket that is asked often fills no slower than one that is not.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    per_s: u32,
    burst: u32,
    /// Thousandths of a unit that may be taken now.
    milli: u64,
    /// Up to when `milli` has been filled, in whole milliseconds after `origin`.
    filled_ms: u128,
    origin: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, per_s: u32, burst: u32) -> Self {
        Self { per_s, burst, milli: u64::from(burst) * 1_000, filled_ms: 0, origin: now }
    }

    /// Takes so many units, or none when there are too few.
    pub(crate) fn take(&mut self, now: Instant, units: u32) -> bool {
        let at = now.saturating_duration_since(self.origin).as_millis();
        let passed = u64::try_from(at.saturating_sub(self.filled_ms)).unwrap_or(u64::MAX);
        // One unit per second is one thousandth per millisecond.
        let more = passed.saturating_mul(u64::from(self.per_s));
        self.milli = self.milli.saturating_add(more).min(u64::from(self.burst) * 1_000);
        self.filled_ms = self.filled_ms.max(at);
        let wanted = u64::from(units) * 1_000;
        let enough = self.milli >= wanted;
        if enough {
            self.milli -= wanted;
        }
        enough
    }

    /// Says whether nothing was taken for long enough to be as good as new.
    fn is_full(&self, now: Instant) -> bool {
        let at = now.saturating_duration_since(self.origin).as_millis();
        let passed = u64::try_from(at.saturating_sub(self.filled_ms)).unwrap_or(u64::MAX);
        self.milli.saturating_add(passed.saturating_mul(u64::from(self.per_s)))
            >= u64::from(self.burst) * 1_000
    }
}

/// What becomes of a message that a neighbour sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// It is within the limits.
    Fine,
    /// It is dropped.
    Excess,
    /// It is dropped, and the neighbour is cut.
    Cut,
}

/// One neighbour's account.
#[derive(Debug, Clone)]
pub(crate) struct PeerRate {
    messages: Bucket,
    bytes: Bucket,
    joins: Bucket,
    connections: Bucket,
    /// Fills as slowly as a minute; empty means that the neighbour is cut.
    excess: Bucket,
    /// Counted in seconds: so long until one is forgiven.
    forged: Bucket,
}

impl PeerRate {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            messages: Bucket::new(now, GOSSIP_PEER_MESSAGES_PER_S, GOSSIP_PEER_MESSAGES_BURST),
            bytes: Bucket::new(now, GOSSIP_PEER_BYTES_PER_S, GOSSIP_PEER_BYTES_BURST),
            joins: Bucket::new(now, GOSSIP_PEER_JOINS_PER_S, GOSSIP_PEER_JOINS_BURST),
            connections: Bucket::new(now, GOSSIP_PEER_JOINS_PER_S, GOSSIP_PEER_JOINS_BURST),
            excess: Bucket::new(now, GOSSIP_PEER_EXCESS / 60, GOSSIP_PEER_EXCESS),
            forged: Bucket::new(now, 1, GOSSIP_PEER_FORGED * GOSSIP_PEER_FORGIVEN_S),
        }
    }

    /// Counts a message of so many bytes, as so many messages (an announcement of many is as costly as many).
    pub(crate) fn message(&mut self, now: Instant, bytes: usize, as_many: u32) -> Conduct {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if self.messages.take(now, as_many) && self.bytes.take(now, bytes) {
            return Conduct::Fine;
        }
        self.over(now)
    }

    /// Counts a request to become a neighbour.
    pub(crate) fn join(&mut self, now: Instant) -> Conduct {
        if self.joins.take(now, 1) { Conduct::Fine } else { self.over(now) }
    }

    /// Counts a connection that it opens.
    pub(crate) fn connection(&mut self, now: Instant) -> Conduct {
        if self.connections.take(now, 1) { Conduct::Fine } else { Conduct::Excess }
    }

    fn over(&mut self, now: Instant) -> Conduct {
        if self.excess.take(now, 1) { Conduct::Excess } else { Conduct::Cut }
    }

    /// Counts something that no honest node sends.
    pub(crate) fn forged(&mut self, now: Instant) -> Conduct {
        if self.forged.take(now, GOSSIP_PEER_FORGIVEN_S) { Conduct::Excess } else { Conduct::Cut }
    }
}

/// The accounts of authors, whoever forwards them.
#[derive(Debug, Default)]
pub(crate) struct Authors(BTreeMap<NodeId, Bucket>);

impl Authors {
    /// Says whether one more payload of this author is passed on.
    pub(crate) fn take(&mut self, now: Instant, author: NodeId) -> bool {
        if !self.0.contains_key(&author) && self.0.len() >= GOSSIP_AUTHORS {
            // Whoever is full again is as good as new. When all are busy, a new author has to wait.
            self.0.retain(|_, bucket| !bucket.is_full(now));
            if self.0.len() >= GOSSIP_AUTHORS {
                return false;
            }
        }
        self.0
            .entry(author)
            .or_insert_with(|| Bucket::new(now, GOSSIP_AUTHOR_MESSAGES_PER_S, GOSSIP_AUTHOR_MESSAGES_BURST))
            .take(now, 1)
    }
}

/// Payloads that were passed on not long ago, by the hash of their content.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<[u8; 32]>,
    order: VecDeque<(Instant, [u8; 32])>,
}

impl Seen {
    pub(crate) fn contains(&mut self, now: Instant, id: &[u8; 32]) -> bool {
        self.expire(now);
        self.ids.contains(id)
    }

    pub(crate) fn insert(&mut self, now: Instant, id: [u8; 32]) {
        self.expire(now);
        if self.order.len() >= GOSSIP_SEEN
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        if self.ids.insert(id) {
            self.order.push_back((now, id));
        }
    }

    fn expire(&mut self, now: Instant) {
        let limit = Duration::from_millis(GOSSIP_SEEN_MS);
        while let Some((at, id)) = self.order.front().copied()
            && now.saturating_duration_since(at) >= limit
        {
            self.order.pop_front();
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
