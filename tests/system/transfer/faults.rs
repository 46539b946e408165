//! Sources that change, disks that fill, tokens that end.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    process::Command,
};

use super::{LARGE, MIB, Two, content, moving, receipt, travelled, tree};

#[test]
fn a_file_that_changes_while_it_is_sent_does_not_arrive_mixed() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", LARGE), ("z", 10)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), 1);
    let mut file = OpenOptions::new().write(true).open(dir.join("a")).unwrap();
    file.seek(SeekFrom::Start(LARGE as u64 - 7)).unwrap();
    file.write_all(b"changed").unwrap();
    drop(file);
    let ran = sending.finish().code(1);
    let lines = ran.json_lines();
    let failed = lines.iter().find(|line| line["type"] == "failed").unwrap();
    assert_eq!((&failed["path"], &failed["fault"]), (&"d/a".into(), &"source_changed".into()), "{failed}");
    assert_eq!(receipt(&lines)["files"], 1);
    assert!(!two.inbox().join("d/a").exists(), "no mixed file");
    assert!(two.inbox().join("d/z").exists(), "the rest arrives");
}

#[test]
fn files_that_shrink_and_vanish_are_told_and_the_rest_arrives() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", 32 * MIB), ("x", 3 * MIB), ("y", 3 * MIB), ("z", 10)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), 1);
    OpenOptions::new().write(true).open(dir.join("x")).unwrap().set_len(5).unwrap();
    fs::remove_file(dir.join("y")).unwrap();
    let ran = sending.finish().code(1);
    let lines = ran.json_lines();
    let mut failed: Vec<(String, String)> = lines
        .iter()
        .filter(|line| line["type"] == "failed")
        .map(|line| (line["path"].as_str().unwrap().into(), line["fault"].as_str().unwrap().into()))
        .collect();
    failed.sort();
    assert_eq!(failed, [("d/x".into(), "source_changed".into()), ("d/y".into(), "vanished".into())]);
    assert!(fs::read(two.inbox().join("d/a")).unwrap() == content(1, 32 * MIB));
    assert!(!two.inbox().join("d/x").exists() && !two.inbox().join("d/y").exists());
}

#[test]
fn a_token_that_is_revoked_midway_ends_it_and_what_arrived_is_kept() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("big", content(1, LARGE));
    let sending = two.send_slowly(&file).start();
    moving(&two.inbox(), 2);
    two.desk.cli(["token", "revoke", "--all", "--yes"]).run().ok();
    let error = sending.finish().code(4).error();
    assert!(error["message"].to_string().contains("revoked"), "{error}");
    assert!(!two.inbox().join("big").exists());
    two.desk.grant(&two.lap, &["--drop"]);
    let ran = two.send([file.to_str().unwrap()]).run().ok();
    assert!(travelled(&ran.json_lines()) < LARGE, "what arrived before is not sent again");
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(1, LARGE));
}

/// A small disk of its own, where that may be made.
pub(super) struct Disk(pub(super) std::path::PathBuf);

impl Disk {
    pub(super) fn new(two_root: &std::path::Path, bytes: usize) -> Option<Self> {
        let dir = two_root.join("disk");
        fs::create_dir(&dir).unwrap();
        let options = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&dir).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_loses_nothing_that_arrived() {
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(home.path(), LARGE + 12 * MIB) else {
        eprintln!("skipped: a file system of its own needs root");
        return;
    };
    let settings = format!("[files]\ninbox = \"{}\"\nkeep_free_bytes = 0\n", disk.0.display());
    let two = Two::settled(&settings, &["--drop"]);
    let file = two.lap.file("big", content(5, LARGE));
    let sending = two.send_slowly(&file).start();
    moving(&disk.0.join(two.lap.id().short()), 2);
    let filler = disk.0.join("filler");
    let mut out = fs::File::create(&filler).unwrap();
    while out.write_all(&[0; 65536]).is_ok() {}
    drop(out);
    let ran = sending.finish();
    assert!(matches!(ran.exit.code, Some(1 | 5)), "{}", ran.story());
    let landed = disk.0.join(two.lap.id().short()).join("big");
    assert!(!landed.exists());
    fs::remove_file(&filler).unwrap();
    let ran = two.send([file.to_str().unwrap()]).run().ok();
    let sent = travelled(&ran.json_lines());
    assert!(sent < LARGE, "what arrived before the disk was full is not sent again: {sent}");
    assert!(fs::read(&landed).unwrap() == content(5, LARGE));
    // Too large for the disk from the beginning: told before a byte travels.
    let large = two.lap.file("larger", content(6, 30 * MIB));
    two.send([large.to_str().unwrap()]).run().code(5);
}
