//! Who is counted as one, and what one may take.

use std::time::Duration;

use clankers_auth::{GrantSpec, mint};
use clankers_mesh::SendStream;
use clankers_protocol::{
    Message,
    message::Ext,
    refusal::RefusalCode,
    request::{
        attach::{Attach, Attached, From, Role},
        revocation::{RevokeWhat, TokenRevoke},
    },
};
use clankers_tests::{
    NodeHome, Script, Turn, forge,
    hostile::{Answer, Guest, Hostile, frame},
    wait,
};

use super::super::{cid_text, granted, pass};
use serde_json::json;

use crate::{BIN, attacks::raw};

/// Refusals in a minute before nothing is read: `DENIALS_PER_MINUTE` of the node.
const DENIALS: usize = 60;
/// Attachments of one peer: `VIEWERS_PER_PEER` of the node.
const SEATS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_principals_below_one_grant_share_one_window_of_refusals() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let holder: [u8; 32] = forge::random();
    let token = node.token(forge::id_of(&holder), &["--read-only"]).into_bytes();
    let forbidden = TokenRevoke { leaf: None, what: RevokeWhat::Everything, ext: Ext::default() };
    let mut codes = Vec::new();
    for _ in 0..8 {
        // A principal of its own choice, and a run of its: both are new to the node.
        let (teammate, run) = (forge::random::<32>(), Hostile::start().await);
        let chain = pass(&holder, &token, forge::id_of(&teammate), &GrantSpec::default());
        let chain =
            mint::for_run(&teammate, Some(&chain), node.id(), run.id(), forge::now(), forge::random());
        let (guest, _) = run.welcomed(node.address(), vec![chain.unwrap().to_bytes().unwrap()]).await;
        for _ in 0..DENIALS / 5 {
            codes.push(raw::refused(&guest, &forbidden).await);
        }
        run.close().await;
    }
    let unread = codes.iter().filter(|code| **code == RefusalCode::RateLimited).count();
    assert_eq!(unread, codes.len() - DENIALS, "{codes:?}");
    // Nobody else is kept out.
    let (other, guest, _) = granted(&node, &["--reviewer"]).await;
    raw::run(&guest, "/ls").await.unwrap();
    other.close().await;
}

#[test]
fn the_hint_names_the_node_that_asked_and_not_its_runs_key() {
    let (home, ann) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    node.grant(&ann, &["--read-only"]);
    let ran = ann.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().code(4);
    let hint = format!("clankers token create --for {} --reviewer", ann.id());
    assert!(ran.err().contains(&hint), "{}", ran.story());
}

async fn attach(guest: &Guest, session: &str) -> (Answer, clankers_tests::hostile::Talk) {
    let attach = Attach {
        leaf: None,
        session: Some(session.to_owned()),
        role: Role::View,
        from: From::Begin,
        ext: Ext::default(),
    };
    let mut talk = guest.say(&attach).await;
    (talk.answer().await, talk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_guest_has_so_many_seats_and_the_owner_gets_in() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let holder: [u8; 32] = forge::random();
    let token = node.token(forge::id_of(&holder), &["--reviewer", "--session", "all"]).into_bytes();
    let mut seats = Vec::new();
    let (mut peers, mut session) = (Vec::new(), String::new());
    // Four keys, one grant.
    for _ in 0..4 {
        let peer = Hostile::start().await;
        let chain = pass(&holder, &token, peer.id(), &GrantSpec::default());
        let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
        if session.is_empty() {
            session = raw::run(&guest, "/ls").await.unwrap().accepted.session.to_string();
        }
        for _ in 0..SEATS / 4 {
            let (answer, talk) = attach(&guest, &session).await;
            let _attached: Attached = answer.message();
            seats.push(talk);
        }
        peers.push((peer, guest));
    }
    let (answer, _) = attach(&peers[0].1, &session).await;
    assert_eq!(answer.refused(), RefusalCode::Busy);
    let (other, guest, _) = granted(&node, &["--read-only", "--session", "all"]).await;
    let _in: Attached = attach(&guest, &session).await.0.message();
    let owner = Hostile::start().await;
    let run = forge::owner_run(&home.seed(), owner.id());
    let (guest, _) = owner.welcomed(node.address(), vec![run]).await;
    let _in: Attached = attach(&guest, &session).await.0.message();
    // Who leaves makes room.
    drop(seats.pop());
    wait::within("a free seat", Duration::from_secs(10), async {
        while matches!(attach(&peers[0].1, &session).await.0, Answer::Refused(_)) {}
    })
    .await;
    for peer in peers.into_iter().map(|(peer, _)| peer).chain([other, owner]) {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompter_who_does_not_read_is_cut_off_when_its_token_is_revoked() {
    let home = NodeHome::new(BIN);
    // Five times half a megabyte, live and again as an event: more than a stream takes unread.
    let words = "words ".repeat(70_000);
    let talks =
        |n: u8| Turn::says(&words).piece_chars(4_000).and_calls("grep", &json!({ "pattern": n.to_string() }));
    home.script(&Script::of((0..5).map(talks).chain([Turn::says("done").hangs()])));
    let node = home.start();
    let (peer, guest, chain) = granted(&node, &["--reviewer"]).await;
    let prompt = raw::prompt("talk");
    let (mut writer, mut reader) = guest.connection().open().await.unwrap();
    let sent = frame(clankers_protocol::request::prompt::Prompt::KIND, &prompt.encode());
    writer.write_all(&sent).await.unwrap();
    // It is on, and the node has more to say than its stream takes: nobody reads.
    wait::within("all that it says", Duration::from_secs(20), async {
        let mut calls = 0;
        while calls < 5 {
            if let (Answer::Frame(frame), _) = attach(&guest, "last").await {
                // Each turn is at least an answer and a result.
                calls = Attached::decode(&frame.body).unwrap().head_seq / 2;
            }
        }
    })
    .await;
    node.cli(["token", "revoke", &cid_text(&chain, 0)]).run().ok();
    // What the test is about: for so long it still reads nothing, and then finds that it is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut buffer = vec![0; 65_536];
    let end = wait::within("the stream's end", Duration::from_secs(5), async {
        loop {
            match reader.read(&mut buffer).await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    })
    .await;
    assert!(matches!(end, Err(clankers_mesh::StreamError::Reset(_))), "{end:?}");
    drop::<SendStream>(writer);
    peer.close().await;
}
