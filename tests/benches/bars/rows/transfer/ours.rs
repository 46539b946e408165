//! A node that receives, and a machine that sends to it.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clankers_tests::{Cli, Node, NodeHome, Start, cli::Running};
use serde_json::Value;

use super::corpus::Corpus;
use crate::{
    limits::{TRANSFER_LOOK, TRANSFER_PATIENCE},
    peers::Lab,
};

/// Both sides.
pub(crate) struct Pair {
    pub(crate) node: Node,
    sender: NodeHome,
    inbox: PathBuf,
    rounds: Cell<u32>,
}

/// One transfer, done.
pub(crate) struct Sent {
    /// From before the spawn to the end of the sender.
    pub(crate) took: Duration,
    /// The receipt that the sender printed.
    pub(crate) receipt: Value,
    /// Where it is.
    pub(crate) at: PathBuf,
}

impl Sent {
    /// Removes what came.
    pub(crate) fn clear(&self) {
        let parent = self.at.parent().expect("a directory of its own");
        fs::remove_dir_all(parent).expect("removed");
    }
}

/// One transfer, on its way.
pub(crate) struct Sending {
    pub(crate) running: Running,
    inbox: PathBuf,
}

impl Pair {
    /// A node with an empty inbox in the corpus, and a sender with a token for it.
    pub(crate) fn new(lab: &Lab, corpus: &Corpus) -> Self {
        Self::of(lab.home(), lab.home(), corpus, Start::new())
    }

    /// The same with homes and a start of one's own.
    pub(crate) fn of(receiver: NodeHome, sender: NodeHome, corpus: &Corpus, start: Start) -> Self {
        let inbox = corpus.path().join("inbox");
        receiver.settings(&format!(
            "[files]\ninbox = {:?}\nkeep_free_bytes = 1048576\n",
            inbox.display().to_string()
        ));
        let node = start.on(&receiver);
        node.grant(&sender, &["--drop"]);
        Self { node, sender, inbox, rounds: Cell::new(0) }
    }

    /// The sender's command line, each into a directory of the inbox that is the same until it has come whole.
    pub(crate) fn command(&self, path: &Path) -> Cli {
        let to = format!("r{}", self.rounds.get());
        let cli = self.sender.cli(["rpc", "send-file", "--json", "--to", &to, self.node.ticket()]);
        cli.arg(path).within(TRANSFER_PATIENCE)
    }

    /// Sends to the end.
    pub(crate) fn send(&self, path: &Path) -> Sent {
        let ran = self.command(path).run().ok();
        let lines = ran.json_lines();
        let receipt = lines.iter().find(|line| line["type"] == "receipt");
        let receipt = receipt.unwrap_or_else(|| panic!("no receipt: {}", ran.story())).clone();
        let to = format!("r{}", self.rounds.replace(self.rounds.get() + 1));
        let name = receipt["name"].as_str().expect("a name");
        let name = Path::new(name).file_name().expect("a name");
        let places = fs::read_dir(&self.inbox).expect("an inbox").flatten();
        let found = places.map(|place| place.path().join(&to).join(name)).find(|at| at.exists());
        Sent {
            took: ran.exit.took,
            at: found.unwrap_or_else(|| panic!("it is not there: {}", ran.story())),
            receipt,
        }
    }

    /// Begins to send.
    pub(crate) fn start(&self, path: &Path) -> Sending {
        Sending { running: self.command(path).start(), inbox: self.inbox.clone() }
    }

    /// Kills one side once the sender has told of so many bytes; how many it told of at the end.
    pub(crate) fn kill_at(&mut self, path: &Path, bytes: u64, receiver: bool) -> u64 {
        let mut sending = self.start(path);
        let mut known = 0;
        let began = Instant::now();
        // Lines come once a second: what is on the disk says more often when it is time.
        while sending.bytes_there() < bytes {
            assert!(sending.running.process().exit().is_none(), "{}", sending.running.process().story());
            assert!(began.elapsed() < TRANSFER_PATIENCE, "{}", sending.running.process().story());
            std::thread::sleep(TRANSFER_LOOK);
        }
        let there = sending.bytes_there();
        if receiver {
            self.node.kill9();
        }
        sending.running.kill9();
        while let Some(line) = sending.running.json() {
            known = line["bytes"].as_u64().unwrap_or(known);
        }
        drop(sending.running.finish());
        if receiver {
            self.node.restart();
        }
        known.max(there)
    }

    /// Forgets what is unfinished.
    pub(crate) fn forget_all(&self) {
        drop(self.sender.cli(["rpc", "transfers", "forget", "--all"]).run());
        self.rounds.set(self.rounds.get() + 1);
        self.clear_parts();
    }

    fn clear_parts(&self) {
        for place in fs::read_dir(&self.inbox).into_iter().flatten().flatten() {
            let _left = fs::remove_dir_all(place.path().join(".clankers-part"));
        }
    }

    /// Removes all that came.
    pub(crate) fn clear(&self) {
        let _left = fs::remove_dir_all(&self.inbox);
    }
}

impl Sending {
    /// Bytes that the receiver has written down as had: records of 64 bytes, each of a block of 1 MiB.
    pub(crate) fn bytes_there(&self) -> u64 {
        self.journals().map(|bytes| bytes / 64 * (1 << 20)).sum()
    }

    /// Whether the receiver has a block.
    pub(crate) fn has_a_block(&self) -> bool {
        self.bytes_there() > 0
    }

    fn journals(&self) -> impl Iterator<Item = u64> {
        let places = fs::read_dir(&self.inbox).into_iter().flatten().flatten();
        let parts =
            places.flat_map(|place| fs::read_dir(place.path().join(".clankers-part")).into_iter().flatten());
        parts.flatten().filter_map(|part| Some(fs::metadata(part.path().join("journal")).ok()?.len()))
    }
}
