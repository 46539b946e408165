//! Attached viewers on a network that misbehaves: real processes of the real binary on the hosts of tests/lab.
//!
//! One viewer sits beside the node, its network untouched: what it sees is the truth. The other attaches from another
//! host, over the link that suffers. Every durable event must reach both, once and in order.
//!
//! Beside them what takes longer or needs strace: a viewer that is [`frozen`] for a minute, a session [`kills`] at each of
//! its calls that change a file, a [`broken_disk`], [`restarts`] after every line, how soon one is [`late`], and a file over a link that is [`slow`].

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "faults/broken_disk.rs"]
mod broken_disk;
#[path = "faults/frozen.rs"]
mod frozen;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/late.rs"]
mod late;
#[path = "faults/restarts.rs"]
mod restarts;
#[path = "faults/slow.rs"]
mod slow;

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::LazyLock,
    time::{Duration, Instant},
};

use clankers_lab::{
    Inject, Lab, Setting,
    link::{Chance, Loss, Reorder},
};
use clankers_tests::{Node, NodeHome, Script, Turn, capture::Line, cli::Running, node::Start};
use serde_json::{Value, json};

const BIN: &str = env!("CARGO_BIN_EXE_clankers");
/// One way (time).
const DELAY: Duration = Duration::from_millis(25);
/// For whatever is waited for (time).
const LIMIT: Duration = Duration::from_secs(60);
/// After the link's return, or the change: two round trips and 300 ms (docs/benchmarks.md reports what was measured).
const BAR: Duration = Duration::from_millis(4 * 25 + 300);
/// What fails a test: the bar is measured and told, and a machine that is busy with other things is slower (time).
const SLOW: Duration = Duration::from_secs(1);
/// Calls of the model in the prompt that is watched: some ten seconds.
const STEPS: usize = 150;

/// What is printed of times is since here.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The guest's host.
const A: usize = 0;
/// The node's host.
const B: usize = 1;

/// A node on one host and a guest on another, both attached to a session that is busy.
struct World {
    far: Running,
    near: Running,
    _prompt: Running,
    _node: Node,
    _scripts: tempfile::TempDir,
    /// Last: the programs on its hosts go first.
    lab: Lab,
}

/// What a viewer printed: durable events with the time at which each came.
type Seen = Vec<(Value, Instant)>;

impl World {
    fn new(setting: Setting, seed: u64) -> Option<Self> {
        Self::with_guest(setting, seed, |home| home)
    }

    /// With a guest's home made of the one that it has.
    fn with_guest(setting: Setting, seed: u64, guest: impl FnOnce(NodeHome) -> NodeHome) -> Option<Self> {
        LazyLock::force(&BEGAN);
        let lab = Lab::builder().setting(setting).seed(seed).start()?;
        let scripts = tempfile::tempdir().unwrap();
        let on = |host: usize| NodeHome::new(lab.host(host).stand_in(BIN.as_ref(), scripts.path()));
        let (guest, desk) = (guest(on(A)), on(B));
        let step =
            |n| Turn::says(&format!("step {n}")).piece_chars(4).delay_ms(15).and_calls("ls", &json!({}));
        desk.script(&Script::of((0..STEPS).map(step).chain([Turn::says("the end")])));
        let node = Start::new().bind(Some("0.0.0.0:0")).on(&desk);
        let ran = desk.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok();
        let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
        // One's own sessions only, unless one is named.
        node.grant(&guest, &["--read-only", "--session", &session]);
        let attach = |home: &NodeHome, more: &[&str]| {
            let cli = home.cli(["attach", "--mode", "json", "--read-only", &session]).args(more);
            let mut run = cli.stdin_open().within(LIMIT).start();
            run.json_of_type("attached");
            run
        };
        let near = attach(&desk, &[]);
        let far = attach(&guest, &["--remote", node.ticket()]);
        let prompt = desk.cli(["rpc", "prompt", "local", "go", "--session", &session, "--mode", "json"]);
        let prompt = prompt.within(LIMIT).start();
        Some(Self { far, near, _prompt: prompt, _node: node, _scripts: scripts, lab })
    }

    /// Waits until the guest has seen so many durable events.
    fn underway(&mut self, events: u64) -> Seen {
        read(&mut self.far, |line| line["seq"].as_u64().is_some_and(|seq| seq >= events))
    }

    /// Waits for the end of the prompt at both, and compares: nothing lost, nothing twice, nothing out of order.
    /// Returns when each came to the viewer near and far.
    fn compare(mut self, mut far: Seen) -> (Seen, Seen) {
        let settled = |line: &Value| line["type"] == "settled" && line["prompt_seq"] == 5;
        far.extend(read(&mut self.far, settled));
        let near = read(&mut self.near, settled);
        let events = |seen: &Seen| seen.iter().map(|(line, _)| line.clone()).collect::<Vec<Value>>();
        let seqs: Vec<u64> = far.iter().map(|(line, _)| line["seq"].as_u64().unwrap()).collect();
        let wanted: Vec<u64> = (5..=near.last().unwrap().0["seq"].as_u64().unwrap()).collect();
        let from = seqs.iter().position(|seq| *seq == 5).unwrap();
        assert_eq!(seqs[from..], wanted, "lost, doubled or out of order");
        let after =
            |seen: &Seen| events(seen).into_iter().filter(|line| line["seq"].as_u64() >= Some(5)).collect();
        let (there, here): (Vec<Value>, Vec<Value>) = (after(&far), after(&near));
        assert!(there == here, "the same numbers with other contents");
        println!("{} durable events, each once and in order, under {}", wanted.len(), load());
        (near, far)
    }
}

/// Reads lines until one fits, and keeps the durable events.
fn read(run: &mut Running, fits: impl Fn(&Value) -> bool) -> Seen {
    let mut seen = Vec::new();
    loop {
        let Some(Line { at, bytes }) = run.line() else { panic!("it ended: {}", run.process().story()) };
        let line: Value = serde_json::from_slice(&bytes).unwrap();
        assert_ne!(line["type"], "gap", "a gap: {}", run.process().story());
        if let Some("connection" | "attached") = line["type"].as_str() {
            println!("  the guest is told at {:?}: {} {}", at - *BEGAN, line["type"], line["state"]);
        }
        let found = fits(&line);
        if line.get("seq").is_some() && line["type"] != "detached" {
            seen.push((line, at));
        }
        if found {
            return seen;
        }
    }
}

/// How long after `since` the first event that the node announced after it has reached the guest.
fn live_after(since: Instant, near: &Seen, far: &Seen) -> Duration {
    let (first, _) = near.iter().find(|(_, at)| *at >= since).expect("the prompt outlasts the fault");
    let (_, at) = far.iter().find(|(line, _)| line["seq"] == first["seq"]).expect("compared");
    at.saturating_duration_since(since)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", load.split(' ').next().unwrap_or("?"))
}

fn judge(what: &str, took: Duration, at_most: Duration) {
    let word = if took <= BAR { "within" } else { "over" };
    println!("{what}: live again after {took:?}, {word} the bar of {BAR:?} ({})", load());
    assert!(took <= at_most, "{what}: live again only after {took:?}");
}

#[test]
fn a_blackhole_of_five_seconds_loses_nothing() {
    let Some(mut world) = World::new(Setting::delayed(DELAY), 1) else { return };
    let seen = world.underway(60);
    let hole = Duration::from_secs(5);
    world.lab.between(A, B).blackhole(hole);
    let back = Instant::now() + hole;
    println!("  the link returns at {:?}", back - *BEGAN);
    let (near, far) = world.compare(seen);
    judge("blackhole of 5 s", live_after(back, &near, &far), SLOW);
}

#[test]
fn a_guest_that_changes_its_address_loses_nothing() {
    let Some(mut world) = World::new(Setting::delayed(DELAY), 2) else { return };
    let seen = world.underway(60);
    world.lab.host(A).move_to([10, 0, 0, 9].into());
    let moved = Instant::now();
    let (near, far) = world.compare(seen);
    judge("change of address", live_after(moved, &near, &far), SLOW);
}

#[test]
fn a_guest_that_comes_back_elsewhere_after_a_blackhole_loses_nothing() {
    let Some(mut world) = World::new(Setting::delayed(DELAY), 3) else { return };
    let seen = world.underway(60);
    let hole = Duration::from_secs(5);
    world.lab.between(A, B).blackhole(hole);
    let back = Instant::now() + hole;
    println!("  the link returns at {:?}", back - *BEGAN);
    // A laptop that is carried from one network to another.
    world.lab.host(A).move_to([192, 168, 7, 7].into());
    let (near, far) = world.compare(seen);
    judge("blackhole of 5 s and another network", live_after(back, &near, &far), SLOW);
}

#[test]
fn a_guest_without_relay_asks_no_dns_however_often_it_dials() {
    // Says why, when strace cannot be used.
    if Inject::new(&["connect"]).is_none() {
        return;
    }
    let trace = tempfile::tempdir().unwrap();
    let file = trace.path().join("calls");
    let watched = |home: NodeHome| {
        let words = "exec strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -o";
        let script =
            format!("#!/bin/sh\n{words} '{}' '{}' \"$@\"\n", file.display(), home.binary().display());
        let path = trace.path().join("watched");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let home = NodeHome::new(path);
        home.settings("[network]\nrelay = \"off\"\nmdns = false\n");
        home
    };
    let Some(mut world) = World::with_guest(Setting::delayed(DELAY), 6, watched) else { return };
    let seen = world.underway(60);
    world.lab.between(A, B).blackhole(Duration::from_secs(5));
    world.compare(seen);
    let calls = std::fs::read_to_string(&file).unwrap();
    assert!(calls.contains("sendm") && calls.contains("sin_port=htons("), "strace saw it dial");
    assert_eq!(calls.lines().find(|call| call.contains("htons(53)") || call.contains("iroh")), None);
}

#[test]
fn loss_bursts_and_reordering_lose_nothing() {
    let each = Loss::Each(Chance::percent(2));
    let bursts = Loss::Bursts {
        enter: Chance::percent(1),
        leave: Chance::percent(25),
        bad: Chance::ALWAYS,
        good: Chance::NEVER,
    };
    for (seed, loss) in [(4, each), (5, bursts)] {
        let reorder = Reorder { chance: Chance::percent(10), by: Duration::from_millis(30) };
        let duplicate = Chance::percent(2);
        let setting = Setting { loss, reorder, duplicate, ..Setting::delayed(DELAY) };
        let Some(mut world) = World::new(setting, seed) else { return };
        let seen = world.underway(60);
        let counts = world.lab.between(A, B).counts();
        assert!(counts.lost_chance > 0 && counts.held > 0, "{counts:?}");
        let (near, far) = world.compare(seen);
        // How far the guest is behind: two round trips repair what one loss breaks.
        let mut lags: Vec<Duration> = Vec::new();
        for (line, at) in &far {
            let here = near.iter().find(|(other, _)| other["seq"] == line["seq"]);
            lags.extend(here.map(|(_, here)| at.saturating_duration_since(*here)));
        }
        lags.sort_unstable();
        let most = lags[lags.len() - 1];
        println!("{loss}: behind by {:?} at the median, {most:?} at most ({})", lags[lags.len() / 2], load());
        assert!(most < LIMIT / 4, "{most:?}");
    }
}
