//! Everything that is revoked, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clankers_protocol::{CidDigest, NodeId, Timestamp};

use super::RevocationRow;
use crate::{limits, store::rows::is_over};

/// What is to be done with a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Known,
    /// No room: this one is to be marked, until then.
    Mark(NodeId, Timestamp),
    /// It is marked for long enough.
    Marked,
    /// No room even for a mark.
    NoRoom,
}

#[derive(Debug)]
struct Entry {
    subject: NodeId,
    /// Whose room it takes; none of anybody's when the subject revoked it itself.
    grantee: Option<NodeId>,
    bytes: u64,
    expires: Timestamp,
    /// It is on the disk.
    durable: bool,
}

/// Room that was taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    count: u64,
    bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn remove(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether one more fits into so much.
    fn fits(&self, more: u64, count: u64, bytes: u64) -> bool {
        self.count < count && self.bytes.saturating_add(more) <= bytes
    }
}

/// By whom a revocation counts: nobody when it is the subject's own.
fn grantee(row: &RevocationRow) -> Option<NodeId> {
    (row.revoker != row.subject).then_some(row.grantee)
}

/// Revocations and marks by what is asked of them.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    rows: HashMap<CidDigest, Entry>,
    by_subject: BTreeMap<NodeId, BTreeSet<CidDigest>>,
    by_expiry: BTreeSet<(Timestamp, CidDigest)>,
    /// What stands below each that a subject granted to, by others than the subject.
    shares: HashMap<NodeId, Share>,
    /// All of that.
    by_others: Share,
    /// How many are the subjects' own (count).
    own: u64,
    marks: BTreeMap<NodeId, Timestamp>,
    generation: u64,
}

impl Mirror {
    pub(super) fn contains(&self, cid: &CidDigest) -> bool {
        self.rows.contains_key(cid)
    }

    pub(super) fn is_marked(&self, issuer: &NodeId) -> bool {
        self.marks.contains_key(issuer)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn of(&self, subject: NodeId, now: Timestamp) -> Vec<CidDigest> {
        let matters =
            |cid: &&CidDigest| self.rows.get(*cid).is_some_and(|row| row.expires > now && row.bytes > 0);
        self.by_subject.get(&subject).into_iter().flatten().filter(matters).copied().collect()
    }

    pub(super) fn judge(&self, row: &RevocationRow) -> Verdict {
        match self.rows.get(&row.cid) {
            Some(entry) if entry.durable => return Verdict::Known,
            // The disk failed at it: once more.
            Some(_) => return Verdict::New,
            None => {}
        }
        let bytes = row.container.len() as u64;
        let Some(grantee) = grantee(row) else {
            // A subject's own have room whatever those below it do.
            return if self.own < limits::REVOCATIONS_OWN {
                Verdict::New
            } else {
                self.overflow(row.subject, row)
            };
        };
        let own = self.shares.get(&grantee).copied().unwrap_or_default();
        let mine = own.fits(bytes, limits::REVOCATIONS_BY_GRANTEE, limits::REVOCATION_BYTES_BY_GRANTEE);
        let all =
            self.by_others.fits(bytes, limits::REVOCATIONS_BY_OTHERS, limits::REVOCATION_BYTES_BY_OTHERS);
        let common = self.by_others.fits(bytes, limits::REVOCATIONS_COMMON, limits::REVOCATION_BYTES_COMMON);
        // A few of each have room when others have filled the common part.
        let few = own.count < limits::REVOCATIONS_OF_EACH;
        if mine && all && (common || few) {
            return Verdict::New;
        }
        self.overflow(grantee, row)
    }

    /// No room: whose it is must be marked for as long as the row would have mattered. In whole days, so that a mark is not
    /// written once more for each second that somebody thinks of.
    fn overflow(&self, whose: NodeId, row: &RevocationRow) -> Verdict {
        let days = row.expires.0.div_ceil(limits::MARK_GRAIN_MS);
        let until = Timestamp(days.saturating_mul(limits::MARK_GRAIN_MS));
        match self.marks.get(&whose) {
            Some(marked) if *marked >= until => Verdict::Marked,
            Some(_) => Verdict::Mark(whose, until),
            None if self.marks.len() < limits::REVOKERS_OVER_QUOTA => Verdict::Mark(whose, until),
            None => Verdict::NoRoom,
        }
    }

    pub(crate) fn insert(&mut self, row: &RevocationRow, durable: bool) {
        let RevocationRow { cid, subject, expires, .. } = *row;
        let (grantee, bytes) = (grantee(row), row.container.len() as u64);
        if let Some(entry) = self.rows.get_mut(&cid) {
            entry.durable |= durable;
            return;
        }
        self.generation = self.generation.saturating_add(1);
        self.rows.insert(cid, Entry { subject, grantee, bytes, expires, durable });
        self.by_subject.entry(subject).or_default().insert(cid);
        self.by_expiry.insert((expires, cid));
        match grantee {
            Some(grantee) => {
                self.shares.entry(grantee).or_default().add(bytes);
                self.by_others.add(bytes);
            }
            None => self.own = self.own.saturating_add(1),
        }
    }

    pub(crate) fn mark(&mut self, whose: NodeId, until: Timestamp) {
        self.generation = self.generation.saturating_add(1);
        let mark = self.marks.entry(whose).or_default();
        *mark = until.max(*mark);
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((expires, cid)) = self.by_expiry.first().copied().filter(|(at, _)| is_over(*at, now)) {
            self.by_expiry.remove(&(expires, cid));
            let Some(entry) = self.rows.remove(&cid) else { continue };
            if let Some(cids) = self.by_subject.get_mut(&entry.subject) {
                cids.remove(&cid);
                if cids.is_empty() {
                    self.by_subject.remove(&entry.subject);
                }
            }
            let Some(grantee) = entry.grantee else {
                self.own = self.own.saturating_sub(1);
                continue;
            };
            self.by_others.remove(entry.bytes);
            if let Some(share) = self.shares.get_mut(&grantee) {
                share.remove(entry.bytes);
                if *share == Share::default() {
                    self.shares.remove(&grantee);
                }
            }
        }
        self.marks.retain(|_, until| !is_over(*until, now));
    }
}
