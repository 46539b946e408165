//! What a member can make up, and what is let through of it.

use proptest::prelude::*;

use super::*;

/// A message by its numbers on the wire: 0 swarm, 1 gossip; then the kind within it.
fn made(family: u32, kind: u32, rest: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(&(family, kind, rest)).unwrap()
}

fn payload(content: &[u8], id: [u8; 32], round: u16) -> Vec<u8> {
    made(1, 0, &(id, content, (0_u32, round)))
}

const NOBODY: [u8; 32] = [7; 32];
const NO_DATA: Option<&[u8]> = None;

/// Both readers agree that these bytes are a message.
fn core_reads(bytes: &[u8]) -> bool {
    postcard::from_bytes::<CoreMessage>(bytes).is_ok()
}

#[test]
fn what_no_honest_node_sends_is_refused() {
    let id = |content: &[u8]| *blake3::hash(content).as_bytes();
    let data: Option<&[u8]> = Some(b"kept for ever");
    let empty: Option<&[u8]> = Some(b"");
    let many = vec![(NOBODY, NO_DATA); GOSSIP_SHUFFLED + 1];
    let long = vec![1; GOSSIP_PAYLOAD_BYTES + 1];
    let cases = [
        (made(0, 0, &data), Odd::PeerData),
        (made(0, 0, &empty), Odd::PeerData),
        (made(0, 1, &(NOBODY, data, 6_u16)), Odd::PeerData),
        (made(0, 1, &(NOBODY, NO_DATA, u16::MAX)), Odd::Ttl),
        (made(0, 2, &(NOBODY, vec![(NOBODY, data)], 6_u16)), Odd::PeerData),
        (made(0, 2, &(NOBODY, many.clone(), 6_u16)), Odd::Shuffle),
        (made(0, 2, &(NOBODY, vec![(NOBODY, NO_DATA)], GOSSIP_TTL + 1)), Odd::Ttl),
        (made(0, 3, &many), Odd::Shuffle),
        (made(0, 4, &(0_u32, data)), Odd::PeerData),
        (payload(&long, id(&long), 0), Odd::Payload),
        (payload(b"hello", id(b"other"), 0), Odd::Id),
        (made(1, 0, &(id(b"hello"), b"hello".as_slice(), 1_u32)), Odd::Scope),
    ];
    for (bytes, why) in &cases {
        assert!(core_reads(bytes), "the core would take it: {why}");
        assert_eq!(look(bytes), Err(*why));
    }
    assert_eq!(look(&[]), Err(Odd::Garbage));
    assert_eq!(look(&made(0, 9, &())), Err(Odd::Garbage));
    let mut trailing = payload(b"hello", id(b"hello"), 0);
    trailing.push(0);
    assert_eq!(look(&trailing), Err(Odd::Garbage));
}

/// In a debug build the core would panic on the first, in a release build it would begin at 0 again.
#[test]
fn a_hop_count_at_its_end_blames_nobody_and_goes_nowhere() {
    let id = *blake3::hash(b"hello").as_bytes();
    assert_eq!(look(&payload(b"hello", id, u16::MAX)), Ok(Look::Tired));
    assert_eq!(look(&payload(b"hello", id, GOSSIP_ROUNDS + 1)), Ok(Look::Tired));
    let content = Bytes::from_static(b"hello");
    assert_eq!(look(&payload(b"hello", id, GOSSIP_ROUNDS)), Ok(Look::Payload { id, content }));
}

#[test]
fn an_announcement_of_many_counts_as_many() {
    let ids = vec![(NOBODY, 1_u16); 100];
    assert_eq!(look(&made(1, 3, &ids)), Ok(Look::Other { as_many: 100 }));
    let introduced = made(0, 1, &(NOBODY, NO_DATA, 6_u16));
    assert_eq!(look(&introduced), Ok(Look::Other { as_many: GOSSIP_INTRODUCTION }));
    assert_eq!(look(&made(1, 3, &Vec::<([u8; 32], u16)>::new())), Ok(Look::Other { as_many: 1 }));
    // A length that is not there allocates nothing and is no message.
    assert_eq!(look(&[1, 3, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Odd::Garbage));
}

#[test]
fn requests_that_the_core_hardly_refuses_are_told_apart() {
    assert_eq!(look(&made(0, 0, &NO_DATA)), Ok(Look::Join));
    assert_eq!(look(&made(0, 4, &(0_u32, NO_DATA))), Ok(Look::Join));
    assert_eq!(look(&made(0, 4, &(1_u32, NO_DATA))), Ok(Look::Other { as_many: 1 }));
    assert_eq!(look(&made(0, 5, &(true, false))), Ok(Look::Other { as_many: 1 }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if look(&bytes).is_ok() {
            prop_assert!(core_reads(&bytes), "what is let through is a message to the core too");
        }
    }

    #[test]
    fn flipped_bits_make_it_neither_panic_nor_differ(
        at in 0_usize..60, bit in 0_u8..8, round in any::<u16>(),
    ) {
        let id = *blake3::hash(b"hello").as_bytes();
        let mut bytes = payload(b"hello", id, round);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        if look(&bytes).is_ok() {
            prop_assert!(core_reads(&bytes));
        }
    }
}
