//! What strikes at the fields of a token that is well encoded and well signed.

use clankers_auth::step::Step;
use ucan::Ipld;

use crate::{
    forge::{DAY, NOW_SECS, alone, did, fields, int, invocation, map, seal, signed, text, with, without},
    table,
    vector::{Judge, Vector},
};

type Row = (&'static str, Vec<u8>, &'static str);

pub(crate) fn all() -> Vec<Vector> {
    let rules = (Step::Decode, "bad_token");
    [
        ("fields", presence()),
        ("times", times()),
        ("principals", principals()),
        ("command", commands()),
        ("nonce", nonces()),
    ]
    .into_iter()
    .flat_map(|(prefix, rows)| {
        let rows = rows.into_iter().map(|(name, token, denial)| (name, alone(token), denial)).collect();
        table(prefix, Judge::Chain, rules, rows)
    })
    .collect()
}

fn having(field: &str, value: Ipld) -> Vec<u8> {
    seal(1, signed(crate::forge::DLG, with(fields(1, 2), field, value)))
}

fn lacking(field: &str) -> Vec<u8> {
    seal(1, signed(crate::forge::DLG, without(fields(1, 2), field)))
}

fn presence() -> Vec<Row> {
    let args = with(without(without(fields(1, 2), "pol"), "nbf"), "args", map(&[]));
    let asking = invocation(1, with(args, "prf", Ipld::List(vec![])));
    vec![
        ("no iss", lacking("iss"), "Malformed.Token.Missing(iss)"),
        ("no aud", lacking("aud"), "Malformed.Token.Missing(aud)"),
        ("no sub", lacking("sub"), "Malformed.Token.Missing(sub)"),
        ("no cmd", lacking("cmd"), "Malformed.Token.Missing(cmd)"),
        ("no pol", lacking("pol"), "Malformed.Token.Missing(pol)"),
        ("no nonce", lacking("nonce"), "Malformed.Token.Missing(nonce)"),
        ("no exp", lacking("exp"), "Malformed.Token.Missing(exp)"),
        ("no nbf", lacking("nbf"), "Malformed.Token.Missing(nbf)"),
        ("prf", having("prf", Ipld::List(vec![])), "Malformed.Token.UnknownField(prf)"),
        ("args", having("args", map(&[])), "Malformed.Token.UnknownField(args)"),
        ("iat", having("iat", int(NOW_SECS)), "Malformed.Token.UnknownField(iat)"),
        ("upper case", having("EXP", int(NOW_SECS + DAY)), "Malformed.Token.UnknownField(EXP)"),
        ("empty", having("", Ipld::Null), "Malformed.Token.UnknownField()"),
        ("one of a later version", having("sid", text("x")), "Malformed.Token.UnknownField(sid)"),
        ("a whole invocation", asking, "Malformed.Token.WrongTag"),
        ("meta is a list", having("meta", Ipld::List(vec![])), "Malformed.Token.Kind(meta)"),
        ("meta is null", having("meta", Ipld::Null), "Malformed.Token.Kind(meta)"),
    ]
}

fn times() -> Vec<Row> {
    let time = |field: &str, value: Ipld| having(field, value);
    vec![
        ("exp is null", time("exp", Ipld::Null), "Malformed.Token.Null(exp)"),
        ("exp is a float", time("exp", Ipld::Float(1.8e9)), "Malformed.Token.Codec.Float"),
        ("exp is huge", time("exp", int(u64::MAX)), "Malformed.Token.Codec.IntegerTooLarge"),
        ("exp is 2^53", time("exp", int(1_u64 << 53)), "Malformed.Token.Codec.IntegerTooLarge"),
        ("exp is negative", time("exp", int(-1)), "Malformed.Token.Time(exp)"),
        ("exp is a text", time("exp", text("1800086400")), "Malformed.Token.Time(exp)"),
        ("exp is true", time("exp", Ipld::Bool(true)), "Malformed.Token.Time(exp)"),
        ("nbf is null", time("nbf", Ipld::Null), "Malformed.Token.Time(nbf)"),
        ("nbf is a float", time("nbf", Ipld::Float(1.0)), "Malformed.Token.Codec.Float"),
        ("nbf is negative", time("nbf", int(-5)), "Malformed.Token.Time(nbf)"),
        ("nbf is after exp", time("nbf", int(NOW_SECS + DAY + 1)), "Malformed.Token.NeverValid"),
    ]
}

/// A did:key of other bytes.
fn key_of(codec: &[u8], length: usize) -> Ipld {
    let raw = [codec, &vec![7; length]].concat();
    text(format!("did:key:z{}", bs58::encode(raw).into_string()))
}

fn principals() -> Vec<Row> {
    let good = did(9).to_string();
    let short = good.get(..good.len() - 1).unwrap();
    let tail = good.trim_start_matches("did:key:").to_owned();
    let aud = |value: Ipld| having("aud", value);
    vec![
        ("sub is null", having("sub", Ipld::Null), "Malformed.Token.Null(sub)"),
        ("iss is null", having("iss", Ipld::Null), "Malformed.Token.Kind(iss)"),
        ("aud is null", aud(Ipld::Null), "Malformed.Token.Kind(aud)"),
        ("aud is bytes", aud(Ipld::Bytes(did(9).as_bytes().to_vec())), "Malformed.Token.Kind(aud)"),
        ("aud is a list", aud(Ipld::List(vec![text(&good)])), "Malformed.Token.Kind(aud)"),
        ("empty", aud(text("")), "Malformed.Token.Did(aud).Prefix"),
        ("did:web", aud(text("did:web:example.com")), "Malformed.Token.Did(aud).Prefix"),
        (
            "did:key in upper case",
            aud(text(good.replace("did:key", "DID:KEY"))),
            "Malformed.Token.Did(aud).Prefix",
        ),
        ("another base", aud(text(good.replace("key:z", "key:u"))), "Malformed.Token.Did(aud).Prefix"),
        ("a space in front", aud(text(format!(" {good}"))), "Malformed.Token.Did(aud).Prefix"),
        ("did:key:z alone", having("iss", text("did:key:z")), "Malformed.Token.Did(iss).Length"),
        ("with a fragment", aud(text(format!("{good}#{tail}"))), "Malformed.Token.Did(aud).Length"),
        ("with a query", aud(text(format!("{good}?a=1"))), "Malformed.Token.Did(aud).Length"),
        ("one letter short", aud(text(short)), "Malformed.Token.Did(aud).Length"),
        ("a space behind", aud(text(format!("{good} "))), "Malformed.Token.Did(aud).Length"),
        ("a letter that is not in base58", aud(text(format!("{short}0"))), "Malformed.Token.Did(aud).Base58"),
        ("an X25519 key", aud(key_of(&[0xec, 1], 32)), "Malformed.Token.Did(aud).Multicodec"),
        ("a secp256k1 key", aud(key_of(&[0xe7, 1], 33)), "Malformed.Token.Did(aud).Length"),
        ("a key of 31 bytes", aud(key_of(&[0xed, 1], 31)), "Malformed.Token.Did(aud).Length"),
        ("a key of 33 bytes", aud(key_of(&[0xed, 1], 33)), "Malformed.Token.Did(aud).Length"),
        ("an RSA key", aud(key_of(&[0x85, 0x24], 270)), "Malformed.Token.Did(aud).Length"),
    ]
}

fn commands() -> Vec<Row> {
    let cmd = |value: &str| having("cmd", text(value));
    let long = format!("/{}", "a".repeat(256));
    vec![
        ("empty", cmd(""), "Malformed.Token.Command.NoLeadingSlash"),
        ("without a slash", cmd("clankers"), "Malformed.Token.Command.NoLeadingSlash"),
        ("a space in front", cmd(" /clankers"), "Malformed.Token.Command.NoLeadingSlash"),
        ("a slash at the end", cmd("/clankers/"), "Malformed.Token.Command.TrailingSlash"),
        ("two slashes", cmd("//"), "Malformed.Token.Command.TrailingSlash"),
        ("an empty segment", cmd("/clankers//file"), "Malformed.Token.Command.EmptySegment"),
        ("two slashes in front", cmd("//clankers"), "Malformed.Token.Command.EmptySegment"),
        ("upper case", cmd("/Clankers"), "Malformed.Token.Command.NotLowerCase"),
        ("a star", cmd("/clankers/*"), "Malformed.Token.Command.Character"),
        ("two dots", cmd("/clankers/file/../admin"), "Malformed.Token.Command.Character"),
        ("a NUL", cmd("/clankers\0"), "Malformed.Token.Command.Character"),
        ("a backslash", cmd("/clankers\\file"), "Malformed.Token.Command.Character"),
        ("percent", cmd("/clankers%2ffile"), "Malformed.Token.Command.Character"),
        ("a letter that looks alike", cmd("/\u{441}lankers"), "Malformed.Token.Command.Character"),
        ("a no-break space", cmd("/clankers\u{a0}"), "Malformed.Token.Command.Character"),
        ("a reversal of the text", cmd("/\u{202e}clankers"), "Malformed.Token.Command.Character"),
        ("257 bytes", cmd(&long), "Malformed.Token.Command.TooLong"),
        ("17 segments", cmd(&"/a".repeat(17)), "Malformed.Token.Command.TooLong"),
        ("a list", having("cmd", Ipld::List(vec![text("/")])), "Malformed.Token.Kind(cmd)"),
        ("null", having("cmd", Ipld::Null), "Malformed.Token.Kind(cmd)"),
    ]
}

fn nonces() -> Vec<Row> {
    let nonce = |length: usize| having("nonce", Ipld::Bytes(vec![1; length]));
    vec![
        ("empty", nonce(0), "Malformed.Token.Nonce"),
        ("11 bytes", nonce(11), "Malformed.Token.Nonce"),
        ("65 bytes", nonce(65), "Malformed.Token.Nonce"),
        ("a text", having("nonce", text("0123456789abcdef")), "Malformed.Token.Kind(nonce)"),
        ("null", having("nonce", Ipld::Null), "Malformed.Token.Kind(nonce)"),
    ]
}
