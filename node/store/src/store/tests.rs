use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use clankers_protocol::NodeId;

use super::{
    tables::{META, SCHEMA, SCHEMA_VERSION},
    *,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

#[test]
fn made_private_and_open_once() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    assert!(store.opened().database_was_missing && store.opened().auth_log_was_missing);
    for file in [home.store(), home.auth_log()] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert!(matches!(Store::open(&home, NOW), Err(StoreError::Held(path)) if path == home.store()));
    let short = Store::open_with_deadline(&home, NOW, Duration::from_millis(20));
    assert!(matches!(short, Err(StoreError::Held(_))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Store::open_with_deadline(&home, NOW, Duration::from_secs(60)));
        drop(store);
        assert_eq!(waiting.join().unwrap().unwrap().opened(), Opened::default());
    });
}

#[test]
fn what_is_no_database_is_refused_and_left() {
    let (_dir, home) = home();
    for rubbish in [&b""[..], b"x", b"redb", &[0; 5000], &[0xff; 100_000]] {
        fs::write(home.store(), rubbish).unwrap();
        let error = Store::open(&home, NOW).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { path, .. } if *path == home.store()), "{error}");
        assert_eq!(fs::read(home.store()).unwrap(), rubbish);
    }
    fs::remove_file(home.store()).unwrap();
    fs::create_dir(home.store()).unwrap();
    assert!(Store::open(&home, NOW).is_err());
    fs::remove_dir(home.store()).unwrap();
    symlink("elsewhere", home.store()).unwrap();
    assert!(matches!(Store::open(&home, NOW), Err(StoreError::Damaged { .. })));
    assert!(!home.root().join("elsewhere").exists());
}

#[test]
fn a_later_schema_is_refused_and_left() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store
        .write(Keep::Now, |transaction| {
            transaction.open_table(META)?.insert(SCHEMA, SCHEMA_VERSION + 1)?;
            Ok(())
        })
        .unwrap();
    drop(store);
    assert!(
        matches!(Store::open(&home, NOW), Err(StoreError::Newer { found, .. }) if found == SCHEMA_VERSION + 1)
    );
    let database = Database::open(home.store()).unwrap();
    let transaction = database.begin_read().unwrap();
    let version = transaction.open_table(META).unwrap().get(SCHEMA).unwrap().unwrap().value();
    assert_eq!(version, SCHEMA_VERSION + 1);
}

#[test]
fn what_was_kept_is_there_after_reopening() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.peers().add(NodeId([1; 32]), &[], None, Some("friend"), NOW).unwrap();
    let heard = crate::Heard { via: "mdns", claimed: Some("x"), ..crate::Heard::default() };
    store.peers().heard(NodeId([2; 32]), heard, NOW).unwrap();
    let peers = store.peers().list().unwrap();
    store.flush().unwrap();
    drop(store);
    assert_eq!(Store::open(&home, NOW).unwrap().peers().list().unwrap(), peers);
}

/// Flips bytes all over a database with known content: it opens with that content, or is refused; nothing else, no panic
/// that gets out.
#[test]
fn flipped_bytes_are_noticed() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    for i in 1..40_u8 {
        let label = format!("peer-number-{i}");
        let addrs = [format!("192.0.2.{i}:4433")];
        store.peers().add(NodeId([i; 32]), &addrs, None, Some(&label), NOW).unwrap();
    }
    let peers = store.peers().list().unwrap();
    drop(store);
    let clean = fs::read(home.store()).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    // Every region of the file that is not empty, at a prime's distance.
    let places: Vec<usize> = (0..clean.len()).filter(|at| clean[*at] != 0).step_by(97).collect();
    for at in &places {
        let mut bytes = clean.clone();
        bytes[*at] ^= 0x10;
        fs::write(home.store(), &bytes).unwrap();
        match Store::open(&home, NOW).map(|store| store.peers().list()) {
            Ok(Ok(found)) => assert_eq!(found, peers, "undetected at {at}"),
            Ok(Err(_)) => refused += 1,
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Damaged { .. } | StoreError::Newer { .. }),
                    "{at}: {error}"
                );
                refused += 1;
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(refused > 10, "{refused} of {} refused", places.len());
}

#[test]
fn a_full_disk_is_over_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"];
    let done = std::process::Command::new("mount").args(mount).arg(dir.path()).output();
    if !done.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: only root can mount a small file system");
        return;
    }
    let result = std::panic::catch_unwind(|| fill_and_free(dir.path()));
    std::process::Command::new("umount").arg(dir.path()).status().unwrap();
    result.unwrap();
}

fn fill_and_free(dir: &Path) {
    let home = Home::open(dir).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    let ballast = home.root().join("ballast");
    let mut size = 4 * 1024 * 1024;
    while size > 4096 && fs::write(&ballast, vec![1; size]).is_err() {
        size -= 4096;
    }
    let mut kept = Vec::new();
    let add = |i: u32| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&i.to_be_bytes());
        let relay = format!("https://{}", "r".repeat(900));
        store.peers().add(NodeId(id), &[], Some(&relay), None, NOW)
    };
    let error = (0..20_000).find_map(|i| add(i).map(|peer| kept.push(peer)).err()).expect("the disk fills");
    let crate::PeerError::Store(error) = error else { panic!("{error}") };
    assert_eq!(error.disk_kind(), Some(DiskKind::Full), "{error}");
    fs::remove_file(&ballast).unwrap();
    kept.push(add(100_000).unwrap());
    let mut listed = store.peers().list().unwrap();
    listed.sort_by_key(|peer| peer.id);
    assert_eq!(listed, kept, "all that was acknowledged, and nothing else");
    drop(store);
    assert_eq!(Store::open(&home, NOW).unwrap().peers().list().unwrap().len(), kept.len());
}

mod lost;
