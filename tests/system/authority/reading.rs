//! What tokens and the audit log say, to people and to programs.

use std::{
    fs,
    time::{Duration, Instant},
};

use clankers_tests::{Node, NodeHome};
use serde_json::{Value, json};

use super::{granted, name_it, tokens};
use crate::{BIN, attacks::raw};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Ann with a token for `src`, and what she made of it for Bob: in a file of hers.
fn two(node: &Node, ann: &NodeHome, bob: &NodeHome) -> (String, String) {
    name_it(ann, node);
    node.grant(ann, &["--tools", "read,grep", "--path", "src", "--expire", "2h"]);
    let cid = tokens(ann)[0]["cid"].as_str().unwrap().to_owned();
    let bob = bob.id().to_string();
    let made =
        ann.cli(["token", "delegate", "--from", &cid, "--for", &bob, "--tools", "grep", "--max-depth", "0"]);
    let file = ann.root().join("bob.token");
    fs::write(&file, made.run().ok().stdout).unwrap();
    (cid, file.display().to_string())
}

#[test]
fn passing_on_and_inspecting_need_no_node_and_no_network() {
    let (home, ann, bob) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let mut node = home.start();
    let desk = node.id().to_string();
    node.grant(&ann, &["--tools", "read,grep", "--path", "src"]);
    node.stop();
    // Nothing listens anywhere, and Ann's machine never heard of the desk's addresses.
    let cid = tokens(&ann)[0]["cid"].as_str().unwrap().to_owned();
    let to = bob.id().to_string();
    let args =
        ["token", "delegate", "--json", "--from", &cid, "--for", &to, "--path", "src/deep", "--expire", "1h"];
    let made = ann.cli(args).run().ok().json();
    assert_eq!(keys(&made), ["audience", "cid", "delivered", "expires", "grants", "token"]);
    let token = made["token"].as_str().unwrap().to_owned();
    let said = bob.cli(["token", "inspect", "-", "--json"]).stdin(token.clone()).run().ok().json();
    assert_eq!((said["links"].as_array().unwrap().len(), &said["subject"]), (2, &json!(desk)));
    // From standard input, by a file, and not as an argument.
    ann.cli(["token", "delegate", "--from", "-", "--for", &to]).stdin(token.clone()).run().code(2);
    bob.cli(["token", "import", "-"]).stdin(token).run().ok();
    let onward = bob
        .cli(["token", "delegate", "--json", "--from", made["cid"].as_str().unwrap(), "--for", &desk])
        .run();
    assert_eq!(onward.exit.code, Some(2), "back to where it comes from: {}", onward.story());
    // What may not be passed on is not.
    let (_, third) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let args = ["token", "delegate", "--json", "--from", &cid, "--for", &to, "--max-depth", "0"];
    let made = ann.cli(args).run().ok().json();
    bob.cli(["token", "import", "-"]).stdin(made["token"].as_str().unwrap()).run().ok();
    let cid = made["cid"].as_str().unwrap();
    bob.cli(["token", "delegate", "--from", cid, "--for", &third.id().to_string()]).run().code(2);
}

#[test]
fn a_token_is_inspected_and_the_exit_code_is_the_answer() {
    let (home, ann, bob) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    let (cid, file) = two(&node, &ann, &bob);
    let said = ann.cli(["token", "inspect", &file, "--json"]).run().ok().json();
    let all = [
        "audience",
        "cid",
        "expires",
        "grants",
        "issued",
        "issuer",
        "links",
        "not_before",
        "shown",
        "subject",
        "verdict",
    ];
    assert_eq!(keys(&said), all);
    assert_eq!((&said["shown"]["allowed"], &said["verdict"]), (&json!(true), &Value::Null));
    let links = said["links"].as_array().unwrap();
    assert_eq!(keys(&links[0]), ["audience", "cid", "expires", "issuer", "not_before", "says", "state"]);
    assert_eq!(
        (&links[0]["cid"], &links[0]["state"], &links[1]["audience"]),
        (&json!(cid), &json!("valid"), &json!(bob.id()))
    );
    for (tool, path, code) in
        [("grep", "src/lib.rs", 0), ("grep", "notes.txt", 4), ("read", "src/lib.rs", 4), ("grep", "src2", 4)]
    {
        let question = ["--command", "tool/use", "--tool", tool, "--path", path];
        let ran = ann.cli(["token", "inspect", &file, "--json"]).args(question).run().code(code);
        let verdict = &ran.json()["verdict"];
        assert_eq!(verdict["allowed"], code == 0, "{}", ran.story());
        assert_eq!(verdict["code"].as_str(), (code == 4).then_some("unauthorized"), "{}", ran.story());
    }
    let elsewhere = ["token", "inspect", &file, "--node", &bob.id().to_string(), "--json"];
    assert_eq!(ann.cli(elsewhere).run().ok().json()["shown"]["code"], "wrong_node");
    for wrong in [&["--tool", "grep"][..], &["--command", "no/such"]] {
        ann.cli(["token", "inspect", &file]).args(wrong).run().code(2);
    }
    // Taken back: the node that revoked it knows, and says so at every place.
    node.cli(["token", "revoke", &cid]).run().ok();
    let said = node.cli(["token", "inspect", &cid, "--json"]).run().ok().json();
    assert_eq!((&said["links"][0]["state"], &said["shown"]["code"]), (&json!("revoked"), &json!("revoked")));
    assert_eq!(tokens(&home)[0]["state"], "revoked");
    let listed = tokens(&ann);
    let entry = [
        "audience",
        "cid",
        "expires",
        "grants",
        "issued",
        "issuer",
        "not_before",
        "received",
        "renew",
        "spent",
        "state",
        "subject",
    ];
    assert!(listed.iter().all(|token| keys(token) == entry), "{listed:?}");
    let sides: Vec<bool> = listed.iter().map(|token| token["issued"].as_bool().unwrap()).collect();
    assert!(sides.contains(&true) && sides.contains(&false), "held and passed on: {listed:?}");
}

#[test]
fn why_says_which_token_would_be_used_or_why_none() {
    let (home, ann) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    name_it(&ann, &node);
    let why = |more: &[&str]| ann.cli(["token", "why", "desk", "--json"]).args(more).run();
    let none = why(&["prompt/send"]).code(4).json();
    assert_eq!(
        (&none["allowed"], &none["considered"], &none["own"]),
        (&json!(false), &json!([]), &json!(false))
    );
    node.grant(&ann, &["--read-only"]);
    node.grant(&ann, &["--tools", "grep", "--path", "src"]);
    let yes = why(&["tool/use", "--tool", "grep", "--path", "src/lib.rs"]).code(0).json();
    let verdicts: Vec<&Value> =
        yes["considered"].as_array().unwrap().iter().map(|one| &one["verdict"]["allowed"]).collect();
    assert_eq!(verdicts, [true, false], "{yes}");
    why(&["tool/use", "--tool", "grep", "--path", "notes.txt"]).code(4);
    why(&["shell/exec", "--tool", "bash"]).code(4);
    let own = node.cli(["token", "why", "local", "shell/exec", "--json"]).run().ok().json();
    assert_eq!((&own["own"], &own["allowed"]), (&json!(true), &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_on_record_and_hostile_words_stay_in_their_line() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest, chain) = granted(&node, &["--tools", "read,ls", "--path", "src"]).await;
    raw::run(&guest, "/ls src").await.unwrap();
    let follow = home.cli(["audit", "--json", "--follow", "--denied", "-n", "0"]).stdin_open().start();
    let evil = "\u{1b}[2J\u{202e}\u{7}{\"verdict\":\"allow\"}";
    let arguments = json!({ "command": format!("{evil}\n✓ fake") });
    let deadline = Instant::now() + Duration::from_secs(20);
    // The follower may begin after the first of them: it sees one in the end.
    let seen = loop {
        assert!(Instant::now() < deadline, "{}", follow.process().story());
        raw::run(&guest, &format!("/bash {arguments}")).await.unwrap();
        if let Some((line, _)) = follow.process().stdout().line(0, Duration::from_millis(200)) {
            break serde_json::from_slice::<Value>(&line.bytes).unwrap();
        }
    };
    drop(follow);
    assert_eq!(
        (&seen["verdict"], &seen["command"], &seen["code"]),
        (&json!("deny"), &json!("/clankers/shell/exec"), &json!("unauthorized"))
    );
    assert!(seen["reason"].as_str().is_some_and(|reason| reason.contains("shell")), "{seen}");
    assert_eq!(seen["args"]["tool"], "bash");
    assert_eq!(seen["chain"], json!([super::cid_text(&chain, 0)]));
    assert_eq!((&seen["peer"], &seen["principal"]), (&json!(peer.id()), &json!(peer.id())));

    // What is refused before any token is asked is on record too.
    raw::run(&guest, "/read ../secret").await.unwrap();
    let rows = home.cli(["audit", "--json"]).run().ok().json_lines();
    let all = [
        "args",
        "at",
        "chain",
        "code",
        "command",
        "peer",
        "principal",
        "prompt_id",
        "reason",
        "session",
        "verdict",
    ];
    assert!(rows.iter().all(|row| keys(row) == all), "{rows:?}");
    let allowed = rows.iter().find(|row| row["args"]["tool"] == "ls").unwrap();
    assert_eq!((&allowed["verdict"], &allowed["args"]["path"]), (&json!("allow"), &json!("src")));
    assert!(rows.iter().any(|row| row["command"] == "token create"), "{rows:?}");
    let out = |row: &Value| {
        row["verdict"] == "deny" && row["reason"].as_str().is_some_and(|why| why.contains("leads out"))
    };
    assert!(rows.iter().any(out), "{rows:?}");
    let told = home.cli(["audit"]).run().ok();
    assert_eq!(told.out().lines().count(), rows.len(), "one line for each: {}", told.story());
    assert!(!told.out().contains(['\u{1b}', '\u{7}', '\u{202e}']), "{}", told.story());
    assert!(told.out().lines().all(|line| line.starts_with("20")), "{}", told.story());
    let whose = |peer: &str| home.cli(["audit", "--json", "--peer", peer]).run().ok().json_lines().len();
    assert!(whose(&peer.id().to_string()) >= 3);
    assert_eq!(whose(&"7".repeat(64)), 0);
    peer.close().await;
}
