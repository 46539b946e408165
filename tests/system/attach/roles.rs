//! Who may watch, who may type, and when that ends.

use std::time::Duration;

use clankers_tests::{NodeHome, Script, Turn};
use serde_json::json;

use super::{GATE, LIMIT, attach, leave, remote, seqs, session_of, until};
use crate::BIN;

#[test]
fn one_watches_another_types_and_a_stranger_does_neither() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("heard: {{prompt}}")));
    let node = home.start();
    let (typist, watcher, stranger) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    node.grant(&typist, &["--operator"]);
    node.grant(&watcher, &["--read-only"]);
    // The typist's own session; the owner sees all.
    let ran = typist.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let mut owner = attach(&home, &[&session, "--read-only"]).start();
    owner.json_of_type("attached");
    let mut types = typist
        .cli(["attach", &session, "--remote", node.ticket(), "--mode", "json"])
        .stdin("say it\n")
        .within(LIMIT)
        .start();
    let attached = types.json_of_type("attached");
    assert_eq!(attached["role"], "type", "{attached}");
    let taken = types.json_of_type("input_taken");
    assert_eq!(taken["duplicate"], false);
    let said =
        until(&mut owner, |line| line["type"] == "settled" && line["prompt_seq"] == taken["prompt_seq"]);
    let prompt = said.iter().find(|line| line["type"] == "prompt" && line["text"] == "say it").unwrap();
    assert_eq!((&prompt["principal"], &prompt["prompt_id"]), (&json!(typist.id()), &taken["input_id"]));
    assert!(said.iter().any(|line| line["text"] == "heard: say it"));
    leave(owner);
    types.interrupt();
    types.json_of_type("input_done");
    leave(types);
    // Somebody else's session is not there; and nobody is let in without a token.
    let ran = remote(&watcher, &node, &[&session]).run().code(7);
    assert_eq!(ran.error()["kind"], "not_found", "{}", ran.story());
    remote(&stranger, &node, &[&session]).run().code(4);
}

#[test]
fn a_viewer_types_nothing_and_is_told_so_alone() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let guest = NodeHome::new(BIN);
    // It prompts, so it has a session of its own; it may watch that, and not drive it.
    node.grant(&guest, &["--reviewer"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let mut owner = attach(&home, &[&session, "--read-only"]).start();
    owner.json_of_type("attached");
    let mut viewer = guest
        .cli(["attach", &session, "--remote", node.ticket(), "--mode", "json"])
        .stdin_open()
        .within(LIMIT)
        .start();
    assert_eq!(viewer.json_of_type("attached")["role"], "view");
    // What ended meanwhile makes the next Ctrl-C a first one.
    viewer.json_of_type("settled");
    viewer.types("/read notes.txt\n/approve x\n/cancel\n");
    for _ in 0..3 {
        let refused = viewer.json_of_type("input_refused");
        assert_eq!(refused["code"], "unauthorized", "{refused}");
    }
    viewer.interrupt();
    viewer.json_of_type("input_refused");
    assert_eq!(seqs(&leave(viewer).json_lines()), [1, 2, 3, 4]);
    let seen = leave(owner).json_lines();
    assert_eq!(seqs(&seen), [1, 2, 3, 4]);
    assert!(!seen.iter().any(|line| line["type"] == "input_refused"), "{seen:?}");
}

#[test]
fn the_stream_ends_when_the_token_does() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--operator", "--expire", "6s"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let mut viewer = remote(&guest, &node, &[&session]).start();
    viewer.json_of_type("attached");
    let ended = viewer.finish().code(4);
    assert!(ended.exit.took < Duration::from_secs(20), "{}", ended.story());
    let words = ended.error()["message"].as_str().unwrap().to_owned();
    assert!(words.contains("past its time"), "{}", ended.story());
    // And nobody comes back with it.
    remote(&guest, &node, &[&session]).run().code(4);
}

#[test]
fn what_ends_and_what_does_not() {
    let home = NodeHome::new(BIN);
    home.cli(["attach", "--mode", "json"]).run().code(6);
    home.script(&Script::of([Turn::calls("bash", &json!({ "command": GATE })), Turn::says("done")]));
    let _node = home.start();
    home.cli(["attach", "--mode", "json"]).run().code(7);
    home.cli(["attach", "abcdef", "--mode", "json"]).run().code(7);
    // A new session; the end of the input does not leave it, and what runs goes on when the viewer is gone.
    let mut viewer = home.cli(["attach", "--new", "--mode", "json"]).stdin("work\n").within(LIMIT).start();
    let attached = viewer.json_of_type("attached");
    assert_eq!(attached["head_seq"], 0, "{attached}");
    viewer.json_of_type("tool_call");
    viewer.kill9();
    home.file("go", "");
    // The only one there is: it need not be named.
    let mut again = attach(&home, &["--read-only"]).start();
    let lines = until(&mut again, |line| line["type"] == "settled");
    assert_eq!(lines.last().unwrap()["outcome"], "completed");
    leave(again);
    session_of(&home, "/ls");
    let ran = home.cli(["attach", "--mode", "json"]).run().code(2);
    assert!(ran.err().contains("2 sessions"), "{}", ran.story());
    // Killed at the node: the viewer is told.
    let session = attached["session"].as_str().unwrap();
    let mut viewer = attach(&home, &[session]).start();
    viewer.json_of_type("attached");
    home.cli(["daemon", "kill", session]).run().ok();
    viewer.finish().code(7);
}

#[test]
fn a_token_that_names_a_session_shows_that_one_and_ends_when_it_is_taken_back() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("heard: {{prompt}}")));
    let node = home.start();
    let (own, secret) = (session_of(&home, "/ls"), session_of(&home, "/ls src"));
    let (watcher, typist) = (NodeHome::new(BIN), NodeHome::new(BIN));
    node.grant(&watcher, &["--read-only", "--session", &own]);
    node.grant(&typist, &["--operator", "--session", &own]);
    let mut watches = remote(&watcher, &node, &[&own]).start();
    assert_eq!(watches.json_of_type("attached")["role"], "view");
    for guest in [&watcher, &typist] {
        remote(guest, &node, &[&secret]).run().code(7);
    }
    let mut types = typist
        .cli(["attach", &own, "--remote", node.ticket(), "--mode", "json"])
        .stdin("hello\n")
        .within(LIMIT)
        .start();
    let taken = types.json_of_type("input_taken");
    let heard =
        until(&mut watches, |line| line["type"] == "settled" && line["prompt_seq"] == taken["prompt_seq"]);
    assert!(heard.iter().any(|line| line["text"] == "heard: hello"), "{heard:?}");
    let tokens = home.cli(["token", "list", "--json"]).run().ok().json();
    let of = |guest: &NodeHome| {
        let id = json!(guest.id());
        let token = tokens.as_array().unwrap().iter().find(|token| token["audience"] == id).unwrap();
        token["cid"].as_str().unwrap().to_owned()
    };
    home.cli(["token", "revoke", "--yes", &of(&watcher)]).run().ok();
    let ended = watches.finish().code(4);
    assert!(ended.err().contains("revoked"), "{}", ended.story());
    remote(&watcher, &node, &[&own]).run().code(4);
    // The other one goes on.
    types.interrupt();
    types.json_of_type("input_done");
    leave(types);
}
