//! What was sent from here and what was got, one file for each, so that a transfer that broke off can go on and a receipt
//! is kept.
//!
//! The records are plain files, so that a command line needs no node and no lock on the home to keep them:
//! `transfers/<id>.json`, written whole and renamed; `<id>.lock` is locked by the process that runs the transfer, which
//! tells running from interrupted; `<id>.cancel` asks that process to stop.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use clankers_protocol::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use crate::limits::{RECORD_BYTES, RECORDS};

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From here to the peer.
    Send,
    /// From the peer to here.
    Get,
}

/// How far a transfer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process is at it; when none holds its lock, it was interrupted.
    Running,
    /// The node begins it when there is room: others are sent now.
    Queued,
    /// The peer's owner has yet to decide.
    Waiting,
    /// It broke off, and can go on.
    Interrupted,
    /// It is whole.
    Done,
    /// It ended without some of its files.
    Partial,
    /// It ended, and will not go on by itself.
    Failed,
    /// It was cancelled here.
    Cancelled,
}

impl State {
    /// The word that listings and `--json` carry.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether there is nothing left to be done.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Partial | Self::Failed | Self::Cancelled)
    }
}

/// The receiver's word for what it has, with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReceipt {
    /// Files that landed (count).
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes of content that travelled, of all attempts that the receiver knows.
    pub sent_bytes: u64,
    /// BLAKE3: of the file, or of a directory's canonical manifest (hex).
    pub root: String,
    /// The name that it has at the receiver.
    pub name: String,
    /// Files that did not arrive (count).
    #[serde(default)]
    pub bad: u64,
    /// Files that its owner did not want (count).
    #[serde(default)]
    pub declined: u64,
    /// The receipt's own bytes as they were signed (hex).
    pub signed: String,
    /// The receiver's Ed25519 signature over them (hex).
    pub signature: String,
}

/// One transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id: 32 hex digits.
    pub id: String,
    /// Which way.
    pub direction: Direction,
    /// The peer as it was named.
    pub peer: String,
    /// The peer.
    pub subject: NodeId,
    /// What is sent: an absolute path here; what is got: the peer's path.
    pub path: String,
    /// Where it goes: a directory in the peer's inbox, or an absolute path here.
    pub to: Option<String>,
    /// The name that it gets there, when it is not its own.
    pub name: Option<String>,
    /// `rename`, `refuse`, `overwrite` or `skip`.
    pub on_conflict: String,
    /// Links are followed.
    pub follow_links: bool,
    /// Globs of what is left out.
    pub exclude: Vec<String>,
    /// Bytes in a second at the most, where somebody wished for a limit.
    #[serde(default)]
    pub limit_rate: Option<u64>,
    /// The node goes on with it, without a command line.
    pub detached: bool,
    /// How far it came.
    pub state: State,
    /// Bytes that the receiver has.
    pub bytes: u64,
    /// Bytes in all; 0 while not known.
    pub total: u64,
    /// Bytes of content that left here, all attempts together.
    pub sent_bytes: u64,
    /// Files in all (count).
    pub files: u64,
    /// Of those, files that the receiver has whole (count).
    #[serde(default)]
    pub files_done: u64,
    /// Bytes in a second of late, while it runs.
    #[serde(default)]
    pub rate_bps: u64,
    /// The hash of what was sent (hex), once all of it was: a receipt that comes by a later attempt has to be of this.
    #[serde(default)]
    pub root: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// What the receiver signed.
    pub receipt: Option<KeptReceipt>,
    /// When it began.
    pub started: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
}

impl Record {
    /// Whether this asks for the same as another one: then the one that broke off goes on.
    #[must_use]
    pub fn is_same_wish(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.subject == other.subject
            && self.path == other.path
            && self.to == other.to
            && self.name == other.name
            && self.on_conflict == other.on_conflict
            && self.follow_links == other.follow_links
            && self.exclude == other.exclude
    }
}

/// The directory of the records.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

/// A transfer that this process runs: the lock on its record.
#[derive(Debug)]
pub struct Hold {
    records: Records,
    id: String,
    _lock: Lock,
}

/// Why a record cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk.
    #[error("the record of transfers at {path}: {source}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process runs the transfer.
    #[error("this transfer is running already, in another process: {}", clankers_protocol::text::head(.0, 10))]
    Running(String),
    /// There is no such transfer.
    #[error("there is no transfer '{0}' here")]
    None(String),
    /// Several begin so.
    #[error("several transfers begin with '{0}'; write more of the id")]
    Several(String),
}

impl Records {
    /// The records in this directory, which is made when it is first written to.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self, id: &str, suffix: &str) -> PathBuf {
        self.dir.join(format!("{id}.{suffix}"))
    }

    fn ready(&self) -> Result<(), RecordError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(|source| disk(&self.dir, source))
    }

    /// Takes a transfer: it is this process's until the hold is dropped.
    ///
    /// # Errors
    /// [`RecordError::Running`] when another process has it, and the disk's.
    pub fn hold(&self, id: &str) -> Result<Hold, RecordError> {
        self.ready()?;
        let path = self.path(id, "lock");
        let taken = Lock::take(&path).map_err(|source| disk(&path, source))?;
        let lock = taken.ok_or_else(|| RecordError::Running(id.to_owned()))?;
        // What was asked of an earlier run is not asked of this one.
        match fs::remove_file(self.path(id, "cancel")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(&path, error)),
            _ => Ok(Hold { records: self.clone(), id: id.to_owned(), _lock: lock }),
        }
    }

    /// Whether some process runs this transfer.
    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        Lock::is_held(&self.path(id, "lock"))
    }

    /// All that are kept, the latest first; one that no process runs is not running. What cannot be read is left out.
    ///
    /// # Errors
    /// [`RecordError::Disk`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Record>, RecordError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(disk(&self.dir, source)),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut records: Vec<Record> = paths
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "json"))
            .filter_map(|path| read(&path))
            .map(|record| self.as_it_is(record))
            .collect();
        records.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| a.id.cmp(&b.id)));
        Ok(records)
    }

    /// A record says that it runs until somebody says otherwise, and who was killed could not.
    fn as_it_is(&self, mut record: Record) -> Record {
        if matches!(record.state, State::Running | State::Queued) && !self.is_running(&record.id) {
            record.state = State::Interrupted;
        }
        record
    }

    /// The one whose id begins so.
    ///
    /// # Errors
    /// [`RecordError::None`], [`RecordError::Several`] and the disk's.
    pub fn find(&self, prefix: &str) -> Result<Record, RecordError> {
        let shown = || clankers_protocol::text::line(prefix, 40);
        let mut found = self.list()?.into_iter().filter(|record| record.id.starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(record), None) if !prefix.is_empty() => Ok(record),
            (Some(_), Some(_)) => Err(RecordError::Several(shown())),
            _ => Err(RecordError::None(shown())),
        }
    }

    /// The latest that broke off and asks for the same.
    ///
    /// # Errors
    /// [`RecordError::Disk`] when the directory cannot be read.
    pub fn same_wish(&self, wish: &Record) -> Result<Option<Record>, RecordError> {
        let open = |record: &Record| !record.state.is_over() || record.state == State::Cancelled;
        Ok(self.list()?.into_iter().find(|record| open(record) && record.is_same_wish(wish)))
    }

    /// Asks whoever runs this transfer to stop. Whether anybody does.
    ///
    /// # Errors
    /// The disk's.
    pub fn ask_to_cancel(&self, id: &str) -> Result<bool, RecordError> {
        if !self.is_running(id) {
            return Ok(false);
        }
        let path = self.path(id, "cancel");
        let opened = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        opened.map(|_| true).map_err(|source| disk(&path, source))
    }

    /// Drops a record that nobody runs.
    ///
    /// # Errors
    /// [`RecordError::Running`], and the disk's.
    pub fn forget(&self, id: &str) -> Result<(), RecordError> {
        let hold = self.hold(id)?;
        for suffix in ["json", "lock"] {
            let path = self.path(&hold.id, suffix);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(disk(&path, source)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a record that this process does not run: what is found to be so.
    ///
    /// # Errors
    /// [`RecordError::Running`] when another process has it, and the disk's.
    pub fn settle(&self, record: &Record) -> Result<(), RecordError> {
        self.hold(&record.id)?.write(record)
    }

    /// Drops the oldest that are over, beyond [`RECORDS`].
    fn trim(&self) -> Result<(), RecordError> {
        let all = self.list()?;
        for record in all.iter().skip(RECORDS).filter(|record| record.state.is_over()) {
            match self.forget(&record.id) {
                Ok(()) | Err(RecordError::Running(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Hold {
    /// Writes the record: whole, or not at all. One that is over has its receipt, and survives a loss of power.
    ///
    /// # Errors
    /// [`RecordError::Disk`].
    pub fn write(&self, record: &Record) -> Result<(), RecordError> {
        self.put(record, record.state.is_over())
    }

    fn put(&self, record: &Record, durable: bool) -> Result<(), RecordError> {
        let path = self.records.path(&self.id, "json");
        let new = self.records.path(&self.id, "new");
        let written = || {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(record)?)?;
            if durable {
                file.sync_data()?;
            }
            fs::rename(&new, &path)?;
            if durable { File::open(&self.records.dir)?.sync_all() } else { Ok(()) }
        };
        written().map_err(|source| disk(&path, source))
    }

    /// Writes the first record of a transfer, and makes room for it.
    ///
    /// # Errors
    /// [`RecordError::Disk`].
    pub fn begin(&self, record: &Record) -> Result<(), RecordError> {
        self.put(record, true)?;
        self.records.trim()
    }

    /// Whether somebody asked this transfer to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.records.path(&self.id, "cancel").exists()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Asked of a run that is over.
        let _none = fs::remove_file(self.records.path(&self.id, "cancel"));
    }
}

fn disk(path: &Path, source: io::Error) -> RecordError {
    RecordError::Disk { path: path.to_owned(), source }
}

fn read(path: &Path) -> Option<Record> {
    let size = fs::metadata(path).ok()?.len();
    if size > RECORD_BYTES {
        return None;
    }
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // The file's name is what it is found by.
    (path.file_stem()?.to_str()? == record.id).then_some(record)
}

#[cfg(test)]
mod tests;
