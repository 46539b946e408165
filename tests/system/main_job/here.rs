//! `-p`: the same hall in this process when no node runs, and through the node when one does.

use std::{collections::BTreeSet, fs, time::Duration};

use clankers_tests::{NodeHome, Script, Turn};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::check_contract;
use crate::BIN;

fn names(home: &NodeHome, under: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(home.path().join(under)).expect("a directory of the home");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn without_a_node_ten_at_once_work_and_nobody_locks_the_home() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("to {{prompt}}").thinking("hm").piece_chars(2).delay_ms(20)));
    // Opening this blocks whoever tries: only one's own log may be opened.
    let _key = home.id();
    let trap = home.path().join("sessions").join(format!("{}.jsonl", "ab".repeat(32)));
    fs::create_dir_all(trap.parent().expect("a parent")).expect("the sessions' directory");
    mknodat(CWD, &trap, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe with a name");

    let running: Vec<_> =
        (0..10).map(|n| home.cli(["-p", &format!("number {n}"), "--mode", "json"]).start()).collect();
    let mut sessions = BTreeSet::new();
    for (n, running) in running.into_iter().enumerate() {
        let ran = running.finish().ok();
        let lines = ran.json_lines();
        let session = check_contract(&lines);
        let message = lines.iter().find(|line| line["type"] == "message").expect("a message");
        assert_eq!(message["text"], format!("to number {n}"));
        let log = home.session_log(&session);
        let others = (0..10).filter(|other| *other != n).map(|other| format!("number {other}"));
        let log = String::from_utf8(log).expect("text");
        assert!(
            log.contains(&format!("number {n}")) && !others.into_iter().any(|other| log.contains(&other))
        );
        sessions.insert(session);
    }
    assert_eq!(sessions.len(), 10);
    fs::remove_file(&trap).expect("the trap");
    // Nothing but the logs was written: no lock, no store, no note of a run.
    assert!(!home.path().join("node.lock").exists() && !home.path().join("store.redb").exists());
    assert!(names(&home, "run").is_empty());
    assert_eq!(names(&home, "sessions").iter().filter(|name| name.ends_with(".jsonl")).count(), 10);

    // While one runs, a node starts; what was made without it is there, in order of making.
    home.script(&Script::always(Turn::says("still at it").hangs()));
    let mut long = home.cli(["-p", "long", "--mode", "json"]).start();
    let session = long.json().expect("accepted")["session"].clone();
    long.json_of_type("text_delta");
    let _node = home.start();
    let list = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(11), "{list}");
    assert_eq!(list[0]["id"], session);
    // That session belongs to the other process for now: it is not torn out of its hands.
    let session = session.as_str().expect("text");
    let refused = home.cli(["rpc", "prompt", "local", "me too", "--session", session]).run();
    assert_ne!(refused.exit.code, Some(0), "{}", refused.story());
    long.interrupt();
    let mut last = None;
    while let Some(line) = long.json() {
        last = Some(line);
    }
    assert_eq!(last.expect("a last line")["outcome"], "cancelled");
    long.finish().code(130);
}

#[test]
fn without_a_node_a_session_goes_on_where_it_was() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::says("one"), Turn::says("two"), Turn::says("three")]));
    let prompt = |text: &str, more: &[&str]| {
        let ran =
            home.cli(["-p", text, "--mode", "json"]).args(more).within(Duration::from_secs(30)).run().ok();
        let lines = ran.json_lines();
        let message = lines.iter().find(|line| line["type"] == "message").expect("a message");
        (check_contract(&lines), message["text"].as_str().expect("text").to_owned())
    };
    let (first, said) = prompt("a", &[]);
    assert_eq!(said, "one");
    let (other, said) = prompt("b", &[]);
    assert_eq!((said.as_str(), first == other), ("one", false), "a new session begins the script again");
    assert_eq!(prompt("c", &["--session", "last"]), (other.clone(), "two".to_owned()));
    assert_eq!(prompt("d", &["--session", &first[..8]]), (first.clone(), "two".to_owned()));
    // And through a node, the same sessions.
    let _node = home.start();
    assert_eq!(prompt("e", &["--session", &other]), (other, "three".to_owned()));
}

#[test]
fn a_prompt_works_in_its_callers_directory_with_or_without_a_node() {
    let home = NodeHome::new(BIN);
    home.file("deep/er/only-here.txt", "found me\n");
    let deep = home.workspace().join("deep/er");
    let check = |what: &str| {
        let ran = home.cli(["-p", "/read only-here.txt"]).dir(&deep).run().ok();
        assert!(ran.out().contains("found me"), "{what}: {}", ran.story());
        let ran = home.cli(["-p", "/bash pwd -P"]).dir(&deep).run().ok();
        let real = deep.canonicalize().expect("a directory");
        assert_eq!(ran.out().trim_end(), real.display().to_string(), "{what}");
        home.cli(["-p", "/read only-here.txt"]).run().code(1);
    };
    check("in process");
    let node = home.start();
    check("through the node");
    assert_eq!(node.status()["sessions"], 6, "the node sees what was made without it");
    let list = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(list[1]["cwd"], json!(deep.display().to_string()));
}

#[test]
fn a_prompt_comes_from_standard_input_and_an_id_runs_once() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("<{{prompt}}>")));
    let _node = home.start();
    for words in [&["-p", "-"][..], &["rpc", "prompt", "local", "-"]] {
        let ran = home.cli(words).stdin("two\nlines — ü").run().ok();
        assert_eq!(ran.out(), "<two\nlines — ü>\n", "{}", ran.story());
    }
    let once = ["-p", "pay", "--prompt-id", "order-7", "--mode", "json"];
    let first = home.cli(once).run().ok().json_lines();
    let again = home.cli(once).run().ok().json_lines();
    assert_eq!((&first[0]["duplicate"], &again[0]["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(check_contract(&first), check_contract(&again));
    assert_eq!(first.last(), again.last());
}
