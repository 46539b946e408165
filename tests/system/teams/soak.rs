//! A team whose members come and go for a while: a minute, or as many seconds as `CLANKERS_TEST_SOAK_SECS` says, such as
//! 3600. Whoever stays may not grow.

use std::{
    env,
    time::{Duration, Instant},
};

use clankers_tests::{Node, load, stats::Samples, wait};

use super::{HEALED, members, node, team};

/// Members (count).
const NODES: usize = 12;
/// Of these, the first stay all the time, and are looked at (count).
const STAY: usize = 4;
/// How long they come and go when nobody says (time).
const SOAK: Duration = Duration::from_secs(60);
/// By how much one that stays may grow, from the first third of the time to the last: resident memory (KiB), descriptors
/// and threads (count). What is fetched once, such as pages of the binary, is in the first third.
const MOST: [(&str, f64); 3] =
    [("resident memory (KiB)", 32.0 * 1024.0), ("descriptors", 64.0), ("threads", 16.0)];
/// In a soak of an hour: from when on memory counts (time), and how fast it may grow then (KiB an hour; the bar is 512).
const WARM: Duration = Duration::from_secs(600);
const SLOPE_KIB: f64 = 512.0;

fn lasts() -> Duration {
    let said = env::var("CLANKERS_TEST_SOAK_SECS").ok();
    said.map_or(SOAK, |secs| Duration::from_secs(secs.parse().expect("a number of seconds")))
}

/// Resident memory (KiB), descriptors, threads.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn look(node: &Node) -> [f64; 3] {
    let pid = node.pid();
    let kib = load::memory(pid, "VmRSS").expect("a living node") / 1024;
    let (fds, threads) = (load::descriptors(pid), load::threads(pid));
    [kib as f64, fds.expect("its descriptors") as f64, threads.expect("its threads") as f64]
}

/// Waits until this one sees all alive.
fn sees_all(one: &Node) {
    wait::until(&format!("all alive for {}", one.id().short()), HEALED, || {
        let alive = members(one).iter().filter(|member| member["state"] == "alive").count();
        (alive == NODES).then_some(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_team_whose_members_come_and_go_does_not_grow() {
    let mut nodes: Vec<Node> = (0..NODES).map(|n| node(&format!("node-{n}"))).collect();
    team("core", &nodes.iter().collect::<Vec<_>>());
    let (begun, lasts) = (Instant::now(), lasts());
    let mut seen: Vec<(Duration, [f64; 3])> = Vec::new();
    let mut rounds = 0;
    while begun.elapsed() < lasts {
        // Each in turn; every other one without a goodbye.
        let goes = STAY + rounds % (NODES - STAY);
        match rounds % 2 {
            0 => nodes[goes].kill9(),
            _ => drop(nodes[goes].stop()),
        }
        nodes[goes].restart();
        rounds += 1;
        for stays in &nodes[..STAY] {
            seen.push((begun.elapsed(), look(stays)));
        }
    }
    nodes.iter().for_each(sees_all);
    let ended = begun.elapsed();
    for stays in &nodes[..STAY] {
        seen.push((ended, look(stays)));
    }
    println!("soak: {rounds} members went and came back in {ended:?}");
    let third = |from: u32| -> Vec<[f64; 3]> {
        let (from, to) = (ended * from / 3, ended * (from + 1) / 3);
        seen.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, what)| *what).collect()
    };
    let (first, last) = (third(0), third(2));
    for (at, (name, most)) in MOST.into_iter().enumerate() {
        let median = |of: &[[f64; 3]]| of.iter().map(|what| what[at]).collect::<Samples>().p50();
        let (before, after) = (median(&first), median(&last));
        println!("soak: {name} {before} at first, {after} at last, of each of {STAY} that stayed");
        assert!(after - before <= most, "{name}: from {before} to {after} in {ended:?}");
    }
    let warm: Vec<(f64, f64)> =
        seen.iter().filter(|(at, _)| *at >= WARM).map(|(at, what)| (at.as_secs_f64(), what[0])).collect();
    if ended >= WARM * 3 {
        let slope = slope(&warm) * 3_600.0;
        println!("soak: memory grows by {slope:.0} KiB an hour after {WARM:?}");
        assert!(slope <= SLOPE_KIB, "memory grows by {slope:.0} KiB an hour");
    }
}

/// Least squares: by how much the second grows with the first.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let own: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    both / own
}

#[test]
fn a_slope_is_found() {
    let points: Vec<(f64, f64)> = (0..10).map(|n| (f64::from(n), 3.0 + 2.0 * f64::from(n))).collect();
    assert!((slope(&points) - 2.0).abs() < 1e-9);
}
