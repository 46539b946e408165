//! The directory that a session works in, held open, and the only way from a path to a file.

mod guard;
mod outputs;
mod resolve;
mod view;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, statat};
use sha2::{Digest, Sha256};

pub use guard::Forbidden;
pub(crate) use outputs::Outputs;
pub(crate) use view::{DirAt, FileAt, Opened, Place, View};

use crate::error::{ToolError, shown};
use crate::limits::ANCESTORS_MAX;
use crate::os::Ident;
use crate::path;

/// A directory held open, and what in it is out of reach.
///
/// Everything that the file tools touch is found from this handle, name by name, each opened without following a
/// link; links are read and resolved here, so that nothing outside can be reached, however names are swapped
/// meanwhile. (A resolver of its own rather than a library's, because each step must be compared with the forbidden
/// identities, and because the canonical path of what was opened must be known for the [`crate::PathGate`] without
/// asking the system for it afterwards.)
#[derive(Debug)]
pub struct Workspace {
    root: Arc<OwnedFd>,
    path: PathBuf,
    text: String,
    id: String,
    forbidden: Forbidden,
    outputs: Outputs,
}

impl Workspace {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`ToolError::NotAWorkspace`] when it is not a directory, its path is not UTF-8, it lies in a forbidden
    /// directory, or on `/proc` or `/sys`.
    pub fn open(path: &Path, forbidden: impl Into<Forbidden>) -> Result<Self, ToolError> {
        let forbidden = forbidden.into();
        let refuse = |why: String| ToolError::NotAWorkspace { path: shown(&path.to_string_lossy()), why };
        let real = fs::canonicalize(path).map_err(|error| refuse(error.to_string()))?;
        let text = real.to_str().ok_or_else(|| refuse("its path is not UTF-8".to_owned()))?.to_owned();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, &real, flags, Mode::empty())
            .map_err(|error| refuse(error.to_string()))?;
        if crate::os::is_kernels_own(&root) {
            return Err(refuse("its files are the kernel's own".to_owned()));
        }
        let inside = lies_within(&root, &forbidden).map_err(|error| refuse(error.to_string()))?;
        if inside {
            return Err(refuse("it lies in the node's own directory, which no tool may reach".to_owned()));
        }
        let id = id_of(&text);
        Ok(Self { root: Arc::new(root), path: real, text, id, forbidden, outputs: Outputs::default() })
    }

    /// The [`Workspace::id`] of the directory at `path`, without opening it; `None` when there is none.
    #[must_use]
    pub fn id_at(path: &Path) -> Option<String> {
        let real = fs::canonicalize(path).ok()?;
        real.to_str().map(id_of)
    }

    /// A stable name of this workspace for policies: 32 hex digits, from its canonical path.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its canonical absolute path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The canonical form of a path as asked for: relative, `/` between names, `.` for the workspace. The kept output of
    /// a command has a form that no path in the workspace has, `~/output/NAME`, so that no scope over paths holds it.
    ///
    /// # Errors
    /// [`ToolError::BadPath`] when it cannot name anything in the workspace.
    pub fn canonical(&self, asked: &str) -> Result<String, ToolError> {
        match self.outputs.canonical(asked) {
            Some(output) => Ok(output),
            None => path::canonical(&self.text, asked),
        }
    }

    /// Where the whole outputs of commands are kept.
    pub(crate) fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Whether the directory still is where it was opened; a shell can only be started there by path.
    ///
    /// # Errors
    /// [`ToolError::WorkspaceGone`].
    pub(crate) fn still_there(&self) -> Result<(), ToolError> {
        let gone = || ToolError::WorkspaceGone { path: shown(&self.text) };
        let held = fstat(&*self.root).map_err(|_| gone())?;
        let named = statat(rustix::fs::CWD, &self.path, AtFlags::empty()).map_err(|_| gone())?;
        if Ident::of(&held) == Ident::of(&named) { Ok(()) } else { Err(gone()) }
    }
}

fn id_of(canonical: &str) -> String {
    HEXLOWER.encode(Sha256::digest(canonical.as_bytes()).get(..16).unwrap_or_default())
}

/// Whether a directory or one above it is forbidden, the nearest of its ancestors deciding.
fn lies_within(dir: &OwnedFd, forbidden: &Forbidden) -> io::Result<bool> {
    let guards = forbidden.snapshot()?;
    let flags = crate::os::PASS | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(dir, ".", flags, Mode::empty())?;
    for _ in 0..ANCESTORS_MAX {
        let ident = Ident::of(&fstat(&at)?);
        if guards.is_exception(ident) {
            return Ok(false);
        }
        if guards.holds(false, ident) {
            return Ok(true);
        }
        let parent = openat(&at, "..", flags, Mode::empty())?;
        if Ident::of(&fstat(&parent)?) == ident {
            return Ok(false);
        }
        at = parent;
    }
    Err(io::Error::other("it lies too deep"))
}
