//! mDNS: how soon a goodbye is heard, and what a storm of made-up answers costs a node.

use std::{
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use clankers_mesh::{Bind, Browser, Mdns, Mesh, MeshConfig, Relay, discovery::record::instance};
use clankers_protocol::NodeId;
use clankers_tests::{
    Start, forge, load,
    stats::{Samples, millis},
};
use tokio::sync::mpsc;

use super::run;
use crate::{
    limits::{LOOKS, PATIENCE, STORM, STORM_LOOK, STORM_PER_S, STORM_ROUNDS, STORM_WARM_UP},
    peers::Lab,
    report::{Judge, Row},
};

/// The group of mDNS (RFC 6762 section 3), and the port that nobody else here speaks it on.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The service type, as labels.
const SERVICE: [&str; 3] = ["_clankers", "_udp", "local"];
/// Bytes of a MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// A mesh on another host ends; until a browser has dropped it.
pub(crate) fn goodbye(lab: &Lab) -> Vec<Row> {
    // None, and why, where there is no root and no /dev/net/tun.
    let Some(net) = clankers_lab::Lab::builder().hosts(2).seed(2).start() else { return Vec::new() };
    let (come, comes) = mpsc::channel(1);
    let (seen, is_seen) = mpsc::channel(1);
    let rounds = lab.rounds * LOOKS;
    let took = thread::scope(|scope| {
        let there = net.host(1);
        scope.spawn(move || there.inside(|| run(come_and_go(rounds, come, is_seen))));
        net.host(0).inside(|| run(hear_them_go(comes, seen)))
    });
    vec![Row::new("LAN, a node's goodbye heard", "ms", took, Judge::P50, 40.0, 20.0)]
}

/// Who is there, and then when it began to leave.
type News = (NodeId, Option<Instant>);

async fn come_and_go(rounds: usize, come: mpsc::Sender<News>, mut is_seen: mpsc::Receiver<()>) {
    for _ in 0..rounds {
        let config = MeshConfig {
            secret: forge::random::<32>().into(),
            bind: Bind::Any { port: 0 },
            relay: Relay::Off,
            mdns: Some(Mdns::default()),
            alpns: vec![b"nothing/1".to_vec()],
        };
        let mesh = Mesh::start(config).await.expect("a mesh");
        let id = mesh.id();
        come.send((id, None)).await.expect("somebody listens");
        is_seen.recv().await.expect("it is found");
        come.send((id, Some(Instant::now()))).await.expect("somebody listens");
        mesh.close().await;
    }
}

async fn hear_them_go(mut comes: mpsc::Receiver<News>, seen: mpsc::Sender<()>) -> Samples {
    let browser = Browser::start(&Mdns::default(), None).expect("mDNS starts");
    let found = browser.discovery();
    let mut took = Samples::new();
    while let Some((id, left)) = comes.recv().await {
        let Some(left) = left else {
            found.wait_for(id, PATIENCE).await.expect("it is found");
            seen.send(()).await.expect("somebody listens");
            continue;
        };
        let mut news = found.subscribe();
        let gone = async { while !found.addrs(id).is_empty() && news.next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, gone).await.expect("it is forgotten");
        took.push(millis(left.elapsed()));
    }
    browser.stop().await;
    took
}

/// Answers about nodes that are none, as fast as an attacker on the same network likes, at a node on loopback.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn storm(lab: &Lab) -> Vec<Row> {
    let Some(port) = free_port() else {
        eprintln!("  skipped: multicast does not come back on this machine's loopback interface");
        return Vec::new();
    };
    let (mut memory, mut core) = (Samples::new(), Samples::new());
    for _ in 0..lab.rounds.min(STORM_ROUNDS) {
        let home = lab.home();
        let _key = home.id();
        home.settings(&format!("[network]\nmdns_port = {port}\n"));
        let node = Start::new().mdns(Some("on")).on(&home);
        let mut storm = Storm::new(port);
        // What a machine pays once: the first packets, the first pages of the table.
        storm.blow(STORM_WARM_UP, || {});
        let resident = || load::memory(node.pid(), "VmRSS").expect("a living node") as f64 / MIB;
        let cpu = || load::cpu_time(node.pid()).expect("a living node");
        let (before, used, begun) = (resident(), cpu(), Instant::now());
        let mut most = before;
        storm.blow(STORM, || most = most.max(resident()));
        memory.push(most.max(resident()) - before);
        core.push(100.0 * (cpu() - used).as_secs_f64() / begun.elapsed().as_secs_f64());
    }
    let name = format!("mDNS storm, {STORM_PER_S} answers/s: memory more");
    vec![
        Row::new(&name, "MiB", memory, Judge::P50, 16.0, 8.0),
        Row::new("  of a core", "%", core, Judge::P50, 25.0, 12.0),
    ]
}

/// A port on which multicast comes back on the loopback interface.
fn free_port() -> Option<u16> {
    let listener = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    let port = listener.local_addr().ok()?.port();
    listener.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST).ok()?;
    listener.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.send_to(b"anyone?", (GROUP, port)).ok()?;
    listener.recv(&mut [0; 16]).ok().map(|_| port)
}

/// Whoever makes answers up: each is about another node.
struct Storm {
    socket: UdpSocket,
    port: u16,
    next: u32,
}

impl Storm {
    fn new(port: u16) -> Self {
        Self { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket"), port, next: 0 }
    }

    /// At its pace for so long, with a look now and then.
    fn blow(&mut self, lasts: Duration, mut look: impl FnMut()) {
        let (begun, first, mut looked) = (Instant::now(), self.next, Instant::now());
        while begun.elapsed() < lasts {
            let mut id = [3; 32];
            id[..4].copy_from_slice(&self.next.to_be_bytes());
            // A full queue loses what an attacker sends, too.
            let _lost = self.socket.send_to(&announcement(NodeId(id)), (GROUP, self.port));
            self.next += 1;
            let due =
                Duration::from_micros(u64::from(self.next - first) * 1_000_000 / u64::from(STORM_PER_S));
            if looked.elapsed() >= STORM_LOOK {
                look();
                looked = Instant::now();
            }
            thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
}

/// An unsolicited response that announces a node with this id (RFC 1035 section 4, RFC 6762 section 18).
fn announcement(id: NodeId) -> Vec<u8> {
    let instance = instance(id);
    let [service, udp, local] = SERVICE;
    let (full, host) = ([instance.as_str(), service, udp, local], [instance.as_str(), local]);
    let mut out = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    record(&SERVICE, 12, &name(&full), &mut out);
    record(&full, 33, &[&[0, 0, 0, 0, 0x0f, 0xa0][..], &name(&host)].concat(), &mut out);
    let mut txt = Vec::new();
    for pair in ["txtvers=1".to_owned(), format!("id={instance}"), "p4=4000".to_owned()] {
        txt.push(u8::try_from(pair.len()).expect("short"));
        txt.extend_from_slice(pair.as_bytes());
    }
    record(&full, 16, &txt, &mut out);
    record(&host, 1, &Ipv4Addr::LOCALHOST.octets(), &mut out);
    out
}

fn name(labels: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for label in labels {
        out.push(u8::try_from(label.len()).expect("a label"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn record(labels: &[&str], kind: u16, data: &[u8], out: &mut Vec<u8>) {
    out.extend(name(labels));
    out.extend_from_slice(&kind.to_be_bytes());
    // Class IN; all but the shared PTR flush the cache.
    out.extend_from_slice(&(if kind == 12 { 1_u16 } else { 0x8001 }).to_be_bytes());
    out.extend_from_slice(&120_u32.to_be_bytes());
    out.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
    out.extend_from_slice(data);
}
