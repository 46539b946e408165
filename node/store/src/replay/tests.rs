use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::Home;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const A: CidDigest = CidDigest([1; 32]);
const B: CidDigest = CidDigest([2; 32]);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

#[test]
fn once_also_after_a_restart_and_with_either_file() {
    let (_dir, home) = home();
    let until = NOW.plus_ms(300_000);
    let first =
        |cid: &CidDigest, now| Store::open(&home, now).unwrap().replay().is_first(cid, until, now).unwrap();
    assert!(first(&A, NOW));
    assert!(!first(&A, NOW) && !first(&A, NOW.plus_ms(299_999)));
    assert!(first(&B, NOW));
    fs::remove_file(home.store()).unwrap();
    assert!(!first(&A, NOW) && !first(&B, NOW));
    fs::remove_file(home.auth_log()).unwrap();
    assert!(!first(&A, NOW) && !first(&B, NOW));
    assert!(!first(&A, until), "its time is over: it does not count again");
}

#[test]
fn it_is_forgotten_after_its_time() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    assert!(store.replay().is_first(&A, NOW.plus_ms(10), NOW).unwrap());
    assert!(store.replay().is_first(&B, NOW.plus_ms(20), NOW.plus_ms(10)).unwrap());
    let kept =
        store.read(|t| Ok(t.open_table(REPLAY)?.len()? + t.open_table(REPLAY_EXPIRY)?.len()?)).unwrap();
    assert_eq!(kept, 2, "one, in two tables");
}

#[test]
fn too_many_are_an_error_and_never_a_yes() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let fill = |t: &WriteTransaction| {
        (0..limits::REPLAYS).try_for_each(|n| {
            let mut cid = [9; 32];
            cid[..8].copy_from_slice(&n.to_be_bytes());
            insert(t, CidDigest(cid), NOW.plus_ms(1000))
        })
    };
    store.write(Keep::Soon, fill).unwrap();
    assert!(matches!(
        store.replay().is_first(&A, NOW.plus_ms(500), NOW),
        Err(StoreError::Full { limit: limits::REPLAYS, .. })
    ));
    assert!(store.replay().is_first(&A, NOW.plus_ms(1500), NOW.plus_ms(1000)).unwrap(), "room again");
}

#[test]
fn of_ten_at_once_one_is_first() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let firsts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let first = store.replay().is_first(&A, NOW.plus_ms(1000), NOW).unwrap();
                firsts.fetch_add(u64::from(first), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(firsts.into_inner(), 1);
}

#[test]
fn a_disk_that_fails_is_an_error() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.auth().fail_for_tests();
    assert!(store.replay().is_first(&A, NOW.plus_ms(1000), NOW).is_err());
    store.auth().heal_for_tests(&home);
    assert!(store.replay().is_first(&A, NOW.plus_ms(1000), NOW).unwrap());
}
