use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Barrier,
};

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

#[test]
fn made_once_private_and_kept() {
    let (_dir, home) = home();
    assert_eq!(load(&home).unwrap(), None);
    let first = load_or_create(&home).unwrap();
    assert_eq!(load_or_create(&home).unwrap(), first);
    let meta = fs::metadata(home.identity()).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
    assert_eq!(meta.len(), limits::KEY_FILE_BYTES as u64);
    assert_eq!(format!("{first:?}"), "Secret32(..)");
    let staged = fs::read_dir(home.root()).unwrap().flatten();
    assert!(!staged.map(|e| e.file_name()).any(|n| n.to_string_lossy().starts_with(os::STAGED_PREFIX)));
}

#[test]
fn racing_makers_end_with_one_key() {
    for _ in 0..20 {
        let (_dir, home) = home();
        let start = Barrier::new(8);
        let keys: Vec<Secret32> = std::thread::scope(|scope| {
            let race = || {
                start.wait();
                load_or_create(&home).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key == &keys[0]));
        assert_eq!(load(&home).unwrap().as_ref(), keys.first());
    }
}

#[test]
fn what_is_not_a_key_is_refused_and_left() {
    let good = format!("{}\n", "ab".repeat(32));
    let cases: Vec<(String, BadKey)> = vec![
        (String::new(), BadKey::Empty),
        ("ab".repeat(32), BadKey::Length(64)),
        (format!("{good}\n"), BadKey::Length(66)),
        (format!("{}\n", "AB".repeat(32)), BadKey::Malformed),
        (format!("{}\n", "zz".repeat(32)), BadKey::Malformed),
        ("ab".repeat(32) + "c", BadKey::Malformed),
        (format!("{}\r\n", "a".repeat(63)), BadKey::Malformed),
        ("x".repeat(100_000), BadKey::Length(100_000)),
    ];
    for (content, problem) in cases {
        let (_dir, home) = home();
        fs::write(home.identity(), &content).unwrap();
        fs::set_permissions(home.identity(), fs::Permissions::from_mode(0o600)).unwrap();
        let error = load_or_create(&home).unwrap_err();
        assert!(matches!(&error, IdentityError::Bad { problem: p, .. } if *p == problem), "{error}");
        assert_eq!(fs::read_to_string(home.identity()).unwrap(), content, "never replaced");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    for bad in [0o640, 0o604, 0o620, 0o601, 0o644] {
        let (_dir, home) = home();
        load_or_create(&home).unwrap();
        fs::set_permissions(home.identity(), fs::Permissions::from_mode(bad)).unwrap();
        let error = load(&home).unwrap_err();
        assert!(matches!(error, IdentityError::Bad { problem: BadKey::Permissions(m), .. } if m == bad));
    }
}

#[test]
fn links_directories_and_pipes_are_refused_at_once() {
    let (_dir, linked) = home();
    let elsewhere = linked.root().join("elsewhere");
    fs::write(&elsewhere, format!("{}\n", "ab".repeat(32))).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&elsewhere, linked.identity()).unwrap();
    let error = load_or_create(&linked).unwrap_err();
    assert!(matches!(error, IdentityError::Bad { problem: BadKey::Link, .. }));

    let (_dir, dangling) = home();
    symlink("nowhere", dangling.identity()).unwrap();
    assert!(matches!(load_or_create(&dangling), Err(IdentityError::Bad { problem: BadKey::Link, .. })));
    assert!(!dangling.root().join("nowhere").exists());

    let (_dir, directory) = home();
    fs::create_dir(directory.identity()).unwrap();
    assert!(matches!(load_or_create(&directory), Err(IdentityError::Bad { problem: BadKey::NotAFile, .. })));

    let (_dir, pipe) = home();
    let made = std::process::Command::new("mkfifo").arg("-m600").arg(pipe.identity()).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(matches!(load_or_create(&pipe), Err(IdentityError::Bad { problem: BadKey::NotAFile, .. })));
    }
}
