//! Attacks on the encoding of a token: each is refused, and for its own reason.

use ucan::{CodecError, DecodeError, Delegation, Invocation, Ipld, Profile, Unverified};

use crate::forge::{DLG, INV, VARSIG, encode, envelope, fields, link, map, seal};

fn strict(bytes: &[u8]) -> Result<Unverified<Delegation>, DecodeError> {
    Unverified::decode(bytes, Profile::Strict)
}

fn reason(bytes: &[u8]) -> DecodeError {
    strict(bytes).unwrap_err()
}

fn good() -> Vec<u8> {
    envelope(DLG, fields())
}

/// The bytes with the first occurrence of `from` replaced.
fn splice(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let start = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..start], to, &bytes[start + from.len()..]].concat()
}

#[test]
fn the_untouched_token_is_accepted() {
    assert!(strict(&good()).unwrap().verify().is_ok());
}

#[test]
fn every_truncation_is_refused() {
    let bytes = good();
    for length in 0..bytes.len() {
        assert_eq!(reason(&bytes[..length]), DecodeError::Codec(CodecError::Truncated), "{length}");
    }
}

#[test]
fn trailing_bytes() {
    for extra in [&[0][..], &[0xf6], &[0xff], b"more"] {
        let bytes = [&good(), extra].concat();
        assert_eq!(reason(&bytes), DecodeError::Codec(CodecError::TrailingBytes { extra: extra.len() }));
    }
    let twice = good().repeat(2);
    assert!(matches!(reason(&twice), DecodeError::Codec(CodecError::TrailingBytes { .. })));
}

#[test]
fn two_spellings_of_one_token() {
    use CodecError::*;
    let bytes = good();
    for (from, to, why) in [
        // A long length of the envelope, the signature, a key, a value.
        (&[0x82, 0x58, 0x40][..], &[0x98, 0x02, 0x58, 0x40][..], NotShortest),
        (&[0x58, 0x40], &[0x59, 0x00, 0x40], NotShortest),
        (b"\x61h", b"\x78\x01h", NotShortest),
        (b"\x65/file", b"\x78\x05/file", NotShortest),
        // Indefinite length.
        (b"cpol\x80", b"cpol\x9f\xff", Indefinite),
        (b"\x65/file", b"\x7f\x65/file\xff", Indefinite),
        // A tag that other decoders skip.
        (&[0x82, 0x58], &[0xd9, 0xd9, 0xf7, 0x82, 0x58], UnknownTag { tag: 55799 }),
        (b"cpol\x80", b"cpol\xc1\x80", UnknownTag { tag: 1 }),
    ] {
        assert_eq!(reason(&splice(&bytes, from, to)), DecodeError::Codec(why), "{from:02x?}");
    }
}

#[test]
fn disordered_and_duplicate_keys() {
    let mut swapped = good();
    let aud = swapped.windows(4).position(|w| w == b"caud").unwrap();
    let cmd = swapped.windows(4).position(|w| w == b"ccmd").unwrap();
    swapped[aud + 1..aud + 4].copy_from_slice(b"cmd");
    swapped[cmd + 1..cmd + 4].copy_from_slice(b"aud");
    assert_eq!(reason(&swapped), DecodeError::Codec(CodecError::KeyOrder));

    let doubled = splice(&splice(&good(), b"\xa8caud", b"\xa9caud"), b"cexp\x1a", b"cexp\x00cexp\x1a");
    assert_eq!(reason(&doubled), DecodeError::Codec(CodecError::DuplicateKey));
}

#[test]
fn bombs() {
    assert!(matches!(reason(&[0x81; 4096]), DecodeError::Codec(CodecError::TooDeep { .. })));
    assert!(matches!(reason(&[0x81; 4097]), DecodeError::Codec(CodecError::TooLarge { .. })));
    let mut nested = fields();
    let deep = (0..64).fold(Ipld::Null, |inner, _| Ipld::List(vec![inner]));
    nested.insert("meta".into(), map(&[("x", deep)]));
    assert!(matches!(reason(&envelope(DLG, nested)), DecodeError::Codec(CodecError::TooDeep { .. })));
    // 2^63 elements are claimed.
    let claim = [&[0x82, 0x9b, 0x80][..], &[0; 7]].concat();
    assert_eq!(reason(&claim), DecodeError::Codec(CodecError::Truncated));
    let gzip = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0];
    assert!(strict(&gzip).is_err());
}

#[test]
fn the_shape_of_the_envelope() {
    let signature = Ipld::Bytes(vec![1; 64]);
    let signed = map(&[("h", Ipld::Bytes(VARSIG.to_vec())), (DLG, Ipld::Map(fields()))]);
    let shape = |value: Ipld| reason(&encode(&value));
    assert_eq!(shape(Ipld::Null), DecodeError::EnvelopeShape);
    assert_eq!(shape(signed.clone()), DecodeError::EnvelopeShape);
    assert_eq!(shape(Ipld::List(vec![])), DecodeError::EnvelopeLength { found: 0 });
    assert_eq!(shape(Ipld::List(vec![signature.clone()])), DecodeError::EnvelopeLength { found: 1 });
    assert_eq!(
        shape(Ipld::List(vec![signature.clone(), signed.clone(), Ipld::Null])),
        DecodeError::EnvelopeLength { found: 3 }
    );
    assert_eq!(shape(Ipld::List(vec![signed.clone(), signature.clone()])), DecodeError::EnvelopeShape);
    assert_eq!(
        shape(Ipld::List(vec![Ipld::String("s".repeat(64)), signed.clone()])),
        DecodeError::EnvelopeShape
    );
    for length in [0, 3, 63, 65] {
        let value = Ipld::List(vec![Ipld::Bytes(vec![1; length]), signed.clone()]);
        assert_eq!(shape(value), DecodeError::SignatureLength { found: length });
    }
}

#[test]
fn the_header_and_the_tag() {
    let header = || ("h", Ipld::Bytes(VARSIG.to_vec()));
    let payload = || Ipld::Map(fields());
    assert_eq!(reason(&seal(map(&[(DLG, payload())]))), DecodeError::NoVarsig);
    assert_eq!(reason(&seal(map(&[header()]))), DecodeError::NoPayload);
    assert_eq!(reason(&seal(map(&[header(), (DLG, Ipld::Null)]))), DecodeError::PayloadShape);
    assert_eq!(
        reason(&seal(map(&[header(), (DLG, payload()), (INV, payload())]))),
        DecodeError::ManyPayloads
    );
    assert_eq!(
        reason(&seal(map(&[header(), (DLG, payload()), ("x", Ipld::Null)]))),
        DecodeError::ManyPayloads
    );
    for tag in [INV, "ucan/dlg@1.0.0-rc.1", "ucan/dlg@1.0.1", "ucan/dlg", "UCAN/DLG@1.0.0", ""] {
        assert!(matches!(reason(&envelope(tag, fields())), DecodeError::WrongTag { .. }), "{tag}");
    }
    assert!(matches!(
        Unverified::<Invocation>::decode(&good(), Profile::Spec),
        Err(DecodeError::WrongTag { expected: INV, .. })
    ));
}

#[test]
fn every_other_varsig() {
    let with = |header: Ipld| reason(&seal(map(&[("h", header), (DLG, Ipld::Map(fields()))])));
    for position in 0..VARSIG.len() {
        let mut header = VARSIG.to_vec();
        header[position] ^= 1;
        assert_eq!(with(Ipld::Bytes(header)), DecodeError::WrongVarsig, "{position}");
    }
    // The release candidates' header, no header, a longer one, another kind.
    assert_eq!(with(Ipld::Bytes(vec![0x34, 0xed, 0x01, 0x71])), DecodeError::WrongVarsig);
    assert_eq!(with(Ipld::Bytes(vec![])), DecodeError::WrongVarsig);
    assert_eq!(with(Ipld::Bytes([&VARSIG[..], &[0]].concat())), DecodeError::WrongVarsig);
    assert_eq!(with(Ipld::Null), DecodeError::WrongVarsig);
}

#[test]
fn only_the_exact_bytes_are_named_by_the_cid() {
    let (a, b) = (link(1, 1, 2), link(1, 1, 3));
    assert_ne!(a.cid(), b.cid());
    assert_eq!(a.cid(), strict(a.bytes()).unwrap().cid());
}
