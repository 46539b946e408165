//! Walking a directory tree by handles: what `grep` and `find` share.
//!
//! The walker of the `ignore` crate goes by paths, so a directory swapped for a link under it would lead it out of
//! the workspace. This one opens each directory from its parent without following anything; the crate's matcher still
//! decides what ignore files leave out.

mod ignores;

use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::fcntl_dupfd_cloexec;
use tokio_util::sync::CancellationToken;

use crate::error::{ToolError, shown};
use crate::limits::{DIR_ENTRIES_MAX, PATH_DEPTH_MAX, WALK_ENTRIES_MAX};
use crate::os;
use crate::path;
use crate::workspace::{DirAt, View};
pub(crate) use ignores::Ignores;

/// Something in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The directory, held open.
    pub(crate) dir: DirAt,
    /// Its name there.
    pub(crate) name: String,
    /// Its canonical path.
    pub(crate) path: String,
    /// What it is; links are not followed.
    pub(crate) kind: FileType,
}

/// A name and its kind, as a directory holds them.
pub(crate) type Named = (String, FileType);

/// What a walk left out, other than what it was told to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Directories or files that could not be opened.
    pub(crate) unreadable: u64,
    /// Names that are not UTF-8.
    pub(crate) odd_names: u64,
    /// The walk stopped at a limit of time, depth or number.
    pub(crate) effort: bool,
}

impl Skipped {
    /// What to say about it, or nothing.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.effort {
            notes
                .push("stopped early: the tree is too large for one search, give a narrower path".to_owned());
        }
        if self.unreadable > 0 {
            notes.push(format!("{} could not be read", self.unreadable));
        }
        if self.odd_names > 0 {
            notes.push(format!("{} names are not UTF-8 and left out", self.odd_names));
        }
        notes
    }
}

struct Frame {
    dir: DirAt,
    ignores: Arc<Ignores>,
    entries: std::vec::IntoIter<Named>,
}

/// A walk, depth first, names in order.
pub(crate) struct Walk<'v> {
    view: &'v View,
    all: bool,
    frames: Vec<Frame>,
    cancel: &'v CancellationToken,
    deadline: Instant,
    visited: usize,
    listed: usize,
    /// What was left out so far.
    pub(crate) skipped: Skipped,
}

impl<'v> Walk<'v> {
    /// A walk beneath `dir` until `deadline`; `all` includes what ignore files leave out. `.git` is never entered.
    pub(crate) fn new(
        view: &'v View,
        dir: DirAt,
        all: bool,
        cancel: &'v CancellationToken,
        deadline: Instant,
    ) -> Result<Self, ToolError> {
        let mut walk = Self {
            view,
            all,
            frames: Vec::new(),
            cancel,
            deadline,
            visited: 0,
            listed: 0,
            skipped: Skipped::default(),
        };
        let names = list(&dir).map_err(|error| ToolError::io("list", dir.path(), error))?;
        walk.skipped.odd_names += names.odd;
        let above = Ignores::above(view, &dir);
        walk.push(dir, names, above);
        Ok(walk)
    }

    fn push(&mut self, dir: DirAt, names: Names, above: Option<Arc<Ignores>>) {
        self.skipped.effort |= names.more;
        self.listed += names.entries.len();
        let ignores = Arc::new(Ignores::of(self.view, &dir, &names.entries, above));
        self.frames.push(Frame { dir, ignores, entries: names.entries.into_iter() });
    }

    /// The next entry that ignore files do not leave out; `Ok(None)` at the end or when a limit was met.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ToolError> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(ToolError::Interrupted);
            }
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            let Some((name, kind)) = frame.entries.next() else {
                self.frames.pop();
                continue;
            };
            self.visited += 1;
            let late = self.visited.is_multiple_of(256) && Instant::now() > self.deadline;
            if self.listed > WALK_ENTRIES_MAX || late {
                self.skipped.effort = true;
                return Ok(None);
            }
            let is_dir = kind == FileType::Directory;
            let path = path::join(frame.dir.path(), &name);
            if (is_dir && name == ".git") || (!self.all && frame.ignores.ignored(&path, is_dir)) {
                continue;
            }
            let entry = Entry { dir: frame.dir.clone(), name, path, kind };
            if !is_dir || self.enter(&entry) {
                return Ok(Some(entry));
            }
        }
    }

    /// Goes into a directory. False when no tool may.
    fn enter(&mut self, entry: &Entry) -> bool {
        let above = self.frames.last().map(|frame| frame.ignores.clone());
        if self.frames.len() >= PATH_DEPTH_MAX {
            self.skipped.effort = true;
            return true;
        }
        match self.view.enter(&entry.dir, &entry.name) {
            Ok(Some(dir)) => match list(&dir) {
                Ok(names) => {
                    self.skipped.odd_names += names.odd;
                    self.push(dir, names, above);
                }
                Err(_) => self.skipped.unreadable += 1,
            },
            Ok(None) => return false,
            Err(_) => self.skipped.unreadable += 1,
        }
        true
    }
}

/// The names in a directory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// In order of their bytes, without `.` and `..`.
    pub(crate) entries: Vec<Named>,
    /// How many are not UTF-8 and left out.
    pub(crate) odd: u64,
    /// Whether there are more than are read.
    pub(crate) more: bool,
}

/// Lists a directory.
pub(crate) fn list(dir: &DirAt) -> Result<Names, rustix::io::Errno> {
    let mut names = Names::default();
    // A copy of the handle costs less than opening the directory again; the position is shared, hence the rewind.
    let mut listing = Dir::new(fcntl_dupfd_cloexec(dir.fd(), 0)?)?;
    listing.rewind();
    for entry in listing {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            names.odd += 1;
            continue;
        };
        if name == "." || name == ".." {
            continue;
        }
        if names.entries.len() == DIR_ENTRIES_MAX {
            names.more = true;
            break;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown
            && let Ok(stat) = statat(dir.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
        {
            kind = os::file_type(&stat);
        }
        names.entries.push((name.to_owned(), kind));
    }
    names.entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// Notes in brackets under a text, or the text as it is.
pub(crate) fn with_notes(text: String, notes: &[String]) -> String {
    if notes.is_empty() {
        return text;
    }
    let gap = if text.is_empty() { "" } else { "\n\n" };
    format!("{text}{gap}[{}]", notes.join("; "))
}

/// A path of an entry as it stands in output.
pub(crate) fn shown_entry(path: &str, kind: FileType) -> String {
    let end = if kind == FileType::Directory { "/" } else { "" };
    format!("{}{end}", shown(path))
}
