//! Tokens: what each lets its holder do on a real connection, and what it does not.

use std::{fs, time::Duration};

use clankers_protocol::{
    NodeId,
    event::Outcome,
    hello::ChainVerdict,
    message::Ext,
    refusal::RefusalCode,
    request::{
        admin::{Admin, AdminCommand},
        node::InfoReply,
        peers::{PeerChange, PeerEdit, PeerList},
        prompt::SessionChoice,
        session::{SessionCreate, SessionCreated, SessionKill, SessionKilled, SessionList, SessionListReply},
        tokens::{Preset, Rights, TokenCreate, TokenImport, TokenList},
    },
};
use clankers_tests::{
    NodeHome, Script, Turn,
    hostile::{Answer, Guest, Hostile},
    node::Node,
    process, wait,
};

use crate::{
    BIN,
    attacks::{info, raw},
};

/// What a guest tries with each token, in this order.
const TRIED: [&str; 10] =
    ["info", "list", "create", "peers", "ls", "read", "write", "bash", "model", "owner"];

fn can(answer: &Answer) -> char {
    match answer {
        Answer::Frame(_) => 'y',
        Answer::Refused(refusal) if refusal.code() == RefusalCode::Unauthorized => 'n',
        other => panic!("{other:?}"),
    }
}

async fn may_run(guest: &Guest, text: &str) -> char {
    match raw::run(guest, text).await {
        Err(RefusalCode::Unauthorized) => 'n',
        Ok(taken) if taken.outcome() == Outcome::Completed => 'y',
        Ok(taken) if taken.outcome() == Outcome::Denied => 'd',
        other => panic!("{text}: {other:?}"),
    }
}

/// One letter for each of [`TRIED`]: yes, no, or denied at the tool.
async fn rights(guest: &Guest) -> String {
    let list = SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };
    let create = SessionCreate { leaf: None, cwd: None, model: None, ext: Ext::default() };
    let peers = PeerList { leaf: None, skip: 0, ext: Ext::default() };
    let mut out = String::new();
    out.push(can(&guest.ask(&info()).await));
    out.push(can(&guest.ask(&list).await));
    out.push(can(&guest.ask(&create).await));
    out.push(can(&guest.ask(&peers).await));
    for text in ["/ls", "/read notes.txt", "/write made.txt x", "/bash true", "hello"] {
        out.push(may_run(guest, text).await);
    }
    let grant = TokenCreate {
        leaf: None,
        audience: NodeId([9; 32]).to_string(),
        rights: Rights { preset: Some(Preset::ReadOnly), ..Rights::default() },
        expire_secs: 60,
        renew: false,
        ext: Ext::default(),
    };
    let change = PeerChange::Remove("nobody".into());
    let owners = [
        guest.ask(&grant).await,
        guest.ask(&TokenImport { leaf: None, token: "Cabc".into(), ext: Ext::default() }).await,
        guest.ask(&TokenList { leaf: None, skip: 0, ext: Ext::default() }).await,
        guest.ask(&PeerEdit { leaf: None, change, ext: Ext::default() }).await,
    ];
    let all: Vec<char> = owners.iter().map(can).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{owners:?}");
    out.push(all[0]);
    out
}

/// A token of the node for this peer, made by its command line, as it is handed over.
fn token(node: &Node, peer: &Hostile, what: &[&str]) -> Vec<u8> {
    node.token(peer.id(), what).into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_preset_allows_what_it_says_and_nothing_else() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("hello")));
    let node = home.start();
    assert_eq!(TRIED.len(), 10);
    let table: [(&[&str], &str); 9] = [
        (&["--read-only"], "yynnnnnnnn"),
        (&["--reviewer"], "yynnyyddyn"),
        (&["--operator"], "yyyyyyydyn"),
        (&["--root"], "yyyyyyyyyn"),
        (&["--tools", "read,ls"], "nynnyyddyn"),
        (&["--tools", "write"], "nynnddydyn"),
        (&["--tools", "bash"], "nynndddyyn"),
        (&["--read-only", "--tools", "read"], "yynndyddyn"),
        (&["--root", "--tools", "ls"], "yyyyydddyn"),
    ];
    for (what, expected) in table {
        let peer = Hostile::start().await;
        let (guest, welcome) = peer.welcomed(node.address(), vec![token(&node, &peer, what)]).await;
        assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{what:?}");
        assert_eq!(rights(&guest).await, expected, "{what:?} of {TRIED:?}");
        let stop = Admin { leaf: None, command: AdminCommand::Stop { drain_ms: 0 }, ext: Ext::default() };
        if !what.contains(&"--root") {
            assert_eq!(raw::refused(&guest, &stop).await, RefusalCode::Unauthorized, "{what:?}");
        }
        peer.close().await;
    }
    // Without a token there is nothing, and what is said of it names no more than the asker's own request.
    let peer = Hostile::start().await;
    let (guest, _) = peer.welcomed(node.address(), vec![]).await;
    assert_eq!(rights(&guest).await, "nnnnnnnnnn");
    let Answer::Refused(refusal) = guest.ask(&info()).await else {
        panic!("a stranger is told about the node")
    };
    assert_eq!(refusal.your_id, peer.id());
    assert!(refusal.hints.iter().any(|hint| hint.contains(&peer.id().to_string())), "{refusal:?}");
    assert!(!format!("{refusal:?}").contains(&home.root().display().to_string()), "{refusal:?}");
    // The words of a token warn of what a shell is.
    let ran = node.cli(["token", "create", "--for", &peer.id().to_string(), "--tools", "bash"]).run().ok();
    assert!(ran.err().contains("shell"), "{}", ran.story());
    peer.close().await;
}

#[test]
fn a_token_works_for_its_audience_at_its_node_and_nowhere_else() {
    let (home, guest, thief) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    let token = node.token(guest.id(), &["--reviewer"]);
    let file = guest.root().join("token.txt");
    fs::write(&file, format!("\n  {token}  \n")).unwrap();

    // Stolen: refused with the reason, and of no use without being imported.
    let ran = thief.cli(["token", "import", file.to_str().unwrap(), "--json"]).run().code(4);
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&guest.id().to_string()), "{message}");
    assert_eq!(thief.cli(["token", "list", "--json"]).run().ok().json(), serde_json::json!([]));
    thief.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().code(4);

    // As an argument it is not even taken: arguments can be read by everybody on the machine.
    let ran = guest.cli(["token", "import", &token]).run().code(7);
    assert!(ran.err().contains("standard input"), "{}", ran.story());
    for broken in ["", "nonsense", &token[..token.len() - 4], &format!("{token}AAAA"), &token[1..]] {
        let ran = guest.cli(["token", "import", "-"]).stdin(broken).run();
        assert!(matches!(ran.exit.code, Some(2 | 4)), "{}", ran.story());
    }
    guest.cli(["token", "import", file.to_str().unwrap()]).run().ok();
    guest.cli(["token", "import", "-"]).stdin(token.clone()).run().ok();
    let held = guest.cli(["token", "list", "--json"]).run().ok().json();
    let issued = home.cli(["token", "list", "--json"]).run().ok().json();
    for (list, side) in [(&held, false), (&issued, true)] {
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list[0]["issued"], side, "{list}");
        assert_eq!(list[0]["cid"], held[0]["cid"]);
        assert_eq!(list[0]["audience"], guest.id().to_string());
        assert_eq!(list[0]["subject"], node.id().to_string());
        assert!(!list.to_string().contains(&token), "a list is not a place for tokens");
    }
    guest.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().ok();
    // No process of ours ever shows it, and no log keeps it.
    assert!(!home.node_log().contains(&token));
    let words = fs::read_to_string(format!("/proc/{}/cmdline", node.pid())).unwrap();
    assert!(process::lives(node.pid()) && !words.contains(&token));

    // At another node it says nothing, and a node needs no token about itself.
    let other = NodeHome::new(BIN);
    let elsewhere = other.start();
    guest.cli(["rpc", "prompt", elsewhere.ticket(), "/ls"]).run().code(4);
    let own = home.cli(["token", "create", "--for", &node.id().to_string(), "--root"]).run().code(2);
    assert!(own.err().contains("itself"), "{}", own.story());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_when_it_says_and_root_is_not_the_owner() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking").hangs()));
    let node = home.start();
    let owned = home.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok().json_lines();
    let owned = owned[0]["session"].as_str().unwrap().to_owned();

    let peer = Hostile::start().await;
    let (guest, _) =
        peer.welcomed(node.address(), vec![token(&node, &peer, &["--root", "--expire", "60s"])]).await;
    let list = || SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };
    let listed: SessionListReply = guest.ask(&list()).await.message();
    assert!(listed.sessions.is_empty(), "other people's sessions: {:?}", listed.sessions);
    let mut prompt = raw::prompt("/ls");
    prompt.session = SessionChoice::Existing(owned.clone());
    assert_eq!(raw::refused(&guest, &prompt).await, RefusalCode::NotFound);
    let kill = SessionKill { leaf: None, session: owned, ext: Ext::default() };
    assert_eq!(raw::refused(&guest, &kill).await, RefusalCode::NotFound);
    let mut script = raw::prompt("hi");
    script.model = Some("scripted//etc/passwd".into());
    assert_eq!(raw::refused(&guest, &script).await, RefusalCode::NoModel);
    // Its own are its own.
    let create = SessionCreate { leaf: None, cwd: None, model: None, ext: Ext::default() };
    let made: SessionCreated = guest.ask(&create).await.message();
    let kill = SessionKill { leaf: None, session: made.session.to_string(), ext: Ext::default() };
    let _killed: SessionKilled = guest.ask(&kill).await.message();

    // A second's token, on a connection that lives on: the next request is judged anew.
    let short = Hostile::start().await;
    let (guest, welcome) =
        short.welcomed(node.address(), vec![token(&node, &short, &["--read-only", "--expire", "2s"])]).await;
    assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{welcome:?}");
    let _info: InfoReply = guest.ask(&info()).await.message();
    let code = wait::within("the token's end", Duration::from_secs(10), async {
        loop {
            match guest.ask(&info()).await {
                Answer::Frame(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => break other.refused(),
            }
        }
    });
    assert_eq!(code.await, RefusalCode::Expired);
    for bad in ["0s", "401days", "soon", "-5m"] {
        let audience = peer.id().to_string();
        let made = node.cli(["token", "create", "--for", &audience, "--root", "--expire", bad]).run();
        assert_eq!(made.exit.code, Some(2), "{}", made.story());
    }
    peer.close().await;
    short.close().await;
}

#[test]
fn guests_do_not_meet_in_each_others_sessions() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (a, b) = (NodeHome::new(BIN), NodeHome::new(BIN));
    node.grant(&a, &["--reviewer"]);
    node.grant(&b, &["--reviewer"]);
    let prompt = |guest: &NodeHome, more: &[&str]| {
        guest.cli(["rpc", "prompt", node.ticket(), "/ls", "--mode", "json"]).args(more).run()
    };
    let session = prompt(&a, &[]).ok().json_lines()[0]["session"].as_str().unwrap().to_owned();
    for selector in [session.as_str(), &session[..6], "last"] {
        let ran = prompt(&b, &["--session", selector]).code(7);
        assert_eq!(ran.out(), "", "{}", ran.story());
    }
    let seen = |guest: &NodeHome| guest.cli(["ps", "--json", "--remote", node.ticket()]).run().ok().json();
    assert_eq!(seen(&b), serde_json::json!([]));
    assert_eq!(seen(&a)[0]["id"], session.as_str());
    // The owner sees all, and may type into all.
    assert_eq!(home.cli(["ps", "--json"]).run().ok().json()[0]["id"], session.as_str());
    home.cli(["rpc", "prompt", "local", "/ls", "--session", &session]).run().ok();
    let again = prompt(&a, &["--session", "last"]).ok().json_lines()[0]["session"].clone();
    assert_eq!(again, session.as_str());
}

#[test]
fn two_tokens_for_one_node_are_both_used() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--tools", "read"]);
    node.grant(&guest, &["--tools", "grep"]);
    node.grant(&guest, &["--read-only"]);
    let ask = |text: &str| guest.cli(["rpc", "prompt", node.ticket(), text]).run();
    assert!(ask("/read notes.txt").ok().out().contains("two"));
    assert!(ask("/grep TODO src").ok().out().contains("TODO"));
    ask("/ls").code(4);
    ask("/write x y").code(4);
    guest.cli(["ps", "--remote", node.ticket()]).run().ok();
    let list = guest.cli(["token", "list", "--json"]).run().ok().json();
    assert_eq!(list.as_array().unwrap().len(), 3, "{list}");
}
