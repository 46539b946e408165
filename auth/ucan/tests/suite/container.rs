//! Attacks on containers.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ucan::{AnyToken, CodecError, Container, ContainerError, ContainerLimits, DecodeError, Ipld, Profile};

use crate::forge::{encode, key, link, links, map};

const LIMITS: ContainerLimits = ContainerLimits::CHAIN;

fn raw(content: &Ipld) -> Vec<u8> {
    [b"@", encode(content).as_slice()].concat()
}

fn frame(tokens: Vec<Vec<u8>>) -> Ipld {
    map(&[("ctn-v1", Ipld::List(tokens.into_iter().map(Ipld::Bytes).collect()))])
}

fn strict(input: &[u8]) -> Result<Container, ContainerError> {
    Container::decode(input, &LIMITS, Profile::Strict)
}

#[test]
fn both_forms_round_trip() {
    let chain = links(&[1, 2, 3, 4]);
    let container = Container::new(chain.iter().map(|token| token.bytes()), &LIMITS).unwrap();
    let (bytes, text) = (container.to_bytes().unwrap(), container.to_text().unwrap());
    assert!(text.starts_with('C') && text.is_ascii() && !text.contains('='));
    assert_eq!(strict(&bytes), Ok(container.clone()));
    assert_eq!(strict(text.as_bytes()), Ok(container.clone()));
    let decoded = container.delegations(Profile::Strict).unwrap();
    assert_eq!(ucan::Chain::order(decoded).unwrap().into_links(), chain);
    // A set: neither order nor repetition matters when writing.
    let again = chain.iter().rev().chain(&chain).map(|token| token.bytes());
    assert_eq!(Container::new(again, &LIMITS), Ok(container));
}

#[test]
fn headers() {
    let good = Container::new([b"x"], &LIMITS).unwrap().to_bytes().unwrap();
    let with = |header: u8, body: &[u8]| strict(&[&[header], body].concat());
    assert_eq!(strict(b""), Err(ContainerError::Empty));
    for header in *b"MOP" {
        assert_eq!(with(header, &good[1..]), Err(ContainerError::Compressed));
    }
    for header in [0, b'A', b'c', b' ', 0xff, 0xa1] {
        assert_eq!(with(header, &good[1..]), Err(ContainerError::Header { found: header }));
    }
    // Padded base64 is for the spec profile.
    let padded = [b"B", BASE64.encode(&good[1..]).as_bytes()].concat();
    assert_eq!(strict(&padded), Err(ContainerError::Header { found: b'B' }));
    assert!(Container::decode(&padded, &LIMITS, Profile::Spec).is_ok());
}

#[test]
fn texts() {
    let text = Container::new([b"xyz"], &LIMITS).unwrap().to_text().unwrap();
    for bad in [
        format!("{text}\n"),
        format!("{text}="),
        format!(" {text}"),
        text.replace('C', "C\n"),
        format!("{text}é"),
    ] {
        assert!(strict(bad.as_bytes()).is_err(), "{bad:?}");
    }
    // Spare bits at the end must be zero, or one container would have several texts.
    let mut bytes = encode(&frame(vec![b"xy".to_vec()]));
    while bytes.len().is_multiple_of(3) {
        bytes = encode(&frame(vec![vec![0; bytes.len()]]));
    }
    let mut text = BASE64URL_NOPAD.encode(&bytes).into_bytes();
    let last = text.last_mut().unwrap();
    *last += 1;
    assert_eq!(strict(&[b"C", text.as_slice()].concat()), Err(ContainerError::Base64));
}

#[test]
fn sorted_without_duplicates() {
    let tokens = |list: &[&[u8]]| raw(&frame(list.iter().map(|token| token.to_vec()).collect()));
    assert!(strict(&tokens(&[b"a", b"ab", b"b"])).is_ok());
    assert_eq!(strict(&tokens(&[b"b", b"a"])), Err(ContainerError::NotSorted));
    assert_eq!(strict(&tokens(&[b"a", b"a"])), Err(ContainerError::Duplicate));
    let spec = |bytes: &[u8]| Container::decode(bytes, &LIMITS, Profile::Spec);
    assert!(spec(&tokens(&[b"b", b"a"])).is_ok());
    assert_eq!(spec(&tokens(&[b"b", b"a", b"b"])), Err(ContainerError::Duplicate));
}

#[test]
fn shapes() {
    for content in [
        Ipld::Null,
        Ipld::List(vec![Ipld::Bytes(vec![1])]),
        map(&[]),
        map(&[("ctn-v2", Ipld::List(vec![]))]),
        map(&[("ctn-v1", Ipld::Null)]),
        map(&[("ctn-v1", Ipld::List(vec![Ipld::String("x".into())]))]),
        map(&[("ctn-v1", Ipld::List(vec![])), ("x", Ipld::Null)]),
    ] {
        assert_eq!(strict(&raw(&content)), Err(ContainerError::Shape), "{content:?}");
    }
    let good = raw(&frame(vec![b"x".to_vec()]));
    assert!(matches!(
        strict(&[&good, &[0][..]].concat()),
        Err(ContainerError::Codec(CodecError::TrailingBytes { .. }))
    ));
    assert!(matches!(strict(&good[..good.len() - 1]), Err(ContainerError::Codec(CodecError::Truncated))));
    let long = b"@\xa1\x66ctn-v1\x98\x01\x41x";
    assert!(matches!(strict(long), Err(ContainerError::Codec(CodecError::NotShortest))));
    let nested = [b"@".as_slice(), &[0x81; 100]].concat();
    assert!(matches!(strict(&nested), Err(ContainerError::Codec(CodecError::TooDeep { .. }))));
}

#[test]
fn too_many_and_too_large() {
    let some = |count: u8| (0..count).map(|i| vec![i]).collect::<Vec<_>>();
    assert!(strict(&raw(&frame(some(8)))).is_ok());
    assert!(matches!(strict(&raw(&frame(some(9)))), Err(ContainerError::TooManyTokens { limit: 8 })));
    assert!(matches!(strict(&raw(&frame(some(20)))), Err(ContainerError::TooManyTokens { limit: 8 })));
    assert!(
        Container::decode(&raw(&frame(some(9))), &ContainerLimits::WITH_INVOCATION, Profile::Strict).is_ok()
    );
    assert!(matches!(Container::new(some(9), &LIMITS), Err(ContainerError::TooManyTokens { .. })));

    let token = |size: usize| raw(&frame(vec![vec![0; size]]));
    assert!(strict(&token(4096)).is_ok());
    assert!(matches!(strict(&token(4097)), Err(ContainerError::TokenTooLarge { index: 0, .. })));
    let big = |i: u8| vec![i; 4096];
    let four = raw(&frame((0..4).map(big).collect()));
    assert!(matches!(strict(&four), Err(ContainerError::TooLarge { .. })), "16 KiB and the frame");
    assert!(matches!(strict(&[b'@'; 17 * 1024]), Err(ContainerError::TooLarge { .. })));
    assert!(matches!(strict(&[b'C'; 23 * 1024]), Err(ContainerError::TooLarge { .. })));
    assert!(matches!(Container::new((0..4).map(big), &LIMITS), Err(ContainerError::TooLarge { .. })));
}

#[test]
fn the_text_form_has_the_same_limit_as_the_bytes() {
    for size in 40..46 {
        let container = Container::new([vec![7; size]], &LIMITS).unwrap();
        let exact = container.to_bytes().unwrap().len();
        for form in [container.to_bytes().unwrap(), container.to_text().unwrap().into_bytes()] {
            let decode =
                |bytes| Container::decode(&form, &ContainerLimits { bytes, ..LIMITS }, Profile::Strict);
            assert!(decode(exact).is_ok());
            assert!(matches!(decode(exact - 1), Err(ContainerError::TooLarge { .. })));
        }
    }
}

#[test]
fn tokens_of_both_kinds() {
    let delegation = link(1, 1, 2);
    let invocation = ucan::Invocation::build(crate::forge::did(1), crate::forge::cmd("/file"), &[1; 12])
        .expires(crate::forge::at(crate::forge::NOW))
        .sign(&key(2), Profile::Strict)
        .unwrap();
    let container = Container::new([delegation.bytes(), invocation.bytes()], &LIMITS).unwrap();
    let tokens = container.any_tokens(Profile::Strict).unwrap();
    assert_eq!(tokens.iter().filter(|token| matches!(token, AnyToken::Invocation(_))).count(), 1);
    assert!(matches!(
        container.delegations(Profile::Strict),
        Err(ContainerError::Token { source: DecodeError::WrongTag { .. }, .. })
    ));
    let junk = Container::new([b"junk"], &LIMITS).unwrap();
    assert!(junk.any_tokens(Profile::Strict).is_err());
}
