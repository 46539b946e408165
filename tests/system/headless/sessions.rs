//! Sessions on disk: gone on with, shown, written out, removed.

use std::fs;

use clankers_tests::{NodeHome, Script, Turn};

use super::{prompt, session_of};
use crate::BIN;

#[test]
fn a_session_is_gone_on_with_by_place_and_by_id() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("ok")));
    let first = session_of(&prompt(&home, "one", &[]).run().ok());
    let elsewhere = home.workspace().join("src");
    let second = session_of(&prompt(&home, "two", &[]).dir(&elsewhere).run().ok());
    assert_ne!(first, second);
    assert_eq!(session_of(&prompt(&home, "again", &["--continue"]).run().ok()), first);
    assert_eq!(session_of(&prompt(&home, "again", &["--continue"]).dir(&elsewhere).run().ok()), second);
    assert_eq!(session_of(&prompt(&home, "again", &["--resume", &first[..8]]).run().ok()), first);
    let _node = home.start();
    assert_eq!(session_of(&prompt(&home, "again", &["--continue"]).run().ok()), first);
}

#[test]
fn a_session_is_listed_shown_and_written_out_with_its_cost() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("a <b>bold</b> answer")));
    let session = session_of(&prompt(&home, "write it", &[]).run().ok());
    let listed = home.cli(["session", "list", "--json"]).run().ok().json();
    assert_eq!((&listed[0]["id"], &listed[0]["cost"]), (&session.as_str().into(), &0.into()), "{listed}");
    assert_eq!(listed[0]["title"], "write it");
    let shown = home.cli(["session", "show", "last", "--json"]).run().ok().json();
    assert_eq!((&shown["prompts"], &shown["last"]["outcome"]), (&1.into(), &"completed".into()), "{shown}");
    let export = |format: &str| {
        home.cli(["session", "export", &session[..10], "--format", format]).run().ok().out().to_owned()
    };
    assert!(export("md").contains("a <b>bold</b> answer"));
    let page = export("html");
    assert!(page.contains("a &lt;b&gt;bold&lt;/b&gt; answer") && page.ends_with("</html>\n"), "{page}");
    let lines: Vec<serde_json::Value> =
        export("json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    home.cli(["session", "export", &session, "-o", "out.md"]).run().ok();
    assert!(fs::read_to_string(home.workspace().join("out.md")).unwrap().contains("write it"));
}

#[test]
fn a_torn_last_line_is_said_and_nothing_else_is_lost() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("ok")));
    let session = session_of(&prompt(&home, "one", &[]).run().ok());
    let path = home.path().join("sessions").join(format!("{session}.jsonl"));
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"seq\":99,\"at\":1,\"ev");
    fs::write(&path, bytes).unwrap();
    let ran = home.cli(["session", "show", &session]).run().ok();
    assert!(ran.err().contains("torn") && ran.out().contains("one"), "{}", ran.story());
    let again = prompt(&home, "two", &["--session", &session]).run().ok();
    assert_eq!(session_of(&again), session);
    let ran = home.cli(["session", "show", &session]).run().ok();
    assert!(!ran.err().contains("torn") && ran.out().contains("two"), "{}", ran.story());
}

#[test]
fn a_session_is_deleted_when_nothing_runs_in_it_and_the_index_read_anew() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::says("ok"), Turn::says("slow").delay_ms(60_000)]).repeat());
    let session = session_of(&prompt(&home, "one", &[]).run().ok());
    home.cli(["session", "delete", &session]).run().code(2);
    let node = home.start();
    let mut running = prompt(&home, "slow", &["--session", &session]).start();
    running.json_of_type("accepted");
    home.cli(["session", "reindex"]).run().code(8);
    let there = home.cli(["session", "delete", &session, "--yes"]).run().code(1);
    assert!(there.err().contains("runs"), "{}", there.story());
    running.interrupt();
    running.finish().code(130);
    home.cli(["session", "delete", &session, "--yes"]).run().ok();
    home.cli(["session", "show", &session]).run().code(7);
    assert_eq!(home.cli(["session", "list", "-a", "--json"]).run().ok().json(), serde_json::json!([]));
    drop(node);
    prompt(&home, "/ls", &[]).run().ok();
    let said = home.cli(["session", "reindex", "--json"]).run().ok().json();
    assert_eq!(said["sessions"], 1);
}
