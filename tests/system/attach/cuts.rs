//! Nothing lost, doubled or reordered: clients killed, nodes killed, viewers frozen.

use clankers_tests::{NodeHome, Script, Turn, wait};
use rustix::process::Signal;
use serde_json::json;

use super::{GATE, LIMIT, attach, durable, leave, seqs, session_of, streamed, until};
use crate::BIN;

#[test]
fn viewers_see_one_sequence_whenever_they_come() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::says("first words").piece_chars(2).and_calls("bash", &json!({ "command": GATE })),
        Turn::says("and the rest of it, piece by piece").piece_chars(2),
    ]));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let mut early = attach(&home, &[&session, "--read-only"]).start();
    let attached = early.json_of_type("attached");
    assert_eq!((&attached["head_seq"], &attached["role"]), (&json!(4), &json!("view")), "{attached}");
    let mut run = home.cli(["rpc", "prompt", "local", "go", "--session", &session, "--mode", "json"]).start();
    run.json_of_type("tool_call");
    // It comes in the middle of a turn.
    let mut late = attach(&home, &[&session, "--read-only", "--tail", "1"]).start();
    let attached = late.json_of_type("attached");
    assert_eq!(attached["state"]["running"], true, "{attached}");
    assert_eq!(attached["state"]["roster"].as_array().unwrap().len(), 2, "{attached}");
    home.file("go", "");
    let prompt = run.finish().ok();
    let settled = |line: &serde_json::Value| line["type"] == "settled" && line["prompt_seq"] == 5;
    until(&mut early, settled);
    until(&mut late, settled);
    let (early, late) = (leave(early).json_lines(), leave(late).json_lines());
    let all = durable(&early);
    assert_eq!(seqs(&early), (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.ends_with(&durable(&late)), "{late:?}");
    // What the prompter sees is the same, but for its prompt's own line.
    assert!(all.ends_with(&durable(&prompt.json_lines())), "{}", prompt.story());
    let last = all.iter().rfind(|line| line["type"] == "message").unwrap();
    for lines in [&early, &late] {
        assert_eq!(streamed(lines, last["item"].as_str().unwrap()), last["text"].as_str().unwrap());
    }
    assert!(early.iter().any(|line| line["type"] == "presence" && line["joined"] == true));
    let end = early.last().unwrap();
    assert_eq!((&end["type"], &end["seq"]), (&json!("detached"), &json!(all.len())), "{end}");
}

#[test]
fn a_killed_client_comes_back_to_its_cursor() {
    let home = NodeHome::new(BIN);
    let text = "word after word ".repeat(40);
    home.script(&Script::always(Turn::says(&text).piece_chars(8).delay_ms(4)));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let typing = |line: &str, more: &[&str]| {
        home.cli(["attach", &session, "--mode", "json"])
            .args(more)
            .stdin(format!("{line}\n"))
            .within(LIMIT)
            .start()
    };
    let mut first = typing("tell me", &[]);
    first.json_of_type("input_taken");
    let before = until(&mut first, |line| line["type"] == "text_delta");
    first.kill9();
    let ran = first.finish();
    let seen = ran.json_lines();
    drop(before);
    let epoch = &seen.iter().find(|line| line["type"] == "attached").unwrap()["epoch"];
    let cursor = format!("{epoch}:{}", seqs(&seen).last().unwrap());
    // Mid-answer: the answer goes on, and the text so far comes again from its beginning.
    let mut second = attach(&home, &[&session, "--read-only", "--after", &cursor]).start();
    until(&mut second, |line| line["type"] == "settled" && line["prompt_seq"] == 5);
    let rest = leave(second).json_lines();
    assert!(!rest.iter().any(|line| line["type"] == "gap"), "{rest:?}");
    let all = [seqs(&seen), seqs(&rest)].concat();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    let message = durable(&rest).into_iter().find(|line| line["type"] == "message").unwrap();
    assert_eq!(message["text"].as_str().unwrap(), text);
}

#[test]
fn a_node_that_is_killed_and_started_again_is_followed_without_a_gap() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking it over").hangs()));
    let mut node = home.start();
    let session = session_of(&home, "/ls");
    let mut viewer = attach(&home, &[&session]).start();
    viewer.json_of_type("attached");
    let mut run =
        home.cli(["rpc", "prompt", "local", "think", "--session", &session, "--mode", "json"]).start();
    run.json_of_type("text_delta");
    viewer.json_of_type("text_delta");
    node.kill9();
    let lost = until(&mut viewer, |line| line["type"] == "connection");
    drop(lost);
    node.restart();
    let back = viewer.json_of_type("attached");
    assert_eq!(back["resumed"], true, "{back}");
    let end = until(&mut viewer, |line| line["type"] == "settled" && line["prompt_seq"] == 5);
    assert_eq!(end.last().unwrap()["outcome"], "interrupted");
    viewer.interrupt();
    // It types, so the first Ctrl-C cancels; nothing runs any more.
    viewer.json_of_type("input_done");
    let lines = leave(viewer).json_lines();
    let all = seqs(&lines);
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(!lines.iter().any(|line| line["type"] == "gap"), "{lines:?}");
}

#[test]
fn a_frozen_viewer_slows_nobody_and_misses_nothing_that_lasts() {
    let home = NodeHome::new(BIN);
    // More than a stream's flow control and the ring hold.
    let turn = || Turn::says("{{prompt}}").piece_chars(16 * 1024).and_calls("ls", &json!({}));
    home.script(&Script::of((0..14).map(|_| turn()).chain([Turn::says("the end")])));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let mut frozen = attach(&home, &[&session, "--read-only"]).start();
    frozen.json_of_type("attached");
    let mut eager = attach(&home, &[&session, "--read-only"]).start();
    eager.json_of_type("attached");
    frozen.process().signal(Signal::STOP);
    let long = "abcdefgh".repeat(45_000);
    let run = home.cli(["rpc", "prompt", "local", "-", "--session", &session, "--mode", "json"]).stdin(long);
    let prompt = run.run().ok();
    until(&mut eager, |line| line["type"] == "settled" && line["prompt_seq"] == 5);
    frozen.process().signal(Signal::CONT);
    until(&mut frozen, |line| line["type"] == "settled" && line["prompt_seq"] == 5);
    let (frozen, eager) = (leave(frozen).json_lines(), leave(eager).json_lines());
    assert!(durable(&frozen) == durable(&eager), "{:?} {:?}", seqs(&frozen), seqs(&eager));
    assert!(durable(&eager).ends_with(&durable(&prompt.json_lines())));
}

#[test]
fn a_cursor_of_another_epoch_is_answered_by_a_gap() {
    let home = NodeHome::new(BIN);
    let _node = home.start();
    let session = session_of(&home, "/ls");
    for cursor in ["7:2", "999"] {
        let mut viewer = attach(&home, &[&session, "--read-only", "--after", cursor]).start();
        let gap = viewer.json_of_type("gap");
        assert_eq!((&gap["why"], &gap["to"]), (&json!("epoch"), &json!(0)), "{gap}");
        until(&mut viewer, |line| line["type"] == "settled");
        assert_eq!(seqs(&leave(viewer).json_lines()), [1, 2, 3, 4]);
    }
}

#[test]
fn many_viewers_see_the_same_and_leave_no_trace() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("to all of you, word by word").piece_chars(3)));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let mut viewers: Vec<_> = (0..8).map(|_| attach(&home, &[&session, "--read-only"]).start()).collect();
    viewers.iter_mut().for_each(|viewer| drop(viewer.json_of_type("attached")));
    home.cli(["rpc", "prompt", "local", "speak", "--session", &session]).run().ok();
    let mut all = Vec::new();
    for mut viewer in viewers {
        until(&mut viewer, |line| line["type"] == "settled" && line["prompt_seq"] == 5);
        all.push(durable(&leave(viewer).json_lines()));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    wait::until("an empty roster", LIMIT, || {
        let ps = home.cli(["ps", "--json"]).run().ok().json();
        (ps[0]["attached"] == 0).then_some(())
    });
}
