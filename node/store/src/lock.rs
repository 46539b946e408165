//! One running node for each home.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use crate::{DiskError, Home, limits, os};

/// Why the node's lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process runs a node in this home.
    #[error("a node is already running in {}{}; stop it with `clankers daemon stop` or choose another home with --home",
        home.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// The home.
        home: PathBuf,
        /// The holder's process id, when it has written it.
        pid: Option<u32>,
    },
    /// Trouble with the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The right to be this home's node: held until dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct NodeLock {
    file: File,
}

impl NodeLock {
    /// Takes the lock and writes this process's id into it. Removes what killed processes left unfinished in the home.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder; [`LockError::Disk`].
    pub fn acquire(home: &Home) -> Result<Self, LockError> {
        let path = home.lock();
        let mut file = os::open_or_make(&path).map_err(DiskError::at("open the lock", &path))?;
        if !os::lock(&file).map_err(DiskError::at("lock", &path))? {
            return Err(LockError::Held { home: home.root().to_owned(), pid: read_pid(&mut file) });
        }
        file.set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
            .map_err(DiskError::at("write the lock", &path))?;
        for dir in [home.root(), &home.run_dir(), &home.sessions_dir()] {
            os::sweep(dir);
        }
        Ok(Self { file })
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        // So that nobody reads a process id that is no longer the node's.
        let _ = self.file.set_len(0);
        // Closing alone would leave the lock to a child that is just being made and has not run its program yet.
        let _ = self.file.unlock();
    }
}

/// The process that runs this home's node; `None` when no node runs.
///
/// # Errors
/// [`DiskError`] when the lock cannot be looked at.
pub fn holder(home: &Home) -> Result<Option<Holder>, DiskError> {
    let path = home.lock();
    let mut file = match os::open_plain(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::new("open the lock", &path, error)),
    };
    if !os::is_locked(&file).map_err(DiskError::at("look at the lock", &path))? {
        return Ok(None);
    }
    Ok(Some(Holder { pid: read_pid(&mut file) }))
}

/// Somebody who holds the node's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; `None` in the instant before it has written it.
    pub pid: Option<u32>,
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(limits::LOCK_FILE_READ_BYTES).read_to_string(&mut text).ok()?;
    // A killed holder's id may still stand there while the next one takes over.
    text.strip_suffix('\n')?.parse().ok().filter(|pid| os::is_alive(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        assert_eq!(holder(&home).unwrap(), None);
        let lock = NodeLock::acquire(&home).unwrap();
        let me = Some(std::process::id());
        assert_eq!(holder(&home).unwrap(), Some(Holder { pid: me }));
        let error = NodeLock::acquire(&home).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert!(matches!(error, LockError::Held { pid, .. } if pid == me));
        drop(lock);
        assert_eq!(holder(&home).unwrap(), None);
        NodeLock::acquire(&home).unwrap();
    }

    #[test]
    fn only_old_unfinished_files_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let file = |name: &str, age| {
            let path = home.sessions_dir().join(name);
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            File::create(&path).unwrap().set_modified(time).unwrap();
            path
        };
        let old = limits::STAGED_AGE_SECS + 10;
        let (left, working, other) = (file(".new-a", old), file(".new-b", 5), file("notes", old));
        NodeLock::acquire(&home).unwrap();
        assert_eq!([left, working, other].map(|path| path.exists()), [false, true, true]);
    }

    #[test]
    fn rubbish_in_the_lock_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        for rubbish in ["", "abc\n", "4294967296\n", "-1\n", "0\n", "\u{fffd}", &"9".repeat(1000)] {
            std::fs::write(home.lock(), rubbish).unwrap();
            let held = File::options().read(true).write(true).open(home.lock()).unwrap();
            held.lock().unwrap();
            assert!(matches!(NodeLock::acquire(&home), Err(LockError::Held { pid: None, .. })), "{rubbish}");
        }
    }

    #[test]
    fn looking_never_makes_a_taker_fail() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        drop(NodeLock::acquire(&home).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        holder(&home).unwrap();
                    }
                });
            }
            for _ in 0..300 {
                let taken = NodeLock::acquire(&home);
                assert!(taken.is_ok(), "{taken:?}");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
