//! Who was heard: a table with a cap, for records that anyone on the network can send.
//!
//! A flood of made-up ids cannot push out who was there before it: when the table is full, the entry that came
//! last makes room. Ids that somebody waits for are let in and kept.

use std::{collections::BTreeMap, net::SocketAddr};

use clankers_protocol::{NodeId, Timestamp};

use super::places::Places;
use crate::limits::{DISCOVERED_PEERS, DISCOVERED_TTL_MS, ID_PREFIX_DIGITS};

/// A record that was heard and passed [`super::record::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) id: NodeId,
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) label: Option<String>,
    pub(crate) version: String,
    /// It says goodbye.
    pub(crate) leaving: bool,
}

/// A peer on the local network, as it describes itself. Only a dial proves that it holds the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The id that it claims.
    pub id: NodeId,
    /// Where to dial it: where it was reached, where it says it listens, and where it said so a while ago. Anybody may have
    /// said so for it.
    pub addrs: Vec<SocketAddr>,
    /// The label that it gives itself, cleaned for display.
    pub label: Option<String>,
    /// The version of its software, cleaned for display.
    pub version: String,
    /// When it was first heard.
    pub first_seen: Timestamp,
    /// When it last said something new; mDNS does not repeat what has not changed.
    pub last_seen: Timestamp,
    /// When it is forgotten unless heard again. None while mDNS watches its record and will report its end.
    pub expires: Option<Timestamp>,
}

/// Why an id or a prefix of one names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not hexadecimal, or too short to mean anything.
    #[error("not the beginning of a node id: give at least {ID_PREFIX_DIGITS} hex digits")]
    NotAPrefix,
    /// Nobody like that was heard.
    #[error(
        "no node on the local network has an id that begins so; `clankers rpc peers list` shows who is there"
    )]
    NotFound,
    /// Several were.
    #[error("{} nodes on the local network have an id that begins so: {}", .0.len(), short(.0))]
    Ambiguous(Vec<NodeId>),
}

fn short(ids: &[NodeId]) -> String {
    ids.iter().take(4).map(NodeId::short).collect::<Vec<_>>().join(", ")
}

/// A row.
#[derive(Debug)]
struct Entry {
    shown: Discovered,
    places: Places,
}

impl Entry {
    /// Says whether the list of addresses has changed.
    fn list_anew(&mut self) -> bool {
        let addrs = self.places.list();
        let changed = self.shown.addrs != addrs;
        self.shown.addrs = addrs;
        changed
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    own: NodeId,
    entries: BTreeMap<NodeId, Entry>,
    /// Ids that somebody waits for, and how many do; bounded by the dials under way.
    wanted: BTreeMap<NodeId, usize>,
}

impl Table {
    pub(crate) fn new(own: NodeId) -> Self {
        Self { own, entries: BTreeMap::new(), wanted: BTreeMap::new() }
    }

    /// Takes in a record; says whether anything changed.
    pub(crate) fn heard(&mut self, now: Timestamp, heard: Heard) -> bool {
        let Heard { id, addrs, label, version, leaving } = heard;
        if leaving {
            return self.gone(id);
        }
        if id == self.own {
            return false;
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.places.heard(now, &addrs);
            let moved = entry.list_anew();
            let known = &mut entry.shown;
            let changed = moved || known.label != label || known.version != version;
            (known.label, known.version) = (label, version);
            (known.last_seen, known.expires) = (now, None);
            return changed;
        }
        if self.entries.len() >= DISCOVERED_PEERS && !self.make_room() {
            return false;
        }
        let mut places = Places::default();
        places.heard(now, &addrs);
        let shown = Discovered { id, addrs, label, version, first_seen: now, last_seen: now, expires: None };
        self.entries.insert(id, Entry { shown, places });
        true
    }

    /// Removes the entry that came last among those that nobody waits for.
    fn make_room(&mut self) -> bool {
        let last = self
            .entries
            .values()
            .map(|entry| &entry.shown)
            .filter(|d| !self.wanted.contains_key(&d.id))
            .max_by_key(|d| (d.first_seen, d.id))
            .map(|d| d.id);
        last.is_some_and(|id| self.entries.remove(&id).is_some())
    }

    pub(crate) fn gone(&mut self, id: NodeId) -> bool {
        self.entries.remove(&id).is_some()
    }

    /// From now on every entry runs out, unless it is heard again.
    pub(crate) fn doubt(&mut self, now: Timestamp) -> bool {
        for entry in self.entries.values_mut() {
            entry.shown.expires.get_or_insert(now.plus_ms(DISCOVERED_TTL_MS));
            entry.places.doubt(now);
        }
        false
    }

    pub(crate) fn sweep(&mut self, now: Timestamp) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.shown.expires.is_none_or(|at| at > now));
        let mut changed = self.entries.len() != before;
        for entry in self.entries.values_mut() {
            entry.places.sweep(now);
            changed |= entry.list_anew();
        }
        changed
    }

    /// A peer proved its id at this address; one that was never heard is not remembered for that.
    pub(crate) fn reached(&mut self, id: NodeId, addr: SocketAddr) -> bool {
        self.entries.get_mut(&id).is_some_and(|entry| {
            entry.places.reached(addr);
            entry.list_anew()
        })
    }

    /// A peer was not reached where it is said to be.
    pub(crate) fn missed(&mut self, now: Timestamp, id: NodeId) -> bool {
        self.entries.get_mut(&id).is_some_and(|entry| {
            entry.places.missed(now);
            entry.list_anew()
        })
    }

    pub(crate) fn want(&mut self, id: NodeId) {
        *self.wanted.entry(id).or_default() += 1;
    }

    pub(crate) fn unwant(&mut self, id: NodeId) {
        if let Some(count) = self.wanted.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.wanted.remove(&id);
            }
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Discovered> {
        self.entries.get(&id).map(|entry| &entry.shown)
    }

    pub(crate) fn list(&self) -> impl Iterator<Item = &Discovered> {
        self.entries.values().map(|entry| &entry.shown)
    }

    pub(crate) fn resolve(&self, prefix: &str) -> Result<&Discovered, ResolveError> {
        let prefix = prefix.trim().to_ascii_lowercase();
        let hex = prefix.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || !(ID_PREFIX_DIGITS..=64).contains(&prefix.len()) {
            return Err(ResolveError::NotAPrefix);
        }
        let mut fitting = self.list().filter(|d| d.id.to_string().starts_with(&prefix));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(ResolveError::NotFound),
            (Some(one), None) => Ok(one),
            (Some(a), Some(b)) => {
                Err(ResolveError::Ambiguous([a, b].into_iter().chain(fitting).map(|d| d.id).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
