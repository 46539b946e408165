//! Entries of manifests that are held in memory: so many in all, so many for each peer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_protocol::NodeId;

/// What is held, by peer.
#[derive(Debug)]
pub(crate) struct Shares {
    taken: Mutex<BTreeMap<NodeId, u64>>,
    all: u64,
    each: u64,
}

/// Entries of one manifest; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    peer: NodeId,
    entries: u64,
}

impl Shares {
    /// So many in all, and so many for each peer.
    pub(crate) fn new(all: u64, each: u64) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), all, each })
    }

    /// So many entries for this peer, when there are as many left.
    pub(crate) fn take(self: &Arc<Self>, peer: NodeId, entries: u64) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.values().fold(entries, |sum, more| sum.saturating_add(*more));
        let own = taken.get(&peer).copied().unwrap_or(0).saturating_add(entries);
        if all > self.all || own > self.each {
            return None;
        }
        taken.insert(peer, own);
        Some(Share { of: Arc::clone(self), peer, entries })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.peer) {
            *own = own.saturating_sub(self.entries);
            if *own == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_what_is_there_for_all() {
        let shares = Shares::new(30, 10);
        let [one, two, three, four] = [1, 2, 3, 4].map(|seed| NodeId([seed; 32]));
        let first = shares.take(one, 6).unwrap();
        assert!(shares.take(one, 5).is_none() && shares.take(one, u64::MAX).is_none());
        let rest = shares.take(one, 4).unwrap();
        let others = [two, three].map(|peer| shares.take(peer, 10).unwrap());
        assert!(shares.take(four, 1).is_none(), "all of it is taken");
        drop(first);
        assert!(shares.take(four, 6).is_some() && shares.take(one, 6).is_some());
        drop((rest, others));
        assert!(shares.taken.lock().unwrap().is_empty());
    }
}
