use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::{Home, Store};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn chain(cids: &[u8]) -> Vec<(CidDigest, Timestamp)> {
    cids.iter().map(|n| (CidDigest([*n; 32]), NOW.plus_ms(9_000_000))).collect()
}

fn of(bytes: u64) -> Arrival {
    Arrival { part: "ab".repeat(16), transfer: TransferId([3; 16]), had: 1, bytes }
}

fn received(store: &Store, n: u8) -> u64 {
    store.ledger().usage(&CidDigest([n; 32]), NOW).unwrap().received_bytes
}

/// Agrees as long as no link has more than this.
fn below(limit: u64, asks: u64) -> impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), &'static str> {
    move |links| {
        let fits = links.iter().all(|(_, used)| used.received_bytes.saturating_add(asks) <= limit);
        if fits { Ok(()) } else { Err("too much") }
    }
}

#[test]
fn two_below_one_share_its_total_and_what_did_not_come_is_given_back() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let ledger = store.ledger();
    let first = ledger.arrive(&chain(&[1, 2]), &of(60), None, NOW, below(100, 60)).unwrap().unwrap();
    assert_eq!(ledger.arrive(&chain(&[1, 3]), &of(60), None, NOW, below(100, 60)).unwrap(), Err("too much"));
    assert_eq!((received(&store, 1), received(&store, 2), received(&store, 3)), (60, 60, 0));
    // More of the same.
    assert_eq!(ledger.arrive(&chain(&[1, 2]), &of(9), Some(first), NOW, below(100, 9)).unwrap(), Ok(first));
    assert_eq!(ledger.arrivals().unwrap(), [(first, Arrival { bytes: 69, ..of(0) })]);
    ledger.arrived(first, 20, NOW).unwrap();
    assert_eq!((received(&store, 1), received(&store, 2)), (20, 20));
    ledger.arrived(first, 0, NOW).unwrap();
    assert_eq!(received(&store, 1), 20, "nothing is settled twice");
    assert!(ledger.arrivals().unwrap().is_empty());
    let over = ledger.arrive(&chain(&[1]), &of(80), None, NOW, below(100, 80)).unwrap().unwrap();
    ledger.arrived(over, u64::MAX, NOW).unwrap();
    assert_eq!(received(&store, 1), 100, "never more than was reserved");
}

#[test]
fn ten_race_and_as_many_pass_as_it_is_enough_for() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..10 {
            let (store, passed) = (&store, &passed);
            scope.spawn(move || {
                let asked = store.ledger().arrive(&chain(&[1, 100 + n]), &of(30), None, NOW, below(100, 30));
                passed.fetch_add(u64::from(asked.unwrap().is_ok()), Ordering::Relaxed);
            });
        }
    });
    assert_eq!((passed.into_inner(), received(&store, 1)), (3, 90));
    assert_eq!(store.ledger().arrivals().unwrap().len(), 3);
}

#[test]
fn a_counter_stops_at_its_end_and_comes_back_right() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let ledger = store.ledger();
    let all =
        |bytes| ledger.arrive(&chain(&[1]), &of(bytes), None, NOW, below(u64::MAX, 0)).unwrap().unwrap();
    let (near, over) = (all(u64::MAX - 5), all(10));
    assert_eq!(received(&store, 1), u64::MAX);
    ledger.arrived(over, 0, NOW).unwrap();
    assert_eq!(received(&store, 1), u64::MAX - 5, "not less than what others have");
    ledger.arrived(near, 1, NOW).unwrap();
    assert_eq!(received(&store, 1), 1);
}

/// Whichever file is lost: what is not settled is charged in full, and can be settled while the database is there.
#[test]
fn a_reservation_is_found_again_and_a_settlement_stays() {
    for lose_log in [false, true] {
        let (_dir, home) = home();
        let store = Store::open(&home, NOW).unwrap();
        let kept =
            store.ledger().arrive(&chain(&[1, 2]), &of(60), None, NOW, below(100, 60)).unwrap().unwrap();
        drop(store);
        if lose_log {
            fs::remove_file(home.auth_log()).unwrap();
        }
        let store = Store::open(&home, NOW).unwrap();
        assert_eq!((received(&store, 1), store.ledger().arrivals().unwrap().len()), (60, 1));
        store.ledger().arrived(kept, 7, NOW).unwrap();
        drop(store);
        for lost in [None, Some(home.auth_log()), Some(home.store())] {
            lost.into_iter().for_each(|file| fs::remove_file(file).unwrap());
            let store = Store::open(&home, NOW).unwrap();
            assert_eq!((received(&store, 1), received(&store, 2)), (7, 7));
            assert!(store.ledger().arrivals().unwrap().is_empty());
        }
    }
}

/// A kill after the database has it and before the log has.
#[test]
fn a_kill_between_the_two_files_leaks_nothing() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let before = fs::read(home.auth_log()).unwrap();
    let kept = store.ledger().arrive(&chain(&[1]), &of(60), None, NOW, below(100, 60)).unwrap().unwrap();
    drop(store);
    fs::write(home.auth_log(), before).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.ledger().arrivals().unwrap().len(), 1);
    store.ledger().arrived(kept, 0, NOW).unwrap();
    drop(store);
    assert_eq!(received(&Store::open(&home, NOW).unwrap(), 1), 0);
}

#[test]
fn a_log_that_fails_leaves_nothing_charged() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let asks = |before| store.ledger().arrive(&chain(&[1]), &of(5), before, NOW, below(100, 5));
    store.auth().fail_for_tests();
    assert!(asks(None).is_err());
    assert_eq!((received(&store, 1), store.ledger().arrivals().unwrap().len()), (0, 0));
    store.auth().heal_for_tests(&home);
    let kept = asks(None).unwrap().unwrap();
    store.auth().fail_for_tests();
    assert!(asks(Some(kept)).is_err());
    assert_eq!((received(&store, 1), store.ledger().arrivals().unwrap()), (5, vec![(kept, of(5))]));
}
