//! Files between nodes: sent, asked about, fetched, broken off and gone on with.
//!
//! - [`sending`]: what arrives, and how it is told
//! - [`asking`]: offers that wait for the owner
//! - [`showing`]: how their owner sees them, and [`listing`]: how others see exports
//! - [`fetching`]: from exports, and [`answers`] that are not what was asked for
//! - [`detached`]: what the node sends by itself
//! - [`kills`]: either side killed at any moment, and [`interrupts`]: before anything travels
//! - [`fair`]: what goes on beside a transfer
//! - [`faults`]: sources that change, disks that fill, tokens that end
//! - [`getting`]: the same of what is got, and [`skips`]: what is left out of either
//! - [`cancels`]: what is cancelled, forgotten, and taken up again
//! - [`same_ids`]: what several call by one id
//! - [`damage`]: what rots between two attempts
//! - [`stalls`]: sides that stand still
//! - [`totals`]: what may come under a token in all, and from a peer whatever its label
//! - [`wire`]: peers that do not keep to the rules, as [`peer`] plays them
//! - [`found`]: what a review found
//! - [`watching`]: how far they are, at either end
//! - [`words`]: what the commands say, and how they end; [`page`]: what they print for programs
//!
//! What is interrupted amid a transfer is sent at [`SLOW`]: so no machine is quick enough to be done before.

#[path = "transfer/answers.rs"]
mod answers;
#[path = "transfer/asking.rs"]
mod asking;
#[path = "transfer/cancels.rs"]
mod cancels;
#[path = "transfer/damage.rs"]
mod damage;
#[path = "transfer/detached.rs"]
mod detached;
#[path = "transfer/fair.rs"]
mod fair;
#[path = "transfer/faults.rs"]
mod faults;
#[path = "transfer/fetching.rs"]
mod fetching;
#[path = "transfer/found.rs"]
mod found;
#[path = "transfer/getting.rs"]
mod getting;
#[path = "transfer/interrupts.rs"]
mod interrupts;
#[path = "transfer/kills.rs"]
mod kills;
#[path = "transfer/listing.rs"]
mod listing;
#[path = "transfer/page.rs"]
mod page;
#[path = "transfer/peer.rs"]
mod peer;
#[path = "transfer/same_ids.rs"]
mod same_ids;
#[path = "transfer/sending.rs"]
mod sending;
#[path = "transfer/showing.rs"]
mod showing;
#[path = "transfer/skips.rs"]
mod skips;
#[path = "transfer/stalls.rs"]
mod stalls;
#[path = "transfer/totals.rs"]
mod totals;
#[path = "transfer/watching.rs"]
mod watching;
#[path = "transfer/wire.rs"]
mod wire;
#[path = "transfer/words.rs"]
mod words;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clankers_tests::{Cli, Node, NodeHome, wait::until};
use serde_json::Value;

use crate::BIN;

const MIB: usize = 1024 * 1024;
/// What is interrupted is so large (bytes), and as slow: it takes twelve seconds, whatever the machine.
const LARGE: usize = 48 * MIB;
/// How slow: as arguments.
const SLOW: [&str; 2] = ["--limit-rate", "4MiB"];

/// A node that receives, and a home that sends to it with a command line alone.
struct Two {
    desk: Node,
    lap: NodeHome,
}

impl Two {
    /// With these rights of the one at the other.
    fn with(rights: &[&str]) -> Self {
        Self::settled("", rights)
    }

    /// The same with more in the receiver's settings.
    fn settled(settings: &str, rights: &[&str]) -> Self {
        let home = NodeHome::new(BIN);
        if !settings.is_empty() {
            home.settings(settings);
        }
        let desk = home.start();
        let lap = NodeHome::new(BIN);
        if !rights.is_empty() {
            desk.grant(&lap, rights);
        }
        Self { desk, lap }
    }

    /// One that exports a directory of its workspace as `docs`, once it is filled.
    fn exporting(rights: &[&str], fill: impl FnOnce(&NodeHome)) -> Self {
        let mut two = Self::with(rights);
        fill(two.desk.home());
        let shared = two.desk.home().workspace().join("shared");
        two.desk.home().settings(&format!("[files.exports]\ndocs = \"{}\"\n", shared.display()));
        two.desk.kill9();
        two.desk.restart();
        two
    }

    fn send<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> Cli {
        let words = words.into_iter().map(|word| word.as_ref().to_owned()).collect::<Vec<_>>();
        self.lap.cli(["--json", "rpc", "send-file", self.desk.ticket()]).args(words)
    }

    /// The same so slowly that it is not over when something is done to it.
    fn send_slowly(&self, path: &Path) -> Cli {
        self.send([path.to_str().unwrap()]).args(SLOW)
    }

    /// The sender's directory in the receiver's inbox.
    fn inbox(&self) -> PathBuf {
        self.desk.home().path().join("inbox").join(self.lap.id().short())
    }
}

/// Bytes that no two seeds share, and no two places of one.
fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    // Made once and counted on: test builds are slow.
    let some: Vec<u8> = words.flatten().take(64 * 1024 - 8).collect();
    let mut bytes = Vec::with_capacity(len + some.len() + 8);
    for piece in 0_u64.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(&piece.to_le_bytes());
        bytes.extend_from_slice(&some);
    }
    bytes.truncate(len);
    bytes
}

/// Writes a tree of these files (path, bytes) beneath `name` in the home's workspace.
fn tree(home: &NodeHome, name: &str, files: &[(&str, usize)]) -> PathBuf {
    for (seed, (path, len)) in (1..).zip(files) {
        home.file(&format!("{name}/{path}"), content(seed, *len));
    }
    home.workspace().join(name)
}

/// Every file and directory beneath, with what it is: mode, time and bytes. A fingerprint that shows what differs.
fn shape(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(root.to_owned(), ".".to_owned())];
    while let Some((path, name)) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let mut words = format!("{:o} {:?}", meta.permissions().mode(), meta.modified().unwrap());
        if meta.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                waiting.push((entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy())));
            }
        } else {
            words.push_str(&format!(" {}", blake3::hash(&fs::read(&path).unwrap())));
        }
        found.insert(name, words);
    }
    found
}

/// Waits until so many blocks (1 MiB each) of a transfer into this directory have arrived: by the receiver's journal, which
/// has 64 bytes for each.
fn moving(inbox: &Path, blocks: u64) {
    until("a part of the transfer", Duration::from_secs(30), || {
        let parts = fs::read_dir(inbox.join(".clankers-part")).ok()?;
        let journals = parts.flatten().filter_map(|part| fs::metadata(part.path().join("journal")).ok());
        (journals.map(|journal| journal.len()).max()? >= blocks * 64).then_some(())
    });
}

/// The directory of what is unfinished in an inbox.
fn part(inbox: &Path) -> PathBuf {
    let mut parts = fs::read_dir(inbox.join(".clankers-part")).unwrap().flatten();
    parts.find(|entry| entry.path().is_dir()).unwrap().path()
}

/// The state of the only transfer of this home, and its id.
fn state(home: &NodeHome) -> (String, String) {
    let listed = home.cli(["--json", "rpc", "transfers", "list"]).run().ok().json();
    let (id, state) = (&listed[0]["id"], &listed[0]["state"]);
    (id.as_str().unwrap_or_default().to_owned(), state.as_str().unwrap_or_default().to_owned())
}

/// What travelled, by the receipt among lines of JSON (bytes).
fn travelled(lines: &[Value]) -> usize {
    usize::try_from(receipt(lines)["sent_bytes"].as_u64().unwrap()).unwrap()
}

/// The receipt among lines of JSON.
fn receipt(lines: &[Value]) -> &Value {
    let found = lines.iter().rfind(|line| line["type"] == "receipt");
    found.unwrap_or_else(|| panic!("no receipt in {lines:?}"))
}
