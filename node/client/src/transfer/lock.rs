//! The lock on a transfer's record: one process runs it, and others may look whether one does.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::Duration,
};

use crate::limits::{RECORD_LOCK_RETRY_MS, RECORD_LOCK_TRIES};

/// Held until it is dropped, or its process ends (flock).
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock; `None` when another holds it. One that only looks is in nobody's way: it is waited for.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        for _ in 0..RECORD_LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
            }
            match file.try_lock_shared() {
                Ok(()) => file.unlock()?,
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            thread::sleep(Duration::from_millis(RECORD_LOCK_RETRY_MS));
        }
        Ok(None)
    }

    /// Whether somebody holds it.
    pub(super) fn is_held(path: &Path) -> bool {
        let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone leaves it to a process that is being started at this moment and has a copy of the handle.
        let _released = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_process_that_holds_it_and_a_look_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id.lock");
        assert!(!Lock::is_held(&path), "there is none");
        let held = Lock::take(&path).unwrap().unwrap();
        let copy = held.0.try_clone().unwrap();
        assert!(Lock::take(&path).unwrap().is_none() && Lock::is_held(&path));
        drop(held);
        assert!(!Lock::is_held(&path), "whoever has a copy of the handle");
        drop(copy);
        // Somebody looks at this very moment, and is done soon.
        let looks = File::open(&path).unwrap();
        looks.lock_shared().unwrap();
        let taken = thread::scope(|scope| {
            let taken = scope.spawn(|| Lock::take(&path).unwrap().is_some());
            looks.unlock().unwrap();
            taken.join().unwrap()
        });
        assert!(taken);
    }
}
