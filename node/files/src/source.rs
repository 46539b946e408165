//! What is to be sent: a file or a directory, listed once, then read block by block and watched for change.

mod export;
mod filter;
mod read;
mod shelf;
mod skips;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use clankers_protocol::{
    request::transfer::{Entry, EntryKind},
    transfer::{
        FileIdentity, SourceIdentity,
        manifest::{Builder, Manifest, ManifestError, ManifestLimits},
    },
};

pub use export::Export;
pub use read::SourceFile;
pub use shelf::Shelf;
pub use skips::Skips;

use crate::{
    dir::Dir,
    error::{FilesError, Result, Trouble},
    hash::{name_of, short_name_of},
    limits,
    os::Ident,
};

/// What of a source is sent.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Globs of what is left out: without a slash they are compared with names, with one with paths beneath the root; one
    /// that ends in a slash is for directories only.
    pub excludes: Vec<String>,
    /// Whether links are followed; otherwise they are left out. Never by an [`Export`].
    pub follow_links: bool,
    /// A directory that is left out wherever it is met: the node's own, with its key. Not when it is the root itself.
    pub never: Option<PathBuf>,
}

/// Why something of a source is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// A symbolic link, and links are not followed.
    #[error("it is a symbolic link; --follow-links sends what it points to")]
    Link,
    /// A link to nothing.
    #[error("it is a symbolic link to nothing")]
    BrokenLink,
    /// A link to a directory above itself.
    #[error("it leads back to a directory above it")]
    Loop,
    /// A pipe, socket or device.
    #[error("it is a {0}")]
    Special(&'static str),
    /// Its name is not UTF-8.
    #[error("its name is not UTF-8")]
    NotText,
    /// Its name may not travel.
    #[error("its name cannot be sent: {0}")]
    Name(String),
    /// Another name of the same directory differs in case or look only.
    #[error("on some systems its name is the same as that of {0}")]
    Twin(String),
    /// It is what [`Selection::never`] says.
    #[error("it is this node's own directory, with its key; name it yourself if you mean it")]
    Home,
    /// It lies too deep.
    #[error("it lies more than {} directories deep", limits::SOURCE_DEPTH)]
    TooDeep,
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// Something of a source that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path beneath the root, what is not UTF-8 replaced: dirty, to be cleaned before it is shown.
    pub path: String,
    /// Why.
    pub why: SkipReason,
}

/// One file or directory of a source.
#[derive(Debug, Clone)]
struct Kept {
    parent: u32,
    /// As it travels.
    name: Box<str>,
    /// As it is on the disk, when that is spelled otherwise (not composed).
    disk_name: Option<Box<str>>,
    kind: EntryKind,
    size: u64,
    mode: u32,
    mtime_ns: i64,
    ident: Ident,
    /// Whether a link leads to it.
    linked: bool,
}

impl Kept {
    fn disk_name(&self) -> &str {
        self.disk_name.as_deref().unwrap_or(&self.name)
    }

    fn identity(&self) -> FileIdentity {
        let numbers = [self.ident.dev, self.ident.ino, self.size, self.mtime_ns.cast_unsigned()];
        let bytes = numbers.map(u64::to_le_bytes);
        FileIdentity(short_name_of("clankers 2026 transfer file identity", &[bytes.as_flattened()]))
    }
}

/// A file or a directory with all that is to be sent of it, in the order of a manifest.
#[derive(Debug)]
pub struct Source {
    /// The directory in which the root stands.
    base: Dir,
    entries: Vec<Kept>,
    skipped: Skips,
    identity: SourceIdentity,
    total_bytes: u64,
    files: u32,
    /// Directories kept open, the one used last at the end.
    open: Mutex<Vec<(u32, Dir)>>,
}

impl Source {
    /// Lists what is at `path`. If the path itself is a link, what it points to is sent, under the link's name.
    ///
    /// # Errors
    /// `Vanished`, `Unreadable`, `NotSendable` (it is neither file nor directory, or its name cannot travel), `TooMany`,
    /// `Stopped` when `stop` became true, `Io`.
    pub fn walk(path: &Path, selection: &Selection, stop: &AtomicBool) -> Result<Self> {
        let shown = path.to_string_lossy();
        let failed = |e: std::io::Error| FilesError::reading("read", &shown, &e);
        let real = std::fs::canonicalize(path).map_err(failed)?;
        let refuse = |why: &str| FilesError::new(Trouble::NotSendable, "send", &shown, why);
        let disk_name = real.file_name().ok_or_else(|| refuse("it has no name of its own"))?;
        let disk_name = disk_name.to_str().ok_or_else(|| refuse("its name is not UTF-8"))?;
        let given = path.file_name().and_then(|name| name.to_str()).unwrap_or(disk_name);
        let base = Dir::open(real.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        walk::walk(base, disk_name, given, &real.to_string_lossy(), selection, stop)
    }

    /// The root's name, as it travels.
    #[must_use]
    pub fn name(&self) -> &str {
        self.entries.first().map_or("", |root| &root.name)
    }

    /// Says that it is the same source: a digest of path, device and inode of its root.
    #[must_use]
    pub fn identity(&self) -> SourceIdentity {
        self.identity
    }

    /// Whether it is a single file.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        self.entries.first().is_some_and(|root| root.kind == EntryKind::File)
    }

    /// How many entries there are: files, directories, the root among them.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none; there always is the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> u32 {
        self.files
    }

    /// How many directories there are, the root among them.
    #[must_use]
    pub fn dirs(&self) -> u32 {
        self.len().saturating_sub(self.files)
    }

    /// What is not sent. What the globs left out is not told.
    #[must_use]
    pub fn skipped(&self) -> &Skips {
        &self.skipped
    }

    /// An entry as it travels.
    #[must_use]
    pub fn entry(&self, index: u32) -> Option<Entry> {
        let kept = self.kept(index)?;
        Some(Entry {
            parent: kept.parent,
            name: kept.name.to_string(),
            kind: kept.kind,
            size: kept.size,
            mode: kept.mode,
            mtime_ns: kept.mtime_ns,
            id: kept.identity(),
        })
    }

    /// The manifest.
    ///
    /// # Errors
    /// [`ManifestError`] when the limits do not take it.
    pub fn manifest(&self, limits: ManifestLimits) -> std::result::Result<Manifest, ManifestError> {
        let mut builder = Builder::new(limits);
        for entry in (0..self.len()).filter_map(|index| self.entry(index)) {
            builder.push(&entry)?;
        }
        builder.finish()
    }

    /// An entry's path with the root's name in front; dirty only as names of one's own disk are.
    #[must_use]
    pub fn path(&self, index: u32) -> String {
        let mut names = Vec::new();
        let mut at = index;
        while let Some(kept) = self.kept(at) {
            names.push(&*kept.name);
            if at == kept.parent {
                break;
            }
            at = kept.parent;
        }
        names.reverse();
        names.join("/")
    }

    fn kept(&self, index: u32) -> Option<&Kept> {
        self.entries.get(usize::try_from(index).ok()?)
    }

    fn open(&self) -> MutexGuard<'_, Vec<(u32, Dir)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn source_identity(path: &str, ident: Ident) -> SourceIdentity {
    let numbers = [ident.dev.to_le_bytes(), ident.ino.to_le_bytes()];
    SourceIdentity(name_of("clankers 2026 transfer source", &[path.as_bytes(), numbers.as_flattened()]))
}
