//! How many connections one peer has, whatever keys its runs use: one peer cannot take every place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_protocol::NodeId;

use crate::limits::CONNECTIONS_PER_PEER;

/// Connections by principal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<NodeId, usize>>>);

/// One connection's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    principal: NodeId,
}

impl Crowd {
    /// A place for one more connection of this principal, if it may have one.
    pub(crate) fn enter(&self, principal: NodeId) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(principal).or_default();
        if *count >= CONNECTIONS_PER_PEER {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), principal })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::default();
        let places: Vec<_> = std::iter::from_fn(|| crowd.enter(NodeId([1; 32]))).collect();
        assert_eq!(places.len(), CONNECTIONS_PER_PEER);
        assert!(crowd.enter(NodeId([2; 32])).is_some());
        drop(places);
        assert!(crowd.enter(NodeId([1; 32])).is_some());
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
