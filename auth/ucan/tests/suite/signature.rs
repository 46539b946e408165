//! Attacks on signatures.

use ucan::{Delegation, Did, Ipld, Profile, Unverified};

use crate::forge::{DLG, envelope, fields, link, links, text};

/// Order of the Ed25519 base point, little endian (RFC 8032, section 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Where the signature lies in a token.
const SIGNATURE: std::ops::Range<usize> = 3..67;

fn verifies(bytes: &[u8]) -> bool {
    Unverified::<Delegation>::decode(bytes, Profile::Strict).is_ok_and(|token| token.verify().is_ok())
}

#[test]
fn no_flipped_bit_survives() {
    let good = link(1, 1, 2).bytes().to_vec();
    assert!(verifies(&good));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!verifies(&bad), "bit {bit}");
    }
}

#[test]
fn a_flip_in_any_link_of_a_chain_is_found() {
    for broken in 0..3 {
        let tokens: Vec<_> = links(&[1, 2, 3, 4])
            .into_iter()
            .enumerate()
            .map(|(position, token)| {
                let mut bytes = token.bytes().to_vec();
                bytes[SIGNATURE.start + 5] ^= u8::from(position == broken);
                Unverified::<Delegation>::decode(&bytes, Profile::Strict).unwrap()
            })
            .collect();
        let bad = *tokens[broken].cid();
        let chain = ucan::Chain::order(tokens).unwrap();
        assert_eq!(chain.verify_signatures(|_| false).unwrap_err().cid, bad);
    }
}

#[test]
fn a_signature_whose_s_is_not_reduced() {
    let mut bytes = link(1, 1, 2).bytes().to_vec();
    let mut carry = 0_u16;
    for (byte, order) in bytes[SIGNATURE][32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S plus the order fits 32 bytes");
    assert!(!verifies(&bytes), "the same signature, malleated");
}

#[test]
fn another_principals_signature() {
    // Signed by 1, said to be issued by 2.
    let mut claims = fields();
    claims.insert("iss".into(), text(crate::forge::did(2)));
    let token = Unverified::<Delegation>::decode(&envelope(DLG, claims), Profile::Strict).unwrap();
    assert_eq!(token.verify().unwrap_err().issuer, crate::forge::did(2));
}

#[test]
fn keys_of_small_order_and_keys_that_are_no_point() {
    let identity = {
        let mut key = [0; 32];
        key[0] = 1;
        key
    };
    for weak in [[0; 32], identity, [0xff; 32], [2; 32]] {
        let mut claims = fields();
        claims.insert("iss".into(), text(Did::from_bytes(weak)));
        let mut bytes = envelope(DLG, claims);
        // R = identity and S = 0 satisfies the unguarded equation for the identity key.
        bytes[SIGNATURE].fill(0);
        bytes[SIGNATURE.start] = 1;
        assert!(!verifies(&bytes), "{weak:02x?}");
    }
}

#[test]
fn remembered_signatures_are_remembered_by_exact_bytes() {
    let token = link(1, 1, 2);
    let cached = *token.cid();
    assert!(token.clone().verify_unless(|cid| *cid == cached).is_ok());
    let mut bytes = token.bytes().to_vec();
    bytes[SIGNATURE.start] ^= 1;
    let other = Unverified::<Delegation>::decode(&bytes, Profile::Strict).unwrap();
    assert!(other.verify_unless(|cid| *cid == cached).is_err());
}

#[test]
fn the_payload_of_a_verified_token_is_what_was_signed() {
    let token = link(1, 1, 2).verify().unwrap();
    assert_eq!(token.audience(), &crate::forge::did(2));
    assert_eq!(token.policy().to_ipld(), Ipld::List(vec![]));
}
