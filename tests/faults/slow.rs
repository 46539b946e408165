//! A file over a link that is slow and far: it comes block after block, and a kill costs little of it.

use std::{fs, path::PathBuf};

use clankers_lab::{Lab, Setting, link::Rate};
use clankers_tests::{Cli, Node, NodeHome, forge, node::Start};

use super::{A, B, BIN, LIMIT, late::FAR};

const MIB: usize = 1024 * 1024;
/// Bits in a second, slow enough for a line of progress at each block.
const SLOW_LINK: Rate = Rate::bits(2_500_000);
/// Blocks of the file that goes over it (count).
const SLOW_BLOCKS: usize = 3;
/// Bits in a second of the link on which it is killed: a block takes half a second.
const LINK: Rate = Rate::mbit(16);
/// Blocks of the file that is killed (count).
const BLOCKS: usize = 20;
/// When the command is killed: when so many bytes are there.
const KILLS: [usize; 3] = [1, 7 * MIB, 13 * MIB];
/// What one kill may cost (bytes): a part of a block on each of two data streams.
const LOST: u64 = 3 * MIB as u64;
/// What may wait for the link (bytes).
const QUEUE: usize = 64 * 1024;

/// A node on host B, and a home on host A that may send to it, with a file of so many blocks.
struct World {
    node: Node,
    guest: NodeHome,
    file: PathBuf,
    _scripts: tempfile::TempDir,
    /// Last: the programs on its hosts go first.
    lab: Lab,
}

impl World {
    fn new(blocks: usize, rate: Rate) -> Option<Self> {
        let scripts = tempfile::tempdir().unwrap();
        let lab = Lab::builder().seed(7).start()?;
        let on = |host: usize| NodeHome::new(lab.host(host).stand_in(BIN.as_ref(), scripts.path()));
        let (guest, desk) = (on(A), on(B));
        let node = Start::new().bind(Some("0.0.0.0:0")).on(&desk);
        node.grant(&guest, &["--drop"]);
        let file = guest.root().join("film");
        let bytes: Vec<u8> =
            std::iter::repeat_with(forge::random::<32>).flatten().take(blocks * MIB).collect();
        fs::write(&file, bytes).unwrap();
        lab.links().set(&Setting { rate: Some(rate), queue: QUEUE, ..Setting::delayed(FAR) });
        Some(Self { node, guest, file, _scripts: scripts, lab })
    }

    fn send(&self) -> Cli {
        let file = self.file.to_str().unwrap();
        self.guest.cli(["rpc", "send-file", self.node.ticket(), file, "--json"]).within(LIMIT * 3)
    }

    /// Bytes that came out of the link to the node.
    fn carried(&self) -> u64 {
        self.lab.link(A, B).counts().delivered_bytes
    }
}

#[test]
fn over_a_slow_link_blocks_come_one_after_the_other() {
    let Some(world) = World::new(SLOW_BLOCKS, SLOW_LINK) else { return };
    let ran = world.send().run().ok();
    assert!(!ran.err().contains("trying again"), "{}", ran.story());
    let lines = ran.json_lines();
    let seen: Vec<(u64, u64)> =
        lines.iter().filter_map(|line| Some((line["bytes"].as_u64()?, line["rate_bps"].as_u64()?))).collect();
    for blocks in 1..SLOW_BLOCKS {
        let there = (blocks * MIB) as u64;
        assert!(seen.iter().any(|(bytes, _)| *bytes == there), "{blocks} blocks were never there: {seen:?}");
    }
    // Between two blocks there is a rate too; what is left at the end is the disk's.
    let (first, all) = (MIB as u64, (SLOW_BLOCKS * MIB) as u64);
    assert!(seen.iter().all(|(bytes, rate)| !(first..all).contains(bytes) || *rate > 0), "{seen:?}");
}

#[test]
fn a_kill_on_a_far_link_costs_little() {
    let Some(world) = World::new(BLOCKS, LINK) else { return };
    let before = world.carried();
    for there in KILLS {
        let mut sending = world.send().start();
        while let Some(line) = sending.json() {
            assert_ne!(line["type"], "receipt", "it was over before {there} bytes were there");
            if line["bytes"].as_u64() >= Some(there as u64) {
                break;
            }
        }
        sending.kill9();
        sending.process().wait(LIMIT).expect("it is killed");
    }
    world.send().run().ok();
    let carried = world.carried() - before;
    let content = (BLOCKS * MIB) as u64;
    // Headers of frames and packets, acknowledgements and handshakes are below a tenth.
    let most = content * 11 / 10 + LOST * KILLS.len() as u64;
    println!("{carried} bytes for {content}, with {} kills", KILLS.len());
    assert!(carried <= most, "{carried} bytes for {content}, with {} kills", KILLS.len());
}
