//! Who has proven to be a member of a team.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use clankers_auth::team::{Member, NotMember, Removal, Removals};
use clankers_protocol::{NodeId, TeamId, Timestamp, limits::PRESENCE_MEMBERS};
use tokio::sync::Notify;

use crate::{authority::Authority, clock, limits::TEAM_RETURNED};

/// The roll of one team. What stands in it was judged good when it came; what has changed since is found by
/// [`Roll::recheck`].
pub(crate) struct Roll {
    team: TeamId,
    authority: Arc<Authority>,
    entries: RwLock<BTreeMap<NodeId, Entry>>,
    /// Whom this node removes as: its own key, and the team's where that lies here.
    ours: Vec<NodeId>,
    removals: RwLock<Removals>,
    /// Memberships of before a removal of this node's that somebody shows, and when that was.
    returned: Mutex<BTreeMap<NodeId, (Vec<u8>, Timestamp)>>,
    came_back: Notify,
}

#[derive(Debug, Clone)]
struct Entry {
    member: Member,
    chain: Arc<Vec<u8>>,
    /// What had been revoked when it was judged last, as a count of changes.
    judged: u64,
}

impl Entry {
    /// When its last link was written; in the same second, what it gives.
    fn age(&self) -> (Timestamp, bool, Timestamp) {
        let issued = self.member.links.last().map_or(Timestamp(0), |leaf| leaf.issued);
        (issued, self.member.admin, self.member.expires)
    }
}

impl std::fmt::Debug for Roll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roll").field("team", &self.team).finish_non_exhaustive()
    }
}

impl Roll {
    pub(crate) fn new(
        team: TeamId,
        authority: Arc<Authority>,
        ours: Vec<NodeId>,
        removals: Removals,
    ) -> Self {
        Self {
            team,
            authority,
            entries: RwLock::default(),
            ours,
            removals: RwLock::new(removals),
            returned: Mutex::default(),
            came_back: Notify::new(),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<NodeId, Entry>) -> T) -> T {
        look(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Entry>) -> T) -> T {
        change(&mut self.entries.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Somebody was removed: what was written before holds no longer.
    pub(crate) fn note(&self, removal: Removal) {
        self.removals.write().unwrap_or_else(PoisonError::into_inner).note(removal);
    }

    /// Whether this node removes, and invites, as this one.
    pub(crate) fn is_ours(&self, id: NodeId) -> bool {
        self.ours.contains(&id)
    }

    /// Judges a membership.
    pub(crate) fn judge(&self, id: NodeId, chain: &[u8]) -> Result<Member, NotMember> {
        let member = self.authority.judge_member(self.team, id, chain)?;
        let ending = self.removals.read().unwrap_or_else(PoisonError::into_inner).ending(&member);
        let Some(removal) = ending else { return Ok(member) };
        if self.is_ours(removal.by) {
            let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
            if returned.len() < TEAM_RETURNED {
                returned.insert(id, (chain.to_vec(), removal.at));
                self.came_back.notify_one();
            }
        }
        Err(NotMember::Removed(removal))
    }

    /// Memberships that this node has to take back as well, each as of its removal. Nothing is lost when this is dropped.
    pub(crate) async fn returned(&self) -> Vec<(Vec<u8>, Timestamp)> {
        loop {
            self.came_back.notified().await;
            let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
            if !returned.is_empty() {
                return std::mem::take(&mut *returned).into_values().collect();
            }
        }
    }

    /// Judges a membership that was told, or remembered, and enters it; gives what stands then, and whether that was not known
    /// before. One that was written later stays, and of two at once the one that gives more. When the roll is full, nobody
    /// more is entered.
    pub(crate) fn enter(&self, id: NodeId, chain: &[u8]) -> Result<(Member, bool), NotMember> {
        self.enter_from(id, chain, false)
    }

    /// The same for one that its member itself shows: it stands instead of any other.
    pub(crate) fn shown(&self, id: NodeId, chain: &[u8]) -> Result<(Member, bool), NotMember> {
        self.enter_from(id, chain, true)
    }

    fn enter_from(&self, id: NodeId, chain: &[u8], itself: bool) -> Result<(Member, bool), NotMember> {
        let changes = self.authority.changes();
        // The very same again, and nothing was revoked since.
        let same = |entry: &&Entry| *entry.chain == chain && entry.judged == changes;
        let known = self.read(|entries| entries.get(&id).filter(same).cloned());
        if let Some(entry) = known.filter(|entry| entry.member.expires > clock::now()) {
            return Ok((entry.member, false));
        }
        let member = self.judge(id, chain)?;
        let entered =
            self.put(id, Entry { member, chain: Arc::new(chain.to_vec()), judged: changes }, itself);
        // Revoked meanwhile: whoever looked at all may have done so before this one stood here.
        if self.authority.changes() != changes
            && let Err(why) = self.judge(id, chain)
        {
            self.write(|entries| {
                if entries.get(&id).is_some_and(|entry| *entry.chain == chain) {
                    entries.remove(&id);
                }
            });
            return Err(why);
        }
        Ok(entered)
    }

    fn put(&self, id: NodeId, entry: Entry, itself: bool) -> (Member, bool) {
        self.write(|entries| {
            let full = entries.len() >= PRESENCE_MEMBERS;
            match entries.get_mut(&id) {
                None if full => (entry.member, false),
                None => {
                    let member = entry.member.clone();
                    entries.insert(id, entry);
                    (member, true)
                }
                Some(old) if old.chain == entry.chain => {
                    old.judged = entry.judged;
                    (entry.member, false)
                }
                Some(old) if !itself && old.age() >= entry.age() => (old.member.clone(), false),
                Some(old) => {
                    *old = entry;
                    (old.member.clone(), true)
                }
            }
        })
    }

    /// Whether this one has shown a membership that holds.
    pub(crate) fn is_member(&self, id: NodeId) -> bool {
        self.read(|entries| entries.get(&id).is_some_and(|entry| entry.member.expires > clock::now()))
    }

    /// The membership of somebody.
    pub(crate) fn member(&self, id: NodeId) -> Option<Member> {
        self.read(|entries| entries.get(&id).map(|entry| entry.member.clone()))
    }

    /// The same as it was shown.
    pub(crate) fn chain(&self, id: NodeId) -> Option<Arc<Vec<u8>>> {
        self.read(|entries| entries.get(&id).map(|entry| Arc::clone(&entry.chain)))
    }

    /// Everybody, in order of id.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.read(|entries| entries.keys().copied().collect())
    }

    /// Judges everybody anew, and takes out who is no member any more: these. Takes a while when there are many.
    pub(crate) fn recheck(&self) -> Vec<(NodeId, NotMember)> {
        let all: Vec<(NodeId, Arc<Vec<u8>>)> =
            self.read(|entries| entries.iter().map(|(id, entry)| (*id, Arc::clone(&entry.chain))).collect());
        let judged = all.into_iter().filter_map(|(id, chain)| {
            let error = self.judge(id, &chain).err()?;
            Some((id, chain, error))
        });
        let over: Vec<_> = judged.collect();
        self.write(|entries| {
            for (id, chain, _) in &over {
                // A new one may have come meanwhile.
                if entries.get(id).is_some_and(|entry| Arc::ptr_eq(&entry.chain, chain)) {
                    entries.remove(id);
                }
            }
        });
        over.into_iter().map(|(id, _, error)| (id, error)).collect()
    }
}

#[cfg(test)]
mod tests;
