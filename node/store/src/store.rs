//! The database: peer book, tokens, and indexes over the session logs, in one redb file.
//!
//! One process at a time. It comes into being whole (made under another name, then given its own); a file that is damaged or
//! of a later version is refused and never replaced. Every value carries a checksum of its own, since redb trusts its
//! pages after a clean shutdown. What cannot be made again from the session logs also stands in `auth.log`.

mod auth_log;
pub(crate) mod authority;
mod belief;
mod error;
mod migrate;
mod opening;
mod reconcile;
pub(crate) mod rows;
pub(crate) mod tables;

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) use auth_log::AuthLog;
pub(crate) use auth_log::make_if_missing as make_auth_log;
pub use authority::Authority;
use authority::AuthorityRow;
use belief::Belief;
use clankers_protocol::Timestamp;
pub use error::StoreError;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use rows::Records;

use crate::{
    DiskKind, Home,
    ledger::{Groups, RunningCounts},
    limits,
    revocations::Mirror,
};

/// What opening the store found and did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// There was no database: a new one was made.
    pub database_was_missing: bool,
    /// There was no `auth.log`. With a missing database too: a new home, or one that lost its authority records.
    pub auth_log_was_missing: bool,
    /// Tokens that were taken from `auth.log` into the database (count).
    pub tokens_recovered: u64,
    /// Lines of `auth.log` that were damaged; the damaged file was kept aside (count).
    pub auth_lines_lost: u64,
}

/// How much a change must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It is on the disk when the call returns.
    Now,
    /// A crash may undo it: it is found out again.
    Soon,
}

/// The database of a home, open. Share it in an `Arc`.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// `None` after a failure of the disk, until it opens again.
    database: RwLock<Option<Database>>,
    /// The database contradicted itself, and was not seen whole since.
    doubtful: AtomicBool,
    /// Something was written that a crash would undo.
    unsynced: AtomicBool,
    /// Whoever changes records of authority holds this to the end: there is one such writer at a time.
    auth: Mutex<AuthLog>,
    pub(crate) authority: RwLock<AuthorityRow>,
    pub(crate) revoked: RwLock<Mirror>,
    pub(crate) running: RunningCounts,
    pub(crate) groups: Mutex<Groups>,
    belief: Belief,
    opened: Opened,
}

impl Store {
    /// Opens the home's database, making it when there is none. What is over by `now`, here and in what it is asked later, is
    /// forgotten at once.
    ///
    /// # Errors
    /// [`StoreError`]: held by another process, damaged, newer, disk.
    pub fn open(home: &Home, now: Timestamp) -> Result<Self, StoreError> {
        Self::open_believing(home, now, Belief::at_once())
    }

    fn open_believing(home: &Home, now: Timestamp, belief: Belief) -> Result<Self, StoreError> {
        let path = home.store();
        let made = opening::make(&path, home)?;
        let database = opening::open_database(&path)?;
        let (auth, replayed) = AuthLog::open(home)?;
        let opened = Opened {
            database_was_missing: made,
            auth_log_was_missing: replayed.missing,
            tokens_recovered: 0,
            auth_lines_lost: replayed.lost,
        };
        let mut store = Self {
            path,
            database: RwLock::new(Some(database)),
            doubtful: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            auth: Mutex::new(auth),
            authority: RwLock::default(),
            revoked: RwLock::default(),
            running: RunningCounts::default(),
            groups: Mutex::default(),
            belief,
            opened,
        };
        store.opened.tokens_recovered = reconcile::reconcile(&store, home, replayed, now)?;
        if opened.database_was_missing || opened.auth_lines_lost > 0 {
            tracing::info!(opened = ?store.opened, "opened the store");
        }
        Ok(store)
    }

    /// The same for a clock that may be wrong: it must have gone right for a while before anything is forgotten by it
    /// ([`limits::FORGET_AFTER_MS`]). Waits up to `deadline` for another process to let go of the database.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Held`] when the time is up.
    pub fn open_with_deadline(home: &Home, now: Timestamp, deadline: Duration) -> Result<Self, StoreError> {
        let end = Instant::now().checked_add(deadline);
        loop {
            match Self::open_believing(home, now, Belief::patient(now)) {
                Err(StoreError::Held(_)) if end.is_some_and(|end| Instant::now() < end) => {
                    thread::sleep(Duration::from_millis(limits::STORE_RETRY_MS));
                }
                other => return other,
            }
        }
    }

    /// What opening it found and did.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Makes everything durable that was only going to be. Costs nothing when there is nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn flush(&self) -> Result<(), StoreError> {
        if !self.unsynced.load(Ordering::Acquire) {
            return Ok(());
        }
        self.write(Keep::Now, |_| Ok(()))
    }

    /// Up to when things are over for good, as the last writer of authority found.
    pub(crate) fn past(&self, now: Timestamp) -> Timestamp {
        self.belief.past(now)
    }

    pub(crate) fn auth(&self) -> MutexGuard<'_, AuthLog> {
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rewrites `auth.log` when it has grown much; trouble with that is no trouble of the caller.
    pub(crate) fn tidy(&self, auth: &mut AuthLog, now: Timestamp) {
        if !auth.wants_rewriting() {
            return;
        }
        let noted = self.forgets(auth, None, now);
        let rewritten =
            noted.and_then(|()| self.read(reconcile::read_all)).and_then(|mut records: Records| {
                records.forget(self.past(now), now);
                auth.rewrite(&records, now, false)
            });
        if let Err(error) = rewritten {
            auth.is_fine();
            tracing::warn!(%error, "auth.log was not rewritten; it is tried again when it has doubled");
        }
    }

    /// Whether what is in memory may be believed: an error while the database contradicts itself.
    pub(crate) fn sound(&self) -> Result<(), StoreError> {
        if !self.doubtful.load(Ordering::Acquire) {
            return Ok(());
        }
        // Opens it again, which checks it from end to end.
        self.with(|_| Ok(()))
    }

    /// Runs `act` in a read transaction.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            act(&transaction)
        })
    }

    /// Runs `act` in a write transaction and commits; an error undoes all of it.
    pub(crate) fn write<T>(
        &self,
        keep: Keep,
        act: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            if keep == Keep::Soon {
                transaction.set_durability(Durability::None).map_err(redb::Error::from)?;
            }
            let value = act(&transaction)?;
            // Writers come one after the other, so what this one makes durable is known to be before it ends.
            self.unsynced.store(keep == Keep::Soon, Ordering::Release);
            let committed = transaction.commit();
            if committed.is_err() {
                self.unsynced.store(true, Ordering::Release);
            }
            committed?;
            Ok(value)
        })
    }

    /// Runs `act` on the database, opening it again first when the disk had failed under it.
    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        while guard.is_none() {
            drop(guard);
            let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                *slot = Some(opening::open_database(&self.path)?);
            }
            drop(slot);
            guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(database) = guard.as_ref() else { return Err(StoreError::Held(self.path.clone())) };
        let result = opening::contained(&self.path, || act(database)).map_err(|e| e.of(&self.path));
        drop(guard);
        if let Err(StoreError::Disk(_) | StoreError::Damaged { .. }) = &result {
            if let Err(StoreError::Damaged { .. }) = &result {
                self.doubtful.store(true, Ordering::Release);
            }
            // redb refuses everything after a failed write until it is opened anew, which then finds the last
            // commit: so a full disk is over when there is space again.
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        } else if result.is_ok() {
            self.doubtful.store(false, Ordering::Release);
        }
        result
    }
}

impl StoreError {
    /// The kind of disk trouble, when it is that.
    #[must_use]
    pub fn disk_kind(&self) -> Option<DiskKind> {
        match self {
            Self::Disk(error) => Some(error.kind),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
