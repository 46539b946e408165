//! How far transfers are, as whoever sits at either end sees it.

use std::time::Duration;

use clankers_tests::{Node, cli::Running, wait::until};
use serde_json::Value;

use super::{
    LARGE, MIB, SLOW, Two, content, moving,
    page::{documented, fields},
    receipt,
};
use crate::attach::terminal::Terminal;

/// How fast it is sent (bytes in a second), and how much: it takes twelve seconds, whatever the machine.
const RATE: [&str; 2] = ["--limit-rate", "2MiB"];
const BYTES: usize = 24 * MIB;
/// How long something may take (time).
const LIMIT: Duration = Duration::from_secs(60);

const WATCH: [&str; 4] = ["rpc", "transfers", "list", "--watch"];

fn watch(node: &Node) -> Running {
    node.cli(["--json"]).args(WATCH).within(LIMIT).start()
}

/// The lines until one ends: those of its progress, and its end. All of them are as the page says.
fn until_end(watching: &mut Running) -> (Vec<Value>, Value) {
    let said = documented("Transfers that are watched");
    let mut far = Vec::new();
    loop {
        let line = watching.json().unwrap_or_else(|| panic!("{}", watching.process().story()));
        let kind = line["type"].as_str().unwrap();
        assert_eq!(Some(&fields(&line)), said.get(kind), "docs/json.md: fields of {kind}");
        match kind {
            "end" => {
                // What was signed for is told by itself right before.
                let signed: Option<Value> = far.pop_if(|last: &mut Value| last["type"] == "receipt");
                let told = signed.map(|mut signed| {
                    signed.as_object_mut().unwrap().remove("type");
                    signed
                });
                assert_eq!(told.unwrap_or_default(), line["receipt"]);
                return (far, line);
            }
            _ => far.push(line),
        }
    }
}

/// It grows, about as fast as it may, and says how long it takes.
fn is_progress(lines: &[Value]) {
    let number = |line: &Value, key: &str| line[key].as_u64();
    let bytes: Vec<u64> = lines.iter().filter_map(|line| number(line, "bytes")).collect();
    assert!(bytes.is_sorted() && bytes.len() == lines.len(), "{lines:?}");
    let mut steps = bytes.clone();
    steps.dedup();
    assert!(steps.len() >= 4, "{lines:?}");
    let amid = |line: &&Value| number(line, "bytes") > Some(0) && line["bytes"] != line["total"];
    let amid: Vec<&Value> = lines.iter().filter(amid).collect();
    let rate = 2 * MIB as u64;
    let near =
        |line: &&&Value| number(line, "rate_bps").is_some_and(|bps| (rate / 3..=rate * 3).contains(&bps));
    assert!(amid.iter().filter(near).count() * 2 > amid.len(), "{lines:?}");
    let left = |line: &&&Value| number(line, "eta_s").is_some_and(|left| left <= 60);
    assert!(amid.iter().filter(left).count() * 2 > amid.len(), "{lines:?}");
    assert!(amid.iter().all(|line| line["total"] == BYTES), "{lines:?}");
}

#[test]
fn who_receives_sees_how_far_it_is_and_how_it_ends() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("film", content(1, BYTES));
    // What came before is history.
    two.send([two.lap.file("before", "1").to_str().unwrap()]).run().ok();
    let mut watching = watch(&two.desk);
    let sending = two.send([file.to_str().unwrap()]).args(RATE).start();
    let (far, end) = until_end(&mut watching);
    is_progress(&far);
    let lap = two.lap.id().short();
    for line in far.iter().chain([&end]) {
        let whose = (line["direction"].as_str().unwrap(), line["peer"].as_str().unwrap());
        assert_eq!(whose, ("receive", lap.as_str()), "{line}");
        assert_eq!(line["id"], end["id"]);
    }
    assert!(far.iter().all(|line| line["state"] == "running"), "{far:?}");
    let sent = sending.finish().ok().json_lines();
    let (signed, told) = (receipt(&sent), &end["receipt"]);
    for key in ["files", "bytes", "sent_bytes", "root", "name"] {
        assert_eq!(told[key], signed[key], "{key} of {end}");
    }
    assert_eq!((&end["state"], &end["name"]), (&"done".into(), &"film".into()));
    watching.interrupt();
    watching.finish().code(130);
    // Whoever asks about it later is told at once.
    let later = two.desk.cli(["--json"]).args(WATCH).arg(end["id"].as_str().unwrap()).run().ok();
    let later = later.json_lines();
    assert_eq!((later.len(), &later[0], &later[1]), (2, signed, &end));
}

#[test]
fn who_sends_in_the_background_waits_for_the_end_of_one_and_both_lists_say_how_fast_it_is() {
    let two = Two::with(&["--drop"]);
    let sender = two.lap.start();
    let file = two.lap.file("film", content(2, BYTES));
    let words = ["--json", "rpc", "send-file", two.desk.ticket(), file.to_str().unwrap(), "-d"];
    let begun = sender.cli(words).args(RATE).run().ok().json();
    let id = begun["transfer"].as_str().unwrap();
    let watching = sender.cli(WATCH).arg(&id[..10]).within(LIMIT).start();
    let receiving = two.desk.cli(WATCH).within(LIMIT).start();
    for node in [&sender, &two.desk] {
        until("the list says how fast it is", LIMIT, || {
            let listed = node.cli(["--json", "rpc", "transfers"]).run().ok().json();
            assert!(listed[0]["state"] != "done", "it was over before its rate was listed: {listed}");
            let fast = listed[0]["rate_bps"].as_u64().is_some_and(|rate| rate > MIB as u64 / 2);
            (fast && listed[0]["eta_s"].is_u64()).then_some(())
        });
        let ran = node.cli(["rpc", "transfers"]).run().ok();
        assert!(ran.out().contains("RATE") && ran.out().contains("iB/s"), "{}", ran.story());
    }
    let ran = watching.finish().ok();
    let lines: Vec<&str> = ran.out().lines().collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(
        *last == format!("✓ {}  → {}: film  done: 1 file, 24.0 MiB", &id[..10], peer(&sender, id)),
        "{last}"
    );
    assert!(
        before.iter().filter(|line| line.contains("MiB/s") && line.contains("left")).count() >= 3,
        "{lines:?}"
    );
    let end = format!("✓ {}  ← {}: film  done: 1 file, 24.0 MiB\n", &id[..10], two.lap.id().short());
    receiving.saying(&end);
    receiving.interrupt();
    let ran = receiving.finish().code(130);
    assert!(ran.out().matches("left").count() >= 3, "{}", ran.story());
    let listed = two.desk.cli(["--json", "rpc", "transfers"]).run().ok().json();
    assert!(listed[0]["rate_bps"].is_null() && listed[0]["eta_s"].is_null(), "{listed}");
}

/// How the peer of a transfer is called in a list.
fn peer(node: &Node, id: &str) -> String {
    let listed = node.cli(["--json", "rpc", "transfers"]).run().ok().json();
    let found = listed.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
    found["peer"].as_str().unwrap().to_owned()
}

#[test]
fn what_others_fetch_is_seen_too() {
    let two = Two::exporting(&["--read-only"], |home| drop(home.file("shared/film", content(3, BYTES))));
    let mut watching = watch(&two.desk);
    let getting =
        two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), "docs/film"]).args(RATE).start();
    let (far, end) = until_end(&mut watching);
    is_progress(&far);
    assert!(far.iter().all(|line| line["direction"] == "send"), "{far:?}");
    assert_eq!((&end["state"], &end["name"]), (&"done".into(), &"film".into()));
    getting.finish().ok();
    watching.interrupt();
    watching.finish().code(130);
}

#[test]
fn the_exit_code_says_how_the_one_ended() {
    let two = Two::with(&["--drop"]);
    let ran = two.lap.cli(WATCH).arg("abc").run().code(7);
    assert!(ran.err().contains("transfers list"), "{}", ran.story());
    two.lap.cli(["rpc", "transfers", "list", "abc"]).run().code(2);
    let file = two.lap.file("film", content(4, LARGE));
    let sending = two.send_slowly(&file).start();
    moving(&two.inbox(), 2);
    let (id, _) = super::state(&two.lap);
    let mut here = two.lap.cli(["--json"]).args(WATCH).arg(&id).within(LIMIT).start();
    let mut there = two.desk.cli(["--json"]).args(WATCH).arg(&id).within(LIMIT).start();
    here.json_of_type("progress");
    there.json_of_type("progress");
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    sending.finish().code(1);
    assert_eq!(here.json_of_type("end")["state"], "cancelled");
    assert_eq!(there.json_of_type("end")["state"], "cancelled");
    assert_eq!(here.finish().code(1).error()["kind"], "failed");
    there.finish().code(1);
}

/// Its sender was killed, and nobody does anything about it.
#[test]
fn one_that_nobody_goes_on_with_is_not_waited_for_for_ever() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("film", content(6, LARGE));
    let sending = two.send_slowly(&file).start();
    moving(&two.inbox(), 2);
    let (id, _) = super::state(&two.lap);
    let mut watching = two.lap.cli(["--json"]).args(WATCH).arg(&id).within(LIMIT * 2).start();
    assert_eq!(watching.json_of_type("progress")["state"], "running");
    sending.kill9();
    let rests = std::iter::from_fn(|| watching.json()).find(|line| line["state"] != "running").unwrap();
    assert_eq!((&rests["type"], &rests["state"]), (&"progress".into(), &"interrupted".into()));
    let ran = watching.finish().code(6);
    let error = ran.error().to_string();
    assert!(error.contains(&format!("clankers rpc transfers resume {}", &id[..10])), "{error}");
}

/// On a terminal there are bars, and of them nothing is left: Ctrl-C is echoed where the bar is.
#[test]
fn bars_leave_nothing_behind_when_they_are_interrupted() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("film", content(5, LARGE));
    let words = ["rpc", "send-file", two.desk.ticket(), file.to_str().unwrap()];
    let Some(sending) = Terminal::start(&two.lap, &[], &[&words[..], &SLOW].concat()) else { return };
    sending.shows("MiB/s");
    let watching = Terminal::start(two.desk.home(), &[], &WATCH).unwrap();
    watching.shows("MiB/s");
    watching.shows(&format!("← {}: film", two.lap.id().short()));
    for terminal in [watching, sending] {
        terminal.types(&["C-c"]);
        let seen = terminal.shows("ended with 130");
        assert!(!seen.contains("━") && !seen.contains("iB/s") && !seen.contains("─"), "{seen}");
    }
}

/// Whoever waits at either end is told that its node has gone, and goes on when it is back: so does the transfer.
#[test]
fn a_restart_of_ones_own_node_does_not_end_it() {
    let mut two = Two::with(&["--drop"]);
    let mut sender = two.lap.start();
    let file = two.lap.file("film", content(7, BYTES));
    let words = ["--json", "rpc", "send-file", two.desk.ticket(), file.to_str().unwrap(), "-d"];
    let begun = sender.cli(words).args(RATE).run().ok().json();
    let id = begun["transfer"].as_str().unwrap().to_owned();
    moving(&two.inbox(), 1);
    let mut here = two.lap.cli(["--json"]).args(WATCH).arg(&id).within(LIMIT * 3).start();
    let mut there = two.desk.home().cli(["--json"]).args(WATCH).arg(&id).within(LIMIT * 3).start();
    for watching in [&mut here, &mut there] {
        while watching.json().unwrap()["state"] != "running" {}
    }
    let gone = |watching: &Running, times: usize| {
        until("it says that its node has gone", LIMIT, || {
            let said = watching.process().stderr().bytes();
            (String::from_utf8_lossy(&said).matches("node has gone").count() == times).then_some(())
        });
    };
    sender.stop();
    gone(&here, 1);
    sender.restart();
    moving(&two.inbox(), 4);
    sender.kill9();
    gone(&here, 2);
    sender.restart();
    moving(&two.inbox(), 8);
    two.desk.kill9();
    gone(&there, 1);
    assert!(!two.inbox().join("film").exists(), "it was over too early to show anything");
    two.desk.restart();
    for (mut watching, times) in [(here, 2), (there, 1)] {
        let (_, end) = until_end(&mut watching);
        assert_eq!((&end["state"], end["id"] == *id), (&"done".into(), true), "{end}");
        let ran = watching.finish().ok();
        assert_eq!(ran.err().lines().count(), times, "{}", ran.story());
    }
}
