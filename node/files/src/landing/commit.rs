//! The end: what is whole gets its final name, without replacing anything that may not be replaced.

use std::{collections::BTreeSet, io};

use clankers_protocol::request::transfer::{EntryKind, OnConflict};
use rustix::fs::FileType;

use super::{Landing, Start, State, TREE, lock, under};
use crate::{
    about::{self, Done, Mark, PartId},
    dir::{Dir, Dirs},
    error::{FilesError, Result, Trouble},
    limits,
    listing::{Listing, numbered},
    os::{self, Ident},
    place::{Guard, sweep_dones},
};

/// What got its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The name of the root.
    pub name: String,
    /// Files that are there now and whole; those that were the same already count.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and directories that something else was in the way of, at the last moment. When there are some it is not
    /// over: nothing is kept for a sender that asks again, what did not land stays in the part directory.
    pub conflicts: Vec<u32>,
    /// The id of the part directory that there was.
    pub id: PartId,
}

impl Landing {
    /// Makes empty files and directories, makes everything durable, gives the root its final name without replacing, sets
    /// the modes and times of directories, removes the part directory.
    ///
    /// What is in `missing` does not land. `note` (at most [`limits::NOTE_BYTES`]) is kept for a sender that asks again with
    /// the same transfer id: a kill at any moment leaves either the part directory as it was or all that
    /// [`Begun::Done`](crate::Begun) says.
    ///
    /// # Errors
    /// `Incomplete` when a wanted file is neither whole nor missing, `Conflict` when the name is taken and may not be,
    /// `NoSpace`, `Io`, `TooMany`. What has arrived is kept.
    pub fn commit(&self, missing: &BTreeSet<u32>, note: &[u8]) -> Result<Landed> {
        let root = self.start.wish.root_name.clone();
        let failed = |e: io::Error| FilesError::writing("finish", &root, &e);
        if note.len() > limits::NOTE_BYTES {
            return Err(FilesError::new(
                Trouble::TooMany,
                "finish",
                &root,
                "the note kept with it is too long",
            ));
        }
        self.check_whole(missing)?;
        lock(&self.open).clear();
        self.complete_tree(missing)?;
        self.sync_tree()?;
        let mut landed = Landed {
            name: String::new(),
            files: 0,
            bytes: 0,
            conflicts: Vec::new(),
            id: self.start.id.clone(),
        };
        let (name, joined) = self.take_name(note, &mut landed.conflicts)?;
        let conflicts: BTreeSet<u32> = landed.conflicts.iter().copied().collect();
        for (index, item) in self.wanted().filter(|(_, item)| item.kind == EntryKind::File) {
            let whole = matches!(self.state(index), State::Whole | State::Same);
            if whole && !conflicts.contains(&index) {
                landed.files = landed.files.saturating_add(1);
                landed.bytes = landed.bytes.saturating_add(item.size);
            }
        }
        landed.name.clone_from(&name);
        if !landed.conflicts.is_empty() {
            // The note claims files that are not there.
            return Ok(landed);
        }
        let done = Done {
            transfer_id: self.start.wish.transfer_id.to_string(),
            name,
            note: data_encoding::HEXLOWER.encode(note),
            listing: self.start.digest.clone(),
            principal: self.start.wish.principal.clone(),
        };
        // Nobody begins in a part directory that is being removed.
        let _guard = Guard::take(&self.start.parts).map_err(failed)?;
        self.start.finish(&done, joined.as_ref(), !self.in_memory).map_err(failed)?;
        Ok(landed)
    }

    /// Whether every file is whole or known to be missing.
    fn check_whole(&self, missing: &BTreeSet<u32>) -> Result<()> {
        for (index, item) in self.wanted().filter(|(_, item)| item.kind == EntryKind::File) {
            let whole = match self.state(index) {
                State::Whole | State::Bad => true,
                State::Same => item.size == 0 || self.still_there(index, &item),
                State::None => item.size == 0,
                State::Partial(_) | State::Offered => false,
            };
            if !whole && !missing.contains(&index) {
                return Err(self.error(Trouble::Incomplete, "finish", &item, "it has not arrived"));
            }
        }
        Ok(())
    }

    /// Whether a file that was the same still is what was compared. If not it is not had.
    fn still_there(&self, index: u32, item: &crate::listing::Item<'_>) -> bool {
        let path = under(&self.name(), &item.path);
        let there = Dirs::new(self.start.target.clone())
            .parent(&path, false)
            .and_then(|(dir, name)| dir.look(name))
            .ok()
            .flatten()
            .map(|stat| os::Stamp::of(&stat));
        let same = there.is_some() && there == lock(&self.offered).get(&index).copied();
        if !same {
            self.set_state(index, State::None);
        }
        same
    }

    /// Makes what needs no bytes, removes what does not land.
    fn complete_tree(&self, missing: &BTreeSet<u32>) -> Result<()> {
        for (index, item) in self.wanted() {
            let path = under(TREE, &item.path);
            let failed = |e: io::Error| self.disk("make", &item, &e);
            if item.kind == EntryKind::Dir {
                lock(&self.tree).dir(&path, true).map_err(failed)?;
                continue;
            }
            let state = self.state(index);
            if missing.contains(&index) || matches!(state, State::Bad) {
                if matches!(state, State::Partial(_) | State::Whole) {
                    self.drop_part(index, &item)?;
                }
                self.set_state(index, State::Bad);
            } else if item.size == 0 && matches!(state, State::None) {
                self.make_whole(&item, &[]).map_err(failed)?;
                self.set_state(index, State::Whole);
            }
        }
        Ok(())
    }

    /// Gives the root its name. Says which directories were made when it was joined with one that was there.
    fn take_name(&self, note: &[u8], conflicts: &mut Vec<u32>) -> Result<(String, Option<BTreeSet<u32>>)> {
        let root = self.start.wish.root_name.clone();
        let failed = |e: io::Error| FilesError::writing("give its final name to", &root, &e);
        let wished = self.name();
        let Some(stat) = self.start.part.look(TREE).map_err(failed)? else {
            // A single file that is the same, or did not come.
            return Ok((wished, Some(BTreeSet::new())));
        };
        let directory = os::file_type(&stat) == FileType::Directory;
        if !directory && matches!(self.state(0), State::Same | State::Bad) {
            return Ok((wished, Some(BTreeSet::new())));
        }
        let tried = (1..=limits::RENAMES).map(|number| numbered(&root, number, directory));
        let renames = self.start.wish.conflict == OnConflict::Rename;
        let names = std::iter::once(wished).chain(tried.filter(|_| renames));
        if directory {
            // It could not be moved otherwise.
            let tree = self.start.part.sub(TREE).map_err(failed)?;
            rustix::fs::fchmod(&tree, os::mode(limits::DIR_MODE)).map_err(|e| failed(e.into()))?;
        }
        for name in names {
            self.mark(&name, Some(Mark::new(&name, Ident::of(&stat), note, &self.start.digest)))
                .map_err(failed)?;
            match os::rename_new(&self.start.part, TREE, &self.start.target, &name) {
                Ok(()) => return Ok((name, None)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            if self.joins() {
                self.mark(&name, None).map_err(failed)?;
                let made = self.join(&name, directory, note, conflicts)?;
                return Ok((name, Some(made)));
            }
        }
        self.mark(&root, None).map_err(failed)?;
        Err(FilesError::new(
            Trouble::Conflict,
            "give its final name to",
            &root,
            "something else has that name",
        ))
    }

    /// Writes down that the root is about to get this name.
    pub(super) fn mark(&self, name: &str, mark: Option<Mark>) -> io::Result<()> {
        let mut about = lock(&self.about);
        name.clone_into(&mut about.name);
        about.landing = mark;
        about::write(&self.start.part, about::NAME, &*about, !self.in_memory)
    }
}

impl Start {
    /// After the final name: modes and times of directories, the receipt's note, no part directory any more.
    ///
    /// `made`: the directories that were made, when the root was joined with one that was there; otherwise all were.
    pub(crate) fn finish(&self, done: &Done, made: Option<&BTreeSet<u32>>, durable: bool) -> io::Result<()> {
        dress_dirs(&self.target, &done.name, &*self.wish.listing, made)?;
        if durable {
            self.target.sync()?;
        }
        about::write(&self.parts, &self.id.done_name(), done, durable)?;
        sweep_dones(&self.parts, std::time::Duration::from_secs(limits::DONE_AGE_SECS), limits::DONES);
        self.parts.remove_tree(self.id.as_str())
    }
}

/// Modes and times of directories, the deepest first.
fn dress_dirs(
    target: &Dir,
    name: &str,
    listing: &dyn Listing,
    made: Option<&BTreeSet<u32>>,
) -> io::Result<()> {
    let mut dirs = Dirs::new(target.clone());
    for index in (0..listing.len()).rev() {
        let Some(item) = listing.item(index).filter(|item| item.kind == EntryKind::Dir && item.wanted) else {
            continue;
        };
        if made.is_some_and(|made| !made.contains(&index)) {
            continue;
        }
        match dirs.dir(&under(name, &item.path), false) {
            Ok(dir) => dir.dress(item.mode | limits::DIR_MODE, item.mtime_ns)?,
            // Somebody moved it already: it is theirs now.
            Err(error) if error.kind() == io::ErrorKind::NotFound || os::is_in_the_way(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
