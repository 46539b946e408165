//! Keys, chains, and hand-made tokens.

use std::collections::BTreeMap;

use ed25519_dalek::Signer;
use ucan::{
    Command, Delegation, DelegationBuilder, Did, Ipld, Profile, SigningKey, Timestamp, Unverified, Verified,
};

/// A moment within the validity of every token made here.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;
pub(crate) const VARSIG: [u8; 8] = [0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71];
pub(crate) const DLG: &str = "ucan/dlg@1.0.0";
pub(crate) const INV: &str = "ucan/inv@1.0.0";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn did(seed: u8) -> Did {
    Did::from(&key(seed))
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

pub(crate) fn cmd(text: &str) -> Command {
    Command::parse(text).unwrap()
}

/// A delegation about principal `subject`, valid for a day around [`NOW`].
pub(crate) fn draft(subject: u8, audience: u8, command: &str) -> DelegationBuilder {
    Delegation::build(did(subject), did(audience), cmd(command), &[audience; 12])
        .not_before(at(NOW - 60))
        .expires(at(NOW + DAY))
}

/// `issuer -> audience` about `subject`, as a strict reader gets it.
pub(crate) fn link(subject: u8, issuer: u8, audience: u8) -> Unverified<Delegation> {
    decode(&draft(subject, audience, "/file").sign(&key(issuer), Profile::Strict).unwrap())
}

pub(crate) fn decode(token: &Verified<Delegation>) -> Unverified<Delegation> {
    Unverified::decode(token.bytes(), Profile::Strict).unwrap()
}

/// A chain `principals[0] -> principals[1] -> ...` about the first.
pub(crate) fn links(principals: &[u8]) -> Vec<Unverified<Delegation>> {
    principals.windows(2).map(|pair| link(principals[0], pair[0], pair[1])).collect()
}

pub(crate) fn map(entries: &[(&str, Ipld)]) -> Ipld {
    Ipld::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

pub(crate) fn text(value: impl ToString) -> Ipld {
    Ipld::String(value.to_string())
}

/// The fields of a delegation from principal 1 to principal 2 that every profile accepts.
pub(crate) fn fields() -> BTreeMap<String, Ipld> {
    let Ipld::Map(fields) = map(&[
        ("iss", text(did(1))),
        ("aud", text(did(2))),
        ("sub", text(did(1))),
        ("cmd", text("/file")),
        ("pol", Ipld::List(vec![])),
        ("nonce", Ipld::Bytes(vec![7; 12])),
        ("nbf", Ipld::Integer(NOW.into())),
        ("exp", Ipld::Integer((NOW + DAY).into())),
    ]) else {
        unreachable!("a map was made")
    };
    fields
}

pub(crate) fn encode(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap()
}

/// Signs whatever map is given with the key of principal 1.
pub(crate) fn seal(signed: Ipld) -> Vec<u8> {
    let signature = key(1).sign(&encode(&signed)).to_bytes().to_vec();
    encode(&Ipld::List(vec![Ipld::Bytes(signature), signed]))
}

/// A well-signed envelope around `payload`.
pub(crate) fn envelope(tag: &str, payload: BTreeMap<String, Ipld>) -> Vec<u8> {
    seal(map(&[("h", Ipld::Bytes(VARSIG.to_vec())), (tag, Ipld::Map(payload))]))
}
