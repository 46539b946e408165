//! What nodes hand each other: revocations, tokens, renewals.

use std::time::Duration;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::revocation::{TokenOffer, TokenOffered, TokenRenew},
};
use clankers_tests::{Node, NodeHome, forge, hostile::Hostile, wait};
use serde_json::{Value, json};

use super::{name_it, tokens};
use crate::{BIN, attacks::raw};

const LIMIT: Duration = Duration::from_secs(30);

fn cid(token: &Value) -> &str {
    token["cid"].as_str().unwrap()
}

/// Ann holds a reviewer's token of the node, and passes it on to Bob. Bob's token's CID.
fn passed_on(node: &Node, ann: &NodeHome, bob: &NodeHome) -> String {
    for guest in [ann, bob] {
        name_it(guest, node);
    }
    node.grant(ann, &["--reviewer"]);
    let held = tokens(ann);
    let made = ann
        .cli(["token", "delegate", "--json", "--from", cid(&held[0]), "--for", &bob.id().to_string()])
        .run()
        .ok()
        .json();
    bob.cli(["token", "import", "-"]).stdin(made["token"].as_str().unwrap()).run().ok();
    bob.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    made["cid"].as_str().unwrap().to_owned()
}

#[test]
fn a_teammates_revocation_is_pushed_to_the_node_that_has_to_know() {
    let (home, ann, bob) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    let cid = passed_on(&node, &ann, &bob);
    // Not Bob's to take back, nor the node's owner's without the token at hand.
    bob.cli(["token", "revoke", &cid]).run().code(2);
    bob.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    let ran = ann.cli(["token", "revoke", &cid, "--json"]).run().ok();
    assert_eq!(ran.json()["revoked"][0]["delivered"], true, "{}", ran.story());
    let ran = bob.cli(["rpc", "prompt", "desk", "/ls"]).run().code(4);
    assert!(ran.err().contains("revoked"), "{}", ran.story());
    ann.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    let row = home.cli(["audit", "--json", "--denied", "-n", "1"]).run().ok().json_lines().pop().unwrap();
    assert_eq!(row["code"], "revoked", "{row}");
}

#[test]
fn a_revocation_that_could_not_be_delivered_is_at_the_next_meeting() {
    let (home, ann, bob) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let mut node = home.start();
    let cid = passed_on(&node, &ann, &bob);
    node.stop();
    let ran = ann.cli(["token", "revoke", &cid, "--json"]).run().ok();
    assert_eq!(ran.json()["revoked"][0]["delivered"], false, "{}", ran.story());
    node.restart();
    for guest in [&ann, &bob] {
        name_it(guest, &node);
    }
    // The node cannot know yet.
    bob.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    ann.cli(["rpc", "ping", "desk", "-c", "1"]).run().ok();
    let ran = bob.cli(["rpc", "prompt", "desk", "/ls"]).run().code(4);
    assert!(ran.err().contains("revoked"), "{}", ran.story());
}

#[test]
fn a_token_is_delivered_to_a_node_that_knows_its_maker() {
    let (home, ann, carl) = (NodeHome::new(BIN), NodeHome::new(BIN), NodeHome::new(BIN));
    let (node, anns, stranger) = (home.start(), ann.start(), carl.start());
    for (from, to, label) in [(&home, &anns, "ann"), (&ann, &node, "desk"), (&carl, &anns, "ann")] {
        from.cli(["rpc", "peers", "add", to.ticket(), "--label", label]).run().ok();
    }
    let deliver = ["token", "create", "--for", "ann", "--reviewer", "--deliver", "--json"];
    assert_eq!(home.cli(deliver).run().ok().json()["delivered"], true);
    ann.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    // Ann does not know Carl: his node's tokens are nothing that she keeps.
    let ran = carl.cli(deliver).run().ok();
    assert_eq!(ran.json()["delivered"], false, "{}", ran.story());
    let held = tokens(&ann);
    assert_eq!((held.len(), &held[0]["subject"]), (1, &json!(node.id())));
    // A mistake in the name delivers to nobody.
    home.cli(["token", "create", "--for", "nobody", "--reviewer", "--deliver"]).run().code(7);
    drop(stranger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_only_what_is_for_it_and_not_too_much_of_that() {
    let (home, ann) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let (node, anns) = (home.start(), ann.start());
    name_it(&ann, &node);
    let courier = Hostile::start().await;
    let (post, _) = courier.welcomed(anns.address(), vec![]).await;
    let offer = |token: Vec<u8>| TokenOffer {
        token: clankers_auth::words::text(&token).unwrap(),
        ext: Ext::default(),
    };
    let for_ann = |spec: &GrantSpec| forge::grant(&home.seed(), anns.id(), spec);
    // For somebody else; of nobody that she knows; about herself; forged; nonsense.
    let for_another = forge::grant(&home.seed(), courier.id(), &GrantSpec::reviewer());
    assert_eq!(raw::refused(&post, &offer(for_another)).await, RefusalCode::WrongAudience);
    let of_a_stranger = forge::grant(&forge::random(), anns.id(), &GrantSpec::reviewer());
    assert_eq!(raw::refused(&post, &offer(of_a_stranger)).await, RefusalCode::Unauthorized);
    let forged = forge::container([forge::Link::new(forge::random(), node.id(), anns.id()).bytes()]);
    assert_eq!(raw::refused(&post, &offer(forged)).await, RefusalCode::BadToken);
    let nonsense = TokenOffer { token: "Cabc".into(), ext: Ext::default() };
    assert_eq!(raw::refused(&post, &nonsense).await, RefusalCode::BadToken);
    assert_eq!(tokens(&ann).len(), 0);
    // So many of one issuer, and then no more: the latest take the place of the first.
    for _ in 0..40 {
        let _kept: TokenOffered = post.ask(&offer(for_ann(&GrantSpec::read_only()))).await.message();
    }
    let held = tokens(&ann).len();
    assert!((8..=16).contains(&held), "{held}");
    // The owner's own import is not kept out by them.
    // The latest to end is shown first.
    let token = node.token(anns.id(), &["--reviewer", "--expire", "48h"]);
    ann.cli(["token", "import", "-"]).stdin(token.clone()).run().ok();
    let known: TokenOffered = post.ask(&TokenOffer { token, ext: Ext::default() }).await.message();
    assert!(known.known);
    ann.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    courier.close().await;
}

#[test]
fn a_grant_to_be_renewed_is_issued_again_until_it_is_revoked() {
    let (home, ann) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let node = home.start();
    name_it(&ann, &node);
    node.grant(&ann, &["--reviewer", "--expire", "4s", "--renew"]);
    let first = cid(&tokens(&ann)[0]).to_owned();
    // In the second half of its life, whatever is asked brings a new one.
    let second = wait::until("it is issued again", LIMIT, || {
        ann.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
        tokens(&ann).iter().map(|token| cid(token).to_owned()).find(|cid| *cid != first)
    });
    // When it has ended, the next command does.
    let ended = |cids: &[&str]| {
        let list = tokens(&ann);
        list.iter()
            .filter(|token| cids.contains(&cid(token)))
            .all(|token| token["state"] != "valid")
            .then_some(())
    };
    wait::until("it has ended", LIMIT, || ended(&[&first, &second]));
    ann.cli(["rpc", "prompt", "desk", "/ls"]).run().ok();
    // Taking one of them back, whichever, takes all of them back.
    node.cli(["token", "revoke", &first]).run().ok();
    let ran = ann.cli(["rpc", "prompt", "desk", "/ls"]).run().code(4);
    assert!(ran.err().contains("revoked"), "{}", ran.story());
    wait::until("nothing is valid any more", LIMIT, || {
        let _asked = ann.cli(["rpc", "prompt", "desk", "/ls"]).run().code(4);
        tokens(&ann).iter().all(|token| token["state"] != "valid").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_made_to_be_renewed_is_not() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest, chain) = super::granted(&node, &["--reviewer"]).await;
    let raw_chain =
        ucan::Container::decode(&chain, &ucan::ContainerLimits::CHAIN, ucan::Profile::Strict).unwrap();
    let renew = |chain: Vec<u8>| TokenRenew { chain, ext: Ext::default() };
    let refused = [
        renew(raw_chain.to_bytes().unwrap()),
        renew(forge::grant(&home.seed(), peer.id(), &GrantSpec { renew: true, ..GrantSpec::root() })),
        renew(forge::grant(&forge::random(), peer.id(), &GrantSpec { renew: true, ..GrantSpec::root() })),
        renew(vec![b'@', 1, 2, 3]),
    ];
    for (number, request) in refused.iter().enumerate() {
        let code = raw::refused(&guest, request).await;
        assert!(matches!(code, RefusalCode::Revoked | RefusalCode::BadToken), "{number}: {code:?}");
    }
    peer.close().await;
}
