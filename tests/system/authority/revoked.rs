//! Revocations: who is believed, and what they end.

use std::time::Duration;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    NodeId,
    hello::ChainVerdict,
    message::Ext,
    refusal::RefusalCode,
    request::{
        node::{InfoReply, Pong},
        revocation::{RevocationOffer, RevocationSync, RevocationTaken},
    },
};
use clankers_tests::{
    Node, NodeHome, forge,
    hostile::{Answer, Guest, Hostile},
    load,
};

use super::{cids, offer, pass, revocation, show};
use crate::{
    BIN,
    attacks::{info, ping, raw},
};

fn revoked() -> ChainVerdict {
    ChainVerdict::Refused(RefusalCode::Revoked.number())
}

/// A chain of three links from the node to a peer, and the keys between.
struct Three {
    chain: Vec<u8>,
    /// The issuers of its links, root first.
    issuers: [[u8; 32]; 3],
    peer: Hostile,
    guest: Guest,
}

impl Three {
    async fn on(node: &Node) -> Self {
        let (a, b, peer) = (forge::random(), forge::random(), Hostile::start().await);
        let root = forge::grant(&node.home().seed(), forge::id_of(&a), &GrantSpec::reviewer());
        let middle = pass(&a, &root, forge::id_of(&b), &GrantSpec::default());
        let chain = pass(&b, &middle, peer.id(), &GrantSpec::default());
        let (guest, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
        assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{welcome:?}");
        Self { chain, issuers: [node.home().seed(), a, b], peer, guest }
    }

    async fn works(&self) {
        let _info: InfoReply = self.guest.ask(&info()).await.message();
    }

    async fn is_over(&self) {
        assert_eq!(raw::refused(&self.guest, &info()).await, RefusalCode::Revoked);
        assert_eq!(raw::refused(&self.guest, &raw::prompt("/ls")).await, RefusalCode::Revoked);
        assert_eq!(show(&self.guest, &self.chain).await, revoked());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_a_middle_and_a_root_are_revoked_by_whoever_stands_above() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    // Anybody may bring a revocation: it proves itself.
    let courier = Hostile::start().await;
    let (post, _) = courier.welcomed(node.address(), vec![]).await;
    for link in 0..3 {
        for by in 0..=link {
            let three = Three::on(&node).await;
            three.works().await;
            let taken = offer(&post, vec![revocation(&three.issuers[by], &three.chain, link)]).await;
            assert_eq!((taken.stored, taken.refused.len()), (1, 0), "link {link} by {by}");
            three.is_over().await;
            three.peer.close().await;
        }
    }
    courier.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_may_come_before_its_token_and_outlives_a_restart() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::reviewer());
    let (guest, _) = peer.welcomed(node.address(), vec![]).await;
    let body = revocation(&home.seed(), &chain, 0);
    assert_eq!(offer(&guest, vec![body.clone()]).await.stored, 1);
    assert_eq!(offer(&guest, vec![body]).await.known, 1);
    assert_eq!(show(&guest, &chain).await, revoked());
    let three = Three::on(&node).await;
    let taken = offer(&guest, vec![revocation(&three.issuers[1], &three.chain, 1)]).await;
    assert_eq!(taken.stored, 1);
    node.kill9();
    // Neither of the two records alone is needed.
    for lost in ["", "store.redb", "auth.log"] {
        if !lost.is_empty() {
            std::fs::remove_file(home.path().join(lost)).unwrap();
        }
        node.restart();
        let (_, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
        assert_eq!(welcome.chains, [revoked()], "without {lost:?}");
        let (_, welcome) = three.peer.welcomed(node.address(), vec![three.chain.clone()]).await;
        assert_eq!(welcome.chains, [revoked()], "without {lost:?}");
        node.kill9();
    }
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_by_anybody_else_or_a_forged_one_is_not_believed() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let three = Three::on(&node).await;
    let [_, a, b] = three.issuers;
    let cid = cids(&three.chain);
    let forger = |seed: [u8; 32], link: usize| {
        clankers_auth::revoke::make(&seed, &three.chain, &cid[link], forge::now(), forge::random())
    };
    // Nobody makes one by the product's own means who may not.
    assert!(forger(three.peer.seed(), 2).is_err(), "by the audience");
    assert!(forger(b, 1).is_err(), "by somebody below");
    assert!(forger(forge::random(), 0).is_err(), "by a stranger");
    // So they bend an honest one.
    let honest = revocation(&a, &three.chain, 1);
    let other = Three::on(&node).await;
    let bent: Vec<Vec<u8>> = (0..honest.len())
        .step_by(honest.len() / 24)
        .map(|at| {
            let mut bytes = honest.clone();
            bytes[at] ^= 1;
            bytes
        })
        .collect();
    let courier = Hostile::start().await;
    let (post, _) = courier.welcomed(node.address(), vec![]).await;
    let taken = offer(&post, bent.clone()).await;
    assert_eq!((taken.stored, taken.known, taken.refused.len()), (0, 0, bent.len()));
    // One about another node is not kept either, nor what is no revocation.
    let elsewhere = forge::random::<32>();
    let foreign = forge::grant(&elsewhere, courier.id(), &GrantSpec::root());
    let about_another = revocation(&elsewhere, &foreign, 0);
    let taken = offer(&post, vec![about_another, three.chain.clone(), vec![], vec![b'@']]).await;
    assert_eq!((taken.stored, taken.refused.len()), (0, 4));
    assert_eq!(taken.refused[0], RefusalCode::WrongNode.number());
    three.works().await;
    other.works().await;
    // The honest one, in the end.
    assert_eq!(offer(&post, vec![honest]).await.stored, 1);
    three.is_over().await;
    other.works().await;
    // Who shows nothing learns nothing of what was revoked.
    let sync =
        RevocationSync { subject: node.id(), count: 0, hash: [0; 32], have: Vec::new(), ext: Ext::default() };
    assert_eq!(raw::refused(&post, &sync).await, RefusalCode::Unauthorized);
    let nosy = RevocationSync { subject: NodeId([7; 32]), ..sync };
    assert_eq!(raw::refused(&other.guest, &nosy).await, RefusalCode::WrongNode);
    for peer in [courier, three.peer, other.peer] {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_revocations_costs_little_and_keeps_nobody_out() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let honest = Three::on(&node).await;
    let before =
        (load::memory(node.pid(), "VmRSS").unwrap(), home.path().join("auth.log").metadata().unwrap().len());
    let stranger = forge::random::<32>();
    let foreign = forge::grant(&stranger, NodeId([7; 32]), &GrantSpec::root());
    let spam =
        RevocationOffer { revocations: vec![revocation(&stranger, &foreign, 0); 32], ext: Ext::default() };
    let (mut sent, mut unread) = (0, 0);
    for _ in 0..8 {
        let peer = Hostile::start().await;
        let (guest, _) = peer.welcomed(node.address(), vec![]).await;
        for _ in 0..16 {
            sent += spam.revocations.len();
            match guest.ask(&spam).await {
                Answer::Frame(_) => {}
                Answer::Refused(refusal) if refusal.code() == RefusalCode::RateLimited => unread += 1,
                other => panic!("{other:?}"),
            }
        }
        peer.close().await;
    }
    assert!(sent >= 4_000 && unread >= 8 * 13, "{unread} of {sent} were not read");
    let after =
        (load::memory(node.pid(), "VmRSS").unwrap(), home.path().join("auth.log").metadata().unwrap().len());
    assert_eq!(after.1, before.1, "nothing of it is kept");
    assert!(after.0.saturating_sub(before.0) < 16 * 1024 * 1024, "{before:?} {after:?}");
    honest.works().await;
    let peer = Hostile::start().await;
    let (guest, _) = peer.welcomed(node.address(), vec![]).await;
    let asked = std::time::Instant::now();
    let _pong: Pong = guest.ask(&ping()).await.message();
    assert!(asked.elapsed() < Duration::from_secs(10));
    // One that counts is read in spite of them.
    let taken: RevocationTaken = offer(&guest, vec![revocation(&home.seed(), &honest.chain, 0)]).await;
    assert_eq!(taken.stored, 1);
    honest.is_over().await;
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_revokes_their_own_links_by_the_hundred_harms_nobody_else() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (holder, bystander) = (forge::random::<32>(), Three::on(&node).await);
    let granted = forge::grant(&home.seed(), forge::id_of(&holder), &GrantSpec::read_only());
    let peer = Hostile::with_seed(holder).await;
    let (guest, _) = peer.welcomed(node.address(), vec![granted.clone()]).await;
    for _ in 0..8 {
        let revoked = (0..32).map(|n: u8| {
            let below = pass(&holder, &granted, NodeId([n.max(1); 32]), &GrantSpec::default());
            revocation(&holder, &below, 1)
        });
        assert_eq!(offer(&guest, revoked.collect()).await.stored, 32);
    }
    let _info: InfoReply = guest.ask(&info()).await.message();
    bystander.works().await;
    peer.close().await;
    bystander.peer.close().await;
}
