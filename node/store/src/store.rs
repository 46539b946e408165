//! The database: peer book, tokens, and indexes over the session logs, in one redb file.
//!
//! One process at a time. It comes into being whole (made under another name, then given its own); a file that is damaged or
//! of a later version is refused and never replaced. Every value carries a checksum of its own, since redb trusts its
//! pages after a clean shutdown. What cannot be made again from the session logs also stands in `auth.log`.

mod auth_log;
mod error;
pub(crate) mod tables;

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

pub(crate) use auth_log::TokenRow;
use auth_log::{AuthLog, Replayed};
use clankers_protocol::Timestamp;
pub use error::StoreError;
use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tables::{META, SCHEMA, SCHEMA_VERSION};

use crate::{DiskError, DiskKind, Home, limits, os};

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
    auth: Mutex<AuthLog>,
    opened: Opened,
}

impl Store {
    /// Opens the home's database, making it when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: held by another process, damaged, newer, disk.
    pub fn open(home: &Home, now: Timestamp) -> Result<Self, StoreError> {
        let path = home.store();
        let made = make(&path, home)?;
        let database = open_database(&path)?;
        let (auth, replayed) = AuthLog::open(home, now)?;
        let opened = Opened {
            database_was_missing: made,
            auth_log_was_missing: replayed.missing,
            tokens_recovered: 0,
            auth_lines_lost: replayed.lost,
        };
        let database = RwLock::new(Some(database));
        let mut store = Self { path, database, auth: Mutex::new(auth), opened };
        store.opened.tokens_recovered = store.reconcile(replayed, now)?;
        if opened.database_was_missing || opened.auth_lines_lost > 0 {
            tracing::info!(opened = ?store.opened, "opened the store");
        }
        Ok(store)
    }

    /// The same, waiting up to `deadline` for another process to let go of it.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Held`] when the time is up.
    pub fn open_with_deadline(home: &Home, now: Timestamp, deadline: Duration) -> Result<Self, StoreError> {
        let end = Instant::now().checked_add(deadline);
        loop {
            match Self::open(home, now) {
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

    /// Makes everything durable that was only going to be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.write(Keep::Now, |_| Ok(()))
    }

    /// Brings database and `auth.log` together: what one lost the other still has.
    fn reconcile(&self, replayed: Replayed, now: Timestamp) -> Result<u64, StoreError> {
        let (recovered, missing) = crate::tokens::merge(self, &replayed.rows, now)?;
        let mut auth = self.auth();
        let live = replayed.rows.len() as u64;
        if replayed.lost > 0 || auth.wants_rewriting(replayed.lines, live) {
            let rows = crate::tokens::rows(self)?;
            auth.rewrite(&rows, now, replayed.lost > 0)?;
        } else {
            missing.iter().try_for_each(|row| auth.append(row, now))?;
        }
        Ok(recovered)
    }

    pub(crate) fn auth(&self) -> MutexGuard<'_, AuthLog> {
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
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
            transaction.commit()?;
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
                *slot = Some(open_database(&self.path)?);
            }
            drop(slot);
            guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(database) = guard.as_ref() else { return Err(StoreError::Held(self.path.clone())) };
        let result = contained(&self.path, || act(database)).map_err(|e| e.of(&self.path));
        drop(guard);
        if matches!(&result, Err(StoreError::Disk(_) | StoreError::Damaged { .. })) {
            // redb refuses everything after a failed write until it is opened anew, which then finds the last
            // commit: so a full disk is over when there is space again.
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }
}

/// Runs what may meet a damaged page: redb panics on some of them.
fn contained<T>(path: &Path, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "the database's pages contradict each other".into(),
        })
    })
}

/// Makes an empty database unless there is one; `true` when this call made it.
fn make(path: &Path, home: &Home) -> Result<bool, StoreError> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let fail = || DiskError::at("make the database", path);
    let staged = os::stage(home.root(), b"").map_err(fail())?;
    let file = staged.as_file().try_clone().map_err(fail())?;
    let initialised = contained(path, || {
        let database = builder().create_file(file)?;
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert(SCHEMA, SCHEMA_VERSION)?;
        tables::make_all(&transaction)?;
        transaction.commit()?;
        Ok(())
    });
    initialised.map_err(|error| error.of(path))?;
    match os::publish(staged, path) {
        Ok(_) => Ok(true),
        // Another process was first.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(DiskError::new("make the database", path, error).into()),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(limits::STORE_CACHE_BYTES);
    builder
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    let damaged = |what: &str| StoreError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let file = os::open_writable(path).map_err(|error| {
        if os::is_link_error(&error) {
            return damaged("it is a symbolic link");
        }
        DiskError::new("open the database", path, error).into()
    })?;
    let meta = file.metadata().map_err(DiskError::at("look at the database", path))?;
    if !meta.is_file() {
        return Err(damaged("it is not a regular file"));
    }
    if meta.len() == 0 {
        // redb would take it for a new one.
        return Err(damaged("it is empty"));
    }
    contained(path, || checked(file, path)).map_err(|error| error.of(path))
}

fn checked(file: File, path: &Path) -> Result<Database, StoreError> {
    let mut database = builder().create_file(file)?;
    if !database.check_integrity()? {
        tracing::warn!(path = %path.display(), "the database was repaired");
    }
    let transaction = database.begin_read()?;
    let found = transaction.open_table(META)?.get(SCHEMA)?.map(|version| version.value());
    transaction.close()?;
    match found {
        Some(SCHEMA_VERSION) => Ok(database),
        Some(found) if found > SCHEMA_VERSION => Err(StoreError::Newer { path: path.to_owned(), found }),
        _ => Err(StoreError::Damaged { path: path.to_owned(), what: "its version is missing".into() }),
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
