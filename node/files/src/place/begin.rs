//! A transfer begins or goes on: its part directory, its lock, the name it will have.

use std::{collections::BTreeSet, fmt, io, sync::Arc};

use clankers_protocol::{
    request::transfer::{EntryKind, OnConflict},
    transfer::{SourceIdentity, TransferId},
};
use rustix::fs::FileType;

use super::{Guard, Place, part_ids};
use crate::{
    about::{self, About, Done, PartId, now_ms, unhex},
    dir::Dir,
    error::{FilesError, Result, Trouble},
    journal::Journal,
    landing::{Landing, Start, TREE},
    limits,
    listing::{Listing, digest, name_fault, numbered, path_fault},
    os::{self, Ident},
};

/// What a transfer wants of a place.
pub struct Wish {
    /// Who sends: what is unfinished goes on for the same one only.
    pub principal: String,
    /// A directory beneath the place, made when missing; `None` for the place itself.
    pub to: Option<String>,
    /// The name that the sender gave the root.
    pub root_name: String,
    /// What tells that it is the same source.
    pub source: SourceIdentity,
    /// The transfer's id: one that landed already is not received again.
    pub transfer_id: TransferId,
    /// What happens when the name is taken. `Rename` gives the root another name; `Overwrite` replaces files and joins
    /// directories; `Skip` leaves identical files as they are, joins directories, and calls other files a conflict.
    pub conflict: OnConflict,
    /// What is to arrive.
    pub listing: Arc<dyn Listing>,
    /// Kept with what is unfinished, for those who look at it later (at most [`limits::NOTE_BYTES`] as JSON).
    pub note: serde_json::Value,
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish")
            .field("root_name", &self.root_name)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// How a transfer begins.
#[derive(Debug)]
pub enum Begun {
    /// It can be received; [`Landing::scan`] comes first.
    Landing(Box<Landing>),
    /// It landed already, and the sender did not hear of it.
    Done {
        /// Under this name.
        name: String,
        /// What was given to [`Landing::commit`].
        note: Vec<u8>,
    },
}

impl Place {
    /// Begins a transfer or goes on with it: makes or finds its part directory and locks it, reserves a name.
    ///
    /// # Errors
    /// `Busy` when the same transfer is running, `Conflict` when the name is taken and may not be, `BadPlace` when `to`
    /// leads through a link or a path is not safe, `TooMany`, `NoSpace`, `Io`.
    pub fn begin(&self, wish: Wish) -> Result<Begun> {
        let shape = check(&wish)?;
        let name = wish.root_name.clone();
        let failed = |e: io::Error| FilesError::writing("prepare to receive", &name, &e);
        let to = wish.to.clone().unwrap_or_default();
        let target = self.target(&to)?;
        // Held until the transfer has its lock and its name.
        let (parts, _guard) = Guard::ready(&self.base).map_err(failed)?;
        // What cannot be removed is in nobody's way.
        let _ = parts.finish_removals();
        let id = PartId::of(&wish.principal, &to, &wish.root_name, &wish.source);
        let transfer_id = wish.transfer_id.to_string();
        let done: Option<Done> = about::read(&parts, &id.done_name());
        if let Some(done) = done.filter(|done| done.answers(&transfer_id, &shape.digest)) {
            remove_left_over(&parts, &id, &transfer_id).map_err(failed)?;
            return Ok(Begun::Done { name: done.name, note: unhex(&done.note) });
        }
        let others = self.others(&parts, &id, &to)?;
        let (part, made) = part_dir(&parts, &id).map_err(failed)?;
        let Some(journal) = Journal::open(&part).map_err(failed)? else {
            return Err(FilesError::new(Trouble::Busy, "receive", &name, "the same transfer is running"));
        };
        let old: Option<About> = if made { None } else { about::read(&part, about::NAME) };
        let start =
            Start { place: self.clone(), target, parts, part, id, journal, wish, digest: shape.digest };
        let landed = landed_before(&start, old.as_ref()).map_err(failed)?;
        if let Some(done) = landed.filter(|done| done.answers(&transfer_id, &start.digest)) {
            start.finish(&done, None, true).map_err(failed)?;
            return Ok(Begun::Done { name: done.name, note: unhex(&done.note) });
        }
        if start.part.look(TREE).map_err(failed)?.is_none() {
            // The journal of what landed, of another transfer of the same source, or of what somebody removed.
            start.journal.clear().map_err(failed)?;
        }
        let old_name = old.as_ref().map(|about| about.name.as_str());
        let chosen = choose_name(&start, old_name, &others, shape.single_file).inspect_err(|_| {
            // What was refused leaves nothing.
            if made && start.parts.remove_tree(start.id.as_str()).is_ok() {
                self.tidy_guarded();
            }
        })?;
        let about = About {
            transfer_id,
            principal: start.wish.principal.clone(),
            to,
            root_name: name.clone(),
            name: chosen,
            single_file: shape.single_file,
            total_bytes: shape.bytes,
            files: shape.files,
            started_ms: old.as_ref().map_or_else(now_ms, |about| about.started_ms),
            note: start.wish.note.clone(),
            landing: None,
        };
        Ok(Begun::Landing(Box::new(Landing::start(start, about, !made)?)))
    }

    /// The directory in which the root gets its name.
    fn target(&self, to: &str) -> Result<Dir> {
        let mut at = self.base.clone();
        for name in to.split('/').filter(|name| !name.is_empty()) {
            at = at.sub_or_make(name).map_err(|e| FilesError::writing("open the directory", to, &e))?.0;
        }
        Ok(at)
    }

    /// The names that other unfinished transfers of the same directory have reserved.
    fn others(&self, parts: &Dir, id: &PartId, to: &str) -> Result<BTreeSet<String>> {
        let failed =
            |e: io::Error| FilesError::writing("list the unfinished transfers in", &self.shown(), &e);
        let ids = part_ids(parts).map_err(failed)?;
        if ids.len() >= limits::PARTS && !ids.contains(id) {
            let why = format!("{} transfers are unfinished there", ids.len());
            return Err(FilesError::new(Trouble::TooMany, "receive into", &self.shown(), why));
        }
        let abouts = ids
            .iter()
            .filter(|other| *other != id)
            .filter_map(|other| about::read::<About>(&parts.sub(other.as_str()).ok()?, about::NAME));
        Ok(abouts.filter(|about| about.to == to).map(|about| about.name).collect())
    }
}

/// The part directory, and whether it was made now.
fn part_dir(parts: &Dir, id: &PartId) -> io::Result<(Dir, bool)> {
    match parts.look(id.as_str())? {
        // Not a directory, where only we make names.
        Some(stat) if os::file_type(&stat) != FileType::Directory => parts.unlink(id.as_str())?,
        _ => {}
    }
    parts.sub_or_make(id.as_str())
}

/// Removes what a kill left of the part directory of a transfer that landed, and nothing of a later one.
fn remove_left_over(parts: &Dir, id: &PartId, transfer_id: &str) -> io::Result<()> {
    let Ok(part) = parts.sub(id.as_str()) else { return Ok(()) };
    let about: Option<About> = about::read(&part, about::NAME);
    let of_another = about.is_some_and(|about| about.transfer_id != transfer_id);
    match Journal::open(&part)? {
        Some(_free) if !of_another => parts.remove_tree(id.as_str()),
        _ => Ok(()),
    }
}

struct Shape {
    single_file: bool,
    bytes: u64,
    files: u64,
    digest: String,
}

/// Refuses what could lead elsewhere, and counts.
fn check(wish: &Wish) -> Result<Shape> {
    let refuse = |path: &str, why: &str| FilesError::new(Trouble::BadPlace, "receive", path, why);
    let ours = |name: &str| name.eq_ignore_ascii_case(limits::PARTS_DIR);
    let root = &wish.root_name;
    if let Some(fault) = name_fault(root) {
        return Err(refuse(root, fault));
    }
    let to = wish.to.as_deref().unwrap_or_default();
    let fault = if to.is_empty() { None } else { path_fault(to) };
    if let Some(fault) = fault {
        return Err(refuse(to, fault));
    }
    if ours(root) || to.split('/').any(ours) {
        return Err(refuse(root, "this is the name of the directory for unfinished transfers"));
    }
    if wish.note.to_string().len() > limits::NOTE_BYTES {
        return Err(FilesError::new(Trouble::TooMany, "receive", root, "the note kept with it is too long"));
    }
    let mut shape = Shape { single_file: false, bytes: 0, files: 0, digest: digest(&*wish.listing) };
    for index in 0..wish.listing.len() {
        let Some(item) = wish.listing.item(index) else { continue };
        if item.path.is_empty() {
            shape.single_file |= item.kind == EntryKind::File;
            if shape.single_file && wish.listing.len() != 1 {
                return Err(refuse(root, "a file cannot have something in it"));
            }
        } else if let Some(fault) = path_fault(&item.path) {
            return Err(refuse(&item.path, fault));
        }
        if item.wanted && item.kind == EntryKind::File {
            shape.bytes = shape.bytes.saturating_add(item.size);
            shape.files = shape.files.saturating_add(1);
        }
    }
    Ok(shape)
}

/// Whether what lay in the part directory got its final name before a kill: the mark says which, and it is there.
fn landed_before(start: &Start, old: Option<&About>) -> io::Result<Option<Done>> {
    let Some((old, mark)) = old.and_then(|old| Some((old, old.landing.as_ref()?))) else { return Ok(None) };
    if start.part.look(TREE)?.is_some() {
        return Ok(None);
    }
    let there = start.target.look(&mark.name)?.is_some_and(|stat| Ident::of(&stat) == mark.ident());
    Ok(there.then(|| Done {
        transfer_id: old.transfer_id.clone(),
        name: mark.name.clone(),
        note: mark.note.clone(),
        listing: mark.listing.clone(),
        principal: old.principal.clone(),
    }))
}

/// The name that the root will have, as far as that can be known now.
fn choose_name(
    start: &Start,
    old: Option<&str>,
    others: &BTreeSet<String>,
    single_file: bool,
) -> Result<String> {
    let root = &start.wish.root_name;
    let look =
        |name: &str| start.target.look(name).map_err(|e| FilesError::writing("look for the name", name, &e));
    let conflict = |why: &str| FilesError::new(Trouble::Conflict, "receive", root, why);
    match start.wish.conflict {
        OnConflict::Overwrite | OnConflict::Skip => {
            let kind = look(root)?.map(|stat| os::file_type(&stat));
            let fitting = if single_file { FileType::RegularFile } else { FileType::Directory };
            match kind {
                Some(kind) if kind != fitting => Err(conflict("something of another kind has the name")),
                _ => Ok(root.clone()),
            }
        }
        OnConflict::Refuse if look(root)?.is_some() => Err(conflict("something has that name already")),
        OnConflict::Refuse if others.contains(root) => {
            Err(conflict("another transfer has reserved the name"))
        }
        OnConflict::Refuse => Ok(root.clone()),
        OnConflict::Rename => {
            let tried = (1..=limits::RENAMES).map(|number| numbered(root, number, !single_file));
            // The name that was reserved before is asked for first.
            let names = old.map(str::to_owned).into_iter().chain([root.clone()]).chain(tried);
            for name in names {
                if !others.contains(&name) && look(&name)?.is_none() {
                    return Ok(name);
                }
            }
            Err(conflict("ten thousand names like it are taken"))
        }
    }
}
