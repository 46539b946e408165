//! Words for a prompt that runs, and questions that somebody who is attached answers.

use std::time::Duration;

use clankers_tests::{NodeHome, Script, Turn, wait};
use serde_json::{Value, json};

use super::{of_type, prompt};
use crate::BIN;

/// Waits in a shell until the test makes the file.
const GATE: &str = "until [ -e go ]; do sleep 0.01; done";

#[test]
fn words_reach_the_running_turn_once_and_before_its_next_step() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({"command": GATE})),
        Turn::says("I heard: {{prompt}}"),
        Turn::says("again: {{prompt}}"),
    ]));
    let _node = home.start();
    let mut running = prompt(&home, "begin", &[]).start();
    let session = running.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    running.json_of_type("tool_call");
    let steer = |id: &str| prompt(&home, "turn left", &["--steer", "--session", &session, "--prompt-id", id]);
    // Sent twice while nobody has heard it.
    let (one, two) = (steer("left").start(), steer("left").start());
    // The prompt that runs, and the words that wait.
    let waits = || {
        let status = home.cli(["daemon", "status", "--json"]).run().ok().json();
        (status["prompts"] == 2).then_some(())
    };
    wait::until("words that wait", Duration::from_secs(30), waits);
    home.file("go", "");
    let ran = running.finish().ok();
    let lines = ran.json_lines();
    let steered = of_type(&lines, "steered");
    assert_eq!(steered.len(), 1, "{}", ran.story());
    assert_eq!((&steered[0]["text"], &steered[0]["prompt_id"]), (&json!("turn left"), &json!("left")));
    let message = of_type(&lines, "message").pop().unwrap();
    assert_eq!(message["text"], "I heard: turn left", "{}", ran.story());
    let seq = |line: &Value| line["seq"].as_u64().unwrap();
    assert!(seq(of_type(&lines, "tool_result")[0]) < seq(steered[0]) && seq(steered[0]) < seq(message));
    // Whoever steered follows the prompt to its end.
    let (one, two) = (one.finish().ok(), two.finish().ok());
    let duplicates = [&one, &two].iter().filter(|ran| ran.json_lines()[0]["duplicate"] == true).count();
    assert_eq!(duplicates, 1, "{} {}", one.story(), two.story());
    for ran in [&one, &two] {
        assert_eq!(ran.json_lines()[0]["prompt_seq"], lines[0]["prompt_seq"]);
        assert_eq!(ran.json_lines().last(), lines.last());
    }
    // After its end, and after a restart: still the same words.
    let again = steer("left").run().ok();
    assert_eq!(again.json_lines()[0]["duplicate"], true, "{}", again.story());
    // Nothing runs: other words are a prompt of their own.
    let own = steer("right").run().ok();
    assert_eq!(own.json_lines()[0]["duplicate"], false);
    assert!(own.out().contains("again: turn left"), "{}", own.story());
}

#[test]
fn anothers_words_do_not_enter_a_prompt_that_is_not_theirs() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({"command": GATE})),
        Turn::says("for {{prompt}}"),
        Turn::says("for {{prompt}}"),
    ]));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    let mut running = prompt(&home, "mine", &[]).start();
    let session = running.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    running.json_of_type("tool_call");
    node.grant(&guest, &["--operator", "--session", &session]);
    let words =
        ["rpc", "prompt", node.ticket(), "theirs", "--steer", "--session", &session, "--mode", "json"];
    let mut theirs = guest.cli(words).start();
    let accepted = theirs.json_of_type("accepted");
    home.file("go", "");
    let ran = running.finish().ok();
    let lines = ran.json_lines();
    assert!(of_type(&lines, "steered").is_empty(), "{}", ran.story());
    assert_ne!(accepted["prompt_seq"], lines[0]["prompt_seq"]);
    let theirs = theirs.finish().ok();
    assert!(theirs.out().contains("for theirs"), "{}", theirs.story());
}

#[test]
fn who_is_attached_allows_a_call_or_says_no() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({"command": "echo yes > allowed.txt"})),
        Turn::calls("bash", &json!({"command": "echo no > refused.txt"})),
        Turn::says("{{status}}"),
    ]));
    let _node = home.start();
    let session = super::session_of(&prompt(&home, "/ls", &[]).run().ok());
    let mut viewer = home.cli(["attach", &session, "--mode", "json"]).stdin_open().start();
    viewer.json_of_type("attached");
    let running = prompt(&home, "go", &["--session", &session, "--ask", "shell"]).start();
    for answer in ["/approve", "/deny"] {
        let pending = viewer.json_of_type("pending");
        assert_eq!(pending["tool"], "bash", "{pending}");
        viewer.types(&format!("{answer} {}\n", pending["request"].as_str().unwrap()));
    }
    let ran = running.finish().ok();
    let lines = ran.json_lines();
    let allowed: Vec<&Value> = of_type(&lines, "resolved").iter().map(|line| &line["allowed"]).collect();
    assert_eq!(allowed, [&json!(true), &json!(false)], "{}", ran.story());
    assert!(home.workspace().join("allowed.txt").exists());
    assert!(!home.workspace().join("refused.txt").exists());
    assert_eq!(of_type(&lines, "message").pop().unwrap()["text"], "denied", "{}", ran.story());
    viewer.types("/detach\n");
    viewer.finish().code(0);
}

#[test]
fn words_of_one_who_may_not_do_it_need_somebodys_leave() {
    let home = NodeHome::new(BIN);
    let touch = |name: &str| Turn::calls("bash", &json!({"command": format!("touch {name}")}));
    home.script(&Script::of([touch("unasked"), Turn::says("no"), touch("asked"), Turn::says("yes")]));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--tools", "ls"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).run().ok();
    let session = super::session_of(&ran);
    // The guest's words are in the context now, and the guest may not run a shell.
    let ran = prompt(&home, "go", &["--session", &session]).run().ok();
    let lines = ran.json_lines();
    let result = of_type(&lines, "tool_result")[0];
    assert_eq!(result["status"], "denied", "{}", ran.story());
    assert!(result["text"].as_str().unwrap().contains("nobody is attached"), "{result}");
    assert!(!home.workspace().join("unasked").exists());
    // With the owner there, the owner decides.
    let mut viewer = home.cli(["attach", &session, "--mode", "json"]).stdin_open().start();
    viewer.json_of_type("attached");
    let running = prompt(&home, "go on", &["--session", &session]).start();
    let pending = viewer.json_of_type("pending");
    assert!(pending["what"].as_str().unwrap().contains(&guest.id().short()), "{pending}");
    viewer.types("/approve\n");
    running.finish().ok();
    assert!(home.workspace().join("asked").exists());
    viewer.types("/detach\n");
    viewer.finish().code(0);
}

#[test]
fn a_given_leave_is_in_the_log_before_the_call_runs() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::calls("bash", &json!({"command": "touch began; sleep 600"}))]));
    let _node = home.start();
    let session = super::session_of(&prompt(&home, "/ls", &[]).run().ok());
    let mut viewer = home.cli(["attach", &session, "--mode", "json"]).stdin_open().start();
    viewer.json_of_type("attached");
    let running = prompt(&home, "go", &["--session", &session, "--ask", "shell"]).start();
    viewer.json_of_type("pending");
    viewer.types("/approve\n");
    let began = home.workspace().join("began");
    wait::until("a call that runs", Duration::from_secs(30), || began.exists().then_some(()));
    viewer.types("/cancel\n");
    let ran = running.finish().code(130);
    let lines = ran.json_lines();
    let resolved = of_type(&lines, "resolved");
    assert_eq!(resolved.len(), 1, "{}", ran.story());
    assert_eq!((&resolved[0]["allowed"], &resolved[0]["by"]), (&json!(true), &json!(home.id())));
    let result = of_type(&lines, "tool_result")[0];
    assert!(resolved[0]["seq"].as_u64().unwrap() < result["seq"].as_u64().unwrap(), "{}", ran.story());
    // Who answered is in the audit log too, also where the prompt is the owner's.
    let rows = home.cli(["audit", "--json"]).run().ok().json_lines();
    let answered = rows.iter().filter(|row| row["args"]["answered_by"] == json!(home.id())).count();
    assert_eq!(answered, 1, "{rows:?}");
    viewer.types("/detach\n");
    viewer.finish().code(0);
}

#[test]
fn words_for_a_prompt_that_is_stopped_do_not_run_alone() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({"command": GATE})),
        Turn::says("I heard: {{prompt}}"),
    ]));
    let _node = home.start();
    let mut running = prompt(&home, "begin", &["--prompt-id", "first"]).start();
    let session = running.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    running.json_of_type("tool_call");
    let mut viewer = home.cli(["attach", &session, "--mode", "json"]).stdin_open().start();
    viewer.json_of_type("attached");
    let steers = prompt(&home, "and delete it", &["--steer", "--session", &session]).start();
    let waits = || {
        let status = home.cli(["daemon", "status", "--json"]).run().ok().json();
        (status["prompts"] == 2).then_some(())
    };
    wait::until("words that wait", Duration::from_secs(30), waits);
    viewer.types("/cancel\n");
    running.finish().code(130);
    let stopped = steers.finish().code(130);
    let lines = stopped.json_lines();
    assert_eq!(of_type(&lines, "settled")[0]["outcome"], "cancelled", "{}", stopped.story());
    assert!(of_type(&lines, "message").is_empty(), "{}", stopped.story());
    let next = prompt(&home, "next", &["--session", &session]).run().ok();
    assert!(next.out().contains("I heard: next"), "{}", next.story());
    viewer.types("/detach\n");
    viewer.finish().code(0);
}
