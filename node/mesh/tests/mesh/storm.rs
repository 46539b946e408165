//! mDNS under a storm of made-up answers, and under records that are not what they seem.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use clankers_mesh::{Mdns, Mesh, MeshConfig, PeerAddress, discovery::record::instance, limits};
use clankers_protocol::NodeId;

use super::{
    PATIENCE, config,
    discovering::{free_port, mesh, multicast_works},
    id_of,
    packet::{Record, Sender, announcement, packet},
    soon,
};

/// Fake answers per second, and for how long.
const STORM_PER_S: u32 = 1_000;
const STORM: Duration = Duration::from_secs(12);
/// What the storm may cost: +16 MiB, a quarter of a core (design/bars.md).
const MOST_KIB: u64 = 16 * 1024;
const MOST_OF_A_CORE: f64 = 0.25;

fn made_up(n: u32) -> NodeId {
    let mut bytes = [3; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NodeId(bytes)
}

/// Addresses of hosts that nobody asked for: mdns-sd keeps those as well, without browsing.
fn orphan(n: u32) -> Vec<u8> {
    let host = format!("host-{n}");
    packet(&[Record { name: &[&host, "local"], kind: 1, ttl: 86_400, data: &[10, 0, 0, 1] }])
}

#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Clock ticks (a hundredth of a second each on Linux) that `who` used: this process with all threads that it ever had
/// (`self`), or the thread that asks (`thread-self`).
#[cfg(target_os = "linux")]
fn ticks(who: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{who}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Runs in a process of its own, so that nothing else is measured.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the inner part of a_storm_of_answers_costs_little"]
fn inner_storm() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let port = free_port();
        let (a, b) = (mesh(1, port, None).await, mesh(2, port, None).await);
        let found = a.discovery().unwrap();
        soon("a finds b", found.wait_for(b.id(), PATIENCE)).await.expect("found");
        b.close().await;
        // What a machine pays once: the first packets, the first pages of the table.
        let sender = Sender::new(port);
        for n in 0..100 {
            sender.send(&announcement(made_up(n), Ipv4Addr::LOCALHOST, 4000));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (memory, before, begun) = (resident_kib(), ticks("self"), Instant::now());
        let storm = std::thread::Builder::new().name("storm".to_owned());
        let storm = storm.spawn(move || {
            let mut n = 100;
            while begun.elapsed() < STORM {
                sender.send(&announcement(made_up(n), Ipv4Addr::LOCALHOST, 4000));
                if n % 4 == 0 {
                    sender.send(&orphan(n));
                }
                n += 1;
                let due = Duration::from_micros(u64::from(n - 100) * 1_000_000 / u64::from(STORM_PER_S));
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
            (n, ticks("thread-self"))
        });
        let storm = storm.unwrap();
        // Somebody new comes in the middle of it, and is found.
        tokio::time::sleep(STORM / 3).await;
        let joined = Instant::now();
        let c = mesh(4, port, None).await;
        found.wait_for(c.id(), PATIENCE).await.expect("found in the storm");
        let found_ms = joined.elapsed().as_millis();
        let mut most = resident_kib();
        while !storm.is_finished() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            most = most.max(resident_kib());
        }
        let (sent, sending) = tokio::task::spawn_blocking(|| storm.join().unwrap()).await.unwrap();
        let passed = begun.elapsed().as_secs_f64();
        let core = (ticks("self") - before - sending) as f64 / 100.0 / passed;
        assert!(found.list().len() <= limits::DISCOVERED_PEERS);
        println!("storm: sent {sent} more_kib {} core {core:.3} found_ms {found_ms}", most - memory);
        a.close().await;
        c.close().await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_storm_of_answers_costs_little() {
    if !multicast_works() {
        return;
    }
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storm::inner_storm", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&run.stdout).into_owned();
    let line = out.lines().find(|l| l.starts_with("storm:"));
    let line = line.unwrap_or_else(|| panic!("{out}{}", String::from_utf8_lossy(&run.stderr)));
    println!("{line}");
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |name: &str| words[words.iter().position(|w| *w == name).unwrap() + 1];
    let (sent, kib): (u32, u64) = (after("sent").parse().unwrap(), after("more_kib").parse().unwrap());
    let core: f64 = after("core").parse().unwrap();
    assert!(sent > STORM_PER_S * 6, "the storm was none: {sent}");
    assert!(kib <= MOST_KIB, "{kib} KiB more, {MOST_KIB} allowed");
    // An unoptimised build takes some times as long as what is shipped.
    let slower = if cfg!(debug_assertions) { 3.0 } else { 1.0 };
    assert!(core <= MOST_OF_A_CORE * slower, "{core} of a core, {MOST_OF_A_CORE} allowed (times {slower})");
}

/// Whoever announces another node's id adds addresses and takes none away: by its id alone the node is reached where it
/// truly is, while the lies go on, whether or not it was reached before.
#[tokio::test]
async fn a_record_with_another_nodes_id_misleads_nobody() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let (a, b) = (mesh(1, port, None).await, mesh(2, port, None).await);
    let found = a.discovery().unwrap();
    soon("a finds b", found.wait_for(b.id(), PATIENCE)).await.expect("found");
    let (id, mut news, told) = (b.id(), found.subscribe(), Arc::new(AtomicU16::new(0)));
    let liar = tokio::spawn({
        let (sender, told) = (Sender::new(port), Arc::clone(&told));
        async move {
            loop {
                // Each is another one: what is repeated is no news.
                let lie = 20_000 + told.fetch_add(1, Ordering::Relaxed) % 10_000;
                sender.send(&announcement(id, Ipv4Addr::LOCALHOST, lie));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    soon("as many lies as find room", async {
        while found.addrs(id).len() <= limits::DISCOVERED_KEPT {
            news.next().await.unwrap();
        }
    })
    .await;
    assert_ne!(found.addrs(id)[0], b.addrs()[0], "what is heard last comes first");
    let by_id = PeerAddress::from(id);
    for turn in 0..3 {
        let (dialed, accepted) =
            soon("dialing", async { tokio::join!(a.dial(&by_id, super::ALPN, PATIENCE), b.accept()) }).await;
        assert_eq!((dialed.unwrap().remote(), accepted.unwrap().remote()), (id, a.id()));
        assert_eq!(found.addrs(id)[0], b.addrs()[0], "where it was reached comes first from now on");
        let before = told.load(Ordering::Relaxed);
        soon("more lies", async {
            while told.load(Ordering::Relaxed) < before + 20 {
                news.next().await.unwrap();
            }
        })
        .await;
        assert!(found.addrs(id).len() > limits::DISCOVERED_KEPT, "turn {turn}: the lies go on");
        assert_eq!(found.addrs(id)[0], b.addrs()[0], "turn {turn}");
    }
    liar.abort();
    assert!(liar.await.unwrap_err().is_cancelled(), "it lied until now");
    // A goodbye takes all of it back, what was true and what was not.
    b.close().await;
    soon("the goodbye", async {
        while found.resolve(&id.to_string()).is_ok() {
            news.next().await.unwrap();
        }
    })
    .await;
    a.close().await;
}

/// Records as other programs send them, by mistake or on purpose: none is used, none does harm.
#[tokio::test]
async fn odd_records_of_others_are_survived_and_labels_are_clean() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let a = mesh(1, port, None).await;
    let found = a.discovery().unwrap();
    let sender = Sender::new(port);
    let service = ["_clankers", "_udp", "local"];
    let name = instance(id_of(9));
    let full = [name.as_str(), service[0], service[1], service[2]];
    let txt = |pairs: &[&[u8]]| {
        let mut out = Vec::new();
        for pair in pairs {
            out.push(u8::try_from(pair.len()).unwrap());
            out.extend_from_slice(pair);
        }
        out
    };
    let id = format!("id={name}");
    let odd = [
        txt(&[]),
        txt(&[b"", b"=", b"==", b"txtvers", b"id"]),
        txt(&[b"txtvers=2", id.as_bytes(), b"p4=1"]),
        txt(&[b"txtvers=1", b"id=yyyy", b"p4=1"]),
        txt(&[b"txtvers=1", id.as_bytes(), b"p4=99999"]),
        txt(&[b"txtvers=1", id.as_bytes(), b"p4=0"]),
        txt(&[b"txtvers=1", id.as_bytes(), b"p4=1", &[b'x'; 255], &[b'y'; 255]]),
        vec![255, 1, 2],
    ];
    for data in &odd {
        sender.send(&packet(&[Record { name: &full, kind: 16, ttl: 120, data }]));
    }
    for kind in [0, 2, 5, 28, 33, 41, 47, 255, 65_535] {
        for data in [&[][..], &[0], &[0xc0, 0x0c], &[0xff; 40]] {
            sender.send(&packet(&[Record { name: &full, kind, ttl: u32::MAX, data }]));
        }
    }
    // A label of another program's taste: control characters, an escape sequence, a right-to-left override.
    let rude = "n=\u{1b}[31mroot\u{7}\u{202e}\n/etc".as_bytes();
    let good = txt(&[b"txtvers=1", id.as_bytes(), b"p4=4000", rude]);
    let srv = [&[0, 0, 0, 0, 0x0f, 0xa0][..], &packet_name(&[&name, "local"])].concat();
    let ptr = packet_name(&full);
    let records = [
        Record { name: &service, kind: 12, ttl: 120, data: &ptr },
        Record { name: &full, kind: 33, ttl: 120, data: &srv },
        Record { name: &full, kind: 16, ttl: 120, data: &good },
        Record { name: &[&name, "local"], kind: 1, ttl: 120, data: &[127, 0, 0, 1] },
    ];
    let seen = soon("the good one among them", async {
        loop {
            sender.send(&packet(&records));
            if let Some(seen) = found.wait_for(id_of(9), Duration::from_millis(200)).await
                && seen.label.is_some()
            {
                break seen;
            }
        }
    })
    .await;
    let label = seen.label.unwrap();
    assert!(label.contains("root") && label.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{label:?}");
    let b = mesh(2, port, None).await;
    soon("an honest node", found.wait_for(b.id(), PATIENCE)).await.expect("found");
    // Two nodes with one label are two nodes.
    let c = mesh(4, port, Some("twin")).await;
    let d = mesh(5, port, Some("twin")).await;
    for twin in [&c, &d] {
        let seen = soon("a twin", found.wait_for(twin.id(), PATIENCE)).await.expect("found");
        assert_eq!(seen.label.as_deref(), Some("twin"));
    }
    for mesh in [a, b, c, d] {
        mesh.close().await;
    }
}

fn packet_name(labels: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    super::packet::name(labels, &mut out);
    out
}

#[tokio::test]
async fn a_goodbye_arrives_at_once() {
    if !multicast_works() {
        return;
    }
    let port = free_port();
    let a = mesh(1, port, None).await;
    let found = a.discovery().unwrap();
    let mut took = Vec::new();
    for seed in 10..21 {
        let b = mesh(seed, port, None).await;
        soon("a finds b", found.wait_for(b.id(), PATIENCE)).await.expect("found");
        let (begun, mut news) = (Instant::now(), found.subscribe());
        let gone = async {
            while found.resolve(&b.id().to_string()).is_ok() {
                news.next().await.unwrap();
            }
            begun.elapsed()
        };
        let ((), gone) = soon("the goodbye", async { tokio::join!(b.close(), gone) }).await;
        took.push(gone);
    }
    took.sort();
    println!("goodbye: median {:?}, worst {:?}", took[took.len() / 2], took.last());
    // The bar is 40 ms on a quiet machine (the bench measures it); without a goodbye it would be more than a minute.
    assert!(took[took.len() / 2] < Duration::from_secs(10), "{took:?}");
    a.close().await;
}

/// A port that another program holds for itself: the node goes on, and the doctor knows why nobody is found.
#[tokio::test]
async fn a_held_port_is_no_reason_to_hang() {
    let held = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let mdns = Mdns { port: held.local_addr().unwrap().port(), loopback: true, ..Mdns::default() };
    let started = soon("the start", Mesh::start(MeshConfig { mdns: Some(mdns.clone()), ..config(1) })).await;
    if let Ok(mesh) = started {
        assert!(mesh.discovery().unwrap().list().is_empty());
        soon("the end", mesh.close()).await;
    }
    let found = soon("the doctor", clankers_mesh::doctor(&mdns)).await;
    assert_eq!(found.findings.first().map(clankers_mesh::Finding::code), Some("port-held"));
}
