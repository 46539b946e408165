//! Removals: who was removed from a team, when, and by whom.
//!
//! A removal takes back the memberships that the remover knows. Somebody may have more: an earlier invite, one that
//! another admin wrote, one that was never shown. So whoever learns of a removal refuses all that was written before it and
//! that the remover could have taken back as well. What a person writes later holds; what renews a membership of before is no
//! newer than that.

use std::collections::BTreeMap;

use clankers_protocol::{CidDigest, NodeId, Timestamp};

use super::Member;
use crate::{
    limits::{REMOVAL_SKEW_SECS, REMOVALS, REMOVALS_OF_ONE},
    revoke::Judged,
};

/// Somebody was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Who.
    pub member: NodeId,
    /// By whom: the team's key, or an admin.
    pub by: NodeId,
    /// When.
    pub at: Timestamp,
    /// The link that was taken back then: its revocation proves the removal.
    pub cid: CidDigest,
}

impl Removal {
    /// The removal that a revocation of a membership is, as it is learned `now`: a clock that is ahead removes nobody in the
    /// future.
    #[must_use]
    pub fn of(judged: &Judged, now: Timestamp) -> Self {
        let Judged { audience, revoker, cid, .. } = *judged;
        Self { member: audience, by: revoker, at: judged.at.min(now), cid }
    }

    /// From when on a membership has to have been written to be a new one.
    #[must_use]
    pub fn over(&self) -> Timestamp {
        self.at.plus_ms(REMOVAL_SKEW_SECS * 1_000)
    }
}

/// The removals that are known of one team.
#[derive(Debug, Default, Clone)]
pub struct Removals {
    of: BTreeMap<NodeId, Vec<Removal>>,
    count: usize,
}

impl Removals {
    /// Keeps one in mind; of several by the same the latest counts. When there are too many, those of whom was removed
    /// longest ago make room.
    pub fn note(&mut self, removal: Removal) {
        let known = self.of.entry(removal.member).or_default();
        if let Some(old) = known.iter_mut().find(|old| old.by == removal.by) {
            if old.at < removal.at {
                *old = removal;
            }
            return;
        }
        if known.len() >= REMOVALS_OF_ONE
            && let Some(place) = known.iter().enumerate().min_by_key(|(_, it)| it.at).map(|(place, _)| place)
        {
            known.swap_remove(place);
            self.count = self.count.saturating_sub(1);
        }
        known.push(removal);
        self.count = self.count.saturating_add(1);
        if self.count > REMOVALS {
            let latest = |all: &Vec<Removal>| all.iter().map(|it| it.at).max();
            let others = self.of.iter().filter(|(member, _)| **member != removal.member);
            let longest = others.min_by_key(|(_, all)| latest(all)).map(|(member, _)| *member);
            let gone = longest.and_then(|member| self.of.remove(&member));
            self.count = self.count.saturating_sub(gone.map_or(0, |gone| gone.len()));
        }
    }

    /// How many are kept in mind (count).
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The removal that ends a membership, which is good otherwise: of the member, or of an admin who brought it in.
    #[must_use]
    pub fn ending(&self, member: &Member) -> Option<Removal> {
        let mut above = Vec::with_capacity(member.links.len());
        for link in &member.links {
            above.push(link.issuer);
            let known = self.of.get(&link.audience).into_iter().flatten();
            let ends = |it: &&Removal| above.contains(&it.by) && link.since < it.over();
            if let Some(removal) = known.copied().find(|it| ends(&it)) {
                return Some(removal);
            }
        }
        None
    }

    /// What a new membership of somebody has to say of when it was written, at least, to be taken for one.
    #[must_use]
    pub fn written(&self, member: NodeId, now: Timestamp) -> Timestamp {
        self.of.get(&member).into_iter().flatten().map(Removal::over).fold(now, Timestamp::max)
    }
}
