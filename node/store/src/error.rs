//! What the disk says, in words: one classification for the whole crate.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What kind of trouble a disk operation met; decides the hint, and what the caller may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    /// No space or quota is left, or a file size limit was met. Reading goes on; writing works again when there is space.
    Full,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The user may not do this.
    Permission,
    /// The file or directory is not there.
    Missing,
    /// Too many open files in this process or system.
    Descriptors,
    /// Anything else: a failing disk, most likely.
    Failing,
}

impl DiskKind {
    /// The kind of an operating-system error.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::Full,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::ACCESS | Errno::PERM) => Self::Permission,
            Some(Errno::NOENT) => Self::Missing,
            Some(Errno::MFILE | Errno::NFILE) => Self::Descriptors,
            // A write that took nothing: what `write_all` says of a full device that reports no error.
            None if error.kind() == io::ErrorKind::WriteZero => Self::Full,
            _ => Self::Failing,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Full => {
                "free some space (or raise the quota) and try again; nothing that was acknowledged is lost"
            }
            Self::ReadOnly => "the file system is read-only: choose another home with --home, or remount it",
            Self::Permission => "check who owns it and its permissions, or choose another home with --home",
            Self::Missing => "it may have been moved or deleted; check the path",
            Self::Descriptors => "too many files are open: close some programs or raise `ulimit -n`",
            Self::Failing => "check the disk and the system's log",
        }
    }
}

/// A disk operation failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}: {source}; {}", path.display(), kind.hint())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What kind of trouble.
    pub kind: DiskKind,
    /// What the operating system said.
    pub source: io::Error,
}

impl DiskError {
    /// An error of doing `action` to `path`.
    #[must_use]
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), kind: DiskKind::of(&source), source }
    }

    /// For `map_err`.
    pub(crate) fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::new(action, path, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_hints() {
        use rustix::io::Errno;
        for (errno, kind) in [
            (Errno::NOSPC, DiskKind::Full),
            (Errno::DQUOT, DiskKind::Full),
            (Errno::FBIG, DiskKind::Full),
            (Errno::ROFS, DiskKind::ReadOnly),
            (Errno::ACCESS, DiskKind::Permission),
            (Errno::NOENT, DiskKind::Missing),
            (Errno::IO, DiskKind::Failing),
        ] {
            let error = DiskError::new("write", Path::new("/x/y"), errno.into());
            assert_eq!(error.kind, kind);
            let text = error.to_string();
            assert!(text.starts_with("could not write /x/y: ") && text.ends_with(kind.hint()), "{text}");
        }
    }
}
