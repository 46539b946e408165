//! What a newcomer reads: who is meant by a name, what to do next, and what a list says when nobody reads on.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use clankers_tests::{NodeHome, Ran, wait};
use serde_json::Value;

use super::{HEARD, greps, join, members, node, sees, team};
use crate::BIN;

/// The hints of an error, as one text.
fn hints(ran: &Ran) -> String {
    ran.error()["hints"].to_string()
}

fn message(ran: &Ran) -> String {
    ran.error()["message"].as_str().expect("words").to_owned()
}

#[test]
fn whoever_only_claims_a_name_is_named_with_the_command_that_believes_it() {
    let (anna, bert) = (node("anna"), node("bert"));
    let (id, short) = (bert.id().to_string(), bert.id().short());
    anna.cli(["rpc", "peers", "add", bert.ticket()]).run().ok();
    anna.cli(["rpc", "peers", "probe", &id]).run().ok();
    anna.cli(["rpc", "peers", "trust", "--no", &id]).run().ok();
    for words in
        [&["rpc", "ping", "Bert"][..], &["team", "invite", "Bert"], &["rpc", "peers", "trust", "Bert"]]
    {
        if words[0] == "team" {
            anna.cli(["team", "create", "core"]).run().ok();
        }
        let ran = anna.cli(words).arg("--json").run().code(7);
        assert_eq!(message(&ran), "no known peer is called 'Bert'", "{}", ran.story());
        for part in [
            "claims that name",
            &format!("rpc peers label {short} Bert"),
            &format!("rpc peers trust {short}"),
        ] {
            assert!(hints(&ran).contains(part), "{part}: {}", ran.story());
        }
    }
    // Both of what it proposes can be done.
    anna.cli(["rpc", "peers", "trust", &short]).run().ok();
    anna.cli(["rpc", "ping", "bert"]).run().ok();
    anna.cli(["rpc", "peers", "trust", "--no", &short]).run().ok();
    anna.cli(["rpc", "peers", "label", &short, "printer"]).run().ok();
    anna.cli(["rpc", "ping", "printer"]).run().ok();
    // A name of the owner's own stands before what is claimed, and that is said.
    let trusted = anna.cli(["rpc", "peers", "trust", "printer"]).run().ok();
    assert!(trusted.err().contains("'bert', which it claims, does not name it"), "{}", trusted.story());
    let empty = anna.cli(["rpc", "peers", "label", "printer", "", "--json"]).run().code(2);
    assert!(hints(&empty).contains("leave it out: clankers rpc peers label printer"), "{}", empty.story());
    // Nobody at all is another matter.
    let nobody = anna.cli(["rpc", "ping", "carl", "--json"]).run().code(7);
    assert!(hints(&nobody).contains("rpc peers add TICKET --label NAME"), "{}", nobody.story());
    // What was refused can be told from what was attacked.
    let status = anna.status();
    let refused = status["refused"]["not_found"].as_u64().expect("a count");
    assert!(refused >= 4 && refused <= status["refusals"].as_u64().expect("a count"), "{status}");
    let own = anna.cli(["rpc", "peers", "add", anna.ticket(), "--json"]).run().code(2);
    assert!(hints(&own).contains("clankers rpc id"), "{}", own.story());
    // Who was looked for and is not there is told from who was not looked for.
    let nobody = "ab".repeat(32);
    anna.cli(["rpc", "peers", "add", &nobody, "--addr", "127.0.0.1:9"]).run().ok();
    let probed = anna.cli(["rpc", "discover", "--probe"]).run().ok();
    let line = |id: &str| probed.out().lines().find(|line| line.contains(id)).unwrap_or_default().to_owned();
    assert!(line(&nobody[..10]).contains("not reached"), "{}", probed.story());
    assert!(line(&short).contains("direct"), "{}", probed.story());
}

#[test]
fn this_node_and_teams_are_named_and_what_to_do_is_said() {
    let desk = node("desk");
    desk.cli(["rpc", "ping", "desk"]).run().ok();
    desk.cli(["team", "create", "core"]).run().ok();
    for name in ["desk", "local"] {
        let removed = desk.cli(["team", "remove", name, "--json"]).run().code(2);
        assert!(message(&removed).contains("this node itself"), "{}", removed.story());
        assert!(hints(&removed).contains("clankers team leave"), "{}", removed.story());
        let invited = desk.cli(["team", "invite", name, "--json"]).run().code(2);
        assert!(message(&invited).contains("belongs to the team already"), "{}", invited.story());
    }
    let again = desk.cli(["team", "create", "core", "--json"]).run().code(2);
    assert!(hints(&again).contains("another name"), "{}", again.story());
    let (stranger, long) = ("ab".repeat(32), "x".repeat(80));
    let old = desk.cli(["team", "invite", &stranger, "--expire", "500days", "--json"]).run().code(2);
    assert!(hints(&old).contains("--expire 90days"), "{}", old.story());
    let long = desk.cli(["team", "create", &long, "--json"]).run();
    assert!(message(&long).contains("80 bytes or entries, the limit is 64"), "{}", long.story());
    assert!(hints(&long).contains("shorter"), "{}", long.story());
    desk.cli(["team", "create", "night"]).run().ok();
    let which = desk.cli(["team", "invite", &stranger, "--json"]).run().code(2);
    assert!(hints(&which).contains("--team NAME"), "{}", which.story());
    let made = desk.cli(["team", "invite", &stranger, "--team", "core"]).run().ok();
    assert!(made.err().contains("team join - < FILE"), "{}", made.story());
    // Its mDNS is off here, as in all these tests.
    let doctor = desk.cli(["rpc", "discover", "--doctor", "--json"]).run().ok().json();
    assert_eq!(
        (&doctor["findings"][0]["code"], &doctor["findings"][0]["certain"]),
        (&"mdns-off".into(), &true.into())
    );
}

#[test]
fn who_was_removed_was_heard_until_then_and_is_removed_already() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let id = bert.id().to_string();
    // What a member is given is one command, and a token would be for it alone.
    let (code, said) = greps(&bert, "anna");
    assert!(code == Some(4) && said.contains("clankers team grant --reviewer"), "{said}");
    let seen = || -> String {
        let all = members(&anna);
        let one = all.iter().find(|member| member["id"] == id.as_str()).expect("bert");
        one["last_seen"].as_str().expect("a time").to_owned()
    };
    let first = seen();
    let later = wait::until("bert's next beat", HEARD, || Some(seen()).filter(|at| *at > first));
    anna.cli(["team", "remove", "bert"]).run().ok();
    for name in ["bert", "BERT", &id, &id[..8]] {
        let again = anna.cli(["team", "remove", name, "--json"]).run().code(7);
        assert!(message(&again).ends_with("is removed from 'core' already"), "{}", again.story());
    }
    sees(&anna, &bert, "removed", HEARD);
    wait::until("when it was heard last", HEARD, || (seen() >= later).then_some(()));
    // Nobody else is: a name that means nobody says so.
    let nobody = anna.cli(["team", "remove", "carl", "--json"]).run().code(7);
    assert!(message(&nobody).starts_with("no known peer"), "{}", nobody.story());
    join(&anna, &bert, &[]);
    sees(&anna, &bert, "alive", HEARD);
}

#[test]
fn without_a_node_the_mesh_shows_whom_it_remembers() {
    let (mut anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let (me, id) = (anna.id().to_string(), bert.id().to_string());
    anna.stop();
    let shown = anna.home().cli(["mesh", "--json"]).run().ok().json();
    let of = |id: &str| shown.as_array().and_then(|all| all.iter().find(|one| one["id"] == id)).expect("one");
    assert_eq!((&of(&id)["state"], &of(&id)["claimed"]), (&"unknown".into(), &"bert".into()), "{shown}");
    assert_eq!((&of(&id)["teams"][0], &of(&me)["state"]), (&"core".into(), &"unknown".into()), "{shown}");
    let table = anna.home().cli(["mesh"]).run().ok();
    assert!(table.out().contains("not running") && table.out().contains("(bert?)"), "{}", table.story());
}

/// A command whose output goes to a pipe that is closed already.
fn unread(mut command: Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let done = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().expect("it runs");
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn a_list_whose_reader_has_gone_ends_quietly_and_a_watch_ends_too() {
    let home = NodeHome::new(BIN);
    home.cli(["rpc", "id"]).run().ok();
    let command = |words: &[&str]| {
        let mut command = home.command();
        command.args(words);
        command
    };
    for words in [&["rpc", "id"][..], &["rpc", "id", "--json"], &["team", "list", "--json"], &["models"]] {
        assert_eq!(unread(command(words)), (Some(0), String::new()), "{words:?}");
    }
    // What was done is another matter: the answer reached nobody.
    let (code, said) = unread(command(&["team", "create", "core", "--json"]));
    assert_eq!((code, said.as_str()), (Some(8), ""));
    assert_eq!(home.cli(["team", "list", "--json"]).run().ok().json()[0]["name"], Value::from("core"));

    // It says how it is once, and then nothing more: only the reader's going ends it.
    let _node = home.start();
    for words in [&["mesh", "--watch", "--json"][..], &["rpc", "discover", "--watch", "--json"]] {
        let mut child = command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("asked for"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        drop(out);
        let ended = wait::until("the watcher's end", HEARD, || child.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(0), "{words:?} after {line}");
    }
    // Where nothing at all is said there is no line to be written that nobody reads.
    for words in [&["audit", "-f", "-n", "0"][..], &["audit", "-f", "-n", "0", "--json"]] {
        let mut child = command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let ended = wait::until("the follower's end", HEARD, || child.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(0), "{words:?}");
    }
}
