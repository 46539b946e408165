//! Whose sessions a token reaches.

use clankers_protocol::{
    event::Outcome,
    message::Ext,
    refusal::RefusalCode,
    request::{
        attach::{Attach, Attached, From, Role},
        prompt::{Prompt, SessionChoice},
        session::{SessionKill, SessionList, SessionListReply},
    },
};
use clankers_tests::{Node, NodeHome, hostile::Guest};

use super::granted;
use crate::{BIN, attacks::raw};

fn owners(node: &Node) -> String {
    let ran = node.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok();
    ran.json_lines()[0]["session"].as_str().unwrap().to_owned()
}

async fn listed(guest: &Guest) -> Vec<String> {
    let list = SessionList { leaf: None, skip: 0, archived: true, ext: Ext::default() };
    let reply: SessionListReply = guest.ask(&list).await.message();
    let mut ids: Vec<String> = reply.sessions.iter().map(|session| session.id.to_string()).collect();
    ids.sort();
    ids
}

fn into(session: &str) -> Prompt {
    Prompt { session: SessionChoice::Existing(session.to_owned()), ..raw::prompt("/ls src") }
}

fn attach(session: &str, role: Role) -> Attach {
    let session = Some(session.to_owned());
    Attach { leaf: None, session, role, from: From::Begin, ext: Ext::default() }
}

async fn role(guest: &Guest, session: &str) -> Result<Role, RefusalCode> {
    let mut talk = guest.say(&attach(session, Role::Type)).await;
    match talk.answer().await {
        clankers_tests::hostile::Answer::Refused(refusal) => Err(refusal.code()),
        answer => Ok(answer.message::<Attached>().role_granted),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_session_is_reached_and_no_other() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (named, other) = (owners(&node), owners(&node));
    // Another peer's session needs both: to see it and to drive it.
    let (operator, guest, _) = granted(&node, &["--operator", "--session", &named]).await;
    assert_eq!(listed(&guest).await, [named.as_str()]);
    assert_eq!(raw::send(&guest, &into(&named)).await.unwrap().outcome(), Outcome::Completed);
    assert_eq!(role(&guest, &named).await, Ok(Role::Type));
    assert_eq!(raw::refused(&guest, &into(&other)).await, RefusalCode::NotFound);
    assert_eq!(role(&guest, &other).await, Err(RefusalCode::NotFound));
    let kill = SessionKill { leaf: None, session: other.clone(), ext: Ext::default() };
    assert_eq!(raw::refused(&guest, &kill).await, RefusalCode::NotFound);
    operator.close().await;

    for (what, may_prompt) in [(&["--reviewer"][..], true), (&["--read-only"], false)] {
        let words = [what, &["--session", &named]].concat();
        let (peer, guest, _) = granted(&node, &words).await;
        assert_eq!(role(&guest, &named).await, Ok(Role::View), "{what:?}: observe is not drive");
        assert_eq!(raw::refused(&guest, &into(&named)).await, RefusalCode::Unauthorized, "{what:?}");
        assert_eq!(role(&guest, &other).await, Err(RefusalCode::NotFound), "{what:?}");
        let fresh = raw::run(&guest, "/ls src").await;
        assert!(fresh.is_err() || may_prompt, "{what:?}");
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_are_reached_by_who_is_told_so_and_by_nobody_else() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (first, guest, _) = granted(&node, &["--operator"]).await;
    let taken = raw::run(&guest, "/ls").await.unwrap();
    let mut both = vec![owners(&node), taken.accepted.session.to_string()];
    both.sort();
    assert_eq!(listed(&guest).await, [taken.accepted.session.to_string()]);
    let (all, guest, _) = granted(&node, &["--operator", "--session", "all"]).await;
    assert_eq!(listed(&guest).await, both);
    for session in &both {
        assert_eq!(raw::send(&guest, &into(session)).await.unwrap().outcome(), Outcome::Completed);
        assert_eq!(role(&guest, session).await, Ok(Role::Type));
    }
    let (viewer, guest, _) = granted(&node, &["--read-only", "--session", "all"]).await;
    assert_eq!(listed(&guest).await, both);
    assert_eq!(role(&guest, &both[0]).await, Ok(Role::View));
    assert_eq!(raw::refused(&guest, &into(&both[0])).await, RefusalCode::Unauthorized);
    for peer in [first, all, viewer] {
        peer.close().await;
    }
}
