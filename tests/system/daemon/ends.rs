//! The ways in which a node ends on purpose, and what becomes of those who wait.

use std::time::Duration;

use clankers_tests::{NodeHome, Script, Start, Turn, limits::STEP, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{BIN, main_job::check_contract};

#[test]
fn stop_lets_a_turn_end_and_interrupts_what_does_not() {
    let home = NodeHome::new(BIN);
    // Two prompts run when the node is asked to stop: one ends within its time, one never would.
    let slow = Turn::says(&"word ".repeat(20)).piece_chars(5).delay_ms(50);
    home.script(&Script::of([slow, Turn::says("ready").hangs()]));
    let mut node = home.start();
    home.cli(["rpc", "prompt", "local", "first"]).run().ok();
    let on = ["rpc", "prompt", "local", "hang", "--mode", "json", "--session", "last"];
    let mut hanging = home.cli(on).start();
    let mut lines = vec![hanging.json().expect("accepted"), hanging.json_of_type("text_delta")];
    let mut ending = home.cli(["rpc", "prompt", "local", "end", "--mode", "json"]).start();
    let mut ending_lines = vec![ending.json().expect("accepted"), ending.json_of_type("text_delta")];

    let stopping = home.cli(["daemon", "stop", "--json"]).within(Duration::from_secs(40)).start();
    wait::until("the node's word that it stops", STEP, || {
        home.node_log().contains("asked to stop").then_some(())
    });
    // It still says how it is; nothing new is begun.
    let status = node.status();
    assert_eq!((&status["prompts"], &status["pid"]), (&json!(2), &json!(node.pid())), "{status}");
    let late = home.cli(["rpc", "prompt", "local", "late"]).run();
    assert!(late.exit.code == Some(6), "{}", late.story());

    while let Some(line) = ending.json() {
        ending_lines.push(line);
    }
    check_contract(&ending_lines);
    assert_eq!(ending_lines.last().expect("lines")["outcome"], "completed", "it had its time");
    ending.finish().ok();
    while let Some(line) = hanging.json() {
        lines.push(line);
    }
    check_contract(&lines);
    let last = lines.last().expect("lines");
    assert_eq!(last["outcome"], "interrupted", "{last}");
    assert!(
        lines.iter().any(|line| line["type"] == "message" && line["text"] == "ready"),
        "what was said is kept"
    );
    let told = hanging.finish().code(1);
    assert_eq!(told.error()["kind"], "failed", "{}", told.story());

    let stopped = stopping.finish().ok();
    let exit = node.gone(STEP).expect("our child");
    assert_eq!(exit.code, Some(0));
    assert!(stopped.err().contains("2 prompt(s) run"), "{}", stopped.story());
    assert!(stopped.exit.took >= Duration::from_secs(9), "it drained: {:?}", stopped.exit.took);
    assert!(
        stopped.exit.took < Duration::from_secs(16),
        "10 s and what writing takes: {:?}",
        stopped.exit.took
    );

    // Interrupted is an end: the session is idle and goes on.
    home.script(&Script::always(Turn::says("back")));
    node.restart();
    let sessions = home.cli(["ps", "--json"]).run().ok().json();
    assert!(
        sessions.as_array().expect("an array").iter().all(|session| session["state"] == "idle"),
        "{sessions}"
    );
    let session = lines[0]["session"].as_str().expect("text");
    let ran = home.cli(["-p", "again", "--session", session, "--mode", "json"]).run().ok();
    assert!(ran.out().contains("back"), "{}", ran.story());
}

#[test]
fn signals_end_it_cleanly_in_the_foreground_and_in_the_background() {
    let home = NodeHome::new(BIN);
    let clean = |home: &NodeHome| {
        assert!(!home.path().join("run/node.json").exists(), "the note is gone");
        assert!(
            home.node_log().lines().last().is_some_and(|line| line.contains("stopped")),
            "{}",
            home.node_log()
        );
        home.cli(["daemon", "status"]).run().code(6);
    };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut node = home.start();
        node.signal(signal);
        let exit = node.gone(STEP).expect("our child");
        assert_eq!((exit.code, exit.signal), (Some(0), None), "{signal:?}: {}", node.story());
        let process = node.process().expect("our child");
        assert_eq!(process.stderr().text(), "", "no fuss");
        clean(&home);
    }
    let mut node = Start::new().detached().on(&home);
    node.terminate();
    wait::until("the clean end", STEP, || (!home.path().join("run/node.json").exists()).then_some(()));
    clean(&home);

    // `rpc start` is the same, and says what people need.
    let words = ["rpc", "start", "--bind", "127.0.0.1:0", "--relay", "off", "--mdns", "off"];
    let mut running = home.cli(words).start();
    let first = running.line().expect("a line").text();
    assert!(first.contains(&home.id().to_string()) && first.contains("ready"), "{first}");
    home.cli(["rpc", "ping", "local"]).run().ok();
    running.interrupt();
    running.finish().ok();
    clean(&home);
    // Ready means that it also hears who wants its end.
    for signal in [Signal::TERM, Signal::INT, Signal::TERM, Signal::INT] {
        let mut running = home.cli(words).start();
        let _ready = running.line().expect("a line");
        running.process().signal(signal);
        running.finish().ok();
        clean(&home);
    }
    let mut running = home.cli(words).arg("--json").start();
    let ready: Value = running.json().expect("a line");
    assert_eq!(ready["pid"], running.process().pid());
    assert!(ready["ticket"].is_string() && ready["addrs"].is_array(), "{ready}");
    home.cli(["daemon", "stop"]).run().ok();
    running.finish().ok();
    clean(&home);
}

#[test]
fn an_interrupted_node_does_not_wait_longer_for_a_hanging_turn_than_it_says() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("ready").hangs()));
    let mut node = home.start();
    let mut hanging = home.cli(["rpc", "prompt", "local", "hang", "--mode", "json"]).start();
    let mut lines = vec![hanging.json().expect("accepted"), hanging.json_of_type("text_delta")];
    // Somebody who has no time cancels it: then there is nothing to drain.
    let session = lines[0]["session"].as_str().expect("text").to_owned();
    node.signal(Signal::TERM);
    wait::until("the node's word that it stops", STEP, || home.node_log().contains("stopping").then_some(()));
    hanging.interrupt();
    while let Some(line) = hanging.json() {
        lines.push(line);
    }
    check_contract(&lines);
    assert_eq!(lines.last().expect("lines")["outcome"], "cancelled", "{lines:?}");
    hanging.finish().code(130);
    let exit = node.gone(STEP).expect("our child");
    assert_eq!(exit.code, Some(0));
    let log = String::from_utf8(home.session_log(&session)).expect("text");
    assert!(log.contains("cancelled"), "{log}");
}
