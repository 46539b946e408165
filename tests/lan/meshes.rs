//! Meshes that come, go and move.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use clankers_lab::Lab;
use clankers_mesh::PeerAddress;
use clankers_protocol::NodeId;

use super::{ALPN, LIMIT, knows, mesh, on, run, until};

/// Twelve that start at once find each other, all of them.
#[test]
fn twelve_nodes_find_each_other_from_cold() {
    const NODES: usize = 12;
    let Some(lab) = Lab::builder().hosts(NODES).seed(1).start() else { return };
    let (started, done) = (Arc::new(Barrier::new(NODES)), Arc::new(Barrier::new(NODES)));
    // Nobody begins before all can, nobody leaves before all have seen all.
    let wait = |barrier: &Arc<Barrier>| {
        let barrier = Arc::clone(barrier);
        async move { assert!(tokio::task::spawn_blocking(move || barrier.wait()).await.is_ok()) }
    };
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let member = |host: usize| {
            let (lab, started, done, wait) = (&lab, &started, &done, &wait);
            scope.spawn(move || {
                on(lab, host, || async move {
                    wait(started).await;
                    let begun = Instant::now();
                    let mesh = mesh(u8::try_from(host).unwrap() + 1).await;
                    let found = mesh.discovery().unwrap();
                    until(found, "eleven others", |found| found.list().len() == NODES - 1).await;
                    let took = begun.elapsed();
                    wait(done).await;
                    mesh.close().await;
                    took
                })
            })
        };
        let members: Vec<_> = (0..NODES).map(member).collect();
        members.into_iter().map(|member| member.join().unwrap()).collect()
    });
    took.sort();
    println!("12 of 12 know all others: median {:?}, last {:?}", took[NODES / 2], took[NODES - 1]);
}

/// A node whose address changes is found at the new one, and knows it; its interface may go away and come back.
#[test]
fn a_node_that_moves_is_found_where_it_is() {
    let Some(lab) = Lab::builder().hosts(2).seed(2).start() else { return };
    let (moved, is_moved) = tokio::sync::mpsc::channel::<()>(1);
    let (told, is_told) = mpsc::sync_channel(1);
    let new = std::net::Ipv4Addr::from(u32::from(lab.host(1).address()) + 100);
    thread::scope(|scope| {
        let lab = &lab;
        let b = scope.spawn(move || {
            let (mut is_moved, told) = (is_moved, told);
            on(lab, 1, || async move {
                let b = mesh(2).await;
                let mut changes = b.changes();
                told.send(b.id()).unwrap();
                let accepting = async { while b.accept().await.is_some() {} };
                let moving = async {
                    is_moved.recv().await.unwrap();
                    let own = tokio::time::timeout(LIMIT, async {
                        loop {
                            let own = changes.next().await.expect("the mesh runs");
                            if own.addrs.iter().any(|a| a.ip() == new) {
                                break own;
                            }
                        }
                    });
                    own.await.expect("the mesh knows its new address");
                    is_moved.recv().await.unwrap();
                };
                tokio::select! { () = accepting => {}, () = moving => {} }
                b.close().await;
            });
        });
        let id: NodeId = is_told.recv_timeout(LIMIT).unwrap();
        on(lab, 0, || async move {
            let a = mesh(1).await;
            let found = a.discovery().unwrap();
            until(found, "b", |found| knows(found, [id])).await;
            let dial = |what: &'static str| {
                let a = &a;
                async move {
                    let dialed = a.dial(&PeerAddress::from(id), ALPN, LIMIT).await;
                    dialed.unwrap_or_else(|e| panic!("{what}: {e}"))
                }
            };
            drop(dial("at first").await);
            let begun = Instant::now();
            lab.host(1).move_to(new);
            moved.send(()).await.unwrap();
            until(found, "the new address", |found| found.addrs(id).iter().any(|a| a.ip() == new)).await;
            println!("the new address was known after {:?}", begun.elapsed());
            assert_eq!(dial("at the new address").await.remote_addr().map(|a| a.ip()), Some(new.into()));
            // Down and up again: whatever it lost meanwhile, it is found.
            run(lab, 1, "ip", &["link", "set", "eth0", "down"]);
            run(lab, 1, "ip", &["link", "set", "eth0", "up"]);
            drop(dial("after its interface came back").await);
            moved.send(()).await.unwrap();
            a.close().await;
        });
        b.join().unwrap();
    });
}

/// Two nodes on two hosts whose network was changed first; one dials the other by its id alone.
fn meet_after(seed: u64, ipv6: bool, change: impl Fn(&Lab, usize)) -> Option<std::net::SocketAddr> {
    let lab = Lab::builder().hosts(2).ipv6(ipv6).seed(seed).start()?;
    for host in 0..2 {
        change(&lab, host);
    }
    let (told, is_told) = mpsc::sync_channel(1);
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        let lab = &lab;
        scope.spawn(move || {
            on(lab, 1, || async move {
                let b = mesh(2).await;
                told.send(b.id()).unwrap();
                let accepting = async { while b.accept().await.is_some() {} };
                tokio::select! { () = accepting => {}, _ = is_over => {} }
                b.close().await;
            });
        });
        let id: NodeId = is_told.recv_timeout(LIMIT).unwrap();
        let path = on(lab, 0, || async move {
            let a = mesh(1).await;
            let dialed = a.dial(&PeerAddress::from(id), ALPN, LIMIT).await;
            let path = dialed.map(|c| c.remote_addr()).unwrap_or_else(|e| panic!("{e}"));
            a.close().await;
            path
        });
        over.send(()).unwrap();
        path
    })
}

#[test]
fn nodes_meet_without_a_default_route() {
    let met = meet_after(3, false, |lab, host| drop(run(lab, host, "ip", &["route", "del", "default"])));
    if let Some(addr) = met {
        assert!(addr.is_ipv4(), "{addr}");
    }
}

#[test]
fn nodes_meet_over_ipv6_alone() {
    let met = meet_after(4, true, |lab, host| {
        drop(run(lab, host, "ip", &["-4", "addr", "flush", "dev", "eth0"]));
    });
    if let Some(addr) = met {
        assert!(addr.is_ipv6(), "{addr}");
    }
}

/// A second interface, to nowhere, with an address that others cannot reach.
#[test]
fn a_second_interface_is_in_nobodys_way() {
    let met = meet_after(5, false, |lab, host| {
        let address = format!("192.168.77.{}/24", host + 1);
        run(lab, host, "ip", &["link", "add", "eth1", "type", "veth", "peer", "name", "eth1far"]);
        run(lab, host, "ip", &["addr", "add", &address, "dev", "eth1"]);
        run(lab, host, "ip", &["link", "set", "eth1", "up"]);
        run(lab, host, "ip", &["link", "set", "eth1far", "up"]);
    });
    if let Some(addr) = met {
        assert!(!addr.to_string().starts_with("192.168.77."), "{addr}");
    }
}
