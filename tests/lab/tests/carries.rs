//! The emulator with the kernel's own network stack: what is set is what is measured.

#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use clankers_lab::{
    Lab, Setting,
    lab::Host,
    link::{Chance, Counts, Loss, Rate, Reorder},
};

const PORT: u16 = 7_000;
/// For what must come.
const LONG: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bound(host: Host<'_>) -> UdpSocket {
    let socket = host.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap());
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// The next datagram. A socket with a timeout is interrupted when the whole process is stopped and goes on.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => return received.unwrap(),
        }
    }
}

/// Numbers that arrive, in their order, until the last one: `u32::MAX`, which is sent on a link that is perfect again.
fn numbers(socket: &UdpSocket, read: &AtomicU64) -> Vec<u32> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4]);
    loop {
        let (size, _) = receive(socket, &mut buffer);
        assert_eq!(size, 4);
        read.fetch_add(1, Ordering::Relaxed);
        match u32::from_be_bytes(buffer) {
            u32::MAX => return seen,
            number => seen.push(number),
        }
    }
}

/// Sends so many numbered datagrams over links with this setting, and returns what arrived.
fn carried(setting: &Setting, seed: u64, count: u32) -> Option<(Vec<u32>, clankers_lab::link::Counts)> {
    let lab = Lab::builder().seed(seed).start()?;
    let (a, b) = (bound(lab.host(0)), bound(lab.host(1)));
    let to = SocketAddr::from((lab.host(1).address(), PORT));
    lab.link(0, 1).set(setting);
    let read = AtomicU64::new(0);
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| numbers(&b, &read));
        for number in 0..count {
            a.send_to(&number.to_be_bytes(), to).unwrap();
            // The kernel drops what the receiving socket's buffer cannot hold, some 270 of these.
            if number % 64 == 63 {
                wait_for("the sent ones at the link", || lab.link(0, 1).counts().offered > u64::from(number));
                wait_for("room at the receiver", || {
                    let now = lab.link(0, 1).counts();
                    let Counts { offered, doubled, corrupted, .. } = now;
                    offered + doubled < 64 + now.lost() + corrupted + read.load(Ordering::Relaxed)
                });
            }
        }
        wait_for("every datagram at the link", || lab.link(0, 1).counts().offered == u64::from(count));
        let counts = lab.link(0, 1).counts();
        lab.link(0, 1).update(|setting| *setting = Setting { delay: setting.delay, ..Setting::default() });
        wait_for("an empty link", || {
            let now = lab.link(0, 1).counts();
            now.offered + now.doubled == now.delivered + now.lost()
        });
        a.send_to(&u32::MAX.to_be_bytes(), to).unwrap();
        (seen.join().unwrap(), counts)
    });
    Some(seen)
}

fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        thread::yield_now();
    }
}

#[test]
fn a_round_trip_takes_both_delays() {
    let Some(lab) = Lab::builder().delay(ms(50)).start() else { return };
    let (a, b) = (bound(lab.host(0)), bound(lab.host(1)));
    let to = SocketAddr::from((lab.host(1).address(), PORT));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                let (size, from) = receive(&b, &mut [0; 9]);
                b.send_to(&[7; 9][..size], from).unwrap();
            }
        });
        let trip = |_| {
            let start = Instant::now();
            a.send_to(b"ping", to).unwrap();
            receive(&a, &mut [0; 9]);
            start.elapsed()
        };
        let mut trips: Vec<Duration> = (0..20).map(trip).collect();
        trips.sort();
        println!(
            "round trips of 2 x 50 ms: least {:?}, median {:?}, most {:?}",
            trips[0], trips[10], trips[19]
        );
        // Never early; late only by what a busy machine takes.
        assert!(trips[0] >= ms(100), "{trips:?}");
        assert!(trips[10] <= ms(130), "{trips:?}");
    });
}

#[test]
fn the_same_seed_loses_the_same_datagrams() {
    let loss = Loss::Bursts {
        enter: Chance::percent(2),
        leave: Chance::percent(25),
        bad: Chance::ALWAYS,
        good: Chance::percent(1),
    };
    let setting = Setting { loss, ..Setting::delayed(ms(5)) };
    let Some((first, counts)) = carried(&setting, 7, 2_000) else { return };
    let (again, _) = carried(&setting, 7, 2_000).unwrap();
    let (other, _) = carried(&setting, 8, 2_000).unwrap();
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first.len() as u64 + counts.lost_chance, 2_000);
    // 2/27 in bursts and one of a hundred besides: 8.3 percent.
    assert!((80..=260).contains(&counts.lost_chance), "{counts:?}");
    assert!(first.is_sorted());
}

#[test]
fn datagrams_are_doubled_and_overtaken_as_decided() {
    let setting = Setting {
        duplicate: Chance::percent(10),
        reorder: Reorder { chance: Chance::percent(10), by: ms(30) },
        ..Setting::delayed(ms(20))
    };
    let Some((seen, counts)) = carried(&setting, 3, 1_000) else { return };
    assert!(!seen.is_sorted() && counts.held > 50, "{counts:?}");
    assert!(counts.doubled > 50, "{counts:?}");
    assert_eq!(seen.len() as u64, 1_000 + counts.doubled);
    let mut all = seen;
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..1_000).collect::<Vec<u32>>());
}

#[test]
fn corrupted_datagrams_are_refused_by_the_checksum() {
    let setting = Setting { corrupt: Chance::percent(20), ..Setting::default() };
    let Some((seen, counts)) = carried(&setting, 3, 1_000) else { return };
    assert!((120..=280).contains(&counts.corrupted), "{counts:?}");
    assert_eq!(counts.lost(), 0);
    // A flipped bit may lie where nobody looks (type of service, padding): the others are dropped by the kernel.
    let missing = 1_000 - seen.len() as u64;
    assert!(missing > counts.corrupted / 2 && missing <= counts.corrupted, "{missing} of {counts:?}");
}

#[test]
fn a_stream_is_as_fast_as_the_rate() {
    const BYTES: usize = 4_000_000;
    let setting = Setting { rate: Some(Rate::mbit(40)), ..Setting::delayed(ms(5)) };
    let Some(lab) = Lab::builder().setting(setting).start() else { return };
    let listener = lab.host(1).inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap());
    let to = SocketAddr::from((lab.host(1).address(), PORT));
    let mut client = lab.host(0).inside(|| TcpStream::connect_timeout(&to, LONG).unwrap());
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(move || {
            client.write_all(&vec![7; BYTES]).unwrap();
        });
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read_to_end(&mut Vec::new()).unwrap();
        let took = start.elapsed();
        assert_eq!(read, BYTES);
        // 4 MB are 0.8 s at 40 Mbit/s, and headers are counted: never faster.
        println!("4 MB at 40 Mbit/s took {took:?}");
        assert!(took >= ms(800), "{took:?}");
        assert!(took <= ms(2_400), "{took:?}");
    });
}

#[test]
fn multicast_crosses_to_every_other_host() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let Some(lab) = Lab::builder().hosts(3).delay(ms(5)).start() else { return };
    let joined = |index: usize| {
        let (host, address) = (lab.host(index), lab.host(index).address());
        let socket = bound(host);
        // Joining asks the namespace's own devices, so it is done there as well.
        host.inside(|| socket.join_multicast_v4(&group, &address).unwrap());
        socket
    };
    let sockets: Vec<UdpSocket> = (0..3).map(joined).collect();
    sockets[0].set_multicast_loop_v4(false).unwrap();
    sockets[0].send_to(b"who is there", (group, PORT)).unwrap();
    for socket in &sockets[1..] {
        let mut buffer = [0; 32];
        let (size, from) = receive(socket, &mut buffer);
        assert_eq!(&buffer[..size], b"who is there");
        assert_eq!(from, SocketAddr::from((lab.host(0).address(), PORT)));
    }
}

#[test]
fn a_blackhole_swallows_and_heals_by_itself() {
    let Some(lab) = Lab::builder().delay(ms(5)).start() else { return };
    let (a, b) = (bound(lab.host(0)), bound(lab.host(1)));
    let to = SocketAddr::from((lab.host(1).address(), PORT));
    let start = Instant::now();
    lab.between(0, 1).blackhole(ms(600));
    b.set_nonblocking(true).unwrap();
    let mut sent = 0u32;
    // The sender notices nothing: no "host unreachable", no refusal.
    let first = loop {
        assert!(start.elapsed() < LONG, "it never healed");
        a.send_to(&sent.to_be_bytes(), to).unwrap();
        sent += 1;
        let mut buffer = [0; 4];
        match b.recv_from(&mut buffer) {
            Ok(_) => break u32::from_be_bytes(buffer),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        thread::sleep(ms(1));
    };
    let took = start.elapsed();
    println!("a blackhole of 600 ms healed after {took:?}");
    assert!(took >= ms(600) && took < ms(1_500), "{took:?}");
    assert_eq!(u64::from(first), lab.link(0, 1).counts().lost_cut);
    assert!(first > 0);
}

#[test]
fn a_host_that_moves_is_found_at_its_new_address() {
    let Some(lab) = Lab::builder().start() else { return };
    let (a, b) = (bound(lab.host(0)), bound(lab.host(1)));
    let to = SocketAddr::from((lab.host(1).address(), PORT));
    let from = || {
        a.send_to(b"here", to).unwrap();
        receive(&b, &mut [0; 9]).1
    };
    assert_eq!(from(), SocketAddr::from(([10, 0, 0, 1], PORT)));
    // Even into another network: every address is reached directly.
    for address in [Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(192, 168, 7, 7)] {
        lab.host(0).move_to(address);
        assert_eq!(lab.host(0).address(), address);
        let back = from();
        assert_eq!(back, SocketAddr::from((address, PORT)));
        b.send_to(b"answer", back).unwrap();
        assert_eq!(receive(&a, &mut [0; 9]).0, 6);
    }
    // Programs know the others by their names.
    let hosts = lab.host(1).command("cat").arg("/etc/hosts").output().unwrap();
    assert!(String::from_utf8(hosts.stdout).unwrap().contains("192.168.7.7 a\n"));
}

#[test]
fn programs_run_unmodified_and_do_not_outlive_the_lab() {
    let Some(lab) = Lab::builder().hosts(2).ipv6(true).start() else { return };
    let output = lab.host(1).command("ip").args(["-o", "addr", "show", "eth0"]).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("10.0.0.2/24") && words.contains("fd00:6c61:62::2/64"), "{words}");
    let space = lab.host(1).space().to_owned();
    let mut child = lab.host(1).command("sleep").arg("1000").spawn().unwrap();
    drop(lab);
    // Killed by the lab, and its own child, not a wrapper's: its id is the program's.
    assert!(!child.wait().unwrap().success());
    let left = std::path::Path::new("/run/netns").join(&space);
    assert!(!left.exists() && !std::path::Path::new("/etc/netns").join(&space).exists());
}
