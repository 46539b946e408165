//! What strikes at the container: its header, its text, its frame, its sizes.

use clankers_auth::step::Step;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ucan::Ipld;

use crate::{
    forge::{
        alone, container, container_as_is, delegation, encode, fields, frame, link, links, map, splice, with,
    },
    table,
    vector::{Judge, Vector},
};

const KEY: &str = "ctn-v1";

pub(crate) fn all() -> Vec<Vector> {
    let mut all = table("container", Judge::Chain, (Step::Decode, "bad_token"), headers());
    all.extend(table("container text", Judge::Chain, (Step::Decode, "bad_token"), texts()));
    all.extend(table("container frame", Judge::Chain, (Step::Decode, "bad_token"), frames()));
    all.extend(table("container set", Judge::Chain, (Step::Decode, "bad_token"), sets()));
    all.extend(sizes());
    all.push(Vector::new(Judge::Chain, "container: no token in it", container(&[])).refused(
        Step::Order,
        "Chain.Empty",
        "bad_token",
    ));
    all
}

/// With another first byte.
fn headed(header: u8) -> Vec<u8> {
    let mut bytes = alone(link(1, 2));
    bytes[0] = header;
    bytes
}

fn headers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = alone(link(1, 2));
    let cut = |at: usize| good[..at].to_vec();
    vec![
        ("nothing at all", vec![], "Malformed.Empty"),
        ("the header alone", cut(1), "Malformed.Codec.Truncated"),
        ("cut within the key", cut(5), "Malformed.Codec.Truncated"),
        ("cut before the first token", cut(9), "Malformed.Codec.Truncated"),
        ("cut in the middle", cut(good.len() / 2), "Malformed.Codec.Truncated"),
        ("the last byte is missing", cut(good.len() - 1), "Malformed.Codec.Truncated"),
        ("a byte follows", [&good[..], &[0]].concat(), "Malformed.Codec.TrailingBytes"),
        ("another container follows", good.repeat(2), "Malformed.Codec.TrailingBytes"),
        ("gzip, raw", headed(b'M'), "Malformed.Compressed"),
        ("gzip, base64", headed(b'O'), "Malformed.Compressed"),
        ("gzip, base64url", headed(b'P'), "Malformed.Compressed"),
        ("gzip without a header", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], "Malformed.Header"),
        ("header zero", headed(0), "Malformed.Header"),
        ("header in lower case", headed(b'c'), "Malformed.Header"),
        ("header of the future", headed(b'Q'), "Malformed.Header"),
        ("a JWT", b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJkaWQ6a2V5OnoifQ.".to_vec(), "Malformed.Header"),
        ("a token without a container", link(1, 2), "Malformed.Header"),
        ("JSON", br#"{"ctn-v1":[]}"#.to_vec(), "Malformed.Header"),
    ]
}

fn texts() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let raw = alone(link(1, 2));
    // A body of a length that leaves bits over in base64.
    let mut odd = raw[1..].to_vec();
    odd.push(0);
    let odd = if odd.len().is_multiple_of(3) { [odd, vec![0]].concat() } else { odd };
    let text = format!("C{}", BASE64URL_NOPAD.encode(&raw[1..]));
    let loose = {
        let mut loose = format!("C{}", BASE64URL_NOPAD.encode(&odd)).into_bytes();
        *loose.last_mut().unwrap() = b'B';
        loose
    };
    vec![
        ("standard base64", format!("B{}", BASE64.encode(&raw[1..])).into_bytes(), "Malformed.Header"),
        ("padded", format!("{text}=").into_bytes(), "Malformed.Base64"),
        ("a space behind", format!("{text} ").into_bytes(), "Malformed.Base64"),
        ("a line break behind", format!("{text}\n").into_bytes(), "Malformed.Base64"),
        ("a space in front", format!(" {text}").into_bytes(), "Malformed.Header"),
        ("a line break within", splice(text.as_bytes(), &text.as_bytes()[40..41], b"\n"), "Malformed.Base64"),
        ("the other alphabet", [text.as_bytes(), b"+/+/"].concat(), "Malformed.Base64"),
        ("bits left over", loose, "Malformed.Base64"),
        ("a NUL within", [&text.as_bytes()[..20], &[0], &text.as_bytes()[20..]].concat(), "Malformed.Base64"),
        ("cut", text.as_bytes()[..text.len() - 4].to_vec(), "Malformed.Codec.Truncated"),
    ]
}

fn frames() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let token = || Ipld::Bytes(link(1, 2));
    let list = || Ipld::List(vec![token()]);
    let good = alone(link(1, 2));
    let key = b"\x66ctn-v1";
    vec![
        ("a list of tokens", frame(&list()), "Malformed.Shape"),
        ("null", frame(&Ipld::Null), "Malformed.Shape"),
        ("an empty map", frame(&map(&[])), "Malformed.Shape"),
        ("another version", frame(&map(&[("ctn-v2", list())])), "Malformed.Shape"),
        ("one key more", frame(&map(&[(KEY, list()), ("x", Ipld::Null)])), "Malformed.Shape"),
        (
            "a token that is a text",
            frame(&map(&[(KEY, Ipld::List(vec![Ipld::String("C".into())]))])),
            "Malformed.Shape",
        ),
        ("a token that is null", frame(&map(&[(KEY, Ipld::List(vec![Ipld::Null]))])), "Malformed.Shape"),
        ("bytes instead of the list", frame(&map(&[(KEY, token())])), "Malformed.Shape"),
        (
            "a list within the list",
            frame(&map(&[(KEY, Ipld::List(vec![list()]))])),
            "Malformed.Codec.TooDeep",
        ),
        ("the same key twice", twice(&encode(&list())), "Malformed.Codec.DuplicateKey"),
        ("a long length of the key", splice(&good, key, b"\x78\x06ctn-v1"), "Malformed.Codec.NotShortest"),
        ("a list without a length", splice(&good, b"v1\x81", b"v1\x9f"), "Malformed.Codec.Indefinite"),
        ("a map without a length", splice(&good, b"@\xa1", b"@\xbf"), "Malformed.Codec.Indefinite"),
        ("a self-described tag", splice(&good, b"@\xa1", b"@\xd9\xd9\xf7\xa1"), "Malformed.Codec.UnknownTag"),
        (
            "2^63 tokens are claimed",
            [b"@\xa1\x66ctn-v1\x9b\x80".as_slice(), &[0; 7]].concat(),
            "Malformed.Codec.Truncated",
        ),
        (
            "a token of 2^63 bytes is claimed",
            [b"@\xa1\x66ctn-v1\x81\x5b\x80".as_slice(), &[0; 7]].concat(),
            "Malformed.Codec.Truncated",
        ),
        ("a number as the key", b"@\xa1\x01\x80".to_vec(), "Malformed.Codec.KeyNotText"),
        ("a key that is not UTF-8", b"@\xa1\x62\xff\xfe\x80".to_vec(), "Malformed.Codec.NotUtf8"),
        ("nested a thousand times", [b"@".as_slice(), &[0x81; 1000]].concat(), "Malformed.Codec.TooDeep"),
    ]
}

fn twice(list: &[u8]) -> Vec<u8> {
    [b"@\xa2\x66ctn-v1".as_slice(), list, b"\x66ctn-v1", list].concat()
}

fn sets() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut chain = links(2);
    chain.sort_unstable();
    let disordered = [chain[1].clone(), chain[0].clone()];
    let doubled = [chain[0].clone(), chain[0].clone()];
    vec![
        ("not sorted", container_as_is(&disordered), "Malformed.NotSorted"),
        ("a token twice", container_as_is(&doubled), "Malformed.Duplicate"),
        ("an empty token", alone(vec![]), "Malformed.Token.Codec.Truncated"),
        ("a token of text", alone(b"not a token".to_vec()), "Malformed.Token.Codec.Truncated"),
        (
            "a bad token beside a good chain",
            container(&[link(1, 2), vec![0xf6]]),
            "Malformed.Token.EnvelopeShape",
        ),
    ]
}

/// A link of exactly so many bytes.
fn sized(from: u8, to: u8, bytes: usize) -> Vec<u8> {
    let padded = |pad: usize| {
        delegation(from, with(fields(from, to), "meta", map(&[("pad", Ipld::Bytes(vec![7; pad]))])))
    };
    let over = padded(1000).len() - 1000;
    let token = padded(bytes - over);
    assert_eq!(token.len(), bytes);
    token
}

/// The largest token that is read (bytes).
pub(crate) const TOKEN: usize = 4096;

pub(crate) fn largest(from: u8, to: u8) -> Vec<u8> {
    sized(from, to, TOKEN)
}

fn sizes() -> Vec<Vector> {
    let chain = |name: &str, bytes: Vec<u8>| Vector::new(Judge::Chain, format!("sizes: {name}"), bytes);
    let four: Vec<_> = (1..=4).map(|n| largest(n, n + 1)).collect();
    let text = |bytes: &[u8]| format!("C{}", BASE64URL_NOPAD.encode(&bytes[1..])).into_bytes();
    vec![
        chain("nine links", container(&links(9))).by(10).refused(
            Step::Sizes,
            "Malformed.TooManyTokens",
            "bad_token",
        ),
        chain("a hundred empty tokens", container_as_is(&vec![vec![]; 100])).refused(
            Step::Sizes,
            "Malformed.TooManyTokens",
            "bad_token",
        ),
        chain("a token of 4097 bytes", alone(sized(1, 2, TOKEN + 1))).refused(
            Step::Sizes,
            "Malformed.TokenTooLarge",
            "bad_token",
        ),
        chain("a token of 12 KiB", alone(sized(1, 2, 3 * TOKEN))).refused(
            Step::Sizes,
            "Malformed.TokenTooLarge",
            "bad_token",
        ),
        chain("over 16 KiB together", container(&four)).by(5).refused(
            Step::Sizes,
            "Malformed.TooLarge",
            "too_large",
        ),
        chain("over 16 KiB together, as text", text(&container(&four))).by(5).refused(
            Step::Sizes,
            "Malformed.TooLarge",
            "too_large",
        ),
    ]
}
