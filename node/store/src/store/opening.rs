//! Making and opening the database's file.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use redb::{Builder, Database, ReadableDatabase};

use super::{
    StoreError, migrate,
    tables::{self, META, SCHEMA, SCHEMA_VERSION},
};
use crate::{DiskError, Home, limits, os};

/// Runs what may meet a damaged page: redb panics on some of them.
pub(super) fn contained<T>(
    path: &Path,
    act: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            what: "the database's pages contradict each other".into(),
        })
    })
}

/// Makes an empty database unless there is one; `true` when this call made it.
pub(super) fn make(path: &Path, home: &Home) -> Result<bool, StoreError> {
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

pub(super) fn open_database(path: &Path) -> Result<Database, StoreError> {
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
        Some(found @ 1..SCHEMA_VERSION) => migrate::migrate(database, found),
        Some(found) if found > SCHEMA_VERSION => Err(StoreError::Newer { path: path.to_owned(), found }),
        _ => Err(StoreError::Damaged { path: path.to_owned(), what: "its version is missing".into() }),
    }
}
