//! Bytes changed at random, always in the same way: what the fuzz targets are run over on any toolchain.

/// Steele, Lea and Flood's SplitMix64 (2014): small, and good enough to shuffle bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        /// Bytes at which decoders turn: ends of ranges, CBOR's heads, JSON's and paths' marks.
        const TURNS: &[u8] = &[
            0, 1, 0x17, 0x18, 0x1b, 0x40, 0x5f, 0x7f, 0x80, 0x9f, 0xa1, 0xbf, 0xd8, 0xf6, 0xf7, 0xfb, 0xff,
            b'/', b'"', b'.', b'*', b'\\', b'\n',
        ];
        if self.next().is_multiple_of(2) {
            TURNS[self.below(TURNS.len())]
        } else {
            self.next().to_le_bytes()[0]
        }
    }
}

/// Runs a function over the seeds, and over `rounds` changes of them.
pub fn run(function: fn(&[u8]), seeds: &[Vec<u8>], rounds: usize) {
    let mut random = Random(seeds.len() as u64);
    seeds.iter().for_each(|seed| function(seed));
    for _ in 0..rounds {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            change(&mut bytes, seeds, &mut random);
        }
        function(&bytes);
    }
}

/// The longest that bytes may become (bytes).
const GROWN: usize = 64 * 1024;

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len().saturating_add(1));
    let to = at.saturating_add(random.below(24)).min(bytes.len());
    match random.below(8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.byte(),
        3 => bytes.insert(at, random.byte()),
        4 => drop(bytes.drain(at..to)),
        5 if bytes.len() < GROWN => {
            let twice = bytes[at..to].to_vec();
            bytes.splice(to..to, twice);
        }
        6 if bytes.len() < GROWN => {
            let other = &seeds[random.below(seeds.len())];
            let cut = random.below(other.len().saturating_add(1));
            bytes.truncate(at);
            bytes.extend_from_slice(&other[cut..]);
        }
        _ => bytes.truncate(at),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use clankers_mesh::{AddressError, PeerAddress, parse_ticket};
    use clankers_protocol::{NodeId, kind};

    use super::*;
    use crate::fuzz::{TARGETS, wire};

    /// Changes tried for each target (count).
    const ROUNDS: usize = 4000;
    /// The same for the one that writes files.
    const ROUNDS_ON_DISK: usize = 400;

    #[test]
    fn no_target_is_broken_by_its_seeds_or_changes_of_them() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            let rounds = if target.name == "session_log" { ROUNDS_ON_DISK } else { ROUNDS };
            run(target.run, &seeds, rounds);
        }
    }

    /// Tickets, which only this crate's tests can read: iroh is too large to be built for libFuzzer.
    #[test]
    fn tickets_have_one_meaning() {
        let key = ucan::SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
        let mut address = PeerAddress::from(NodeId(key));
        let plain = address.ticket().unwrap();
        address.addrs = vec!["192.0.2.1:4433".parse().unwrap(), "[2001:db8::1]:4433".parse().unwrap()];
        address.relay = Some("https://relay.example/".into());
        let seeds = vec![plain.into_bytes(), address.ticket().unwrap().into_bytes()];
        let read = |data: &[u8]| {
            let Some(address) = std::str::from_utf8(data).ok().and_then(|text| parse_ticket(text).ok())
            else {
                return;
            };
            match address.ticket() {
                Ok(ticket) => assert_eq!(parse_ticket(&ticket), Ok(address)),
                // Such as another scheme: a ticket may name it, and nobody dials it.
                Err(AddressError::Relay(_)) => assert!(address.relay.is_some()),
                Err(other) => panic!("{address:?}: {other}"),
            }
        };
        run(read, &seeds, ROUNDS);
    }

    #[test]
    fn every_kind_has_a_target() {
        let targets: BTreeSet<_> = wire::MESSAGES.iter().copied().collect();
        assert_eq!(targets.len(), wire::MESSAGES.len(), "a kind twice");
        let missing: Vec<_> = kind::ALL
            .iter()
            .filter(|kind| !targets.contains(kind) && !wire::is_event(**kind))
            .map(ToString::to_string)
            .collect();
        assert!(missing.is_empty(), "add these messages to tests/src/fuzz/wire.rs: {missing:?}");
    }

    /// A run that changed nothing would find nothing.
    #[test]
    fn changes_are_many_and_always_the_same() {
        thread_local! {
            static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
        }
        let seeds = vec![b"seed number one".to_vec(), b"two".to_vec()];
        let once = || {
            run(|bytes| SEEN.with_borrow_mut(|seen| seen.push(bytes.to_vec())), &seeds, 500);
            SEEN.take()
        };
        let first = once();
        assert_eq!(first, once());
        assert!(first.iter().collect::<BTreeSet<_>>().len() > 300);
    }
}
