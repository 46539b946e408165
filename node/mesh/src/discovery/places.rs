//! Where one peer is said to be. Whoever sends a record can name any id, so a new one does not replace what was heard
//! before: a liar adds addresses and takes none away.
//!
//! Kept are the addresses of the newest record, those at which the peer was reached, and of the others those that were
//! there first: lies that come after the truth push out each other.

use std::net::SocketAddr;

use clankers_protocol::Timestamp;

use crate::limits::{DISCOVERED_KEPT, DISCOVERED_TTL_MS};

#[derive(Debug)]
struct Place {
    addr: SocketAddr,
    /// The newest record names it.
    current: bool,
    /// The peer proved its key there, and no dial has failed since.
    reached: bool,
    /// When it is forgotten unless heard again.
    expires: Option<Timestamp>,
}

/// The addresses of one peer, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    /// A record names these.
    pub(super) fn heard(&mut self, now: Timestamp, addrs: &[SocketAddr]) {
        for place in &mut self.0 {
            place.current = addrs.contains(&place.addr);
            match place.current {
                true => place.expires = None,
                false if place.reached => {}
                false => _ = place.expires.get_or_insert(now.plus_ms(DISCOVERED_TTL_MS)),
            }
        }
        for addr in addrs {
            if !self.0.iter().any(|place| place.addr == *addr) {
                self.0.push(Place { addr: *addr, current: true, reached: false, expires: None });
            }
        }
        self.trim();
    }

    /// The peer proved its key at this address.
    pub(super) fn reached(&mut self, addr: SocketAddr) {
        let known = self.0.iter().position(|place| place.addr == addr);
        let current = known.map(|at| self.0.remove(at)).is_some_and(|place| place.current);
        // In front: where it was reached last is tried first.
        self.0.insert(0, Place { addr, current, reached: true, expires: None });
        self.trim();
    }

    /// It was not reached anywhere: what only was true once has to be heard again.
    pub(super) fn missed(&mut self, now: Timestamp) {
        for place in &mut self.0 {
            place.reached = false;
            if !place.current {
                place.expires.get_or_insert(now.plus_ms(DISCOVERED_TTL_MS));
            }
        }
    }

    /// From now on every address runs out, unless it is heard or reached again.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        for place in &mut self.0 {
            place.expires.get_or_insert(now.plus_ms(DISCOVERED_TTL_MS));
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|place| place.expires.is_none_or(|at| at > now));
    }

    /// Makes those that the newest record does not name few enough: the one that came last goes, of those that were
    /// reached the one that was so longest ago.
    fn trim(&mut self) {
        while self.0.iter().filter(|place| !place.current).count() > DISCOVERED_KEPT {
            let last = self.0.iter().rposition(|place| !place.current && !place.reached);
            let Some(last) = last.or_else(|| self.0.iter().rposition(|place| !place.current)) else { return };
            self.0.remove(last);
        }
    }

    /// What to dial: where it was reached, then what it says now, then the rest.
    pub(super) fn list(&self) -> Vec<SocketAddr> {
        let rank = |place: &&Place| match (place.reached, place.current) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        let mut places: Vec<&Place> = self.0.iter().collect();
        places.sort_by_key(rank);
        places.into_iter().map(|place| place.addr).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::DISCOVERED_ADDRESSES;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    const MANY: u64 = DISCOVERED_TTL_MS * 10;

    #[test]
    fn lies_push_out_each_other_and_not_the_truth() {
        let mut places = Places::default();
        places.heard(Timestamp(0), &[at(1)]);
        for n in 0..4_000_u16 {
            // Twenty a second, each with as many addresses as a record may have.
            let lies: Vec<_> = (0..16).map(|i| at(1_000 + n % 3_000 * 16 + i)).collect();
            assert_eq!(lies.len(), DISCOVERED_ADDRESSES);
            places.heard(Timestamp(u64::from(n) * 50), &lies);
            places.sweep(Timestamp(u64::from(n) * 50));
            let list = places.list();
            assert!(list.contains(&at(1)), "lie {n}");
            assert!(
                list[..lies.len()].iter().all(|addr| lies.contains(addr)),
                "what it says now comes first"
            );
        }
        // The liar stops: what nobody says any more runs out.
        places.heard(Timestamp(MANY), &[at(1)]);
        places.sweep(Timestamp(MANY + DISCOVERED_TTL_MS));
        assert_eq!(places.list(), [at(1)]);
    }

    #[test]
    fn where_it_was_reached_is_tried_first_and_stays_until_a_dial_fails() {
        let mut places = Places::default();
        places.heard(Timestamp(0), &[at(7)]);
        for n in 0..100 {
            places.heard(Timestamp(0), &[at(100 + n)]);
        }
        places.reached(at(1));
        for n in 0..100 {
            places.heard(Timestamp(MANY), &[at(300 + n)]);
        }
        places.sweep(Timestamp(MANY));
        assert_eq!(places.list().first(), Some(&at(1)));
        places.missed(Timestamp(MANY));
        assert!(places.list().contains(&at(1)), "a dial may fail for other reasons");
        places.sweep(Timestamp(MANY + DISCOVERED_TTL_MS));
        assert_eq!(places.list(), [at(399)]);
    }

    #[test]
    fn in_doubt_all_of_it_runs_out_but_what_is_heard_anew() {
        let mut places = Places::default();
        places.heard(Timestamp(0), &[at(1)]);
        places.reached(at(2));
        places.doubt(Timestamp(1_000));
        places.heard(Timestamp(2_000), &[at(3)]);
        places.sweep(Timestamp(1_000 + DISCOVERED_TTL_MS));
        assert_eq!(places.list(), [at(3)]);
    }

    proptest! {
        #[test]
        fn they_are_few_and_each_is_there_once(
            steps in prop::collection::vec((0_u8..6, prop::collection::btree_set(1_u16..60, 1..=DISCOVERED_ADDRESSES)), 0..200)
        ) {
            let mut places = Places::default();
            for (n, (what, ports)) in steps.into_iter().enumerate() {
                let now = Timestamp(n as u64 * 20_000);
                let addrs: Vec<_> = ports.into_iter().map(at).collect();
                match what {
                    0 => places.reached(addrs[0]),
                    1 => places.missed(now),
                    2 => places.doubt(now),
                    3 => places.sweep(now),
                    _ => {
                        places.heard(now, &addrs);
                        prop_assert!(addrs.iter().all(|addr| places.list().contains(addr)));
                    }
                }
                let list = places.list();
                prop_assert!(list.len() <= DISCOVERED_ADDRESSES + DISCOVERED_KEPT);
                prop_assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
            }
        }
    }
}
