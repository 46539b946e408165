//! The operating system, in the few ways this crate needs it: opening without waiting and without being led away.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt, fs::OpenOptionsExt},
    },
    path::{Component, Path},
};

use rustix::{
    fs::{Dir, Mode, OFlags, openat},
    io::Errno,
};

use crate::limits;

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

/// Opens wherever the path leads; never waits for the far end of a pipe.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, flags(), Mode::empty())?)
}

/// Opens `rel` beneath `base`, name by name, following no link at all: `ELOOP` or `ENOTDIR` when one is in the way.
pub(crate) fn open_beneath(base: &Path, rel: &Path) -> io::Result<OwnedFd> {
    let mut dir = rustix::fs::open(base, flags() | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = rel.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(Errno::INVAL.into()) };
        let last = names.peek().is_none();
        let kind = if last { OFlags::empty() } else { OFlags::DIRECTORY };
        let next = openat(&dir, name, flags() | OFlags::NOFOLLOW | kind, Mode::empty())?;
        dir = next;
    }
    Ok(dir)
}

/// Whether an open met a link, or a link where a directory was to be.
pub(crate) fn is_link_error(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR))
}

/// The names in a directory, sorted; at most [`limits::DIR_ENTRIES`]. Whether there were more.
pub(crate) fn names(dir: &impl AsFd) -> io::Result<(Vec<std::ffi::OsString>, bool)> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == limits::DIR_ENTRIES {
            return Ok((sorted(names), true));
        }
        names.push(std::ffi::OsStr::from_bytes(name).to_owned());
    }
    Ok((sorted(names), false))
}

fn sorted(mut names: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    names.sort_unstable();
    names
}

/// The beginning of a regular file.
#[derive(Debug)]
pub(crate) struct Head {
    /// At most as many bytes as were asked for.
    pub(crate) bytes: Vec<u8>,
    /// The file's size (bytes).
    pub(crate) total: u64,
    /// Device and inode: which file it is.
    pub(crate) id: (u64, u64),
}

impl Head {
    /// Whether that is all of it.
    pub(crate) fn is_whole(&self) -> bool {
        u64::try_from(self.bytes.len()).is_ok_and(|read| read >= self.total)
    }
}

/// Reads at most `limit` bytes of a regular file; `InvalidInput` for anything else.
pub(crate) fn read_head(fd: OwnedFd, limit: usize) -> io::Result<Head> {
    let file = File::from(fd);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let id = (meta.dev(), meta.ino());
    let mut bytes = Vec::new();
    // One more than is wanted: a file that grows while it is read is longer than its size said.
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let total = meta.len().max(read);
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Head { bytes, total, id })
}

/// Opens a private file for a lock, making it when there is none.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let extra = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(limits::FILE_MODE);
    let file = options.custom_flags(extra.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// The user this process acts as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}
