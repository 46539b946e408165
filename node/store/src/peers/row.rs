//! What is kept of one peer.

use std::collections::BTreeSet;

use clankers_protocol::{NodeId, Timestamp, request::peers::PeerRecord};
use serde::{Deserialize, Serialize};

use super::{Heard, PeerError};
use crate::limits;

/// Where the owner's own entries come from.
pub(super) const BOOK: &str = "book";

/// One address, where it came from and when it was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    addr: String,
    via: String,
    seen: u64,
}

/// A peer in the table; a stored form: frozen with the schema's version.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) label: Option<String>,
    claimed: Option<String>,
    addrs: Vec<Address>,
    pub(super) relay: Option<String>,
    version: Option<String>,
    /// Milliseconds since 1970; 0: never.
    pub(super) last_seen: u64,
    pub(super) trusted: bool,
}

impl Row {
    /// Whether it is kept whatever strangers come: the owner added or named it.
    pub(super) fn is_kept(&self) -> bool {
        self.trusted || self.label.is_some()
    }

    /// Takes addresses in: those heard anew in front; of the others, those that are too old leave.
    pub(super) fn take_addresses(&mut self, via: &str, addrs: &[String], now: Timestamp) {
        let fresh: Vec<&String> =
            addrs.iter().filter(|a| is_address(a)).take(limits::PEER_ADDRESSES).collect();
        let old_enough = now.0.saturating_sub(limits::ADDRESS_AGE_MS);
        // What the owner gave stays the owner's, also when it is heard elsewhere.
        let given: BTreeSet<String> =
            self.addrs.iter().filter(|a| a.via == BOOK).map(|a| a.addr.clone()).collect();
        self.addrs.retain(|a| !fresh.contains(&&a.addr) && (a.via == BOOK || a.seen >= old_enough));
        let fresh = fresh.into_iter().map(|addr| Address {
            addr: addr.clone(),
            via: if given.contains(addr) { BOOK.to_owned() } else { via.to_owned() },
            seen: now.0,
        });
        self.addrs.splice(0..0, fresh);
        // The owner's stay longest.
        while self.addrs.len() > limits::PEER_ADDRESSES {
            let heard = self.addrs.iter().rposition(|a| a.via != BOOK);
            self.addrs.remove(heard.unwrap_or(self.addrs.len().saturating_sub(1)));
        }
    }

    /// Takes in what was heard.
    pub(super) fn hear(&mut self, heard: Heard<'_>, now: Timestamp) {
        let short = |text: Option<&str>, limit| {
            text.filter(|t| !t.is_empty() && t.len() <= limit).map(ToOwned::to_owned)
        };
        let via = if heard.via.len() <= limits::WORD_BYTES && heard.via != BOOK { heard.via } else { "" };
        self.take_addresses(via, heard.addrs, now);
        self.relay = short(heard.relay, limits::RELAY_BYTES).or_else(|| self.relay.take());
        self.claimed = short(heard.claimed, limits::LABEL_BYTES).or_else(|| self.claimed.take());
        self.version = short(heard.version, limits::WORD_BYTES).or_else(|| self.version.take());
        // A clock that was set back must not make an old friend a stranger of long ago.
        self.last_seen = self.last_seen.max(now.0);
    }

    /// Whether the difference is not worth a write: only times, and little of them.
    pub(super) fn says_the_same(&self, new: &Self) -> bool {
        let plain = |row: &Self| {
            let addrs = row.addrs.iter().map(|a| Address { seen: 0, ..a.clone() }).collect();
            Self { last_seen: 0, addrs, ..row.clone() }
        };
        new.last_seen.saturating_sub(self.last_seen) < limits::LAST_SEEN_GRAIN_MS && plain(self) == plain(new)
    }

    pub(super) fn record(self, id: NodeId) -> PeerRecord {
        let mut via: BTreeSet<String> = self.addrs.iter().map(|a| a.via.clone()).collect();
        via.remove("");
        if self.trusted {
            via.insert(BOOK.to_owned());
        }
        PeerRecord {
            id,
            label: self.label,
            claimed: self.claimed,
            addrs: self.addrs.into_iter().map(|a| a.addr).collect(),
            relay: self.relay,
            via: via.into_iter().collect(),
            version: self.version,
            last_seen: (self.last_seen != 0).then_some(Timestamp(self.last_seen)),
            trusted: self.trusted,
        }
    }
}

/// Only what is a socket address: nothing else is worth keeping, whoever said it.
fn is_address(text: &str) -> bool {
    text.len() <= limits::ADDRESS_BYTES && text.parse::<std::net::SocketAddr>().is_ok()
}

/// Whether the owner's addresses can be kept as they are.
pub(super) fn check_addresses(addrs: &[String], relay: Option<&str>) -> Result<(), PeerError> {
    if addrs.len() > limits::PEER_ADDRESSES {
        return Err(PeerError::TooMuch { what: "addresses of one peer", limit: limits::PEER_ADDRESSES });
    }
    if let Some(bad) = addrs.iter().find(|addr| !is_address(addr)) {
        return Err(PeerError::BadAddress(bad.clone()));
    }
    if relay.is_some_and(|relay| relay.len() > limits::RELAY_BYTES) {
        return Err(PeerError::TooMuch { what: "bytes of a relay's URL", limit: limits::RELAY_BYTES });
    }
    Ok(())
}
