//! Every exit code that the table names, each by the plainest way to it.

use std::time::Duration;

use clankers_tests::{NodeHome, Script, Turn, model};
use serde_json::json;

use super::prompt;
use crate::BIN;

#[test]
fn ok_is_0_failed_is_1_usage_is_2() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::says("yes"), Turn::fails("server", "boom")]));
    let ran = home.cli(["-p", "is it?"]).run().code(0);
    assert_eq!(ran.out(), "yes\n", "{}", ran.story());
    home.cli(["-p", "/read no-such-file"]).run().code(1);
    for words in [
        &["-p", ""][..],
        &["-p", "x", "--tools", "sing"],
        &["-p", "x", "--ask", "perhaps"],
        &["-p", "x", "--max-cost", "-1"],
        &["-p", "x", "--tools", "ls", "--no-tools"],
        &["-p", "x", "--continue", "--new"],
        &["rpc", "prompt", "local", "x", "--api-base", "http://127.0.0.1:1/v1"],
        &["auth", "set-key", "nobody"],
        &["session", "delete", "0000"],
        &[],
    ] {
        let ran = home.cli(words).run();
        let wanted = if words.first() == Some(&"session") { 7 } else { 2 };
        ran.code(wanted);
    }
}

#[test]
fn a_model_that_fails_is_1_and_says_why_once() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::fails("server", "boom")]));
    let ran = prompt(&home, "x", &[]).run().code(1);
    assert!(ran.error()["message"].as_str().unwrap().contains("boom"), "{}", ran.story());
    assert_eq!(ran.json_lines().last().unwrap()["outcome"], "failed");
}

#[test]
fn credentials_are_3_and_a_server_of_ones_own_needs_none() {
    let home = NodeHome::new(BIN);
    let ran = home.cli(["-p", "hi", "--model", "anthropic/claude-haiku-4-5"]).run().code(3);
    assert!(ran.err().contains("auth set-key"), "{}", ran.story());
    let server = model::MockModel::start([model::Reply::Status(401, String::new(), "{}".into())]);
    home.cli(["-p", "hi", "--api-base", &server.base()]).env("OPENAI_API_KEY", "sk-wrong").run().code(3);
    let server = model::MockModel::start([model::Reply::Says(vec!["hi".into()])]);
    let ran = home.cli(["-p", "hi", "--api-base", &server.base()]).run().code(0);
    assert_eq!(ran.out(), "hi\n", "{}", ran.story());
    let asked = server.asked().remove(0);
    let header = |name: &str| asked.headers.iter().any(|h| h.to_ascii_lowercase().starts_with(name));
    assert!(!header("authorization"), "{:?}", asked.headers);
}

#[test]
fn denied_is_4_for_a_token_and_for_an_approval_that_nobody_gives() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({"command": "touch ran"})),
        Turn::says("status: {{status}}; {{result}}"),
    ]));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--tools", "ls"]);
    guest.cli(["rpc", "prompt", node.ticket(), "/read notes.txt"]).run().code(4);
    // A model that is denied goes on and says so: what it was told is in the transcript.
    let ran = prompt(&home, "x", &["--ask", "shell"]).run().code(0);
    let lines = ran.json_lines();
    let result = lines.iter().find(|line| line["type"] == "tool_result").unwrap();
    assert_eq!(result["status"], "denied", "{}", ran.story());
    assert!(result["text"].as_str().unwrap().contains("nobody is attached"), "{result}");
    assert!(
        lines.iter().any(|line| line["type"] == "resolved" && line["allowed"] == false),
        "{}",
        ran.story()
    );
    assert!(!home.workspace().join("ran").exists());
    // What the prompter names is asked for already.
    home.cli(["-p", "/bash touch named", "--ask", "writes"]).run().code(0);
    assert!(home.workspace().join("named").exists());
}

#[test]
fn limits_are_5() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::calls("ls", &json!({}))));
    let ran = prompt(&home, "on and on", &["--max-turns", "2"]).run().code(5);
    assert_eq!(ran.json_lines().last().unwrap()["outcome"], "limit");
    let server = model::MockModel::start([model::Reply::Says(vec!["hi".into()])]);
    // A price that is not known is not zero.
    let base = server.base();
    home.cli(["-p", "hi", "--api-base", &base, "--model", "openai/mock", "--max-cost", "1"]).run().code(5);
    assert!(server.asked().is_empty());
    // One call of a model with a known price, then the next is not made.
    let server = model::MockModel::start([model::Reply::Calls("ls".into(), "{}".into())]);
    let base = server.base();
    let most = ["--model", "openai/gpt-4o", "--max-cost", "0.00000001"];
    let ran = prompt(&home, "hi", &["--api-base", &base]).args(most).run().code(5);
    assert_eq!(server.asked().len(), 1, "{}", ran.story());
}

#[test]
fn unreachable_is_6_not_found_is_7_this_machine_is_8() {
    let home = NodeHome::new(BIN);
    let ran = home.cli(["daemon", "kill", "00000000"]).run().code(6);
    assert!(ran.err().contains("daemon start"), "{}", ran.story());
    home.cli(["-p", "x", "--session", "00000000"]).run().code(7);
    home.cli(["-p", "x", "--continue"]).run().code(7);
    home.cli(["-p", "x", "--agent", "nobody"]).run().code(7);
    home.cli(["session", "show", "00000000"]).run().code(7);
    home.settings("modell = \"x\"\n");
    home.cli(["-p", "x"]).run().code(8);
}

#[test]
fn time_is_124_and_an_interrupt_is_130() {
    let home = NodeHome::new(BIN);
    let server = model::MockModel::start([model::Reply::Hangs(vec!["half".into()])]);
    let base = server.base();
    let ran = prompt(&home, "hi", &["--api-base", &base, "--timeout", "1s"]).run().code(124);
    assert!(ran.exit.took < Duration::from_secs(15), "{}", ran.story());
    // What was said until then is kept.
    let lines = ran.json_lines();
    assert!(lines.iter().any(|line| line["type"] == "message" && line["text"] == "half"), "{}", ran.story());
    let mut runs = prompt(&home, "hi", &["--api-base", &base]).start();
    runs.json_of_type("text_delta");
    runs.interrupt();
    let ran = runs.finish().code(130);
    assert_eq!(ran.json_lines().last().unwrap()["outcome"], "cancelled", "{}", ran.story());
}
