//! iroh-gossip's own shell and ours, side by side: neighbours that come and go, nodes that restart, and what is
//! left of connections and tasks. The figures stand in docs/decisions/0013-gossip-shell.md.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use iroh::{
    Endpoint, EndpointId, SecretKey,
    address_lookup::MemoryLookup,
    endpoint::{PortmapperConfig, presets},
    protocol::Router,
};
use iroh_gossip::{
    api::{Event, GossipSender},
    net::Gossip as Stock,
    proto::TopicId,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::gossiping::{Member, payload};

const NODES: u8 = 12;
/// How often every node asks another to be its neighbour (milliseconds).
const ROTATE_MS: u64 = 500;
const ROTATING: Duration = Duration::from_secs(60);
const RESTING: Duration = Duration::from_secs(60);
/// Every so many rotations one node is restarted.
const RESTART_EVERY: u64 = 20;

/// What the soak does to a node, whichever shell it has.
trait Node: Sized {
    fn start(seed: u8, world: &World) -> impl Future<Output = Self>;
    fn know(&self, other: &Self) -> impl Future<Output = ()>;
    fn join(&self, seeds: &[u8]) -> impl Future<Output = ()>;
    fn say(&self, words: Bytes) -> impl Future<Output = ()>;
    fn heard(&self) -> usize;
    fn connections(&self) -> u64;
    fn neighbors(&self) -> u64;
    fn stop(self) -> impl Future<Output = ()>;
}

/// Addresses that every node of upstream's kind knows.
#[derive(Default)]
struct World {
    lookup: MemoryLookup,
}

struct Upstream {
    endpoint: Endpoint,
    router: Router,
    sender: GossipSender,
    heard: Arc<Mutex<(BTreeSet<Bytes>, BTreeSet<EndpointId>)>>,
    tasks: JoinSet<()>,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

impl Node for Upstream {
    async fn start(seed: u8, world: &World) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(key(seed))
            .portmapper_config(PortmapperConfig::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .unwrap()
            .address_lookup(world.lookup.clone())
            .bind()
            .await
            .unwrap();
        world.lookup.set_endpoint_info(endpoint.addr());
        let gossip = Stock::builder().spawn(endpoint.clone());
        let router = Router::builder(endpoint.clone()).accept(iroh_gossip::ALPN, gossip.clone()).spawn();
        let (sender, mut events) =
            gossip.subscribe(TopicId::from_bytes([7; 32]), Vec::new()).await.unwrap().split();
        let heard = Arc::new(Mutex::new((BTreeSet::new(), BTreeSet::new())));
        let mut tasks = JoinSet::new();
        let noted = Arc::clone(&heard);
        tasks.spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let mut noted = noted.lock().unwrap();
                match event {
                    Event::Received(message) => drop(noted.0.insert(message.content)),
                    Event::NeighborUp(id) => drop(noted.1.insert(id)),
                    Event::NeighborDown(id) => drop(noted.1.remove(&id)),
                    Event::Lagged => {}
                }
            }
        });
        Self { endpoint, router, sender, heard, tasks }
    }

    async fn know(&self, _other: &Self) {}

    async fn join(&self, seeds: &[u8]) {
        let peers = seeds.iter().map(|seed| key(*seed).public()).collect();
        self.sender.join_peers(peers).await.unwrap();
    }

    async fn say(&self, words: Bytes) {
        drop(self.sender.broadcast(words).await);
    }

    fn heard(&self) -> usize {
        self.heard.lock().unwrap().0.len()
    }

    fn connections(&self) -> u64 {
        let metrics = &self.endpoint.metrics().socket;
        metrics.num_conns_opened.get() - metrics.num_conns_closed.get()
    }

    fn neighbors(&self) -> u64 {
        self.heard.lock().unwrap().1.len() as u64
    }

    async fn stop(mut self) {
        drop(self.router.shutdown().await);
        self.endpoint.close().await;
        self.tasks.shutdown().await;
    }
}

impl Node for Member {
    async fn start(seed: u8, _world: &World) -> Self {
        Self::start(seed).await
    }

    async fn know(&self, other: &Self) {
        self.gossip.allow(other.address()).await.unwrap();
        other.gossip.allow(self.address()).await.unwrap();
    }

    async fn join(&self, seeds: &[u8]) {
        self.gossip.join(seeds.iter().map(|seed| super::id_of(*seed)).collect()).await.unwrap();
    }

    async fn say(&self, words: Bytes) {
        self.gossip.broadcast(words).await.unwrap();
    }

    fn heard(&self) -> usize {
        self.log.borrow().received.len()
    }

    fn connections(&self) -> u64 {
        self.mesh.open_connections()
    }

    fn neighbors(&self) -> u64 {
        self.gossip.counters().neighbors
    }

    async fn stop(self) {
        self.close().await;
    }
}

fn report<N: Node>(name: &str, begun: Instant, nodes: &[N], what: &str) -> (u64, u64) {
    let connections: u64 = nodes.iter().map(N::connections).sum();
    let neighbors: u64 = nodes.iter().map(N::neighbors).sum();
    let most = nodes.iter().map(N::connections).max().unwrap_or_default();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    println!(
        "{name}: {:>3} s, {what}: {connections} connection ends (most at one node {most}), {neighbors} neighbours, \
         {tasks} tasks",
        begun.elapsed().as_secs()
    );
    (connections, neighbors)
}

async fn soak<N: Node>(name: &str) -> (u64, u64) {
    let world = World::default();
    let mut nodes = Vec::new();
    for seed in 1..=NODES {
        nodes.push(N::start(seed, &world).await);
    }
    for (n, a) in nodes.iter().enumerate() {
        for b in &nodes[..n] {
            a.know(b).await;
        }
    }
    for (n, node) in (1..).zip(&nodes).skip(1) {
        node.join(&[n - 1, 1]).await;
    }
    let (begun, mut rng, mut round) = (Instant::now(), StdRng::seed_from_u64(7), 0);
    while begun.elapsed() < ROTATING {
        for (n, node) in (0..).zip(&nodes) {
            let other = (n + rng.random_range(1..NODES)) % NODES;
            node.join(&[other + 1]).await;
        }
        round += 1;
        if round % RESTART_EVERY == 0 {
            let n = rng.random_range(0..nodes.len());
            let seed = u8::try_from(n).unwrap() + 1;
            nodes.remove(n).stop().await;
            let again = N::start(seed, &world).await;
            for other in &nodes {
                again.know(other).await;
            }
            again.join(&[1 + seed % NODES]).await;
            nodes.insert(n, again);
            report(name, begun, &nodes, "rotating");
        }
        sleep(Duration::from_millis(ROTATE_MS)).await;
    }
    sleep(RESTING).await;
    let left = report(name, begun, &nodes, "at rest");
    // Does everybody still hear everybody?
    let before: Vec<_> = nodes.iter().map(N::heard).collect();
    for n in 0..10 {
        for (author, node) in (1..).zip(&nodes) {
            node.say(payload(author, 1_000_000 + n, 0)).await;
        }
        sleep(Duration::from_millis(300)).await;
    }
    sleep(Duration::from_secs(3)).await;
    let heard: usize = nodes.iter().zip(before).map(|(node, before)| node.heard() - before).sum();
    println!("{name}: {heard} of {} payloads delivered", 10 * usize::from(NODES) * usize::from(NODES - 1));
    report(name, begun, &nodes, "at the end");
    for node in nodes {
        node.stop().await;
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of four minutes"]
async fn connections_that_are_left_of_upstreams_shell_and_of_ours() {
    let (theirs, _) = soak::<Upstream>("iroh-gossip").await;
    let (ours, neighbors) = soak::<Member>("ours").await;
    println!("left: {theirs} in iroh-gossip's shell, {ours} in ours, for {neighbors} neighbours");
    assert!(ours <= neighbors + 2, "connections that serve no neighbour");
}
