//! Why the database cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::DiskError;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by another process: the node of this home, or a command that is just ending; try again, or \
             choose another home with --home", .0.display())]
    Held(PathBuf),
    /// It was written by a later version.
    #[error("{} has format {found}, this version knows {}; use the version that wrote it", path.display(),
        super::tables::SCHEMA_VERSION)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// It is damaged. It was not replaced.
    #[error("{} is damaged: {what}. It was left as it is: move it away, and the next start makes it again from the \
             session logs and auth.log (labels and addresses of peers are lost)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A limit is reached.
    #[error("{what}: at most {limit} are kept; {hint}")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many (count) or how long (bytes).
        limit: u64,
        /// What to do.
        hint: &'static str,
    },
    /// Trouble with the disk; the change was not made.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl StoreError {
    /// The same with the file's name, which redb's errors do not carry.
    pub(super) fn of(self, file: &Path) -> Self {
        match self {
            Self::Held(path) if path.as_os_str().is_empty() => Self::Held(file.to_owned()),
            Self::Damaged { path, what } if path.as_os_str().is_empty() => {
                Self::Damaged { path: file.to_owned(), what }
            }
            Self::Disk(mut error) if error.path.as_os_str().is_empty() => {
                file.clone_into(&mut error.path);
                Self::Disk(error)
            }
            other => other,
        }
    }

    /// A value that does not match its checksum or its form.
    pub(crate) fn bad_value(what: &str) -> Self {
        Self::Damaged { path: PathBuf::new(), what: what.to_owned() }
    }
}

fn from_redb(error: redb::Error) -> StoreError {
    use redb::Error as E;
    let nowhere = PathBuf::new;
    let disk = |source| StoreError::Disk(DiskError::new("use the database", Path::new(""), source));
    match error {
        E::DatabaseAlreadyOpen => StoreError::Held(nowhere()),
        E::Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            StoreError::Damaged { path: nowhere(), what: error.to_string() }
        }
        E::Io(error) => disk(error),
        E::PreviousIo => disk(io::Error::other("an earlier write failed")),
        other => StoreError::Damaged { path: nowhere(), what: other.to_string() },
    }
}

macro_rules! from_redb {
    ($($kind:ident)*) => {$(
        impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> Self {
                from_redb(error.into())
            }
        }
    )*};
}

from_redb!(Error DatabaseError TransactionError TableError StorageError CommitError);
