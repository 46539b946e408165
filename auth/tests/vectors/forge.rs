//! Tokens as an attacker writes them: any field, any bytes, any key. Keys are numbers; nothing is random.

use std::collections::BTreeMap;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ed25519_dalek::{Signer, SigningKey};
use ucan::{Cid, Did, Ipld};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const NOW_SECS: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 24 * 3600;
pub(crate) const DLG: &str = "ucan/dlg@1.0.0";
pub(crate) const INV: &str = "ucan/inv@1.0.0";
pub(crate) const VARSIG: [u8; 8] = [0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71];

pub(crate) type Fields = BTreeMap<String, Ipld>;

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(crate) fn did(n: u8) -> Did {
    Did::from(&key(n))
}

pub(crate) fn id(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

pub(crate) fn text(value: impl ToString) -> Ipld {
    Ipld::String(value.to_string())
}

pub(crate) fn int(value: impl Into<i128>) -> Ipld {
    Ipld::Integer(value.into())
}

pub(crate) fn map(entries: &[(&str, Ipld)]) -> Ipld {
    Ipld::Map(entries.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
}

pub(crate) fn encode(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap()
}

pub(crate) fn digest(token: &[u8]) -> CidDigest {
    CidDigest(*Cid::of(token).digest())
}

pub(crate) fn cid(token: &[u8]) -> Ipld {
    Ipld::Link(Cid::of(token).to_link())
}

/// The fields of a good delegation about node 1, for a day.
pub(crate) fn fields(from: u8, to: u8) -> Fields {
    let Ipld::Map(fields) = map(&[
        ("iss", text(did(from))),
        ("aud", text(did(to))),
        ("sub", text(did(1))),
        ("cmd", text("/")),
        ("pol", Ipld::List(vec![])),
        ("nonce", Ipld::Bytes(vec![from ^ to.rotate_left(4); 16])),
        ("nbf", int(NOW_SECS)),
        ("exp", int(NOW_SECS + DAY)),
    ]) else {
        unreachable!("a map was made")
    };
    fields
}

/// The same with another value in one field.
pub(crate) fn with(mut fields: Fields, field: &str, value: Ipld) -> Fields {
    fields.insert(field.to_owned(), value);
    fields
}

/// The same without one field.
pub(crate) fn without(mut fields: Fields, field: &str) -> Fields {
    fields.remove(field);
    fields
}

/// Signs whatever is given.
pub(crate) fn seal(by: u8, signed: Ipld) -> Vec<u8> {
    let signature = key(by).sign(&encode(&signed)).to_bytes().to_vec();
    encode(&Ipld::List(vec![Ipld::Bytes(signature), signed]))
}

/// What is signed: header and payload.
pub(crate) fn signed(tag: &str, fields: Fields) -> Ipld {
    map(&[("h", Ipld::Bytes(VARSIG.to_vec())), (tag, Ipld::Map(fields))])
}

/// A delegation with these fields.
pub(crate) fn delegation(by: u8, fields: Fields) -> Vec<u8> {
    seal(by, signed(DLG, fields))
}

/// An invocation with these fields.
pub(crate) fn invocation(by: u8, fields: Fields) -> Vec<u8> {
    seal(by, signed(INV, fields))
}

/// A good link about node 1.
pub(crate) fn link(from: u8, to: u8) -> Vec<u8> {
    delegation(from, fields(from, to))
}

/// A link with a policy.
pub(crate) fn link_with(from: u8, to: u8, policy: Ipld) -> Vec<u8> {
    delegation(from, with(fields(from, to), "pol", policy))
}

/// Links 1 -> 2 -> 3 -> ...
pub(crate) fn links(count: u8) -> Vec<Vec<u8>> {
    (1..=count).map(|n| link(n, n + 1)).collect()
}

/// A container of whatever is given, in its order.
pub(crate) fn container_as_is(tokens: &[Vec<u8>]) -> Vec<u8> {
    frame(&map(&[("ctn-v1", Ipld::List(tokens.iter().cloned().map(Ipld::Bytes).collect()))]))
}

/// Whatever is given behind the header of a raw container.
pub(crate) fn frame(content: &Ipld) -> Vec<u8> {
    [b"@".to_vec(), encode(content)].concat()
}

/// A container, sorted.
pub(crate) fn container(tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut tokens = tokens.to_vec();
    tokens.sort_unstable();
    container_as_is(&tokens)
}

/// A container of one token.
pub(crate) fn alone(token: Vec<u8>) -> Vec<u8> {
    container_as_is(&[token])
}

/// The bytes with the first occurrence of `from` replaced.
pub(crate) fn splice(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let start = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..start], to, &bytes[start + from.len()..]].concat()
}

/// With one bit turned.
pub(crate) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
