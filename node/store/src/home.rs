//! The directory in which everything of a node lies, and the one place where its names are known.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{DiskError, DiskKind, os};

/// Why a directory cannot be a node's home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The path is a file or something else.
    #[error("{} is not a directory; choose another home with --home DIR or CLANKERS_HOME", .0.display())]
    NotADirectory(PathBuf),
    /// It is another user's: that user could read the key and replace what is run.
    #[error("{} belongs to user {owner}, not to you (user {me}); choose a home of your own with --home DIR", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner (user id).
        owner: u32,
        /// The user of this process (user id).
        me: u32,
    },
    /// Others may write into it: they could replace the key.
    #[error("other users can write into {} (mode {mode:03o}); run `chmod 700 {}`", path.display(), path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is on a read-only file system, or its permissions keep its owner from writing.
    #[error("the home {} cannot be written: {reason}; choose another with --home DIR", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// It cannot be made or looked at.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A node's home: a private directory. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens the home, making it (0700, parents too) when it is not there.
    ///
    /// # Errors
    /// [`HomeError`]: not a directory, another user's, writable for others, read-only, or trouble with the disk.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        Self::make(path, path)?;
        let root = fs::canonicalize(path).map_err(DiskError::at("find", path))?;
        let home = Self { root };
        home.check()?;
        let rooms = [home.run_dir(), home.archive_dir(), home.logs_dir(), home.inbox_dir(), home.spill_dir()];
        for room in &rooms {
            Self::make(room, &home.root)?;
        }
        Ok(home)
    }

    fn make(dir: &Path, home: &Path) -> Result<(), HomeError> {
        let Err(error) = os::make_dir(dir) else { return Ok(()) };
        // An existing file, or a file where a parent should be.
        if dir.exists() || error.kind() == std::io::ErrorKind::NotADirectory {
            return Err(HomeError::NotADirectory(dir.to_owned()));
        }
        match DiskKind::of(&error) {
            DiskKind::ReadOnly => {
                Err(HomeError::ReadOnly { path: home.to_owned(), reason: error.to_string() })
            }
            _ => Err(DiskError::new("make the directory", dir, error).into()),
        }
    }

    fn check(&self) -> Result<(), HomeError> {
        let path = || self.root.clone();
        let meta = fs::metadata(&self.root).map_err(DiskError::at("look at", &self.root))?;
        if !meta.is_dir() {
            return Err(HomeError::NotADirectory(path()));
        }
        let (owner, me, mode) = (meta.uid(), os::user(), meta.mode() & 0o7777);
        if owner != me {
            return Err(HomeError::Owner { path: path(), owner, me });
        }
        if mode & 0o022 != 0 {
            return Err(HomeError::Writable { path: path(), mode });
        }
        os::check_writable(&self.root).map_err(|error| match DiskKind::of(&error) {
            DiskKind::ReadOnly | DiskKind::Permission => {
                HomeError::ReadOnly { path: path(), reason: error.to_string() }
            }
            _ => DiskError::new("look at", &self.root, error).into(),
        })
    }

    /// The directory itself, absolute, without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The node's secret key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.key")
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.root.join("settings.toml")
    }

    /// The lock that the one running node of this home holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("node.lock")
    }

    /// What describes the running node.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// How to reach the running node: [`crate::RunInfo`].
    #[must_use]
    pub fn run_info(&self) -> PathBuf {
        self.run_dir().join("node.json")
    }

    /// The port that the node had last.
    #[must_use]
    pub fn port(&self) -> PathBuf {
        self.run_dir().join("port")
    }

    /// Session logs: `<id>.jsonl`.
    #[must_use]
    pub fn sessions_dir(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// Logs of archived sessions.
    #[must_use]
    pub fn archive_dir(&self) -> PathBuf {
        self.sessions_dir().join("archive")
    }

    /// The database: peer book, tokens, indexes.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store.redb")
    }

    /// Authority records once more, append-only.
    #[must_use]
    pub fn auth_log(&self) -> PathBuf {
        self.root.join("auth.log")
    }

    /// The node's own log files.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The running node's log.
    #[must_use]
    pub fn node_log(&self) -> PathBuf {
        self.logs_dir().join("node.log")
    }

    /// Decisions about requests: the audit log's files.
    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// The audit log's file that is being written.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.audit_dir().join("audit.jsonl")
    }

    /// Files that peers sent.
    #[must_use]
    pub fn inbox_dir(&self) -> PathBuf {
        self.root.join("inbox")
    }

    /// Tool output too long to be shown whole.
    #[must_use]
    pub fn spill_dir(&self) -> PathBuf {
        self.root.join("spill")
    }
}

#[cfg(test)]
mod tests;
