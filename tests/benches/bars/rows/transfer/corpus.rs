//! What is sent: in shared memory where there is some, and gone at the end.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::limits::{TRANSFER_DIRS, TRANSFER_FILE_BYTES, TRANSFER_FILES};

/// Directories that exist now, for [`remove_all`].
static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes every corpus: for a bench that was interrupted.
pub(crate) fn remove_all() {
    for path in std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner)) {
        let _left = fs::remove_dir_all(path);
    }
}

/// A size in MiB from the environment.
pub(crate) fn mib_of(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().expect("a number of MiB"))
}

/// A directory for the files of one figure.
pub(crate) struct Corpus {
    dir: tempfile::TempDir,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let shared = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        builder.prefix("clankers-bench-");
        let dir = if shared.is_dir() { builder.tempdir_in(shared) } else { builder.tempdir() };
        let dir = dir.expect("a directory");
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.path().to_owned());
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A new directory in it.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// A file whose bytes do not repeat.
    pub(crate) fn file(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.path().join(name);
        let mut file = fs::File::create(&path).expect("a file");
        let mut block = vec![0_u8; 1 << 20];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut left = bytes;
        while left > 0 {
            for word in block.chunks_exact_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                word.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
            }
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            file.write_all(&block[..len]).expect("written");
            left -= len as u64;
        }
        path
    }

    /// A file of holes: it reads as zeros and takes no memory.
    pub(crate) fn sparse(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.path().join(name);
        fs::File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
        path
    }

    /// A directory of small files.
    pub(crate) fn files(&self, name: &str) -> PathBuf {
        let root = self.dir(name);
        let content =
            fs::read(self.file("content", (TRANSFER_FILE_BYTES + TRANSFER_FILES) as u64)).expect("it");
        for at in 0..TRANSFER_FILES {
            let dir = root.join(format!("d{}", at % TRANSFER_DIRS));
            fs::create_dir_all(&dir).expect("a directory");
            fs::write(dir.join(format!("f{at}")), &content[at..at + TRANSFER_FILE_BYTES]).expect("a file");
        }
        root
    }

    /// Both have the same bytes.
    pub(crate) fn same(&self, one: &Path, other: &Path) {
        let open =
            |path: &Path| fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (mut one, mut other) = (open(one), open(other));
        let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        loop {
            let len = one.read(&mut a).expect("read");
            other.read_exact(&mut b[..len]).expect("as long");
            assert!(a[..len] == b[..len], "it came with other bytes");
            if len == 0 {
                assert_eq!(other.read(&mut b).expect("read"), 0, "it came longer");
                return;
            }
        }
    }
}

impl Drop for Corpus {
    fn drop(&mut self) {
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(self.dir.path());
    }
}
