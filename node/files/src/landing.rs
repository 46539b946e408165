//! One transfer on its way to its final name: part files, what is had of them, the end.

mod commit;
mod merge;
mod scan;
mod sync;
mod write;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_protocol::{
    request::transfer::{EntryKind, OnConflict},
    transfer::BlockSet,
};
use rustix::fs::OFlags;

pub use commit::Landed;
pub use scan::{Had, HadFrom, Plan};
pub use write::{Small, Written};

use crate::{
    about::{self, About, PartId},
    dir::{Dir, Dirs},
    error::{FilesError, Result, Trouble},
    journal::Journal,
    limits,
    listing::Item,
    os,
    place::{Guard, Place, Wish},
};

/// The name of what arrives, within its part directory: a file or a directory that is renamed at the end.
pub(crate) const TREE: &str = "tree";

/// What a landing starts with: everything found, made and locked.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) place: Place,
    /// Where the root gets its name.
    pub(crate) target: Dir,
    /// Where all part directories are.
    pub(crate) parts: Dir,
    /// Its own.
    pub(crate) part: Dir,
    pub(crate) id: PartId,
    pub(crate) journal: Journal,
    pub(crate) wish: Wish,
    /// Of its listing: see [`crate::listing::digest`].
    pub(crate) digest: String,
}

/// What is known of one item.
#[derive(Debug, Default, Clone)]
enum State {
    /// Nothing is had.
    #[default]
    None,
    /// Some blocks are in its part file.
    Partial(BlockSet),
    /// All of it is in its part file, verified and with its mode and time.
    Whole,
    /// A file of the same length has its final name.
    Offered,
    /// The file that has its final name is the same.
    Same,
    /// It will not land.
    Bad,
}

/// One transfer on its way to its final name. Dropping it keeps what has arrived.
///
/// All methods may be called from several threads.
#[derive(Debug)]
pub struct Landing {
    start: Start,
    about: Mutex<About>,
    resumes: bool,
    states: Mutex<Vec<State>>,
    /// What had its final name when it was looked at.
    offered: Mutex<BTreeMap<u32, os::Stamp>>,
    tree: Mutex<Dirs>,
    /// Part files kept open, the one used last at the end.
    open: Mutex<Vec<(u32, Arc<File>)>>,
    unsynced: Mutex<sync::Unsynced>,
    /// Permission bits that a file does not get when it is made (the process's umask, or the directory's rule).
    masked: u32,
    in_memory: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Landing {
    pub(crate) fn start(start: Start, about: About, resumes: bool) -> Result<Self> {
        let failed = |e: io::Error| FilesError::writing("prepare to receive", &start.wish.root_name, &e);
        about::write(&start.part, about::NAME, &about, false).map_err(failed)?;
        let masked = masked_bits(&start.part).map_err(failed)?;
        let in_memory = os::is_in_memory(&start.part);
        let count = usize::try_from(start.wish.listing.len()).unwrap_or(usize::MAX).min(limits::ENTRIES);
        Ok(Self {
            about: Mutex::new(about),
            resumes,
            states: Mutex::new(vec![State::None; count]),
            offered: Mutex::default(),
            tree: Mutex::new(Dirs::new(start.part.clone())),
            open: Mutex::default(),
            unsynced: Mutex::default(),
            masked,
            in_memory,
            start,
        })
    }

    /// The name that is reserved for it. What it gets at the end is said by [`Landing::commit`]: with `Rename` it differs
    /// when something else took the name meanwhile.
    #[must_use]
    pub fn name(&self) -> String {
        lock(&self.about).name.clone()
    }

    /// The id of its part directory.
    #[must_use]
    pub fn id(&self) -> &PartId {
        &self.start.id
    }

    /// Whether an earlier attempt left a part directory.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.resumes
    }

    /// Removes all that has arrived.
    ///
    /// # Errors
    /// `Io`.
    pub fn forget(self) -> Result<()> {
        let Start { parts, id, place, journal, .. } = self.start;
        let failed = |e: std::io::Error| FilesError::writing("remove", id.as_str(), &e);
        let guard = Guard::take(&parts).map_err(failed)?;
        parts.remove_tree(id.as_str()).map_err(failed)?;
        drop((journal, guard));
        place.tidy();
        Ok(())
    }

    fn error(&self, kind: Trouble, action: &'static str, item: &Item<'_>, why: &str) -> FilesError {
        FilesError::new(kind, action, &self.shown(item), why)
    }

    fn disk(&self, action: &'static str, item: &Item<'_>, error: &io::Error) -> FilesError {
        FilesError::writing(action, &self.shown(item), error)
    }

    /// The path of an item as people know it: with the root's name.
    fn shown(&self, item: &Item<'_>) -> String {
        under(&self.start.wish.root_name, &item.path)
    }

    fn item(&self, index: u32) -> Option<Item<'_>> {
        self.start.wish.listing.item(index)
    }

    /// A file that is wanted.
    fn file(&self, index: u32) -> Result<Item<'_>> {
        let root = &self.start.wish.root_name;
        let item = self.item(index).ok_or_else(|| {
            FilesError::new(Trouble::NoSuch, "receive a file of", root, "it has no such number")
        })?;
        if item.kind != EntryKind::File || !item.wanted {
            return Err(self.error(Trouble::NoSuch, "receive", &item, "it was not asked for"));
        }
        Ok(item)
    }

    /// All items that are wanted, with their numbers.
    fn wanted(&self) -> impl Iterator<Item = (u32, Item<'_>)> {
        let listing = &self.start.wish.listing;
        (0..listing.len()).filter_map(|at| Some((at, listing.item(at)?))).filter(|(_, item)| item.wanted)
    }

    fn state(&self, index: u32) -> State {
        let states = lock(&self.states);
        usize::try_from(index).ok().and_then(|at| states.get(at)).cloned().unwrap_or_default()
    }

    fn set_state(&self, index: u32, state: State) {
        with(&mut lock(&self.states), index, |at| *at = state);
    }

    fn joins(&self) -> bool {
        matches!(self.start.wish.conflict, OnConflict::Overwrite | OnConflict::Skip)
    }
}

fn with<T>(states: &mut [State], index: u32, act: impl FnOnce(&mut State) -> T) -> Option<T> {
    let at = usize::try_from(index).ok()?;
    states.get_mut(at).map(act)
}

/// A path beneath a name; the empty path is the name itself.
fn under(root: &str, path: &str) -> String {
    if path.is_empty() { root.to_owned() } else { format!("{root}/{path}") }
}

/// Which permission bits a new file does not get.
fn masked_bits(part: &Dir) -> io::Result<u32> {
    const PROBE: &str = "probe";
    part.unlink(PROBE)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let probe = part.file(PROBE, flags, limits::MODE_MASK)?;
    let bits = probe.metadata()?.permissions().mode() & limits::MODE_MASK;
    part.unlink(PROBE)?;
    Ok(limits::MODE_MASK & !bits)
}
