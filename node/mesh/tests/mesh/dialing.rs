//! Starting, dialing, accepting, closing; and every way in which a dial fails.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use clankers_mesh::{
    AddressError, Bind, DialFailure, Mesh, MeshConfig, MeshError, Path, PeerAddress, Relay, limits,
    parse_ticket,
};
use clankers_protocol::NodeId;

use super::{ALPN, PATIENCE, config, connect, id_of, soon, start};

#[tokio::test]
async fn a_peer_is_dialed_by_its_ticket_and_proves_its_id() {
    let b = start(2).await;
    let ticket = parse_ticket(&b.ticket()).unwrap();
    assert_eq!(ticket, b.address());
    assert_eq!(ticket.addrs, b.local_addrs());
    let a = Mesh::start(MeshConfig::dial_only([1; 32].into())).await.unwrap();
    let (at_a, at_b) =
        soon("dial", async { tokio::join!(a.dial(&ticket, ALPN, PATIENCE), b.accept()) }).await;
    let (at_a, at_b) = (at_a.unwrap(), at_b.unwrap());
    assert_eq!((at_a.remote(), at_b.remote()), (b.id(), a.id()));
    assert_eq!((a.id(), b.id()), (id_of(1), id_of(2)));
    assert_eq!(at_a.path(), Path::Direct(b.addrs()[0]));
    assert_eq!(at_a.remote_addr(), Some(b.addrs()[0]));
    assert_eq!(at_a.path().word(), "direct");
    assert_eq!(at_b.alpn(), ALPN);
    assert!(at_a.rtt() > Duration::ZERO);
    assert_eq!(at_a.serial(), at_a.clone().serial());
    assert_ne!(at_a.serial(), at_b.serial());
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn the_peer_hears_why_a_connection_is_closed() {
    let pair = connect(1, 2).await;
    pair.at_b.close(4007, "token \x1b[31mexpired\x1b[0m");
    let seen = soon("closed", pair.at_a.closed()).await;
    assert_eq!((seen.code, seen.by_peer), (Some(4007), true));
    assert_eq!(seen.reason, "token \u{fffd}[31mexpired\u{fffd}[0m");
    let own = soon("closed", pair.at_b.closed()).await;
    assert_eq!((own.code, own.by_peer), (Some(4007), false));
    assert!(own.reason.starts_with("token"));
    pair.close().await;
}

#[tokio::test]
async fn closing_a_mesh_tells_its_peers_at_once() {
    let pair = connect(1, 2).await;
    let begun = Instant::now();
    let waiting = pair.a.accept();
    let ((), none) = soon("closing", async { tokio::join!(pair.a.close(), waiting) }).await;
    assert!(none.is_none(), "who waits in accept hears of the end");
    let seen = soon("closed", pair.at_b.closed()).await;
    assert!(seen.by_peer);
    assert!(begun.elapsed() < Duration::from_millis(limits::CLOSE_MS), "{:?}", begun.elapsed());
    assert!(soon("end of accept", pair.a.accept()).await.is_none());
    pair.close().await;
}

#[tokio::test]
async fn an_unreachable_peer_ends_in_time_and_names_what_was_tried() {
    // A socket that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let a = start(1).await;
    let peer =
        PeerAddress { id: id_of(9), addrs: vec![addr], relay: Some("https://relay.example.org".to_owned()) };
    let limit = Duration::from_millis(300);
    let begun = Instant::now();
    let e = a.dial(&peer, ALPN, limit).await.unwrap_err();
    assert!(begun.elapsed() < limit + Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(e.how, DialFailure::Timeout(limit));
    assert_eq!((e.tried.addrs.as_slice(), e.tried.mdns.clone()), ([addr].as_slice(), None));
    let text = e.to_string();
    for part in [&id_of(9).short(), &addr.to_string(), "mDNS not asked", "relay is off", "0.3 s"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    a.close().await;
}

#[tokio::test]
async fn nowhere_to_dial_is_said_at_once() {
    let a = start(1).await;
    let begun = Instant::now();
    let nowhere = a.dial(&id_of(9).into(), ALPN, PATIENCE).await.unwrap_err();
    assert_eq!(nowhere.how, DialFailure::NoAddress);
    let no_key = NodeId([2; 32]);
    let e = a.dial(&no_key.into(), ALPN, PATIENCE).await.unwrap_err();
    assert_eq!(e.how, DialFailure::Address(AddressError::NotAKey(no_key)));
    assert_eq!(a.dial(&a.address(), ALPN, PATIENCE).await.unwrap_err().how, DialFailure::Myself);
    assert_eq!(a.dial(&a.id().into(), ALPN, PATIENCE).await.unwrap_err().how, DialFailure::Myself);
    let of_many = PeerAddress { addrs: vec!["224.0.0.251:5353".parse().unwrap()], ..id_of(9).into() };
    assert_eq!(a.dial(&of_many, ALPN, PATIENCE).await.unwrap_err().how, DialFailure::NoAddress);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    a.close().await;
    let somewhere = PeerAddress { addrs: vec!["127.0.0.1:9".parse().unwrap()], ..id_of(9).into() };
    let e = a.dial(&somewhere, ALPN, PATIENCE);
    assert_eq!(e.await.unwrap_err().how, DialFailure::MeshClosed);
}

#[tokio::test]
async fn another_protocol_is_told_from_no_answer() {
    let (a, b) = (start(1).await, start(2).await);
    let e = a.dial(&b.address(), b"clankers/99", PATIENCE).await.unwrap_err();
    assert_eq!(e.how, DialFailure::Protocol("clankers/99".to_owned()));
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn another_node_at_the_address_is_told_from_no_answer() {
    let (a, b) = (start(1).await, start(2).await);
    let stale = PeerAddress { id: id_of(3), ..b.address() };
    let e = a.dial(&stale, ALPN, PATIENCE).await.unwrap_err();
    assert_eq!(e.how, DialFailure::OtherNode);
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn a_mesh_that_only_dials_refuses_callers() {
    let (a, b) = (start(1).await, Mesh::start(MeshConfig::dial_only([2; 32].into())).await.unwrap());
    let e = a.dial(&b.address(), ALPN, PATIENCE).await.unwrap_err();
    assert_eq!(e.how, DialFailure::Busy);
    assert!(b.accept().await.is_none());
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let a = start(1).await;
    let taken = a.addrs()[0];
    let again = |bind| Mesh::start(MeshConfig { bind, ..config(2) });
    for bind in [Bind::Loopback { port: taken.port() }, Bind::Exact(vec!["[::1]:0".parse().unwrap(), taken])]
    {
        match again(bind).await {
            Err(MeshError::PortTaken(addr)) => assert_eq!(addr, taken),
            other => panic!("{other:?}"),
        }
    }
    a.close().await;
    drop(a);
    // The operating system frees the socket a moment later, on another thread of the runtime.
    let b = soon("the port to be free again", async {
        loop {
            match again(Bind::Loopback { port: taken.port() }).await {
                Err(MeshError::PortTaken(_)) => tokio::task::yield_now().await,
                done => break done.expect("starts again"),
            }
        }
    })
    .await;
    assert_eq!(b.addrs(), [taken]);
    b.close().await;
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_with_a_reason() {
    let two: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    for bind in [Bind::Exact(two), Bind::Exact(Vec::new())] {
        assert!(matches!(Mesh::start(MeshConfig { bind, ..config(1) }).await, Err(MeshError::Addresses(_))));
    }
    let foreign = Bind::Exact(vec!["192.0.2.1:0".parse().unwrap()]);
    assert!(matches!(
        Mesh::start(MeshConfig { bind: foreign, ..config(1) }).await,
        Err(MeshError::Bind { .. })
    ));
    let relay = Relay::Url("not a relay".to_owned());
    assert!(matches!(Mesh::start(MeshConfig { relay, ..config(1) }).await, Err(MeshError::Relay(_))));
}

#[tokio::test]
async fn a_mesh_on_every_interface_is_reached_from_this_machine() {
    let b = Mesh::start(MeshConfig { bind: Bind::Any { port: 0 }, ..config(2) }).await.unwrap();
    assert!(!b.addrs().is_empty());
    let local = b.local_addrs();
    assert!(local.iter().all(|a| a.port() == local[0].port()), "one port to remember: {local:?}");
    assert!(local.iter().all(|a| a.ip().is_loopback()), "{local:?}");
    let a = start(1).await;
    let v4 = local.iter().copied().filter(SocketAddr::is_ipv4).collect();
    let address = PeerAddress { id: b.id(), addrs: v4, relay: None };
    let (at_a, at_b) =
        soon("dial", async { tokio::join!(a.dial(&address, ALPN, PATIENCE), b.accept()) }).await;
    assert_eq!((at_a.unwrap().remote(), at_b.unwrap().remote()), (b.id(), a.id()));
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn a_relay_that_is_not_there_holds_up_nothing_nearby() {
    let relay = Relay::Url("http://127.0.0.1:9".to_owned());
    let begun = Instant::now();
    let b = Mesh::start(MeshConfig { relay: relay.clone(), ..config(2) }).await.unwrap();
    let a = Mesh::start(MeshConfig { relay, ..config(1) }).await.unwrap();
    // The relay of a stranger in a ticket is not used here.
    let address = PeerAddress { relay: Some("https://elsewhere.example.org".to_owned()), ..b.address() };
    let (at_a, at_b) =
        soon("dial", async { tokio::join!(a.dial(&address, ALPN, PATIENCE), b.accept()) }).await;
    assert_eq!(at_a.unwrap().path(), Path::Direct(b.addrs()[0]));
    assert!(at_b.is_some());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let e = a.dial(&id_of(9).into(), ALPN, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(e.tried.relay.as_deref(), Some("http://127.0.0.1:9/"));
    assert!(e.to_string().contains("relay http://127.0.0.1:9"), "{e}");
    tokio::join!(a.close(), b.close());
}
