//! Either side killed at any moment: it ends whole, and little is sent twice.

use std::{fs, time::Duration};

use clankers_tests::forge;

use super::{MIB, Two, receipt, shape, tree};

/// How often a side is killed (count); the long run takes `CLANKERS_KILLS=200`.
fn kills() -> usize {
    std::env::var("CLANKERS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(16)
}

/// Bytes that may be sent again for one kill.
const AGAIN: u64 = 4 * MIB as u64;

/// Bytes that the receiver has of what is not whole.
fn had(two: &Two) -> u64 {
    let parts = two.inbox().join(".clankers-part");
    let mut waiting: Vec<_> =
        fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let mut bytes = 0;
    while let Some(path) = waiting.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if path.components().any(|part| part.as_os_str() == "tree") {
            use std::os::unix::fs::MetadataExt as _;
            bytes += meta.blocks() * 512;
        }
    }
    bytes
}

#[test]
fn killed_at_any_moment_it_ends_whole_and_little_is_sent_twice() {
    let mut two = Two::with(&["--drop"]);
    let names: Vec<String> = (0..120).map(|n| format!("d{}/f{n}", n % 11)).collect();
    let mut killed = 0;
    let mut round = 0;
    while killed < kills() {
        round += 1;
        let files: Vec<(&str, usize)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), (n * 7919 + round * 31) % (MIB * 2 / 3)))
            .collect();
        let total: u64 = files.iter().map(|(_, len)| *len as u64).sum();
        let dir = tree(&two.lap, &format!("round{round}"), &files);
        let there = two.inbox().join(format!("round{round}"));
        loop {
            let before = had(&two);
            let sending = two.send([dir.to_str().unwrap()]).start();
            let wait = u64::from(u16::from_le_bytes(forge::random())) % 1200;
            let over = sending.process().wait(Duration::from_millis(wait)).is_some();
            if over || killed >= kills() {
                let ran = sending.finish().ok();
                let lines = ran.json_lines();
                let said = receipt(&lines);
                assert_eq!(said["files"], files.len());
                let sent = said["sent_bytes"].as_u64().unwrap();
                assert!(
                    sent <= total.saturating_sub(before) + AGAIN,
                    "{sent} of {total} sent, {before} were there"
                );
                break;
            }
            killed += 1;
            if killed.is_multiple_of(2) {
                sending.kill9();
            } else {
                two.desk.kill9();
                sending.kill9();
                two.desk.restart();
            }
            // What has its final name is whole, whenever it is looked at.
            if there.exists() {
                assert_eq!(shape(&there), shape(&dir), "round {round}");
            }
        }
        assert_eq!(shape(&there), shape(&dir), "round {round}");
        fs::remove_dir_all(&there).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
    let parts = two.inbox().join(".clankers-part");
    let left = fs::read_dir(&parts).into_iter().flatten().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| name.ends_with(".done")), "nothing unfinished is left: {left:?}");
}
