//! How much a place holds and how much it may still take.

use clankers_protocol::transfer::{SourceIdentity, TransferId, tree};
use rustix::fs::FileType;

use super::Place;
use crate::{
    about::{self, About, Done, PartId},
    dir::{Dir, Dirs},
    error::{FilesError, Result},
    journal::{self, Journal},
    landing::TREE,
    limits, os,
};

/// What a place holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of files; of a running transfer all that it will have, of an interrupted one what is on the disk.
    pub bytes: u64,
    /// Files; of running transfers all that they will have.
    pub files: u64,
    /// What the files take on the disk at this moment (bytes).
    pub disk_bytes: u64,
    /// Whether there are more than were counted ([`limits::USAGE_ENTRIES`]).
    pub more: bool,
}

impl Usage {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.disk_bytes = self.disk_bytes.saturating_add(other.disk_bytes);
        self.more |= other.more;
    }
}

impl Place {
    /// What it holds, unfinished transfers included. Looks at every file: for quotas, before a transfer begins.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn usage(&self) -> Result<Usage> {
        let failed = |e: std::io::Error| FilesError::writing("measure", &self.path.to_string_lossy(), &e);
        let mut usage = measure(&self.base).map_err(failed)?;
        if let Some(parts) = self.parts()? {
            for id in super::part_ids(&parts).map_err(failed)? {
                let Ok(part) = parts.sub(id.as_str()) else { continue };
                usage.add(of_part(&part).map_err(failed)?);
            }
        }
        Ok(usage)
    }

    /// The id that an unfinished transfer has or would have: see [`Place::begin`].
    #[must_use]
    pub fn part_id(&self, principal: &str, to: &str, root_name: &str, source: &SourceIdentity) -> PartId {
        PartId::of(principal, to, root_name, source)
    }

    /// What [`Place::usage`] counts of one unfinished transfer; nothing when there is none.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn part_usage(&self, id: &PartId) -> Result<Usage> {
        let failed = |e: std::io::Error| FilesError::writing("measure", id.as_str(), &e);
        let Some(parts) = self.parts()? else { return Ok(Usage::default()) };
        match parts.sub(id.as_str()) {
            Ok(part) => of_part(&part).map_err(failed),
            Err(_) => Ok(Usage::default()),
        }
    }

    /// Whether something unfinished of that id is here.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn has_part(&self, id: &PartId) -> Result<bool> {
        Ok(self.parts()?.is_some_and(|parts| parts.sub(id.as_str()).is_ok()))
    }

    /// Whether a transfer of that id has landed and is still remembered.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn has_landed(&self, id: &PartId, transfer: &TransferId) -> Result<bool> {
        self.landed(id, transfer).map(|note| note.is_some())
    }

    /// What was given to [`Landing::commit`](crate::Landing::commit) when it landed.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub(crate) fn landed(&self, id: &PartId, transfer: &TransferId) -> Result<Option<Vec<u8>>> {
        let Some(parts) = self.parts()? else { return Ok(None) };
        let done: Option<Done> = about::read(&parts, &id.done_name());
        let done = done.filter(|done| done.transfer_id == transfer.to_string());
        Ok(done.map(|done| about::unhex(&done.note)))
    }

    /// How much content is here of what broke off (bytes), by its files and its journal. Exact with at most one file of
    /// several blocks; with more of them it may be too much by a part of a block for each.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn part_content(&self, id: &PartId) -> Result<u64> {
        let failed = |e: std::io::Error| FilesError::writing("measure", id.as_str(), &e);
        let Some(parts) = self.parts()? else { return Ok(0) };
        match parts.sub(id.as_str()) {
            Ok(part) => content(&part).map_err(failed),
            Err(_) => Ok(0),
        }
    }

    /// Free space for this user on the file system of the place (bytes).
    ///
    /// # Errors
    /// `Io`.
    pub fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.base).map_err(|e| {
            FilesError::writing("measure the free space of", &self.path.to_string_lossy(), &e.into())
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn of_part(part: &Dir) -> std::io::Result<Usage> {
    let about: Option<About> = about::read(part, about::NAME);
    let there = measure(part)?;
    Ok(match about {
        Some(about) if Journal::is_held(part) => {
            Usage { bytes: about.total_bytes, files: about.files, ..there }
        }
        _ => there,
    })
}

/// Small files are there whole or not at all. Of large ones, whose room is taken at once, there are the blocks that the
/// journal has: which of them has which is not written there, so the last blocks are told by their numbers.
fn content(part: &Dir) -> std::io::Result<u64> {
    let Some(about) = about::read::<About>(part, about::NAME) else { return Ok(0) };
    let (mut small, mut bytes, mut large) = (0_u64, 0_u64, Vec::new());
    let found = each(part, |path, size, _| {
        if path != TREE && !path.strip_prefix(TREE).is_some_and(|rest| rest.starts_with('/')) {
            return;
        }
        if size > limits::BLOCK {
            large.push(size);
        } else {
            small = small.saturating_add(1);
            bytes = bytes.saturating_add(size);
        }
    })?;
    let claims = journal::peek(part)?;
    let (first, later) = claims.blocks();
    // What has only a first block is a small file, as long as there are any.
    let firsts = first.saturating_sub(small);
    let blocks = firsts.saturating_add(later.values().fold(0_u64, |sum, count| sum.saturating_add(*count)));
    bytes = bytes.saturating_add(blocks.saturating_mul(limits::BLOCK));
    for (last, count) in later {
        let of = |size: &u64| tree::blocks(*size).checked_sub(1) == Some(last);
        let mut short: Vec<u64> = large
            .iter()
            .filter(|size| of(size))
            .filter_map(|size| Some(limits::BLOCK.saturating_sub(tree::block_span(*size, last)?.1.into())))
            .collect();
        // Those that have more blocks than this are not short by anything.
        let longer = large.iter().filter(|size| tree::blocks(**size).saturating_sub(1) > last).count();
        short.resize(short.len().saturating_add(longer), 0);
        short.sort_unstable();
        let least = short.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX));
        bytes = least.fold(bytes, u64::saturating_sub);
    }
    Ok(if found { bytes.min(about.total_bytes) } else { about.total_bytes })
}

/// Counts files and their bytes beneath a directory; links are not followed, and what vanishes meanwhile is not there.
fn measure(base: &Dir) -> std::io::Result<Usage> {
    let mut usage = Usage::default();
    let whole = each(base, |_, size, on_disk| {
        // A preallocated file takes its space at once, a file with holes may fill them.
        usage.bytes = usage.bytes.saturating_add(size.max(on_disk));
        usage.disk_bytes = usage.disk_bytes.saturating_add(on_disk);
        usage.files = usage.files.saturating_add(1);
    })?;
    usage.more = !whole;
    Ok(usage)
}

/// Tells every file beneath a directory: its path, its size, what it takes on the disk (bytes). `false`: there are more.
fn each(base: &Dir, mut tell: impl FnMut(&str, u64, u64)) -> std::io::Result<bool> {
    let mut dirs = Dirs::new(base.clone());
    let mut waiting = vec![String::new()];
    let mut seen = 0_u64;
    while let Some(path) = waiting.pop() {
        let dir = match dirs.dir(&path, false) {
            Ok(dir) => dir,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound || os::is_in_the_way(&error) => {
                continue;
            }
            // What cannot be read is not nothing.
            Err(error) => return Err(error),
        };
        for entry in dir.names()? {
            let (name, kind) = entry?;
            seen = seen.saturating_add(1);
            if seen > limits::USAGE_ENTRIES {
                return Ok(false);
            }
            // Names that are not UTF-8 are not of our making; the unfinished is counted apart.
            let Ok(name) = std::str::from_utf8(&name) else { continue };
            if path.is_empty() && name == limits::PARTS_DIR {
                continue;
            }
            let below = || if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if kind == FileType::Directory {
                waiting.push(below());
                continue;
            }
            let Some(stat) = dir.look(name)? else { continue };
            if os::file_type(&stat) == FileType::RegularFile {
                tell(&below(), os::Stamp::of(&stat).size, os::bytes_on_disk(&stat));
            }
        }
    }
    Ok(true)
}
