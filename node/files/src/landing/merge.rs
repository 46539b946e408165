//! A root whose name is taken and may be: files get their names one by one beside what is there.

use std::{collections::BTreeSet, io};

use clankers_protocol::request::transfer::{EntryKind, OnConflict};
use rustix::fs::FileType;

use super::{Landing, State, TREE, lock, under};
use crate::{
    about::Mark,
    dir::{Dir, Dirs},
    error::{FilesError, Result, Trouble},
    limits,
    os::{self, Ident},
};

impl Landing {
    /// Joins the tree with what has its name; says which directories it made.
    pub(super) fn join(
        &self,
        root: &str,
        directory: bool,
        note: &[u8],
        conflicts: &mut Vec<u32>,
    ) -> Result<BTreeSet<u32>> {
        let failed = |e: io::Error| FilesError::writing("join with what is there", root, &e);
        let there = self.start.target.look(root).map_err(failed)?.map(|stat| os::file_type(&stat));
        let fitting = if directory { FileType::Directory } else { FileType::RegularFile };
        if there.is_some_and(|kind| kind != fitting) {
            let why = "something of another kind has the name";
            return Err(FilesError::new(Trouble::Conflict, "write", root, why));
        }
        if !directory {
            return self.replace_root(root, note).map(|()| BTreeSet::new());
        }
        let mut made = BTreeSet::new();
        let mut touched = BTreeSet::new();
        let mut dirs = Dirs::new(self.start.target.clone());
        for (index, item) in self.wanted() {
            let path = under(root, &item.path);
            // What was known to be in the way before is told already.
            let mut in_the_way = || {
                if !matches!(self.state(index), State::Bad) {
                    conflicts.push(index);
                }
            };
            let found = dirs.parent(&path, false);
            let (dir, name) = match found {
                Ok(found) => found,
                Err(error) if os::is_in_the_way(&error) || error.kind() == io::ErrorKind::NotFound => {
                    in_the_way();
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let done = match item.kind {
                EntryKind::Dir => dir.sub_or_make(name).map(|(_, new)| {
                    if new {
                        made.insert(index);
                        // Also one that stays empty: it is there once its parent is on the disk.
                        touched.extend(path.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
                    }
                    true
                }),
                EntryKind::File if matches!(self.state(index), State::Whole) => {
                    touched.insert(path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned());
                    self.move_in(&item.path, &dir, name)
                }
                EntryKind::File => Ok(true),
            };
            match done {
                Ok(true) => {}
                Ok(false) => in_the_way(),
                Err(error) if os::is_in_the_way(&error) => in_the_way(),
                Err(error) => return Err(self.disk("write", &item, &error)),
            }
        }
        self.sync_joined(&mut dirs, &touched).map_err(failed)?;
        Ok(made)
    }

    /// Moves one whole file to its final name; `false` when something is there that may not be replaced.
    fn move_in(&self, path: &str, to: &Dir, name: &str) -> io::Result<bool> {
        let from = under(TREE, path);
        let (from, old) = lock(&self.tree).parent(&from, false)?;
        match os::rename_new(&from, old, to, name) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
        let regular = to.look(name)?.is_some_and(|stat| os::file_type(&stat) == FileType::RegularFile);
        if self.start.wish.conflict != OnConflict::Overwrite || !regular {
            return Ok(false);
        }
        // Whatever has the name at this moment: a rename replaces the name and follows nothing.
        rustix::fs::renameat(&from, old, to, name)?;
        Ok(true)
    }

    /// The same for a root that is a file.
    fn replace_root(&self, root: &str, note: &[u8]) -> Result<()> {
        let failed = |e: io::Error| FilesError::writing("replace", root, &e);
        let conflict = || FilesError::new(Trouble::Conflict, "replace", root, "another file has the name");
        if self.start.wish.conflict != OnConflict::Overwrite {
            return Err(conflict());
        }
        let stat = self.start.part.look(TREE).map_err(failed)?.ok_or_else(conflict)?;
        self.mark(root, Some(Mark::new(root, Ident::of(&stat), note, &self.start.digest))).map_err(failed)?;
        if self.move_in("", &self.start.target, root).map_err(failed)? { Ok(()) } else { Err(conflict()) }
    }

    fn sync_joined(&self, dirs: &mut Dirs, touched: &BTreeSet<String>) -> io::Result<()> {
        if self.in_memory {
            return Ok(());
        }
        if touched.len() > limits::SYNC_FILES && os::sync_all_of(&self.start.target)? {
            return Ok(());
        }
        for path in touched {
            dirs.dir(path, false)?.sync()?;
        }
        Ok(())
    }
}
