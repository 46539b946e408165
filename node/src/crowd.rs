//! What one peer has of something, whatever keys its runs use: one peer cannot take every place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_protocol::NodeId;

/// Places by peer.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    taken: Arc<Mutex<BTreeMap<NodeId, usize>>>,
    each: usize,
}

/// One place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    peer: NodeId,
}

impl Crowd {
    /// So many places for each peer.
    pub(crate) fn new(each: usize) -> Self {
        Self { taken: Arc::default(), each }
    }

    /// A place for this peer, if it may have one more.
    pub(crate) fn enter(&self, peer: NodeId) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(peer).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.crowd.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::new(3);
        let places: Vec<_> = std::iter::from_fn(|| crowd.enter(NodeId([1; 32]))).collect();
        assert_eq!(places.len(), 3);
        assert!(crowd.enter(NodeId([2; 32])).is_some());
        drop(places);
        assert!(crowd.enter(NodeId([1; 32])).is_some());
        assert!(crowd.taken.lock().unwrap().is_empty());
    }
}
