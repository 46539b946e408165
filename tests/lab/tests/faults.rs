//! Faults at an exact system call, and disks that are full.

#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::process::ExitStatusExt,
    process::Output,
    time::{Duration, Instant},
};

use clankers_lab::{Disk, Inject};

/// Four lines by four writes of the shell itself, each to the file that `$1` names.
const LINES: &str = "for line in one two three four; do echo $line >> \"$1\" || exit 9; done";

fn run(inject: &Inject, file: &std::path::Path) -> Output {
    inject.program("/bin/sh").args(["-c", LINES, "sh"]).arg(file).output().unwrap()
}

#[test]
fn the_third_write_fails() {
    let Some(inject) = Inject::new(&["write"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    // Only writes to this file count: else the dynamic loader's or the shell's own would.
    fs::write(&file, "").unwrap();
    let output = run(&inject.clone().at(&file).error("EIO").nth(3), &file);
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");

    let full = inject.at(&file).error("ENOSPC").from_nth(3);
    let of = format!("of={}", file.display());
    let mut copy = full.program("dd");
    let output = copy.env("LC_ALL", "C").args(["if=/dev/zero", "bs=7", "count=4", &of]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left on device"), "{output:?}");
    assert_eq!(fs::metadata(&file).unwrap().len(), 14);
}

#[test]
fn a_program_is_killed_at_its_third_write() {
    let Some(inject) = Inject::new(&["write"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    fs::write(&file, "").unwrap();
    let output = run(&inject.at(&file).signal("KILL").nth(3), &file);
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
}

#[test]
fn a_slow_disk_is_slow() {
    let Some(inject) = Inject::new(&["write"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    fs::write(&file, "").unwrap();
    let start = Instant::now();
    let output = run(&inject.at(&file).delay(Duration::from_millis(100)), &file);
    assert!(output.status.success(), "{output:?}");
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\nthree\nfour\n");
}

#[test]
fn a_small_disk_is_full_when_it_is_full_and_gone_when_dropped() {
    let Some(disk) = Disk::small(64 * 1024) else { return };
    assert!((32 * 1024..=64 * 1024).contains(&disk.free()), "{}", disk.free());
    let ballast = disk.fill();
    assert_eq!(disk.free(), 0);
    let mut file = fs::File::create(disk.path().join("log")).unwrap();
    assert_eq!(file.write_all(b"a line").unwrap_err().kind(), ErrorKind::StorageFull);
    fs::remove_file(ballast).unwrap();
    file.write_all(b"a line").unwrap();
    let path = disk.path().to_owned();
    drop((file, disk));
    assert!(!path.exists());
}
