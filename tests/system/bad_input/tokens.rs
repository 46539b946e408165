//! Tokens that give nothing here: refused with exit code 4, and what is held stays held.

use std::time::Duration;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::node::{Info, InfoReply},
};
use clankers_tests::{NodeHome, forge, hostile::Hostile, limits::STEP, wait};
use serde_json::json;

use super::Bad;
use crate::BIN;

#[test]
fn tokens_that_are_not_for_here() {
    let (desk_home, other_home, guest) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let (desk, other) = (desk_home.start(), other_home.start());
    let denied = Bad { home: &guest, code: 4, kind: "denied" };
    let usage = Bad { home: &guest, code: 2, kind: "usage" };
    let import = ["token", "import", "-"];

    // For somebody else; about oneself; no token at all.
    let stolen = desk.token(other.id(), &["--root"]);
    denied.says_to(
        &import,
        Some(stolen.as_bytes()),
        &["not for this node", &other.id().to_string(), "rpc id"],
    );
    let own = desk.token(guest.id(), &["--reviewer"]);
    for (text, cause) in [
        ("hello", "no token"),
        (&own[..own.len() - 9], "no token"),
        (&format!("{own}AAAA"), "no token"),
        (&format!("x{own}"), "no token"),
    ] {
        denied.says_to(&import, Some(text.as_bytes()), &[cause, "token create"]);
    }
    usage.says_to(&import, Some(b" \n"), &["there is no token"]);
    Bad { home: &guest, code: 7, kind: "not_found" }
        .says(&["token", "import", "no-such-file"], &["no-such-file"]);
    assert_eq!(guest.cli(["token", "list", "--json"]).run().ok().json(), json!([]), "nothing of it was kept");

    // A good token of another node opens nothing here, and is said to be missing, not shown.
    other.grant(&guest, &["--root"]);
    denied.says(&["rpc", "prompt", desk.ticket(), "hi"], &[&format!("--for {}", guest.id())]);
    let refused = |words: &[&str]| denied.says(words, &["not allowed"]);
    refused(&["ps", "--remote", desk.ticket()]);
    // Too little is refused as well: watching is not prompting.
    desk.grant(&guest, &["--read-only"]);
    guest.cli(["ps", "--remote", desk.ticket(), "--json"]).run().ok();
    refused(&["rpc", "prompt", desk.ticket(), "hi"]);
    guest.cli(["rpc", "prompt", other.ticket(), "/ls"]).run().ok();
}

#[test]
fn a_token_ends_with_its_time() {
    let (desk_home, guest) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let desk = desk_home.start();
    desk.grant(&guest, &["--reviewer", "--expire", "2s"]);
    let token = desk.token(guest.id(), &["--reviewer", "--expire", "1s"]);
    let prompt = || guest.cli(["rpc", "prompt", desk.ticket(), "/ls"]).run();
    wait::until("the refusal of what has expired", STEP, || (prompt().exit.code == Some(4)).then_some(()));
    let denied = Bad { home: &guest, code: 4, kind: "denied" };
    denied.says(
        &["rpc", "prompt", desk.ticket(), "/ls"],
        &["not allowed to prompt", "past its time", "token create --for"],
    );
    denied.says_to(&["token", "import", "-"], Some(token.as_bytes()), &["expired"]);
    // A fresh one is all it takes.
    desk.grant(&guest, &["--reviewer"]);
    prompt().ok();
}

/// What the door says to a peer that shows these things itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_door_names_the_reason_in_one_code() {
    let home = NodeHome::new(BIN);
    let node = tokio::task::spawn_blocking({
        let home = home.clone();
        move || home.start()
    });
    let node = node.await.expect("a node");
    let (seed, peer) = (home.seed(), Hostile::start().await);
    let (now, foreign) = (forge::now().as_secs(), forge::random::<32>());
    let info = Info { leaf: None, ext: Ext::default() };
    let link = |issuer, from, to| forge::Link::new(issuer, node.id(), peer.id()).valid(from, to).bytes();
    for (chain, code) in [
        (forge::container([link(seed, now - 7200, now - 3600)]), RefusalCode::Expired),
        (forge::container([link(seed, now + 3600, now + 7200)]), RefusalCode::NotYetValid),
        (forge::grant(&foreign, peer.id(), &GrantSpec::root()), RefusalCode::WrongNode),
        (forge::grant(&seed, forge::id_of(&foreign), &GrantSpec::root()), RefusalCode::WrongAudience),
        (forge::container([link(foreign, now - 60, now + 3600)]), RefusalCode::BadToken),
        (b"garbage".to_vec(), RefusalCode::BadToken),
    ] {
        let (guest, _welcome) = peer.welcomed(node.address(), vec![chain]).await;
        assert_eq!(guest.ask(&info).await.refused(), code);
        guest.connection().close(0, "");
    }
    let (guest, _welcome) =
        peer.welcomed(node.address(), vec![forge::grant(&seed, peer.id(), &GrantSpec::read_only())]).await;
    let reply: InfoReply =
        wait::within("an answer", Duration::from_secs(20), guest.ask(&info)).await.message();
    assert_eq!(reply.id, node.id());
    peer.close().await;
    tokio::task::spawn_blocking(move || drop(node)).await.expect("its end");
}
