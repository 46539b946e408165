//! The directory in which every peer has a place of its own.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clankers_protocol::transfer::TransferId;
use rustix::fs::FileType;

use crate::{
    about::PartId,
    dir::Dir,
    error::{FilesError, Result, Trouble},
    limits,
    listing::name_fault,
    place::{Partial, Place, Remembered, Usage},
};

/// The inbox, held open.
#[derive(Debug, Clone)]
pub struct Inbox {
    dir: Dir,
    path: PathBuf,
}

/// What is here of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// So much content (bytes).
    Part(u64),
    /// All of it: what was given to [`Landing::commit`](crate::Landing::commit).
    Landed(Vec<u8>),
}

impl Inbox {
    /// Opens the inbox, making it (private) when there is none.
    ///
    /// # Errors
    /// `BadPlace` when it is no directory or cannot be made, `Io`.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.to_string_lossy();
        let failed = |e: std::io::Error| FilesError::writing("open the inbox", &shown, &e);
        DirBuilder::new().recursive(true).mode(limits::DIR_MODE).create(path).map_err(failed)?;
        Ok(Self { dir: Dir::open(path).map_err(failed)?, path: path.to_owned() })
    }

    /// The place of a peer, made when there is none. `peer` is a label or a short id; a link of that name is refused.
    ///
    /// # Errors
    /// `BadPlace`, `NoSpace`, `Io`.
    pub fn place(&self, peer: &str) -> Result<Place> {
        if let Some(fault) = name_fault(peer) {
            return Err(FilesError::new(Trouble::BadPlace, "open the inbox of", peer, fault));
        }
        let made = self.dir.sub_or_make(peer);
        let (dir, _) = made.map_err(|e| FilesError::writing("open the inbox of", peer, &e))?;
        Ok(Place::new(dir, self.path.join(peer)))
    }

    /// The place in which a transfer is unfinished, or landed and is remembered: a peer's place has another name from the
    /// moment on at which it gets a label. Else the place of this name, as [`Inbox::place`].
    ///
    /// # Errors
    /// `BadPlace`, `NoSpace`, `Io`.
    pub fn place_of(&self, peer: &str, part: &PartId, transfer: &TransferId) -> Result<Place> {
        for (_, place) in self.places()? {
            if place.has_part(part)? || place.has_landed(part, transfer)? {
                return Ok(place);
            }
        }
        self.place(peer)
    }

    /// What is here of a transfer that broke off, or landed, wherever it is.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn there(&self, part: &PartId, transfer: &TransferId) -> Result<There> {
        for (_, place) in self.places()? {
            if place.has_part(part)? {
                return Ok(There::Part(place.part_content(part)?));
            }
            if let Some(note) = place.landed(part, transfer)? {
                return Ok(There::Landed(note));
            }
        }
        Ok(There::Nothing)
    }

    /// All places, with the names of their peers, sorted.
    ///
    /// # Errors
    /// `Io`.
    pub fn places(&self) -> Result<Vec<(String, Place)>> {
        let shown = self.path.to_string_lossy();
        let failed = |e: std::io::Error| FilesError::writing("list the inbox", &shown, &e);
        let mut found = Vec::new();
        for entry in self.dir.names().map_err(failed)? {
            let (name, kind) = entry.map_err(failed)?;
            let Ok(name) = String::from_utf8(name) else { continue };
            if kind == FileType::Directory && found.len() < limits::PLACES {
                let Ok(dir) = self.dir.sub(name.as_str()) else { continue };
                let path = self.path.join(&name);
                found.push((name, Place::new(dir, path)));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// What all places hold together.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn usage(&self) -> Result<Usage> {
        let mut all = Usage::default();
        for (_, place) in self.places()? {
            all.add(place.usage()?);
        }
        Ok(all)
    }

    /// Free space for this user on the file system of the inbox (bytes).
    ///
    /// # Errors
    /// `Io`.
    pub fn free_bytes(&self) -> Result<u64> {
        Place::new(self.dir.clone(), self.path.clone()).free_bytes()
    }

    /// What is unfinished, with the names of the peers.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn partials(&self) -> Result<Vec<(String, Partial)>> {
        self.each(Place::partials)
    }

    /// What landed and is still remembered, with the names of the peers, the latest first, so many at the most.
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn remembered(&self, most: usize) -> Result<Vec<(String, Remembered)>> {
        let mut all = Vec::new();
        for (peer, place) in self.places()? {
            all.extend(place.remembered(most)?.into_iter().map(|one| (peer.clone(), one)));
            all.sort_by_key(|(_, one)| one.age);
            all.truncate(most);
        }
        Ok(all)
    }

    /// Removes what was abandoned: see [`Place::sweep`].
    ///
    /// # Errors
    /// `BadPlace`, `Io`.
    pub fn sweep(&self, older_than: Duration) -> Result<Vec<(String, Partial)>> {
        self.each(|place| place.sweep(older_than))
    }

    fn each(&self, act: impl Fn(&Place) -> Result<Vec<Partial>>) -> Result<Vec<(String, Partial)>> {
        let mut all = Vec::new();
        for (peer, place) in self.places()? {
            all.extend(act(&place)?.into_iter().map(|partial| (peer.clone(), partial)));
        }
        Ok(all)
    }
}
