//! Records of authority as both the database and `auth.log` have them, and what becomes of two copies.

use std::collections::BTreeMap;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    ledger::CounterRow, limits, revocations::RevocationRow, store::authority::AuthorityRow, tokens::TokenRow,
};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A token, as it is from now on.
    Token(TokenRow),
    /// A token made room for another; its key.
    Dropped(String),
    Revocation(RevocationRow),
    /// A revoker's quota is full until then.
    Overflow(NodeId, Timestamp),
    /// Totals of links, as they are from now on.
    Counters(Vec<Counter>),
    /// An invocation was seen; it is remembered until then.
    Replay(CidDigest, Timestamp),
    Authority(AuthorityRow),
}

/// A link's totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) cid: CidDigest,
    #[serde(flatten)]
    pub(crate) row: CounterRow,
}

/// All records of one place.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    /// By key.
    pub(crate) tokens: BTreeMap<String, TokenRow>,
    pub(crate) revocations: BTreeMap<CidDigest, RevocationRow>,
    pub(crate) overflows: BTreeMap<NodeId, Timestamp>,
    pub(crate) counters: BTreeMap<CidDigest, CounterRow>,
    pub(crate) replay: BTreeMap<CidDigest, Timestamp>,
    pub(crate) authority: AuthorityRow,
    /// The latest end of a revocation, mark or counter that was here and was forgotten.
    pub(crate) dropped: Timestamp,
}

impl Records {
    /// Takes a record that came after all that were taken before.
    pub(crate) fn take(&mut self, record: Record) {
        match record {
            Record::Token(row) => {
                self.tokens.insert(row.key(), row);
            }
            Record::Dropped(key) => {
                self.tokens.remove(&key);
            }
            Record::Revocation(row) => {
                self.revocations.insert(row.cid, row);
            }
            Record::Overflow(revoker, until) => {
                self.overflows.insert(revoker, until);
            }
            Record::Counters(counters) => {
                self.counters.extend(counters.into_iter().map(|counter| (counter.cid, counter.row)));
            }
            Record::Replay(cid, until) => {
                self.replay.insert(cid, until);
            }
            Record::Authority(row) => self.authority = row,
        }
    }

    /// Forgets what is over by `past`; invocations, what is over `now`.
    pub(crate) fn forget(&mut self, past: Timestamp, now: Timestamp) {
        self.forget_but(&Self::default(), past, now);
    }

    /// The same, except for what `kept` has.
    pub(crate) fn forget_but(&mut self, kept: &Self, past: Timestamp, now: Timestamp) {
        self.tokens.retain(|key, row| kept.tokens.contains_key(key) || !row.is_gone(past));
        let dropped = &mut self.dropped;
        let mut stays = |kept: bool, until: Timestamp| {
            let over = !kept && is_over(until, past);
            if over {
                *dropped = until.max(*dropped);
            }
            !over
        };
        self.revocations.retain(|cid, row| stays(kept.revocations.contains_key(cid), row.expires));
        self.overflows.retain(|revoker, until| stays(kept.overflows.contains_key(revoker), *until));
        self.counters.retain(|cid, row| stays(kept.counters.contains_key(cid), row.expires));
        self.replay.retain(|_, until| *until > now);
    }

    /// Adds what only `other` has. Where both have something, the stricter counts, or the later.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, row) in other.tokens {
            self.tokens.entry(key).or_insert(row);
        }
        for (cid, row) in other.revocations {
            self.revocations.entry(cid).or_insert(row);
        }
        for (revoker, until) in other.overflows {
            let mine = self.overflows.entry(revoker).or_insert(until);
            *mine = until.max(*mine);
        }
        for (cid, row) in other.counters {
            match self.counters.get_mut(&cid) {
                Some(mine) => mine.at_least(&row),
                None => drop(self.counters.insert(cid, row)),
            }
        }
        for (cid, until) in other.replay {
            let mine = self.replay.entry(cid).or_insert(until);
            *mine = until.max(*mine);
        }
        self.dropped = self.dropped.max(other.dropped);
        if other.authority.number > self.authority.number {
            self.authority = other.authority;
        }
    }

    /// What `other` does not have in just this form.
    pub(crate) fn lacking_in(&self, other: &Self) -> Vec<Record> {
        let mut lacking = Vec::new();
        let tokens = self.tokens.iter().filter(|(key, row)| other.tokens.get(*key) != Some(row));
        lacking.extend(tokens.map(|(_, row)| Record::Token(row.clone())));
        let revocations = self.revocations.iter().filter(|(cid, _)| !other.revocations.contains_key(*cid));
        lacking.extend(revocations.map(|(_, row)| Record::Revocation(row.clone())));
        let overflows = self.overflows.iter().filter(|(key, until)| other.overflows.get(*key) != Some(until));
        lacking.extend(overflows.map(|(revoker, until)| Record::Overflow(*revoker, *until)));
        let counters = self.counters.iter().filter(|(cid, row)| other.counters.get(*cid) != Some(row));
        lacking.extend(
            counters.map(|(cid, row)| Record::Counters(vec![Counter { cid: *cid, row: row.clone() }])),
        );
        let replay = self.replay.iter().filter(|(cid, until)| other.replay.get(*cid) != Some(until));
        lacking.extend(replay.map(|(cid, until)| Record::Replay(*cid, *until)));
        if self.authority != other.authority {
            lacking.push(Record::Authority(self.authority.clone()));
        }
        lacking
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        let count = [
            self.tokens.len(),
            self.revocations.len(),
            self.overflows.len(),
            self.counters.len(),
            self.replay.len(),
        ];
        count.iter().fold(1, |sum: u64, n| sum.saturating_add(*n as u64))
    }
}

/// Whether what ended at `expires` is forgotten by now.
pub(crate) fn is_over(expires: Timestamp, now: Timestamp) -> bool {
    expires.plus_ms(limits::TOKEN_GRACE_MS) < now
}
