//! What is got and meets trouble: a token that ends, an exporter that dies, a disk that fills, an end that is wanted.

use std::{fs, io::Write};

use clankers_tests::Cli;

use super::{LARGE, MIB, SLOW, Two, content, faults::Disk, moving, state, travelled};

fn exporting() -> Two {
    Two::exporting(&["--read-only"], |home| drop(home.file("shared/big", content(1, LARGE))))
}

fn get(two: &Two) -> Cli {
    two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), "docs/big"])
}

#[test]
fn what_is_forgotten_leaves_nothing_where_it_was_to_be() {
    let two = exporting();
    let getting = get(&two).args(["-o", "mine"]).args(SLOW).start();
    moving(&two.lap.workspace(), 2);
    let (id, _) = state(&two.lap);
    two.lap.cli(["rpc", "transfers", "forget", &id]).run().code(1);
    getting.interrupt();
    getting.finish().code(130);
    // Nothing went wrong with it, and it is told as what it is called here.
    let listed = two.lap.cli(["--json", "rpc", "transfers"]).run().ok().json();
    let told = ["state", "name", "error"].map(|key| listed[0][key].clone());
    assert_eq!(told, ["interrupted".into(), "mine".into(), serde_json::Value::Null]);
    assert!(two.lap.workspace().join(".clankers-part").exists());
    two.lap.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert!(!two.lap.workspace().join(".clankers-part").exists());
    assert!(two.lap.workspace().join("README.md").exists(), "what is the user's stays");
    get(&two).run().ok();
}

#[test]
fn a_token_that_is_revoked_midway_ends_it_and_says_so() {
    let two = exporting();
    let getting = get(&two).args(SLOW).start();
    moving(&two.lap.workspace(), 2);
    two.desk.cli(["token", "revoke", "--all", "--yes"]).run().ok();
    let ran = getting.finish().code(4);
    assert!(ran.error()["message"].to_string().contains("revoked"), "{}", ran.story());
    assert!(!ran.err().contains("broke off"), "{}", ran.story());
    assert!(!two.lap.workspace().join("big").exists());
    two.desk.grant(&two.lap, &["--read-only"]);
    let sent = travelled(&get(&two).run().ok().json_lines());
    assert!(sent < LARGE, "what arrived before is not sent again: {sent}");
    assert!(fs::read(two.lap.workspace().join("big")).unwrap() == content(1, LARGE));
}

#[test]
fn an_exporter_that_is_killed_midway_costs_what_was_on_its_way() {
    let mut two = exporting();
    let getting = get(&two).args(SLOW).within(std::time::Duration::from_secs(120)).start();
    moving(&two.lap.workspace(), 3);
    two.desk.kill9();
    assert!(!two.lap.workspace().join("big").exists(), "what is not whole has no name");
    two.desk.restart();
    let sent = travelled(&getting.finish().ok().json_lines());
    assert!(sent <= LARGE - 2 * MIB, "what had arrived travelled again: {sent}");
    assert!(fs::read(two.lap.workspace().join("big")).unwrap() == content(1, LARGE));
}

/// It is this machine's disk, and nobody else's.
#[test]
fn a_disk_that_fills_here_is_told_as_this_machines() {
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(home.path(), LARGE + 12 * MIB) else {
        eprintln!("skipped: a file system of its own needs root");
        return;
    };
    let two = exporting();
    let into = ["-o", disk.0.to_str().unwrap()];
    let filler = disk.0.join("filler");
    let mut out = fs::File::create(&filler).unwrap();
    for _ in 0..40 * MIB / 65_536 {
        out.write_all(&[0; 65_536]).unwrap();
    }
    drop(out);
    let ran = get(&two).args(into).run().code(8);
    let error = ran.error().to_string();
    assert!(error.contains("No space left") && !error.contains("receiver"), "{error}");
    assert!(!disk.0.join("big").exists());
    fs::remove_file(&filler).unwrap();
    get(&two).args(into).run().ok();
    assert!(fs::read(disk.0.join("big")).unwrap() == content(1, LARGE));
}
