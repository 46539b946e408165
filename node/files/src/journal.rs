//! The journal of a part directory: which blocks are had, and by which hash.
//!
//! Records of one size, each with a checksum of its own: a torn tail, a damaged middle and a lost record cost the blocks
//! that they speak of and nothing else. It is a claim, not a proof: who resumes reads the blocks again and compares.
//! Files are named by a digest of path and identity, so a source whose listing changed keeps what did not change.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use clankers_protocol::transfer::{Cv, FileIdentity};
use rustix::fs::OFlags;

use crate::{dir::Dir, hash::short_name_of, limits, os};

/// One record (bytes).
const RECORD: usize = 64;
const CHECKED: usize = RECORD - 8;
const KIND_HAD: u8 = 1;
const KIND_DROPPED: u8 = 2;
const VERSION: u8 = 1;
/// The journal's name in a part directory.
pub(crate) const NAME: &str = "journal";

/// A file of a listing: path and identity, digested.
pub(crate) type FileKey = [u8; 16];

/// The key of a file of that path and identity.
pub(crate) fn file_key(path: &str, identity: &FileIdentity) -> FileKey {
    short_name_of("clankers 2026 transfer journal file key", &[path.as_bytes(), &identity.0])
}

/// A block that is claimed to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// Of which file.
    pub(crate) key: FileKey,
    /// Which block.
    pub(crate) block: u32,
    /// Its chaining value.
    pub(crate) cv: Cv,
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Sorted by file and block; the last claim about a block only.
    claims: Vec<Claim>,
    /// Records that could not be read, a torn tail included.
    pub(crate) damaged: u64,
}

impl Claims {
    /// The claims about one file, in the order of blocks.
    pub(crate) fn of(&self, key: &FileKey) -> &[Claim] {
        let start = self.claims.partition_point(|claim| claim.key < *key);
        let rest = self.claims.get(start..).unwrap_or_default();
        let len = rest.partition_point(|claim| claim.key == *key);
        rest.get(..len).unwrap_or_default()
    }

    /// How many files have but their first block; and of all others how many have which block.
    pub(crate) fn blocks(&self) -> (u64, BTreeMap<u32, u64>) {
        let (mut first, mut later) = (0_u64, BTreeMap::new());
        for file in self.claims.chunk_by(|one, next| one.key == next.key) {
            if let [Claim { block: 0, .. }] = file {
                first = first.saturating_add(1);
                continue;
            }
            for claim in file {
                let count: &mut u64 = later.entry(claim.block).or_default();
                *count = count.saturating_add(1);
            }
        }
        (first, later)
    }

    /// How many blocks are claimed.
    pub(crate) fn len(&self) -> usize {
        self.claims.len()
    }
}

/// The journal, open for adding and locked: one writer for each part directory.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing alone leaves the lock to a process that is being started at this moment and has a copy of the handle
        // until it is: who goes on at once would be told that the transfer is running.
        let _ = self.file.get_mut().unwrap_or_else(PoisonError::into_inner).unlock();
    }
}

impl Journal {
    /// Opens the journal of a part directory, making an empty one; `None` when another has it.
    pub(crate) fn open(part: &Dir) -> io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let file = part.file(NAME, flags, limits::FILE_MODE)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the journal is not a regular file"));
        }
        for _ in 0..limits::LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { file: Mutex::new(file) })),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
            }
            // Somebody who only looks has it shared, for an instant: then it can be had shared here too.
            match file.try_lock_shared() {
                Ok(()) => file.unlock()?,
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            thread::sleep(Duration::from_millis(limits::LOCK_RETRY_MS));
        }
        Ok(None)
    }

    /// Whether somebody has the journal of that part directory.
    pub(crate) fn is_held(part: &Dir) -> bool {
        let Ok(file) = part.file(NAME, OFlags::RDONLY, 0) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Adds records: blocks that were written.
    pub(crate) fn had(&self, claims: &[Claim]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(claims.len().saturating_mul(RECORD));
        for claim in claims {
            bytes.extend_from_slice(&encode(KIND_HAD, claim));
        }
        self.append(&bytes)
    }

    /// Adds that nothing of this file is had any more.
    pub(crate) fn dropped(&self, key: &FileKey) -> io::Result<()> {
        self.append(&encode(KIND_DROPPED, &Claim { key: *key, block: 0, cv: Cv([0; 32]) }))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let before = file.metadata()?.len();
        file.write_all(bytes).inspect_err(|_| {
            // A part of a record would shift all that follow.
            let _ = file.set_len(before);
        })
    }

    /// Empties it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).set_len(0)
    }

    /// Makes it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // A second handle, so that nobody who writes waits for the disk.
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?;
        os::sync_data(&file)
    }

    /// What it says; a torn tail is cut off.
    pub(crate) fn load(&self) -> io::Result<Claims> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let len = file.metadata()?.len();
        let torn = len % 64;
        if torn != 0 {
            file.set_len(len - torn)?;
        }
        let mut claims = read(&file)?;
        claims.damaged = claims.damaged.saturating_add(u64::from(torn != 0));
        Ok(claims)
    }
}

/// What the journal of that part directory says, without touching it.
pub(crate) fn peek(part: &Dir) -> io::Result<Claims> {
    let file = part.file(NAME, OFlags::RDONLY, 0)?;
    if !file.metadata()?.is_file() {
        return Ok(Claims::default());
    }
    read(&file)
}

/// When the journal was last added to.
pub(crate) fn touched(part: &Dir) -> io::Result<std::time::SystemTime> {
    part.file(NAME, OFlags::RDONLY, 0)?.metadata()?.modified()
}

fn read(file: &File) -> io::Result<Claims> {
    let copy = File::from(file.as_fd().try_clone_to_owned()?);
    rustix::fs::seek(&copy, rustix::fs::SeekFrom::Start(0))?;
    let mut reader = io::BufReader::with_capacity(limits::BLOCK_LEN, copy.take(limits::JOURNAL_BYTES));
    let mut found = Claims::default();
    // The number of the record is what tells the last claim about a block.
    let mut all: Vec<(Claim, u64)> = Vec::new();
    let mut drops: Vec<(FileKey, u64)> = Vec::new();
    let mut bytes = [0; RECORD];
    for at in 0_u64.. {
        match reader.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        match decode(&bytes) {
            Some((KIND_HAD, claim)) => all.push((claim, at)),
            Some((KIND_DROPPED, claim)) => drops.push((claim.key, at)),
            _ => found.damaged = found.damaged.saturating_add(1),
        }
    }
    drops.sort_unstable();
    let dropped_at = |key: &FileKey| {
        let end = drops.partition_point(|(known, _)| known <= key);
        end.checked_sub(1)
            .and_then(|last| drops.get(last))
            .filter(|(known, _)| known == key)
            .map(|(_, at)| *at)
    };
    all.retain(|(claim, at)| dropped_at(&claim.key).is_none_or(|dropped| *at > dropped));
    // The last claim about a block comes first, and stays.
    all.sort_unstable_by(|(a, at), (b, bt)| (a.key, a.block, bt).cmp(&(b.key, b.block, at)));
    all.dedup_by(|(later, _), (kept, _)| later.key == kept.key && later.block == kept.block);
    found.claims = all.into_iter().map(|(claim, _)| claim).collect();
    Ok(found)
}

fn encode(kind: u8, claim: &Claim) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let head = [kind, VERSION, 0, 0];
    let parts: [&[u8]; 4] = [&head, &claim.block.to_le_bytes(), &claim.key, &claim.cv.0];
    record.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    let sum = checksum(&record);
    record.iter_mut().skip(CHECKED).zip(sum).for_each(|(to, from)| *to = from);
    record
}

fn decode(record: &[u8; RECORD]) -> Option<(u8, Claim)> {
    if record.get(CHECKED..)? != checksum(record) || record.get(1)? != &VERSION {
        return None;
    }
    let block = u32::from_le_bytes(record.get(4..8)?.try_into().ok()?);
    let key = record.get(8..24)?.try_into().ok()?;
    let cv = Cv(record.get(24..CHECKED)?.try_into().ok()?);
    Some((*record.first()?, Claim { key, block, cv }))
}

fn checksum(record: &[u8; RECORD]) -> [u8; 8] {
    let whole = blake3::hash(record.get(..CHECKED).unwrap_or_default());
    let mut sum = [0; 8];
    sum.iter_mut().zip(whole.as_bytes()).for_each(|(to, from)| *to = *from);
    sum
}

#[cfg(test)]
mod tests;
