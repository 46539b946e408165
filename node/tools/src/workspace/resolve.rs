//! From a canonical path to a handle, one name at a time.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::Workspace;
use super::guard::Guards;
use crate::error::{ToolError, shown};
use crate::limits::{LINK_BYTES_MAX, LINKS_MAX, PATH_DEPTH_MAX, PENDING_NAMES_MAX, SWAPS_MAX};
use crate::os::{self, Ident};
use crate::path;

/// An open directory on the way, with its canonical path.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) path: String,
    pub(crate) guarded: bool,
    pub(crate) dev: u64,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A directory.
    Dir(Level),
    /// Something else that is not a link, in this directory. The `stat` is a hint: whoever opens it looks again.
    Leaf { parent: Level, name: String, stat: Stat },
    /// Nothing: the deepest directory there is, and the names from there on.
    Missing { parent: Level, rest: Vec<String> },
}

impl Found {
    /// The canonical path.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Dir(level) => level.path.clone(),
            Self::Leaf { parent, name, .. } => path::join(&parent.path, name),
            Self::Missing { parent, rest } => path::join(&parent.path, &rest.join("/")),
        }
    }
}

/// Follows `asked` (canonical) from the workspace's root.
pub(super) fn resolve(workspace: &Workspace, guards: &Guards, asked: &str) -> Result<Found, ToolError> {
    Walk { workspace, guards, asked, stack: vec![root(workspace, guards, asked)?], links: 0, swaps: 0 }.run()
}

/// The workspace's own level.
pub(super) fn root(workspace: &Workspace, guards: &Guards, asked: &str) -> Result<Level, ToolError> {
    let stat = fstat(&*workspace.root).map_err(|error| ToolError::io("look at", asked, error))?;
    let ident = Ident::of(&stat);
    let guarded = guards.holds(false, ident);
    Ok(Level { fd: workspace.root.clone(), path: path::ROOT.to_owned(), guarded, dev: ident.dev })
}

struct Walk<'a> {
    workspace: &'a Workspace,
    guards: &'a Guards,
    asked: &'a str,
    /// From the workspace to where the walk is; never empty, and never popped below the workspace.
    stack: Vec<Level>,
    links: usize,
    swaps: usize,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Found, ToolError> {
        let mut pending: VecDeque<String> = self.asked.split('/').map(str::to_owned).collect();
        while let Some(name) = pending.pop_front() {
            match name.as_str() {
                "" | "." => continue,
                // Only a link's target can hold this. The stack knows the parent; the disk is not asked.
                ".." => {
                    if self.stack.len() == 1 {
                        return Err(ToolError::Escapes { path: self.shown() });
                    }
                    self.stack.pop();
                    continue;
                }
                _ => {}
            }
            let here = self.here()?;
            let stat = match statat(&*here.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return self.missing(here, name, pending),
                Err(error) => return Err(ToolError::io("look at", self.asked, error)),
            };
            match os::file_type(&stat) {
                FileType::Symlink => self.follow(&here, name, &mut pending)?,
                FileType::Directory => match self.enter(&here, &name)? {
                    Some(level) if self.stack.len() <= PATH_DEPTH_MAX => self.stack.push(level),
                    Some(_) => {
                        return Err(ToolError::BadPath {
                            path: self.shown(),
                            why: "it is more than 128 names deep",
                        });
                    }
                    None => self.again(name, &mut pending)?,
                },
                _ if pending.iter().all(|rest| rest.is_empty() || rest == ".") => {
                    return Ok(Found::Leaf { parent: here, name, stat });
                }
                _ => return Err(ToolError::NotDirectory { path: self.shown() }),
            }
        }
        Ok(Found::Dir(self.here()?))
    }

    fn here(&self) -> Result<Level, ToolError> {
        self.stack.last().cloned().ok_or_else(|| ToolError::Escapes { path: self.shown() })
    }

    fn shown(&self) -> String {
        shown(self.asked)
    }

    fn missing(&self, parent: Level, name: String, pending: VecDeque<String>) -> Result<Found, ToolError> {
        let rest: Vec<String> =
            std::iter::once(name).chain(pending).filter(|name| !name.is_empty() && name != ".").collect();
        // `missing/../x` in a link's target means nothing until `missing` exists.
        if rest.iter().any(|name| name == "..") {
            return Err(ToolError::NotFound { path: self.shown() });
        }
        Ok(Found::Missing { parent, rest })
    }

    /// The directory `name`, or `None` when it is not a directory any more.
    fn enter(&self, here: &Level, name: &str) -> Result<Option<Level>, ToolError> {
        enter(self.guards, here, name, os::PASS).map_err(|error| ToolError::io("open", self.asked, error))
    }

    fn follow(
        &mut self,
        here: &Level,
        name: String,
        pending: &mut VecDeque<String>,
    ) -> Result<(), ToolError> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(ToolError::LinkLoop { path: self.shown() });
        }
        let target = match readlinkat(&*here.fd, &name, Vec::new()) {
            Ok(target) => target,
            Err(Errno::INVAL | Errno::NOENT) => return self.again(name, pending),
            Err(error) => return Err(ToolError::io("read the link at", self.asked, error)),
        };
        let target = target.to_str().map_err(|_| ToolError::NotUtf8 { path: self.shown() })?;
        if target.len() > LINK_BYTES_MAX {
            return Err(ToolError::Escapes { path: self.shown() });
        }
        let relative = if target.starts_with('/') {
            self.stack.truncate(1);
            path::beneath(&self.workspace.text, target)
                .ok_or_else(|| ToolError::Escapes { path: self.shown() })?
        } else {
            target
        };
        for name in relative.split('/').rev() {
            pending.push_front(name.to_owned());
        }
        if pending.len() > PENDING_NAMES_MAX {
            return Err(ToolError::LinkLoop { path: self.shown() });
        }
        Ok(())
    }

    /// The entry is not what it was a moment ago: look again, a few times.
    fn again(&mut self, name: String, pending: &mut VecDeque<String>) -> Result<(), ToolError> {
        self.swaps += 1;
        if self.swaps > SWAPS_MAX {
            return Err(ToolError::Unsteady { path: self.shown() });
        }
        pending.push_front(name);
        Ok(())
    }
}

/// Opens the directory `name` in `here`, following nothing; `None` when it is no directory (any more).
pub(super) fn enter(guards: &Guards, here: &Level, name: &str, how: OFlags) -> Result<Option<Level>, Errno> {
    let flags = how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match openat(&*here.fd, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::LOOP | Errno::NOTDIR | Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let ident = Ident::of(&fstat(&fd)?);
    let guarded = guards.holds(here.guarded, ident) || (ident.dev != here.dev && os::is_kernels_own(&fd));
    Ok(Some(Level { fd: Arc::new(fd), path: path::join(&here.path, name), guarded, dev: ident.dev }))
}
