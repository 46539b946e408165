//! Offers that wait for the owner.

use std::{fs, time::Duration};

use clankers_tests::wait::until;

use super::{MIB, Two, receipt, shape, tree};

pub(super) fn offer_id(two: &Two) -> String {
    until("an offer waits", Duration::from_secs(20), || {
        let listed = two.desk.cli(["--json", "inbox", "list"]).run().ok();
        let line = listed.json_lines().into_iter().find(|line| !line.is_null());
        line.and_then(|line| {
            let id = [&line["transfer"], &line["id"], &line["offer"], &line[0]["id"]];
            id.into_iter().find_map(|id| id.as_str().map(str::to_owned))
        })
    })
}

#[test]
fn an_offer_waits_and_is_accepted() {
    let two = Two::with(&["--offer"]);
    let dir = tree(&two.lap, "photos", &[("a/1", MIB), ("a/2", 10), ("b/3", 3 * MIB)]);
    let sending = two.send([dir.to_str().unwrap()]).start();
    let id = offer_id(&two);
    assert!(!two.inbox().join("photos").exists(), "nothing is taken before the owner says so");
    two.desk.cli(["inbox", "accept", &id]).run().ok();
    let ran = sending.finish().ok();
    assert_eq!(receipt(&ran.json_lines())["files"], 3);
    assert_eq!(shape(&two.inbox().join("photos")), shape(&dir));
    assert!(two.desk.cli(["inbox", "list"]).run().ok().out().find(&id[..8]).is_none(), "it waits no more");
}

#[test]
fn a_part_of_an_offer_is_accepted_after_its_sender_left() {
    let two = Two::with(&["--offer"]);
    let dir = tree(&two.lap, "photos", &[("a/1", MIB), ("a/2", 10), ("b/3", 3 * MIB)]);
    let sending = two.send([dir.to_str().unwrap()]).start();
    let id = offer_id(&two);
    sending.kill9();
    two.desk.cli(["inbox", "accept", &id, "--only", "a"]).run().ok();
    two.send([dir.to_str().unwrap()]).run().ok();
    let there = two.inbox().join("photos");
    assert!(there.join("a/1").exists() && there.join("a/2").exists());
    assert!(!there.join("b").exists(), "what was not accepted does not come");
    // What was accepted once is not accepted for ever, nor for something else.
    fs::write(dir.join("a/2"), "more than there was before").unwrap();
    let again = two.send([dir.to_str().unwrap()]).start();
    let next = offer_id(&two);
    two.desk.cli(["inbox", "reject", &next]).run().ok();
    again.finish().code(4);
}

#[test]
fn an_offer_that_nobody_answers_ends() {
    let two = Two::settled("[files]\noffer_wait_secs = 2\n", &["--offer"]);
    let file = two.lap.file("a", "1");
    two.send([file.to_str().unwrap()]).run().code(4);
    assert!(!two.inbox().join("a").exists());
    assert_eq!(two.desk.cli(["--json", "inbox", "list"]).run().ok().json(), serde_json::json!([]));
}
