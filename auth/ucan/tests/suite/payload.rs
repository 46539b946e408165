//! Attacks on the fields of a token that is well encoded and well signed.

use ucan::{
    CodecError, CommandError, DecodeError, Delegation, DidError, Invocation, Ipld, Payload, PolicyError,
};
use ucan::{Profile, Unverified};

use crate::forge::{DAY, DLG, INV, NOW, did, envelope, fields, map, text};

fn decode<T: Payload>(
    profile: Profile,
    field: &str,
    value: Option<Ipld>,
) -> Result<Unverified<T>, DecodeError> {
    let mut payload = fields();
    if T::TAG == INV {
        payload.remove("pol");
        payload.remove("nbf");
        payload.insert("args".into(), map(&[]));
        payload.insert("prf".into(), Ipld::List(vec![]));
    }
    match value {
        Some(value) => payload.insert(field.to_owned(), value),
        None => payload.remove(field),
    };
    Unverified::decode(&envelope(T::TAG, payload), profile)
}

fn strict(field: &str, value: impl Into<Option<Ipld>>) -> DecodeError {
    decode::<Delegation>(Profile::Strict, field, value.into()).unwrap_err()
}

fn spec_accepts(field: &str, value: impl Into<Option<Ipld>>) -> bool {
    decode::<Delegation>(Profile::Spec, field, value.into()).is_ok()
}

#[test]
fn every_required_field_is_asked_for_and_no_other_is_accepted() {
    for field in ["iss", "aud", "sub", "cmd", "pol", "nonce", "exp"] {
        assert_eq!(strict(field, None), DecodeError::Missing { field });
        assert!(!spec_accepts(field, None), "{field}");
    }
    assert_eq!(strict("nbf", None), DecodeError::Missing { field: "nbf" });
    assert!(spec_accepts("nbf", None));
    for field in ["", "EXP", "prf", "args", "h", "iat"] {
        assert_eq!(strict(field, Ipld::Null), DecodeError::UnknownField { field: field.into() });
        assert!(!spec_accepts(field, Ipld::Null), "{field}");
    }
}

#[test]
fn times() {
    let safe = (1_i128 << 53) - 1;
    for field in ["nbf", "exp"] {
        assert_eq!(strict(field, Ipld::Integer(-1)), DecodeError::Time { field });
        assert_eq!(strict(field, text("1800000000")), DecodeError::Time { field });
        assert_eq!(strict(field, Ipld::Bool(true)), DecodeError::Time { field });
        assert_eq!(strict(field, Ipld::Float(1.8e9)), DecodeError::Codec(CodecError::Float));
        assert_eq!(strict(field, Ipld::Integer(safe + 1)), DecodeError::Codec(CodecError::IntegerTooLarge));
        assert!(!spec_accepts(field, Ipld::Float(1.8e9)));
        assert!(!spec_accepts(field, Ipld::Integer(safe + 1)));
        assert!(!spec_accepts(field, Ipld::Integer(u64::MAX.into())));
    }
    assert_eq!(strict("exp", Ipld::Null), DecodeError::Null { field: "exp" });
    assert!(spec_accepts("exp", Ipld::Null));
    assert_eq!(strict("nbf", Ipld::Null), DecodeError::Time { field: "nbf" });
    assert!(!spec_accepts("nbf", Ipld::Null));
    assert_eq!(strict("nbf", Ipld::Integer((NOW + DAY + 1).into())), DecodeError::NeverValid);
}

#[test]
fn principals() {
    let good = did(9).to_string();
    for field in ["iss", "aud", "sub"] {
        for wrong in [
            text("did:web:example.com"),
            text(good.replace("did:key", "did:KEY")),
            text(format!("{good}#{}", good.trim_start_matches("did:key:"))),
            text(format!(" {good}")),
            text("did:key:z"),
        ] {
            assert!(matches!(strict(field, wrong), DecodeError::Did { .. }));
        }
        assert_eq!(
            strict(field, Ipld::Bytes(did(9).as_bytes().to_vec())),
            DecodeError::Kind { field, expected: "a did:key" }
        );
        let wrong = DecodeError::Did { field, source: DidError::Length { found: 55 } };
        assert_eq!(strict(field, text(good.get(..55).unwrap())), wrong);
    }
    assert_eq!(strict("sub", Ipld::Null), DecodeError::Null { field: "sub" });
    assert!(spec_accepts("sub", Ipld::Null));
    assert!(!spec_accepts("iss", Ipld::Null) && !spec_accepts("aud", Ipld::Null));
}

#[test]
fn commands_and_nonces() {
    assert_eq!(strict("cmd", text("/File")), DecodeError::Command(CommandError::NotLowerCase));
    assert_eq!(strict("cmd", text("/file/")), DecodeError::Command(CommandError::TrailingSlash));
    assert_eq!(strict("cmd", text("file")), DecodeError::Command(CommandError::NoLeadingSlash));
    assert_eq!(strict("cmd", text("/a//b")), DecodeError::Command(CommandError::EmptySegment));
    assert_eq!(strict("cmd", text("/a/../b")), DecodeError::Command(CommandError::Character));
    assert!(matches!(strict("cmd", Ipld::List(vec![])), DecodeError::Kind { field: "cmd", .. }));
    for length in [0, 11, 65] {
        assert_eq!(strict("nonce", Ipld::Bytes(vec![1; length])), DecodeError::Nonce { found: length });
        assert!(spec_accepts("nonce", Ipld::Bytes(vec![1; length])));
    }
    assert!(matches!(strict("nonce", text("0123456789abcdef")), DecodeError::Kind { field: "nonce", .. }));
}

#[test]
fn policies_and_metadata() {
    let negated = ipld_core::ipld!([["not", ["==", ".a", 1]]]);
    assert!(matches!(strict("pol", negated.clone()), DecodeError::Policy(PolicyError::FailsOpen { .. })));
    assert!(spec_accepts("pol", negated));
    assert!(matches!(strict("pol", map(&[])), DecodeError::Policy(PolicyError::NotAStatement)));
    assert!(matches!(
        strict("pol", ipld_core::ipld!([["<", ".a", 1.5]])),
        DecodeError::Codec(CodecError::Float)
    ));
    assert!(matches!(strict("meta", Ipld::List(vec![])), DecodeError::Kind { field: "meta", .. }));
    assert!(!spec_accepts("meta", Ipld::Null));
    assert!(spec_accepts("meta", map(&[("any", Ipld::Float(0.5))])));
}

#[test]
fn a_delegation_is_not_an_invocation_and_the_reverse() {
    assert!(Unverified::<Invocation>::decode(&envelope(INV, fields()), Profile::Spec).is_err());
    let mut payload = fields();
    payload.insert("args".into(), map(&[]));
    assert!(matches!(
        Unverified::<Delegation>::decode(&envelope(DLG, payload), Profile::Spec),
        Err(DecodeError::UnknownField { .. })
    ));
}

#[test]
fn the_fields_of_an_invocation() {
    let strict = |field: &str, value: Ipld| decode::<Invocation>(Profile::Strict, field, Some(value));
    let link = |bytes: &[u8]| Ipld::Link(ucan::Cid::of(bytes).to_link());
    assert!(strict("cause", link(b"receipt")).is_ok());
    assert_eq!(strict("exp", Ipld::Null).unwrap_err(), DecodeError::Null { field: "exp" });
    assert!(decode::<Invocation>(Profile::Spec, "exp", Some(Ipld::Null)).is_ok());
    assert!(strict("args", Ipld::List(vec![])).is_err());
    assert!(strict("sub", Ipld::Null).is_err());
    assert!(strict("aud", Ipld::Null).is_err());
    assert!(strict("prf", Ipld::List(vec![text("bafy")])).is_err());
    let raw = ipld_core::cid::Cid::new_v1(0x55, *ucan::Cid::of(b"x").to_link().hash());
    assert!(matches!(
        strict("prf", Ipld::List(vec![Ipld::Link(raw)])),
        Err(DecodeError::Link { field: "prf", .. })
    ));
    let many = (0..9_u8).map(|i| link(&[i])).collect();
    assert_eq!(
        strict("prf", Ipld::List(many)).unwrap_err(),
        DecodeError::TooManyProofs { found: 9, limit: 8 }
    );
    assert!(strict("iat", Ipld::Integer(-5)).is_err());
    assert!(strict("run", Ipld::Null).is_err());
}
