//! What the audit log says of calls, and where an old session may still work.

use std::{fs, os::unix::fs::symlink, time::Duration};

use clankers_protocol::{
    Message, PromptId,
    event::Outcome,
    message::Ext,
    refusal::RefusalCode,
    request::{
        attach::{Answer as Leave, Attach, Attached, From, Pending, Role},
        prompt::{Ask, EXT_ASK, Prompt, SessionChoice},
    },
};
use clankers_tests::{
    NodeHome, Script, Start, Turn, forge,
    hostile::{Answer, frame},
    wait,
};
use serde_json::{Value, json};

use super::super::granted;
use crate::{BIN, attacks::raw};

/// How long anything here may take (time).
const LIMIT: Duration = Duration::from_secs(20);

/// Verdicts on tool calls of one prompt.
fn verdicts(home: &NodeHome, prompt: &PromptId) -> Vec<String> {
    // The log has a writer of its own: a row is there a moment after what it is about.
    wait::until("a row about the prompt's tool", LIMIT, || {
        let rows = now(home, prompt);
        (!rows.is_empty()).then_some(rows)
    })
}

fn now(home: &NodeHome, prompt: &PromptId) -> Vec<String> {
    let rows = home.cli(["audit", "--json"]).run().ok().json_lines();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_a_tool = |row: &&Value| {
        row["prompt_id"] == json!(prompt.to_string())
            && ["/clankers/tool/use", "/clankers/shell/exec"].contains(&word(&row["command"]).as_str())
    };
    rows.iter().filter(of_a_tool).map(|row| word(&row["verdict"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_leads_out_is_on_record_as_denied() {
    let home = NodeHome::new(BIN);
    fs::write(home.root().join("secret"), "secret").unwrap();
    symlink(home.root().join("secret"), home.workspace().join("src/out")).unwrap();
    symlink("../notes.txt", home.workspace().join("src/up")).unwrap();
    let node = home.start();
    let (peer, guest, _) = granted(&node, &["--tools", "read,ls", "--path", "src"]).await;
    for text in
        ["/read src/out", "/read src/up", "/read ../secret", "/read src/../../secret", "/read notes.txt"]
    {
        let prompt = raw::prompt(text);
        let taken = raw::send(&guest, &prompt).await.unwrap();
        assert_eq!(taken.outcome(), Outcome::Denied, "{text}");
        let found = wait::until(&format!("a denial of {text}"), LIMIT, || {
            Some(now(&home, &prompt.prompt_id)).filter(|found| found.iter().any(|verdict| verdict == "deny"))
        });
        if !text.contains("src/out") && !text.contains("src/up") {
            assert_eq!(found, ["deny"], "{text}");
        }
    }
    let prompt = raw::prompt("/read src/lib.rs");
    assert_eq!(raw::send(&guest, &prompt).await.unwrap().outcome(), Outcome::Completed);
    assert_eq!(verdicts(&home, &prompt.prompt_id), ["allow"]);
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_leave_is_on_record_once_and_after_the_answer() {
    let home = NodeHome::new(BIN);
    home.script(
        &Script::of([Turn::calls("bash", &json!({ "command": "true" })), Turn::says("done")]).repeat(),
    );
    let node = home.start();
    let (peer, guest, _) = granted(&node, &["--root"]).await;
    let session = raw::run(&guest, "/ls").await.unwrap().accepted.session.to_string();
    let asking = || Prompt {
        session: SessionChoice::Existing(session.clone()),
        ext: Ext([(EXT_ASK, vec![Ask::Shell.to_byte()])].into_iter().collect()),
        ..raw::prompt("go")
    };
    let alone = asking();
    raw::send(&guest, &alone).await.unwrap();
    assert_eq!(verdicts(&home, &alone.prompt_id), ["deny"], "nobody was there to allow it");

    let attach = Attach {
        leaf: None,
        session: Some(session.clone()),
        role: Role::Type,
        from: From::Begin,
        ext: Ext::default(),
    };
    let mut watching = guest.say(&attach).await;
    let _attached: Attached = watching.answer().await.message();
    for (allow, verdict) in [(true, "allow"), (false, "deny")] {
        let prompt = asking();
        let mut running = guest.say(&prompt).await;
        let pending: Pending = loop {
            match watching.answer().await {
                Answer::Frame(frame) if frame.kind == Pending::KIND => {
                    break Pending::decode(&frame.body).unwrap();
                }
                Answer::Frame(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(now(&home, &prompt.prompt_id), [""; 0], "nothing is decided yet");
        let input_id = PromptId::from_random(forge::random());
        let leave = Leave { input_id, request: pending.request, allow, ext: Ext::default() };
        watching.write(&frame(Leave::KIND, &leave.encode())).await.unwrap();
        raw::follow(&mut running).await.unwrap();
        assert_eq!(verdicts(&home, &prompt.prompt_id), [verdict]);
    }
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_session_ends_with_the_workspace_that_it_worked_in() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let (peer, guest, chain) = granted(&node, &["--operator"]).await;
    let session = raw::run(&guest, "/ls").await.unwrap().accepted.session.to_string();
    let again =
        || Prompt { session: SessionChoice::Existing(session.clone()), ..raw::prompt("/read notes.txt") };
    assert_eq!(raw::send(&guest, &again()).await.unwrap().outcome(), Outcome::Completed);
    let own = node.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok().json_lines();
    let own = own[0]["session"].as_str().unwrap().to_owned();
    node.kill9();
    drop(node);
    let other = home.root().join("other");
    fs::create_dir(&other).unwrap();
    let node = Start::new().dir(&other).on(&home);
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    assert_eq!(raw::refused(&guest, &again()).await, RefusalCode::NoWorkspace);
    // A new one works where the node is now.
    let fresh = raw::run(&guest, "/read notes.txt").await.unwrap();
    assert_eq!(fresh.outcome(), Outcome::Failed);
    // Its owner goes on with all of them.
    home.cli(["rpc", "prompt", "local", "/read notes.txt", "--session", &own]).run().ok();
    peer.close().await;
}
