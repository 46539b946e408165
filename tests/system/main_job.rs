//! The main job: two nodes, a prompt that is refused, a token, the same prompt run by the other machine's agent.

#[path = "main_job/asking.rs"]
mod asking;
#[path = "main_job/demo.rs"]
pub(crate) mod demo;
#[path = "main_job/here.rs"]
mod here;
#[path = "main_job/mdns.rs"]
pub(crate) mod mdns;

use std::{collections::BTreeMap, time::Duration};

use clankers_tests::{NodeHome, Script, Turn};
use serde_json::{Value, json};

use crate::BIN;

/// Types of lines that stand for durable events, and of those that are live only.
const DURABLE: &[&str] = &["tool_call", "tool_result", "message", "usage", "settled"];
const LIVE: &[&str] = &["text_delta", "thinking_delta", "tool_output"];

pub(crate) fn is_id(value: &Value) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    value.as_str().is_some_and(|id| id.len() == 64 && id.chars().all(hex))
}

/// Holds one prompt's lines against the contract of JSON mode, and gives the session's id.
pub(crate) fn check_contract(lines: &[Value]) -> String {
    let first = &lines[0];
    assert_eq!(first["type"], "accepted", "{lines:#?}");
    assert_eq!(first["v"], 1);
    assert!(first["prompt_id"].is_string() && first["duplicate"].is_boolean() && is_id(&first["session"]));
    let mut seq = first["prompt_seq"].as_u64().expect("a number");
    let (mut texts, mut offsets) = (BTreeMap::<String, String>::new(), BTreeMap::<String, u64>::new());
    for (at, line) in lines.iter().enumerate() {
        let kind = line["type"].as_str().expect("a type");
        assert_eq!(line["session"], first["session"], "{line}");
        assert_eq!(kind == "accepted", at == 0, "accepted is first and only first");
        assert_eq!(kind == "settled", at + 1 == lines.len(), "settled is last and only last");
        assert_eq!(
            line.get("seq").is_some(),
            DURABLE.contains(&kind),
            "only durable events have seq: {line}"
        );
        if DURABLE.contains(&kind) {
            seq += 1;
            assert_eq!(line["seq"], seq, "the durable events are all there, once, in order: {lines:#?}");
        } else if at > 0 {
            assert!(LIVE.contains(&kind), "an unknown type: {line}");
            let key = format!("{kind} {}", line["item"].as_str().expect("an item"));
            let text = line["text"].as_str().expect("text");
            let offset = offsets.entry(key.clone()).or_default();
            assert_eq!(line["offset"], *offset, "{lines:#?}");
            *offset += text.len() as u64;
            texts.entry(key).or_default().push_str(text);
        }
        if kind == "message" {
            let item = line["item"].as_str().expect("an item");
            let streamed = texts.get(&format!("text_delta {item}")).map_or("", String::as_str);
            // What was said before is not said again, piece by piece, to who asks twice.
            if first["duplicate"] == false || !streamed.is_empty() {
                assert_eq!(line["text"], streamed, "what was streamed is what was kept");
            }
        }
    }
    let last = lines.last().expect("lines");
    assert_eq!(last["prompt_id"], first["prompt_id"]);
    assert!(last["outcome"].is_string() && last["usage"]["input"].is_u64(), "{last}");
    assert!(last["cost"].is_u64() || last["cost"].is_null(), "{last}");
    first["session"].as_str().expect("text").to_owned()
}

#[test]
fn refused_then_granted_then_the_other_machines_agent_answers() {
    let (desk_home, laptop) = (NodeHome::new(BIN), NodeHome::new(BIN));
    desk_home.script(
        &Script::of([
            Turn::says("Ich schaue nach… ")
                .thinking("Where müsste I look?")
                .piece_chars(3)
                .and_calls("grep", &json!({"pattern": "TODO", "path": "src"}))
                .usage(11, 5),
            Turn::says("Found:\n{{result}}\n").piece_chars(8).usage(20, 7),
        ])
        .repeat(),
    );
    let desk = desk_home.start();
    let _laptop_node = laptop.start();
    laptop.cli(["rpc", "peers", "add", desk.ticket(), "--label", "desk"]).run().ok();

    // Known is not allowed; what to do about it is said in the words of the desk's owner.
    let question = ["rpc", "prompt", "desk", "Which TODOs are left?"];
    let refused = laptop.cli(question).run().code(4);
    assert!(refused.stdout.is_empty(), "{}", refused.story());
    let error = laptop.cli(question).args(["--mode", "json"]).run().code(4).error();
    assert_eq!(error["kind"], "denied");
    let hint = error["hints"].to_string();
    assert!(hint.contains(&format!("--for {}", laptop.id())), "the hint names the caller's node: {hint}");
    assert!(refused.err().contains(&format!("--for {}", laptop.id())), "{}", refused.story());
    assert_eq!(desk.cli(["ps", "--json"]).run().ok().json(), json!([]), "a refused prompt leaves nothing");

    // The hint is a command that works as it stands.
    let hint = error["hints"][0].as_str().expect("a hint");
    let words: Vec<&str> = hint.split_once("clankers ").expect("a command").1.split(' ').collect();
    let created = desk.cli(words).arg("--json").run().ok().json();
    for key in ["cid", "token", "audience", "expires", "grants"] {
        assert!(!created[key].is_null(), "{key}: {created}");
    }
    assert_eq!(created["audience"], laptop.id().to_string());
    let token = created["token"].as_str().expect("a token");
    assert!(token.starts_with('C'), "a UCAN container in base64url: {token}");
    laptop.cli(["token", "import", "-"]).stdin(token).run().ok();

    let ran = laptop.cli(question).args(["--mode", "json"]).run().ok();
    assert_eq!(ran.err(), "", "nothing but the lines");
    let lines = ran.json_lines();
    let session = check_contract(&lines);
    let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    for wanted in ["thinking_delta", "text_delta", "message", "usage", "tool_call", "tool_result"] {
        assert!(types.contains(&wanted), "{wanted} in {types:?}");
    }
    let result = lines.iter().find(|line| line["type"] == "tool_result").expect("a result");
    assert_eq!((&result["name"], &result["status"]), (&json!("grep"), &json!("ok")));
    let settled = lines.last().expect("lines");
    assert_eq!(settled["outcome"], "completed");
    assert_eq!(
        (settled["usage"]["input"].as_u64(), settled["usage"]["output"].as_u64()),
        (Some(31), Some(12))
    );

    // The same for people: the answer, and only the answer, on standard output.
    let ran = laptop.cli(question).run().ok();
    assert!(ran.out().contains("src/main.rs:2") && ran.out().contains("src/lib.rs:2"), "{}", ran.story());
    assert!(!ran.out().contains("● grep") && ran.err().contains("● grep"), "{}", ran.story());

    // It ran at the desk, where the desk's owner sees it.
    let sessions = desk.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(sessions[1]["id"], session.as_str(), "{sessions}");
    assert_eq!(sessions[1]["principal"], laptop.id().to_string());
    assert_eq!(laptop.cli(["ps", "--json"]).run().ok().json(), json!([]));
}

#[test]
fn words_arrive_as_they_are_said() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::says("one two three four five").piece_chars(4).delay_ms(40),
        Turn::says("half a sen").piece_chars(2).hangs(),
    ]));
    let _node = home.start();

    // The model pauses before each of six pieces: in one lump they would come all at once.
    let mut running = home.cli(["rpc", "prompt", "local", "count", "--mode", "json"]).start();
    let (mut deltas, mut settled) = (Vec::new(), None);
    while let Some(line) = running.line() {
        let value: Value = serde_json::from_slice(&line.bytes).expect("JSON");
        match value["type"].as_str() {
            Some("text_delta") => deltas.push(line.at),
            Some("settled") => settled = Some(line.at),
            _ => {}
        }
    }
    running.finish().ok();
    assert!(deltas.len() >= 5, "one lump: {deltas:?}");
    let spread = settled.expect("settled").duration_since(deltas[0]);
    assert!(spread >= Duration::from_millis(100), "all at the end: {spread:?}");

    // What was said before the model fell silent is here although nothing has ended; Ctrl-C ends it.
    let mut running =
        home.cli(["rpc", "prompt", "local", "go on", "--session", "last", "--mode", "json"]).start();
    let mut lines = vec![running.json().expect("accepted")];
    let mut said = String::new();
    while said != "half a sen" {
        let line = running.json().expect("a delta");
        said.push_str(line["text"].as_str().expect("text"));
        lines.push(line);
    }
    let busy = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!((&busy[0]["state"], &busy[0]["attached"]), (&json!("running"), &json!(1)), "{busy}");
    running.interrupt();
    while let Some(line) = running.json() {
        lines.push(line);
    }
    running.finish().code(130);
    check_contract(&lines);
    assert_eq!(lines.last().expect("lines")["outcome"], "cancelled");
    assert!(lines.iter().any(|line| line["type"] == "message" && line["text"] == "half a sen"), "{lines:#?}");
}
