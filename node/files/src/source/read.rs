//! Reading what was listed, and noticing when it is something else now.

use std::{
    fs::File,
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clankers_protocol::{request::transfer::EntryKind, transfer::tree};
use rustix::{buffer::spare_capacity, fs::OFlags};

use super::{Kept, Source, walk::open_dir};
use crate::{
    dir::Dir,
    error::{FilesError, Result, Trouble},
    limits,
    os::Stamp,
};

/// A file of a source, open for reading.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    stamp: Stamp,
    path: String,
}

impl Source {
    /// Opens a file that was listed.
    ///
    /// # Errors
    /// `Changed` when it is not what was listed (another file, size or time), `Vanished`, `Unreadable`, `NoSuch` when the
    /// number is not a file's, `Io`.
    pub fn open_file(&self, index: u32) -> Result<SourceFile> {
        let kept = self.kept(index).filter(|kept| kept.kind == EntryKind::File);
        let kept = kept.ok_or_else(|| {
            FilesError::new(Trouble::NoSuch, "read a file of", self.name(), "it has no file of that number")
        })?;
        let failed = |e: io::Error| FilesError::reading("open", &self.path(index), &e);
        let parent = self.dir(if index == 0 { None } else { Some(kept.parent) }).map_err(failed)?;
        let name = kept.disk_name();
        let file =
            if kept.linked { parent.file_through_link(name) } else { parent.file(name, OFlags::RDONLY, 0) };
        let file = file.map_err(failed)?;
        let mut stamp = stamp_of(&file).map_err(failed)?;
        if is_fresh(&stamp) {
            std::thread::sleep(Duration::from_millis(limits::RACY_MS));
            stamp = stamp_of(&file).map_err(failed)?;
        }
        let opened = SourceFile { file, stamp, path: String::new() };
        if (stamp.ident, stamp.size, stamp.mtime_ns) != (kept.ident, kept.size, kept.mtime_ns) {
            return Err(SourceFile { path: self.path(index), ..opened }.changed());
        }
        Ok(SourceFile { path: self.path(index), ..opened })
    }

    /// Reads a whole file of at most one block, adding it to `into`: opened, read, compared, closed. On an error nothing
    /// is added.
    ///
    /// # Errors
    /// As [`Source::open_file`] and [`SourceFile::read_block`]; `NoSuch` for a larger file.
    pub fn read_small(&self, index: u32, into: &mut Vec<u8>) -> Result<()> {
        let file = self.open_file(index)?;
        if file.stamp.size > limits::BLOCK {
            return Err(FilesError::new(
                Trouble::NoSuch,
                "read at once",
                &file.path,
                "it has several blocks",
            ));
        }
        let before = into.len();
        file.append(0, file.stamp.size, into).inspect_err(|_| into.truncate(before))
    }

    /// The directory of that number, `None` the one in which the root stands.
    fn dir(&self, index: Option<u32>) -> io::Result<Dir> {
        let Some(index) = index else { return Ok(self.base.clone()) };
        let mut open = self.open();
        // From the directory upwards until one is open, then down again.
        let mut way: Vec<(u32, &Kept)> = Vec::new();
        let mut at = index;
        let mut dir = loop {
            if let Some(found) = open.iter().rposition(|(known, _)| *known == at) {
                let entry = open.remove(found);
                let dir = entry.1.clone();
                open.push(entry);
                break dir;
            }
            let Some(kept) = self.kept(at) else { return Err(io::ErrorKind::NotFound.into()) };
            way.push((at, kept));
            if at == kept.parent {
                break self.base.clone();
            }
            at = kept.parent;
        };
        for (at, kept) in way.into_iter().rev() {
            dir = open_dir(&dir, kept)?;
            if open.len() >= limits::OPEN_DIRS {
                open.remove(0);
            }
            open.push((at, dir.clone()));
        }
        Ok(dir)
    }
}

impl SourceFile {
    /// Its length (bytes).
    #[must_use]
    pub fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Reads one block into `into`, whose content is replaced.
    ///
    /// # Errors
    /// `Changed` when the file's size, times or identity are not what they were when it was opened: what was read may be
    /// mixed. `NoSuch` when it has no such block, `Io`.
    pub fn read_block(&self, block: u32, into: &mut Vec<u8>) -> Result<()> {
        into.clear();
        let Some((offset, len)) = tree::block_span(self.stamp.size, block) else {
            return Err(FilesError::new(
                Trouble::NoSuch,
                "read a block of",
                &self.path,
                "it has no such block",
            ));
        };
        self.append(offset, u64::from(len), into)
    }

    /// Whether it still is what was opened; asked last, when all blocks were read.
    ///
    /// # Errors
    /// `Changed`, `Io`.
    pub fn check(&self) -> Result<()> {
        let now = stamp_of(&self.file).map_err(|e| FilesError::reading("look at", &self.path, &e))?;
        if now == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    fn append(&self, offset: u64, len: u64, into: &mut Vec<u8>) -> Result<()> {
        let len = usize::try_from(len).unwrap_or(0).min(limits::BLOCK_LEN);
        let end = into.len().saturating_add(len);
        into.reserve_exact(len);
        let mut at = offset;
        while into.len() < end {
            // Never more than was asked for, whatever room there is.
            let room = end.saturating_sub(into.len());
            let read = if into.spare_capacity_mut().len() == room {
                rustix::io::pread(&self.file, spare_capacity(into), at)
            } else {
                self.read_some(room, into, at)
            };
            match read {
                Ok(0) => return Err(self.changed()),
                Ok(read) => at = at.saturating_add(u64::try_from(read).unwrap_or(0)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(FilesError::reading("read", &self.path, &error.into())),
            }
        }
        self.check()
    }

    /// The same where the buffer has more room than is to be read.
    fn read_some(&self, room: usize, into: &mut Vec<u8>, at: u64) -> rustix::io::Result<usize> {
        let before = into.len();
        into.resize(before.saturating_add(room), 0);
        let read = rustix::io::pread(&self.file, into.get_mut(before..).unwrap_or_default(), at);
        into.truncate(before.saturating_add(read.unwrap_or(0)));
        read
    }

    fn changed(&self) -> FilesError {
        FilesError::new(Trouble::Changed, "read", &self.path, "it changed while it was being sent")
    }
}

fn stamp_of(file: &File) -> io::Result<Stamp> {
    let stat = rustix::fs::fstat(file)?;
    if crate::os::file_type(&stat) == rustix::fs::FileType::RegularFile {
        Ok(Stamp::of(&stat))
    } else {
        // Something else has its name now.
        Err(rustix::io::Errno::NXIO.into())
    }
}

/// Whether a later write could leave the file's times as they are: the file system's clock has not moved on yet.
fn is_fresh(stamp: &Stamp) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_nanos(u64::try_from(stamp.mtime_ns.max(stamp.ctime_ns)).unwrap_or(0));
    now.checked_sub(then).is_some_and(|age| age < Duration::from_millis(limits::RACY_MS))
}
