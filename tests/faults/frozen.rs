//! A viewer that is stopped (SIGSTOP) for a minute at 1,000 events a second: what the others and the node feel of it,
//! and what it has when it is woken up. Real processes; no lab is needed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clankers_tests::{
    Node, NodeHome, Running, Start,
    load::memory,
    model::MODEL,
    pacer::{Pacer, Speech},
    stats::{Samples, millis},
};
use rustix::process::Signal;
use serde_json::Value;

use super::{BIN, LIMIT, load};

/// How long it is stopped (time).
const ASLEEP: Duration = Duration::from_secs(60);
/// Pieces of one answer, one a millisecond (count).
const PIECES: usize = 1_000;
/// One of so many pieces says when it was said (count).
const STAMP_EVERY: usize = 20;
/// Calls of a tool in a prompt (count): it takes ten seconds.
const CALLS: u64 = 9;
/// What the node may grow by because of it (bytes).
const GROWTH_BYTES: u64 = 8 * 1024 * 1024;
/// What fails the test: the others' p99 on a machine that may be busy (milliseconds).
const SLOW_MS: f64 = 500.0;
/// How often the node's memory is looked at (time).
const LOOK: Duration = Duration::from_millis(250);

/// What a viewer printed, each line with the time at which it came.
type Lines = Vec<(Value, Instant)>;

/// Reads lines until one fits; `each` sees all of them.
fn read(run: &mut Running, mut fits: impl FnMut(&Value, Instant) -> bool) -> Lines {
    let mut lines = Vec::new();
    loop {
        let Some(line) = run.line() else { panic!("it ended: {}", run.process().story()) };
        let value: Value = serde_json::from_slice(&line.bytes).unwrap();
        assert_ne!(value["type"], "gap", "a gap: {}", run.process().story());
        let found = fits(&value, line.at);
        lines.push((value, line.at));
        if found {
            return lines;
        }
    }
}

fn settled(line: &Value, prompt_seq: u64) -> bool {
    line["type"] == "settled" && line["prompt_seq"] == prompt_seq
}

fn durable(lines: &Lines) -> Vec<&Value> {
    lines.iter().map(|(line, _)| line).filter(|line| line.get("seq").is_some()).collect()
}

/// How long pieces took from the model's socket to the viewer's output, of those that came in this time (milliseconds).
fn delays(lines: &Lines, began: Instant, from: Instant, to: Instant) -> Samples {
    let (mut times, mut text) = (Samples::new(), String::new());
    for (line, at) in lines.iter().filter(|(line, _)| line["type"] == "text_delta") {
        text.push_str(line["text"].as_str().unwrap());
        let whole = text.rfind(' ').map_or(0, |space| space + 1);
        for word in text.drain(..whole).collect::<String>().split_whitespace() {
            let Ok(nanos) = word.trim_start_matches('x').parse::<u64>() else { continue };
            if (from..to).contains(at) {
                times.push(millis(at.saturating_duration_since(began + Duration::from_nanos(nanos))));
            }
        }
    }
    times
}

/// Pieces come by their offsets: none twice, none out of order. Returns how many bytes of text were left out, of those
/// messages that came in pieces.
fn left_out(lines: &Lines) -> u64 {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut left = 0;
    for (line, _) in lines.iter().filter(|(line, _)| line["type"] == "text_delta") {
        let (item, offset) = (line["item"].as_str().unwrap(), line["offset"].as_u64().unwrap());
        let end = ends.entry(item).or_default();
        assert!(offset >= *end, "a piece twice, or out of order: {line}");
        left += offset - *end;
        *end = offset + line["text"].as_str().unwrap().len() as u64;
    }
    left
}

/// A node whose model speaks at a pace, a session at it, and those who watch.
struct Desk {
    pacer: Pacer,
    node: Node,
    session: String,
    viewers: Vec<Running>,
}

impl Desk {
    fn with_viewers(count: usize) -> Self {
        let home = NodeHome::new(BIN);
        home.settings(&format!("[models.openai]\nmodels = [{MODEL:?}]\n"));
        let pacer = Pacer::start(Speech { pieces: PIECES, stamp_every: STAMP_EVERY, calls: CALLS });
        let node = Start::new().env("OPENAI_BASE_URL", pacer.base()).on(&home);
        let ran = home.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok();
        let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
        let watch = |_| {
            let words = ["attach", &session, "--read-only", "--tail", "0", "--mode", "json"];
            let mut viewer = home.cli(words).stdin_open().within(LIMIT).start();
            viewer.json_of_type("attached");
            viewer
        };
        let viewers = (0..count).map(watch).collect();
        Self { pacer, node, session, viewers }
    }

    /// A prompt of ten seconds, and its seq.
    fn prompt(&self) -> (Running, u64) {
        let words = ["rpc", "prompt", "local", "go", "--session", &self.session, "--mode", "json"];
        let mut run = self.node.cli(words).within(LIMIT).start();
        let seq = run.json_of_type("accepted")["prompt_seq"].as_u64().unwrap();
        (run, seq)
    }

    fn rss(&self) -> u64 {
        memory(self.node.pid(), "VmRSS").unwrap()
    }
}

#[test]
fn a_viewer_stopped_for_a_minute_costs_nobody_anything_and_catches_up() {
    // The same beside it, with nobody asleep: what the prompts themselves cost.
    let (mut desk, beside) = (Desk::with_viewers(3), Desk::with_viewers(3));
    let (mut other, mut eager) = (desk.viewers.remove(2), desk.viewers.remove(1));
    let mut frozen = desk.viewers.remove(0);

    let (run, seq) = desk.prompt();
    let (same, _) = beside.prompt();
    let mut seen = read(&mut eager, |line, _| settled(line, seq));
    run.finish().ok();
    same.finish().ok();
    read(&mut frozen, |line, _| settled(line, seq));
    let (before, awake) = ([desk.rss(), beside.rss()], Instant::now());

    frozen.process().signal(Signal::STOP);
    let (slept, mut woken, mut most, mut look, mut head) = (Instant::now(), None, before, Instant::now(), 0);
    while woken.is_none() {
        let (run, seq) = desk.prompt();
        let (same, _) = beside.prompt();
        seen.extend(read(&mut eager, |line, at| {
            head = line["seq"].as_u64().unwrap_or(head);
            if at >= look {
                (most, look) = ([most[0].max(desk.rss()), most[1].max(beside.rss())], at + LOOK);
            }
            if woken.is_none() && slept.elapsed() >= ASLEEP {
                frozen.process().signal(Signal::CONT);
                woken = Some((Instant::now(), head));
            }
            settled(line, seq)
        }));
        run.finish().ok();
        same.finish().ok();
    }
    let (woken, missed) = woken.unwrap();
    let last = durable(&seen).last().unwrap()["prompt_seq"].as_u64().unwrap();
    let late = read(&mut frozen, |line, _| settled(line, last));
    let there = late.iter().find(|(line, _)| line["seq"].as_u64() >= Some(missed)).unwrap().1;
    let caught_up = there.saturating_duration_since(woken);
    let also = read(&mut other, |line, _| settled(line, last));

    // The frozen one: everything that lasts, once and in order; of pieces nothing twice.
    let from = durable(&late)[0]["seq"].as_u64().unwrap();
    let all: Vec<&Value> = durable(&seen).into_iter().filter(|l| l["seq"].as_u64() >= Some(from)).collect();
    assert!(durable(&late) == all, "the frozen viewer has other events than the others");
    assert!(durable(&seen) == durable(&also), "the others differ");
    let seqs: Vec<u64> = durable(&seen).iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (seqs[0]..=*seqs.last().unwrap()).collect::<Vec<_>>());
    assert_eq!((left_out(&seen), left_out(&also)), (0, 0), "the others miss pieces");

    let pace = desk.pacer.pace();
    let began = desk.pacer.began();
    for (when, from, to) in
        [("before", began, awake), ("meanwhile", slept, woken), ("after", woken, Instant::now())]
    {
        let delays = delays(&seen, began, from, to);
        println!("the others {when}: p50 {:.1} ms, p99 {:.1} ms ({})", delays.p50(), delays.p99(), load());
        // After it, little may be left of the last prompt.
        assert!(when == "after" || delays.len() > 300, "{when}: {} samples", delays.len());
        assert!(delays.is_empty() || delays.p99() <= SLOW_MS, "{when}: {}", delays.p99());
    }
    let grown = [0, 1].map(|which: usize| most[which] - before[which]);
    let (asleep, out) = (woken - slept, left_out(&late));
    println!("stopped for {asleep:?} at {pace:.0} pieces/s, caught up {caught_up:?} after it was woken");
    println!("{} durable events, each once and in order; {out} bytes of pieces left out", all.len());
    println!(
        "the node grew by {} KiB, one without a frozen viewer by {} KiB",
        grown[0] / 1024,
        grown[1] / 1024
    );
    assert!(pace > 900.0, "the model was too slow: {pace:.0} pieces a second");
    assert!(grown[0] <= grown[1] + GROWTH_BYTES, "{grown:?} bytes");
    assert!(caught_up < LIMIT / 4, "{caught_up:?}");
}
