//! Where members say that they are, as far as this node can make use of it; and whom of them to ask.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    ops::Bound,
};

use clankers_protocol::NodeId;

/// Neighbours in turn, after the one that was asked last: none of them alone decides what becomes known here.
pub(super) fn in_turn(neighbors: &BTreeSet<NodeId>, asked: Option<NodeId>) -> Option<NodeId> {
    let after = asked.map_or(Bound::Unbounded, Bound::Excluded);
    let next = neighbors.range((after, Bound::Unbounded)).next();
    next.or(neighbors.first()).copied()
}

/// The addresses of a record that mean its author also from here. A loopback address is that of whoever dials it: it is of
/// use only where both are on one machine, which shows by another address that both have, or by there being none.
pub(super) fn usable(own: &[SocketAddr], said: &[SocketAddr]) -> Vec<SocketAddr> {
    let ip = |addr: &SocketAddr| addr.ip().to_canonical();
    let outer = |addrs: &[SocketAddr]| -> Vec<IpAddr> {
        addrs.iter().map(ip).filter(|ip| !ip.is_loopback()).collect()
    };
    let (ours, theirs) = (outer(own), outer(said));
    let one_machine = theirs.iter().any(|ip| ours.contains(ip)) || ours.is_empty() || theirs.is_empty();
    said.iter().filter(|addr| one_machine || !ip(addr).is_loopback()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, NodeId, SocketAddr, in_turn, usable};

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn neighbours_are_asked_in_turn() {
        let id = |n| NodeId([n; 32]);
        let mut neighbors: BTreeSet<NodeId> = [1, 5, 9].map(id).into();
        let mut asked = None;
        let mut turn = |neighbors: &BTreeSet<NodeId>| {
            asked = in_turn(neighbors, asked);
            asked
        };
        let order: Vec<_> = (0..4).map(|_| turn(&neighbors)).collect();
        assert_eq!(order, [1, 5, 9, 1].map(|n| Some(id(n))));
        neighbors.remove(&id(1));
        assert_eq!(turn(&neighbors), Some(id(5)));
        neighbors.clear();
        assert_eq!(turn(&neighbors), None);
    }

    #[test]
    fn loopback_is_of_use_on_one_machine_only() {
        let here = addrs(&["127.0.0.1:7", "10.0.0.1:7", "[::1]:7"]);
        let there = addrs(&["127.0.0.1:9", "10.0.0.2:9", "[::ffff:127.0.0.1]:9"]);
        assert_eq!(usable(&here, &there), addrs(&["10.0.0.2:9"]));
        let beside = addrs(&["127.0.0.1:9", "10.0.0.1:9"]);
        assert_eq!(usable(&here, &beside), beside, "another node of this machine");
        let cable_pulled = addrs(&["127.0.0.1:7"]);
        assert_eq!(usable(&cable_pulled, &beside), beside);
        assert_eq!(usable(&here, &cable_pulled), cable_pulled);
    }
}
