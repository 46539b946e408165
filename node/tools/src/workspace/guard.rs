//! The directories that no tool may reach, known by device and inode, whatever path leads there.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::limits::{GUARD_DEPTH_MAX, GUARD_ENTRIES_MAX};
use crate::os::Ident;

/// Directories (or single files) that are out of reach, and directories within them that are not.
#[derive(Debug, Clone, Default)]
pub struct Forbidden {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) except: Vec<PathBuf>,
}

impl Forbidden {
    /// Nothing is out of reach.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything beneath `dirs` is out of reach: the node's home. A directory that does not exist yet counts from
    /// the call on at which it does.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { dirs: dirs.into_iter().collect(), except: Vec::new() }
    }

    /// But not what is beneath `dirs`: the home's inbox.
    #[must_use]
    pub fn except(mut self, dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        self.except.extend(dirs);
        self
    }

    /// The identities as they are now. Taken anew for every call, so that a home made again counts.
    pub(super) fn snapshot(&self) -> io::Result<Guards> {
        Ok(Guards {
            dirs: idents(&self.dirs)?,
            except: idents(&self.except)?,
            paths: self.clone(),
            linked: OnceLock::new(),
        })
    }
}

impl From<&[PathBuf]> for Forbidden {
    fn from(dirs: &[PathBuf]) -> Self {
        Self::new(dirs.iter().cloned())
    }
}

fn idents(paths: &[PathBuf]) -> io::Result<HashSet<Ident>> {
    let mut found = HashSet::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) => {
                found.insert(ident(&meta));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Not knowing what is forbidden must not mean that nothing is.
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn ident(meta: &fs::Metadata) -> Ident {
    Ident { dev: meta.dev(), ino: meta.ino() }
}

/// [`Forbidden`] at one moment.
#[derive(Debug)]
pub(crate) struct Guards {
    dirs: HashSet<Ident>,
    except: HashSet<Ident>,
    paths: Forbidden,
    /// Files beneath the guarded directories that have a second name, or `None` when there are too many to know.
    linked: OnceLock<Option<HashSet<Ident>>>,
}

impl Guards {
    /// Whether this directory is one of the exceptions.
    pub(super) fn is_exception(&self, ident: Ident) -> bool {
        self.except.contains(&ident)
    }

    /// Whether what has this identity is out of reach, when its directory was (`within`).
    pub(crate) fn holds(&self, within: bool, ident: Ident) -> bool {
        if self.except.contains(&ident) {
            return false;
        }
        within || self.dirs.contains(&ident)
    }

    /// Whether a file with several names has one of them beneath a guarded directory: a hard link to the node's key
    /// is the node's key. Costs a walk over those directories once per call, and only when such a file is met.
    pub(crate) fn holds_linked(&self, ident: Ident) -> bool {
        if self.dirs.is_empty() {
            return false;
        }
        match self.linked.get_or_init(|| self.scan()) {
            Some(linked) => linked.contains(&ident),
            None => true,
        }
    }

    fn scan(&self) -> Option<HashSet<Ident>> {
        let mut found = HashSet::new();
        let mut left = GUARD_ENTRIES_MAX;
        for dir in &self.paths.dirs {
            match self.scan_dir(dir, 0, &mut left, &mut found) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return None,
            }
        }
        Some(found)
    }

    fn scan_dir(
        &self,
        dir: &Path,
        depth: usize,
        left: &mut usize,
        found: &mut HashSet<Ident>,
    ) -> io::Result<()> {
        if depth > GUARD_DEPTH_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        for entry in fs::read_dir(dir)? {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::FileTooLarge)?;
            let path = entry?.path();
            let meta = match fs::symlink_metadata(&path) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if self.except.contains(&ident(&meta)) {
                continue;
            }
            if meta.is_dir() {
                match self.scan_dir(&path, depth + 1, left, found) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other?,
                }
            } else if meta.nlink() > 1 {
                found.insert(ident(&meta));
            }
        }
        Ok(())
    }
}
