//! How much a place holds and how much it may still take.

use clankers_protocol::transfer::{SourceIdentity, TransferId};
use rustix::fs::FileType;

use super::Place;
use crate::{
    about::{self, About, Done, PartId},
    dir::{Dir, Dirs},
    error::{FilesError, Result},
    journal::Journal,
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
    pub(crate) fn add(&mut self, other: Self) {
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
        let Some(parts) = self.parts()? else { return Ok(false) };
        let done: Option<Done> = about::read(&parts, &id.done_name());
        Ok(done.is_some_and(|done| done.transfer_id == transfer.to_string()))
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

/// Counts files and their bytes beneath a directory; links are not followed, and what vanishes meanwhile is not there.
fn measure(base: &Dir) -> std::io::Result<Usage> {
    let mut usage = Usage::default();
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
                usage.more = true;
                return Ok(usage);
            }
            // Names that are not UTF-8 are not of our making; the unfinished is counted apart.
            let Ok(name) = std::str::from_utf8(&name) else { continue };
            if path.is_empty() && name == limits::PARTS_DIR {
                continue;
            }
            if kind == FileType::Directory {
                waiting.push(if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
                continue;
            }
            let Some(stat) = dir.look(name)? else { continue };
            if os::file_type(&stat) == FileType::RegularFile {
                // A preallocated file takes its space at once, a file with holes may fill them.
                let size = os::Stamp::of(&stat).size.max(os::bytes_on_disk(&stat));
                usage.bytes = usage.bytes.saturating_add(size);
                usage.disk_bytes = usage.disk_bytes.saturating_add(os::bytes_on_disk(&stat));
                usage.files = usage.files.saturating_add(1);
            }
        }
    }
    Ok(usage)
}
