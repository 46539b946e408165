//! Gossip between meshes on loopback: delivery, membership, connections that come and go.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use clankers_mesh::{
    Gossip, GossipConfig, GossipError, GossipEvent, GossipEvents, Mesh, PeerAddress, Screen, Screened,
    TeamTopic, WantDial, gossip::link::code, limits,
};
use clankers_protocol::NodeId;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{PATIENCE, id_of, soon, start};

/// Payloads in these tests: the author's seed, a counter, and how it is to be judged.
pub(crate) fn payload(author: u8, n: u64, verdict: u8) -> Bytes {
    let mut bytes = vec![verdict, author];
    bytes.extend_from_slice(&n.to_be_bytes());
    bytes.into()
}

pub(crate) struct Rules(pub(crate) AtomicU64);

impl Screen for Rules {
    fn judge(&self, _from: NodeId, payload: &[u8]) -> Screened {
        self.0.fetch_add(1, Ordering::Relaxed);
        match payload {
            [0, author, ..] => Screened::Pass { author: id_of(*author) },
            [1, ..] => Screened::Drop,
            _ => Screened::Forged,
        }
    }
}

pub(crate) fn team() -> TeamTopic {
    TeamTopic::of("did:key:z6MkTeam")
}

pub(crate) fn config_of(seed: u8) -> GossipConfig {
    GossipConfig { seed: [seed; 32], screen: Arc::new(Rules(AtomicU64::new(0))) }
}

/// What a member has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) received: Vec<(Bytes, NodeId)>,
    pub(crate) neighbors: BTreeSet<NodeId>,
    pub(crate) wanted: Vec<(NodeId, WantDial)>,
    pub(crate) lost: Vec<NodeId>,
}

/// A member of the team: a mesh, its gossip, and a log of its events.
pub(crate) struct Member {
    pub(crate) mesh: Mesh,
    pub(crate) gossip: Gossip,
    pub(crate) log: watch::Receiver<Log>,
    sender: Arc<watch::Sender<Log>>,
    tasks: JoinSet<()>,
}

async fn note(mut events: GossipEvents, log: Arc<watch::Sender<Log>>) {
    while let Some(event) = events.next().await {
        log.send_modify(|log| match event {
            GossipEvent::Received { payload, author, .. } => log.received.push((payload, author)),
            GossipEvent::NeighborUp(id) => drop(log.neighbors.insert(id)),
            GossipEvent::NeighborDown(id) => drop(log.neighbors.remove(&id)),
            GossipEvent::WantDial { id, why } => log.wanted.push((id, why)),
            GossipEvent::Lost(id) => log.lost.push(id),
            GossipEvent::Lagged(_) => {}
        });
    }
}

impl Member {
    pub(crate) async fn start(seed: u8) -> Self {
        let mesh = start(seed).await;
        let (gossip, events) = mesh.gossip(&team(), config_of(seed)).unwrap();
        let (sender, log) = watch::channel(Log::default());
        let (sender, mut tasks) = (Arc::new(sender), JoinSet::new());
        tasks.spawn(note(events, Arc::clone(&sender)));
        Self { mesh, gossip, log, sender, tasks }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.mesh.id()
    }

    pub(crate) fn address(&self) -> PeerAddress {
        PeerAddress { id: self.mesh.id(), addrs: self.mesh.addrs(), relay: None }
    }

    /// Begins the log of payloads anew.
    fn forget(&self) {
        self.sender.send_modify(|log| log.received.clear());
    }

    /// Waits until the log shows it.
    pub(crate) async fn until(&self, what: &str, fits: impl Fn(&Log) -> bool) {
        let mut log = self.log.clone();
        let fitted = timeout(PATIENCE, log.wait_for(|log| fits(log))).await.is_ok();
        assert!(
            fitted,
            "{what}: nothing after {PATIENCE:?} at {:?}; {:?}; {:?}",
            self.id(),
            self.gossip.counters(),
            self.log.borrow()
        );
    }

    pub(crate) async fn close(mut self) {
        soon("leaving", self.gossip.quit()).await;
        soon("the end of events", async { while self.tasks.join_next().await.is_some() {} }).await;
        soon("closing", self.mesh.close()).await;
    }
}

/// Lets everybody in at everybody's.
pub(crate) async fn know_each_other(members: &[Member]) {
    for a in members {
        for b in members.iter().filter(|b| b.id() != a.id()) {
            a.gossip.allow(b.address()).await.unwrap();
        }
    }
}

pub(crate) async fn form(count: u8) -> Vec<Member> {
    let mut members = Vec::new();
    for seed in 1..=count {
        members.push(Member::start(seed).await);
    }
    know_each_other(&members).await;
    for (n, member) in members.iter().enumerate().skip(1) {
        let first: Vec<_> = members[..n].iter().take(3).map(Member::id).collect();
        member.gossip.join(first).await.unwrap();
    }
    for member in &members {
        member.until("a neighbour", |log| !log.neighbors.is_empty()).await;
    }
    settle(&members).await;
    members
}

/// Waits until everybody hears everybody: while members join, neighbours change, and who is between two of them
/// misses something.
async fn settle(members: &[Member]) {
    for round in 0_u64..40 {
        let words: BTreeSet<_> = (1..).zip(members).map(|(n, _)| payload(n, u64::MAX - round, 0)).collect();
        for (word, member) in words.iter().zip(members) {
            member.gossip.broadcast(word.clone()).await.unwrap();
        }
        let mut missing = false;
        for member in members {
            let mut log = member.log.clone();
            let all = log.wait_for(|log| {
                log.received.iter().filter(|(bytes, _)| words.contains(bytes)).count() + 1 == members.len()
            });
            missing |= timeout(Duration::from_secs(1), all).await.is_err();
        }
        if !missing {
            for member in members {
                member.forget();
            }
            return;
        }
    }
    panic!("the members do not hear each other");
}

pub(crate) async fn close(members: Vec<Member>) {
    let mut closing = JoinSet::new();
    for member in members {
        closing.spawn(member.close());
    }
    closing.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_member_says_all_others_hear_once() {
    let members = form(8).await;
    for n in 0..10 {
        for (author, member) in (1..).zip(&members) {
            member.gossip.broadcast(payload(author, n, 0)).await.unwrap();
        }
        for member in &members {
            let heard = 7 * (usize::try_from(n).unwrap() + 1);
            member.until("everybody's words", |log| log.received.len() >= heard).await;
        }
    }
    for member in &members {
        let log = member.log.borrow();
        assert_eq!(log.received.len(), 70, "nothing comes twice, nothing comes back");
        assert!(log.received.iter().all(|(bytes, author)| *author == id_of(bytes[1])));
        assert!(log.neighbors.len() <= 5);
    }
    close(members).await;
}

#[tokio::test]
async fn the_largest_payload_arrives_and_a_larger_one_is_not_sent() {
    let members = form(2).await;
    let mut large = payload(1, 0, 0).to_vec();
    large.resize(limits::GOSSIP_PAYLOAD_BYTES + 1, 7);
    let over = members[0].gossip.broadcast(large.clone().into()).await;
    assert_eq!(over, Err(GossipError::TooLarge(limits::GOSSIP_PAYLOAD_BYTES + 1)));
    large.pop();
    members[0].gossip.broadcast(large.clone().into()).await.unwrap();
    members[1].until("the largest", |log| log.received.iter().any(|(bytes, _)| *bytes == large)).await;
    close(members).await;
}

#[tokio::test]
async fn who_has_not_shown_membership_gets_no_byte_and_is_not_dialed() {
    let (a, b) = (Member::start(1).await, Member::start(2).await);
    // B lets A in, A does not know B: it is refused there, and B is told to show itself again.
    b.gossip.allow(a.address()).await.unwrap();
    b.gossip.join(vec![a.id()]).await.unwrap();
    b.until("to show again", |log| log.wanted.contains(&(a.id(), WantDial::Forgotten))).await;
    assert_eq!(a.gossip.counters().refused_not_shown, 1);
    assert_eq!(a.gossip.counters().received, 0);
    // A wants B, and asks before it dials.
    a.gossip.join(vec![b.id()]).await.unwrap();
    a.until("the question", |log| log.wanted.contains(&(b.id(), WantDial::Unknown))).await;
    assert_eq!(a.gossip.counters().dials, 0);
    a.gossip.unreachable(b.id()).await.unwrap();
    // The answer comes in time: what was wanted happens without another request.
    a.gossip.allow(b.address()).await.unwrap();
    b.gossip.allow(a.address()).await.unwrap();
    b.until("the neighbour", |log| log.neighbors.contains(&a.id())).await;
    close(vec![a, b]).await;
}

#[tokio::test]
async fn a_member_who_is_removed_is_closed_at_once_and_stays_out() {
    let members = form(3).await;
    let (gone, rest) = members.split_last().unwrap();
    let begun = Instant::now();
    for member in rest {
        member.gossip.deny(gone.id()).await.unwrap();
    }
    gone.until("the end", |log| log.neighbors.is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for member in rest {
        member.until("its going", |log| !log.neighbors.contains(&gone.id())).await;
    }
    // It comes back, with all that it knows, and is refused.
    gone.gossip.allow(rest[0].address()).await.unwrap();
    gone.gossip.join(vec![rest[0].id()]).await.unwrap();
    gone.until("the refusal", |log| log.wanted.contains(&(rest[0].id(), WantDial::Forgotten))).await;
    members[0].gossip.broadcast(payload(1, 1, 0)).await.unwrap();
    members[1].until("the payload", |log| log.received.len() == 1).await;
    assert!(gone.log.borrow().received.is_empty());
    close(members).await;
}

#[tokio::test]
async fn the_protocol_of_a_team_is_spoken_only_while_it_runs() {
    let (a, b) = (start(1).await, start(2).await);
    let alpn = team().alpn().to_vec();
    let to = b.address();
    let refused = soon("dialing", a.dial(&to, &alpn, PATIENCE)).await.unwrap_err();
    assert!(matches!(refused.how, clankers_mesh::DialFailure::Protocol(_)), "{refused}");
    let (gossip, events) = b.gossip(&team(), config_of(2)).unwrap();
    assert_eq!(b.gossip(&team(), config_of(2)).unwrap_err(), GossipError::Taken);
    let conn = soon("dialing", a.dial(&to, &alpn, PATIENCE)).await.unwrap();
    let closed = soon("the refusal", conn.closed()).await;
    assert_eq!((closed.code, closed.by_peer), (Some(code::NOT_SHOWN), true));
    gossip.quit().await;
    soon("the protocol to go", async {
        while a.dial(&to, &alpn, PATIENCE).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(events);
    // The mesh itself is as before, and the team can come back.
    let (dialed, accepted) =
        soon("dialing", async { tokio::join!(a.dial(&to, super::ALPN, PATIENCE), b.accept()) }).await;
    assert_eq!(accepted.unwrap().remote(), a.id());
    drop(dialed);
    let again = b.gossip(&team(), config_of(2)).unwrap();
    drop(again);
    tokio::join!(a.close(), b.close());
}

#[tokio::test]
async fn a_mesh_that_closes_ends_its_gossip_and_its_neighbours_know() {
    let members = form(2).await;
    soon("closing", members[1].mesh.close()).await;
    members[0].until("the end", |log| log.neighbors.is_empty()).await;
    soon("the end of gossip", async {
        while members[1].gossip.broadcast(payload(2, 1, 0)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    close(members).await;
}

#[tokio::test]
async fn what_is_said_alone_is_heard_by_the_first_neighbour() {
    let (a, b) = (Member::start(1).await, Member::start(2).await);
    a.gossip.broadcast(payload(1, 1, 0)).await.unwrap();
    a.gossip.allow(b.address()).await.unwrap();
    b.gossip.allow(a.address()).await.unwrap();
    b.gossip.join(vec![a.id()]).await.unwrap();
    b.until("the first words", |log| log.received.len() == 1).await;
    close(vec![a, b]).await;
}
