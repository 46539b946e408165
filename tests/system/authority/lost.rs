//! A node that cannot know what was taken back, and an owner who takes everything back.

use std::fs;

use clankers_protocol::{
    hello::ChainVerdict,
    refusal::RefusalCode,
    request::node::{InfoReply, Pong},
};
use clankers_tests::{NodeHome, hostile::Hostile};
use serde_json::json;

use super::granted;
use crate::{
    BIN,
    attacks::{info, ping, raw},
};

fn trouble() -> ChainVerdict {
    ChainVerdict::Refused(RefusalCode::NodeTrouble.number())
}

fn revoked() -> ChainVerdict {
    ChainVerdict::Refused(RefusalCode::Revoked.number())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_records_lets_nobody_in_but_its_owner() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let (peer, _, chain) = granted(&node, &["--root"]).await;
    node.kill9();
    fs::remove_file(home.path().join("store.redb")).unwrap();
    fs::remove_file(home.path().join("auth.log")).unwrap();
    for _ in 0..2 {
        node.restart();
        let (guest, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
        assert_eq!(welcome.chains, [trouble()]);
        assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::NodeTrouble);
        let _pong: Pong = guest.ask(&ping()).await.message();
        home.cli(["ps"]).run().ok();
        home.cli(["rpc", "prompt", "local", "/ls"]).run().ok();
        // It stays so until the owner says that nothing of before counts.
        node.kill9();
    }
    node.restart();
    let ran = home.cli(["token", "revoke", "--all"]).run().code(2);
    assert!(ran.err().contains("--yes"), "{}", ran.story());
    let ran = home.cli(["token", "revoke", "--all", "--yes", "--json"]).run().ok();
    assert!(ran.json()["epoch"].is_string(), "{}", ran.story());
    let (_, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    assert_eq!(welcome.chains, [revoked()]);
    let (other, guest, _) = granted(&node, &["--read-only"]).await;
    let _info: InfoReply = guest.ask(&info()).await.message();
    peer.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_everything_back_ends_every_token_of_before_and_none_of_after() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let (old, guest, chain) = granted(&node, &["--root"]).await;
    let mut viewer = {
        raw::run(&guest, "/ls").await.unwrap();
        let running = NodeHome::new(BIN);
        node.grant(&running, &["--reviewer"]);
        running.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().ok();
        let mut viewer =
            running.cli(["attach", "last", "--remote", node.ticket(), "--mode", "json"]).stdin_open().start();
        viewer.json_of_type("attached");
        viewer
    };
    let said = home.cli(["token", "revoke", "--all", "--yes", "--json"]).run().ok().json();
    assert_eq!(said["revoked"], json!([]));
    while viewer.json().is_some() {}
    viewer.finish().code(4);
    assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::Revoked);
    let (fresh, guest, _) = granted(&node, &["--root"]).await;
    let _info: InfoReply = guest.ask(&info()).await.message();
    let listed = super::tokens(&home);
    let states: Vec<&str> = listed.iter().map(|token| token["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "revoked").count(), 2, "{listed:?}");
    assert_eq!(states.iter().filter(|state| **state == "valid").count(), 1, "{listed:?}");
    node.kill9();
    node.restart();
    let again = Hostile::with_seed(old.seed()).await;
    let (_, welcome) = again.welcomed(node.address(), vec![chain]).await;
    assert_eq!(welcome.chains, [revoked()]);
    for peer in [old, fresh, again] {
        peer.close().await;
    }
}
