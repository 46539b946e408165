//! Transfers of files: ours beside raw iroh, sendme and rsync over ssh, everything in shared memory.
//!
//! All times are of whole processes, from before the spawn to the end: ours, of `clankers rpc send-file` to a running node; rsync's, of the
//! sender; sendme's, of both of its sides; raw iroh's, of a client that sends as many bytes from memory to a server that
//! drops them. Throughput bars are told as the ratio of times.

mod beside;
mod corpus;
mod far;
mod ours;
mod rivals;

use std::{collections::BTreeMap, thread, time::Instant};

use clankers_tests::{
    load,
    stats::{Samples, millis},
};

pub(crate) use self::{beside::beside, corpus::remove_all, far::far};
use self::{
    corpus::{Corpus, mib_of},
    ours::Pair,
    rivals::{Rsync, Sendme},
};
use crate::{
    limits::{
        TRANSFER_FILE_BYTES, TRANSFER_FILES, TRANSFER_FIRST_MIB, TRANSFER_LOOK, TRANSFER_MEMORY_MIB,
        TRANSFER_MIB, TRANSFER_PATIENCE,
    },
    peers::{BulkServer, Lab},
    report::{Judge, Row},
};

const MIB: u64 = 1 << 20;

/// One of those that run against each other: its name, and a round of it (seconds).
type Runner<'a> = (&'static str, Box<dyn FnMut() -> f64 + 'a>);

/// Times by name, in rounds in which each comes first in turn.
#[derive(Default)]
struct Race<'a> {
    runners: Vec<Runner<'a>>,
}

impl<'a> Race<'a> {
    fn runner(&mut self, name: &'static str, run: impl FnMut() -> f64 + 'a) {
        self.runners.push((name, Box::new(run)));
    }

    fn run(mut self, rounds: usize) -> BTreeMap<&'static str, Samples> {
        let mut times: BTreeMap<&'static str, Samples> = BTreeMap::new();
        for _ in 0..rounds {
            for (name, run) in &mut self.runners {
                let time = run();
                times.entry(name).or_default().push(time);
            }
            self.runners.rotate_left(1);
        }
        times
    }
}

/// A row of ours beside one rival, when there was one.
fn beside_rival(
    figure: &str,
    times: &BTreeMap<&'static str, Samples>,
    rival: &str,
    goal: f64,
    reach: f64,
) -> Option<Row> {
    let (ours, theirs) = (times.get("ours")?, times.get(rival)?);
    Some(Row::new(figure, "ms", ours.clone(), Judge::Ratio, goal, reach).beside(rival, theirs.clone()))
}

pub(crate) fn file(lab: &Lab) -> Vec<Row> {
    let corpus = Corpus::new();
    let mib = mib_of("CLANKERS_BENCH_TRANSFER_MIB", TRANSFER_MIB);
    let path = corpus.file("big.bin", mib * MIB);
    let pair = Pair::new(lab, &corpus);
    let bulk = BulkServer::start(lab);
    let (sendme, rsync) = (Sendme::find(lab), Rsync::start(&corpus));
    let mut race = Race::default();
    race.runner("ours", || {
        let sent = pair.send(&path);
        assert_eq!(sent.receipt["bytes"], mib * MIB, "{}", sent.receipt);
        corpus.same(&path, &sent.at);
        sent.clear();
        millis(sent.took)
    });
    race.runner("raw iroh stream", || millis(bulk.send(mib * MIB)));
    if let Some(sendme) = &sendme {
        race.runner("sendme", || millis(sendme.send(&path, &corpus)));
    }
    if let Some(rsync) = &rsync {
        race.runner("rsync -a over ssh", || millis(rsync.send(&path)));
    }
    let times = race.run(lab.rounds);
    let first = format!("one file of {mib} MiB, loopback, to its verified final name");
    // Throughput of 0.65x is a time of 1.54x, 0.75x is 1.33x; 0.5x is 2x, 0.9x is 1.11x.
    [
        beside_rival(&first, &times, "raw iroh stream", 1.54, 1.33),
        beside_rival("  beside sendme", &times, "sendme", 0.35, 0.28),
        beside_rival("  beside rsync", &times, "rsync -a over ssh", 2.0, 1.11),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn many(lab: &Lab) -> Vec<Row> {
    let corpus = Corpus::new();
    let path = corpus.files("many");
    let pair = Pair::new(lab, &corpus);
    let (sendme, rsync) = (Sendme::find(lab), Rsync::start(&corpus));
    let mut race = Race::default();
    race.runner("ours", || {
        let sent = pair.send(&path);
        assert_eq!(sent.receipt["files"], TRANSFER_FILES, "{}", sent.receipt);
        sent.clear();
        millis(sent.took)
    });
    if let Some(sendme) = &sendme {
        race.runner("sendme", || millis(sendme.send(&path, &corpus)));
    }
    if let Some(rsync) = &rsync {
        race.runner("rsync -a over ssh", || millis(rsync.send(&path)));
    }
    let times = race.run(lab.rounds);
    let first = format!("{TRANSFER_FILES} files of {TRANSFER_FILE_BYTES} bytes");
    let rows = [
        beside_rival(&first, &times, "sendme", 0.35, 0.2),
        beside_rival("  beside rsync", &times, "rsync -a over ssh", 1.3, 0.9),
    ];
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    match times.get("ours") {
        Some(ours) if rows.is_empty() => vec![Row::shown(&first, "ms", ours.clone())],
        _ => rows,
    }
}

/// From the command to the first block in the receiver's journal; the round trip is nothing here.
pub(crate) fn first(lab: &Lab) -> Vec<Row> {
    let corpus = Corpus::new();
    let path = corpus.sparse("huge.bin", TRANSFER_FIRST_MIB * MIB);
    let pair = Pair::new(lab, &corpus);
    let mut times = Samples::new();
    for _ in 0..lab.rounds {
        let sending = pair.start(&path);
        let began = sending.running.process().started();
        while !sending.has_a_block() {
            assert!(sending.running.process().exit().is_none(), "{}", sending.running.process().story());
            assert!(began.elapsed() < TRANSFER_PATIENCE, "{}", sending.running.process().story());
            thread::sleep(TRANSFER_LOOK);
        }
        times.push(millis(began.elapsed()));
        // Not killed: what the receiver has promised a killed one it keeps until that one is known to be dead.
        sending.running.interrupt();
        drop(sending.running.finish());
        pair.forget_all();
    }
    let figure = format!("command -> first block at the receiver, {TRANSFER_FIRST_MIB} MiB, running node");
    vec![Row::new(&figure, "ms", times, Judge::P50, 30.0, 10.0)]
}

/// Killed at half, either side: what is sent again, and what going on costs beyond its share of a whole transfer.
pub(crate) fn resume(lab: &Lab) -> Vec<Row> {
    let corpus = Corpus::new();
    let mib = mib_of("CLANKERS_BENCH_TRANSFER_MIB", TRANSFER_MIB);
    let path = corpus.file("big.bin", mib * MIB);
    let mut pair = Pair::new(lab, &corpus);
    let mut whole = Samples::new();
    let mut again = [Samples::new(), Samples::new()];
    let mut share = [Samples::new(), Samples::new()];
    for _ in 0..lab.rounds {
        let sent = pair.send(&path);
        sent.clear();
        whole.push(millis(sent.took));
        for side in 0..2 {
            let half = mib * MIB / 2;
            let known = pair.kill_at(&path, half, side == 1);
            let sent = pair.send(&path);
            assert_eq!(sent.receipt["bytes"], mib * MIB, "{}", sent.receipt);
            corpus.same(&path, &sent.at);
            sent.clear();
            let sent_now = sent.receipt["sent_bytes"].as_u64().expect("bytes");
            again[side].push((known + sent_now).saturating_sub(mib * MIB) as f64 / MIB as f64);
            let missing = sent_now as f64 / (mib * MIB) as f64;
            share[side].push((millis(sent.took) / whole.p50() - missing) * 100.0);
        }
    }
    let rows = ["sender", "receiver"].into_iter().zip(again).zip(share);
    rows.flat_map(|((side, again), share)| {
        [
            Row::new(
                &format!("{side} killed at half: known to be there, sent again"),
                "MiB",
                again,
                Judge::P50,
                4.0,
                1.0,
            ),
            Row::new(
                "  time beyond the missing share, of a whole transfer",
                "%",
                share,
                Judge::P50,
                15.0,
                5.0,
            ),
        ]
    })
    .collect()
}

/// Memory of both processes at their highest, each fresh.
pub(crate) fn memory(lab: &Lab) -> Vec<Row> {
    let corpus = Corpus::new();
    let mib = mib_of("CLANKERS_BENCH_MEMORY_MIB", TRANSFER_MEMORY_MIB);
    // Holes read as zeros and take no memory: only the receiver's copy does.
    let path = corpus.sparse("huge.bin", mib * MIB);
    let (mut sender, mut receiver) = (Samples::new(), Samples::new());
    for _ in 0..lab.rounds.min(3) {
        let pair = Pair::new(lab, &corpus);
        let sending = pair.start(&path);
        let began = Instant::now();
        let mut most = 0;
        while sending.running.process().exit().is_none() {
            let pid = sending.running.process().pid();
            most = load::memory(pid, "VmHWM").map_or(most, |now| now.max(most));
            assert!(began.elapsed() < TRANSFER_PATIENCE, "{}", sending.running.process().story());
            thread::sleep(TRANSFER_LOOK * 10);
        }
        let node = load::memory(pair.node.pid(), "VmHWM").expect("a living node");
        drop(sending.running.finish().ok());
        sender.push(most as f64 / MIB as f64);
        receiver.push(node as f64 / MIB as f64);
        pair.clear();
    }
    let figure = format!("sending {mib} MiB: memory of the sender at its highest");
    vec![
        Row::new(&figure, "MiB", sender, Judge::P50, 64.0, 32.0),
        Row::new("  of the receiving node", "MiB", receiver, Judge::P50, 64.0, 32.0),
    ]
}
