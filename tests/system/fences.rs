//! What the holder of a token, or a stranger, does not reach: each of these was possible once.

use std::time::Duration;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    event::Outcome,
    hello::Present,
    message::Ext,
    refusal::{CloseCode, RefusalCode},
    request::{
        prompt::{Prompt, SessionChoice},
        session::{SessionKill, SessionList, SessionListReply},
    },
};
use clankers_tests::{NodeHome, Script, Turn, forge, hostile::Hostile, wait};
use ucan::{Policy, Profile};

use crate::{BIN, attacks::raw};

const LIMIT: Duration = Duration::from_secs(20);

fn in_session(text: &str, session: SessionChoice) -> Prompt {
    Prompt { session, ..raw::prompt(text) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_link_that_speaks_of_sessions_reaches_nobody_elses() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    node.cli(["-p", "/ls"]).run().ok();
    let owners = node.cli(["ps", "--json"]).run().ok().json()[0]["id"].as_str().unwrap().to_owned();
    // An operator delegates everything to a second key of theirs, in words that name sessions and always hold.
    let (operator, second) = (forge::random::<32>(), Hostile::start().await);
    let granted = forge::grant(&home.seed(), forge::id_of(&operator), &GrantSpec::operator());
    let always = Policy::or([Policy::like(".cmd", "*"), Policy::eq(".cmd", ".session")]);
    let lower = forge::Link::new(operator, node.id(), second.id())
        .policy(Policy::build([always], Profile::Strict).unwrap())
        .bytes();
    let above = ucan::Container::decode(&granted, &ucan::ContainerLimits::CHAIN, Profile::Strict).unwrap();
    let chain = forge::container(above.tokens().map(<[u8]>::to_vec).chain([lower]));
    let (guest, _) = second.welcomed(node.address(), vec![chain]).await;
    let list = SessionList { leaf: None, skip: 0, archived: true, ext: Ext::default() };
    let listed: SessionListReply = guest.ask(&list).await.message();
    assert_eq!(listed.sessions, []);
    let into = in_session("/ls", SessionChoice::Existing(owners.clone()));
    assert_eq!(raw::refused(&guest, &into).await, RefusalCode::NotFound);
    let kill = SessionKill { leaf: None, session: owners, ext: Ext::default() };
    assert_eq!(raw::refused(&guest, &kill).await, RefusalCode::NotFound);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owners_last_session_is_never_a_guests() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    node.cli(["-p", "/ls"]).run().ok();
    let own = node.cli(["ps", "--json"]).run().ok().json()[0]["id"].clone();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    raw::run(&guest, "/ls").await.unwrap();
    let lines = node.cli(["-p", "/ls", "--session", "last", "--mode", "json"]).run().ok().json_lines();
    assert_eq!(lines[0]["session"], own);
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_rest_are_sent_away_and_known_peers_stay() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (stranger, friend) = (Hostile::start().await, Hostile::start().await);
    let chain = forge::grant(&home.seed(), friend.id(), &GrantSpec::read_only());
    let (known, _) = friend.welcomed(node.address(), vec![chain]).await;
    let (resting, _) = stranger.welcomed(node.address(), vec![]).await;
    let code = wait::within("a stranger that rests is sent away", LIMIT, resting.close_code()).await;
    assert_eq!(code, CloseCode::NoAuthority);
    assert_eq!(known.connection().close_reason(), None);
    stranger.close().await;
    friend.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_uses_the_models_that_the_settings_name() {
    let home = NodeHome::new(BIN);
    home.script_and(
        &Script::always(Turn::says("hello")),
        "[models.openai]\napi_base = \"http://127.0.0.1:9/v1\"\nmodels = [\"cheap\"]\n",
    );
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let with = |model: &str| {
        let mut prompt = raw::prompt("hello");
        prompt.model = Some(model.to_owned());
        prompt
    };
    for dear in ["openai/dear", "dear", "scripted:/etc/passwd", "/etc/passwd", ""] {
        assert_eq!(raw::refused(&guest, &with(dear)).await, RefusalCode::NoModel, "{dear}");
    }
    assert_eq!(raw::run(&guest, "hello").await.unwrap().outcome(), Outcome::Completed);
    let offline = node.cli(["-p", "hello", "--model", "offline"]).run().ok();
    assert!(offline.out().contains("No language model"), "{}", offline.story());
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_narrow_chains_do_not_add_up() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let seed = home.seed();
    // One may prompt with ls; the other may make sessions and write, and not prompt.
    let prompts = forge::grant(&seed, peer.id(), &GrantSpec::tools(vec!["ls".into()]));
    let writes = forge::Link::new(seed, node.id(), peer.id())
        .policy(
            Policy::build(
                [Policy::one_of(".cmd", ["/clankers/session/create", "/clankers/tool/use"])],
                Profile::Strict,
            )
            .unwrap(),
        )
        .bytes();
    let chains = vec![prompts, forge::container([writes])];
    let (guest, _) = peer.welcomed(node.address(), chains).await;
    let workspace = home.workspace().display().to_string();
    let there = in_session("/write made.txt x", SessionChoice::New { cwd: Some(workspace) });
    assert_eq!(raw::refused(&guest, &there).await, RefusalCode::Unauthorized);
    let written = raw::run(&guest, "/write made.txt x").await.unwrap();
    assert_eq!(written.outcome(), Outcome::Denied);
    assert!(!home.workspace().join("made.txt").exists());
    peer.close().await;
}

#[test]
fn the_longest_time_limit_that_a_number_holds_is_no_trap() {
    let home = NodeHome::new(BIN);
    home.settings("[limits]\nprompt_timeout_secs = 9223372036854775807\n");
    let node = home.start();
    for _ in 0..2 {
        node.cli(["-p", "/ls"]).run().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_that_asked_for_it_is_cancelled_when_its_connection_goes() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("working").hangs()));
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let mut prompt = raw::prompt("go");
    prompt.cancel_on_close = true;
    let mut talk = guest.say(&prompt).await;
    talk.answer().await;
    let busy = |node: &clankers_tests::Node| node.status()["prompts"].as_u64();
    assert_eq!(busy(&node), Some(1));
    guest.connection().close(0, "");
    wait::until("the prompt is cancelled", LIMIT, || (busy(&node) == Some(0)).then_some(()));
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_uses_the_default_model_however_it_is_written() {
    let home = NodeHome::new(BIN);
    // Nobody listens there: what counts is that the guest is not refused.
    home.settings(
        "model = \"cheap\"\n[models.openai]\napi_base = \"http://127.0.0.1:9/v1\"\nmodels = [\"cheap\"]\n",
    );
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    assert_eq!(raw::run(&guest, "hello").await.unwrap().outcome(), Outcome::Failed);
    peer.close().await;
}

#[test]
fn an_id_that_the_client_drew_runs_once_without_a_node_too() {
    let home = NodeHome::new(BIN);
    let id = "ab".repeat(32);
    let send =
        || home.cli(["-p", "/bash echo x >> count", "--json", "--prompt-id", &id]).run().ok().json_lines();
    let (first, again) = (send(), send());
    assert_eq!((&first[0]["duplicate"], &again[0]["duplicate"]), (&false.into(), &true.into()));
    assert_eq!(first[0]["session"], again[0]["session"]);
    assert_eq!(std::fs::read_to_string(home.workspace().join("count")).unwrap(), "x\n");
}

#[test]
fn a_model_without_its_key_is_a_matter_of_credentials() {
    let home = NodeHome::new(BIN);
    let ran = home.cli(["-p", "hello", "--model", "openai/any", "--json"]).run().code(3);
    assert_eq!(ran.error()["kind"], "credentials");
    assert!(ran.error()["message"].as_str().unwrap().contains("OPENAI_API_KEY"), "{}", ran.story());
    assert!(ran.error()["hints"][0].as_str().unwrap().contains("auth set-key"), "{}", ran.story());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_has_one_share_of_connections_whatever_it_shows_and_when() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    // The share is the grantee's: a key that it delegated to has no share of its own.
    let (grantee, second) = (forge::random::<32>(), Hostile::start().await);
    let granted = forge::grant(&home.seed(), forge::id_of(&grantee), &GrantSpec::read_only());
    let lower = forge::Link::new(grantee, node.id(), second.id()).bytes();
    let above = ucan::Container::decode(&granted, &ucan::ContainerLimits::CHAIN, Profile::Strict).unwrap();
    let chain = forge::container(above.tokens().map(<[u8]>::to_vec).chain([lower]));
    let first = Hostile::with_seed(grantee).await;
    let mut held = Vec::new();
    for _ in 0..clankers_node::limits::CONNECTIONS_PER_PEER {
        held.push(first.welcomed(node.address(), vec![granted.clone()]).await);
    }
    let (late, _) = second.welcomed(node.address(), vec![]).await;
    let present = Present { chains: vec![chain], ext: Ext::default() };
    let _talk = late.say(&present).await;
    let code = wait::within("one connection too many is closed", LIMIT, late.close_code()).await;
    assert_eq!(code, CloseCode::RateLimited);
    // The owner is not counted.
    node.cli(["ps"]).run().ok();
    first.close().await;
    second.close().await;
}
