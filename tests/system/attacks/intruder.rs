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
        tokens::{Preset, TokenCreate, TokenList},
    },
};
use clankers_tests::{
    NodeHome, Script, Turn,
    forge::{self, Link, id_of},
    hostile::{Guest, Hostile},
};
use ucan::Ipld;

use super::{info, raw};
use crate::BIN;

/// What nobody but the owner may see.
const SECRET: &str = "the-secret-that-must-not-leave";

/// Fails when an attack got somewhere.
async fn harmless(guest: &Guest, text: &str) {
    let taken = raw::run(guest, text).await.unwrap();
    let results = taken.results();
    assert!(!format!("{results:?}").contains(SECRET), "{text}: {results:?}");
    assert_ne!(taken.outcome(), Outcome::Completed, "{text}: {results:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tool_reaches_out_of_the_workspace_or_into_the_nodes_home() {
    let home = NodeHome::new(BIN);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.txt");
    fs::write(&secret, SECRET).unwrap();
    // The owner offers all of this machine's user: the node's home lies inside.
    home.settings(&format!("workspace = {:?}\n", home.root().display().to_string()));
    let node = home.start();
    let key = fs::read_to_string(home.path().join("identity.key")).unwrap();
    fs::write(home.path().join("logs/bait.txt"), SECRET).unwrap();
    symlink(&secret, home.root().join("link")).unwrap();
    symlink(outside.path(), home.root().join("dirlink")).unwrap();
    symlink(home.path(), home.root().join("homelink")).unwrap();
    symlink("/proc/self/root", home.root().join("rootlink")).unwrap();
    fs::create_dir_all(home.workspace().join(".git/hooks")).unwrap();

    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::operator());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let up = outside.path().file_name().unwrap().to_str().unwrap();
    let absolute = secret.display().to_string();
    let root = home.root().display().to_string();
    let reads = [
        format!("../{up}/secret.txt"),
        format!("workspace/../../{up}/secret.txt"),
        format!("workspace/./.././../{up}/secret.txt"),
        absolute.clone(),
        format!("/{absolute}"),
        format!("/proc/self/root{absolute}"),
        format!("rootlink{absolute}"),
        "link".into(),
        "dirlink/secret.txt".into(),
        "dirlink/../dirlink/secret.txt".into(),
        "user/.clankers/identity.key".into(),
        "./user//.clankers/./identity.key".into(),
        "workspace/../user/.clankers/identity.key".into(),
        format!("{root}/user/.clankers/identity.key"),
        "homelink/identity.key".into(),
        "user/.clankers/logs/bait.txt".into(),
        "user/.clankers".into(),
        "..\\..\\etc\\passwd".into(),
        "~/secret".into(),
        "link\u{0}.txt".into(),
        "".into(),
        "/proc/self/environ".into(),
        "/dev/stdin".into(),
    ];
    for path in &reads {
        let arguments = serde_json::json!({ "path": path }).to_string();
        harmless(&guest, &format!("/read {arguments}")).await;
    }
    for search in [
        format!("/grep {SECRET} .."),
        format!("/grep {SECRET} dirlink"),
        format!("/grep {SECRET} link"),
        format!("/grep {SECRET} user/.clankers"),
        format!("/grep {SECRET} {}", outside.path().display()),
        "/ls ..".into(),
        "/ls dirlink".into(),
        "/ls homelink".into(),
        "/ls user/.clankers".into(),
        "/ls /".into(),
        "/find * ..".into(),
        "/find * user/.clankers".into(),
        "/find ../* workspace/../..".into(),
    ] {
        harmless(&guest, &search).await;
    }
    // Through everything there is, nothing of it comes up.
    for search in [format!("/grep {SECRET}"), "/find **/*".into(), format!("/grep {}", &key[..20])] {
        let taken = raw::run(&guest, &search).await.unwrap();
        let seen = format!("{:?}", taken.results());
        assert!(
            !seen.contains("bait") && !seen.contains("identity") && !seen.contains("secret.txt"),
            "{seen}"
        );
        assert!(!seen.contains(key.trim()), "{seen}");
    }
    let writes = [
        format!("../{up}/evil"),
        format!("{}/evil", outside.path().display()),
        "dirlink/evil".into(),
        "homelink/evil".into(),
        "user/.clankers/settings.toml".into(),
        "user/.clankers/sessions/evil.jsonl".into(),
        "user/.clankers/identity.key".into(),
        "workspace/.git/hooks/post-checkout".into(),
        "workspace/.git/config".into(),
        "workspace/x/../.git/hooks/pre-commit".into(),
        "new/.git/hooks/pre-commit".into(),
    ];
    for path in &writes {
        let arguments = serde_json::json!({ "path": path, "content": "evil" }).to_string();
        harmless(&guest, &format!("/write {arguments}")).await;
        let edit = serde_json::json!({ "path": path, "edits": [{ "old": "a", "new": "evil" }] }).to_string();
        harmless(&guest, &format!("/edit {edit}")).await;
    }
    harmless(&guest, "/bash cat user/.clankers/identity.key").await;
    assert_eq!(fs::read_to_string(home.path().join("identity.key")).unwrap(), key);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    assert_eq!(fs::read_dir(home.workspace().join(".git/hooks")).unwrap().count(), 0);
    assert!(!home.path().join("evil").exists() && !home.root().join("new/.git").exists());

    // And an honest path is one, in each of its spellings.
    for path in ["workspace/notes.txt", "./workspace//notes.txt", &format!("{root}/workspace/notes.txt")] {
        let taken = raw::run(&guest, &format!("/read {path}")).await.unwrap();
        assert_eq!(taken.outcome(), Outcome::Completed, "{path}: {:?}", taken.results());
    }
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_chooses_neither_scripts_nor_directories_nor_other_peoples_sessions() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("hello")));
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), home.workspace().join("away")).unwrap();
    fs::create_dir(home.workspace().join("sub")).unwrap();
    let node = home.start();
    let owned = home.cli(["rpc", "prompt", "local", "hi", "--mode", "json"]).run().ok().json_lines();
    let owned = owned[0]["session"].as_str().unwrap().to_owned();

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
    assert_eq!(sessions.as_array().unwrap().len(), 3, "refused prompts leave sessions behind: {sessions}");
    peer.close().await;
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
            preset: Some(Preset::Root),
            tools: None,
            expire_secs: 60,
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
    // Names that look alike allow nothing.
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
