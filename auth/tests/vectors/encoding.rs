//! What strikes at the encoding of one token: its CBOR, its envelope, its header and tag.

use clankers_auth::step::Step;
use ucan::Ipld;

use crate::{
    forge::{
        DLG, INV, VARSIG, alone, delegation, encode, fields, int, link, map, seal, signed, splice, text, with,
    },
    table,
    vector::{Judge, Vector},
};

type Row = (&'static str, Vec<u8>, &'static str);

pub(crate) fn all() -> Vec<Vector> {
    let rules = (Step::Decode, "bad_token");
    [("cbor", cbor()), ("values", values()), ("envelope", envelope()), ("tag", tags()), ("varsig", varsigs())]
        .into_iter()
        .flat_map(|(prefix, rows)| {
            let rows = rows.into_iter().map(|(name, token, denial)| (name, alone(token), denial)).collect();
            table(prefix, Judge::Chain, rules, rows)
        })
        .collect()
}

fn cbor() -> Vec<Row> {
    let good = link(1, 2);
    let cut = |at: usize| good[..at].to_vec();
    let bent = |from: &[u8], to: &[u8]| splice(&good, from, to);
    vec![
        ("cut after the first byte", cut(1), "Malformed.Token.Codec.Truncated"),
        ("cut within the signature", cut(30), "Malformed.Token.Codec.Truncated"),
        ("cut behind the signature", cut(67), "Malformed.Token.Codec.Truncated"),
        ("cut within the payload", cut(good.len() / 2), "Malformed.Token.Codec.Truncated"),
        ("the last byte is missing", cut(good.len() - 1), "Malformed.Token.Codec.Truncated"),
        ("a byte follows", [&good[..], &[0]].concat(), "Malformed.Token.Codec.TrailingBytes"),
        ("a break follows", [&good[..], &[0xff]].concat(), "Malformed.Token.Codec.TrailingBytes"),
        ("the token twice", good.repeat(2), "Malformed.Token.Codec.TrailingBytes"),
        (
            "a long length of the envelope",
            bent(&[0x82, 0x58, 0x40], &[0x98, 2, 0x58, 0x40]),
            "Malformed.Token.Codec.NotShortest",
        ),
        (
            "a long length of the signature",
            bent(&[0x58, 0x40], &[0x59, 0, 0x40]),
            "Malformed.Token.Codec.NotShortest",
        ),
        ("a long length of a key", bent(b"\x61h", b"\x78\x01h"), "Malformed.Token.Codec.NotShortest"),
        (
            "a long length of a value",
            bent(b"ccmd\x61/", b"ccmd\x78\x01/"),
            "Malformed.Token.Codec.NotShortest",
        ),
        ("a long time", bent(b"cnbf\x1a", b"cnbf\x1b\0\0\0\0"), "Malformed.Token.Codec.NotShortest"),
        ("a policy without a length", bent(b"cpol\x80", b"cpol\x9f\xff"), "Malformed.Token.Codec.Indefinite"),
        ("a text in pieces", bent(b"ccmd\x61/", b"ccmd\x7f\x61/\xff"), "Malformed.Token.Codec.Indefinite"),
        ("a nonce in pieces", bent(b"nonce\x50", b"nonce\x5f\x50"), "Malformed.Token.Codec.Indefinite"),
        (
            "a tag in front",
            bent(&[0x82, 0x58], &[0xd9, 0xd9, 0xf7, 0x82, 0x58]),
            "Malformed.Token.Codec.UnknownTag",
        ),
        ("a tagged policy", bent(b"cpol\x80", b"cpol\xc1\x80"), "Malformed.Token.Codec.UnknownTag"),
        ("a bignum", bent(b"cnbf\x1a", b"cnbf\xc2\x44"), "Malformed.Token.Codec.UnknownTag"),
        ("keys out of order", swapped(), "Malformed.Token.Codec.KeyOrder"),
        (
            "a key twice",
            splice(&bent(b"\xa8caud", b"\xa9caud"), b"cexp\x1a", b"cexp\x00cexp\x1a"),
            "Malformed.Token.Codec.DuplicateKey",
        ),
        ("a reserved byte", bent(b"cpol\x80", b"cpol\x1c"), "Malformed.Token.Codec.Reserved"),
        ("a nesting bomb", vec![0x81; 4096], "Malformed.Token.Codec.TooDeep"),
        (
            "2^63 elements are claimed",
            [&[0x82, 0x9b, 0x80][..], &[0; 7]].concat(),
            "Malformed.Token.Codec.Truncated",
        ),
        (
            "two thousand values",
            encode(&Ipld::List(vec![Ipld::Null; 2000])),
            "Malformed.Token.Codec.TooManyItems",
        ),
    ]
}

/// `aud` and `cmd` have changed places.
fn swapped() -> Vec<u8> {
    let mut bytes = link(1, 2);
    let at = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
    let (aud, cmd) = (at(b"caud"), at(b"ccmd"));
    bytes[aud + 1..aud + 4].copy_from_slice(b"cmd");
    bytes[cmd + 1..cmd + 4].copy_from_slice(b"aud");
    bytes
}

/// Well signed, with something in the metadata that strict readers do not read.
fn values() -> Vec<Row> {
    let meta = |value: Ipld| delegation(1, with(fields(1, 2), "meta", map(&[("x", value)])));
    let raw = |value: &[u8]| {
        let token = meta(Ipld::Bytes(vec![9; 24]));
        splice(&token, &[&[0x58, 24][..], &[9; 24]].concat(), value)
    };
    let deep = (0..64).fold(Ipld::Null, |inner, _| Ipld::List(vec![inner]));
    vec![
        ("a float", meta(Ipld::Float(0.5)), "Malformed.Token.Codec.Float"),
        ("a whole float", meta(Ipld::Float(1.0)), "Malformed.Token.Codec.Float"),
        ("half a float", raw(&[0xf9, 0x3c, 0]), "Malformed.Token.Codec.BadSimple"),
        ("no number", raw(&[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]), "Malformed.Token.Codec.Float"),
        ("undefined", raw(&[0xf7]), "Malformed.Token.Codec.BadSimple"),
        ("2^53", meta(int(1_u64 << 53)), "Malformed.Token.Codec.IntegerTooLarge"),
        ("-2^53", meta(int(-(1_i64 << 53))), "Malformed.Token.Codec.IntegerTooLarge"),
        ("2^64 - 1", meta(int(u64::MAX)), "Malformed.Token.Codec.IntegerTooLarge"),
        ("nested 64 deep", meta(deep), "Malformed.Token.Codec.TooDeep"),
        (
            "a thousand values",
            meta(Ipld::List(vec![Ipld::Bool(true); 1024])),
            "Malformed.Token.Codec.TooManyItems",
        ),
        ("a text that is not UTF-8", raw(b"\x62\xc3\x28"), "Malformed.Token.Codec.NotUtf8"),
        ("a surrogate as a text", raw(b"\x63\xed\xa0\x80"), "Malformed.Token.Codec.NotUtf8"),
        (
            "a link without its prefix",
            raw(&[0xd8, 42, 0x45, 1, 0x71, 0x12, 0x20, 0]),
            "Malformed.Token.Codec.BadLink",
        ),
        ("a link that is a text", raw(b"\xd8\x2a\x64bafy"), "Malformed.Token.Codec.BadLink"),
        ("a key of a number", raw(&[0xa1, 1, 1]), "Malformed.Token.Codec.KeyNotText"),
    ]
}

fn envelope() -> Vec<Row> {
    let content = signed(DLG, fields(1, 2));
    let signature = Ipld::Bytes(vec![1; 64]);
    let of = |parts: Vec<Ipld>| encode(&Ipld::List(parts));
    let long = |length: usize| of(vec![Ipld::Bytes(vec![1; length]), content.clone()]);
    vec![
        ("null", encode(&Ipld::Null), "Malformed.Token.EnvelopeShape"),
        ("a map", encode(&content), "Malformed.Token.EnvelopeShape"),
        ("an empty list", of(vec![]), "Malformed.Token.EnvelopeLength"),
        ("a signature alone", of(vec![signature.clone()]), "Malformed.Token.EnvelopeLength"),
        (
            "one element more",
            of(vec![signature.clone(), content.clone(), Ipld::Null]),
            "Malformed.Token.EnvelopeLength",
        ),
        (
            "a second payload behind",
            of(vec![signature.clone(), content.clone(), content.clone()]),
            "Malformed.Token.EnvelopeLength",
        ),
        (
            "the wrong way round",
            of(vec![content.clone(), signature.clone()]),
            "Malformed.Token.EnvelopeShape",
        ),
        (
            "a signature that is a text",
            of(vec![text("s".repeat(64)), content.clone()]),
            "Malformed.Token.EnvelopeShape",
        ),
        (
            "a payload in bytes",
            of(vec![signature, Ipld::Bytes(encode(&content))]),
            "Malformed.Token.EnvelopeShape",
        ),
        ("no signature", long(0), "Malformed.Token.SignatureLength"),
        ("a signature of 63 bytes", long(63), "Malformed.Token.SignatureLength"),
        ("a signature of 65 bytes", long(65), "Malformed.Token.SignatureLength"),
        ("a signature of 128 bytes", long(128), "Malformed.Token.SignatureLength"),
    ]
}

fn tags() -> Vec<Row> {
    let header = || ("h", Ipld::Bytes(VARSIG.to_vec()));
    let payload = || Ipld::Map(fields(1, 2));
    let tagged = |tag: &str| seal(1, map(&[header(), (tag, payload())]));
    vec![
        ("none", seal(1, map(&[header()])), "Malformed.Token.NoPayload"),
        ("the payload is null", seal(1, map(&[header(), (DLG, Ipld::Null)])), "Malformed.Token.PayloadShape"),
        (
            "the payload is a list",
            seal(1, map(&[header(), (DLG, Ipld::List(vec![]))])),
            "Malformed.Token.PayloadShape",
        ),
        (
            "two",
            seal(1, map(&[header(), (DLG, payload()), (INV, payload())])),
            "Malformed.Token.ManyPayloads",
        ),
        (
            "two delegations",
            seal(1, map(&[header(), (DLG, payload()), ("ucan/dlg@1.0.1", payload())])),
            "Malformed.Token.ManyPayloads",
        ),
        (
            "an unknown key beside",
            seal(1, map(&[header(), (DLG, payload()), ("x", Ipld::Null)])),
            "Malformed.Token.ManyPayloads",
        ),
        ("an invocation as a delegation", tagged(INV), "Malformed.Token.WrongTag"),
        ("a release candidate", tagged("ucan/dlg@1.0.0-rc.1"), "Malformed.Token.WrongTag"),
        ("a later version", tagged("ucan/dlg@1.0.1"), "Malformed.Token.WrongTag"),
        ("an earlier version", tagged("ucan/dlg@0.10.0"), "Malformed.Token.WrongTag"),
        ("no version", tagged("ucan/dlg"), "Malformed.Token.WrongTag"),
        ("in upper case", tagged("UCAN/DLG@1.0.0"), "Malformed.Token.WrongTag"),
        ("with a space", tagged("ucan/dlg@1.0.0 "), "Malformed.Token.WrongTag"),
        ("empty", tagged(""), "Malformed.Token.WrongTag"),
    ]
}

fn varsigs() -> Vec<Row> {
    let with = |header: Ipld| seal(1, map(&[("h", header), (DLG, Ipld::Map(fields(1, 2)))]));
    let turned = |at: usize| {
        let mut header = VARSIG.to_vec();
        header[at] ^= 1;
        with(Ipld::Bytes(header))
    };
    let wrong = "Malformed.Token.WrongVarsig";
    let names = [
        "the prefix",
        "the version",
        "EdDSA",
        "EdDSA's end",
        "the curve",
        "the curve's end",
        "the hash",
        "the payload",
    ];
    let mut rows: Vec<Row> = names.iter().enumerate().map(|(at, name)| (*name, turned(at), wrong)).collect();
    rows.extend([
        ("none", seal(1, map(&[(DLG, Ipld::Map(fields(1, 2)))])), "Malformed.Token.NoVarsig"),
        ("of the release candidates", with(Ipld::Bytes(vec![0x34, 0xed, 0x01, 0x71])), wrong),
        ("alg none", with(text("none")), wrong),
        ("empty", with(Ipld::Bytes(vec![])), wrong),
        ("null", with(Ipld::Null), wrong),
        ("one byte more", with(Ipld::Bytes([&VARSIG[..], &[0]].concat())), wrong),
        ("secp256k1", with(Ipld::Bytes(vec![0x34, 1, 0xec, 1, 0xe7, 1, 0x12, 0x71])), wrong),
        ("over raw bytes", with(Ipld::Bytes(vec![0x34, 1, 0xed, 1, 0xed, 1, 0x13, 0x55])), wrong),
    ]);
    rows
}
