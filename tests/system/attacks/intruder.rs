//! Guests with an honest but narrow token, who try to do more with it.

use std::{fs, os::unix::fs::symlink};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    CidDigest, Message,
    conversation::ToolStatus,
    event::Outcome,
    hello::ChainVerdict,
    kind::Kind,
    message::Ext,
    refusal::RefusalCode,
    request::{
        peers::{PeerChange, PeerEdit, PeerList, PeerResolve},
        prompt::{PromptCancel, SessionChoice},
        session::{SessionKill, SessionList, SessionListReply},
        tokens::{Preset, Rights, TokenCreate, TokenList},
    },
};
use clankers_tests::{
    NodeHome, Script, Turn,
    forge::{self, Link, id_of},
    hostile::Hostile,
};
use ucan::Ipld;

use super::{info, raw};
use crate::BIN;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_chooses_neither_scripts_nor_directories() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("hello")));
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), home.workspace().join("away")).unwrap();
    fs::create_dir(home.workspace().join("sub")).unwrap();
    let node = home.start();

    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::operator());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    for model in
        ["scripted:/etc/passwd", "scripted//etc/passwd", "scripted/../../etc/passwd", "nobody/knows", ""]
    {
        let mut prompt = raw::prompt("hi");
        prompt.model = Some(model.into());
        let code = raw::refused(&guest, &prompt).await;
        assert_eq!(code, RefusalCode::NoModel, "{model:?}");
    }
    let at = |cwd: &str| {
        let mut prompt = raw::prompt("/ls");
        prompt.session = SessionChoice::New { cwd: Some(cwd.into()) };
        prompt
    };
    let workspace = home.workspace().display().to_string();
    let far = elsewhere.path().display().to_string();
    let up = home.user().display().to_string();
    for cwd in
        ["/", "/etc", "..", &far, &up, &format!("{workspace}/.."), &format!("{workspace}/away"), "/nowhere"]
    {
        let code = raw::refused(&guest, &at(cwd)).await;
        assert!(matches!(code, RefusalCode::NoWorkspace | RefusalCode::Unauthorized), "{cwd}: {code:?}");
    }
    for cwd in [workspace.clone(), format!("{workspace}/sub")] {
        assert_eq!(raw::send(&guest, &at(&cwd)).await.unwrap().outcome(), Outcome::Completed, "{cwd}");
    }
    let (reviewer, _) = {
        let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
        peer.welcomed(node.address(), vec![chain]).await
    };
    let code = raw::refused(&reviewer, &at(&format!("{workspace}/sub"))).await;
    assert_eq!(code, RefusalCode::Unauthorized, "a reviewer chooses no directory");

    let sessions = home.cli(["ps", "-a", "--json"]).run().ok().json();
    assert_eq!(sessions.as_array().unwrap().len(), 2, "refused prompts leave sessions behind: {sessions}");
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_peoples_sessions_are_not_there() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let owned = home.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok().json_lines();
    let owned = owned[0]["session"].as_str().unwrap().to_owned();
    // Another peer has no session, and so no last one; the owner's are not there for it.
    let other = Hostile::start().await;
    let chain = forge::grant(&home.seed(), other.id(), &GrantSpec::operator());
    let (guest, _) = other.welcomed(node.address(), vec![chain]).await;
    let long = "a".repeat(256);
    for selector in
        ["", "last", "l", &owned[..1], &owned[..4], &owned, "*", "../x", "\u{1b}[2J", "LAST", &long]
    {
        let mut prompt = raw::prompt("/ls");
        prompt.session = SessionChoice::Existing((*selector).into());
        assert_eq!(raw::refused(&guest, &prompt).await, RefusalCode::NotFound, "{selector:?}");
        let kill = SessionKill { leaf: None, session: (*selector).into(), ext: Ext::default() };
        assert_eq!(raw::refused(&guest, &kill).await, RefusalCode::NotFound, "{selector:?}");
    }
    let cancel = PromptCancel { leaf: None, session: owned.clone(), prompt_id: None, ext: Ext::default() };
    assert_eq!(raw::refused(&guest, &cancel).await, RefusalCode::NotFound);
    let mut prompt = raw::prompt("/ls");
    prompt.session = SessionChoice::Existing("a".repeat(257));
    assert_eq!(raw::refused(&guest, &prompt).await, RefusalCode::TooLarge);
    let list = SessionList { leaf: None, skip: 0, archived: true, ext: Ext::default() };
    let listed: SessionListReply = guest.ask(&list).await.message();
    assert_eq!((listed.sessions.len(), listed.more), (0, 0));

    // Ids that are no ids, and a leaf that was never shown.
    let mut prompt = raw::prompt("/ls");
    prompt.prompt_id = "AAAA".parse().unwrap();
    let body = prompt.encode();
    let place = body.windows(4).position(|four| four == b"AAAA").unwrap();
    for id in [&b"AA/A"[..], b"\x1b[2J", b"A A\n", b"\xff\xfe\xfd\xfc", b"AA\0A"] {
        let bent = [&body[..place], id, &body[place + 4..]].concat();
        let code = guest.frame(Kind::PROMPT, &bent).await.answer().await.refused();
        assert_eq!(code, RefusalCode::Malformed, "{id:?}");
    }
    prompt.leaf = Some(CidDigest([7; 32]));
    assert_eq!(raw::refused(&guest, &prompt).await, RefusalCode::Unauthorized);
    let sessions = home.cli(["ps", "-a", "--json"]).run().ok().json();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "refused prompts leave sessions behind: {sessions}");
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_prompt_loses_its_tools_with_its_token() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("ls", &serde_json::json!({})),
        Turn::says(".").delay_ms(3_500).and_calls("ls", &serde_json::json!({})),
        Turn::says("over"),
    ]));
    let node = home.start();
    let peer = Hostile::start().await;
    let now = forge::now().as_secs();
    let short = Link::new(home.seed(), node.id(), peer.id()).valid(now - 5, now + 3).bytes();
    let (guest, _) = peer.welcomed(node.address(), vec![forge::container([short])]).await;
    let taken = raw::run(&guest, "look twice").await.unwrap();
    let results = taken.results();
    assert_eq!(results[0].0, ToolStatus::Ok, "{results:?}");
    assert!(results[1..].iter().all(|(status, _)| *status == ToolStatus::Denied), "{results:?}");
    assert_eq!(raw::refused(&guest, &raw::prompt("/ls")).await, RefusalCode::Expired);
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_becomes_the_owner_by_what_they_sign() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (me, seed) = (node.id(), home.seed());
    let peer = Hostile::start().await;
    let middle = forge::random();
    let now = forge::now().as_secs();
    let run = |issuer: [u8; 32]| {
        Link::new(issuer, me, peer.id()).valid(now - 5, now + 590).meta("run", Ipld::Bool(true)).bytes()
    };
    let root_of = |to| Link::new(seed, me, to).bytes();
    let chains = [
        ("root, by its own grant", vec![root_of(peer.id())]),
        ("root, as a run of its holder", vec![root_of(id_of(&middle)), run(middle)]),
        (
            "everything, as a run without its mark",
            vec![Link::new(seed, me, peer.id()).valid(now, now + 60).bytes()],
        ),
        (
            "a run that lasts too long",
            vec![Link::new(seed, me, peer.id()).meta("run", Ipld::Bool(true)).bytes()],
        ),
    ];
    for (what, links) in chains {
        let (guest, welcome) = peer.welcomed(node.address(), vec![forge::container(links)]).await;
        assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{what}: {welcome:?}");
        let create = TokenCreate {
            leaf: None,
            audience: peer.id().to_string(),
            rights: Rights { preset: Some(Preset::Root), ..Rights::default() },
            expire_secs: 60,
            renew: false,
            ext: Ext::default(),
        };
        let denied = RefusalCode::Unauthorized;
        assert_eq!(raw::refused(&guest, &create).await, denied, "{what}");
        assert_eq!(
            raw::refused(&guest, &TokenList { leaf: None, skip: 0, ext: Ext::default() }).await,
            denied,
            "{what}"
        );
        let change = PeerChange::Remove("someone".into());
        let edit = PeerEdit { leaf: None, change, ext: Ext::default() };
        assert_eq!(raw::refused(&guest, &edit).await, denied, "{what}");
        let resolve = PeerResolve { leaf: None, peer: me.to_string(), wait_ms: 0, ext: Ext::default() };
        assert_eq!(
            raw::refused(&guest, &resolve).await,
            denied,
            "{what}: its answer holds the owner's tokens"
        );
    }
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_look_alike_and_wide_links_allow_nothing_more() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (me, seed) = (node.id(), home.seed());
    let peer = Hostile::start().await;
    let middle = forge::random();
    for command in
        ["/clankers/nod", "/clankers/node/inf", "/clankers/node/info/more", "/clankersnode", "/team"]
    {
        let link = Link::new(seed, me, peer.id()).command(command).bytes();
        let (guest, welcome) = peer.welcomed(node.address(), vec![forge::container([link])]).await;
        assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{command}");
        assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::Unauthorized, "{command}");
    }
    // A narrow link stays narrow, whatever is signed beneath it, and wide beneath narrow is narrow.
    let narrow = Link::new(seed, me, id_of(&middle)).command("/clankers/session/list").bytes();
    let wide = Link::new(middle, me, peer.id()).bytes();
    let (guest, _) = peer.welcomed(node.address(), vec![forge::container([narrow, wide])]).await;
    let list = SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };
    let _listed: SessionListReply = guest.ask(&list).await.message();
    assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::Unauthorized);
    assert_eq!(
        raw::refused(&guest, &PeerList { leaf: None, skip: 0, ext: Ext::default() }).await,
        RefusalCode::Unauthorized
    );
    assert_eq!(raw::refused(&guest, &raw::prompt("/ls")).await, RefusalCode::Unauthorized);
    peer.close().await;
}
