//! What is to be sent: a tree of files and directories under one root, checked entry by entry as it comes.
//!
//! The order is fixed: depth first, and within a directory by the bytes of names, with a `/` after those of directories
//! (as in git's trees), so that files come in the byte order of whole paths. It makes one form of each tree, lets the
//! checks run with no more memory than the path that is open, and makes a directory's root a hash that anybody can
//! compute: see [`directory_root`].
//!
//! An entry takes 48 bytes and its own name; while the manifest is taken in some 40 more, by which twins are found.

mod build;

use std::cmp::Ordering;

pub use build::{Builder, ManifestError, ManifestLimits, Totals};

use super::{FileIdentity, Root};
use crate::{
    limits::{TRANSFER_PAGE_BYTES, TRANSFER_PAGE_ENTRIES},
    request::transfer::{Entry, EntryKind},
};

/// The permission bits that travel: no setuid, no setgid, no sticky.
pub const MODE_BITS: u32 = 0o777;

/// Bytes of an entry on the wire besides its name, at most.
const ENTRY_BYTES: usize = 64;

/// An entry as it is kept.
#[derive(Debug, Clone, Copy)]
struct Packed {
    size: u64,
    mtime_ns: i64,
    id: FileIdentity,
    parent: u32,
    name_at: u32,
    mode: u16,
    name_len: u8,
    is_dir: bool,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Index of its directory; the root's own for the root.
    pub parent: u32,
    /// Its name in that directory: one safe part.
    pub name: &'a str,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// Permission bits, within [`MODE_BITS`].
    pub mode: u32,
    /// When it was changed last (nanoseconds since 1970).
    pub mtime_ns: i64,
    /// Says whether it is still the same.
    pub id: FileIdentity,
}

/// A whole manifest whose every name and number was checked. Made only by a [`Builder`].
#[derive(Debug, Clone)]
pub struct Manifest {
    names: String,
    entries: Vec<Packed>,
    totals: Totals,
}

/// The order of two entries of one directory.
#[must_use]
pub fn compare_siblings(a: (&str, EntryKind), b: (&str, EntryKind)) -> Ordering {
    let key = |(name, kind): (&str, EntryKind)| -> (Vec<u8>, EntryKind) {
        let mut bytes = name.as_bytes().to_vec();
        if kind == EntryKind::Dir {
            bytes.push(b'/');
        }
        (bytes, kind)
    };
    // Without a copy, unless one name begins like the other.
    let common = a.0.len().min(b.0.len());
    match (a.0.as_bytes().get(..common), b.0.as_bytes().get(..common)) {
        (Some(left), Some(right)) if left != right => left.cmp(right),
        _ => key(a).cmp(&key(b)),
    }
}

impl Manifest {
    /// Entries, the root's counted in.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Never: there is a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What there is in all.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The entry with this index.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<EntryRef<'_>> {
        self.packed(index).map(|entry| self.entry(entry))
    }

    /// All entries with their indexes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, EntryRef<'_>)> {
        (0..).zip(self.entries.iter().map(|entry| self.entry(entry)))
    }

    /// The files with their indexes, in order.
    pub fn files(&self) -> impl Iterator<Item = (u32, EntryRef<'_>)> {
        self.iter().filter(|(_, entry)| entry.kind == EntryKind::File)
    }

    /// The file with this index; `None` for a directory too.
    #[must_use]
    pub fn file(&self, index: u32) -> Option<EntryRef<'_>> {
        self.get(index).filter(|entry| entry.kind == EntryKind::File)
    }

    /// The root's name.
    #[must_use]
    pub fn root_name(&self) -> &str {
        self.get(0).map_or("", |root| root.name)
    }

    /// Whether the root is a file.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        self.file(0).is_some()
    }

    /// The path with the root's name in front.
    #[must_use]
    pub fn path(&self, index: u32) -> Option<String> {
        let below = self.below(index)?;
        Some(if below.is_empty() {
            self.root_name().to_owned()
        } else {
            format!("{}/{below}", self.root_name())
        })
    }

    /// The path beneath the root; empty for the root itself.
    #[must_use]
    pub fn below(&self, index: u32) -> Option<String> {
        let mut parts = Vec::new();
        let mut at = index;
        let mut entry = self.packed(at)?;
        while at != 0 {
            parts.push(self.name(entry));
            at = entry.parent;
            entry = self.packed(at)?;
        }
        parts.reverse();
        Some(parts.join("/"))
    }

    /// The entries as they travel, in pages that fit into frames.
    pub fn pages(&self) -> impl Iterator<Item = Vec<Entry>> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let page = self.page(next);
            next += u32::try_from(page.len()).unwrap_or(u32::MAX);
            (!page.is_empty()).then_some(page)
        })
    }

    /// The page that begins with this entry; empty past the end.
    #[must_use]
    pub fn page(&self, from: u32) -> Vec<Entry> {
        let mut bytes = 0;
        (from..self.len())
            .take(TRANSFER_PAGE_ENTRIES)
            .map_while(|index| self.get(index))
            .take_while(|entry| {
                let fits = bytes < TRANSFER_PAGE_BYTES;
                bytes += ENTRY_BYTES + entry.name.len();
                fits
            })
            .map(|entry| Entry {
                parent: entry.parent,
                name: entry.name.to_owned(),
                kind: entry.kind,
                size: entry.size,
                mode: entry.mode,
                mtime_ns: entry.mtime_ns,
                id: entry.id,
            })
            .collect()
    }

    fn packed(&self, index: u32) -> Option<&Packed> {
        self.entries.get(usize::try_from(index).ok()?)
    }

    fn name(&self, entry: &Packed) -> &str {
        let from = usize::try_from(entry.name_at).unwrap_or(usize::MAX);
        self.names.get(from..from.saturating_add(usize::from(entry.name_len))).unwrap_or("")
    }

    fn entry(&self, entry: &Packed) -> EntryRef<'_> {
        EntryRef {
            parent: entry.parent,
            name: self.name(entry),
            kind: if entry.is_dir { EntryKind::Dir } else { EntryKind::File },
            size: entry.size,
            mode: u32::from(entry.mode),
            mtime_ns: entry.mtime_ns,
            id: entry.id,
        }
    }
}

/// A directory's root: BLAKE3 of its check file, which has a line for each file, `<root> two spaces <path beneath>`, in
/// byte order of paths. In the directory itself the same comes of
///
/// ```text
/// find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 b3sum | b3sum
/// ```
///
/// Files of which `root` knows none are left out: they did not arrive. (`b3sum` writes names with a backslash or a line
/// feed differently; no safe name has one.)
#[must_use]
pub fn directory_root(manifest: &Manifest, root: impl Fn(u32) -> Option<Root>) -> Root {
    let mut hasher = blake3::Hasher::new();
    for (index, _) in manifest.files() {
        if let (Some(root), Some(path)) = (root(index), manifest.below(index)) {
            hasher.update(format!("{root}  {path}\n").as_bytes());
        }
    }
    Root(*hasher.finalize().as_bytes())
}

/// The root of what a manifest says: the file's own where it is one file, else the directory's.
#[must_use]
pub fn whole_root(manifest: &Manifest, root: impl Fn(u32) -> Option<Root>) -> Root {
    let single = manifest.is_single_file().then(|| root(0)).flatten();
    single.unwrap_or_else(|| directory_root(manifest, root))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(parent: u32, name: &str, kind: EntryKind, size: u64) -> Entry {
        let id = FileIdentity([1; 16]);
        Entry { parent, name: name.into(), kind, size, mode: 0o6755, mtime_ns: -5, id }
    }

    fn build(entries: &[Entry]) -> Manifest {
        let mut builder = Builder::new(ManifestLimits::default());
        entries.iter().for_each(|entry| assert!(builder.push(entry).is_ok(), "{entry:?}"));
        builder.finish().unwrap()
    }

    #[test]
    fn a_tree_is_kept_as_it_came() {
        let manifest = build(&[
            entry(0, "r", EntryKind::Dir, 0),
            entry(0, "a.txt", EntryKind::File, 3),
            entry(0, "a", EntryKind::Dir, 0),
            entry(2, "b", EntryKind::Dir, 0),
            entry(3, "c", EntryKind::File, 4),
            entry(2, "d", EntryKind::File, 5),
        ]);
        let paths: Vec<_> = (0..7).map(|index| manifest.path(index)).collect();
        let wanted = ["r", "r/a.txt", "r/a", "r/a/b", "r/a/b/c", "r/a/d"].map(|path| Some(path.to_owned()));
        assert_eq!(paths[..6], wanted);
        assert_eq!(
            (&paths[6], manifest.below(0), manifest.below(4)),
            (&None, Some("".into()), Some("a/b/c".into()))
        );
        assert_eq!(manifest.totals(), Totals { bytes: 12, files: 3, dirs: 3 });
        let first = manifest.get(1).unwrap();
        assert_eq!((first.mode, first.mtime_ns, first.size), (0o755, -5, 3), "no setuid travels");
        assert!(!manifest.is_single_file() && manifest.file(0).is_none());
        assert_eq!(manifest.root_name(), "r");
    }

    #[test]
    fn an_entry_takes_no_more_than_is_said() {
        assert_eq!(size_of::<Packed>(), 48);
    }

    #[test]
    fn a_directorys_root_is_that_of_its_check_file() {
        let manifest = build(&[
            entry(0, "r", EntryKind::Dir, 0),
            entry(0, "a.txt", EntryKind::File, 3),
            entry(0, "a", EntryKind::Dir, 0),
            entry(2, "ü", EntryKind::File, 4),
            entry(0, "b", EntryKind::File, 5),
        ]);
        let root = |index: u32| (index != 4).then_some(Root([u8::try_from(index).unwrap(); 32]));
        let text = format!("{}  a.txt\n{}  a/ü\n", "01".repeat(32), "03".repeat(32));
        assert_eq!(directory_root(&manifest, root).0, *blake3::hash(text.as_bytes()).as_bytes());
        let single = build(&[entry(0, "f", EntryKind::File, 1)]);
        assert_eq!(whole_root(&single, |_| Some(Root([7; 32]))), Root([7; 32]));
        assert_eq!(whole_root(&single, |_| None), directory_root(&single, |_| None));
    }

    #[test]
    fn pages_fit_into_frames_and_hold_everything() {
        use crate::{limits::UNAUTHENTICATED_FRAME_BYTES, message::Message, request::transfer::FileManifest};
        let name = |n: usize| format!("{n:06}{}", "x".repeat(n % 249));
        let files = (0..6_000).map(|n| Entry { size: 1 << 31, ..entry(0, &name(n), EntryKind::File, 0) });
        let entries: Vec<Entry> = std::iter::once(entry(0, "r", EntryKind::Dir, 0)).chain(files).collect();
        let manifest = build(&entries);
        let mut again = Builder::announced(ManifestLimits::default(), manifest.totals()).unwrap();
        for entries in manifest.pages() {
            let page = FileManifest { entries, ext: crate::message::Ext::default() };
            let body = page.encode();
            assert!(body.len() < usize::try_from(UNAUTHENTICATED_FRAME_BYTES).unwrap());
            for entry in FileManifest::decode(&body).unwrap().entries {
                assert!(again.push(&entry).is_ok());
            }
        }
        assert!(again.is_complete());
        assert_eq!(again.finish().unwrap().len(), manifest.len());
    }

    proptest! {
        #[test]
        fn files_come_in_the_byte_order_of_their_paths(
            paths in prop::collection::btree_set("[a-c.! -]{1,3}(/[a-c.! -]{1,3}){0,3}", 1..20)
        ) {
            // A tree of these paths, as a walker makes it: each directory sorted by itself.
            fn walk(paths: &[Vec<&str>], parent: u32, out: &mut Vec<Entry>) {
                let mut below: Vec<(&str, EntryKind)> = Vec::new();
                for path in paths {
                    let kind = if path.len() > 1 { EntryKind::Dir } else { EntryKind::File };
                    if !below.iter().any(|(name, _)| *name == path[0]) {
                        below.push((path[0], kind));
                    }
                }
                below.sort_by(|a, b| compare_siblings(*a, *b));
                for (name, kind) in below {
                    let index = u32::try_from(out.len()).unwrap();
                    out.push(entry(parent, name, kind, 0));
                    let inner: Vec<Vec<&str>> = paths.iter().filter(|path| path[0] == name && path.len() > 1)
                        .map(|path| path[1..].to_vec()).collect();
                    if kind == EntryKind::Dir {
                        walk(&inner, index, out);
                    }
                }
            }
            let fine: Vec<Vec<&str>> = paths.iter().filter(|path| super::super::SafePath::parse(path).is_ok())
                .map(|path| path.split('/').collect()).collect();
            let is_file = |path: &[&str]| fine.iter().any(|other| other.as_slice() == path);
            let fine: Vec<Vec<&str>> = fine.iter()
                .filter(|path| !(1..path.len()).any(|n| is_file(&path[..n]))).cloned().collect();
            let mut entries = vec![entry(0, "r", EntryKind::Dir, 0)];
            walk(&fine, 0, &mut entries);
            let manifest = build(&entries);
            let files: Vec<String> = manifest.files().filter_map(|(index, _)| manifest.below(index)).collect();
            prop_assert!(files.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", files);
            prop_assert_eq!(files.len(), fine.len());
        }
    }
}
