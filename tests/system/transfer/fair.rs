//! Who sends as fast as can be keeps nobody else waiting.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use clankers_tests::wait::until;

use super::{MIB, Two, content, receipt, tree};

/// How often is asked in a row (count).
const PINGS: usize = 1_000;
/// What is beside a transfer may take so many times what it takes alone (count), on a machine that does nothing else.
const BESIDE: f64 = 20.0;
/// What is no delay that anybody minds, whatever it takes alone (milliseconds).
const NO_MATTER: f64 = 250.0;

/// Round trips (milliseconds), sorted.
fn pings(two: &Two) -> Vec<f64> {
    let count = PINGS.to_string();
    let words = ["--json", "rpc", "ping", two.desk.ticket(), "-c", &count];
    let lines = two.lap.cli(words).within(Duration::from_secs(120)).run().ok().json_lines();
    let mut trips: Vec<f64> =
        lines.iter().filter_map(|line| line["rtt_us"].as_f64()).map(|micros| micros / 1000.0).collect();
    assert_eq!(trips.len(), PINGS, "{lines:?}");
    trips.sort_by(f64::total_cmp);
    trips
}

/// Sends this again and again until it is told to stop.
fn hog(two: &Two, path: &Path, rounds: &AtomicUsize, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        two.send([path.to_str().unwrap(), "--on-conflict", "overwrite"]).run().ok();
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends the hog, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn beside_one_that_takes_all_others_are_answered_and_move() {
    let two = Two::with(&["--drop"]);
    let large = two.lap.file("large", content(1, 64 * MIB));
    let other = tree(&two.lap, "other", &[("a", 4 * MIB), ("b", 10)]);
    let alone = pings(&two)[PINGS / 2];
    let (rounds, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _ends = Stop(&stop);
        scope.spawn(|| hog(&two, &large, &rounds, &stop));
        let more = |what: &str| {
            let before = rounds.load(Ordering::Relaxed);
            until(what, Duration::from_secs(120), || (rounds.load(Ordering::Relaxed) > before).then_some(()));
        };
        more("a first round");
        let beside = pings(&two);
        // Most, not all: the machine may have other things to do for a moment.
        let most = beside[PINGS * 3 / 4];
        assert!(most <= (alone * BESIDE).max(NO_MATTER), "alone {alone} ms, beside {beside:?}");
        // Neither of two starves: the small one is whole, and the large ones go on beside it.
        let before = rounds.load(Ordering::Relaxed);
        let ran = two.send([other.to_str().unwrap(), "--limit-rate", "1MiB"]).run().ok();
        assert_eq!(receipt(&ran.json_lines())["files"], 2);
        until("the large ones go on", Duration::from_secs(120), || {
            (rounds.load(Ordering::Relaxed) > before).then_some(())
        });
        more("one after it");
    });
}
