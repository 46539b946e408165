//! Room: whose, how much, and what becomes of whoever takes all of theirs.

use std::time::Duration;

use clankers_protocol::request::tokens::TokenRecord;

use super::*;

const DAY: u64 = 24 * HOUR;

fn someone(n: u64) -> NodeId {
    NodeId(cid(n).0)
}

/// By a key that was made for just this one, below `grantee`.
fn below(n: u64, grantee: NodeId) -> RevocationRow {
    RevocationRow { grantee, ..row(n, someone(n | 1 << 40), 5) }
}

/// A mirror in which this one has taken all that it may.
fn full_of(spammer: NodeId) -> Mirror {
    let mut mirror = Mirror::default();
    for n in 0..limits::REVOCATIONS_BY_GRANTEE {
        let row = below(n, spammer);
        assert_eq!(mirror.judge(&row), Verdict::New);
        mirror.insert(&row, true);
    }
    mirror
}

#[test]
fn fresh_keys_make_no_room_and_who_takes_too_much_is_denied_below() {
    let spammer = NodeId([66; 32]);
    let mut mirror = full_of(spammer);
    assert_eq!(mirror.judge(&below(0, spammer)), Verdict::Known);
    let Verdict::Mark(whose, until) = mirror.judge(&below(1_000_000, spammer)) else { panic!() };
    assert_eq!(whose, spammer);
    assert!(until >= NOW.plus_ms(5 * HOUR) && until < NOW.plus_ms(5 * HOUR + DAY));
    mirror.mark(whose, until);
    assert!(mirror.is_marked(&spammer) && !mirror.is_marked(&ME));
    let later = RevocationRow { expires: until, ..below(1_000_001, spammer) };
    assert_eq!(mirror.judge(&later), Verdict::Marked, "no line for each second that somebody thinks of");
    let longer = RevocationRow { expires: until.plus_ms(1), ..later };
    assert_eq!(
        mirror.judge(&longer),
        Verdict::Mark(spammer, until.plus_ms(DAY)),
        "the mark must last longer"
    );
    assert_eq!(mirror.judge(&below(1_000_002, NodeId([67; 32]))), Verdict::New, "others are not affected");
    mirror.forget(until.plus_ms(HOUR));
    assert!(mirror.is_marked(&spammer));
    mirror.forget(until.plus_ms(HOUR + 1));
    assert!(!mirror.is_marked(&spammer));
    assert_eq!(mirror.judge(&below(1, spammer)), Verdict::New, "there is room again");
}

#[test]
fn long_witnesses_take_their_bytes() {
    let spammer = NodeId([66; 32]);
    let mut mirror = Mirror::default();
    let long = |n| RevocationRow { container: vec![7; limits::CONTAINER_BYTES], ..below(n, spammer) };
    let most = limits::REVOCATION_BYTES_BY_GRANTEE / limits::CONTAINER_BYTES as u64;
    for n in 0..most {
        assert_eq!(mirror.judge(&long(n)), Verdict::New);
        mirror.insert(&long(n), true);
    }
    assert!(matches!(mirror.judge(&long(most)), Verdict::Mark(whose, _) if whose == spammer));
    mirror.forget(NOW.plus_ms(7 * HOUR));
    assert_eq!(mirror.judge(&long(most)), Verdict::New, "bytes are given back");
}

#[test]
fn those_below_take_neither_the_owners_room_nor_the_first_of_another() {
    let mut mirror = Mirror::default();
    for n in 0..limits::REVOCATIONS_COMMON {
        mirror.insert(&below(n, someone(n / 4000)), true);
    }
    let honest = NodeId([68; 32]);
    for n in 0..limits::REVOCATIONS_OF_EACH {
        let row = below(1_000_000 + n, honest);
        assert_eq!(mirror.judge(&row), Verdict::New, "{n}");
        mirror.insert(&row, true);
    }
    assert!(matches!(mirror.judge(&below(2_000_000, honest)), Verdict::Mark(whose, _) if whose == honest));
    assert!(
        matches!(mirror.judge(&below(2_000_001, someone(1))), Verdict::Mark(whose, _) if whose == someone(1))
    );
    assert_eq!(mirror.judge(&row(u64::MAX, ME, 5)), Verdict::New, "the owner's");
    for n in 0..limits::REVOKERS_OVER_QUOTA as u64 {
        mirror.mark(someone(n + 1000), NOW.plus_ms(HOUR));
    }
    assert_eq!(mirror.judge(&below(3_000_000, someone(3))), Verdict::NoRoom, "told, not forgotten");
    assert_eq!(mirror.judge(&row(u64::MAX, ME, 5)), Verdict::New);
}

#[test]
fn a_mark_is_kept_like_a_revocation() {
    let (_dir, home) = home();
    let spammer = NodeId([66; 32]);
    let store = Store::open(&home, NOW).unwrap();
    *store.revoked.write().unwrap() = full_of(spammer);
    assert_eq!(store.revocations().put(&below(u64::MAX, spammer), NOW).unwrap(), Put::OverQuota);
    assert_eq!(store.revocations().put(&below(u64::MAX, spammer), NOW).unwrap(), Put::OverQuota);
    assert!(store.revocations().overflowed(&spammer).unwrap());
    assert!(store.revocations().is_revoked_under(&cid(u64::MAX), &[ME, spammer]).unwrap());
    assert!(!store.revocations().is_revoked_under(&cid(u64::MAX), &[ME, NodeId([67; 32])]).unwrap());
    drop(store);
    for file in [None, Some(home.store()), Some(home.auth_log())] {
        file.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        let store = Store::open(&home, NOW).unwrap();
        assert!(store.revocations().overflowed(&spammer).unwrap());
        assert!(!store.revocations().overflowed(&ME).unwrap());
    }
    let store = Store::open(&home, NOW.plus_ms(3 * DAY)).unwrap();
    assert!(!store.revocations().overflowed(&spammer).unwrap(), "over");
}

/// Rows as they were before there were grantees, in the database and in the log.
#[test]
fn rows_of_before_are_read() {
    let old = row(1, NodeId([5; 32]), 5);
    let bytes =
        crate::store::tables::pack(&(old.cid, old.subject, old.revoker, old.expires, old.container.clone()));
    assert_eq!(table::open_row(&bytes.unwrap()).unwrap(), old);
    assert!(table::open_row(b"nonsense").is_err());
}

#[test]
fn what_others_bring_leaves_half_of_the_log_to_the_node() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    // A hole in the file stands for what they have brought: it takes no space.
    store.auth().grow_for_tests(limits::AUTH_LOG_OTHERS_BYTES);
    let refused = store.revocations().put(&below(1, NodeId([66; 32])), NOW);
    assert!(matches!(refused, Err(StoreError::Full { limit: limits::AUTH_LOG_OTHERS_BYTES, .. })));
    assert!(store.revocations().is_revoked(&cid(1)).unwrap(), "rather revoked than not");
    assert_eq!(store.revocations().put(&row(2, ME, 5), NOW).unwrap(), Put::New, "the node's own");
}

#[test]
fn a_clock_that_jumped_ahead_and_back_revives_nothing() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.revocations().put(&row(1, ME, 5), NOW).unwrap();
    let end = NOW.plus_ms(5 * HOUR);
    assert!(!store.revocations().is_forgotten(end).unwrap());
    let ahead = NOW.plus_ms(900 * DAY);
    store.revocations().put(&row(2, ME, 30_000), ahead).unwrap();
    assert!(!store.revocations().is_revoked(&cid(1)).unwrap(), "forgotten");
    let check = |store: &Store| {
        assert!(
            store.revocations().is_forgotten(end).unwrap(),
            "and what it revoked is over, whatever the clock says"
        );
        assert!(!store.revocations().is_forgotten(end.plus_ms(1)).unwrap(), "nothing else is");
    };
    check(&store);
    drop(store);
    for file in [None, Some(home.store()), Some(home.auth_log())] {
        file.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        check(&Store::open(&home, NOW).unwrap());
    }
    let store = Store::open(&home, NOW).unwrap();
    store.move_epoch(NOW).unwrap();
    assert!(!store.revocations().is_forgotten(end).unwrap(), "what is issued from now on is another matter");
}

#[test]
fn a_node_that_starts_with_a_wrong_clock_revives_nothing() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.revocations().put(&row(1, ME, 5), NOW).unwrap();
    drop(store);
    drop(Store::open(&home, NOW.plus_ms(900 * DAY)).unwrap());
    let store = Store::open(&home, NOW).unwrap();
    assert!(store.revocations().is_forgotten(NOW.plus_ms(5 * HOUR)).unwrap());
    assert!(!store.revocations().is_forgotten(NOW.plus_ms(5 * HOUR + 1)).unwrap());
}

fn token(cid: &str, expires: Timestamp) -> TokenRecord {
    let (subject, issuer, audience) = (ME, ME, someone(9));
    let grants = vec!["prompt".into()];
    TokenRecord { cid: cid.into(), subject, issuer, audience, not_before: NOW, expires, grants, issued: true }
}

/// What a node has open: its clock must go right for an hour before anything is forgotten by it.
#[test]
fn a_clock_that_jumped_and_was_put_right_leaves_everything_as_it_was() {
    let (_dir, home) = home();
    let patient = |now| Store::open_with_deadline(&home, now, Duration::ZERO).unwrap();
    let (end, ahead) = (NOW.plus_ms(5 * HOUR), NOW.plus_ms(900 * DAY));
    let check = |store: &Store, when: &str| {
        assert!(store.revocations().is_revoked(&cid(1)).unwrap(), "{when}");
        assert!(!store.revocations().is_forgotten(end).unwrap(), "{when}");
        assert_eq!(
            store.tokens().get("t", NOW).unwrap().map(|kept| kept.record.expires),
            Some(end),
            "{when}"
        );
    };
    let store = patient(NOW);
    store.revocations().put(&row(1, ME, 5), NOW).unwrap();
    store.tokens().put_issued(&token("t", end), b"T", NOW).unwrap();
    store.revocations().put(&row(2, ME, 30_000), ahead).unwrap();
    store.tokens().put_issued(&token("later", ahead.plus_ms(HOUR)), b"L", ahead).unwrap();
    assert!(store.tokens().get("t", ahead).unwrap().is_none(), "it is over by that clock");
    // By that clock it is over already: nobody says that it was revoked in vain.
    assert_eq!(store.revocations().put(&row(3, ME, 6), ahead).unwrap(), Put::New);
    check(&store, "put right");
    drop(store);
    drop(patient(ahead));
    drop(patient(ahead));
    check(&patient(NOW), "after two starts with the wrong time");
    assert_eq!(patient(NOW).opened().tokens_recovered, 0);
}
