//! What is lost is said, and what is left is enough.

use super::*;
use crate::{Put, RevocationRow, identity, store::tables};

fn open(home: &Home) -> Store {
    Store::open(home, NOW).unwrap()
}

fn is_lost(store: &Store) -> bool {
    matches!(store.authority(), Authority::Lost { .. })
}

/// A home in use: with a key, a store and a revocation.
fn used() -> (tempfile::TempDir, Home) {
    let (dir, home) = home();
    identity::load_or_create(&home).unwrap();
    let store = open(&home);
    let cid = clankers_protocol::CidDigest([1; 32]);
    let me = NodeId([2; 32]);
    let row = RevocationRow {
        cid,
        subject: me,
        revoker: me,
        grantee: me,
        expires: NOW.plus_ms(9),
        container: vec![1],
    };
    assert_eq!(store.revocations().put(&row, NOW).unwrap(), Put::New);
    (dir, home)
}

#[test]
fn a_new_home_is_whole_whichever_comes_first() {
    let (_dir, first) = home();
    identity::load_or_create(&first).unwrap();
    assert!(first.auth_log().exists(), "made with the key");
    assert_eq!(open(&first).authority(), Authority::Whole);
    let (_dir, second) = home();
    assert_eq!(open(&second).authority(), Authority::Whole);
    identity::load_or_create(&second).unwrap();
    assert_eq!(open(&second).authority(), Authority::Whole);
}

#[test]
fn one_of_the_two_is_enough() {
    let (_dir, home) = used();
    for file in [home.store(), home.auth_log(), home.store()] {
        fs::remove_file(file).unwrap();
        let store = open(&home);
        assert_eq!(store.authority(), Authority::Whole);
        assert!(store.revocations().is_revoked(&clankers_protocol::CidDigest([1; 32])).unwrap());
    }
}

#[test]
fn losing_both_is_said_until_the_owner_moves_the_epoch() {
    let (_dir, home) = used();
    fs::remove_file(home.store()).unwrap();
    fs::remove_file(home.auth_log()).unwrap();
    for lose in [None, Some(home.store()), Some(home.auth_log())] {
        lose.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        let store = open(&home);
        let Authority::Lost { why } = store.authority() else { panic!("it is lost") };
        assert!(why.contains("both missing"), "{why}");
        assert_eq!(store.epoch(), Timestamp(0));
    }
    let store = open(&home);
    let epoch = store.move_epoch(NOW.plus_ms(1)).unwrap();
    assert_eq!(epoch, NOW.plus_ms(1000), "a whole second, not before now");
    assert_eq!((store.authority(), store.epoch()), (Authority::Whole, epoch));
    drop(store);
    for lose in [None, Some(home.store()), Some(home.auth_log())] {
        lose.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        let store = open(&home);
        assert_eq!((store.authority(), store.epoch()), (Authority::Whole, epoch));
    }
}

#[test]
fn a_start_that_breaks_off_after_the_loss_does_not_forget_it() {
    let (_dir, home) = used();
    fs::remove_file(home.store()).unwrap();
    fs::remove_file(home.auth_log()).unwrap();
    // What a start leaves that is killed before it has judged: an empty database.
    assert!(opening::make(&home.store(), &home).unwrap());
    assert!(is_lost(&open(&home)));
    // And one that is killed between the log and the database.
    fs::remove_file(home.store()).unwrap();
    assert!(opening::make(&home.store(), &home).unwrap());
    assert!(is_lost(&open(&home)));
}

#[test]
fn a_damaged_log_alone_is_not_believed() {
    let (_dir, home) = used();
    let clean = fs::read(home.auth_log()).unwrap();
    let header = clean.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut flipped = clean.clone();
    flipped[header + 40] ^= 1;
    let mut beheaded = clean.clone();
    beheaded[3] ^= 1;
    for bad in [flipped, beheaded, Vec::new(), clean[header..].to_vec(), clean[..header - 5].to_vec()] {
        fs::write(home.auth_log(), &bad).unwrap();
        let _ = fs::remove_file(home.store());
        assert!(is_lost(&open(&home)), "{:?}", String::from_utf8_lossy(&bad));
        assert!(is_lost(&open(&home)), "and stays so");
    }
    fs::write(home.auth_log(), &clean).unwrap();
    fs::remove_file(home.store()).unwrap();
    assert_eq!(open(&home).authority(), Authority::Whole);
}

#[test]
fn a_damaged_log_beside_a_whole_database_is_made_again() {
    let (_dir, home) = used();
    for bad in [&b""[..], b"rubbish\n", &[0xff; 3000]] {
        fs::write(home.auth_log(), bad).unwrap();
        let store = open(&home);
        assert_eq!(store.authority(), Authority::Whole);
        drop(store);
        fs::remove_file(home.store()).unwrap();
        assert!(open(&home).revocations().is_revoked(&clankers_protocol::CidDigest([1; 32])).unwrap());
    }
}

#[test]
fn the_epoch_does_not_go_back_with_the_clock() {
    let (_dir, home) = home();
    let store = open(&home);
    let first = store.move_epoch(NOW).unwrap();
    assert_eq!(first, NOW);
    assert_eq!(
        store.move_epoch(Timestamp(NOW.0 - 60_000)).unwrap(),
        first,
        "the clock was set back a little"
    );
    assert_eq!(store.move_epoch(NOW.plus_ms(60_000)).unwrap(), NOW.plus_ms(60_000));
}

/// The owner withdrew everything while the clock was years ahead, and does so again when it is right.
#[test]
fn an_epoch_far_ahead_goes_back_and_revives_nothing() {
    let (_dir, home) = home();
    let store = open(&home);
    let far = NOW.plus_ms(900 * 24 * 3_600_000);
    let cid = clankers_protocol::CidDigest(std::array::from_fn(|n| u8::try_from(n).unwrap()));
    let token = clankers_protocol::request::tokens::TokenRecord {
        cid: "bafyreiaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4".into(),
        subject: NodeId([1; 32]),
        issuer: NodeId([1; 32]),
        audience: NodeId([2; 32]),
        not_before: far,
        expires: far.plus_ms(3_600_000),
        grants: Vec::new(),
        issued: true,
    };
    store.tokens().put_issued(&token, b"T", far).unwrap();
    assert_eq!(store.move_epoch(far.plus_ms(1000)).unwrap(), far.plus_ms(1000));
    let now = NOW.plus_ms(5000);
    assert_eq!(store.move_epoch(now).unwrap(), now);
    drop(store);
    for file in [None, Some(home.store()), Some(home.auth_log())] {
        file.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        let store = open(&home);
        assert_eq!(store.epoch(), now);
        assert!(store.revocations().is_revoked(&cid).unwrap(), "issued before, though it begins later");
        let told = store.revocations().cids(token.subject, now).unwrap();
        assert_eq!(told, [], "no signature says so: it is not passed on");
    }
}

#[test]
fn an_epoch_that_stands_for_lost_records_never_goes_back() {
    let (_dir, home) = home();
    let store = open(&home);
    store.authority.write().unwrap().lost = Some("all".into());
    store.move_epoch(NOW).unwrap();
    store.move_epoch(NOW.plus_ms(7_200_000)).unwrap();
    assert_eq!(store.move_epoch(Timestamp(5)).unwrap(), NOW, "nobody knows what was issued before");
}

#[test]
fn a_move_that_the_disk_refused_did_not_happen() {
    let (_dir, home) = home();
    let store = open(&home);
    store.auth().fail_for_tests();
    assert!(store.move_epoch(NOW).is_err());
    assert_eq!(store.epoch(), Timestamp(0));
    store.auth().heal_for_tests(&home);
    assert_eq!(store.move_epoch(NOW).unwrap(), NOW);
}

#[test]
fn a_database_of_version_1_is_brought_up_to_date() {
    let (_dir, home) = home();
    let store = open(&home);
    let token = clankers_protocol::request::tokens::TokenRecord {
        cid: "bafyreiold".into(),
        subject: NodeId([1; 32]),
        issuer: NodeId([1; 32]),
        audience: NodeId([1; 32]),
        not_before: NOW,
        expires: NOW.plus_ms(9),
        grants: Vec::new(),
        issued: true,
    };
    store.tokens().put_issued(&token, b"T", NOW).unwrap();
    let back = |t: &WriteTransaction| {
        t.delete_table(tables::TOKEN_CIDS)?;
        t.delete_table(tables::REVOCATIONS)?;
        t.delete_table(tables::AUTHORITY)?;
        let mut meta = t.open_table(META)?;
        meta.remove(tables::MERGED)?;
        meta.insert(SCHEMA, 1)?;
        Ok(())
    };
    store.write(Keep::Now, back).unwrap();
    drop(store);
    identity::load_or_create(&home).unwrap();
    // A version 1 wrote no log that could be missed.
    fs::remove_file(home.auth_log()).unwrap();
    let store = open(&home);
    assert_eq!(store.authority(), Authority::Whole);
    assert_eq!(store.tokens().get("bafyreiold", NOW).unwrap().unwrap().container, b"T");
}

#[test]
fn the_log_is_rewritten_while_the_node_runs() {
    let (_dir, home) = used();
    let store = open(&home);
    let size = || fs::metadata(home.auth_log()).unwrap().len();
    let mut largest = 0;
    let link = (clankers_protocol::CidDigest([4; 32]), NOW.plus_ms(1_000_000));
    let counter = rows::Counter {
        cid: link.0,
        row: serde_json::from_value(serde_json::json!({"group": link.0, "expires": link.1, "spent": 5,
            "tokens": 0, "starts": (0..13).collect::<Vec<u64>>().iter().map(|n| (n, n)).collect::<Vec<_>>()}))
        .unwrap(),
    };
    for _ in 0..30 {
        let lines = vec![rows::Record::Counters(vec![counter.clone(); 8]); 100];
        store.auth().append(&lines, NOW, Keep::Soon).unwrap();
        let amount = crate::Amount { nano_usd: 1, ..crate::Amount::default() };
        let _ = store.ledger().reserve(&[link], amount, NOW, |_| Ok::<(), ()>(())).unwrap();
        largest = largest.max(size());
    }
    assert!(largest < 2 * limits::AUTH_LOG_REWRITE_BYTES && size() < largest, "{largest}");
    drop(store);
    fs::remove_file(home.store()).unwrap();
    let store = open(&home);
    assert!(store.ledger().usage(&link.0, NOW).unwrap().spent_nano_usd >= 30);
    assert!(store.revocations().is_revoked(&clankers_protocol::CidDigest([1; 32])).unwrap());
}
