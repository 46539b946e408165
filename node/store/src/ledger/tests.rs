use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use proptest::prelude::*;

use super::*;
use crate::Home;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HOUR: u64 = 3_600_000;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn cid(n: u64) -> CidDigest {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    CidDigest(bytes)
}

fn chain(cids: &[u64]) -> Vec<(CidDigest, Timestamp)> {
    cids.iter().map(|n| (cid(*n), NOW.plus_ms(5 * HOUR))).collect()
}

fn amount(nano_usd: u64, tokens: u64, starts: u64) -> Amount {
    Amount { nano_usd, tokens, starts, bytes: 0 }
}

/// Agrees when no link was ever charged more than this.
fn below(limit: u64, asks: u64) -> impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), &'static str> {
    move |links| {
        let fits = links.iter().all(|(_, usage)| usage.spent_nano_usd.saturating_add(asks) <= limit);
        if fits { Ok(()) } else { Err("over budget") }
    }
}

fn spent(store: &Store, n: u64) -> u64 {
    store.ledger().usage(&cid(n), NOW).unwrap().spent_nano_usd
}

fn yes(_: &[(CidDigest, LedgerUsage)]) -> Result<(), ()> {
    Ok(())
}

#[test]
fn every_link_is_charged_before_and_settled_after() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let ledger = store.ledger();
    let links = chain(&[1, 2, 2]);
    let reserved = ledger.reserve(&links, amount(100, 10, 1), NOW, below(100, 100)).unwrap().unwrap();
    for n in [1, 2] {
        let expected =
            LedgerUsage { spent_nano_usd: 100, tokens_used: 10, per_min: 1, ..LedgerUsage::default() };
        assert_eq!(ledger.usage(&cid(n), NOW).unwrap(), expected, "each link once");
    }
    assert_eq!(ledger.reserve(&links, amount(1, 0, 0), NOW, below(100, 1)).unwrap(), Err("over budget"));
    ledger.settle(reserved, amount(30, 4, 0), NOW).unwrap();
    let expected = LedgerUsage { spent_nano_usd: 30, tokens_used: 4, per_min: 1, ..LedgerUsage::default() };
    assert_eq!(ledger.usage(&cid(2), NOW).unwrap(), expected, "what was started stays started");
    let reserved = ledger.reserve(&links, amount(70, 0, 0), NOW, below(100, 70)).unwrap().unwrap();
    ledger.settle(reserved, amount(500, 0, 0), NOW).unwrap();
    assert_eq!(spent(&store, 1), 530, "it cost more than was thought");
}

#[test]
fn two_below_one_share_its_budget() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    for (child, passes) in [(2, true), (3, false)] {
        let asked =
            store.ledger().reserve(&chain(&[1, child]), amount(60, 0, 0), NOW, below(100, 60)).unwrap();
        assert_eq!(asked.is_ok(), passes);
    }
    assert_eq!(spent(&store, 1), 60);
    assert_eq!(spent(&store, 3), 0, "who was refused is charged nothing");
}

/// Ten threads for the last cent.
#[test]
fn exactly_as_many_pass_as_it_is_enough_for() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..10 {
            let (store, passed) = (&store, &passed);
            scope.spawn(move || {
                let links = chain(&[1, 100 + n]);
                let asked = store.ledger().reserve(&links, amount(30, 0, 1), NOW, below(100, 30)).unwrap();
                passed.fetch_add(u64::from(asked.is_ok()), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(passed.into_inner(), 3);
    assert_eq!(spent(&store, 1), 90);
}

#[test]
fn who_begins_at_once_is_seen_by_the_other() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let alone = |links: &[(CidDigest, LedgerUsage)]| {
        if links.iter().all(|(_, usage)| usage.concurrent == 0) { Ok(()) } else { Err(()) }
    };
    let running = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..10 {
            let (store, running) = (&store, &running);
            scope.spawn(move || {
                let started =
                    store.ledger().start(&chain(&[1, 100 + n]), Amount::default(), NOW, alone).unwrap();
                running.lock().unwrap().extend(started);
            });
        }
    });
    let mut running = running.into_inner().unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(store.ledger().usage(&cid(1), NOW).unwrap().concurrent, 1);
    let another = store.ledger().begin(&[cid(1), cid(1)]);
    assert_eq!(store.ledger().usage(&cid(1), NOW).unwrap().concurrent, 2);
    drop(another);
    running.clear();
    assert_eq!(store.ledger().usage(&cid(1), NOW).unwrap().concurrent, 0);
    assert!(store.ledger().start(&chain(&[1]), Amount::default(), NOW, alone).unwrap().is_ok());
}

#[test]
fn what_is_never_settled_stays_charged_in_full() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let reserved = store.ledger().reserve(&chain(&[1]), amount(70, 7, 2), NOW, yes).unwrap().unwrap();
    drop(reserved);
    let _running = store.ledger().begin(&[cid(1)]);
    let charged = LedgerUsage { spent_nano_usd: 70, tokens_used: 7, per_min: 2, ..LedgerUsage::default() };
    assert_eq!(store.ledger().usage(&cid(1), NOW).unwrap(), LedgerUsage { concurrent: 1, ..charged });
    drop(store);
    for file in [None, Some(home.store()), Some(home.auth_log())] {
        file.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        let store = Store::open(&home, NOW).unwrap();
        assert_eq!(store.ledger().usage(&cid(1), NOW).unwrap(), charged, "also the rate; nothing runs");
    }
}

#[test]
fn a_settlement_is_there_after_an_orderly_end_in_either_file() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let reserved = store.ledger().reserve(&chain(&[1]), amount(70, 7, 0), NOW, yes).unwrap().unwrap();
    store.ledger().settle(reserved, amount(20, 2, 0), NOW).unwrap();
    drop(store);
    for file in [None, Some(home.auth_log()), Some(home.store())] {
        file.into_iter().for_each(|file| fs::remove_file(file).unwrap());
        assert_eq!(spent(&Store::open(&home, NOW).unwrap(), 1), 20);
    }
}

#[test]
fn a_counter_stops_at_its_end_and_comes_back_right() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let ledger = store.ledger();
    let near = ledger.reserve(&chain(&[1]), amount(u64::MAX - 5, 0, 0), NOW, yes).unwrap().unwrap();
    let over = ledger.reserve(&chain(&[1]), amount(10, 0, 0), NOW, yes).unwrap().unwrap();
    assert_eq!(spent(&store, 1), u64::MAX);
    ledger.settle(over, Amount::default(), NOW).unwrap();
    assert_eq!(spent(&store, 1), u64::MAX - 5, "not less than what others have charged");
    ledger.settle(near, amount(1, 0, 0), NOW).unwrap();
    assert_eq!(spent(&store, 1), 1);
}

#[test]
fn counters_leave_an_hour_after_their_link() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let reserved = store.ledger().reserve(&chain(&[1]), amount(70, 0, 0), NOW, yes).unwrap().unwrap();
    let _ = store.ledger().reserve(&chain(&[2]), amount(1, 0, 0), NOW.plus_ms(6 * HOUR), yes).unwrap();
    assert_eq!(spent(&store, 1), 70);
    let after = NOW.plus_ms(6 * HOUR + 1);
    let _ = store.ledger().reserve(&[(cid(3), after)], amount(1, 0, 0), after, yes).unwrap();
    assert_eq!(spent(&store, 1), 0);
    store.ledger().settle(reserved, amount(9, 0, 0), after).unwrap();
    assert_eq!(spent(&store, 1), 0, "nothing to settle");
}

#[test]
fn one_who_delegates_without_end_takes_only_its_own_room() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    for n in 0..limits::LEDGER_LINKS_OF_ONE - 1 {
        store.groups.lock().unwrap().add(cid(1));
        assert_ne!(n, u64::MAX);
    }
    let asked = |links: &[u64]| store.ledger().reserve(&chain(links), amount(1, 0, 0), NOW, yes);
    assert!(matches!(asked(&[1, 50]), Err(StoreError::Full { limit: limits::LEDGER_LINKS_OF_ONE, .. })));
    assert_eq!(spent(&store, 1), 0, "nothing was charged");
    assert!(asked(&[1]).unwrap().is_ok());
    assert!(asked(&[1]).unwrap().is_ok(), "known links are fine");
    assert!(asked(&[2, 51]).unwrap().is_ok(), "and so are others");
    let long: Vec<u64> = (0..limits::LEDGER_CHAIN as u64 + 1).collect();
    assert!(matches!(asked(&long), Err(StoreError::Full { .. })));
    assert!(asked(&[]).unwrap().is_ok(), "nothing metered");
}

#[test]
fn a_disk_that_fails_is_an_error_and_charges_nothing() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.auth().fail_for_tests();
    assert!(store.ledger().reserve(&chain(&[1]), amount(5, 0, 0), NOW, yes).is_err());
    store.auth().heal_for_tests(&home);
    assert_eq!(spent(&store, 1), 0);
    assert!(store.ledger().reserve(&chain(&[1]), amount(5, 0, 0), NOW, yes).unwrap().is_ok());
    drop(store);
    fs::remove_file(home.store()).unwrap();
    assert_eq!(spent(&Store::open(&home, NOW).unwrap(), 1), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Whatever is reserved and settled in whatever order: no link is ever charged over the limit by reservations, and each
    /// has the sum of what it was charged.
    #[test]
    fn the_books_balance(steps in prop::collection::vec((0_u8..4, 1_u64..60, prop::option::of(0_u64..60)), 1..24)) {
        let (_dir, home) = home();
        let store = Store::open(&home, NOW).unwrap();
        let mut sums = [0_u64; 5];
        for (child, asks, actual) in steps {
            let (links, child) = (chain(&[4, u64::from(child)]), usize::from(child));
            let fits = sums[4].max(sums[child]) + asks <= 200;
            let asked = store.ledger().reserve(&links, amount(asks, 0, 0), NOW, below(200, asks)).unwrap();
            prop_assert_eq!(asked.is_ok(), fits);
            if let Ok(reserved) = asked {
                let charged = actual.unwrap_or(asks);
                if let Some(actual) = actual {
                    store.ledger().settle(reserved, amount(actual, 0, 0), NOW).unwrap();
                }
                sums[4] += charged;
                sums[child] += charged;
            }
            for (n, sum) in sums.iter().enumerate() {
                prop_assert_eq!(spent(&store, n as u64), *sum);
            }
        }
    }
}

/// The database fails under the node and is opened again: it must not come back with older totals.
#[test]
fn a_database_that_is_opened_again_forgets_no_charge() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let fail = || {
        // What a kill would have left at this moment.
        let whole = fs::read(home.store()).unwrap();
        let failed: Result<(), StoreError> = store.write(Keep::Soon, |_| Err(StoreError::bad_value("once")));
        assert!(failed.is_err());
        fs::write(home.store(), whole).unwrap();
    };
    let _ = store.ledger().reserve(&chain(&[1]), amount(70, 0, 0), NOW, yes).unwrap();
    fail();
    assert_eq!(spent(&store, 1), 70);
    assert!(store.replay().is_first(&cid(1), NOW.plus_ms(9), NOW).unwrap());
    fail();
    assert!(!store.replay().is_first(&cid(1), NOW.plus_ms(9), NOW).unwrap());
}
