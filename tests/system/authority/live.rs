//! What runs when its token ends: by time, or because it was taken back.

use std::time::{Duration, Instant};

use clankers_protocol::{
    conversation::ToolStatus,
    event::{Event, Outcome, SettledEvent, StreamItem},
    hello::ChainVerdict,
    message::Ext,
    refusal::RefusalCode,
    request::attach::{Attach, Attached, From, Role},
};
use clankers_tests::{
    NodeHome, Script, Turn,
    forge::{self, Link},
    hostile::{Answer, Guest, Hostile, Talk},
};
use serde_json::json;

use super::{cid_text, granted, pass};
use crate::{BIN, attacks::raw};

/// What ends is to end within a second; a busy machine may take longer.
const END: Duration = Duration::from_secs(5);
/// What a test asserts nothing about.
const LIMIT: Duration = Duration::from_secs(30);

/// How a stream ended.
#[derive(Debug)]
struct End {
    at: Instant,
    settled: Option<SettledEvent>,
    refused: Option<RefusalCode>,
    tools: Vec<ToolStatus>,
}

/// Reads a stream to its end, beside the test.
fn to_the_end(mut talk: Talk) -> tokio::task::JoinHandle<End> {
    tokio::spawn(async move {
        let (mut settled, mut refused, mut tools) = (None, None, Vec::new());
        let began = Instant::now();
        loop {
            match talk.answer().await {
                Answer::Frame(frame) => match StreamItem::decode(frame.kind, &frame.body).expect("an item") {
                    Some(StreamItem::Durable(durable)) => match &durable.event {
                        Event::Settled(event) => settled = Some(event.clone()),
                        Event::ToolResult(result) => tools.push(result.status),
                        _ => {}
                    },
                    _ => assert!(began.elapsed() < LIMIT, "it never ends"),
                },
                Answer::Refused(refusal) => refused = Some(refusal.code()),
                Answer::Ended | Answer::Closed(_) | Answer::Reset(_) => {
                    return End { at: Instant::now(), settled, refused, tools };
                }
                other => panic!("{other:?}"),
            }
        }
    })
}

/// A prompt that runs, and somebody who watches it.
async fn busy(guest: &Guest, text: &str) -> (Talk, Talk) {
    let mut running = guest.say(&raw::prompt(text)).await;
    let accepted: clankers_protocol::request::prompt::Accepted = running.answer().await.message();
    let attach = Attach {
        leaf: None,
        session: Some(accepted.session.to_string()),
        role: Role::View,
        from: From::Begin,
        ext: Ext::default(),
    };
    let mut watching = guest.say(&attach).await;
    let _attached: Attached = watching.answer().await.message();
    (running, watching)
}

fn in_time(what: &str, since: Instant, end: &End) {
    let took = end.at.saturating_duration_since(since);
    eprintln!("{what} ended {took:?} after");
    assert!(took < END, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_ends_the_prompt_and_the_watching_that_run_under_it() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": "echo on; sleep 1000; touch late" })),
        Turn::calls("ls", &json!({})),
    ]));
    let node = home.start();
    let (middle, peer) = (forge::random::<32>(), Hostile::start().await);
    let above = node.token(forge::id_of(&middle), &["--root"]).into_bytes();
    let chain = pass(&middle, &above, peer.id(), &clankers_auth::GrantSpec::default());
    let (guest, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]));
    let (running, watching) = busy(&guest, "work").await;
    let (running, watching) = (to_the_end(running), to_the_end(watching));
    // Somebody else's work goes on.
    let (other, bystander, _) = granted(&node, &["--reviewer"]).await;

    let cid = cid_text(&above, 0);
    let ran = node.cli(["token", "revoke", &cid, "--json"]).run().ok();
    let returned = Instant::now();
    let said = ran.json();
    assert_eq!((&said["known"], &said["revoked"][0]["cid"]), (&json!(false), &json!(cid)));
    // The prompt, whose listener waits for the same, and the viewer.
    assert_eq!(said["ended"], 2, "{said}");
    let (running, watching) = (running.await.unwrap(), watching.await.unwrap());
    in_time("the prompt", returned, &running);
    in_time("the watching", returned, &watching);
    let settled = running.settled.expect("the prompt's own end");
    assert_eq!(settled.outcome, Outcome::Denied, "{settled:?}");
    assert!(settled.reason.unwrap().contains("revoked"));
    assert!(!running.tools.contains(&ToolStatus::Ok), "{:?}", running.tools);
    assert_eq!(watching.refused, Some(RefusalCode::Revoked));
    // No tool of a later turn ran, and the one that did is dead.
    let log = String::from_utf8(home.session_log(&settled_session(&node))).unwrap();
    assert!(!log.contains("\"ls\""), "{log}");
    assert!(!home.workspace().join("late").exists());
    assert_eq!(raw::refused(&guest, &raw::prompt("/ls")).await, RefusalCode::Revoked);
    assert_eq!(raw::run(&bystander, "/ls").await.unwrap().outcome(), Outcome::Completed);
    let again = node.cli(["token", "revoke", &cid, "--json"]).run().ok().json();
    assert_eq!((&again["known"], &again["ended"]), (&json!(true), &json!(0)));
    peer.close().await;
    other.close().await;
}

/// The one session that was there when the prompt ended.
fn settled_session(node: &clankers_tests::Node) -> String {
    node.cli(["ps", "-a", "--json"]).run().ok().json()[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_its_time_ends_the_prompt_and_the_watching() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking").hangs()));
    let node = home.start();
    let peer = Hostile::start().await;
    let ends = forge::now().as_secs() + 3;
    let link = Link::new(home.seed(), node.id(), peer.id()).valid(ends - 60, ends).bytes();
    let (guest, _) = peer.welcomed(node.address(), vec![forge::container([link])]).await;
    let (running, watching) = busy(&guest, "work").await;
    // Its last second counts: times in tokens are whole ones.
    let left = Duration::from_millis(((ends + 1) * 1000).saturating_sub(forge::now().0));
    let expiry = Instant::now() + left;
    let (running, watching) = (to_the_end(running).await.unwrap(), to_the_end(watching).await.unwrap());
    for (what, end) in [("the prompt", &running), ("the watching", &watching)] {
        assert!(end.at + Duration::from_millis(50) >= expiry, "{what} ended before its time");
        in_time(what, expiry, end);
    }
    assert_eq!(running.settled.map(|settled| settled.outcome), Some(Outcome::Denied));
    assert_eq!(watching.refused, Some(RefusalCode::Expired));
    assert_eq!(raw::refused(&guest, &raw::prompt("/ls")).await, RefusalCode::Expired);
    peer.close().await;
}

#[test]
fn the_command_line_says_so_and_exits_with_4() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking").hangs()));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--operator"]);
    let mut running = guest.cli(["rpc", "prompt", node.ticket(), "work", "--mode", "json"]).start();
    let session = running.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    running.json_of_type("text_delta");
    let attach = ["attach", &session, "--remote", node.ticket(), "--mode", "json"];
    let mut watching = guest.cli(attach).stdin_open().start();
    watching.json_of_type("attached");
    let cid = super::tokens(&home)[0]["cid"].as_str().unwrap().to_owned();
    node.cli(["token", "revoke", &cid]).run().ok();
    let ran = watching.finish().code(4);
    assert_eq!(ran.error()["kind"], "denied", "{}", ran.story());
    let settled = running.json_of_type("settled");
    assert_eq!(settled["outcome"], "denied", "{settled}");
    running.finish().code(4);
}
