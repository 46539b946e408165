//! What is piped in and written out.

use std::{fs, time::Duration};

use clankers_tests::{NodeHome, Script, Turn, model};
use serde_json::json;

use super::{of_type, prompt};
use crate::BIN;

#[test]
fn what_is_piped_in_comes_after_the_words() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("[{{prompt}}]")));
    let ran = home.cli(["-p", "sum it up:"]).stdin("one\ntwo\n").run().ok();
    assert_eq!(ran.out(), "[sum it up:\n\none\ntwo\n]\n", "{}", ran.story());
    for words in [&["--stdin"][..], &["-p", "-"]] {
        let ran = home.cli(words).stdin("all of it").run().ok();
        assert_eq!(ran.out(), "[all of it]\n", "{}", ran.story());
    }
    // A tool that is named has its words; what is piped to a loop around this stays there.
    home.cli(["-p", "/read notes.txt"]).stdin("other words").run().ok();
    home.cli(["--stdin"]).stdin("  \n").run().code(2);
    home.cli(["-p", "x"]).stdin(vec![0xff, 0xfe, 0x00]).run().code(2);
    home.cli(["-p", "x"]).stdin(vec![b'a'; 2 * 1024 * 1024]).run().code(2);
}

#[test]
fn nothing_waits_for_an_input_that_never_comes() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("[{{prompt}}]")));
    let ran = home.cli(["-p", "hi"]).stdin_open().run().ok();
    assert_eq!(ran.out(), "[hi]\n", "{}", ran.story());
    assert!(ran.exit.took < Duration::from_secs(10), "{}", ran.story());
    let ran = home.cli(["-p", "hi", "--stdin", "--timeout", "1s"]).stdin_open().run().code(124);
    assert!(ran.exit.took < Duration::from_secs(10), "{}", ran.story());
    home.cli(["session", "delete", "last"]).stdin_open().run().code(2);
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::says("the answer"), Turn::fails("server", "boom")]).repeat());
    let path = home.workspace().join("answer.txt");
    let ran = home.cli(["-p", "hi", "-o", "answer.txt"]).run().ok();
    assert_eq!((ran.out(), fs::read_to_string(&path).unwrap().as_str()), ("", "the answer\n"));
    // A failure leaves what was there.
    home.file("kept.txt", "before");
    let server = model::MockModel::start([model::Reply::Cut(vec!["half".into()])]);
    let base = server.base();
    home.cli(["-p", "hi", "-o", "kept.txt", "--api-base", &base]).run().code(1);
    assert_eq!(fs::read_to_string(home.workspace().join("kept.txt")).unwrap(), "before");
    let ran = prompt(&home, "hi", &["-o", "lines.jsonl"]).run().ok();
    assert_eq!(ran.out(), "");
    let lines = fs::read_to_string(home.workspace().join("lines.jsonl")).unwrap();
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines}");
    assert!(lines.lines().next().unwrap().contains("\"v\":1"));
    // A place that cannot be written is known before anything runs.
    home.cli(["-p", "/bash touch ran", "-o", "no/such/place"]).run().code(8);
    assert!(!home.workspace().join("ran").exists());
    let left: Vec<_> = fs::read_dir(home.workspace()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".clankers-")), "{left:?}");
}

#[test]
fn the_projects_words_skills_and_agents_reach_the_model() {
    let home = NodeHome::new(BIN);
    let server = model::MockModel::start([
        model::Reply::Calls("skill".into(), json!({"name": "dance"}).to_string()),
        model::Reply::Says(vec!["done".into()]),
    ]);
    let base = server.base();
    home.file("AGENTS.md", "Always hum.\n");
    home.file(
        ".clankers/skills/dance/SKILL.md",
        "---\nname: dance\ndescription: How to dance.\n---\nLeft, right.\n",
    );
    home.file(".clankers/agents/poet.md", "---\ndescription: Rhymes.\ntools: ls\n---\nAnswer in rhyme.\n");
    // Not trusted yet: the instructions are used, the rest is said not to be.
    let ran = prompt(&home, "hi", &["--api-base", &base, "--no-tools"]).run();
    let system = |n: usize| server.asked()[n].body["messages"][0]["content"].to_string();
    assert!(system(0).contains("Always hum.") && !system(0).contains("How to dance"), "{}", system(0));
    let notices = ran.json_lines();
    let notices = of_type(&notices, "notice");
    assert!(notices.iter().any(|n| n["text"].as_str().unwrap().contains("trust")), "{}", ran.story());
    home.cli(["-p", "hi", "--agent", "poet", "--api-base", &base]).run().code(2);
    home.cli(["trust"]).run().ok();

    let server = model::MockModel::start([
        model::Reply::Calls("skill".into(), json!({"name": "dance"}).to_string()),
        model::Reply::Says(vec!["done".into()]),
    ]);
    let base = server.base();
    let ran = prompt(&home, "hi", &["--api-base", &base, "--agent", "poet"]).run().ok();
    let asked = server.asked();
    let system = asked[0].body["messages"][0]["content"].to_string();
    assert!(system.contains("Answer in rhyme.") && system.contains("How to dance"), "{system}");
    let tools: Vec<_> =
        asked[0].body["tools"].as_array().unwrap().iter().map(|t| t["function"]["name"].clone()).collect();
    assert_eq!(tools, [json!("ls"), json!("skill")], "{}", ran.story());
    let lines = ran.json_lines();
    let result = of_type(&lines, "tool_result")[0];
    assert_eq!(result["status"], "ok", "{result}");
    assert!(result["text"].as_str().unwrap().contains("Left, right."), "{result}");
}
