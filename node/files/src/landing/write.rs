//! Blocks arrive: compared, written, written down.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use clankers_protocol::{
    request::transfer::OnConflict,
    transfer::{BlockSet, Cv, tree},
};
use rustix::{fs::OFlags, io::Errno};

use super::{Landing, State, TREE, lock, under, with};
use crate::{
    error::{FilesError, Result, Trouble},
    journal::{Claim, file_key},
    limits,
    listing::Item,
    os,
};

/// A whole file of one block.
#[derive(Debug, Clone, Copy)]
pub struct Small<'a> {
    /// Its number.
    pub file: u32,
    /// Its root, which is the value of its only block.
    pub cv: &'a Cv,
    /// Its content.
    pub bytes: &'a [u8],
}

/// A block was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Whether it is time for [`Landing::sync`].
    pub sync_due: bool,
}

impl Landing {
    /// Takes one block, in any order: compares it with its chaining value, writes it, writes down that it is had. One that
    /// is had already is not written again.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not those of `cv` or their number is wrong, `NoSuch` when the file has no such block
    /// or is not wanted, `NoSpace`, `Io`.
    pub fn write_block(&self, file: u32, block: u32, cv: &Cv, bytes: &[u8]) -> Result<Written> {
        let item = self.file(file)?;
        if item.blocks() == 1 && block == 0 {
            return match self.write_small(&[Small { file, cv, bytes }]).pop() {
                Some(Err(error)) => Err(error),
                _ => Ok(Written { sync_due: self.sync_due() }),
            };
        }
        let Some((offset, _)) = tree::block_span(item.size, block) else {
            return Err(self.error(Trouble::NoSuch, "receive a block of", &item, "it has no such block"));
        };
        self.compare(&item, block, cv, bytes)?;
        match self.state(file) {
            State::Whole | State::Same => return Ok(Written { sync_due: self.sync_due() }),
            State::Partial(had) if had.contains(block) => {
                return Ok(Written { sync_due: self.sync_due() });
            }
            _ => {}
        }
        let failed = |e: io::Error| self.disk("write", &item, &e);
        let part = self.part_file(file, &item).map_err(failed)?;
        part.write_all_at(bytes, offset).map_err(failed)?;
        let key = file_key(&item.path, &item.identity);
        self.start.journal.had(&[Claim { key, block, cv: *cv }]).map_err(failed)?;
        with(&mut lock(&self.states), file, |state| {
            if let State::Partial(had) = state {
                had.insert(block);
            }
        });
        self.wrote(&[file], bytes.len());
        Ok(Written { sync_due: self.sync_due() })
    }

    /// Takes whole files of one block, many at once; each has its own result, in the same order.
    pub fn write_small(&self, files: &[Small<'_>]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = Vec::with_capacity(files.len());
        let mut claims = Vec::with_capacity(files.len());
        let mut written = Vec::with_capacity(files.len());
        let mut bytes = 0_usize;
        for small in files {
            results.push(match self.write_whole(small) {
                Ok(None) => Ok(()),
                Ok(Some(claim)) => {
                    claims.push(claim);
                    written.push(small.file);
                    bytes = bytes.saturating_add(small.bytes.len());
                    Ok(())
                }
                Err(error) => Err(error),
            });
        }
        // Without the journal's records they are had as long as this transfer runs; the next would ask for them again.
        if let Err(error) = self.start.journal.had(&claims) {
            let error =
                FilesError::writing("write down what has arrived of", &self.start.wish.root_name, &error);
            results
                .iter_mut()
                .filter(|result| result.is_ok())
                .for_each(|result| *result = Err(error.clone()));
            return results;
        }
        {
            let mut states = lock(&self.states);
            for file in &written {
                with(&mut states, *file, |state| *state = State::Whole);
            }
        }
        self.wrote(&written, bytes);
        results
    }

    fn write_whole(&self, small: &Small<'_>) -> Result<Option<Claim>> {
        let item = self.file(small.file)?;
        if item.blocks() > 1 {
            return Err(self.error(Trouble::NoSuch, "receive at once", &item, "it has several blocks"));
        }
        self.compare(&item, 0, small.cv, small.bytes)?;
        if matches!(self.state(small.file), State::Whole | State::Same) {
            return Ok(None);
        }
        self.make_whole(&item, small.bytes).map_err(|e| self.disk("write", &item, &e))?;
        Ok(Some(Claim { key: file_key(&item.path, &item.identity), block: 0, cv: *small.cv }))
    }

    /// Makes a file with all its content, mode and time.
    pub(super) fn make_whole(&self, item: &Item<'_>, bytes: &[u8]) -> io::Result<()> {
        let path = under(TREE, &item.path);
        let (dir, name) = lock(&self.tree).parent(&path, true)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = item.mode | limits::READ_MODE;
        let mut file = match dir.file(name, flags, mode) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::EXIST) => {
                // What an attempt left that failed before it was whole.
                dir.unlink(name)?;
                dir.file(name, flags, mode)?
            }
            made => made?,
        };
        let written = file.write_all(bytes).and_then(|()| {
            rustix::fs::futimens(&file, &os::mtime(item.mtime_ns))?;
            if mode & self.masked != 0 {
                rustix::fs::fchmod(&file, os::mode(mode))?;
            }
            Ok(())
        });
        written.inspect_err(|_| {
            let _ = dir.unlink(name);
        })
    }

    fn compare(&self, item: &Item<'_>, block: u32, cv: &Cv, bytes: &[u8]) -> Result<()> {
        let len = tree::block_span(item.size, block).map_or(0, |(_, len)| len);
        if u32::try_from(bytes.len()) != Ok(len) {
            return Err(self.error(
                Trouble::Corrupt,
                "take a block of",
                item,
                "it has not the length it should",
            ));
        }
        if tree::hash_block(item.size, block, bytes) != *cv {
            return Err(self.error(
                Trouble::Corrupt,
                "take a block of",
                item,
                "it has not the hash it should",
            ));
        }
        Ok(())
    }

    /// The part file of a file of several blocks, open for writing: made at the first block.
    pub(super) fn part_file(&self, index: u32, item: &Item<'_>) -> io::Result<Arc<File>> {
        let mut open = lock(&self.open);
        if let Some(at) = open.iter().rposition(|(known, _)| *known == index) {
            let entry = open.remove(at);
            let file = entry.1.clone();
            open.push(entry);
            return Ok(file);
        }
        let path = under(TREE, &item.path);
        let (dir, name) = lock(&self.tree).parent(&path, true)?;
        let file = match self.state(index) {
            State::Partial(_) | State::Whole => {
                let file = match dir.file(name, OFlags::WRONLY, 0) {
                    // Its final mode may forbid writing.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        let seen = dir.file(name, OFlags::RDONLY, 0)?;
                        rustix::fs::fchmod(&seen, os::mode(limits::FILE_MODE))?;
                        dir.file(name, OFlags::WRONLY, 0)?
                    }
                    opened => opened?,
                };
                if !is_ours(&file)? {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "its part file was replaced"));
                }
                file
            }
            _ => {
                dir.unlink(name)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let file = dir.file(name, flags, limits::FILE_MODE)?;
                let sized =
                    if self.in_memory { file.set_len(item.size) } else { os::reserve(&file, item.size) };
                if let Err(error) = sized {
                    let _ = dir.unlink(name);
                    return Err(error);
                }
                self.set_state(index, State::Partial(BlockSet::default()));
                file
            }
        };
        let file = Arc::new(file);
        if open.len() >= limits::OPEN_PARTS {
            open.remove(0);
        }
        open.push((index, file.clone()));
        Ok(file)
    }

    /// A file's root is not the sender's: nothing of it is had any more. Of a file that had its final name before, only
    /// the belief that it is the same is dropped.
    ///
    /// # Errors
    /// `Conflict` when something else has its final name and must stay (`Skip`): it will not land. `NoSuch`, `Io`.
    pub fn drop_file(&self, file: u32) -> Result<()> {
        let item = self.file(file)?;
        match self.state(file) {
            State::Offered | State::Same => {
                if self.start.wish.conflict == OnConflict::Skip {
                    self.set_state(file, State::Bad);
                    return Err(self.error(Trouble::Conflict, "write", &item, "another file has its name"));
                }
                lock(&self.offered).remove(&file);
            }
            State::None | State::Bad => {}
            State::Partial(_) | State::Whole => self.drop_part(file, &item)?,
        }
        self.set_state(file, State::None);
        Ok(())
    }

    pub(super) fn drop_part(&self, file: u32, item: &Item<'_>) -> Result<()> {
        let failed = |e: io::Error| self.disk("remove the part of", item, &e);
        lock(&self.open).retain(|(known, _)| *known != file);
        self.set_state(file, State::None);
        self.start.journal.dropped(&file_key(&item.path, &item.identity)).map_err(failed)?;
        let path = under(TREE, &item.path);
        match lock(&self.tree).parent(&path, false) {
            Ok((dir, name)) => dir.unlink(name).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// A file's root is the sender's: it gets its mode and time. Files of one block and empty ones that were written need
    /// not be told; a file that was found under its final name must be.
    ///
    /// # Errors
    /// `Incomplete` when blocks of it are missing, `NoSuch`, `Io`.
    pub fn file_done(&self, file: u32) -> Result<()> {
        let item = self.file(file)?;
        match self.state(file) {
            State::Whole | State::Same => Ok(()),
            State::Offered => {
                self.set_state(file, State::Same);
                Ok(())
            }
            State::None if item.size == 0 => Ok(()),
            State::Partial(had) if had.len() == item.blocks() => {
                let failed = |e: io::Error| self.disk("finish", &item, &e);
                let part = self.part_file(file, &item).map_err(failed)?;
                rustix::fs::futimens(&*part, &os::mtime(item.mtime_ns)).map_err(|e| failed(e.into()))?;
                let mode = os::mode(item.mode | limits::READ_MODE);
                rustix::fs::fchmod(&*part, mode).map_err(|e| failed(e.into()))?;
                self.set_state(file, State::Whole);
                Ok(())
            }
            _ => Err(self.error(Trouble::Incomplete, "finish", &item, "blocks of it are missing")),
        }
    }
}

/// Whether an open file is one that only this room writes: regular, and no other name leads to it.
pub(super) fn is_ours(file: &File) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    Ok(os::file_type(&stat) == rustix::fs::FileType::RegularFile && os::names_of(&stat) == 1)
}
