//! Whose each directory of the inbox is. A peer's directory has another name from the moment at which the peer gets
//! another label; what lies in the old one is still that peer's, and counts.
//!
//! One small file in the home. A directory that several peers had by turns counts for each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use clankers_files::Inbox;

use crate::limits::LANDED_LISTED;

/// Names of directories, and the peers whose they are or were.
type Known = BTreeMap<String, BTreeSet<String>>;

/// The file.
#[derive(Debug)]
pub(crate) struct Places {
    path: PathBuf,
    /// Not read yet: none.
    known: Mutex<Option<Known>>,
}

impl Places {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::default() }
    }

    /// The names of all directories that are this peer's, the one named included, which is noted as such. Blocks.
    pub(crate) fn of(&self, inbox: &Inbox, peer: &str, name: &str) -> BTreeSet<String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| self.read().unwrap_or_else(|| seen(inbox)));
        if known.entry(name.to_owned()).or_default().insert(peer.to_owned()) {
            let names = inbox.places().unwrap_or_default();
            let there = |name: &String| names.is_empty() || names.iter().any(|(there, _)| there == name);
            known.retain(|name, _| there(name));
            if let Err(error) = self.write(known) {
                tracing::warn!(%error, "whose a directory of the inbox is cannot be written down");
            }
        }
        let names = known.iter().filter(|(_, peers)| peers.contains(peer)).map(|(name, _)| name.clone());
        names.chain([name.to_owned()]).collect()
    }

    fn read(&self) -> Option<Known> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "whose the directories of the inbox are cannot be read");
                return None;
            }
        };
        let read = serde_json::from_slice(&bytes);
        read.inspect_err(|error| tracing::warn!(%error, "whose the directories of the inbox are is damaged"))
            .ok()
    }

    fn write(&self, known: &Known) -> io::Result<()> {
        let staged = self.path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&staged)?;
        file.write_all(&serde_json::to_vec(known)?)?;
        file.sync_data()?;
        fs::rename(&staged, &self.path)
    }
}

/// Where the file is not there: by what is remembered of transfers.
fn seen(inbox: &Inbox) -> Known {
    let mut known = Known::new();
    let mut note = |name: String, peer: String| {
        if !peer.is_empty() {
            known.entry(name).or_default().insert(peer);
        }
    };
    let landed = inbox.remembered(LANDED_LISTED).unwrap_or_default();
    landed.into_iter().for_each(|(name, one)| note(name, one.principal));
    let parts = inbox.partials().unwrap_or_default();
    parts
        .into_iter()
        .for_each(|(name, one)| note(name, one.about.map(|about| about.principal).unwrap_or_default()));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_a_peers_stays_so_under_other_names_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
        for name in ["a", "b", "c"] {
            inbox.place(name).unwrap();
        }
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let places = Places::new(dir.path().join("places.json"));
        assert_eq!(places.of(&inbox, "one", "a"), names(&["a"]));
        assert_eq!(places.of(&inbox, "two", "b"), names(&["b"]));
        assert_eq!(places.of(&inbox, "one", "c"), names(&["a", "c"]));
        let places = Places::new(dir.path().join("places.json"));
        assert_eq!(places.of(&inbox, "two", "a"), names(&["a", "b"]), "the label is another peer's now");
        assert_eq!(places.of(&inbox, "one", "c"), names(&["a", "c"]));
        std::fs::remove_dir(dir.path().join("inbox/a")).unwrap();
        assert_eq!(places.of(&inbox, "one", "b"), names(&["b", "c"]), "what is gone is forgotten");
        std::fs::write(dir.path().join("places.json"), "{").unwrap();
        let places = Places::new(dir.path().join("places.json"));
        assert_eq!(places.of(&inbox, "one", "c"), names(&["c"]));
    }
}
