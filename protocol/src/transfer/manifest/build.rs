//! Takes a manifest in, entry by entry, and refuses the first that is not sound.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{MODE_BITS, Manifest, Packed, compare_siblings};
use crate::{
    limits::{PATH_BYTES, TRANSFER_BYTES, TRANSFER_DEPTH, TRANSFER_ENTRIES, TRANSFER_NAMES_BYTES},
    request::transfer::{Entry, EntryKind},
    text,
    transfer::name::{self, NameError},
};

/// What a manifest holds in all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files (count).
    pub files: u32,
    /// Directories (count).
    pub dirs: u32,
}

impl Totals {
    fn entries(self) -> u64 {
        u64::from(self.files) + u64::from(self.dirs)
    }
}

/// What a receiver takes in one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestLimits {
    /// Files and directories (count).
    pub entries: u32,
    /// Bytes of all files.
    pub bytes: u64,
    /// Parts of one path, the root's name counted in.
    pub depth: usize,
}

impl Default for ManifestLimits {
    fn default() -> Self {
        Self { entries: TRANSFER_ENTRIES, bytes: TRANSFER_BYTES, depth: TRANSFER_DEPTH }
    }
}

/// Why a manifest is refused. Names in it are clean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A name is not safe.
    #[error("the name \"{name}\" cannot be received: {error}")]
    Name {
        /// The name, cleaned.
        name: String,
        /// Why.
        error: NameError,
    },
    /// Two entries of one directory are the same, or would be where case does not count.
    #[error("two names in one directory are the same where case or composition do not count: \"{name}\"")]
    Twin {
        /// The second of them, cleaned.
        name: String,
    },
    /// An entry is beneath a file.
    #[error("\"{name}\" is beneath something that is a file")]
    BeneathFile {
        /// The entry's name, cleaned.
        name: String,
    },
    /// An entry's directory is none of those before it.
    #[error("\"{name}\" names a directory that did not come before it")]
    NoParent {
        /// The entry's name, cleaned.
        name: String,
    },
    /// The order is not that of a manifest.
    #[error("\"{name}\" is not in its place: entries come in order, each directory's together")]
    Order {
        /// The entry's name, cleaned.
        name: String,
    },
    /// A directory claims to have bytes.
    #[error("the directory \"{name}\" claims a size")]
    DirectorySize {
        /// The directory's name, cleaned.
        name: String,
    },
    /// The root is called otherwise than was announced.
    #[error("the first entry is not the root that was announced")]
    RootName,
    /// Nothing was announced or came.
    #[error("there is nothing in it")]
    Nothing,
    /// More files and directories than are taken.
    #[error("it has {got} files and directories, the limit here is {limit}")]
    TooMany {
        /// How many (count).
        got: u64,
        /// How many are taken (count).
        limit: u32,
    },
    /// More bytes than are taken.
    #[error("it has {got} bytes, the limit here is {limit}")]
    TooLarge {
        /// How many; the largest number when they are more than a number holds.
        got: u64,
        /// How many are taken.
        limit: u64,
    },
    /// A path has more parts than are taken.
    #[error("\"{name}\" is {got} levels deep, the limit here is {limit}")]
    TooDeep {
        /// The entry's whole path, cleaned.
        name: String,
        /// Parts of its path (count).
        got: usize,
        /// What is taken (count).
        limit: usize,
    },
    /// A path is longer than paths are.
    #[error("the path of \"{name}\" has {got} bytes, the limit is {PATH_BYTES}")]
    PathTooLong {
        /// The entry's name, cleaned.
        name: String,
        /// Bytes of its path.
        got: usize,
    },
    /// All names together are too long.
    #[error("its names have more than {TRANSFER_NAMES_BYTES} bytes in all")]
    NamesTooLong,
    /// What came is not what was announced.
    #[error("it has {came} {what}, {announced} were announced")]
    Totals {
        /// Of what.
        what: &'static str,
        /// How many came.
        came: u64,
        /// How many were announced.
        announced: u64,
    },
}

/// A directory whose entries are coming.
#[derive(Debug, Clone, Copy)]
struct Open {
    index: u32,
    /// Bytes of its path, with the root's name.
    path_len: usize,
    /// Its last entry so far.
    last: Option<u32>,
}

/// Makes a [`Manifest`], of what a peer says or of what a disk holds. After an error it is of no more use.
#[derive(Debug)]
pub struct Builder {
    limits: ManifestLimits,
    announced: Option<Totals>,
    manifest: Manifest,
    /// From the root down to the directory of the last entry.
    open: Vec<Open>,
    /// Directory and folded name of each entry, hashed: half of a BLAKE3 is enough that nobody finds two.
    twins: BTreeSet<u128>,
}

impl Builder {
    /// For a tree of one's own: what it holds is counted.
    #[must_use]
    pub fn new(limits: ManifestLimits) -> Self {
        Self {
            limits,
            announced: None,
            manifest: Manifest { names: String::new(), entries: Vec::new(), totals: Totals::default() },
            open: Vec::new(),
            twins: BTreeSet::new(),
        }
    }

    /// For a manifest that was announced with these totals: what comes has to keep to them.
    ///
    /// # Errors
    /// [`ManifestError`] when they are over the limits.
    pub fn announced(limits: ManifestLimits, totals: Totals) -> Result<Self, ManifestError> {
        let entries = totals.entries();
        if entries == 0 {
            return Err(ManifestError::Nothing);
        }
        if entries > u64::from(limits.entries) {
            return Err(ManifestError::TooMany { got: entries, limit: limits.entries });
        }
        if totals.bytes > limits.bytes {
            return Err(ManifestError::TooLarge { got: totals.bytes, limit: limits.bytes });
        }
        Ok(Self { announced: Some(totals), ..Self::new(limits) })
    }

    /// Entries so far (count).
    #[must_use]
    pub fn len(&self) -> u32 {
        self.manifest.len()
    }

    /// Whether none came yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.manifest.is_empty()
    }

    /// Whether as many came as were announced.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.announced.is_some_and(|totals| totals.entries() <= u64::from(self.len()))
    }

    /// Takes in the next entry; its index.
    ///
    /// # Errors
    /// [`ManifestError`] for the first thing about it that is not sound.
    pub fn push(&mut self, entry: &Entry) -> Result<u32, ManifestError> {
        let index = self.len();
        name::check_part(&entry.name)
            .map_err(|error| ManifestError::Name { name: shown(&entry.name), error })?;
        if entry.kind == EntryKind::Dir && entry.size != 0 {
            return Err(ManifestError::DirectorySize { name: shown(&entry.name) });
        }
        self.count(entry)?;
        let path_len = self.place(index, entry)?;
        let packed = self.pack(entry)?;
        self.manifest.entries.push(packed);
        if entry.kind == EntryKind::Dir {
            self.open.push(Open { index, path_len, last: None });
        }
        Ok(index)
    }

    fn count(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        let mut totals = self.manifest.totals;
        match entry.kind {
            EntryKind::File => totals.files = totals.files.saturating_add(1),
            EntryKind::Dir => totals.dirs = totals.dirs.saturating_add(1),
        }
        totals.bytes = totals.bytes.saturating_add(entry.size);
        if totals.entries() > u64::from(self.limits.entries) {
            return Err(ManifestError::TooMany { got: totals.entries(), limit: self.limits.entries });
        }
        if totals.bytes > self.limits.bytes {
            return Err(ManifestError::TooLarge { got: totals.bytes, limit: self.limits.bytes });
        }
        if let Some(announced) = self.announced {
            let pairs = [
                ("bytes", totals.bytes, announced.bytes),
                ("files", totals.files.into(), announced.files.into()),
                ("directories", totals.dirs.into(), announced.dirs.into()),
            ];
            if let Some((what, came, announced)) = pairs.into_iter().find(|(_, came, said)| came > said) {
                return Err(ManifestError::Totals { what, came, announced });
            }
        }
        self.manifest.totals = totals;
        Ok(())
    }

    /// Finds the entry's place in the tree; the length of its path in bytes.
    fn place(&mut self, index: u32, entry: &Entry) -> Result<usize, ManifestError> {
        if index == 0 {
            return if entry.parent == 0 { Ok(entry.name.len()) } else { Err(no_parent(entry)) };
        }
        if self.manifest.file(entry.parent).is_some() {
            return Err(ManifestError::BeneathFile { name: shown(&entry.name) });
        }
        if entry.parent >= index {
            return Err(no_parent(entry));
        }
        // A directory that is closed already cannot be gone back to: there is one order.
        let Some(depth) = self.open.iter().rposition(|open| open.index == entry.parent) else {
            return Err(ManifestError::Order { name: shown(&entry.name) });
        };
        self.open.truncate(depth + 1);
        let parts = depth + 2;
        if parts > self.limits.depth {
            return Err(ManifestError::TooDeep {
                name: self.path_of(entry),
                got: parts,
                limit: self.limits.depth,
            });
        }
        let Some(open) = self.open.last_mut() else { return Err(no_parent(entry)) };
        let path_len = open.path_len + 1 + entry.name.len();
        if path_len > PATH_BYTES {
            return Err(ManifestError::PathTooLong { name: shown(&entry.name), got: path_len });
        }
        let last = open.last.replace(index).and_then(|last| self.manifest.get(last));
        let twin = twin_key(entry.parent, &entry.name);
        if !self.twins.insert(twin) {
            return Err(ManifestError::Twin { name: shown(&entry.name) });
        }
        let in_order = last.is_none_or(|last| {
            compare_siblings((last.name, last.kind), (&entry.name, entry.kind)) == Ordering::Less
        });
        if in_order { Ok(path_len) } else { Err(ManifestError::Order { name: shown(&entry.name) }) }
    }

    /// The whole path of an entry of the directory that came last, shown.
    fn path_of(&self, entry: &Entry) -> String {
        let above = self.open.iter().filter_map(|open| self.manifest.get(open.index)).map(|above| above.name);
        let parts: Vec<&str> = above.chain([entry.name.as_str()]).collect();
        text::line(&parts.join("/"), PATH_CHARS)
    }

    fn pack(&mut self, entry: &Entry) -> Result<Packed, ManifestError> {
        let name_at = self.manifest.names.len();
        if name_at + entry.name.len() > TRANSFER_NAMES_BYTES {
            return Err(ManifestError::NamesTooLong);
        }
        self.manifest.names.push_str(&entry.name);
        Ok(Packed {
            size: entry.size,
            mtime_ns: entry.mtime_ns,
            id: entry.id,
            parent: entry.parent,
            name_at: u32::try_from(name_at).map_err(|_| ManifestError::NamesTooLong)?,
            mode: u16::try_from(entry.mode & MODE_BITS).unwrap_or_default(),
            name_len: u8::try_from(entry.name.len()).map_err(|_| ManifestError::NamesTooLong)?,
            is_dir: entry.kind == EntryKind::Dir,
        })
    }

    /// The whole.
    ///
    /// # Errors
    /// [`ManifestError`] when nothing came, or less than was announced.
    pub fn finish(mut self) -> Result<Manifest, ManifestError> {
        let totals = self.manifest.totals;
        if self.manifest.is_empty() {
            return Err(ManifestError::Nothing);
        }
        if let Some(announced) = self.announced {
            let pairs = [
                ("files", totals.files.into(), announced.files.into()),
                ("directories", totals.dirs.into(), announced.dirs.into()),
                ("bytes", totals.bytes, announced.bytes),
            ];
            if let Some((what, came, announced)) = pairs.into_iter().find(|(_, came, said)| came != said) {
                return Err(ManifestError::Totals { what, came, announced });
            }
        }
        self.manifest.entries.shrink_to_fit();
        self.manifest.names.shrink_to_fit();
        Ok(self.manifest)
    }
}

/// Characters of a path in an error.
const PATH_CHARS: usize = 400;

fn shown(name: &str) -> String {
    text::line(name, 80)
}

fn no_parent(entry: &Entry) -> ManifestError {
    ManifestError::NoParent { name: shown(&entry.name) }
}

fn twin_key(parent: u32, part: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parent.to_le_bytes());
    hasher.update(name::fold(part).as_bytes());
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    u128::from_le_bytes(half)
}
