//! One call's view of the workspace: nothing is opened past its gate or its guards.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, statat};
use rustix::io::Errno;

use super::guard::Guards;
use super::resolve::{self, Found, Level};
use super::{Outputs, Workspace};
use crate::error::{ToolError, shown};
use crate::gate::PathGate;
use crate::limits::SWAPS_MAX;
use crate::os::{self, Ident};
use crate::path;

/// The workspace as one call may see it.
pub(crate) struct View {
    workspace: Arc<Workspace>,
    guards: Guards,
    gate: Arc<dyn PathGate>,
}

/// A directory open for listing.
#[derive(Debug, Clone)]
pub(crate) struct DirAt {
    /// Shared by every entry of a walk.
    level: Arc<Level>,
}

/// A regular file open for reading.
#[derive(Debug)]
pub(crate) struct FileAt {
    pub(crate) file: File,
    /// Its canonical path.
    pub(crate) path: String,
    pub(crate) stat: Stat,
}

/// Where a file is or would be: the deepest directory there is, held open, and the names from there on.
#[derive(Debug)]
pub(crate) struct Place {
    parent: Level,
    missing: Vec<String>,
    /// The file's own name.
    pub(crate) name: String,
    /// Its canonical path.
    pub(crate) path: String,
    /// What is there now, if anything.
    pub(crate) stat: Option<Stat>,
}

impl Place {
    /// What tells this place from any other, whatever name was used: its directory's identity and its name there.
    pub(crate) fn key(&self) -> (Option<Ident>, String) {
        let ident = fstat(&*self.parent.fd).ok().map(|stat| Ident::of(&stat));
        (ident, path::join(&self.missing.join("/"), &self.name))
    }
}

impl View {
    /// A view for one call.
    pub(crate) fn new(workspace: Arc<Workspace>, gate: Arc<dyn PathGate>) -> Result<Self, ToolError> {
        let guards = workspace
            .forbidden
            .snapshot()
            .map_err(|error| ToolError::io("look at the node's own directory", "the workspace", error))?;
        Ok(Self { workspace, guards, gate })
    }

    /// Whether the gate lets the caller reach a canonical path.
    pub(crate) fn allows(&self, canonical: &str) -> bool {
        self.gate.allow(canonical)
    }

    /// Resolves `asked` and has its real path allowed. Also what does not exist is asked about first, so that a link
    /// cannot be used to find out which names exist outside the caller's scope.
    fn find(&self, asked: &str) -> Result<Found, ToolError> {
        let canonical = self.workspace.canonical(asked)?;
        if self.workspace.outputs.find(&canonical).is_some() {
            let why = "it is the kept output of a command; read and grep open it, nothing else does";
            return Err(ToolError::BadPath { path: shown(asked), why });
        }
        let found = resolve::resolve(&self.workspace, &self.guards, &canonical)?;
        let (Found::Dir(level) | Found::Leaf { parent: level, .. } | Found::Missing { parent: level, .. }) =
            &found;
        if level.guarded {
            return Err(ToolError::Guarded { path: shown(asked) });
        }
        if !self.gate.allow(&found.path()) {
            return Err(ToolError::Denied { path: shown(asked) });
        }
        Ok(found)
    }

    /// Opens a directory for listing.
    pub(crate) fn open_dir(&self, asked: &str) -> Result<DirAt, ToolError> {
        match self.open(asked)? {
            Opened::Dir(dir) => Ok(dir),
            Opened::File(_) => Err(ToolError::NotDirectory { path: shown(asked) }),
        }
    }

    /// Opens a regular file for reading.
    pub(crate) fn open_file(&self, asked: &str) -> Result<FileAt, ToolError> {
        match self.open(asked)? {
            Opened::File(file) => Ok(file),
            Opened::Dir(_) => Err(ToolError::IsDirectory { path: shown(asked) }),
        }
    }

    /// Opens whatever of the two is there.
    pub(crate) fn open(&self, asked: &str) -> Result<Opened, ToolError> {
        if let Some(output) = self.output(asked)? {
            return Ok(Opened::File(output));
        }
        for _ in 0..SWAPS_MAX {
            match self.find(asked)? {
                Found::Missing { .. } => return Err(self.gone_or(ToolError::NotFound { path: shown(asked) })),
                Found::Dir(level) => return self.listable(level, asked).map(Opened::Dir),
                Found::Leaf { parent, name, stat } => {
                    let kind = os::file_type(&stat);
                    if kind != FileType::RegularFile {
                        // Not even opened: opening a FIFO or a device can block, or do something.
                        return Err(ToolError::NotRegular { path: shown(asked), kind: os::kind_name(kind) });
                    }
                    if let Some(file) = self.file_at(&parent, &name)? {
                        return Ok(Opened::File(file));
                    }
                }
            }
        }
        Err(ToolError::Unsteady { path: shown(asked) })
    }

    /// Opens the kept output of a command, when `asked` names one.
    fn output(&self, asked: &str) -> Result<Option<FileAt>, ToolError> {
        let canonical = self.workspace.canonical(asked)?;
        let Some((dir, name)) = self.workspace.outputs.find(&canonical) else { return Ok(None) };
        if !self.gate.allow(&canonical) {
            return Err(ToolError::Denied { path: shown(asked) });
        }
        let dir = dir.map_err(|error| ToolError::io("open", asked, error))?;
        let path = Outputs::dir().to_owned();
        let parent = Level { fd: Arc::new(dir), path, guarded: false, dev: 0 };
        match self.file_at(&parent, name)? {
            Some(file) => Ok(Some(file)),
            None => Err(ToolError::NotFound { path: shown(asked) }),
        }
    }

    fn listable(&self, level: Level, asked: &str) -> Result<DirAt, ToolError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(&*level.fd, ".", flags, Mode::empty())
            .map_err(|error| ToolError::io("open", asked, error))?;
        Ok(DirAt { level: Arc::new(Level { fd: Arc::new(fd), ..level }) })
    }

    /// Opens the regular file `name` in `parent`, following nothing; `None` when the name was swapped for a link.
    /// The caller has had the path allowed.
    fn file_at(&self, parent: &Level, name: &str) -> Result<Option<FileAt>, ToolError> {
        let path = path::join(&parent.path, name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match openat(&*parent.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::MLINK | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(ToolError::io("open", &path, error)),
        };
        let stat = fstat(&fd).map_err(|error| ToolError::io("look at", &path, error))?;
        let kind = os::file_type(&stat);
        if kind != FileType::RegularFile {
            return Err(ToolError::NotRegular { path: shown(&path), kind: os::kind_name(kind) });
        }
        self.check_file(parent, &stat, &path)?;
        Ok(Some(FileAt { file: File::from(fd), path, stat }))
    }

    fn check_file(&self, parent: &Level, stat: &Stat, path: &str) -> Result<(), ToolError> {
        let ident = Ident::of(stat);
        if self.guards.holds(parent.guarded, ident)
            || (os::has_other_names(stat) && self.guards.holds_linked(ident))
        {
            return Err(ToolError::Guarded { path: shown(path) });
        }
        Ok(())
    }

    /// Where the file `asked` is or would be.
    pub(crate) fn place(&self, asked: &str) -> Result<Place, ToolError> {
        let found = self.find(asked)?;
        let path = found.path();
        match found {
            Found::Dir(_) => Err(ToolError::IsDirectory { path: shown(asked) }),
            Found::Leaf { parent, name, stat } => {
                let kind = os::file_type(&stat);
                if kind != FileType::RegularFile {
                    return Err(ToolError::NotRegular { path: shown(asked), kind: os::kind_name(kind) });
                }
                self.check_file(&parent, &stat, &path)?;
                Ok(Place { parent, missing: Vec::new(), name, path, stat: Some(stat) })
            }
            Found::Missing { parent, mut rest } => {
                let name = rest.pop().ok_or_else(|| ToolError::IsDirectory { path: shown(asked) })?;
                Ok(Place { parent, missing: rest, name, path, stat: None })
            }
        }
    }

    /// The directory of a place, its missing parents made. A name that appears meanwhile is used when it is a
    /// directory, and refused when it is a link.
    pub(crate) fn make_parents(&self, place: &Place) -> Result<Arc<OwnedFd>, ToolError> {
        let mut at = place.parent.clone();
        for name in &place.missing {
            let path = path::join(&at.path, name);
            match mkdirat(&*at.fd, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(self.gone_or(ToolError::io("make the directory", &path, error))),
            }
            at = resolve::enter(&self.guards, &at, name, os::PASS)
                .map_err(|error| ToolError::io("open", &path, error))?
                .ok_or_else(|| ToolError::Unsteady { path: shown(&path) })?;
            if at.guarded {
                return Err(ToolError::Guarded { path: shown(&path) });
            }
        }
        Ok(at.fd)
    }

    /// Whether a directory on the way to the place is a git directory, or would be with this file in it: gitrepository-layout(5).
    pub(crate) fn in_bare_repository(&self, place: &Place) -> bool {
        let Ok(mut at) = resolve::root(&self.workspace, &self.guards, path::ROOT) else { return true };
        for name in place.path.split('/') {
            let lower = name.to_lowercase();
            let has = |file: &str| {
                lower == file.to_lowercase() || statat(&*at.fd, file, AtFlags::SYMLINK_NOFOLLOW).is_ok()
            };
            if has("HEAD") && (has("commondir") || (has("objects") && has("refs"))) {
                return true;
            }
            match resolve::enter(&self.guards, &at, name, os::PASS) {
                Ok(Some(next)) => at = next,
                // From here on there is nothing yet, and one new name makes no repository.
                _ => return false,
            }
        }
        false
    }

    /// What stands at `name` in a directory that [`View::make_parents`] gave.
    pub(crate) fn stat_in(dir: &OwnedFd, name: &str) -> Result<Option<Stat>, Errno> {
        match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `error`, unless the reason is that the whole workspace is gone.
    pub(crate) fn gone_or(&self, error: ToolError) -> ToolError {
        let root = fstat(&*self.workspace.root);
        match root {
            Ok(stat) if stat.st_nlink > 0 => error,
            _ => ToolError::WorkspaceGone { path: shown(&self.workspace.text) },
        }
    }

    // What a walk needs: it holds directories open and goes from each to its entries.

    /// The directory `name` in `dir`, for listing; `None` when it is none (any more) or out of reach for all tools.
    pub(crate) fn enter(&self, dir: &DirAt, name: &str) -> Result<Option<DirAt>, Errno> {
        let level = resolve::enter(&self.guards, &dir.level, name, OFlags::RDONLY)?;
        Ok(level.filter(|level| !level.guarded).map(|level| DirAt { level: Arc::new(level) }))
    }

    /// The workspace itself, whether or not the gate allows it: to look for ignore files.
    pub(crate) fn root_dir(&self) -> Option<DirAt> {
        match resolve::resolve(&self.workspace, &self.guards, path::ROOT).ok()? {
            Found::Dir(level) if !level.guarded => self.listable(level, path::ROOT).ok(),
            _ => None,
        }
    }

    /// The regular file `name` in `dir` without asking the gate: for ignore files, of which nothing is shown.
    pub(crate) fn file_unasked(&self, dir: &DirAt, name: &str) -> Option<File> {
        self.file_at(&dir.level, name).ok().flatten().map(|file| file.file)
    }

    /// The regular file `name` in `dir`, when the gate allows it.
    pub(crate) fn file_in(&self, dir: &DirAt, name: &str) -> Result<FileAt, ToolError> {
        let path = path::join(&dir.level.path, name);
        if !self.gate.allow(&path) {
            return Err(ToolError::Denied { path: shown(&path) });
        }
        self.file_at(&dir.level, name)?.ok_or_else(|| ToolError::Unsteady { path: shown(&path) })
    }
}

/// What a path led to.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A directory.
    Dir(DirAt),
    /// A regular file.
    File(FileAt),
}

impl DirAt {
    /// Its canonical path.
    pub(crate) fn path(&self) -> &str {
        &self.level.path
    }

    /// Its handle.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.level.fd
    }
}
