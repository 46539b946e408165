//! A sender and a receiver in one thread: what the engine does with the two sides of this room.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use clankers_files::{
    Begun, FilesError, HadFrom, Landed, Landing, Place, Plan, Selection, Small, Source, Wanted, Wish,
};
use clankers_protocol::{
    request::transfer::{EntryKind, OnConflict},
    transfer::{
        Root, TransferId,
        manifest::{Manifest, ManifestLimits},
        tree,
    },
};

pub(crate) static GO: AtomicBool = AtomicBool::new(false);

pub(crate) fn walk(path: &Path) -> Source {
    Source::walk(path, &Selection::default(), &GO).unwrap()
}

/// Bytes that no other seed gives.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    use blake3::Hasher;
    let mut out = vec![0; len];
    Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

pub(crate) struct Talk {
    pub(crate) source: Source,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) conflict: OnConflict,
    pub(crate) to: Option<String>,
    pub(crate) transfer: u8,
    pub(crate) declined: BTreeSet<u32>,
}

impl Talk {
    pub(crate) fn new(path: &Path) -> Self {
        let source = walk(path);
        let manifest = Arc::new(source.manifest(ManifestLimits::default()).unwrap());
        let declined = BTreeSet::new();
        Self { source, manifest, conflict: OnConflict::Rename, to: None, transfer: 1, declined }
    }

    pub(crate) fn on(mut self, conflict: OnConflict) -> Self {
        self.conflict = conflict;
        self
    }

    pub(crate) fn number(mut self, transfer: u8) -> Self {
        self.transfer = transfer;
        self
    }

    pub(crate) fn wish(&self) -> Wish {
        Wish {
            principal: "did:key:sender".to_owned(),
            to: self.to.clone(),
            root_name: self.source.name().to_owned(),
            source: self.source.identity(),
            transfer_id: TransferId([self.transfer; 16]),
            conflict: self.conflict,
            listing: Arc::new(Wanted::new(self.manifest.clone(), self.declined.clone())),
            note: serde_json::json!({ "test": true }),
        }
    }

    pub(crate) fn begin(&self, place: &Place) -> Result<Landing, FilesError> {
        match place.begin(self.wish())? {
            Begun::Landing(landing) => Ok(*landing),
            Begun::Done { name, .. } => panic!("landed already as {name}"),
        }
    }

    pub(crate) fn index(&self, path: &str) -> u32 {
        (0..self.manifest.len()).find(|at| self.manifest.below(*at).as_deref() == Some(path)).unwrap()
    }

    pub(crate) fn root(&self, file: u32) -> Root {
        let size = self.manifest.get(file).unwrap().size;
        let mut builder = tree::RootBuilder::new(size);
        let open = self.source.open_file(file).unwrap();
        let mut block = Vec::new();
        for at in 0..tree::blocks(size) {
            open.read_block(at, &mut block).unwrap();
            builder.put(at, tree::hash_block(size, at, &block));
        }
        builder.root().unwrap()
    }

    /// Sends what is missing, `limit` blocks at most; says how many bytes that were, and whether all is there.
    pub(crate) fn send(&self, landing: &Landing, plan: &Plan, limit: u64) -> Result<(u64, bool), FilesError> {
        let mut sent = 0;
        let mut blocks = 0;
        let bad: BTreeSet<u32> = plan.bad.iter().map(|(file, _)| *file).collect();
        for (file, entry) in self.manifest.files() {
            if bad.contains(&file) || self.declined.contains(&file) || entry.kind != EntryKind::File {
                continue;
            }
            let mut had = plan.had.iter().find(|had| had.file == file).cloned();
            if had.as_ref().is_some_and(|had| had.root.is_some_and(|root| root != self.root(file))) {
                landing.drop_file(file)?;
                had = None;
            }
            let had: BTreeSet<u32> =
                had.iter().flat_map(|had| &had.blocks).map(|(block, _)| *block).collect();
            let open = self.source.open_file(file)?;
            let mut block = Vec::new();
            for at in (0..tree::blocks(entry.size)).filter(|at| !had.contains(at)) {
                if blocks == limit {
                    return Ok((sent, false));
                }
                open.read_block(at, &mut block)?;
                let cv = tree::hash_block(entry.size, at, &block);
                if entry.size <= tree::BLOCK_BYTES {
                    let small = [Small { file, cv: &cv, bytes: &block }];
                    landing.write_small(&small).pop().unwrap()?;
                } else {
                    landing.write_block(file, at, &cv, &block)?;
                }
                sent += block.len() as u64;
                blocks += 1;
            }
            landing.file_done(file)?;
        }
        Ok((sent, true))
    }

    /// The whole of it: begin, scan, send, commit.
    pub(crate) fn whole(&self, place: &Place) -> Result<(Landed, Plan, u64), FilesError> {
        let landing = self.begin(place)?;
        let plan = landing.scan(&GO, &|_| ())?;
        let (sent, all) = self.send(&landing, &plan, u64::MAX)?;
        assert!(all);
        let landed = landing.commit(&self.declined, b"note")?;
        Ok((landed, plan, sent))
    }
}

/// The bytes of one kind of what was had.
pub(crate) fn had_from(plan: &Plan, from: HadFrom) -> usize {
    plan.had.iter().filter(|had| had.from == from).map(|had| had.blocks.len()).sum()
}

/// Every file and directory beneath with content, mode and time, as text that can be compared.
pub(crate) fn shape(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let hash =
            if meta.is_file() { blake3::hash(&fs::read(&path).unwrap()).to_string() } else { String::new() };
        let kind = if meta.is_dir() { "dir" } else { "file" };
        all.push(format!(
            "{name} {kind} {:o} {}.{} {hash}",
            meta.mode() & 0o7777,
            meta.mtime(),
            meta.mtime_nsec()
        ));
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

/// A small tree of every sort: files of no, one and several blocks, empty directories, modes and times of their own.
pub(crate) fn tree_at(root: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(root.join("deep/down/here")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    let files: [(&str, usize); 7] = [
        ("a.txt", 5),
        ("none", 0),
        ("big.bin", 3 * 1024 * 1024 + 17),
        ("edge.bin", 2 * 1024 * 1024),
        ("block.bin", 1024 * 1024),
        ("deep/down/here/x", 4096),
        ("deep/äö ü.dat", 1024 * 1024 + 1),
    ];
    for (at, (name, len)) in files.into_iter().enumerate() {
        let path = root.join(name);
        fs::write(&path, bytes(at as u64, len)).unwrap();
        let mode = [0o644, 0o755, 0o600, 0o640, 0o444, 0o666, 0o700][at];
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set_mtime(&path, 1_000_000_000 + at as u64);
    }
    fs::set_permissions(root.join("deep/down"), fs::Permissions::from_mode(0o750)).unwrap();
    for dir in ["deep/down/here", "deep/down", "deep", "empty", ""] {
        set_mtime(&root.join(dir), 1_100_000_000);
    }
}

pub(crate) fn set_mtime(path: &Path, seconds: u64) {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(at)).unwrap();
}

/// What is left of unfinished transfers in a place.
pub(crate) fn parts_in(place: &Path) -> Vec<String> {
    let Ok(dir) = fs::read_dir(place.join(".clankers-part")) else { return Vec::new() };
    let mut names: Vec<String> = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with(".done"));
    names.sort();
    names
}
