//! The operating system, in the few ways this crate needs it: private files, whole replacements, locks that tell a
//! holder from somebody who is merely looking.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    thread,
    time::Duration,
};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use crate::limits;

/// Makes a directory and its parents, private; one that exists is left as it is.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(limits::DIR_MODE).create(path)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Opens for reading, never through a link and never waiting for the far end of a pipe.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    options().read(true).open(path)
}

/// The same for reading and writing.
pub(crate) fn open_writable(path: &Path) -> io::Result<File> {
    options().read(true).write(true).open(path)
}

/// Opens for reading and writing, making a private file when there is none.
pub(crate) fn open_or_make(path: &Path) -> io::Result<File> {
    options().read(true).write(true).create(true).truncate(false).mode(limits::FILE_MODE).open(path)
}

/// Opens for reading and for adding at the end, making a private file when there is none.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    options().read(true).append(true).create(true).mode(limits::FILE_MODE).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.custom_flags(flags.bits().cast_signed());
    options
}

/// Whether an open failed because the name is a symbolic link.
pub(crate) fn is_link_error(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

/// A regular file's content, at most `limit` bytes; `None` when there is no such file.
///
/// Longer content is `InvalidData`, anything but a regular file is `InvalidInput`.
pub(crate) fn read_small(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open_plain(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// A private file beside its later name, whole and synced: `publish` or `replace` gives it the name.
pub(crate) fn stage(dir: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut staged = tempfile::Builder::new().prefix(STAGED_PREFIX).tempfile_in(dir)?;
    staged.write_all(content)?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

/// What the names of unfinished files begin with.
pub(crate) const STAGED_PREFIX: &str = ".new-";

/// Removes unfinished files that a killed process left; the young ones may be another's at work.
pub(crate) fn sweep(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let staged = entry.file_name().to_str().is_some_and(|name| name.starts_with(STAGED_PREFIX));
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if staged && age().is_some_and(|age| age > Duration::from_secs(limits::STAGED_AGE_SECS)) {
            // Next time, if not now.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Gives a staged file its name unless the name is taken; then `AlreadyExists`. Durable; when only that fails, the file
/// stays: another process may have found it already.
pub(crate) fn publish(staged: NamedTempFile, path: &Path) -> io::Result<File> {
    let file = staged.persist_noclobber(path).map_err(|e| e.error)?;
    sync_parent(path)?;
    Ok(file)
}

/// The same for a file that nobody else can use yet: when it cannot be made durable, it is taken back.
pub(crate) fn publish_or_undo(staged: NamedTempFile, path: &Path) -> io::Result<File> {
    let file = staged.persist_noclobber(path).map_err(|e| e.error)?;
    if let Err(error) = sync_parent(path) {
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Replaces the file of that name, whole. Durable.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    replace_with(stage(dir, content)?, path)
}

/// The same with a staged file, synced already.
pub(crate) fn replace_with(staged: NamedTempFile, path: &Path) -> io::Result<()> {
    staged.persist(path).map_err(|e| e.error)?;
    sync_parent(path)
}

pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Takes the exclusive lock (flock: released by the kernel when its holder dies); `false` when somebody holds it.
///
/// [`is_locked`] takes a shared lock for an instant. That look must not make a taker fail: who finds the lock
/// taken looks in turn, and only an exclusive holder is an answer.
pub(crate) fn lock(file: &File) -> io::Result<bool> {
    for _ in 0..limits::LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if is_locked(file)? => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(limits::LOCK_RETRY_MS)),
        }
    }
    Ok(false)
}

/// Whether somebody holds the exclusive lock. `file` must not hold a lock itself: this would drop it.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The user this process acts as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether a process of that id exists.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // Not being allowed to signal it means that it is there.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether this process may write into the directory, as the file system sees it.
pub(crate) fn check_writable(dir: &Path) -> io::Result<()> {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)?;
    Ok(())
}
