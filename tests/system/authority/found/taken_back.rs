//! Renewals, and what takes them back.

use std::{collections::BTreeSet, fs, time::Duration};

use clankers_protocol::{
    hello::ChainVerdict,
    message::Ext,
    refusal::RefusalCode,
    request::{
        node::InfoReply,
        revocation::{RevocationSync, RevocationSynced, TokenRenew, TokenRenewed},
    },
};
use clankers_tests::{
    Node, NodeHome, forge,
    hostile::{Answer, Guest, Hostile},
    wait,
};

use super::super::{cid_text, cids, granted, revocation, show, tokens};
use crate::{
    BIN,
    attacks::{info, raw},
};

const LIMIT: Duration = Duration::from_secs(20);
/// A life whose half is waited for.
const SHORT: &[&str] = &["--reviewer", "--expire", "4s", "--renew"];

fn renewal(chain: &[u8]) -> TokenRenew {
    TokenRenew { chain: chain.to_vec(), ext: Ext::default() }
}

async fn renewed(guest: &Guest, chain: &[u8]) -> Vec<u8> {
    let made: TokenRenewed = guest.ask(&renewal(chain)).await.message();
    made.token.into_bytes()
}

/// Asks until the second half of the token's life has come, and it is another one.
async fn successor(guest: &Guest, chain: &[u8]) -> Vec<u8> {
    wait::within("a new one", LIMIT, async {
        loop {
            let token = renewed(guest, chain).await;
            if cids(&token) != cids(chain) {
                return token;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_get_one_renewal_in_half_a_life() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest, chain) = granted(&node, SHORT).await;
    // At first what it has is fresh enough.
    for _ in 0..8 {
        assert_eq!(cids(&renewed(&guest, &chain).await), cids(&chain));
    }
    let _second = successor(&guest, &chain).await;
    let racing: Vec<_> = (0..16)
        .map(|_| {
            let (guest, chain) = (guest.clone(), chain.clone());
            tokio::spawn(async move { cids(&renewed(&guest, &chain).await) })
        })
        .collect();
    let mut had = BTreeSet::new();
    for one in racing {
        had.insert(one.await.unwrap());
    }
    assert_eq!(had.len(), 1, "one new token, whoever asks");
    assert_eq!(tokens(&home).len(), 2);
    peer.close().await;
}

/// Revokes a token by the file that it was handed out in; nothing of its line is of use after.
async fn taken_back(node: &Node, peer: &Hostile, guest: &Guest, first: &[u8], second: &[u8]) {
    let home = node.home();
    let file = home.root().join("handed-out.token");
    fs::write(&file, first).unwrap();
    home.cli(["token", "revoke", &file.display().to_string(), "--json"]).run().ok();
    for chain in [first, second] {
        let ChainVerdict::Refused(code) = show(guest, chain).await else { panic!("it is still valid") };
        assert!([RefusalCode::Revoked.number(), RefusalCode::Expired.number()].contains(&code), "{code}");
        assert_eq!(raw::refused(guest, &renewal(chain)).await, RefusalCode::Revoked);
    }
    let verdict = ChainVerdict::Refused(RefusalCode::Revoked.number());
    let (_, welcome) = peer.welcomed(node.address(), vec![second.to_vec()]).await;
    assert_eq!(welcome.chains, [verdict]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_a_token_by_its_file_ends_what_it_was_renewed_to() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest, first) = granted(&node, SHORT).await;
    let second = successor(&guest, &first).await;
    assert!(matches!(show(&guest, &second).await, ChainVerdict::Held(_)));
    taken_back(&node, &peer, &guest, &first, &second).await;
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_an_expired_token_by_its_file_ends_what_it_was_renewed_to() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest, first) = granted(&node, SHORT).await;
    let expired = ChainVerdict::Refused(RefusalCode::Expired.number());
    wait::within("its end", LIMIT, async {
        while show(&guest, &first).await != expired {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    let second = successor(&guest, &first).await;
    assert!(matches!(show(&guest, &second).await, ChainVerdict::Held(_)));
    taken_back(&node, &peer, &guest, &first, &second).await;
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revoked_is_told_to_the_owner_and_to_no_guest() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (victim, theirs, chain) = granted(&node, &["--reviewer"]).await;
    let (nosy, guest, _) = granted(&node, &["--root"]).await;
    let sync =
        RevocationSync { subject: node.id(), count: 0, hash: [0; 32], have: Vec::new(), ext: Ext::default() };
    let _before: RevocationSynced = theirs.ask(&sync).await.message();
    let body = revocation(&home.seed(), &chain, 0);
    assert_eq!(super::super::offer(&guest, vec![body]).await.stored, 1);
    let told: RevocationSynced = guest.ask(&sync).await.message();
    assert_eq!((told.same, told.missing.len()), (false, 0), "a witness is nobody else's business");
    // A connection that was let in before.
    let asked = theirs.ask(&sync).await;
    assert!(matches!(asked, Answer::Refused(_)), "{asked:?}");
    let owner = Hostile::start().await;
    let run = forge::owner_run(&home.seed(), owner.id());
    let (own, _) = owner.welcomed(node.address(), vec![run]).await;
    let told: RevocationSynced = own.ask(&sync).await.message();
    assert_eq!(told.missing.len(), 1);
    for peer in [victim, nosy, owner] {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_token_is_forgotten_and_an_issued_one_is_not() {
    let (home, ann) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    node.grant(&ann, &["--reviewer"]);
    ann.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().ok();
    let cid = tokens(&ann)[0]["cid"].as_str().unwrap().to_owned();
    ann.cli(["token", "forget", &cid]).run().ok();
    assert_eq!(tokens(&ann).len(), 0);
    ann.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().code(4);
    ann.cli(["token", "forget", &cid]).run().code(7);
    let (peer, guest, chain) = granted(&node, &["--read-only"]).await;
    let ran = home.cli(["token", "forget", &cid_text(&chain, 0)]).run().code(2);
    assert!(ran.err().contains("token revoke"), "{}", ran.story());
    let _works: InfoReply = guest.ask(&info()).await.message();
    assert_eq!(tokens(&home).len(), 2);
    peer.close().await;
}
