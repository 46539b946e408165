use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn made_private_with_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/home");
    let home = Home::open(&path).unwrap();
    for made in [dir.path().join("a"), path.clone(), home.run_dir(), home.archive_dir(), home.inbox_dir()] {
        assert_eq!(mode(&made), 0o700, "{}", made.display());
    }
    assert_eq!(Home::open(&path).unwrap(), home);
}

#[test]
fn what_is_no_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(Home::open(&file), Err(HomeError::NotADirectory(_))));
    assert!(matches!(Home::open(&file.join("below")), Err(HomeError::NotADirectory(_))));
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("sessions"), "x").unwrap();
    assert!(matches!(Home::open(&home), Err(HomeError::NotADirectory(p)) if p.ends_with("archive")));
}

#[test]
fn a_home_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for bad in [0o777, 0o770, 0o722, 0o1777] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(bad)).unwrap();
        let error = Home::open(dir.path()).unwrap_err();
        assert!(matches!(error, HomeError::Writable { mode, .. } if mode == bad));
        assert!(error.to_string().contains("chmod 700"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made in it");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Home::open(dir.path()).unwrap();
}

#[test]
fn a_linked_home_is_the_directory_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    let link = dir.path().join("link");
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    assert_eq!(Home::open(&link).unwrap().root(), fs::canonicalize(&real).unwrap());
    fs::remove_dir_all(&real).unwrap();
    assert!(Home::open(&link).is_err(), "a link to nowhere");
}

#[test]
fn another_users_home_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    if std::os::unix::fs::chown(dir.path(), Some(54321), None).is_err() {
        eprintln!("skipped: only root can give a directory away");
        return;
    }
    assert!(matches!(Home::open(dir.path()), Err(HomeError::Owner { owner: 54321, .. })));
}

#[test]
fn a_read_only_home_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path());
        mount.output().is_ok_and(|out| out.status.success())
    };
    if !mount("ro,size=64k,mode=700") {
        eprintln!("skipped: only root can mount a read-only file system");
        return;
    }
    let found = [Home::open(dir.path()), Home::open(&dir.path().join("below"))];
    std::process::Command::new("umount").arg(dir.path()).status().unwrap();
    for found in found {
        assert!(matches!(found, Err(HomeError::ReadOnly { .. })), "{found:?}");
    }
}
