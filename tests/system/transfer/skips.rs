//! More is left out than is named: what is missed among it is still told, and is not whole.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use super::Two;

/// Links that nobody misses, more than are kept by name, and three files that cannot travel.
const LINKS: usize = 1_050;

fn crowded(dir: &std::path::Path) {
    fs::create_dir_all(dir).unwrap();
    for number in 0..LINKS {
        std::os::unix::fs::symlink("real.txt", dir.join(format!("a{number:05}"))).unwrap();
    }
    for number in *b"123" {
        fs::write(dir.join(OsStr::from_bytes(&[b'z', number, 0xff])), "x").unwrap();
    }
    fs::write(dir.join("real.txt"), "x").unwrap();
}

#[test]
fn what_is_missed_among_more_than_is_named_is_told_to_whoever_sends() {
    let two = Two::with(&["--drop"]);
    let dir = two.lap.workspace().join("many");
    crowded(&dir);
    let path = dir.to_str().unwrap();
    let all = LINKS + 3;
    let lines = two.send([path]).run().code(1).json_lines();
    let left = lines.iter().find(|line| line["type"] == "left_out").unwrap();
    assert_eq!((&left["count"], &left["missed"]), (&all.into(), &3.into()));
    let named: Vec<bool> =
        lines.iter().filter(|line| line["type"] == "skipped").map(|line| line["missed"] == true).collect();
    assert_eq!((named.len(), &named[..4]), (1_000, &[true, true, true, false][..]));
    let ran = two.lap.cli(["rpc", "send-file", two.desk.ticket(), path]).run().code(1);
    assert!(ran.err().contains("3 of its files did not arrive"), "{}", ran.story());
    assert!(ran.err().contains(&format!("! and {} more are not sent", all - 20)), "{}", ran.story());
    assert!(ran.out().starts_with("! sent as many (1): 1 file"), "{}", ran.story());
    let ran = two.lap.cli(["rpc", "send-file", two.desk.ticket(), path, "--dry-run"]).run().code(1);
    assert!(ran.out().contains(&format!("; {all} left out; nothing was sent")), "{}", ran.story());
}

#[test]
fn what_is_missed_among_more_than_is_named_is_told_to_whoever_gets() {
    let two = Two::exporting(&["--read-only"], |home| crowded(&home.workspace().join("shared")));
    let ran = two.lap.cli(["rpc", "get-file", two.desk.ticket(), "docs"]).run().code(1);
    let told = format!("! {} left out: z1", LINKS + 3);
    assert!(ran.err().contains(&told) && ran.err().contains("more"), "{}", ran.story());
    assert!(ran.err().contains("3 of its files did not arrive"), "{}", ran.story());
    assert!(ran.out().starts_with("! got as docs: 1 file"), "{}", ran.story());
}
