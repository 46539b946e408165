//! Peers that ask for too much.

use std::{net::Ipv4Addr, time::Instant};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::{
        node::{InfoReply, Pong},
        session::{SessionList, SessionListReply},
    },
};
use clankers_tests::{NodeHome, forge, hostile::Hostile};

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
