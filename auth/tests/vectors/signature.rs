//! Signatures that are not their issuer's, or not in the one form of it.

use std::ops::Range;

use clankers_auth::step::Step;
use ed25519_dalek::Signer;
use ucan::{Did, Ipld};

use crate::{
    forge::{
        DLG, alone, container, delegation, encode, fields, flipped, key, link, links, seal, signed, text,
        with,
    },
    table,
    vector::{Judge, Vector},
};

/// Where the signature lies in a token.
const SIGNATURE: Range<usize> = 3..67;
/// Order of the Ed25519 base point, little endian (RFC 8032, section 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
const WRONG: &str = "Signature";

pub(crate) fn all() -> Vec<Vector> {
    let mut all = table("signature", Judge::Chain, (Step::Signatures, "bad_token"), alone_or_leaf());
    all.extend(bent_links());
    all.extend(weak_keys());
    all
}

fn resigned(token: &[u8], signature: &[u8]) -> Vec<u8> {
    [&token[..SIGNATURE.start], signature, &token[SIGNATURE.end..]].concat()
}

/// S plus the order: the same point, another text.
fn malleated(token: &[u8]) -> Vec<u8> {
    let mut bytes = token.to_vec();
    let mut carry = 0_u16;
    for (byte, order) in bytes[SIGNATURE][32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    bytes
}

fn alone_or_leaf() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = link(1, 2);
    let content = encode(&signed(DLG, fields(1, 2)));
    let by_another = seal(9, signed(DLG, fields(1, 2)));
    let payload = encode(&Ipld::Map(fields(1, 2)));
    let over = |bytes: &[u8]| resigned(&good, &key(1).sign(bytes).to_bytes());
    let other = link(1, 3);
    // A policy that was narrow when it was signed.
    let narrow = delegation(1, with(fields(1, 2), "cmd", text("/clankers/node")));
    let half = |which: Range<usize>| {
        let mut signature = good[SIGNATURE].to_vec();
        signature[which].fill(0);
        resigned(&good, &signature)
    };
    assert_eq!(over(&content), good);
    vec![
        ("another key's", alone(by_another), WRONG),
        ("of another token of the same issuer", alone(resigned(&good, &other[SIGNATURE])), WRONG),
        ("of a narrower token", alone(resigned(&good, &narrow[SIGNATURE])), WRONG),
        ("over the payload without the header", alone(over(&payload)), WRONG),
        ("over nothing", alone(over(b"")), WRONG),
        ("over the CID", alone(over(ucan::Cid::of(&content).digest())), WRONG),
        ("zeros", alone(resigned(&good, &[0; 64])), WRONG),
        ("ones", alone(resigned(&good, &[0xff; 64])), WRONG),
        ("R is zero", alone(half(0..32)), WRONG),
        ("S is zero", alone(half(32..64)), WRONG),
        ("S is not reduced", alone(malleated(&good)), WRONG),
        ("the first bit of R", alone(flipped(&good, SIGNATURE.start)), WRONG),
        ("the last byte of S", alone(flipped(&good, SIGNATURE.end - 1)), WRONG),
    ]
}

/// One bit in one link of three: of the signature, the nonce, the time.
fn bent_links() -> Vec<Vector> {
    let at = |token: &[u8], name: &[u8], ahead: usize| {
        token.windows(name.len()).position(|window| window == name).unwrap() + name.len() + ahead
    };
    let mut all = Vec::new();
    for (which, place) in ["root", "middle", "leaf"].iter().enumerate() {
        let token = &links(3)[which];
        for (what, byte) in
            [("signature", 20), ("nonce", at(token, b"enonce", 3)), ("end", at(token, b"cexp", 4))]
        {
            let mut chain = links(3);
            chain[which] = flipped(token, byte);
            let name = format!("signature: a bit of the {what} in the {place}");
            let vector = Vector::new(Judge::Chain, name, container(&chain)).by(4);
            all.push(vector.refused(Step::Signatures, WRONG, "bad_token"));
        }
        let mut chain = links(3);
        chain[which] = malleated(token);
        let vector =
            Vector::new(Judge::Chain, format!("signature: S not reduced in the {place}"), container(&chain));
        all.push(vector.by(4).refused(Step::Signatures, WRONG, "bad_token"));
    }
    all
}

/// Node 1 delegated to a key for which anybody can sign, or nobody.
fn weak_keys() -> Vec<Vector> {
    let small = |first: u8, last: u8| {
        let mut key = [0_u8; 32];
        (key[0], key[31]) = (first, last);
        key
    };
    // Points of order 1, 4 and 2; the identity again with its sign bit; nothing that is a point.
    let keys = [
        ("the identity", small(1, 0)),
        ("order four", small(0, 0)),
        ("the identity, sign bit set", small(1, 0x80)),
        ("no point", small(2, 0)),
        ("beyond the field", [0xff; 32]),
    ];
    keys.into_iter()
        .map(|(name, weak)| {
            let weak = text(Did::from_bytes(weak));
            let root = delegation(1, with(fields(1, 2), "aud", weak.clone()));
            let mut forged = delegation(9, with(fields(9, 2), "iss", weak));
            // R = identity and S = 0 holds for the identity key in readers without `verify_strict`.
            forged[SIGNATURE].fill(0);
            forged[SIGNATURE.start] = 1;
            let vector = Vector::new(Judge::Chain, format!("weak key: {name}"), container(&[root, forged]));
            vector.refused(Step::Signatures, WRONG, "bad_token")
        })
        .collect()
}
