//! How an attached client behaves at its edges: its end, the end of its input, what it says when little is asked.

use clankers_tests::{NodeHome, Script, Turn};
use rustix::process::Signal;
use serde_json::json;

use super::{LIMIT, attach, leave, seqs, session_of, until};
use crate::BIN;

#[test]
fn a_client_whose_input_has_ended_holds_up_no_approval() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": "echo ran >> ran.txt" })),
        Turn::says("after: {{result}}"),
    ]));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let words = ["attach", &session, "--mode", "json", "--tail", "0"];
    let mut viewer = home.cli(words).within(LIMIT).start();
    viewer.json_of_type("attached");
    let ask = ["rpc", "prompt", "local", "go", "--session", &session, "--ask", "shell", "--mode", "json"];
    let ran = home.cli(ask).within(LIMIT).run().ok();
    let results: Vec<_> = ran.json_lines().into_iter().filter(|line| line["type"] == "tool_result").collect();
    assert_eq!(results[0]["status"], "denied", "{}", ran.story());
    assert!(!home.workspace().join("ran.txt").exists());
    // It types all the same: Ctrl-C is heard as a cancellation.
    viewer.interrupt();
    viewer.json_of_type("input_done");
    leave(viewer);
}

#[test]
fn a_client_that_is_told_to_end_says_where_it_was() {
    let home = NodeHome::new(BIN);
    let _node = home.start();
    let session = session_of(&home, "/ls");
    for signal in [Signal::TERM, Signal::HUP] {
        let mut viewer = attach(&home, &[&session]).start();
        until(&mut viewer, |line| line["type"] == "settled");
        viewer.process().signal(signal);
        let ran = viewer.finish().code(130);
        let last = ran.json_lines().pop().unwrap();
        assert_eq!((&last["type"], &last["seq"]), (&json!("detached"), &json!(4)), "{}", ran.story());
    }
}

#[test]
fn older_events_within_a_stream_are_told_from_new_ones() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("an answer")));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    home.cli(["rpc", "prompt", "local", "go", "--session", &session]).run().ok();
    let words = ["attach", &session, "--mode", "json", "--tail", "1"];
    let mut viewer = home.cli(words).stdin("/older 3\n/older 100\n").within(LIMIT).start();
    until(&mut viewer, |line| line["older"] == true && line["seq"] == 4);
    viewer.interrupt();
    viewer.json_of_type("input_done");
    let lines = leave(viewer).json_lines();
    let (older, new): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["older"] == true);
    let mut all = seqs(&older);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), seqs(&older).len(), "an older event twice");
    assert!(seqs(&new).iter().all(|seq| !all.contains(seq)), "{all:?} {:?}", seqs(&new));
}

#[test]
fn a_tool_that_was_called_by_hand_and_not_run_is_said_to_a_person() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--reviewer"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let denied = guest.cli(["rpc", "prompt", node.ticket(), "/bash date", "--session", &session]).run();
    denied.code(4);
    let viewer = guest
        .cli(["attach", &session, "--remote", node.ticket(), "--read-only"])
        .stdin_open()
        .within(LIMIT)
        .start();
    let said = |text: &str| {
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(());
        assert!(viewer.process().stderr().wait(LIMIT, has).is_some(), "{}", viewer.process().story());
    };
    said("denied: bash");
    viewer.interrupt();
    let ran = viewer.finish().ok();
    let back = format!("clankers attach {} --remote {} --read-only --after", &session[..10], node.ticket());
    assert!(ran.err().contains(&back), "{}", ran.story());
}

#[test]
fn the_last_session_is_the_same_one_to_every_command() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let own = session_of(&home, "/ls");
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--operator"]);
    // Somebody else's is newer.
    guest.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().ok();
    let shown = home.cli(["session", "show", "last", "--json"]).run().ok().json();
    assert_eq!(shown["id"], own, "{shown}");
    let mut viewer = attach(&home, &["last", "--read-only"]).start();
    assert_eq!(viewer.json_of_type("attached")["session"], own);
    leave(viewer);
    let waited = home.cli(["wait", "last", "--json"]).run().ok().json();
    assert_eq!(waited["session"], own);
    // One that was used since is the last, whichever was made later.
    let newer = session_of(&home, "/ls");
    assert_ne!(newer, own);
    home.cli(["rpc", "prompt", "local", "/ls", "--session", &own]).run().ok();
    assert_eq!(home.cli(["session", "show", "last", "--json"]).run().ok().json()["id"], own);
    let waited = home.cli(["wait", "last", "--json"]).run().ok().json();
    assert_eq!(waited["session"], own);
}
