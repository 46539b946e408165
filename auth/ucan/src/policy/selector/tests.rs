use super::*;
use ipld_core::ipld;
use proptest::prelude::*;

fn args() -> Ipld {
    ipld!({
        "from": "alice@example.com",
        "to": ["bob", "carol", "dan"],
        "odd key": { "x.y": 1 },
        "bytes": Ipld::Bytes(vec![0xd6, 0xa9, 0xc1, 0x8c]),
        "map": { "a": 1, "b": 2 },
    })
}

fn at(selector: &str) -> Option<Ipld> {
    Selector::parse(selector).unwrap().resolve(&args(), MissingKey::IsNull).map(Cow::into_owned)
}

#[test]
fn the_examples_of_the_specification_resolve() {
    assert_eq!(at("."), Some(args()));
    assert_eq!(at(".from"), Some(ipld!("alice@example.com")));
    assert_eq!(at(".to[1]"), Some(ipld!("carol")));
    assert_eq!(at(".to[-1]"), Some(ipld!("dan")));
    assert_eq!(at(".to[99]"), None);
    assert_eq!(at(".to[99]?"), Some(Ipld::Null));
    assert_eq!(at(".to[-4]"), None);
    assert_eq!(at(".to[1:]"), Some(ipld!(["carol", "dan"])));
    assert_eq!(at(".to[:1]"), Some(ipld!(["bob"])));
    assert_eq!(at(".to[0:-2]"), Some(ipld!(["bob"])));
    assert_eq!(at(".to[7:11]"), Some(ipld!([])));
    assert_eq!(at(".to[2:1]"), Some(ipld!([])));
    assert_eq!(at(".map[]"), Some(ipld!([1, 2])));
    assert_eq!(at(".to[]"), at(".to"));
    assert_eq!(at(".[\"odd key\"][\"x.y\"]"), Some(ipld!(1)));
    assert_eq!(at(".bytes[3]"), Some(ipld!(140)));
    assert_eq!(at(".bytes[:2]"), Some(Ipld::Bytes(vec![0xd6, 0xa9])));
    assert_eq!(at(".map[][1]"), Some(ipld!(2)));
}

#[test]
fn a_missing_key_is_null_or_nothing() {
    assert_eq!(at(".nope"), Some(Ipld::Null));
    assert_eq!(at(".nope.deeper"), None);
    assert_eq!(at(".nope.deeper?"), Some(Ipld::Null));
    assert_eq!(at(".from.x?.y"), None);
    let nope = Selector::parse(".nope").unwrap();
    assert_eq!(nope.resolve(&args(), MissingKey::Fails), None);
}

#[test]
fn malformed_selectors_are_refused() {
    for text in [
        "",
        "a",
        "..",
        "...",
        "a.b",
        ".a.",
        ".a..b",
        ".a b",
        ".1",
        ".a-b",
        ".[",
        ".a[",
        ".a[1",
        ".a]",
        ".a[x]",
        ".a[1.0]",
        ".a[+1]",
        ".a[01]",
        ".a[-0]",
        ".a[-]",
        ".a[:]",
        ".a[1:2:3]",
        ".a[99999999999999999999]",
        ".[\"a]",
        ".[\"a\"",
        ".[\"\\n\"]",
        ".['a']",
        ".é",
        ".a|.b",
        "?",
        ".?",
        ".a?b",
    ] {
        assert!(Selector::parse(text).is_err(), "{text:?}");
    }
    assert!(Selector::parse(&format!(".{}", "a".repeat(SELECTOR_BYTES))).is_err());
    assert!(Selector::parse(&".a".repeat(SELECTOR_SEGMENTS + 1)).is_err());
}

#[test]
fn optional_marks_are_idempotent_and_noticed() {
    assert!(Selector::parse(".a???.b").unwrap().has_optional());
    assert!(!Selector::parse(".a.b").unwrap().has_optional());
    assert!(!Selector::parse(".[\"a?\"]").unwrap().has_optional());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_or_the_walk_panic(text in "\\.[a\\[\\]\"\\\\:?.0-9é-]{0,16}") {
        if let Ok(selector) = Selector::parse(&text) {
            let _ = selector.resolve(&args(), MissingKey::IsNull);
            prop_assert_eq!(selector.as_str(), text);
        }
    }
}
