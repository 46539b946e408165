//! Payloads as they travel on gossip, decoded once for all hosts that they reach: what decoding gives depends on the
//! bytes alone.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use clankers_protocol::{
    NodeId,
    presence::{Gossiped, Lost, Notice, Record, Signature, Signed},
};

use crate::{
    event::EXT_CHAIN,
    limits::{PASSED, PAYLOADS},
    queue::Micros,
};

/// A payload, decoded.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Who is there.
    Presence(Arc<Signed<Record>>),
    /// A neighbour was lost.
    Lost(Arc<Signed<Lost>>),
    /// Revocations.
    Revoked(Arc<Signed<Notice>>),
}

/// The latest payloads by the hash that gossip gives them.
#[derive(Debug, Default)]
pub struct Payloads {
    known: HashMap<[u8; 32], Option<Payload>>,
    order: VecDeque<[u8; 32]>,
}

impl Payloads {
    /// What the bytes say; `None` when they say nothing.
    pub fn decode(&mut self, id: [u8; 32], bytes: &[u8]) -> Option<Payload> {
        if let Some(payload) = self.known.get(&id) {
            return payload.clone();
        }
        let payload = Gossiped::decode(bytes).ok().map(|gossiped| match gossiped {
            Gossiped::Presence(record) => Payload::Presence(Arc::new(record)),
            Gossiped::Lost(lost) => Payload::Lost(Arc::new(lost)),
            Gossiped::Revoked(notice) => Payload::Revoked(Arc::new(notice)),
        });
        if self.order.len() >= PAYLOADS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(id, payload.clone());
        self.order.push_back(id);
        payload
    }
}

/// The payloads that a host has let through lately: the answer to another copy shapes gossip's tree.
#[derive(Debug, Default)]
pub struct Passed {
    ids: HashSet<[u8; 32]>,
    order: VecDeque<(Micros, [u8; 32])>,
}

impl Passed {
    /// Whether this one was let through.
    pub fn contains(&mut self, now: Micros, id: &[u8; 32]) -> bool {
        while let Some((at, oldest)) = self.order.front()
            && at + PASSED < now
        {
            self.ids.remove(oldest);
            self.order.pop_front();
        }
        self.ids.contains(id)
    }

    /// This one was let through.
    pub fn insert(&mut self, now: Micros, id: [u8; 32]) {
        if self.ids.insert(id) {
            self.order.push_back((now, id));
        }
    }
}

/// Signatures of a world: no key signs here, so a forged payload is one that says so. The real check is tested in
/// `clankers-auth`.
pub const FORGED: Signature = Signature([1; 64]);

impl Payload {
    /// Who says so.
    #[must_use]
    pub fn author(&self) -> NodeId {
        match self {
            Self::Presence(record) => record.body.author,
            Self::Lost(lost) => lost.body.author,
            Self::Revoked(notice) => notice.body.author,
        }
    }

    /// Whether it brings its author's membership along.
    #[must_use]
    pub fn has_chain(&self) -> bool {
        match self {
            Self::Presence(record) => record.body.ext.get(EXT_CHAIN).is_some(),
            Self::Lost(_) | Self::Revoked(_) => false,
        }
    }

    /// Whether it comes from its author.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        genuine(match self {
            Self::Presence(record) => &record.signature,
            Self::Lost(lost) => &lost.signature,
            Self::Revoked(notice) => &notice.signature,
        })
    }
}

/// Whether what is signed so comes from whom it names.
#[must_use]
pub fn genuine(signature: &Signature) -> bool {
    *signature != FORGED
}
