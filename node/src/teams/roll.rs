//! Who has proven to be a member of a team.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use clankers_auth::team::{Member, NotMember};
use clankers_protocol::{NodeId, TeamId, limits::PRESENCE_MEMBERS};

use crate::{authority::Authority, clock};

/// The roll of one team. What stands in it was judged good when it came; what has changed since is found by
/// [`Roll::recheck`].
pub(crate) struct Roll {
    team: TeamId,
    authority: Arc<Authority>,
    entries: RwLock<BTreeMap<NodeId, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    member: Member,
    chain: Arc<Vec<u8>>,
}

impl std::fmt::Debug for Roll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roll").field("team", &self.team).finish_non_exhaustive()
    }
}

impl Roll {
    pub(crate) fn new(team: TeamId, authority: Arc<Authority>) -> Self {
        Self { team, authority, entries: RwLock::default() }
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<NodeId, Entry>) -> T) -> T {
        look(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Entry>) -> T) -> T {
        change(&mut self.entries.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges a membership and enters it; gives it, and whether it was not known before. One that is known to last longer
    /// stays. When the roll is full, nobody more is entered.
    pub(crate) fn enter(&self, id: NodeId, chain: &[u8]) -> Result<(Member, bool), NotMember> {
        // The very same again: what would end it is looked for elsewhere.
        let known = self.read(|entries| entries.get(&id).filter(|entry| *entry.chain == chain).cloned());
        if let Some(entry) = known.filter(|entry| entry.member.expires > clock::now()) {
            return Ok((entry.member, false));
        }
        let member = self.authority.judge_member(self.team, id, chain)?;
        let entry = Entry { member: member.clone(), chain: Arc::new(chain.to_vec()) };
        Ok(self.write(|entries| {
            if !entries.contains_key(&id) && entries.len() >= PRESENCE_MEMBERS {
                return (member, false);
            }
            match entries.get_mut(&id) {
                Some(old) if old.member.expires >= member.expires => (old.member.clone(), false),
                Some(old) => {
                    *old = entry;
                    (member, true)
                }
                None => {
                    entries.insert(id, entry);
                    (member, true)
                }
            }
        }))
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
            let error = self.authority.judge_member(self.team, id, &chain).err()?;
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
