//! What is and is not a payload.

use proptest::prelude::*;

use super::*;
use crate::{
    CidDigest,
    limits::{GOSSIP_BYTES, NOTICE_LINKS, PRESENCE_ADDRESSES},
    presence::{Gossiped, Noted, Notice, PayloadError, Signable},
};

fn presence(record: Record) -> Gossiped {
    Gossiped::unsigned(Say::Presence(record))
}

#[test]
fn text_that_could_deceive_is_refused() {
    for dirty in ["\u{1b}[2J", "a\u{202e}b", "a\nb", "a\u{200b}", " a", "a\u{9b}1m", "\u{7f}"] {
        let label = Record { label: Some(dirty.into()), ..record(1, 1, 1, START) };
        let version = Record { version: dirty.into(), ..record(1, 1, 1, START) };
        let relay = Record { relay: Some(dirty.into()), ..record(1, 1, 1, START) };
        for record in [label, version, relay] {
            let payload = presence(record);
            assert!(matches!(payload.encode(), Err(PayloadError::Dirty(_))), "{dirty:?}");
            // A hostile node does not ask.
            let bytes = postcard::to_stdvec(&payload).unwrap();
            assert!(matches!(Gossiped::decode(&bytes), Err(PayloadError::Dirty(_))), "{dirty:?}");
        }
    }
    let fine = Record { label: Some("Ünï's laptop 🦀".into()), ..record(1, 1, 1, START) };
    assert_eq!(Gossiped::decode(&presence(fine.clone()).encode().unwrap()), Ok(presence(fine)));
}

#[test]
fn every_field_has_a_limit() {
    let addr = "[2001:db8::1]:65535".parse().unwrap();
    let base = record(1, 1, 1, START);
    for bad in [
        Record { addrs: vec![addr; PRESENCE_ADDRESSES + 1], ..base.clone() },
        Record { label: Some("x".repeat(65)), ..base.clone() },
        Record { version: "x".repeat(65), ..base.clone() },
        Record { relay: Some("x".repeat(4_097)), ..base.clone() },
        Record { ext: Ext(vec![(0, Vec::new()); 17]), ..base.clone() },
    ] {
        let payload = presence(bad);
        assert!(matches!(payload.encode(), Err(PayloadError::Limit(_))), "{payload:?}");
    }
    let large = presence(Record { relay: Some("x".repeat(4_000)), ..base });
    assert!(matches!(large.encode(), Err(PayloadError::TooLarge(_))));
    assert_eq!(Gossiped::decode(&[0; GOSSIP_BYTES + 1]), Err(PayloadError::TooLarge(GOSSIP_BYTES + 1)));
}

#[test]
fn the_largest_of_each_fits() {
    let own = Own {
        addrs: vec!["[2001:db8::1]:65535".parse().unwrap(); 99],
        relay: Some("r".repeat(GOSSIP_BYTES / 4)),
        label: Some("é".repeat(99)),
        version: "v".repeat(99),
        load: Load { sessions: u32::MAX, running: u32::MAX },
    };
    let mut node = Presence::new(TEAM, id(0), u64::MAX, own, 1);
    let mut out = Vec::new();
    node.handle(Timestamp(u64::MAX), Input::Start, &mut out);
    let beat = beats(&out)[0].clone();
    let bytes = presence(beat).encode().unwrap();
    assert!((1_300..2_000).contains(&bytes.len()), "{}", bytes.len());
    let noted = Noted { cid: CidDigest([1; 32]), subject: id(3), expires: Timestamp(u64::MAX) };
    let notice = Notice { team: TEAM, author: id(1), counter: u64::MAX, revoked: vec![noted; NOTICE_LINKS] };
    assert!(Gossiped::unsigned(Say::Revoked(notice)).encode().unwrap().len() < GOSSIP_BYTES);
}

#[test]
fn what_is_signed_differs_by_kind_team_author_and_every_field() {
    let base = record(1, 1, 1, START);
    let mut all = vec![
        base.signing_bytes(),
        Record { team: TeamId([8; 32]), ..base.clone() }.signing_bytes(),
        Record { author: id(2), ..base.clone() }.signing_bytes(),
        Record { boot_id: 2, ..base.clone() }.signing_bytes(),
        Record { counter: 2, ..base.clone() }.signing_bytes(),
        Record { leaving: true, ..base.clone() }.signing_bytes(),
        Record { lease_ms: 1, ..base }.signing_bytes(),
    ];
    let lost = Lost { team: TEAM, author: id(1), counter: 1, member: id(2), boot_id: 1, heard: 1 };
    let notice = Notice { team: TEAM, author: id(1), counter: 1, revoked: Vec::new() };
    all.extend([lost.signing_bytes(), notice.signing_bytes()]);
    assert!(all.iter().all(|bytes| bytes.starts_with(b"clankers-") && bytes.contains(&0)));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_payload_has_one_encoding_only() {
    let lost = Lost { team: TEAM, author: id(1), counter: 5, member: id(2), boot_id: 1, heard: 1 };
    let payload = Gossiped::unsigned(Say::Lost(lost));
    let bytes = payload.encode().unwrap();
    assert_eq!(Gossiped::decode(&bytes), Ok(payload));
    let at = 1 + 32 + 32;
    assert_eq!(bytes[at], 5);
    let longer = [&bytes[..at], &[0x85, 0x00], &bytes[at + 1..]].concat();
    assert_eq!(Gossiped::decode(&longer), Err(PayloadError::Malformed));
}

#[test]
fn a_kind_of_a_later_version_is_told_from_what_nobody_writes() {
    for kind in [3, 4, 0x7f] {
        assert_eq!(Gossiped::decode(&[kind, 1, 2, 3]), Err(PayloadError::Unknown(kind)));
    }
    for kind in [0, 2, 0x80, 0xff] {
        assert_eq!(Gossiped::decode(&[kind, 1, 2, 3]), Err(PayloadError::Malformed));
    }
    assert_eq!(Gossiped::decode(&[]), Err(PayloadError::Malformed));
}

#[test]
fn what_is_said_of_others_is_numbered_over_all_starts() {
    let own =
        || Own { addrs: Vec::new(), relay: None, label: None, version: "v".into(), load: Load::default() };
    let first = |boot| crate::presence::beat::Beat::new(boot, own()).number();
    assert!(first(8) > first(7) + 1_000_000);
}

proptest! {
    #[test]
    fn any_bytes_never_panic_and_what_is_read_is_written_again(
        bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0_u8..4,
    ) {
        let bytes = [&[kind][..], &bytes].concat();
        if let Ok(payload) = Gossiped::decode(&bytes) {
            prop_assert_eq!(Gossiped::decode(&payload.encode().unwrap()), Ok(payload));
        }
    }

    #[test]
    fn a_changed_payload_is_another_or_none(at in 0_usize..300, bit in 0_u8..8) {
        let payload = presence(Record { label: Some("me".into()), ..record(1, 1, 1, START) });
        let mut bytes = payload.encode().unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Gossiped::decode(&bytes), Ok(payload));
    }
}
