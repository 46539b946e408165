use std::{collections::BTreeSet, fs};

use proptest::prelude::*;

use super::*;
use crate::Home;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HOUR: u64 = 3_600_000;
const ME: NodeId = NodeId([7; 32]);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn cid(n: u64) -> CidDigest {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&n.to_be_bytes());
    CidDigest(bytes)
}

fn row(n: u64, revoker: NodeId, hours: u64) -> RevocationRow {
    let expires = NOW.plus_ms(hours * HOUR);
    RevocationRow { cid: cid(n), subject: ME, revoker, grantee: revoker, expires, container: vec![1, 2, 3] }
}

/// Everything that can be asked.
fn all(store: &Store, now: Timestamp) -> (Vec<CidDigest>, (u64, [u8; 32])) {
    let revocations = store.revocations();
    (revocations.cids(ME, now).unwrap(), revocations.count_and_hash(ME, now).unwrap())
}

#[test]
fn revoked_once_and_for_good() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let revocations = store.revocations();
    let first = revocations.generation().unwrap();
    assert!(!revocations.is_revoked(&cid(1)).unwrap());
    assert_eq!(revocations.put(&row(1, ME, 5), NOW).unwrap(), Put::New);
    assert!(revocations.generation().unwrap() > first);
    assert_eq!(revocations.put(&row(1, ME, 5), NOW).unwrap(), Put::Known);
    let later = RevocationRow { expires: NOW.plus_ms(900 * HOUR), container: vec![9], ..row(1, ME, 5) };
    assert_eq!(revocations.put(&later, NOW).unwrap(), Put::Known, "the first one stays");
    assert_eq!(revocations.get(&cid(1)).unwrap(), Some(row(1, ME, 5)));
    assert_eq!(revocations.get(&cid(2)).unwrap(), None);
    assert_eq!(revocations.put(&row(2, ME, 2), NOW).unwrap(), Put::New);
    let before = all(&store, NOW);
    assert_eq!(before.0, [cid(1), cid(2)]);
    assert_eq!(revocations.cids(NodeId([8; 32]), NOW).unwrap(), [], "about another subject");
    drop(store);
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(all(&store, NOW), before);
    assert!(store.revocations().is_revoked(&cid(2)).unwrap(), "after a restart");
    assert!(store.revocations().is_revoked_under(&cid(2), &[]).unwrap());
    assert!(!store.revocations().is_revoked_under(&cid(3), &[ME]).unwrap());
}

#[test]
fn it_leaves_an_hour_after_what_it_revokes_and_not_before() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.revocations().put(&row(1, ME, 1), NOW).unwrap();
    let within = NOW.plus_ms(2 * HOUR);
    store.revocations().put(&row(2, ME, 9), within).unwrap();
    assert!(store.revocations().is_revoked(&cid(1)).unwrap());
    assert_eq!(store.revocations().cids(ME, within).unwrap(), [cid(2)], "nobody needs it any more");
    let after = within.plus_ms(1);
    store.revocations().put(&row(3, ME, 9), after).unwrap();
    assert!(!store.revocations().is_revoked(&cid(1)).unwrap());
    assert_eq!(store.revocations().get(&cid(1)).unwrap(), None);
    assert_eq!(store.revocations().put(&row(1, ME, 1), after).unwrap(), Put::Known, "not worth keeping");
    drop(store);
    let store = Store::open(&home, after).unwrap();
    assert!(
        !store.revocations().is_revoked(&cid(1)).unwrap() && store.revocations().is_revoked(&cid(2)).unwrap()
    );
}

#[test]
fn either_file_alone_remembers_every_revocation() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    for n in 0..5 {
        store.revocations().put(&row(n, ME, 5), NOW).unwrap();
    }
    let before = all(&store, NOW);
    drop(store);
    for file in [home.store(), home.auth_log(), home.store()] {
        fs::remove_file(file).unwrap();
        let store = Store::open(&home, NOW).unwrap();
        assert_eq!(all(&store, NOW), before);
        assert_eq!(store.revocations().get(&cid(4)).unwrap(), Some(row(4, ME, 5)));
    }
}

#[test]
fn an_unreadable_store_is_an_error_and_never_a_no() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.revocations().put(&row(1, ME, 5), NOW).unwrap();
    let whole = fs::read(home.store()).unwrap();
    // The pages rot while the node runs, and some reader notices.
    fs::write(home.store(), vec![0xee; whole.len()]).unwrap();
    let noticed: Result<(), StoreError> = store.read(|_| Err(StoreError::bad_value("rot")));
    assert!(noticed.is_err());
    for _ in 0..2 {
        assert!(store.revocations().is_revoked(&cid(1)).is_err());
        assert!(store.revocations().is_revoked(&cid(2)).is_err());
        assert!(store.revocations().is_revoked_under(&cid(2), &[]).is_err());
        assert!(store.revocations().overflowed(&ME).is_err());
        assert!(store.revocations().cids(ME, NOW).is_err());
        assert!(store.ledger().usage(&cid(1), NOW).is_err());
    }
    fs::write(home.store(), whole).unwrap();
    assert!(store.revocations().is_revoked(&cid(1)).unwrap(), "it can be read again");
    assert!(!store.revocations().is_revoked(&cid(2)).unwrap());
}

#[test]
fn a_thread_that_failed_in_the_middle_denies() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        let fails = scope.spawn(|| {
            let _guard = store.revoked.write().unwrap();
            panic!("in the middle");
        });
        assert!(fails.join().is_err());
    });
    std::panic::set_hook(hook);
    assert!(store.revocations().is_revoked(&cid(1)).is_err());
}

#[test]
fn one_that_the_disk_refused_counts_and_can_be_put_again() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    // The log that is open cannot be written: it is another file now, opened for reading only.
    store.auth().fail_for_tests();
    assert!(store.revocations().put(&row(1, ME, 5), NOW).is_err());
    assert!(store.revocations().is_revoked(&cid(1)).unwrap(), "rather revoked than not");
    assert_eq!(store.revocations().get(&cid(1)).unwrap(), None);
    store.auth().heal_for_tests(&home);
    assert_eq!(store.revocations().put(&row(1, ME, 5), NOW).unwrap(), Put::New, "not known: it was not kept");
    assert_eq!(store.revocations().put(&row(1, ME, 5), NOW).unwrap(), Put::Known);
    drop(store);
    assert!(Store::open(&home, NOW).unwrap().revocations().is_revoked(&cid(1)).unwrap());
}

#[test]
fn what_is_too_large_is_refused() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let large = RevocationRow { container: vec![0; limits::CONTAINER_BYTES + 1], ..row(1, ME, 5) };
    assert!(matches!(store.revocations().put(&large, NOW), Err(StoreError::Full { .. })));
    assert!(!store.revocations().is_revoked(&cid(1)).unwrap());
}

mod quota;

proptest! {
    /// The mirror answers as a plain list would.
    #[test]
    fn the_mirror_is_what_was_put(steps in prop::collection::vec((0_u64..40, 0_u8..4, 0_u64..6, 0_u64..3), 1..80)) {
        let (mut mirror, mut model, mut now) = (Mirror::default(), Vec::<RevocationRow>::new(), NOW);
        for (n, revoker, hours, wait) in steps {
            now = now.plus_ms(wait * HOUR / 2);
            let row = RevocationRow { expires: now.plus_ms(hours * HOUR), ..row(n, NodeId([revoker; 32]), 0) };
            mirror.forget(now);
            model.retain(|row| !is_over(row.expires, now));
            let known = model.iter().any(|other| other.cid == row.cid);
            prop_assert_eq!(mirror.judge(&row) == Verdict::Known, known);
            mirror.insert(&row, true);
            if !known {
                model.push(row);
            }
            let live: BTreeSet<CidDigest> =
                model.iter().filter(|row| row.expires > now).map(|row| row.cid).collect();
            prop_assert_eq!(mirror.of(ME, now), live.into_iter().collect::<Vec<_>>());
            prop_assert!((0..40).all(|n| mirror.contains(&cid(n)) == model.iter().any(|row| row.cid == cid(n))));
        }
    }
}
