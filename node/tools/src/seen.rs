//! What this session knows about files: their state when it last read or wrote them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::limits::SEEN_FILES_MAX;
use crate::os::Stamp;

/// Remembers the state of the files that were read, so that none is changed blindly.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<String, (Stamp, u64)>,
    clock: u64,
}

impl Seen {
    /// The file at this canonical path was read or written in this state. Beyond the limit the oldest is forgotten.
    pub(crate) fn note(&self, path: &str, stamp: Stamp) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        if inner.files.len() >= SEEN_FILES_MAX && !inner.files.contains_key(path) {
            let oldest = inner.files.iter().min_by_key(|(_, (_, at))| *at).map(|(path, _)| path.clone());
            oldest.and_then(|path| inner.files.remove(&path));
        }
        inner.files.insert(path.to_owned(), (stamp, now));
    }

    /// Whether the file was seen in another state than this one. `None` means that it is gone.
    pub(crate) fn differs(&self, path: &str, now: Option<Stamp>) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.files.get(path).is_some_and(|(seen, _)| Some(*seen) != now)
    }
}
