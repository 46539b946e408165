//! What is to arrive, as the receiver's disk needs to know it.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use clankers_protocol::{
    request::transfer::EntryKind,
    transfer::{FileIdentity, manifest::Manifest, tree},
};

/// One file or directory that is to arrive.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// Relative to the root of the transfer, `/` between the names; the root itself is the empty path.
    pub path: Cow<'a, str>,
    /// File or directory.
    pub kind: EntryKind,
    /// Length in bytes; of a directory 0.
    pub size: u64,
    /// Permission bits; what is beyond 0o777 is not taken.
    pub mode: u32,
    /// When it was last changed (nanoseconds since 1970).
    pub mtime_ns: i64,
    /// What tells that it is the same file when a transfer goes on: blocks are kept only while this stays.
    pub identity: FileIdentity,
    /// Whether the owner accepted it; what is not wanted never lands.
    pub wanted: bool,
}

impl Item<'_> {
    /// The number of blocks; an empty file has none.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        match self.kind {
            EntryKind::File => tree::blocks(self.size),
            EntryKind::Dir => 0,
        }
    }
}

/// Everything of one transfer, by number. A single file is one item with the empty path.
///
/// Paths must be safe already (relative, no `..`, no empty names) and no two may be the same; a path that is not safe is refused
/// again when the transfer begins.
pub trait Listing: Send + Sync {
    /// How many items there are.
    fn len(&self) -> u32;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The item of that number.
    fn item(&self, index: u32) -> Option<Item<'_>>;
}

/// A manifest as a listing, without what the owner declined.
#[derive(Debug)]
pub struct Wanted {
    manifest: Arc<Manifest>,
    declined: BTreeSet<u32>,
}

impl Wanted {
    /// `declined`: the entries that do not land; of a directory all that is in it must be there too.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, declined: BTreeSet<u32>) -> Self {
        Self { manifest, declined }
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }
}

impl Listing for Wanted {
    fn len(&self) -> u32 {
        self.manifest.len()
    }

    fn item(&self, index: u32) -> Option<Item<'_>> {
        let entry = self.manifest.get(index)?;
        let path = match (index, entry.parent) {
            (0, _) => Cow::Borrowed(""),
            (_, 0) => Cow::Borrowed(entry.name),
            _ => Cow::Owned(self.manifest.below(index)?),
        };
        Some(Item {
            path,
            kind: entry.kind,
            size: entry.size,
            mode: entry.mode,
            mtime_ns: entry.mtime_ns,
            identity: entry.id,
            wanted: !self.declined.contains(&index),
        })
    }
}

/// Digest of all that is listed (hex): what tells a source that changed from one that did not.
pub(crate) fn digest(listing: &dyn Listing) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("clankers 2026 transfer listing");
    for item in (0..listing.len()).filter_map(|index| listing.item(index)) {
        let len = u64::try_from(item.path.len()).unwrap_or(u64::MAX);
        hasher.update(&len.to_le_bytes()).update(item.path.as_bytes());
        let kind = u8::from(item.kind == EntryKind::Dir);
        hasher.update(&[kind, u8::from(item.wanted)]).update(&item.mode.to_le_bytes());
        hasher.update(&item.size.to_le_bytes()).update(&item.mtime_ns.to_le_bytes()).update(&item.identity.0);
    }
    hasher.finalize().to_hex().to_string()
}

/// Why a path may not be used beneath a place; `None` when it may.
///
/// The last fence: the wire's own rules are stricter.
pub(crate) fn path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') || path.ends_with('/') {
        return Some("it is absolute or ends in a slash");
    }
    path.split('/').find_map(name_fault)
}

/// Why a name may not be used; `None` when it may.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("a name in it is empty"),
        "." | ".." => Some("it leads somewhere else"),
        _ if name.contains('/') => Some("a name in it has a slash"),
        _ if name.len() > crate::limits::NAME_BYTES => Some("a name in it is longer than 255 bytes"),
        _ if name.chars().any(char::is_control) => Some("a name in it has control characters"),
        _ => None,
    }
}

/// The names that are tried when `name` is taken: `photo (1).jpg`, `photo (2).jpg`, ...; of a directory and of a name
/// that only begins with a dot `photos (1)`. Never longer than a directory takes.
pub(crate) fn numbered(name: &str, number: u32, directory: bool) -> String {
    let (stem, end) = match name.rfind('.') {
        Some(at) if !directory && at > 0 && at + 1 < name.len() => name.split_at(at),
        _ => (name, ""),
    };
    // What stands before the number of a compressed archive is its kind too.
    let (stem, end) = match stem.strip_suffix(".tar") {
        Some(shorter) if !end.is_empty() && !shorter.is_empty() => name.split_at(shorter.len()),
        _ => (stem, end),
    };
    let tail = format!(" ({number}){end}");
    if tail.len() >= crate::limits::NAME_BYTES {
        // A "kind" of hundreds of bytes is none.
        return numbered(name, number, true);
    }
    let mut stem = stem.to_owned();
    while stem.len().saturating_add(tail.len()) > crate::limits::NAME_BYTES && stem.pop().is_some() {}
    stem + &tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_taken_name_gets_a_number_before_its_ending() {
        assert_eq!(numbered("photo.jpg", 1, false), "photo (1).jpg");
        assert_eq!(numbered("photo", 2, false), "photo (2)");
        assert_eq!(numbered("a.tar.gz", 1, false), "a (1).tar.gz");
        assert_eq!(numbered(".tar.gz", 1, false), ".tar (1).gz");
        assert_eq!(numbered(".profile", 1, false), ".profile (1)");
        assert_eq!(numbered("v1.2", 1, true), "v1.2 (1)");
        assert_eq!(numbered("end.", 1, false), "end. (1)");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused_once_more() {
        for bad in ["/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\nb", "\0", &"x".repeat(256)] {
            assert!(path_fault(bad).is_some(), "{bad:?}");
        }
        for good in ["a", "a/b", "...", "a b", "ä/ö", &"x".repeat(255)] {
            assert!(path_fault(good).is_none(), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn a_numbered_name_is_a_name(name in "[^/\\p{Cc}]{1,120}", number in 1_u32..=9999, directory: bool) {
            prop_assume!(name_fault(&name).is_none());
            let other = numbered(&name, number, directory);
            prop_assert!(other.len() <= 255 && other != name);
            prop_assert_eq!(name_fault(&other), None);
            prop_assert_ne!(numbered(&name, number + 1, directory), other);
        }
    }
}
