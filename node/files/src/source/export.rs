//! A directory from which peers may read, and nothing outside of it.

use std::{path::Path, sync::atomic::AtomicBool};

use clankers_protocol::transfer::name::SafePath;

use super::{Selection, Source, walk};
use crate::{
    dir::Dir,
    error::{FilesError, Result, Trouble},
    limits,
};

/// An export: a directory held open.
#[derive(Debug, Clone)]
pub struct Export {
    root: Dir,
    /// The directory in which it stands, and its name there.
    above: Dir,
    name: String,
    path: String,
}

impl Export {
    /// Opens the directory.
    ///
    /// # Errors
    /// `Vanished`, `Unreadable`, `NotSendable` when it has no name that can travel, `Io`.
    pub fn open(dir: &Path) -> Result<Self> {
        let shown = dir.to_string_lossy();
        let failed = |e: std::io::Error| FilesError::reading("open the export", &shown, &e);
        let real = std::fs::canonicalize(dir).map_err(failed)?;
        let refuse =
            || FilesError::new(Trouble::NotSendable, "export", &shown, "it has no name that is text");
        let name = real.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?.to_owned();
        let path = real.to_str().ok_or_else(refuse)?.to_owned();
        let above = Dir::open(real.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let root = above.sub(name.as_str()).map_err(failed)?;
        Ok(Self { root, above, name, path })
    }

    /// Lists what is at a path beneath it; the empty path is the export itself. No link is followed, wherever it stands.
    ///
    /// # Errors
    /// As [`Source::walk`]; `NotSendable` when the path leads elsewhere, through a link, or is not safe.
    pub fn source(&self, path: &str, selection: &Selection, stop: &AtomicBool) -> Result<Source> {
        let selection = Selection { follow_links: false, ..selection.clone() };
        let whole = if path.is_empty() { self.path.clone() } else { format!("{}/{path}", self.path) };
        let (dir, name) = self.find(path)?;
        walk::walk(dir, &name, &name, &whole, &selection, stop)
    }

    /// The directory in which this path stands, and its name there as the disk has it.
    pub(super) fn find(&self, path: &str) -> Result<(Dir, String)> {
        if path.is_empty() {
            return Ok((self.above.clone(), self.name.clone()));
        }
        let refuse = |why: String| FilesError::new(Trouble::NotSendable, "read", path, why);
        let safe = SafePath::parse(path).map_err(|e| refuse(e.to_string()))?;
        let mut dir = self.root.clone();
        if let Some(parent) = safe.parent() {
            for name in parent.parts() {
                let name = on_disk(&dir, name, path)?;
                dir = dir.sub(name.as_str()).map_err(|e| FilesError::reading("read", path, &e))?;
            }
        }
        let name = on_disk(&dir, safe.name(), path)?;
        Ok((dir, name))
    }
}

/// What is called so in this directory, as the disk spells it: as it is said, or else in another spelling that reads the
/// same. Names travel composed, and macOS for one keeps them decomposed.
fn on_disk(dir: &Dir, name: &str, path: &str) -> Result<String> {
    let failed = |e: std::io::Error| FilesError::reading("read", path, &e);
    if name.is_ascii() || dir.look(name).map_err(failed)?.is_some() {
        return Ok(name.to_owned());
    }
    let mut found = None;
    for (seen, read) in dir.names().map_err(failed)?.enumerate() {
        if seen >= limits::ENTRIES {
            let why = format!("its directory has more than {} names", limits::ENTRIES);
            return Err(FilesError::new(Trouble::TooMany, "read", path, why));
        }
        let Ok(other) = String::from_utf8(read.map_err(failed)?.0) else { continue };
        if SafePath::from_source(&other).is_ok_and(|safe| safe.as_str() == name)
            && found.replace(other).is_some()
        {
            let why = "several names there are spelled otherwise and read the same";
            return Err(FilesError::new(Trouble::Ambiguous, "read", path, why));
        }
    }
    // Where there is none, whoever opens it says so.
    Ok(found.unwrap_or_else(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_is_found_however_the_disk_spells_it_and_only_if_it_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("shared");
        fs::create_dir_all(root.join("De\u{301}j\u{e0}")).unwrap();
        let put = |name: &str| fs::write(root.join(name), name).unwrap();
        for name in [
            "e\u{301}.txt",
            "De\u{301}j\u{e0}/o\u{308}",
            "both-\u{e9}",
            "both-e\u{301}",
            "A\u{30a}",
            "\u{212b}",
        ] {
            put(name);
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("u\u{308}")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("n\u{303}")).unwrap();
        let (export, go) = (Export::open(&root).unwrap(), AtomicBool::new(false));
        let source = |path: &str| export.source(path, &Selection::default(), &go);
        let found = source("\u{e9}.txt").unwrap();
        assert_eq!((found.name(), found.total_bytes()), ("\u{e9}.txt", 7));
        assert_eq!(source("D\u{e9}j\u{e0}/\u{f6}").unwrap().name(), "\u{f6}");
        assert_eq!(source("D\u{e9}j\u{e0}").unwrap().name(), "D\u{e9}j\u{e0}");
        // As it is said goes before what reads the same.
        assert_eq!(source("both-\u{e9}").unwrap().total_bytes(), "both-\u{e9}".len() as u64);
        assert_eq!(source("\u{c5}").unwrap_err().kind(), Trouble::Ambiguous);
        assert_eq!(source("\u{c5}/x").unwrap_err().kind(), Trouble::Ambiguous);
        for (path, kind) in [
            ("\u{fc}", Trouble::NotSendable),
            ("\u{f1}/hosts", Trouble::Changed),
            ("\u{ea}", Trouble::Vanished),
            ("\u{ea}/x", Trouble::Vanished),
            // Not as it travels.
            ("e\u{301}.txt", Trouble::NotSendable),
        ] {
            assert_eq!(source(path).unwrap_err().kind(), kind, "{path}");
        }
        let shelf = export.shelf("\u{e9}.txt", ("", 9), |_| true, &go).unwrap();
        assert_eq!(shelf.entries[0].name, "\u{e9}.txt");
        let shelf = export.shelf("D\u{e9}j\u{e0}", ("", 9), |_| true, &go).unwrap();
        let names: Vec<&str> = shelf.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["D\u{e9}j\u{e0}", "\u{f6}"]);
    }
}
