//! Gossip under members that misbehave, and under networks that do.

use std::time::Duration;

use clankers_mesh::{Connection, SendStream, gossip::link::code, limits};
use tokio::time::{Instant, timeout};

use super::{
    PATIENCE, config,
    gossiping::{Member, close, form, payload, team},
    soon, start,
};

/// A message of the gossip core with its length: a payload that its author says it wrote.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(body);
    out
}

/// PlumTree's message for a payload (iroh-gossip 0.101: gossip, gossip, id, content, scope swarm with its round).
fn gossip_message(content: &[u8], round: u16) -> Vec<u8> {
    let id = *blake3::hash(content).as_bytes();
    framed(&postcard::to_stdvec(&(1_u32, 0_u32, id, content, (0_u32, round))).unwrap())
}

/// HyParView's request to join, without data.
fn join_message() -> Vec<u8> {
    framed(&postcard::to_stdvec(&(0_u32, 0_u32, None::<u8>)).unwrap())
}

/// A member that speaks raw bytes.
struct Raw {
    mesh: clankers_mesh::Mesh,
    connection: Connection,
    send: SendStream,
    /// Kept open: who drops it says that it stopped reading.
    recv: clankers_mesh::RecvStream,
}

impl Raw {
    async fn dial(seed: u8, to: &Member) -> Self {
        Self::dial_from(start(seed).await, to).await
    }

    async fn dial_from(mesh: clankers_mesh::Mesh, to: &Member) -> Self {
        let address = clankers_mesh::PeerAddress { id: mesh.id(), addrs: mesh.addrs(), relay: None };
        to.gossip.allow(address).await.unwrap();
        let connection = soon("dialing", mesh.dial(&to.address(), team().alpn(), PATIENCE)).await.unwrap();
        let (mut send, recv) = soon("opening", connection.open()).await.unwrap();
        send.write_all(&[1]).await.unwrap();
        Self { mesh, connection, send, recv }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_spams_is_cut_and_the_others_hear_each_other() {
    let members = form(5).await;
    let mut spammer = Raw::dial(99, &members[0]).await;
    spammer.send.write_all(&join_message()).await.unwrap();
    let begun = Instant::now();
    let mut sent = 0_u64;
    let spam = async {
        // One author, one connection, as fast as it goes.
        while spammer.send.write_all(&gossip_message(&payload(99, sent, 0), 0)).await.is_ok() {
            sent += 1;
        }
    };
    let speak = async {
        for n in 0..20 {
            members[1].gossip.broadcast(payload(2, n, 0)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the cut", async { tokio::join!(spam, speak) }).await;
    let closed = soon("the reason", spammer.connection.closed()).await;
    assert_eq!((closed.code, closed.by_peer), (Some(code::CONDUCT), true));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let counters = members[0].gossip.counters();
    assert_eq!(counters.cut_conduct, 1);
    assert!(counters.dropped_author_rate > 1_000 && counters.dropped_peer_rate >= 1_000, "{counters:?}");
    let from_spammer = u64::from(limits::GOSSIP_AUTHOR_MESSAGES_BURST)
        + 10 * u64::from(limits::GOSSIP_AUTHOR_MESSAGES_PER_S);
    for (n, member) in members.iter().enumerate() {
        let of = |seed: u8| {
            move |log: &super::gossiping::Log| {
                log.received.iter().filter(|(bytes, _)| bytes[1] == seed).count()
            }
        };
        if n != 1 {
            member.until("every word of the honest", |log| of(2)(log) == 20).await;
        }
        let heard = of(99)(&member.log.borrow());
        assert!(u64::try_from(heard).unwrap() <= from_spammer, "member {n} heard {heard} of {sent}");
    }
    // For a while it is not let in again.
    let again = spammer.mesh.dial(&members[0].address(), team().alpn(), PATIENCE).await.unwrap();
    let closed = soon("the refusal", again.closed()).await;
    assert_eq!(closed.code, Some(code::CONDUCT));
    spammer.mesh.close().await;
    close(members).await;
}

#[tokio::test]
async fn forged_and_malformed_messages_cost_the_connection() {
    let member = Member::start(1).await;
    let forged = gossip_message(&payload(2, 0, 2), 0);
    let data = framed(&postcard::to_stdvec(&(0_u32, 0_u32, Some(b"kept for ever".as_slice()))).unwrap());
    let garbage = framed(b"\xff\xff\xff\xff");
    for (seed, message) in (50..).zip([forged, data, garbage]) {
        let mut raw = Raw::dial(seed, &member).await;
        let closed = soon("the cut", async {
            while raw.send.write_all(&message).await.is_ok() {}
            raw.connection.closed().await
        })
        .await;
        assert_eq!(closed.code, Some(code::CONDUCT), "{seed}");
        raw.mesh.close().await;
    }
    // What is no message at all ends the connection at once, and no length is believed.
    for (seed, bytes) in (60..).zip([&[0xff, 0xff][..], &[0, 0], &[0x10, 0x01]]) {
        let mut raw = Raw::dial(seed, &member).await;
        raw.send.write_all(bytes).await.unwrap();
        let closed = soon("the end", raw.connection.closed()).await;
        assert_eq!(closed.code, Some(code::PROTOCOL), "{bytes:?}");
        raw.mesh.close().await;
    }
    assert!(member.log.borrow().received.is_empty());
    assert!(member.gossip.counters().dropped_forged >= 4);
    member.close().await;
}

/// In the core, this hop count overflows: a panic in a debug build.
#[tokio::test]
async fn replays_stale_payloads_and_endless_journeys_are_dropped() {
    let member = Member::start(1).await;
    let mut raw = Raw::dial(50, &member).await;
    raw.send.write_all(&join_message()).await.unwrap();
    let mut bytes = gossip_message(&payload(2, 1, 0), u16::MAX);
    bytes.extend(gossip_message(&payload(2, 2, 1), 0));
    for _ in 0..5 {
        bytes.extend(gossip_message(&payload(2, 3, 0), 0));
    }
    raw.send.write_all(&bytes).await.unwrap();
    member.until("the one payload", |log| !log.received.is_empty()).await;
    raw.send.write_all(&gossip_message(&payload(2, 4, 0), 3)).await.unwrap();
    member.until("the next payload", |log| log.received.len() > 1).await;
    let counters = member.gossip.counters();
    assert_eq!((counters.dropped_tired, counters.dropped_judged, counters.delivered), (1, 1, 2));
    assert_eq!(counters.cut_conduct, 0, "none of this is the forwarder's fault");
    raw.mesh.close().await;
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_does_not_read_is_cut_and_holds_up_nobody() {
    let members = form(3).await;
    let mut deaf = Raw::dial(77, &members[0]).await;
    deaf.send.write_all(&join_message()).await.unwrap();
    members[0].until("the deaf neighbour", |log| log.neighbors.contains(&deaf.mesh.id())).await;
    // Many authors, so that no author's rate holds this back: more than a window of 512 KiB and a queue of 256.
    let mut talker = Raw::dial(78, &members[0]).await;
    let payloads = 480_u64;
    for n in 0..payloads {
        let mut large = payload(u8::try_from(n % 200).unwrap(), n, 0).to_vec();
        large.resize(limits::GOSSIP_PAYLOAD_BYTES, 0);
        talker.send.write_all(&gossip_message(&large, 0)).await.unwrap();
    }
    let closed = soon("the cut", deaf.connection.closed()).await;
    assert_eq!((closed.code, closed.by_peer), (Some(code::SLOW), true));
    // The peer hears of the close before it is counted.
    let counted = async {
        while members[0].gossip.counters().cut_slow == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("the count", counted).await;
    assert_eq!(members[0].gossip.counters().cut_slow, 1);
    for member in &members {
        let all = usize::try_from(payloads).unwrap();
        member.until("every payload", |log| log.received.len() == all).await;
    }
    drop(deaf.recv);
    tokio::join!(deaf.mesh.close(), talker.mesh.close());
    close(members).await;
}

/// Upstream's shell keeps one connection for every neighbour it ever had (#145).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_come_and_go_and_connections_do_not_pile_up() {
    let members = form(10).await;
    for round in 0..8 {
        for (n, member) in members.iter().enumerate() {
            let other = &members[(n + 1 + round) % members.len()];
            if other.id() != member.id() {
                member.gossip.join(vec![other.id()]).await.unwrap();
            }
        }
        for (n, member) in (1..).zip(&members) {
            member.until("a neighbour", |log| !log.neighbors.is_empty()).await;
            member.gossip.broadcast(payload(n, u64::try_from(round).unwrap(), 0)).await.unwrap();
        }
    }
    let rest = async {
        loop {
            let all: Vec<_> = members.iter().map(|m| m.gossip.counters()).collect();
            let spare: u64 = all.iter().map(|c| c.connections.saturating_sub(c.neighbors)).sum();
            if spare == 0 {
                break all;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let all = timeout(Duration::from_secs(30), rest).await.expect("only neighbours stay connected");
    assert!(all.iter().all(|c| c.neighbors <= 5 && c.connections <= 5), "{all:?}");
    let made: u64 = all.iter().map(|c| c.dials).sum();
    assert!(made > 60, "too few connections were made to prove anything: {made}");
    close(members).await;
}

/// Upstream's sender can die while its connection lives on (#159).
#[tokio::test]
async fn a_stream_that_ends_ends_its_connection_and_the_member_is_reached_anew() {
    let member = Member::start(1).await;
    let mut raw = Raw::dial(50, &member).await;
    raw.send.write_all(&join_message()).await.unwrap();
    member.until("the neighbour", |log| log.neighbors.contains(&raw.mesh.id())).await;
    // It stops reading, and says so; the connection itself is fine.
    raw.recv.stop(7);
    member.gossip.broadcast(payload(1, 1, 0)).await.unwrap();
    soon("the end", raw.connection.closed()).await;
    member.until("the loss", |log| log.lost.contains(&raw.mesh.id()) && log.neighbors.is_empty()).await;
    raw.mesh.close().await;
    member.close().await;
}

/// What a node that was killed or lost its network looks like: its sockets are there, and nobody answers.
#[tokio::test]
async fn a_neighbour_that_falls_silent_is_missed_in_time() {
    let a = Member::start(1).await;
    let (to_a, (started, is_started)) = (a.address(), tokio::sync::oneshot::channel());
    let (freeze, frozen) = std::sync::mpsc::sync_channel::<()>(1);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let b = runtime.block_on(async {
            let b = Member::start(2).await;
            b.gossip.allow(to_a.clone()).await.unwrap();
            started.send(b.address()).unwrap();
            b.until("the neighbour", |log| log.neighbors.contains(&to_a.id)).await;
            b
        });
        // Nothing of B runs while this thread waits.
        let _thaw = frozen.recv();
        runtime.block_on(b.close());
    });
    a.gossip.allow(soon("the start of b", is_started).await.unwrap()).await.unwrap();
    a.gossip.join(vec![super::id_of(2)]).await.unwrap();
    a.until("the neighbour", |log| !log.neighbors.is_empty()).await;
    let begun = Instant::now();
    let limit = Duration::from_millis(limits::GOSSIP_IDLE_MS) + Duration::from_secs(10);
    let mut log = a.log.clone();
    let missed = log.wait_for(|log| log.neighbors.is_empty() && log.lost.contains(&super::id_of(2)));
    drop(timeout(limit, missed).await.expect("missed in time").unwrap());
    assert!(begun.elapsed() > Duration::from_secs(5), "a pause is no loss: {:?}", begun.elapsed());
    freeze.send(()).unwrap();
    soon("the end of b", tokio::task::spawn_blocking(|| thread.join().unwrap())).await.unwrap();
    a.close().await;
}

/// Reads what comes until it is this payload.
async fn heard(recv: &mut clankers_mesh::RecvStream, wanted: &[u8]) {
    soon("the payload", async {
        loop {
            let mut length = [0; 2];
            recv.read_exact(&mut length).await.unwrap();
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            recv.read_exact(&mut message).await.unwrap();
            if message.windows(wanted.len()).any(|part| part == wanted) {
                return;
            }
        }
    })
    .await;
}

/// The neighbour's connection leads to where the member was: nothing would come by it, and nobody would be told.
#[tokio::test]
async fn a_member_that_moved_makes_a_connection_of_its_own_and_what_it_says_waits_for_that() {
    let member = Member::start(1).await;
    let mesh = clankers_mesh::Mesh::start(clankers_mesh::MeshConfig {
        alpns: vec![team().alpn().to_vec()],
        ..config(50)
    });
    let mut raw = Raw::dial_from(mesh.await.unwrap(), &member).await;
    raw.send.write_all(&join_message()).await.unwrap();
    member.until("the neighbour", |log| log.neighbors.contains(&raw.mesh.id())).await;
    member.gossip.moved().await.unwrap();
    let word = payload(1, 1, 0);
    member.gossip.broadcast(word.clone()).await.unwrap();
    let made = soon("its own connection", raw.mesh.accept()).await.unwrap();
    let (_send, mut recv) = soon("its stream", made.accept()).await.unwrap();
    recv.read_exact(&mut [0; 1]).await.unwrap();
    heard(&mut recv, &word).await;
    let log = member.log.borrow();
    assert!(log.lost.is_empty() && log.neighbors.contains(&raw.mesh.id()), "{log:?}");
    drop(log);
    // The member has made this one: it moves with it.
    let dials = |member: &Member| member.gossip.counters().dials;
    let before = dials(&member);
    member.gossip.moved().await.unwrap();
    member.gossip.broadcast(payload(1, 2, 0)).await.unwrap();
    heard(&mut recv, &payload(1, 2, 0)).await;
    assert_eq!(dials(&member), before);
    raw.mesh.close().await;
    member.close().await;
}

#[tokio::test]
async fn what_waits_for_a_connection_that_is_not_made_goes_by_the_one_that_there_is() {
    let member = Member::start(1).await;
    // It takes none on the team's protocol.
    let mut raw = Raw::dial(50, &member).await;
    raw.send.write_all(&join_message()).await.unwrap();
    member.until("the neighbour", |log| log.neighbors.contains(&raw.mesh.id())).await;
    member.gossip.moved().await.unwrap();
    let word = payload(1, 1, 0);
    member.gossip.broadcast(word.clone()).await.unwrap();
    heard(&mut raw.recv, &word).await;
    assert!(member.log.borrow().neighbors.contains(&raw.mesh.id()));
    raw.mesh.close().await;
    member.close().await;
}
