use super::*;
use crate::profile::Profile;
use proptest::prelude::*;

fn spec(hex: &str) -> Result<Ipld, CodecError> {
    decode(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap(), &Profile::Spec.bounds())
}

fn strict(hex: &str) -> Result<Ipld, CodecError> {
    decode(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap(), &Profile::Strict.bounds())
}

#[test]
fn each_departure_from_the_canonical_form_has_its_own_reason() {
    use CodecError::*;
    for (hex, why) in [
        ("", Truncated),
        ("18", Truncated),
        ("62c3", Truncated),
        ("8201", Truncated),
        ("a16161", Truncated),
        ("0000", TrailingBytes { extra: 1 }),
        ("1817", NotShortest),
        ("190001", NotShortest),
        ("1a0000ffff", NotShortest),
        ("1b00000000ffffffff", NotShortest),
        ("580161", NotShortest),
        ("780161", NotShortest),
        ("980101", NotShortest),
        ("b801616101", NotShortest),
        ("5f4161ff", Indefinite),
        ("7f6161ff", Indefinite),
        ("9f01ff", Indefinite),
        ("bf616101ff", Indefinite),
        ("1c", Reserved),
        ("1f", Reserved),
        ("dd00", Reserved),
        ("ff", Indefinite),
        ("a2616201616100", KeyOrder),
        ("a262616101616200", KeyOrder),
        ("a2616101616100", DuplicateKey),
        ("a10101", KeyNotText),
        ("a1416101", KeyNotText),
        ("61ff", NotUtf8),
        ("a161ff01", NotUtf8),
        ("c000", UnknownTag { tag: 0 }),
        ("d9d9f700", UnknownTag { tag: 55799 }),
        ("d82a00", BadLink),
        ("d82a4100", BadLink),
        ("d82a450171122000", BadLink),
        ("f7", BadSimple),
        ("f97e00", BadSimple),
        ("fa3f800000", BadSimple),
        ("f8ff", BadSimple),
        ("fb7ff0000000000000", NotFinite),
        ("fb7ff8000000000000", NotFinite),
    ] {
        assert_eq!(spec(hex), Err(why), "{hex}");
    }
}

#[test]
fn strict_integers_and_floats() {
    assert!(spec("fb3ff0000000000000").is_ok());
    assert_eq!(strict("fb3ff0000000000000"), Err(CodecError::Float));
    assert!(strict("1b001fffffffffffff").is_ok());
    assert_eq!(strict("1b0020000000000000"), Err(CodecError::IntegerTooLarge));
    assert_eq!(spec("1bffffffffffffffff"), Ok(Ipld::Integer(u64::MAX.into())));
    assert_eq!(spec("3bffffffffffffffff"), Ok(Ipld::Integer(-1 - i128::from(u64::MAX))));
    assert_eq!(strict("3b001ffffffffffffe"), Ok(Ipld::Integer(-i128::from(crate::limits::MAX_SAFE_INTEGER))));
    assert_eq!(strict("3b001fffffffffffff"), Err(CodecError::IntegerTooLarge));
}

#[test]
fn bombs_are_refused_before_anything_is_built() {
    let bounds = Profile::Strict.bounds();
    assert!(matches!(scan(&[0x81; 4096], &bounds), Err(CodecError::TooDeep { .. })));
    assert!(matches!(scan(&[0xa1; 4096], &bounds), Err(CodecError::KeyNotText)));
    // Exactly as deep as allowed, and one deeper.
    let nested = |depth: usize| [vec![0x81; depth - 1], vec![0x80]].concat();
    assert_eq!(scan(&nested(bounds.depth), &bounds), Ok(()));
    assert_eq!(scan(&nested(bounds.depth + 1), &bounds), Err(CodecError::TooDeep { limit: bounds.depth }));
    // Claims of 2^64 - 1 items, entries and bytes.
    for first in [0x9b, 0xbb, 0x5b, 0x7b] {
        let mut claim = vec![first];
        claim.extend([0xff; 8]);
        assert_eq!(scan(&claim, &bounds), Err(CodecError::Truncated));
    }
    let mut wide = vec![0x99, 0x0f, 0xfd];
    wide.extend([0xf6; 0xffd]);
    assert!(matches!(scan(&wide, &bounds), Err(CodecError::TooManyItems { .. })));
    assert!(matches!(scan(&[0; 4097], &bounds), Err(CodecError::TooLarge { .. })));
    assert!(matches!(decode(&[0x81; 65536], &Profile::Spec.bounds()), Err(CodecError::TooDeep { .. })));
}

fn any_ipld() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        any::<i64>().prop_map(|i| Ipld::Integer(i.into())),
        any::<u64>().prop_map(|i| Ipld::Integer(i.into())),
        (-1e300f64..1e300).prop_map(Ipld::Float),
        ".{0,8}".prop_map(Ipld::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Ipld::Bytes),
        any::<[u8; 32]>().prop_map(|d| Ipld::Link(crate::Cid::from_digest(d).to_link())),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_round_trips(value in any_ipld()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(decode(&bytes, &Profile::Spec.bounds()), Ok(value));
    }

    #[test]
    fn the_scanner_leaves_nothing_for_the_re_encoding(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bounds = Profile::Spec.bounds();
        if scan(&bytes, &bounds).is_ok() {
            prop_assert_ne!(decode(&bytes, &bounds), Err(CodecError::NotCanonical));
        }
    }

    #[test]
    fn a_cut_value_is_truncated(value in any_ipld(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&value).unwrap();
        let cut = cut.index(bytes.len());
        prop_assert!(decode(&bytes[..cut], &Profile::Spec.bounds()).is_err());
    }
}
