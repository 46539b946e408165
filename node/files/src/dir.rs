//! Directories held open, and the only way from a path to a file: name by name, never through a link.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir as Listing, FileType, OFlags, Stat},
    io::Errno,
};

use crate::{limits, os};

/// A directory held open.
#[derive(Debug, Clone)]
pub(crate) struct Dir(Arc<OwnedFd>);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// In the names of directories that are being removed, between what is removed and a number.
const REMOVED: &str = ".removed-";
const DIR_FLAGS: OFlags = os::PLAIN.union(OFlags::RDONLY).union(OFlags::DIRECTORY);

impl Dir {
    /// Opens the directory at a path that the user gave; links in it are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        Ok(Self(Arc::new(fd)))
    }

    /// Opens the directory of that name in this one; a link is an error.
    pub(crate) fn sub(&self, name: impl rustix::path::Arg) -> io::Result<Self> {
        let fd = rustix::fs::openat(&self.0, name, DIR_FLAGS, rustix::fs::Mode::empty())?;
        Ok(Self(Arc::new(fd)))
    }

    /// Makes the directory of that name when there is none, and opens it; says whether it was made.
    pub(crate) fn sub_or_make(&self, name: &str) -> io::Result<(Self, bool)> {
        match self.sub(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(|dir| (dir, false)),
        }
        match rustix::fs::mkdirat(&self.0, name, os::mode(limits::DIR_MODE)) {
            Ok(()) => self.sub(name).map(|dir| (dir, true)),
            Err(Errno::EXIST) => self.sub(name).map(|dir| (dir, false)),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens something in this directory with these flags, never through a link.
    pub(crate) fn file(&self, name: &str, flags: OFlags, mode: u32) -> io::Result<File> {
        let fd = rustix::fs::openat(&self.0, name, os::PLAIN | flags, os::mode(mode))?;
        Ok(File::from(fd))
    }

    /// The same as [`Dir::sub`], through a link: the caller compares what was opened with what it meant.
    pub(crate) fn sub_through_link(&self, name: &str) -> io::Result<Self> {
        let flags = DIR_FLAGS.difference(OFlags::NOFOLLOW);
        let fd = rustix::fs::openat(&self.0, name, flags, rustix::fs::Mode::empty())?;
        Ok(Self(Arc::new(fd)))
    }

    /// The same for reading a file.
    pub(crate) fn file_through_link(&self, name: &str) -> io::Result<File> {
        let flags = os::PLAIN.difference(OFlags::NOFOLLOW) | OFlags::RDONLY;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, rustix::fs::Mode::empty())?))
    }

    /// What has that name, a link itself and not what it points to; `None` when nothing has.
    pub(crate) fn look(&self, name: &str) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name that is not a directory; one that is not there is fine.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty directory; one that is not there is fine.
    pub(crate) fn rmdir(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in it with what they are, unsorted; `.` and `..` left out. Names that are not UTF-8 come as bytes.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<(Vec<u8>, FileType)>> + use<>> {
        let listing = Listing::read_from(&self.0)?;
        Ok(listing.filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                (name != b"." && name != b"..").then(|| Ok((name.to_vec(), entry.file_type())))
            }
            Err(error) => Some(Err(error.into())),
        }))
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        rustix::fs::fsync(&self.0)?;
        Ok(())
    }

    /// What it is itself.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.0)?)
    }

    /// Sets permission bits and modification time (nanoseconds since 1970).
    pub(crate) fn dress(&self, mode: u32, mtime_ns: i64) -> io::Result<()> {
        rustix::fs::futimens(&self.0, &os::mtime(mtime_ns))?;
        rustix::fs::fchmod(&self.0, os::mode(mode))?;
        Ok(())
    }

    /// Removes everything of that name, however deep; what is not there is fine. Never leaves the directory.
    ///
    /// A directory in a directory is first moved up beside its parent, under a name of its own: so depth costs neither
    /// descriptors nor stack. A kill leaves such names behind: [`Self::finish_removals`].
    pub(crate) fn remove_tree(&self, name: &str) -> io::Result<()> {
        match self.unlink(name) {
            Err(error) if is_dir_error(&error) => {}
            done => return done,
        }
        let mut waiting = vec![name.to_owned()];
        let mut moved = 0_u64;
        while let Some(at) = waiting.pop() {
            let dir = match self.sub(at.as_str()) {
                Ok(dir) => dir,
                Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                    rustix::fs::chmodat(&self.0, at.as_str(), os::mode(limits::DIR_MODE), AtFlags::empty())?;
                    self.sub(at.as_str())?
                }
                Err(error) => return Err(error),
            };
            rustix::fs::fchmod(&dir, os::mode(limits::DIR_MODE))?;
            for entry in dir.names()? {
                let (entry, kind) = entry?;
                if kind != FileType::Directory {
                    match rustix::fs::unlinkat(&dir, entry.as_slice(), AtFlags::empty()) {
                        Ok(()) | Err(Errno::NOENT) => continue,
                        Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                let up = loop {
                    moved = moved.saturating_add(1);
                    let up = format!("{name}{REMOVED}{moved}");
                    if self.look(&up)?.is_none() {
                        break up;
                    }
                };
                // A directory that may not be written cannot be moved.
                if let Ok(child) = dir.sub(entry.as_slice()) {
                    rustix::fs::fchmod(&child, os::mode(limits::DIR_MODE))?;
                }
                rustix::fs::renameat(&dir, entry.as_slice(), &self.0, up.as_str())?;
                waiting.push(up);
            }
            self.rmdir(&at)?;
        }
        Ok(())
    }

    /// Removes what removals left that a kill cut short. The caller sees to it that none is under way.
    pub(crate) fn finish_removals(&self) -> io::Result<()> {
        let mut left = Vec::new();
        for entry in self.names()? {
            let (name, _) = entry?;
            left.extend(String::from_utf8(name).ok().filter(|name| name.contains(REMOVED)));
        }
        left.iter().try_for_each(|name| self.remove_tree(name))
    }
}

/// Whether `unlink` failed because the name is a directory's.
fn is_dir_error(error: &io::Error) -> bool {
    // Linux says the first, macOS the second.
    matches!(Errno::from_io_error(error), Some(Errno::ISDIR | Errno::PERM))
}

/// Directories beneath one, found by relative path and kept open, the ones used last.
#[derive(Debug)]
pub(crate) struct Dirs {
    root: Dir,
    /// The one used last is at the end.
    open: Vec<(String, Dir)>,
}

impl Dirs {
    pub(crate) fn new(root: Dir) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The directory in which the last name of `path` stands, and that name.
    pub(crate) fn parent<'p>(&mut self, path: &'p str, make: bool) -> io::Result<(Dir, &'p str)> {
        match path.rsplit_once('/') {
            Some((parent, name)) => Ok((self.dir(parent, make)?, name)),
            None => Ok((self.root.clone(), path)),
        }
    }

    /// The directory of that path; with `make`, it and those above it are made (private) when missing.
    pub(crate) fn dir(&mut self, path: &str, make: bool) -> io::Result<Dir> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some(found) = self.kept(path) {
            return Ok(found);
        }
        // The nearest one above that is open; from there downwards.
        let mut above = path;
        let mut dir = loop {
            let Some((shorter, _)) = above.rsplit_once('/') else {
                above = "";
                break self.root.clone();
            };
            above = shorter;
            if let Some(found) = self.kept(above) {
                break found;
            }
        };
        // Those on the way are kept too: who comes from below asks for them next.
        let mut end = above.len();
        for name in path.get(end..).unwrap_or_default().split('/').filter(|name| !name.is_empty()) {
            dir = if make { dir.sub_or_make(name)?.0 } else { dir.sub(name)? };
            end = end.saturating_add(usize::from(end > 0)).saturating_add(name.len());
            if self.open.len() >= limits::OPEN_DIRS {
                self.open.remove(0);
            }
            self.open.push((path.get(..end).unwrap_or(path).to_owned(), dir.clone()));
        }
        Ok(dir)
    }

    fn kept(&mut self, path: &str) -> Option<Dir> {
        let at = self.open.iter().rposition(|(known, _)| known == path)?;
        let found = self.open.get(at)?.1.clone();
        if at + 1 < self.open.len() {
            let entry = self.open.remove(at);
            self.open.push(entry);
        }
        Some(found)
    }

    /// Forgets what is open: names may have moved.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}
