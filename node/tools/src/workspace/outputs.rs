//! The whole output of long commands: files outside of the workspace that `read` and `grep` may open all the same.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use tempfile::TempDir;

use crate::path;

/// The directory of canonical paths of outputs. No path asked for may begin with `~`, so nothing else is called so.
const DIR: &str = "~/output";

/// A directory of outputs, made at the first that is too long and removed with the workspace.
#[derive(Debug, Default)]
pub(crate) struct Outputs(OnceLock<TempDir>);

impl Outputs {
    /// Makes a new file for an output.
    pub(crate) fn create(&self, parent: Option<&Path>) -> io::Result<(File, PathBuf)> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if self.0.get().is_none() {
            let mut builder = tempfile::Builder::new();
            builder.prefix("clankers-output-");
            // Private to the user (0700): output can hold anything.
            let made = match parent {
                Some(parent) => builder.tempdir_in(parent)?,
                None => builder.tempdir()?,
            };
            // Another call may have been first; then this one is removed again.
            let _ = self.0.set(made);
        }
        let dir = self.0.get().ok_or(io::ErrorKind::NotFound)?;
        let path = dir.path().join(format!("bash-{}.log", NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok((file, path))
    }

    /// The canonical path of an output that was asked for by the path that an answer named.
    pub(super) fn canonical(&self, asked: &str) -> Option<String> {
        let dir = self.0.get()?.path().to_str()?;
        let name = asked.strip_prefix(dir)?.strip_prefix('/')?;
        let number = name.strip_prefix("bash-")?.strip_suffix(".log")?;
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| path::join(DIR, name))
    }

    /// The directory, and the name in it, of an output's canonical path; `None` for any other path.
    pub(super) fn find<'p>(&self, canonical: &'p str) -> Option<(io::Result<OwnedFd>, &'p str)> {
        let name = canonical.strip_prefix(DIR)?.strip_prefix('/')?;
        let flags = crate::os::PASS | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(CWD, self.0.get()?.path(), flags, Mode::empty());
        Some((dir.map_err(io::Error::from), name))
    }

    /// The directory of outputs in canonical paths.
    pub(super) fn dir() -> &'static str {
        DIR
    }
}
