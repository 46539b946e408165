//! A directory from which peers may read, and nothing outside of it.

use std::{path::Path, sync::atomic::AtomicBool};

use clankers_protocol::transfer::name::SafePath;

use super::{Selection, Source, walk};
use crate::{
    dir::Dir,
    error::{FilesError, Result, Trouble},
};

/// An export: a directory held open.
#[derive(Debug, Clone)]
pub struct Export {
    root: Dir,
    /// The directory in which it stands, and its name there.
    above: Dir,
    name: String,
    path: String,
}

impl Export {
    /// Opens the directory.
    ///
    /// # Errors
    /// `Vanished`, `Unreadable`, `NotSendable` when it has no name that can travel, `Io`.
    pub fn open(dir: &Path) -> Result<Self> {
        let shown = dir.to_string_lossy();
        let failed = |e: std::io::Error| FilesError::reading("open the export", &shown, &e);
        let real = std::fs::canonicalize(dir).map_err(failed)?;
        let refuse =
            || FilesError::new(Trouble::NotSendable, "export", &shown, "it has no name that is text");
        let name = real.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?.to_owned();
        let path = real.to_str().ok_or_else(refuse)?.to_owned();
        let above = Dir::open(real.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let root = above.sub(name.as_str()).map_err(failed)?;
        Ok(Self { root, above, name, path })
    }

    /// Lists what is at a path beneath it; the empty path is the export itself. No link is followed, wherever it stands.
    ///
    /// # Errors
    /// As [`Source::walk`]; `NotSendable` when the path leads elsewhere, through a link, or is not safe.
    pub fn source(&self, path: &str, selection: &Selection, stop: &AtomicBool) -> Result<Source> {
        let selection = Selection { follow_links: false, ..selection.clone() };
        let whole = if path.is_empty() { self.path.clone() } else { format!("{}/{path}", self.path) };
        let (dir, name) = self.find(path)?;
        walk::walk(dir, &name, &name, &whole, &selection, stop)
    }

    /// The directory in which this path stands, and its name there.
    pub(super) fn find(&self, path: &str) -> Result<(Dir, String)> {
        if path.is_empty() {
            return Ok((self.above.clone(), self.name.clone()));
        }
        let refuse = |why: String| FilesError::new(Trouble::NotSendable, "read", path, why);
        let safe = SafePath::parse(path).map_err(|e| refuse(e.to_string()))?;
        let mut dir = self.root.clone();
        if let Some(parent) = safe.parent() {
            for name in parent.parts() {
                dir = dir.sub(name).map_err(|e| FilesError::reading("read", path, &e))?;
            }
        }
        Ok((dir, safe.name().to_owned()))
    }
}
