//! The two machines of file transfer, against a model of both disks, over connections that are cut at any point.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

#[path = "transfer/hostile.rs"]
mod hostile;
#[path = "transfer/patience.rs"]
mod patience;
#[path = "transfer/rules.rs"]
mod rules;
#[path = "transfer/session.rs"]
mod session;
#[path = "transfer/slow.rs"]
mod slow;
#[path = "transfer/world.rs"]
mod world;

use clankers_protocol::{Timestamp, transfer::End, transfer::manifest, transfer::tree::BLOCK_BYTES};
use proptest::prelude::*;

use session::{Chaos, Session};
use world::{Dice, Disk, Source, SourceFile};

const STEPS: usize = 60_000;

fn source(dice: &mut Dice, files: u64) -> Source {
    let size = |dice: &mut Dice| match dice.roll(6) {
        0 => 0,
        1 => 1 + dice.roll(5_000),
        2 => BLOCK_BYTES,
        3 => BLOCK_BYTES + 1,
        _ => dice.roll(12 * BLOCK_BYTES),
    };
    Source { files: (0..files).map(|_| SourceFile { size: size(dice), version: 0, stamp: 0 }).collect() }
}

/// Every file that is wanted is named, as it is now.
fn assert_whole(source: &Source, disk: &Disk) {
    for entry in 1..=source.files.len() as u32 {
        let file = source.file(entry);
        if disk.declined.contains(&entry) {
            assert!(!disk.named.contains_key(&entry), "{entry} was not wanted");
        } else if let Some(version) = disk.others.get(&entry) {
            assert_eq!(*version, file.version);
        } else {
            let (_, version, root) = disk.named.get(&entry).unwrap();
            if file.size > 0 {
                assert_eq!(*version, file.version, "entry {entry} is old");
                assert_eq!(*root, world::root(entry, file.size, file.version));
            }
        }
    }
}

/// Sends until all is there; each round some things go wrong.
fn send_through(seed: u64, files: u64, chaos: Chaos, rounds: usize, rotten: bool) -> (usize, u64) {
    let mut dice = Dice(seed);
    let mut source = source(&mut dice, files);
    let mut disk = Disk::default();
    for entry in 1..=files as u32 {
        match dice.roll(12) {
            0 => drop(disk.declined.insert(entry)),
            1 => drop(disk.others.insert(entry, 0)),
            _ => {}
        }
    }
    // What others have stays what it is, and so does ours.
    let frozen = disk.others.clone();
    let mut now = Timestamp(1_000);
    let mut bytes = 0;
    for round in 0..rounds + 6 {
        let chaos = if round < rounds { chaos } else { Chaos::default() };
        let mut session = Session::new(now, &mut source, &mut disk);
        let by_itself = session.run(&mut dice, chaos, STEPS);
        now = session.now.plus_ms(10);
        bytes += session.bytes_sent;
        let (sent, received) = (session.sent.take(), session.received.take());
        if let (true, Some(End::Done(receipt))) = (by_itself, &sent) {
            assert_eq!(received, sent, "both hold the same receipt");
            let is_calm = chaos.change + chaos.full + chaos.rot == 0;
            assert!(!is_calm || receipt.receipt.bad == 0, "a file is given up for nothing");
            for entry in frozen.keys() {
                source.file_mut(*entry).version = 0;
            }
            if receipt.receipt.bad == 0 && round >= rounds {
                assert_whole(&source, &disk);
                assert_eq!(receipt.receipt.declined as usize, disk.declined.len());
                assert_eq!(receipt.receipt.name, "root (1)");
                return (round, bytes);
            }
        } else {
            let ends = [&sent, &received];
            let wrong =
                ends.into_iter().flatten().find(|end| matches!(end, End::Broken(_) | End::Unsound(_)));
            assert_eq!(wrong, None);
            assert!(!by_itself || round < rounds, "ended by itself without faults: {sent:?} {received:?}");
        }
        if dice.one_in(3) {
            disk.crash();
        }
        if rotten && dice.one_in(2) {
            // Somebody writes into a file and puts its times back: only its hash can tell.
            let entry = 1 + dice.roll(files) as u32;
            if !disk.named.contains_key(&entry) {
                source.file_mut(entry).version += 1;
            }
        }
        for entry in frozen.keys() {
            source.file_mut(*entry).version = 0;
        }
    }
    panic!("it never ends whole");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn cut_anywhere_it_ends_whole_and_sends_nothing_twice(seed: u64, files in 1_u64..14) {
        send_through(seed, files, Chaos { cut: 400, ..Chaos::default() }, 8, false);
    }

    #[test]
    fn sources_that_change_are_never_mixed(seed: u64, files in 1_u64..10) {
        send_through(seed, files, Chaos { cut: 900, change: 150, ..Chaos::default() }, 5, false);
    }

    #[test]
    fn what_was_there_and_is_of_no_use_is_sent_again(seed: u64, files in 1_u64..10) {
        send_through(seed, files, Chaos { cut: 250, ..Chaos::default() }, 8, true);
    }

    #[test]
    fn full_disks_and_rotten_memory_cost_only_their_files(seed: u64, files in 1_u64..10) {
        send_through(seed, files, Chaos { cut: 800, full: 60, rot: 90, ..Chaos::default() }, 5, false);
    }
}

#[test]
fn without_faults_every_byte_is_sent_once() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let mut source = source(&mut dice, 12);
        let total: u64 = source.files.iter().map(|file| file.size).sum();
        let mut disk = Disk::default();
        let mut session = Session::new(Timestamp(0), &mut source, &mut disk);
        assert!(session.run(&mut dice, Chaos::default(), STEPS));
        assert_eq!(session.bytes_sent, total);
        let Some(End::Done(receipt)) = session.sent.clone() else { panic!("{:?}", session.sent) };
        assert_eq!((receipt.receipt.sent_bytes, receipt.receipt.bytes), (total, total));
        let manifest = session.sender.manifest().clone();
        let root = manifest::directory_root(&manifest, |entry| {
            let file = manifest.file(entry)?;
            Some(world::root(entry, file.size, 0))
        });
        assert_eq!(receipt.receipt.root, root);
        // Once more: nothing is left to send.
        let mut session = Session::new(Timestamp(0), &mut source, &mut disk);
        assert!(session.run(&mut dice, Chaos::default(), STEPS));
        assert_eq!(session.bytes_sent, 0);
        let Some(End::Done(again)) = session.sent.clone() else { panic!("{:?}", session.sent) };
        assert_eq!((again.receipt.root, again.receipt.sent_bytes), (root, 0));
    }
}
