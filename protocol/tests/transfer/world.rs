//! A world of two nodes: a disk that is sent, a disk that receives, and whatever happens between them.
//!
//! Blocks have no bytes here, only versions: a hash is made of path, block and version, so that a file of mixed versions
//! can be told from a whole one.

use std::collections::{BTreeMap, BTreeSet};

use clankers_protocol::{
    request::transfer::{Entry, EntryKind},
    transfer::{
        Cv, FileIdentity, Manifest, Root,
        manifest::{Builder, ManifestLimits},
        tree::{self, RootBuilder},
    },
};

/// Draws numbers, always the same ones.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) size: u64,
    /// What it holds.
    pub(crate) version: u32,
    /// What `stat` says of it: changes with the version, if all is well.
    pub(crate) stamp: u32,
}

/// What is sent: plain files of one directory.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) files: Vec<SourceFile>,
}

impl Source {
    pub(crate) fn manifest(&self) -> Manifest {
        let mut builder = Builder::new(ManifestLimits::default());
        let entry = |parent, name: &str, kind, size, stamp: u32| Entry {
            parent,
            name: name.into(),
            kind,
            size,
            mode: 0o644,
            mtime_ns: stamp.into(),
            id: FileIdentity(u128::from(stamp).to_le_bytes()),
        };
        builder.push(&entry(0, "root", EntryKind::Dir, 0, 0)).unwrap();
        for (n, file) in self.files.iter().enumerate() {
            let name = format!("f{n:05}");
            builder.push(&entry(0, &name, EntryKind::File, file.size, file.stamp)).unwrap();
        }
        builder.finish().unwrap()
    }

    /// The file of a manifest's entry.
    pub(crate) fn file(&self, entry: u32) -> &SourceFile {
        &self.files[entry as usize - 1]
    }

    pub(crate) fn file_mut(&mut self, entry: u32) -> &mut SourceFile {
        &mut self.files[entry as usize - 1]
    }
}

pub(crate) fn cv(entry: u32, block: u32, version: u32) -> Cv {
    Cv(*blake3::hash(format!("{entry} {block} {version}").as_bytes()).as_bytes())
}

pub(crate) fn root(entry: u32, size: u64, version: u32) -> Root {
    let mut builder = RootBuilder::new(size);
    for block in 0..tree::blocks(size) {
        builder.put(block, cv(entry, block, version));
    }
    builder.root().unwrap()
}

/// What is kept of a file that is not whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartFile {
    pub(crate) id: Option<FileIdentity>,
    /// Block: version, and whether it survives a crash.
    pub(crate) blocks: BTreeMap<u32, (u32, bool)>,
}

/// The disk that receives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) parts: BTreeMap<u32, PartFile>,
    /// Files with their final names: what they were then, their version, their hash.
    pub(crate) named: BTreeMap<u32, (FileIdentity, u32, Root)>,
    /// Files of others that have a name already, of this version.
    pub(crate) others: BTreeMap<u32, u32>,
    pub(crate) declined: BTreeSet<u32>,
}

impl Disk {
    /// Names a file: it has to be whole, of one version, and of the hash that was verified.
    pub(crate) fn name(&mut self, entry: u32, size: u64, verified: Root) {
        let part = self.parts.remove(&entry).unwrap_or_default();
        let mut builder = RootBuilder::new(size);
        for (block, (version, _)) in &part.blocks {
            builder.put(*block, cv(entry, *block, *version));
        }
        assert_eq!(builder.root(), Some(verified), "entry {entry} is named and is not what was verified");
        let versions: BTreeSet<u32> = part.blocks.values().map(|(version, _)| *version).collect();
        assert!(versions.len() <= 1, "entry {entry} is a mixture");
        let version = versions.into_iter().next().unwrap_or(0);
        self.named.insert(entry, (part.id.unwrap_or(FileIdentity([0; 16])), version, verified));
    }

    /// A crash of the machine: what was not synced is lost.
    pub(crate) fn crash(&mut self) {
        for part in self.parts.values_mut() {
            part.blocks.retain(|_, (_, synced)| *synced);
        }
    }

    pub(crate) fn sync(&mut self) {
        for part in self.parts.values_mut() {
            part.blocks.values_mut().for_each(|(_, synced)| *synced = true);
        }
    }
}
