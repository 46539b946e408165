//! Sides that stand still, in the midst of a transfer, or leave without a word.

use std::{
    fs,
    time::{Duration, Instant},
};

use clankers_node::limits::TRANSFERS_PER_PEER;
use clankers_protocol::{
    Message,
    message::Ext,
    refusal::RefusalCode,
    request::transfer::{FileCommit, FileReceipt},
    transfer::tree::hash_block,
};
use clankers_tests::{
    hostile::{Answer, Guest, Talk, frame},
    wait::until,
};
use rustix::process::Signal;

use super::{
    LARGE, Two, content, moving,
    peer::{accepted, answer, block, file, intruder, lane},
    travelled,
};

/// A receiver's node that stands still and comes to itself again: its sender goes on by itself.
#[test]
fn a_receiver_that_stands_still_is_gone_on_with_when_it_moves_again() {
    let two = Two::with(&["--drop"]);
    let big = two.lap.file("big", content(1, LARGE));
    let sending = two.send([big.to_str().unwrap(), "--limit-rate", "8MiB"]).start();
    moving(&two.inbox(), 2);
    two.desk.signal(Signal::STOP);
    until("the sender notices", Duration::from_secs(60), || {
        assert!(sending.process().exit().is_none(), "it gave up: {}", sending.process().story());
        sending.process().stderr().text().contains("trying again").then_some(())
    });
    two.desk.signal(Signal::CONT);
    let ran = sending.finish().ok();
    assert!(travelled(&ran.json_lines()) < LARGE, "what had arrived is not sent again: {}", ran.story());
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(1, LARGE));
}

/// Offers again and again until it is taken: a place that was left is free once the node has seen that.
async fn taken(guest: &Guest, name: &str) -> (Talk, clankers_protocol::transfer::TransferId) {
    let begun = Instant::now();
    loop {
        let offer = file(name, 5);
        let mut talk = guest.say(&offer).await;
        match answer(&mut talk).await {
            Answer::Frame(_) => return (talk, offer.transfer),
            Answer::Refused(refusal) if refusal.code() == RefusalCode::Busy => {}
            other => panic!("{name}: {other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: no place comes back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_that_stand_still_have_so_many_places_and_give_them_back_when_they_go() {
    let intruder = intruder().await;
    let mut held = Vec::new();
    for number in 0..TRANSFERS_PER_PEER {
        let mut talk = intruder.guest.say(&file(&format!("f{number}"), 5)).await;
        accepted(&mut talk).await;
        held.push(talk);
    }
    let mut late = intruder.guest.say(&file("late", 5)).await;
    assert_eq!(answer(&mut late).await.refused(), RefusalCode::Busy);
    // One that ends without a word, one that breaks off, and all of a connection that is closed.
    drop(held.pop());
    let (first, _) = taken(&intruder.guest, "first").await;
    held.pop().unwrap().reset(3);
    let (second, _) = taken(&intruder.guest, "second").await;
    drop((first, second));
    intruder.guest.connection().close(0, "");
    let (guest, _) = intruder.peer.welcomed(intruder.node.address(), vec![intruder.chain.clone()]).await;
    let mut held = Vec::new();
    for number in 0..TRANSFERS_PER_PEER {
        held.push(taken(&guest, &format!("g{number}")).await);
    }
    // And what is left of the places is as good as before.
    let (mut talk, transfer) = held.pop().unwrap();
    let mut data = lane(&guest, transfer).await;
    data.write(&block(0, 0, b"hello", hash_block(5, 0, b"hello"))).await.unwrap();
    talk.write(&frame(FileCommit::KIND, &FileCommit { ext: Ext::default() }.encode())).await.unwrap();
    assert_eq!(answer(&mut talk).await.message::<FileReceipt>().receipt.files, 1);
    intruder.peer.close().await;
}
