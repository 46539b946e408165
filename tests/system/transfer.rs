//! Files between nodes: sent, asked about, fetched, broken off and gone on with.
//!
//! - [`sending`]: what arrives, and how it is told
//! - [`asking`]: offers that wait for the owner
//! - [`fetching`]: from exports
//! - [`kills`]: either side killed at any moment
//! - [`faults`]: sources that change, disks that fill, tokens that end
//! - [`wire`]: peers that do not keep to the rules
//! - [`words`]: what the commands say, and how they end

#[path = "transfer/asking.rs"]
mod asking;
#[path = "transfer/faults.rs"]
mod faults;
#[path = "transfer/fetching.rs"]
mod fetching;
#[path = "transfer/kills.rs"]
mod kills;
#[path = "transfer/sending.rs"]
mod sending;
#[path = "transfer/wire.rs"]
mod wire;
#[path = "transfer/words.rs"]
mod words;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clankers_tests::{Cli, Node, NodeHome};
use serde_json::Value;

use crate::BIN;

const MIB: usize = 1024 * 1024;

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

    fn send<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> Cli {
        let words = words.into_iter().map(|word| word.as_ref().to_owned()).collect::<Vec<_>>();
        self.lap.cli(["--json", "rpc", "send-file", self.desk.ticket()]).args(words)
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

/// The receipt among lines of JSON.
fn receipt(lines: &[Value]) -> &Value {
    let found = lines.iter().rfind(|line| line["type"] == "receipt");
    found.unwrap_or_else(|| panic!("no receipt in {lines:?}"))
}
