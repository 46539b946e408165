//! Replacing a file's content at one blow: a temporary file beside it, then a rename.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    Access, AtFlags, Gid, Mode, OFlags, Stat, Uid, accessat, fchmod, fchown, fstat, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{ToolError, shown};
use crate::limits::{TEMP_NAMES_MAX, WRITE_QUEUES};
use crate::os::Stamp;
use crate::path;
use crate::workspace::{Place, View};

static QUEUES: LazyLock<Vec<Mutex<()>>> =
    LazyLock::new(|| (0..WRITE_QUEUES).map(|_| Mutex::new(())).collect());
static ONLY: Mutex<()> = Mutex::const_new(());

/// Waits for this place's turn. The queues are shared by all sessions of the node; two files may share one.
pub(crate) async fn turn(key: &impl Hash) -> MutexGuard<'static, ()> {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let slot = usize::try_from(hasher.finish() % (WRITE_QUEUES as u64)).unwrap_or(0);
    QUEUES.get(slot).unwrap_or(&ONLY).lock().await
}

/// Refuses places that no tool writes, whatever the grant.
///
/// That is git's own files: those beneath a `.git`, and those that are or would make a bare repository, since git
/// takes any directory with `HEAD`, `objects` and `refs` for one and obeys the `config` in it.
pub(crate) fn check_place(view: &View, place: &Place) -> Result<(), ToolError> {
    if path::in_git(&place.path) || view.in_bare_repository(place) {
        return Err(ToolError::GitInternals { path: shown(&place.path) });
    }
    Ok(())
}

/// Puts `content` at `place`, provided that what is there still is what `place` says. Gives the new state.
///
/// The mode and, where allowed, the owner stay; set-id bits do not, and neither do further hard links.
pub(crate) fn replace(view: &View, place: &Place, content: &[u8]) -> Result<Stamp, ToolError> {
    check_place(view, place)?;
    let dir = view.make_parents(place)?;
    if place.stat.is_some()
        && let Err(error) = accessat(&*dir, &place.name, Access::WRITE_OK, AtFlags::EACCESS)
        && error != Errno::NOENT
    {
        // A rename needs no right to the file itself; a file made read-only is meant to stay as it is.
        return Err(ToolError::io("write", &place.path, error));
    }
    let temp = Temp::create(view, place, &dir)?;
    let stamp = temp.fill(place, content)?;
    // Somebody else may have written since the content was made from what was read.
    let now =
        View::stat_in(&dir, &place.name).map_err(|error| ToolError::io("look at", &place.path, error))?;
    if now.as_ref().map(Stamp::of) != place.stat.as_ref().map(Stamp::of) {
        return Err(ToolError::Changed { path: shown(&place.path) });
    }
    temp.rename(place)?;
    // The rename touched the change time.
    let after = View::stat_in(&dir, &place.name).ok().flatten();
    Ok(after.as_ref().map_or(stamp, Stamp::of))
}

/// A temporary file, removed unless it was renamed.
struct Temp<'d> {
    dir: &'d OwnedFd,
    name: String,
    file: std::fs::File,
    done: bool,
}

impl<'d> Temp<'d> {
    fn create(view: &View, place: &Place, dir: &'d OwnedFd) -> Result<Self, ToolError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // A new file gets the rights that any new file gets; a replacement stays closed until it has the old ones.
        let mode = if place.stat.is_some() { 0o600 } else { 0o666 };
        for _ in 0..TEMP_NAMES_MAX {
            let name =
                format!(".clankers-{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            match openat(dir, &name, flags, Mode::from_raw_mode(mode)) {
                Ok(fd) => return Ok(Self { dir, name, file: fd.into(), done: false }),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(view.gone_or(ToolError::io("write", &place.path, error))),
            }
        }
        Err(ToolError::io("write", &place.path, Errno::EXIST))
    }

    fn fill(&self, place: &Place, content: &[u8]) -> Result<Stamp, ToolError> {
        let failed = |error: std::io::Error| ToolError::io("write", &place.path, error);
        if let Some(old) = &place.stat {
            self.take_over(old).map_err(|error| failed(error.into()))?;
        }
        (&self.file).write_all(content).map_err(failed)?;
        // Before the rename: after a crash the name must not lead to an empty file.
        self.file.sync_all().map_err(failed)?;
        fstat(&self.file).map(|stat| Stamp::of(&stat)).map_err(|error| failed(error.into()))
    }

    fn take_over(&self, old: &Stat) -> Result<(), Errno> {
        let new = fstat(&self.file)?;
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
            // Only root may give files away; for others the file becomes theirs, as it does in an editor.
            let _ = fchown(&self.file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)));
        }
        fchmod(&self.file, Mode::from_raw_mode(old.st_mode & 0o777))
    }

    fn rename(mut self, place: &Place) -> Result<(), ToolError> {
        renameat(self.dir, &self.name, self.dir, &place.name)
            .map_err(|error| ToolError::io("replace", &place.path, error))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::gate::AllowAll;
    use crate::workspace::{Forbidden, Workspace};

    #[test]
    fn what_was_written_meanwhile_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Arc::new(Workspace::open(dir.path(), Forbidden::none()).unwrap());
        let view = View::new(workspace, Arc::new(AllowAll)).unwrap();
        let file = dir.path().join("file");
        let refused = |place: &Place| {
            let error = replace(&view, place, b"mine").unwrap_err();
            assert!(matches!(error, ToolError::Changed { .. }), "{error}");
        };
        let absent = view.place("file").unwrap();
        fs::write(&file, "theirs").unwrap();
        refused(&absent);
        let present = view.place("file").unwrap();
        fs::write(&file, "theirs again").unwrap();
        refused(&present);
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs again");
        fs::remove_file(&file).unwrap();
        refused(&present);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "a temporary file was left behind");
        replace(&view, &absent, b"mine").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}
