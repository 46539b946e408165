//! What scripts wait for, what came before, and what a node says of itself meanwhile.

use clankers_tests::{NodeHome, Script, Turn, wait};
use serde_json::json;

use super::{GATE, attach, leave, seqs, session_of, until};
use crate::BIN;

#[test]
fn a_script_waits_for_the_end_of_what_runs_and_ends_like_it() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": GATE })),
        Turn::says("well"),
        Turn::fails("server", "overloaded"),
        Turn::says("hangs").hangs(),
    ]));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    // Nothing runs.
    let idle = home.cli(["wait", &session, "--json"]).run().ok().json();
    assert_eq!(
        (&idle["session"], &idle["outcome"], &idle["exit_code"]),
        (&json!(session), &json!(null), &json!(0))
    );
    let prompt =
        |text: &str| home.cli(["rpc", "prompt", "local", text, "--session", &session, "--mode", "json"]);
    let mut one = prompt("one").start();
    one.json_of_type("tool_call");
    let waiting = home.cli(["wait", "last", "--json"]).start();
    let late = home.cli(["wait", &session, "--timeout", "50ms"]).run().code(124);
    assert!(late.err().contains("what runs goes on"), "{}", late.story());
    // It waits for what waits, too; the last one fails, and so does it.
    let mut two = prompt("two").start();
    two.json_of_type("accepted");
    home.file("go", "");
    let waited = waiting.finish().code(1);
    assert_eq!(waited.json()["outcome"], "failed", "{}", waited.story());
    one.finish().ok();
    two.finish().code(1);
    // A prompt whose client ends goes on, unless it was asked not to.
    let mut gone = prompt("/bash sleep 600").args(["--cancel-on-exit"]).start();
    gone.json_of_type("tool_call");
    let waiting = home.cli(["wait", &session, "--json"]).start();
    gone.kill9();
    let waited = waiting.finish().code(130);
    assert_eq!(waited.json()["outcome"], "cancelled", "{}", waited.story());
    home.cli(["wait", "nothing-of-this-name"]).run().code(7);
}

#[test]
fn older_events_come_page_by_page() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("an answer")));
    let node = home.start();
    let session = session_of(&home, "/ls");
    for _ in 0..5 {
        home.cli(["rpc", "prompt", "local", "go", "--session", &session]).run().ok();
    }
    let all = home.cli(["attach", &session, "--before", "1000000", "--mode", "json"]).run().ok().json_lines();
    let head = all.len() as u64;
    assert!(head >= 19, "{all:?}");
    assert_eq!(seqs(&all), (1..=head).collect::<Vec<_>>());
    let mut viewer = attach(&home, &[&session, "--read-only", "--tail", "1"]).start();
    until(&mut viewer, |line| line["type"] == "settled");
    let (mut pages, mut before) = (leave(viewer).json_lines(), head);
    pages.retain(|line| line.get("seq").is_some() && line["type"] != "detached");
    while before > 1 {
        let place = before.to_string();
        let words = ["attach", &session, "--before", &place, "--tail", "4", "--mode", "json"];
        let page = home.cli(words).run().ok().json_lines();
        assert!(!page.is_empty() && page.len() <= 4);
        before = page[0]["seq"].as_u64().unwrap();
        pages.splice(0..0, page);
    }
    assert_eq!(pages, all);
    // Nothing before the first, no page of any size, nobody else's.
    let words = ["attach", &session, "--before", "1", "--mode", "json"];
    assert!(home.cli(words).run().ok().out().is_empty());
    home.cli(["attach", &session, "--before", "9", "--tail", "1001"]).run().code(2);
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--operator"]);
    guest.cli(["attach", &session, "--remote", node.ticket(), "--before", "9"]).run().code(7);
}

#[test]
fn a_node_says_what_its_sessions_are_at() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::calls("bash", &json!({ "command": GATE })), Turn::says("done")]));
    let node = home.start();
    let session = session_of(&home, "/ls");
    let mut viewer = attach(&home, &[&session, "--read-only"]).start();
    viewer.json_of_type("attached");
    let mut run = home.cli(["rpc", "prompt", "local", "go", "--session", &session, "--mode", "json"]).start();
    run.json_of_type("tool_call");
    let mut next =
        home.cli(["rpc", "prompt", "local", "/ls", "--session", &session, "--mode", "json"]).start();
    next.json_of_type("accepted");
    let load = node.status()["load"].clone();
    for (what, count) in [("loaded", 1), ("viewers", 1), ("running", 1), ("queued", 1), ("pending", 0)] {
        assert_eq!(load[what], count, "{what}: {load}");
    }
    assert!(load["events"].as_u64() > Some(4) && load["ring_bytes"].as_u64() > Some(0), "{load}");
    let said = home.cli(["daemon", "status"]).run().ok();
    assert!(said.out().contains("1 attached, 1 running, 1 queued"), "{}", said.story());
    home.file("go", "");
    run.finish().ok();
    next.finish().ok();
    leave(viewer);
    wait::until("an idle node", super::LIMIT, || {
        let load = node.status()["load"].clone();
        (load["viewers"] == 0 && load["running"] == 0 && load["queued"] == 0).then_some(())
    });
}
