//! Peers that ask for too much.

use std::{net::Ipv4Addr, time::Instant};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    event::Outcome,
    message::Ext,
    refusal::{CloseCode, RefusalCode},
    request::{
        node::{InfoReply, Pong},
        prompt::Accepted,
        session::{SessionList, SessionListReply},
    },
};
use clankers_tests::{
    NodeHome, Script, Turn, forge,
    hostile::{Answer, Hostile},
};

use super::{info, ping, raw};
use crate::BIN;

/// Connections of the flood (count).
const FLOOD: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_fresh_ids_does_not_keep_honest_peers_out() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let friend = Hostile::start().await;
    let chain = forge::grant(&home.seed(), friend.id(), &GrantSpec::read_only());
    let (kept, _) = friend.welcomed(node.address(), vec![chain.clone()]).await;
    let descriptors = clankers_tests::load::descriptors(node.pid()).unwrap();

    let mut held = Vec::new();
    let mut refused = 0;
    for n in 0..FLOOD {
        let stranger = Hostile::start_at(Ipv4Addr::new(127, 0, 0, 2)).await;
        let connection = {
            let dial = stranger.try_connect(node.address(), clankers_protocol::ALPN);
            tokio::time::timeout(std::time::Duration::from_millis(150), dial).await
        };
        match connection {
            Ok(Ok(guest)) => held.push((stranger, Some(guest))),
            _ => {
                refused += 1;
                held.push((stranger, None));
            }
        }
        if n % 50 == 49 {
            // In the thick of it: a kept connection, and a new one.
            let began = Instant::now();
            let _pong: Pong = kept.ask(&ping()).await.message();
            let (new, _) = friend.welcomed(node.address(), vec![chain.clone()]).await;
            let _info: InfoReply = new.ask(&info()).await.message();
            assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());
        }
    }
    let pinged = home.cli(["rpc", "ping", "local", "--json"]).run().ok().json();
    assert!(pinged["rtt_us"].as_u64().unwrap() < 1_000_000, "{pinged}");
    let open = clankers_tests::load::descriptors(node.pid()).unwrap();
    assert!(open < descriptors + 20, "{descriptors} descriptors became {open}");
    assert!(refused > 0 || held.len() == FLOOD);
    drop(held);
    friend.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_guest_fills_its_own_share_and_not_the_node() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking").hangs()));
    let node = home.start();
    let (greedy, modest) = (Hostile::start().await, Hostile::start().await);
    let grant = |peer: &Hostile| vec![forge::grant(&home.seed(), peer.id(), &GrantSpec::operator())];
    let (guest, _) = greedy.welcomed(node.address(), grant(&greedy)).await;

    let mut running = Vec::new();
    let code = loop {
        let mut talk = guest.say(&raw::prompt("think")).await;
        match talk.answer().await {
            Answer::Refused(refusal) => break refusal.code(),
            taken => drop(taken.message::<Accepted>()),
        }
        running.push(talk);
        assert!(running.len() < 200, "no end to what one guest may have running");
    };
    assert_eq!(code, RefusalCode::Busy);
    let mut kept = Vec::new();
    let closed = loop {
        let another = greedy.connect(node.address()).await;
        let answer = another.greet(grant(&greedy)).await;
        if let Answer::Closed(_) = answer {
            break another.close_code().await;
        }
        // Welcome may be followed by the goodbye.
        let asked = another.ask(&info()).await;
        if let Answer::Closed(_) = asked {
            break another.close_code().await;
        }
        let _info: InfoReply = asked.message();
        kept.push(another);
        assert!(kept.len() < 300, "no end to the connections of one guest");
    };
    assert_eq!(closed, CloseCode::RateLimited);
    // Everybody else has all of theirs.
    let (other, _) = modest.welcomed(node.address(), grant(&modest)).await;
    assert_eq!(raw::run(&other, "/ls").await.unwrap().outcome(), Outcome::Completed);
    home.cli(["rpc", "prompt", "local", "/ls"]).run().ok();
    let _pong: Pong = guest.ask(&ping()).await.message();
    // What is cancelled makes room.
    let session = home.cli(["ps", "--json"]).run().ok().json();
    let session = session.as_array().unwrap().iter().find(|one| one["state"] == "running").unwrap();
    home.cli(["daemon", "kill", session["id"].as_str().unwrap()]).run().ok();
    assert_eq!(raw::run(&guest, "/ls").await.unwrap().outcome(), Outcome::Completed);
    greedy.close().await;
    modest.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_too_often_is_no_longer_read_and_others_are_served() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let nuisance = Hostile::start().await;
    let friend = Hostile::start().await;
    let chain = forge::grant(&home.seed(), friend.id(), &GrantSpec::read_only());
    let (friendly, _) = friend.welcomed(node.address(), vec![chain]).await;
    let list = SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };

    let (guest, _) = nuisance.welcomed(node.address(), vec![]).await;
    let mut answers = Vec::new();
    for _ in 0..80 {
        answers.push(raw::refused(&guest, &list).await);
    }
    let (first, rest) = answers.split_at(60);
    assert!(first.iter().all(|code| *code == RefusalCode::Unauthorized), "{answers:?}");
    assert!(rest.iter().all(|code| *code == RefusalCode::RateLimited), "{answers:?}");
    // A new connection does not help, nor does another request; a ping is still a ping.
    let (again, _) = nuisance.welcomed(node.address(), vec![]).await;
    assert_eq!(raw::refused(&again, &info()).await, RefusalCode::RateLimited);
    let _pong: Pong = again.ask(&ping()).await.message();
    let _list: SessionListReply = friendly.ask(&list).await.message();
    home.cli(["ps", "--json"]).run().ok();
    nuisance.close().await;
    friend.close().await;
}
