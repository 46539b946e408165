//! Whom one asks and how: names of peers, and the fields that programs read.

use clankers_tests::{NodeHome, Script, Turn, wait};
use serde_json::{Value, json};

use super::{check_contract, is_id};
use crate::BIN;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

#[test]
fn a_peer_has_many_names_and_the_book_keeps_them() {
    let (desk_home, laptop) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let desk = desk_home.start();
    let id = desk.id().to_string();
    let ping = |name: &str| laptop.cli(["rpc", "ping", name, "--json", "--timeout", "20s"]).run();
    assert_eq!(laptop.cli(["rpc", "peers", "list", "--json"]).run().ok().json(), json!([]));
    // A ticket needs no book, and makes no entry.
    ping(desk.ticket()).ok();
    ping("desk").code(7);

    let added = laptop.cli(["rpc", "peers", "add", desk.ticket(), "--label", "desk", "--json"]).run().ok();
    let added = added.json();
    assert_eq!((&added["id"], &added["label"]), (&json!(id), &json!("desk")));
    let list = laptop.cli(["rpc", "peers", "list", "--json"]).run().ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    for key in ["id", "label", "via", "addrs", "last_seen"] {
        assert!(keys(&list[0]).contains(&key), "{key}: {list}");
    }
    assert_eq!(list[0]["addrs"], json!([desk.addrs()[0].to_string()]));
    let did = laptop.cli(["rpc", "id", "--json"]).run().ok().json()["did"].to_string();
    assert!(did.contains("did:key:z6Mk"), "{did}");
    let desk_did = desk.cli(["rpc", "id", "--json"]).run().ok().json();
    let desk_did = desk_did["did"].as_str().expect("a did");
    for name in ["desk", id.as_str(), &id[..4], &id[..20], desk.ticket(), desk_did] {
        let pong = ping(name).ok().json();
        assert_eq!((&pong["seq"], &pong["path"]), (&json!(1), &json!("direct")), "{name}");
    }

    let label = laptop.cli(["rpc", "peers", "label", "desk", "Büro", "--json"]).run().ok().json();
    assert_eq!(label["label"], "Büro");
    ping("Büro").ok();
    ping("desk").code(7);
    laptop.cli(["rpc", "peers", "label", "Büro"]).run().ok();
    ping("Büro").code(7);
    // By id and address, without a ticket.
    laptop.cli(["rpc", "peers", "remove", &id[..8], "--json"]).run().ok();
    assert_eq!(laptop.cli(["rpc", "peers", "list", "--json"]).run().ok().json(), json!([]));
    let addr = desk.addrs()[0].to_string();
    laptop.cli(["rpc", "peers", "add", &id, "--addr", &addr, "--label", "again"]).run().ok();
    ping("again").ok();
    // One's own node needs no entry, by whatever name.
    for name in ["local", id.as_str(), desk.ticket(), desk_did] {
        desk.cli(["rpc", "ping", name, "--json"]).run().ok();
    }
    desk.cli(["rpc", "peers", "add", desk.ticket()]).run().code(2);
}

#[test]
fn what_programs_read_of_a_node() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("yes")));
    let before = home.cli(["rpc", "id", "--json"]).run().ok().json();
    assert_eq!(before["ticket"], Value::Null, "no node runs");
    let node = home.start();
    let id = home.cli(["rpc", "id", "--json"]).run().ok().json();
    assert_eq!(keys(&id).len(), 3, "{id}");
    assert_eq!((&id["id"], &id["did"]), (&before["id"], &before["did"]));
    assert!(is_id(&id["id"]) && id["ticket"].as_str().is_some_and(|ticket| ticket.starts_with("endpoint")));

    let pings = home.cli(["rpc", "ping", "local", "-c", "3", "--json"]).run().ok().json_lines();
    assert_eq!(pings.len(), 3);
    for (at, ping) in pings.iter().enumerate() {
        assert_eq!(keys(ping).len(), 3, "{ping}");
        assert_eq!(ping["seq"], at as u64 + 1);
        assert!(ping["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0 && rtt < 10_000_000), "{ping}");
        assert!(["direct", "local"].contains(&ping["path"].as_str().expect("text")), "{ping}");
    }

    let status = node.status();
    for key in ["id", "pid", "addrs", "ticket", "sessions", "uptime_s"] {
        assert!(!status[key].is_null(), "{key}: {status}");
    }
    assert_eq!((&status["id"], &status["pid"]), (&id["id"], &json!(node.pid())));
    assert_eq!((&status["ticket"], &status["sessions"]), (&id["ticket"], &json!(0)));

    let prompt = |text: &str| {
        let ran = home.cli(["rpc", "prompt", "local", text, "--mode", "json"]).run().ok();
        check_contract(&ran.json_lines())
    };
    let made = [prompt("first"), prompt("second\u{1b}[31m"), prompt("third")];
    let sessions = home.cli(["ps", "--json"]).run().ok().json();
    let listed: Vec<&str> =
        sessions.as_array().expect("an array").iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(listed, made.iter().rev().map(String::as_str).collect::<Vec<_>>(), "newest first");
    for session in sessions.as_array().expect("an array") {
        for key in ["id", "title", "state", "model", "head_seq", "attached", "created"] {
            assert!(!session[key].is_null(), "{key}: {session}");
        }
        assert!(is_id(&session["id"]) && is_time(&session["created"]), "{session}");
        assert_eq!((&session["state"], &session["attached"]), (&json!("idle"), &json!(0)));
        assert_eq!((&session["model"], &session["head_seq"]), (&json!("scripted"), &json!(4)));
    }
    assert_eq!(sessions[0]["title"], "third");
    // The same, with what it cost so far.
    let mut with_costs = home.cli(["session", "list", "--json"]).run().ok().json();
    for session in with_costs.as_array_mut().expect("an array") {
        assert_eq!(session.as_object_mut().unwrap().remove("cost"), Some(json!(0)), "{session}");
    }
    assert_eq!(with_costs, sessions);
    assert_eq!(node.status()["sessions"], 3);
    let table = home.cli(["ps"]).run().ok();
    assert!(table.out().contains(&made[1][..10]) && !table.out().contains('\u{1b}'), "{}", table.story());

    // Killed is archived, not lost.
    let killed = home.cli(["daemon", "kill", &made[1][..12], "--json"]).run().ok().json();
    assert_eq!((&killed["session"], &killed["was_running"]), (&json!(made[1]), &json!(false)));
    let left = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(left.as_array().map(Vec::len), Some(2));
    let all = home.cli(["ps", "-a", "--json"]).run().ok().json();
    assert_eq!(all.as_array().map(Vec::len), Some(3), "{all}");
    assert_eq!(all[1]["state"], "archived");
    home.cli(["daemon", "kill", &made[1], "--json"]).run().code(7);
}

#[test]
fn daemon_kill_ends_what_runs_and_says_so_to_who_waits() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("wait").hangs()));
    let _node = home.start();
    let mut running = home.cli(["rpc", "prompt", "local", "hang", "--mode", "json"]).start();
    let mut lines = vec![running.json().expect("accepted")];
    let session = lines[0]["session"].as_str().expect("text").to_owned();
    lines.push(running.json_of_type("text_delta"));
    let killed = home.cli(["daemon", "kill", &session, "--json"]).run().ok().json();
    assert_eq!(killed["was_running"], true);
    while let Some(line) = running.json() {
        lines.push(line);
    }
    check_contract(&lines);
    let ran = running.finish();
    assert!(ran.exit.code == Some(130) || ran.exit.code == Some(1), "{}", ran.story());
    wait::until("the archived session", clankers_tests::limits::STEP, || {
        let all = home.cli(["ps", "-a", "--json"]).run().ok().json();
        (all[0]["state"] == "archived").then_some(())
    });
}

#[test]
fn accepted_means_that_ctrl_c_cancels_it() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("wait").hangs()));
    let _node = home.start();
    for _ in 0..5 {
        let mut running = home.cli(["rpc", "prompt", "local", "hang", "--mode", "json"]).start();
        let mut lines = vec![running.json().expect("accepted")];
        running.interrupt();
        while let Some(line) = running.json() {
            lines.push(line);
        }
        running.finish().code(130);
        check_contract(&lines);
        assert_eq!(lines.last().expect("lines")["outcome"], "cancelled");
    }
}

#[test]
fn prompts_go_on_in_a_session_and_may_name_their_tools() {
    let (desk_home, laptop) = (NodeHome::new(BIN), NodeHome::new(BIN));
    desk_home.script(
        &Script::of([
            Turn::calls("write", &json!({"path": "made.txt", "content": "x"})),
            Turn::says("{{status}}"),
        ])
        .repeat(),
    );
    let desk = desk_home.start();
    desk.grant(&laptop, &["--operator"]);
    let prompt = |text: &str, more: &[&str]| {
        laptop.cli(["rpc", "prompt", desk.ticket(), text, "--mode", "json"]).args(more).run()
    };
    // The operator's token allows writing, the prompt does not.
    let ran = prompt("narrow", &["--tools", "read,grep"]).ok();
    let first = check_contract(&ran.json_lines());
    let result = ran.json_lines().into_iter().find(|line| line["type"] == "tool_result").expect("a result");
    assert_eq!(result["status"], "denied", "{result}");
    assert!(!desk_home.workspace().join("made.txt").exists());
    prompt("/write made.txt x", &["--tools", "read"]).code(4);
    assert!(!desk_home.workspace().join("made.txt").exists());

    let second = check_contract(&prompt("wide", &[]).ok().json_lines());
    assert_ne!(first, second, "a prompt makes a new session");
    assert!(desk_home.workspace().join("made.txt").exists(), "it works in the desk's workspace");
    for (selector, wanted) in [("last", &second), (&first[..6], &first), (first.as_str(), &first)] {
        let ran = prompt("again", &["--session", selector]).ok();
        assert_eq!(&check_contract(&ran.json_lines()), wanted, "{selector}");
        assert!(ran.json_lines()[0]["prompt_seq"].as_u64() > Some(1));
    }
    assert_ne!(check_contract(&prompt("new", &["--new"]).ok().json_lines()), second);
    prompt("both", &["--new", "--session", "last"]).code(2);

    // Direct prompts run a tool and nothing else; a slash alone is just text.
    let ran = prompt("/grep TODO src", &[]).ok();
    check_contract(&ran.json_lines());
    assert!(ran.json_lines().iter().all(|line| line["type"] != "usage"), "no model was asked");
    let text = laptop.cli(["rpc", "prompt", desk.ticket(), "/grep TODO src"]).run().ok();
    assert!(text.out().contains("src/main.rs:2"), "{}", text.story());
    prompt("/read no-such-file", &[]).code(1);
    prompt("/bash true", &[]).code(4);
    let ran = prompt("/tmp/is/a/path", &[]).ok();
    assert!(ran.json_lines().iter().any(|line| line["type"] == "usage"), "{}", ran.story());
}
