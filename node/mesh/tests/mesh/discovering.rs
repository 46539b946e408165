//! Nodes that find each other by mDNS, on the loopback interface, with a port of their own for each test.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use clankers_mesh::{DialFailure, Mdns, Mesh, MeshConfig, PeerAddress, ResolveError, limits};

use clankers_protocol::NodeId;

use super::{
    ALPN, PATIENCE, config, id_of,
    packet::{Sender, announcement},
    soon,
};

/// Says whether a packet sent to a group on loopback comes back: not every machine allows it.
pub(crate) fn multicast_works() -> bool {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let works = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.set_multicast_loop_v4(true)?;
        sender.send_to(b"anyone?", (group, socket.local_addr()?.port()))?;
        Ok(socket.recv(&mut [0; 16])? == 7)
    };
    match works() {
        Ok(true) => true,
        other => {
            println!("skipped: multicast does not work on this machine's loopback interface: {other:?}");
            false
        }
    }
}

pub(crate) fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

pub(crate) async fn mesh(seed: u8, port: u16, label: Option<&str>) -> Mesh {
    let label = label.map(str::to_owned);
    let mdns = Some(Mdns { port, loopback: true, label, ..Mdns::default() });
    Mesh::start(MeshConfig { mdns, ..config(seed) }).await.unwrap()
}

#[tokio::test]
async fn two_nodes_find_each_other_and_say_goodbye() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let a = mesh(1, port, None).await;
    let b = mesh(2, port, Some("build\u{202e}box")).await;
    let (at_a, at_b) = (a.discovery().unwrap(), b.discovery().unwrap());
    let found = soon("a finds b", at_a.wait_for(b.id(), PATIENCE)).await.expect("found");
    assert_eq!((found.id, found.addrs.as_slice()), (b.id(), b.addrs().as_slice()));
    assert_eq!(found.label.as_deref(), Some("build\u{fffd}box"));
    assert_eq!(found.version, env!("CARGO_PKG_VERSION"));
    soon("b finds a", at_b.wait_for(a.id(), PATIENCE)).await.expect("found");
    assert_eq!(at_b.list().len(), 1, "nobody finds itself");
    assert_eq!(at_a.resolve(&b.id().to_string()[..8]).unwrap().id, b.id());
    let mut news = at_a.subscribe();
    b.close().await;
    soon("the goodbye", news.next()).await.unwrap();
    assert_eq!(at_a.resolve(&b.id().to_string()), Err(ResolveError::NotFound));
    a.close().await;
}

#[tokio::test]
async fn a_peer_is_dialed_by_its_id_alone() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let (a, b) = (mesh(1, port, None).await, mesh(2, port, None).await);
    let id_only = PeerAddress::from(b.id());
    let (at_a, at_b) =
        soon("dial", async { tokio::join!(a.dial(&id_only, ALPN, PATIENCE), b.accept()) }).await;
    assert_eq!((at_a.unwrap().remote(), at_b.unwrap().remote()), (b.id(), a.id()));
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn a_stale_address_is_made_good_by_a_found_one() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let (a, b) = (mesh(1, port, None).await, mesh(2, port, None).await);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stale = PeerAddress { addrs: vec![silent.local_addr().unwrap()], ..b.id().into() };
    let (at_a, at_b) = soon("dial", async { tokio::join!(a.dial(&stale, ALPN, PATIENCE), b.accept()) }).await;
    assert_eq!(at_a.unwrap().remote_addr(), Some(b.addrs()[0]));
    drop(at_b);
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn who_is_not_there_is_looked_for_no_longer_than_allowed() {
    let a = mesh(1, free_port(), None).await;
    let limit = Duration::from_millis(400);
    let e = soon("the end of the dial", a.dial(&id_of(9).into(), ALPN, limit)).await.unwrap_err();
    assert_eq!(e.how, DialFailure::Timeout(limit));
    assert_eq!(e.tried.mdns, Some(Vec::new()));
    assert!(e.to_string().contains("mDNS (not seen)"), "{e}");
    assert_eq!(a.discovery().unwrap().wait_for(id_of(9), limit).await, None);
    a.close().await;
}

#[tokio::test]
async fn a_listener_that_does_not_announce_is_not_seen() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let quiet = Mdns { port, loopback: true, advertise: false, ..Mdns::default() };
    let a = Mesh::start(MeshConfig { mdns: Some(quiet), ..config(1) }).await.unwrap();
    let b = mesh(2, port, None).await;
    let c = mesh(3, port, None).await;
    soon("a hears b", a.discovery().unwrap().wait_for(b.id(), PATIENCE)).await.expect("found");
    soon("c hears b", c.discovery().unwrap().wait_for(b.id(), PATIENCE)).await.expect("found");
    assert!(c.discovery().unwrap().list().iter().all(|d| d.id != a.id()));
    for mesh in [a, b, c] {
        mesh.close().await;
    }
}

#[tokio::test]
async fn a_dead_node_is_forgotten_after_a_dial_that_failed() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let a = mesh(1, port, None).await;
    let found = a.discovery().unwrap();
    let mut news = found.subscribe();
    // Announced once, never heard again: what a kill -9 leaves behind for 120 s.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let packet = announcement(id_of(9), Ipv4Addr::LOCALHOST, addr.port());
    let sender = Sender::new(port);
    soon("the announcement", async {
        while found.addrs(id_of(9)) != [addr] {
            sender.send(&packet);
            drop(tokio::time::timeout(Duration::from_millis(100), news.next()).await);
        }
    })
    .await;
    let e = a.dial(&id_of(9).into(), ALPN, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(e.tried.mdns, Some(vec![addr]));
    assert!(e.to_string().contains(&format!("mDNS ({addr})")), "{e}");
    soon("the dead node to be forgotten", async {
        while found.resolve(&id_of(9).to_string()).is_ok() {
            news.next().await.unwrap();
        }
    })
    .await;
    a.close().await;
}

#[tokio::test]
async fn a_flood_on_the_network_costs_neither_memory_nor_old_friends() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let a = mesh(1, port, None).await;
    let b = mesh(2, port, None).await;
    let found = a.discovery().unwrap();
    soon("a finds b", found.wait_for(b.id(), PATIENCE)).await.expect("found");
    let sender = Sender::new(port);
    let made_up = |n: u32| {
        let mut bytes = [3; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        NodeId(bytes)
    };
    let mut news = found.subscribe();
    let mut next = 0;
    soon("the table to fill", async {
        while found.list().len() < limits::DISCOVERED_PEERS {
            for _ in 0..100 {
                sender.send(&announcement(made_up(next), Ipv4Addr::LOCALHOST, 4000));
                next += 1;
            }
            drop(tokio::time::timeout(Duration::from_millis(50), news.next()).await);
        }
    })
    .await;
    for _ in 0..1000 {
        sender.send(&announcement(made_up(next), Ipv4Addr::LOCALHOST, 4000));
        // Garbage of every length beside it.
        sender.send(&announcement(made_up(next), Ipv4Addr::LOCALHOST, 4000)[..(next as usize % 180)]);
        next += 1;
    }
    // Who comes now, and is waited for, is found in spite of it; who was there before is still there.
    let c = mesh(3, port, None).await;
    soon("a finds c", found.wait_for(c.id(), PATIENCE)).await.expect("found");
    assert!(found.list().len() <= limits::DISCOVERED_PEERS);
    assert!(found.resolve(&b.id().to_string()).is_ok());
    for mesh in [a, b, c] {
        soon("closing", mesh.close()).await;
    }
}
