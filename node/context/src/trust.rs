//! Which projects the owner trusts: `trusted.json` in the node's home.
//!
//! Trust is for exactly one directory, a project's root: not for what is around it nor for repositories within it (they
//! have their own roots). The directory's inode is kept beside its path, so that another directory that
//! takes its place later is asked about anew. (The device's number is not: it may change with every start of the machine.)

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clankers_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{limits, os};

/// How a project stands with the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not trusted.
    Untrusted,
    /// Trusted.
    Trusted,
    /// The path was trusted, but another directory stands there now. As good as untrusted.
    Replaced,
}

/// One trusted directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// Its canonical path.
    pub directory: String,
    /// Its inode.
    pub inode: u64,
    /// Since when.
    pub since: Timestamp,
}

/// Why the list cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The list is not what this program wrote. It was left as it is, and nothing is trusted.
    #[error("the list of trusted projects {} cannot be used: {why}; it was left as it is, and no project is trusted", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// This directory cannot be trusted.
    #[error("{} cannot be trusted: {why}", directory.display())]
    Unfit {
        /// The directory.
        directory: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The list is full.
    #[error(
        "{} projects are trusted, more are not kept; remove some with `clankers trust --remove DIR`",
        limits::TRUSTED
    )]
    Full,
    /// Another process has it.
    #[error("another process has been changing the list of trusted projects for too long; try again")]
    Busy,
    /// Trouble with the disk.
    #[error("could not {action} {}: {source}", path.display())]
    Disk {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    version: u32,
    trusted: Vec<Trusted>,
}

const VERSION: u32 = 1;

/// The list of trusted projects.
#[derive(Debug, Clone)]
pub struct TrustBook {
    path: PathBuf,
}

impl TrustBook {
    /// The list of this home; the file comes into being with the first entry.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self { path: home.join("trusted.json") }
    }

    /// How the directory stands (see [`crate::Places::project`] for which one to ask about).
    ///
    /// # Errors
    /// [`TrustError`]; then nothing is trusted.
    pub fn standing(&self, directory: &Path) -> Result<Standing, TrustError> {
        let list = self.list()?;
        let (real, inode) = look(directory)?;
        // A name that is not UTF-8 was never listed.
        let Some(name) = real.to_str() else { return Ok(Standing::Untrusted) };
        Ok(match list.iter().find(|entry| entry.directory == name) {
            None => Standing::Untrusted,
            Some(entry) if entry.inode == inode => Standing::Trusted,
            Some(_) => Standing::Replaced,
        })
    }

    /// All entries, sorted by path.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn list(&self) -> Result<Vec<Trusted>, TrustError> {
        let bad = |why: String| Err(TrustError::Bad { path: self.path.clone(), why });
        let base = self.path.parent().unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default();
        let fd = match os::open_beneath(base, Path::new(name)) {
            Ok(fd) => fd,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if os::is_link_error(&error) => {
                return bad("it is a link; put the file itself there".into());
            }
            Err(error) => return Err(self.disk("open", error)),
        };
        let file = fs::File::from(fd);
        let meta = file.metadata().map_err(|error| self.disk("look at", error))?;
        if meta.uid() != os::user() {
            return bad(format!("it belongs to user {}", meta.uid()));
        }
        if meta.mode() & 0o077 != 0 {
            return bad(format!(
                "others can read or write it (mode {:03o}); look at it with `cat`, then run `chmod 600 {}`",
                meta.mode() & 0o7777,
                self.path.display()
            ));
        }
        let head = match os::read_head(file.into(), limits::TRUST_FILE_BYTES) {
            Ok(head) if head.is_whole() => head,
            Ok(_) => return bad(format!("it is longer than {} bytes", limits::TRUST_FILE_BYTES)),
            Err(error) => return Err(self.disk("read", error)),
        };
        match serde_json::from_slice::<Listed>(&head.bytes) {
            Ok(listed) if listed.version == VERSION => Ok(listed.trusted),
            Ok(listed) => {
                bad(format!("version {} of clankers' list is not known; update clankers", listed.version))
            }
            Err(error) => bad(format!("{error}; repair it or delete it")),
        }
    }

    /// Trusts the directory from `now` on.
    ///
    /// # Errors
    /// [`TrustError`]: not a directory that can be trusted, or the list cannot be changed.
    pub fn add(&self, directory: &Path, now: Timestamp) -> Result<Trusted, TrustError> {
        let (real, inode) = look(directory)?;
        let unfit = |why| TrustError::Unfit { directory: real.clone(), why };
        let meta = real.metadata().map_err(|source| disk("look at", &real, source))?;
        let name = real.to_str().filter(|name| name.len() <= limits::TRUSTED_PATH_BYTES);
        let name = name.ok_or_else(|| unfit("its path is not UTF-8 or too long"))?;
        if !meta.is_dir() {
            return Err(unfit("it is not a directory"));
        }
        if real.parent().is_none() {
            return Err(unfit("it is the root of all files; trust the project itself"));
        }
        if meta.mode() & 0o002 != 0 {
            return Err(unfit(
                "every user of this machine can write into it; take that away with `chmod o-w`",
            ));
        }
        let entry = Trusted { directory: name.to_owned(), inode, since: now };
        self.change(|list| {
            list.retain(|other| other.directory != entry.directory);
            list.push(entry.clone());
            list.len() <= limits::TRUSTED
        })?;
        Ok(entry)
    }

    /// Trusts the directory no longer; it need not exist. `false`: it was not listed.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn remove(&self, directory: &Path) -> Result<bool, TrustError> {
        let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let gone = |entry: &Trusted| Path::new(&entry.directory) == real;
        if !self.list()?.iter().any(gone) {
            return Ok(false);
        }
        let mut removed = false;
        self.change(|list| {
            removed = list.iter().any(gone);
            list.retain(|entry| !gone(entry));
            true
        })?;
        Ok(removed)
    }

    /// Changes the list under its lock; `false` from `edit` means that it became too long.
    fn change(&self, edit: impl FnOnce(&mut Vec<Trusted>) -> bool) -> Result<(), TrustError> {
        let lock = self.path.with_extension("lock");
        let lock = os::open_lock(&lock).map_err(|source| disk("lock", &lock, source))?;
        let mut tries = 0;
        while let Err(error) = lock.try_lock() {
            match error {
                fs::TryLockError::Error(error) => return Err(self.disk("lock", error)),
                fs::TryLockError::WouldBlock if tries == limits::LOCK_TRIES => return Err(TrustError::Busy),
                fs::TryLockError::WouldBlock => tries += 1,
            }
            thread::sleep(Duration::from_millis(limits::LOCK_RETRY_MS));
        }
        let mut list = self.list()?;
        if !edit(&mut list) {
            return Err(TrustError::Full);
        }
        list.sort_by(|a, b| a.directory.cmp(&b.directory));
        self.write(&Listed { version: VERSION, trusted: list }).map_err(|error| self.disk("write", error))
    }

    /// Replaces the file, whole. The lock is held until then.
    fn write(&self, listed: &Listed) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut staged = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        serde_json::to_writer_pretty(&mut staged, listed)?;
        staged.write_all(b"\n")?;
        staged.as_file().sync_all()?;
        staged.persist(&self.path).map_err(|error| error.error)?;
        fs::File::open(dir)?.sync_all()
    }

    fn disk(&self, action: &'static str, source: io::Error) -> TrustError {
        disk(action, &self.path, source)
    }
}

fn disk(action: &'static str, path: &Path, source: io::Error) -> TrustError {
    TrustError::Disk { action, path: path.to_owned(), source }
}

/// The directory's canonical path and its inode.
fn look(directory: &Path) -> Result<(PathBuf, u64), TrustError> {
    let at = |source| disk("find", directory, source);
    let real = directory.canonicalize().map_err(at)?;
    let inode = real.metadata().map_err(at)?.ino();
    Ok((real, inode))
}

#[cfg(test)]
mod tests;
