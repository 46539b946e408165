//! Gossip while one member spams: what of the others' words reaches the others.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use clankers_mesh::{
    Bind, Gossip, GossipConfig, GossipEvent, GossipEvents, Mesh, MeshConfig, PeerAddress, Screen, Screened,
    TeamTopic,
};
use clankers_protocol::NodeId;
use clankers_tests::{forge, stats::Samples, wait};
use tokio::task::JoinSet;

use crate::{
    limits::{GOSSIP_DRAIN, GOSSIP_PACE, GOSSIP_WORDS, GOSSIPERS, PATIENCE, SPAM_PER_S},
    peers::Lab,
    report::{Judge, Row},
};

/// Takes everything; the author is the one whom the payload names.
struct Anything;

impl Screen for Anything {
    fn judge(&self, _from: NodeId, payload: &[u8]) -> Screened {
        match payload.first_chunk::<32>() {
            Some(author) => Screened::Pass { author: NodeId(*author) },
            None => Screened::Drop,
        }
    }
}

/// A member in this process, and what it heard: other members' words, each once.
struct Member {
    mesh: Mesh,
    gossip: Gossip,
    heard: Arc<Mutex<BTreeSet<Bytes>>>,
    neighbors: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Member {
    async fn start() -> Self {
        let secret = forge::random::<32>().into();
        let config = MeshConfig {
            bind: Bind::Loopback { port: 0 },
            alpns: vec![b"nothing/1".to_vec()],
            ..MeshConfig::dial_only(secret)
        };
        let mesh = Mesh::start(config).await.expect("a mesh");
        let config = GossipConfig { seed: forge::random(), screen: Arc::new(Anything) };
        let (gossip, events) = mesh.gossip(&TeamTopic::of("did:key:z6MkBench"), config).expect("gossip");
        let (heard, neighbors) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(note(events, Arc::clone(&heard), Arc::clone(&neighbors)));
        Self { mesh, gossip, heard, neighbors, tasks }
    }

    fn address(&self) -> PeerAddress {
        PeerAddress { id: self.mesh.id(), addrs: self.mesh.addrs(), relay: None }
    }

    fn words(&self, number: u64) -> Bytes {
        [&self.mesh.id().0[..], &number.to_be_bytes()].concat().into()
    }

    fn heard_of(&self, id: NodeId) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|words| words.starts_with(&id.0)).count()
    }

    async fn close(mut self) {
        self.gossip.quit().await;
        self.tasks.shutdown().await;
        self.mesh.close().await;
    }
}

async fn note(mut events: GossipEvents, heard: Arc<Mutex<BTreeSet<Bytes>>>, neighbors: Arc<AtomicU64>) {
    while let Some(event) = events.next().await {
        match event {
            GossipEvent::Received { payload, .. } => {
                heard.lock().unwrap_or_else(PoisonError::into_inner).insert(payload);
            }
            GossipEvent::NeighborUp(_) => drop(neighbors.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }
}

/// All know each other, and each joins with those before it.
async fn form(count: usize) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..count {
        members.push(Member::start().await);
    }
    for a in &members {
        for b in members.iter().filter(|b| b.mesh.id() != a.mesh.id()) {
            a.gossip.allow(b.address()).await.expect("allowed");
        }
    }
    for (n, member) in members.iter().enumerate().skip(1) {
        let first = members[..n].iter().take(3).map(|other| other.mesh.id()).collect();
        member.gossip.join(first).await.expect("joined");
    }
    wait::within("neighbours of all", PATIENCE, async {
        while members.iter().any(|member| member.neighbors.load(Ordering::Relaxed) == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    members
}

/// A member's words on gossip's own connection, without the shell that would hold it back.
struct Spammer {
    mesh: Mesh,
    sent: Arc<AtomicU64>,
}

impl Spammer {
    /// Comes again as soon as it is thrown out.
    async fn spam(&self, at: &Member, over: &AtomicBool) {
        let alpn = TeamTopic::of("did:key:z6MkBench").alpn().to_vec();
        while !over.load(Ordering::Relaxed) {
            let Ok(connection) = self.mesh.dial(&at.address(), &alpn, PATIENCE).await else { continue };
            let Ok((mut send, _recv)) = connection.open().await else { continue };
            // The version, and HyParView's request to join.
            let join = framed(&postcard::to_stdvec(&(0_u32, 0_u32, None::<u8>)).expect("a message"));
            if send.write_all(&[&[1][..], &join].concat()).await.is_err() {
                tokio::time::sleep(GOSSIP_PACE).await;
                continue;
            }
            let begun = Instant::now();
            let mut here = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let number = self.sent.fetch_add(1, Ordering::Relaxed);
                let content = [&self.mesh.id().0[..], &number.to_be_bytes()].concat();
                if send.write_all(&message(&content)).await.is_err() {
                    break;
                }
                here += 1;
                let due = Duration::from_micros(here * 1_000_000 / SPAM_PER_S);
                if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| early.as_millis() > 1) {
                    tokio::time::sleep(early).await;
                }
            }
        }
    }
}

/// A message of the gossip core with its length.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [&length[..], body].concat()
}

/// PlumTree's message for a payload (iroh-gossip 0.101: gossip, gossip, id, content, scope swarm with its round).
fn message(content: &[u8]) -> Vec<u8> {
    let id = *blake3::hash(content).as_bytes();
    framed(&postcard::to_stdvec(&(1_u32, 0_u32, id, content, (0_u32, 0_u16))).expect("a message"))
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn spam(lab: &Lab) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut lost, mut sent) = (Samples::new(), Samples::new());
    for _ in 0..lab.rounds {
        let (missed, spammed) = runtime.block_on(one_round());
        lost.push(missed);
        sent.push(spammed as f64);
    }
    let name = format!("gossip of {GOSSIPERS} beside one that spams: words lost");
    vec![
        Row::new(&name, "%", lost, Judge::P50, 1.0, 0.0),
        Row::shown("  messages that the spammer got rid of", "", sent),
    ]
}

/// Lost words of the honest (percent), and what was spammed (count).
#[allow(clippy::cast_precision_loss)]
async fn one_round() -> (f64, u64) {
    let members = form(GOSSIPERS).await;
    let mesh = Mesh::start(MeshConfig::dial_only(forge::random::<32>().into())).await.expect("a mesh");
    let spammer = Spammer { mesh, sent: Arc::default() };
    let own = PeerAddress { id: spammer.mesh.id(), addrs: spammer.mesh.addrs(), relay: None };
    members[0].gossip.allow(own).await.expect("allowed");
    let over = AtomicBool::new(false);
    let speak = async {
        for number in 0..GOSSIP_WORDS {
            for member in &members {
                member.gossip.broadcast(member.words(number)).await.expect("taken");
            }
            tokio::time::sleep(GOSSIP_PACE).await;
        }
        // What is on its way may arrive.
        tokio::time::sleep(GOSSIP_DRAIN).await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(spammer.spam(&members[0], &over), speak);
    let others = |member: &&Member, of: &Member| member.mesh.id() != of.mesh.id();
    let heard: usize = members
        .iter()
        .map(|of| members.iter().filter(|m| others(m, of)).map(|m| m.heard_of(of.mesh.id())).sum::<usize>())
        .sum();
    let all = GOSSIPERS * (GOSSIPERS - 1) * usize::try_from(GOSSIP_WORDS).expect("few");
    let sent = spammer.sent.load(Ordering::Relaxed);
    spammer.mesh.close().await;
    for member in members {
        member.close().await;
    }
    (100.0 * (1.0 - heard as f64 / all as f64), sent)
}
