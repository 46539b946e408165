//! The guides, run as they stand.

use std::{fs, path::Path};

use clankers_tests::guide;

use crate::{BIN, main_job::mdns::multicast_works};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_agent_by_itself() {
    assert!(guide::run(Path::new(BIN), &page("agent.md")) >= 12);
}

#[test]
fn sharing_a_node() {
    assert!(guide::run(Path::new(BIN), &page("sharing-a-node.md")) >= 20);
}

#[test]
fn attaching() {
    assert!(guide::run(Path::new(BIN), &page("attaching.md")) >= 30);
}

#[test]
fn teams() {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return;
    }
    assert!(guide::run(Path::new(BIN), &page("teams.md")) >= 40);
}

#[test]
fn files() {
    assert!(guide::run(Path::new(BIN), &page("files.md")) >= 25);
}
