//! The node is killed after each line of a prompt in turn, with a viewer that stays attached across all of it.

use std::fs;

use clankers_tests::{NodeHome, Running, Script, Turn};
use serde_json::{Value, json};

use super::{BIN, LIMIT};

/// Steps of the prompt, each of which calls a tool.
const STEPS: &str = "3";
/// Lines of the whole prompt at least (count).
const LINES: usize = 24;

/// Reads the viewer's lines until one fits.
fn until(viewer: &mut Running, seen: &mut Vec<Value>, fits: impl Fn(&Value) -> bool) {
    loop {
        let Some(line) = viewer.json() else { panic!("it ended: {}", viewer.process().story()) };
        assert_ne!(line["type"], "gap", "a gap: {}", viewer.process().story());
        let found = fits(&line);
        seen.push(line);
        if found {
            return;
        }
    }
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn a_node_killed_after_each_line_of_a_prompt_loses_nothing_and_runs_nothing_twice() {
    let home = NodeHome::new(BIN);
    let text = "a step, in a few pieces";
    let step = Turn::says(text).piece_chars(6).delay_ms(1);
    home.script(&Script::always(step.and_calls("bash", &json!({ "command": "echo x >> ran" }))));
    let mut node = home.start();
    let ran = || fs::read_to_string(home.workspace().join("ran")).unwrap_or_default().lines().count();
    let first = home.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok();
    let session = first.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let words = ["attach", &session, "--mode", "json", "--read-only"];
    let mut viewer = home.cli(words).stdin_open().within(LIMIT).start();
    viewer.json_of_type("attached");
    let (mut seen, mut kills, mut whole) = (Vec::new(), 0, 0);
    while whole == 0 {
        let id = format!("killed-{kills}");
        let ask = || {
            let words = ["rpc", "prompt", "local", "work", "--session", &session, "--mode", "json"];
            home.cli(words).args(["--prompt-id", &id, "--max-turns", STEPS]).within(LIMIT)
        };
        let mut client = ask().start();
        let mut lines = Vec::new();
        for _ in 0..=kills {
            lines.extend(client.json());
        }
        whole = of_type(&lines, "settled").len();
        node.kill9();
        node.restart();
        client.kill9();
        client.finish();
        // The viewer is back by itself, at its cursor.
        until(&mut viewer, &mut seen, |line| line["type"] == "attached" && line["resumed"] == true);
        let before = ran();
        let again = ask().run();
        let said = again.json_lines();
        assert_eq!(said[0]["duplicate"], true, "{}", again.story());
        let prompt_seq = said[0]["prompt_seq"].clone();
        let end = said.last().unwrap();
        assert_eq!(end["type"], "settled", "{}", again.story());
        // What was heard of may be less than what was done.
        assert!(whole == 0 || end["outcome"] != "interrupted", "{}", again.story());
        assert_eq!(ran(), before, "something was run again");
        // What was said before the kill is what is said after it.
        for line in lines.iter().filter(|line| line.get("seq").is_some()) {
            assert!(said.contains(line), "said before the kill, not after: {line} {}", again.story());
        }
        let settled = |line: &Value| line["type"] == "settled" && line["prompt_seq"] == prompt_seq;
        if !seen.iter().any(settled) {
            until(&mut viewer, &mut seen, settled);
        }
        kills += 1;
    }
    viewer.interrupt();
    viewer.finish().ok();
    // One sequence over all of the kills: nothing lost, nothing twice, nothing out of order.
    let seqs: Vec<u64> = seen.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (seqs[0]..=*seqs.last().unwrap()).collect::<Vec<_>>(), "{seqs:?}");
    assert!(seqs[0] <= 5, "{seqs:?}");
    let (prompts, ends) = (of_type(&seen, "prompt"), of_type(&seen, "settled"));
    let mut ids: Vec<&str> = prompts.iter().filter_map(|line| line["prompt_id"].as_str()).collect();
    ids.retain(|id| id.starts_with("killed-"));
    assert_eq!(ids, (0..kills).map(|kill| format!("killed-{kill}")).collect::<Vec<_>>());
    assert_eq!(of_type(&seen, "tool_call").len(), of_type(&seen, "tool_result").len());
    assert!(ran() <= of_type(&seen, "tool_call").len(), "more was run than was called for");
    println!("{kills} kills, {} events, {} ends: each once and in order", seqs.len(), ends.len());
    assert!(kills >= LINES, "{kills} kills");
}
