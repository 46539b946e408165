//! Transfers under one id: whoever begins one chooses it, and may choose that of one that it was sent, or of another peer.

use std::time::Duration;

use clankers_protocol::{request::transfer::FileOffer, transfer::TransferId};
use clankers_tests::{Node, NodeHome, hostile::Hostile, wait::until};

use super::peer::{accepted, file};
use crate::BIN;

const LIMIT: Duration = Duration::from_secs(60);

/// Way, peer, name and state of each that is listed under this id.
fn listed(node: &Node, id: &str) -> Vec<[String; 4]> {
    let all = node.cli(["--json", "rpc", "transfers"]).run().ok().json();
    let under = all.as_array().unwrap().iter().filter(|one| one["id"] == id);
    let mut found: Vec<_> = under
        .map(|one| ["direction", "peer", "name", "state"].map(|key| one[key].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_hides_another_and_all_are_in_their_owners_reach() {
    let (node, friend) = (NodeHome::new(BIN).start(), NodeHome::new(BIN).start());
    friend.grant(node.home(), &["--drop"]);
    let mine = node.home().file("mine", "1");
    node.cli(["rpc", "send-file", friend.ticket(), mine.to_str().unwrap()]).run().ok();
    let (id, _) = super::state(node.home());
    let transfer: TransferId = id.parse().unwrap();
    let (mut peers, mut talks) = (Vec::new(), Vec::new());
    for _peer in 0..2 {
        let peer = Hostile::start().await;
        let chain = node.token(peer.id(), &["--drop"]).into_bytes();
        for name in ["a", "b"] {
            let (guest, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
            let mut talk = guest.say(&FileOffer { transfer, ..file(name, 5) }).await;
            accepted(&mut talk).await;
            talks.push((guest, talk));
        }
        peers.push(peer);
    }
    let [first, second] = [0, 1].map(|place: usize| peers[place].id().short());
    let of = |peer: &str, states: [&str; 2]| {
        let one = |(name, state)| ["receive", peer, name, state].map(str::to_owned);
        ["a", "b"].into_iter().zip(states).map(one).collect::<Vec<_>>()
    };
    let over = ["cancelled"; 2];
    // What a peer begins anew under the same id ends what it began before.
    let begun = ["interrupted", "running"];
    let all = until("both of both are listed", LIMIT, || {
        let all = listed(&node, &id);
        let both = [of(&first, begun), of(&second, begun)].concat();
        both.iter().all(|one| all.contains(one)).then_some(all)
    });
    assert_eq!(all.len(), 5, "{all:?}");
    let edit = |word: &str, which: &str| node.cli(["rpc", "transfers", word, which]).run();
    // One's own is meant by an id alone.
    let ran = edit("cancel", &id).code(1);
    assert!(ran.err().contains("is over: done"), "{}", ran.story());
    edit("cancel", &format!("{}@{first}", &id[..10])).ok();
    until("both of them end", LIMIT, || {
        let all = listed(&node, &id);
        of(&first, over).iter().all(|one| all.contains(one)).then_some(())
    });
    assert!(of(&second, begun).iter().all(|one| listed(&node, &id).contains(one)));
    edit("forget", &id).ok();
    let ran = edit("forget", &id).code(2);
    assert!(ran.err().contains(&format!("{}@", &id[..10])), "{}", ran.story());
    // What is cancelled lets go of its place a moment later.
    let forgotten = |which: &str| {
        until("it is forgotten", LIMIT, || (edit("forget", which).exit.code == Some(0)).then_some(()));
    };
    forgotten(&format!("{id}@{first}"));
    assert_eq!(listed(&node, &id), of(&second, begun));
    edit("cancel", &id).ok();
    until("they end, too", LIMIT, || (listed(&node, &id) == of(&second, over)).then_some(()));
    forgotten(&id);
    assert!(listed(&node, &id).is_empty());
    edit("forget", &format!("{id}@{second}")).code(7);
}
