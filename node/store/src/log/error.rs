//! Why a session log cannot be used.

use std::path::PathBuf;

use clankers_protocol::SessionId;

use crate::{DiskError, DiskKind};

/// Where a log is damaged, and what of it can still be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Events from 1 to this one are whole and can be read; 0: none.
    pub readable_to: u64,
    /// Where the damage begins (bytes from the start).
    pub offset: u64,
    /// How much lies behind that point (bytes).
    pub bytes: u64,
    /// What was found there.
    pub what: &'static str,
}

/// Why a session log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No such session.
    #[error("there is no session {0}; `clankers session list` names them")]
    NotFound(SessionId),
    /// A session of that id is there already.
    #[error("a session {0} exists already")]
    Exists(SessionId),
    /// Another process writes to this session.
    #[error("session {} is in use by another process; wait for it to end, or start a new session", .0.short())]
    Busy(SessionId),
    /// The log was written by a later version.
    #[error("session log {} has format {found}, this version knows 1; use the version that wrote it", path.display())]
    Newer {
        /// The log.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// An event is whole, but of a type that this version does not know.
    #[error("event {seq} of {} is of a type this version does not know; use the version that wrote it", path.display())]
    UnknownEvent {
        /// The log.
        path: PathBuf,
        /// Which event.
        seq: u64,
    },
    /// The log is damaged before its end. It takes no more events; what stands before the damage can be read.
    #[error("session log {} is damaged at byte {}: {}; events up to {} can be read, and a new session can be started",
        path.display(), damage.offset, damage.what, damage.readable_to)]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where and how.
        damage: Damage,
    },
    /// The file was changed, cut or deleted while it was open here.
    #[error("session log {} was {what} by something else while it was open; reopen the session", path.display())]
    Disturbed {
        /// The log.
        path: PathBuf,
        /// What happened to it.
        what: &'static str,
    },
    /// An earlier failure could not be undone, and still cannot.
    #[error("session log {} takes no events while what a failed write left in it cannot be cut off; check the disk", .0.display())]
    Broken(PathBuf),
    /// Too much for one event, one append, or one log.
    #[error("{what} has {size} bytes or entries, at most {limit} are kept; {hint}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
        /// What to do.
        hint: &'static str,
    },
    /// An event cannot be written as JSON.
    #[error("an event could not be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// Trouble with the disk; nothing half-written is left.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl LogError {
    /// The kind of disk trouble, when it is that.
    #[must_use]
    pub fn disk_kind(&self) -> Option<DiskKind> {
        match self {
            Self::Disk(error) => Some(error.kind),
            _ => None,
        }
    }
}
