//! What a review found: what is left out is said, slips are told where they are made, a no stands.

use std::{fs, time::Duration};

use clankers_tests::{NodeHome, wait::until};
use serde_json::Value;

use super::{LARGE, MIB, Two, asking::offer_id, moving, receipt, state, tree};
use crate::BIN;

/// What is listed at the receiver of the only transfer that came in.
fn incoming(two: &Two) -> Value {
    let listed = two.desk.cli(["--json", "rpc", "transfers", "list"]).run().ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    listed[0].clone()
}

#[test]
fn what_is_left_out_of_what_is_got_is_said() {
    let mut two = Two::with(&["--read-only"]);
    let shared = tree(two.desk.home(), "shared", &[("d/ok", 10), ("d/sub/ok", 10), ("links/ok", 10)]);
    for name in ["back\\slash", "COM1", "sub/a\nb"] {
        fs::write(shared.join("d").join(name), "x").unwrap();
    }
    std::os::unix::fs::symlink("ok", shared.join("links/link")).unwrap();
    two.desk.home().settings(&format!("[files.exports]\nshelf = \"{}\"\n", shared.display()));
    two.desk.kill9();
    two.desk.restart();
    let get = |path: &str| ["rpc", "get-file", two.desk.ticket(), path].map(str::to_owned);
    let ran = two.lap.cli(get("shelf/d")).run().code(1);
    assert!(ran.err().contains("! 3 left out: ") && ran.err().contains("COM1 ("), "{}", ran.story());
    assert!(ran.err().contains("3 of its files did not arrive"), "{}", ran.story());
    assert!(ran.out().starts_with("! got as d: 2 files"), "{}", ran.story());
    let lines = two.lap.cli(["--json"]).args(get("shelf/d")).run().code(1).json_lines();
    let skipped: Vec<_> = lines.iter().filter(|line| line["type"] == "skipped").collect();
    assert!(skipped.len() == 3 && skipped.iter().all(|line| line["missed"] == true), "{lines:?}");
    assert!(lines.iter().any(|line| line["type"] == "left_out" && line["count"] == 3), "{lines:?}");
    // Nobody misses a link.
    let ran = two.lap.cli(get("shelf/links")).run().ok();
    assert!(ran.err().contains("! 1 left out: link (it is a symbolic link)"), "{}", ran.story());
    assert!(ran.out().starts_with("✓ got as links: 1 file"), "{}", ran.story());
    // What has the name is dealt with as it was asked for, also where the name was.
    let to = |name: &str| [&get("shelf/d/ok")[..], &["-o".to_owned(), name.to_owned()]].concat();
    two.lap.cli(to("mine")).run().ok();
    two.lap.cli(to("mine")).run().ok();
    assert!(two.lap.workspace().join("mine (1)").exists());
    let ran = two.lap.cli(to("mine")).args(["--on-conflict", "refuse"]).run().code(1);
    assert!(ran.err().contains("has that name here already"), "{}", ran.story());
    for odd in ["/dev/null", "-"] {
        two.lap.cli(to(odd)).run().code(2);
    }
    assert!(!two.lap.workspace().join("-").exists());
}

#[test]
fn a_slip_of_the_owner_is_told_to_the_owner_and_the_offer_waits_on() {
    let two = Two::with(&["--offer"]);
    let dir = tree(&two.lap, "photos", &[("a/1", 10), ("a/2", 10), ("b/3", 10)]);
    let sending = two.send([dir.to_str().unwrap()]).start();
    let id = offer_id(&two);
    let accept = |only: &str| two.desk.cli(["inbox", "accept", &id, "--only", only]).run();
    let ran = accept("nonsense").code(7);
    assert!(ran.err().contains("there is no 'nonsense'") && ran.err().contains("a/1"), "{}", ran.story());
    sending.interrupt();
    sending.finish().code(130);
    // Whoever offered is gone: what was kept of the offer says it too.
    accept("a/4").code(7);
    let listed = two.desk.cli(["--json", "inbox", "list"]).run().ok().json();
    assert_eq!(
        (&listed[0]["id"].as_str().unwrap()[..10], &listed[0]["accepted"]),
        (&id[..10], &false.into())
    );
    let again = two.send([dir.to_str().unwrap()]).start();
    accept("photos/a").ok();
    assert_eq!(receipt(&again.finish().ok().json_lines())["files"], 2);
}

/// Of a large offer not all names are kept: the slip shows when the sender comes, and costs it nothing.
#[test]
fn a_slip_that_shows_late_does_not_end_the_sender() {
    let two = Two::with(&["--offer"]);
    let names: Vec<String> = (0..40).map(|number| format!("{number}")).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 10)).collect();
    let dir = tree(&two.lap, "many", &files);
    let sending = two.send([dir.to_str().unwrap()]).start();
    let id = offer_id(&two);
    sending.interrupt();
    sending.finish().code(130);
    // What it offered is forgotten a moment after it said goodbye.
    until("its sender is known to be gone", Duration::from_secs(60), || {
        let ran = two.desk.cli(["inbox", "accept", &id, "--only", "nonsense"]).run();
        (ran.exit.code == Some(0)).then_some(())
    });
    let mut again = two.send([dir.to_str().unwrap()]).start();
    assert_eq!(again.json_of_type("waiting")["type"], "waiting");
    let listed = two.desk.cli(["--json", "inbox", "list"]).run().ok().json();
    assert_eq!(listed[0]["accepted"], false, "{listed}");
    two.desk.cli(["inbox", "accept", &id, "--only", "7"]).run().ok();
    assert_eq!(receipt(&again.finish().ok().json_lines())["files"], 1);
}

#[test]
fn that_an_offer_waits_is_one_line_for_programs() {
    let two = Two::with(&["--offer"]);
    let file = two.lap.file("a", "1");
    let mut sending = two.send([file.to_str().unwrap()]).start();
    let id = offer_id(&two);
    sending.json_of_type("waiting");
    two.desk.cli(["inbox", "accept", &id]).run().ok();
    let lines = sending.finish().ok().json_lines();
    let waits: Vec<_> = lines.iter().filter(|line| line["type"] == "waiting").collect();
    assert!(waits.len() == 1 && waits[0]["until"].as_str().unwrap().ends_with('Z'), "{lines:?}");
    assert!(waits[0]["id"].as_str().unwrap().starts_with(&id[..10]), "{lines:?}");
}

#[test]
fn what_is_over_the_bound_is_told_with_the_bound() {
    let two = Two::with(&["--offer", "--max-size", "100KiB"]);
    let file = two.lap.file("a", vec![7; 200 * 1024]);
    let ran = two.send([file.to_str().unwrap()]).run().code(4);
    let error = ran.error().to_string();
    assert!(error.contains("200.0 KiB") && error.contains("100.0 KiB"), "{error}");
    assert!(error.contains("--offer --max-size"), "{error}");
    two.desk.grant(&two.lap, &["--offer"]);
    two.desk.grant(&two.lap, &["--drop", "--max-size", "150KiB"]);
    let mut sending = two.send([file.to_str().unwrap()]).start();
    sending.json_of_type("waiting");
    two.desk.cli(["inbox", "accept", &offer_id(&two)]).run().ok();
    let ran = sending.finish().ok();
    assert!(ran.err().contains("without asking ends at 150.0 KiB"), "{}", ran.story());
}

#[test]
fn what_its_receiver_cancelled_is_not_gone_on_with() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", LARGE)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), 2);
    let here = incoming(&two);
    let id = here["id"].as_str().unwrap().to_owned();
    assert_eq!((&here["direction"], &here["state"]), (&"receive".into(), &"running".into()));
    let ran = two.desk.cli(["rpc", "transfers", "resume", &id]).run().code(2);
    assert!(ran.err().contains("only they can go on with it"), "{}", ran.story());
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    sending.finish().code(1);
    assert_eq!(incoming(&two)["state"], "cancelled");
    let ran = two.lap.cli(["rpc", "transfers", "resume", &id]).run().code(4);
    assert!(ran.err().contains("cancelled this transfer"), "{}", ran.story());
    assert!(!two.inbox().join("d").exists());
    two.desk.cli(["rpc", "transfers", "forget", &id]).run().ok();
    two.lap.cli(["rpc", "transfers", "resume", &id]).run().ok();
    assert!(two.inbox().join("d").exists());
}

#[test]
fn what_came_in_is_listed_where_it_came() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("a", vec![7; MIB]);
    two.send([file.to_str().unwrap()]).run().ok();
    let (id, _) = state(&two.lap);
    let here = incoming(&two);
    assert_eq!(
        (&here["id"], &here["state"], &here["name"]),
        (&id.as_str().into(), &"done".into(), &"a".into())
    );
    assert_eq!((&here["bytes"], &here["files"]), (&MIB.into(), &1.into()));
    assert_eq!(here["peer"], two.lap.id().short());
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().code(1);
    two.desk.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert_eq!(two.desk.cli(["--json", "rpc", "transfers"]).run().ok().json(), serde_json::json!([]));
}

#[test]
fn who_names_no_transfer_is_told_where_they_are() {
    let lap = NodeHome::new(BIN);
    for word in ["cancel", "resume", "forget"] {
        let ran = lap.cli(["rpc", "transfers", word, "abc"]).run().code(7);
        let said = ran.err().contains("no transfer 'abc' is here") && ran.err().contains("transfers list");
        assert!(said, "{}", ran.story());
    }
}

#[test]
fn what_runs_already_is_named_and_keeps_no_other_path_waiting() {
    let two = Two::with(&["--drop"]);
    let sender = two.lap.start();
    let large = tree(&two.lap, "large", &[("a", LARGE)]);
    let small = two.lap.file("small", "1");
    let words = ["--json", "rpc", "send-file", two.desk.ticket(), large.to_str().unwrap()];
    let begun = sender.cli(words).args(super::SLOW).arg("-d").run().ok().json_lines();
    let id = begun[0]["transfer"].as_str().unwrap().to_owned();
    moving(&two.inbox(), 1);
    let ran = sender.cli(words).args([small.to_str().unwrap(), "-d"]).run().code(1);
    assert_eq!(ran.json_lines().len(), 1, "{}", ran.story());
    assert!(ran.error().to_string().contains(&id[..10]), "{}", ran.story());
    until("the other one is there", Duration::from_secs(30), || {
        two.inbox().join("small").exists().then_some(())
    });
    assert!(!two.inbox().join("large").exists(), "the first was over: nothing was shown");
    let ran = sender.cli(words).run().code(1);
    assert!(ran.error().to_string().contains(&id[..10]), "{}", ran.story());
    sender.cli(["rpc", "transfers", "cancel", &id]).run().ok();
}

#[test]
fn a_full_standard_output_is_not_taken_for_a_full_disk() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("a", "1");
    let mut command = two.lap.command();
    command.args(["rpc", "send-file", two.desk.ticket(), file.to_str().unwrap()]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = command.stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(8), "{said}");
    assert!(said.contains("cannot write to standard output") && said.contains("is over"), "{said}");
    assert_eq!(state(&two.lap).1, "done");
}
