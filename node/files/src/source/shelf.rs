//! What is at a path of an export, without what is beneath it: names for who has yet to choose.

use std::sync::atomic::{AtomicBool, Ordering};

use clankers_protocol::{
    request::transfer::{Entry, EntryKind},
    transfer::{FileIdentity, name::SafePath},
};
use rustix::fs::{FileType, Stat};

use super::Export;
use crate::{
    error::{FilesError, Result, Trouble},
    limits,
    os::{self, Stamp},
};

/// Some of what is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// What was asked for, then what is in it when it is a directory, sorted by name. Nothing tells whether one of them
    /// stays the same: their identity is empty.
    pub entries: Vec<Entry>,
    /// Whether there is more.
    pub more: bool,
}

impl Export {
    /// Looks at a path beneath it; the empty path is the export itself. Of a directory come the names after `after`, so
    /// many at the most, those that `may` be told (asked with the path beneath the export). What is neither file nor
    /// directory, and what has a name that cannot travel, is left out: it cannot be got.
    ///
    /// # Errors
    /// As [`Export::source`]; `TooMany` names in the directory.
    pub fn shelf(
        &self,
        path: &str,
        (after, most): (&str, usize),
        may: impl Fn(&str) -> bool,
        stop: &AtomicBool,
    ) -> Result<Shelf> {
        let failed = |e: std::io::Error| FilesError::reading("read", path, &e);
        let (base, name) = self.find(path)?;
        let stat = base.look(&name).map_err(failed)?;
        let stat = stat.ok_or_else(|| FilesError::new(Trouble::Vanished, "read", path, "it is not there"))?;
        let composed = SafePath::from_source(&name).map_or_else(|_| name.clone(), |safe| safe.to_string());
        let root = entry(&composed, &stat).ok_or_else(|| {
            FilesError::new(Trouble::NotSendable, "read", path, "it is neither a file nor a directory")
        })?;
        if root.kind == EntryKind::File {
            return Ok(Shelf { entries: vec![root], more: false });
        }
        let dir = base.sub(name.as_str()).map_err(failed)?;
        let mut names = Vec::new();
        for (seen, read) in dir.names().map_err(failed)?.enumerate() {
            if seen >= limits::ENTRIES {
                let why = format!("it has more than {} names", limits::ENTRIES);
                return Err(FilesError::new(Trouble::TooMany, "list", path, why));
            }
            let (name, _) = read.map_err(failed)?;
            let Ok(on_disk) = String::from_utf8(name) else { continue };
            let Ok(safe) = SafePath::from_source(&on_disk) else { continue };
            if safe.as_str() > after {
                names.push((safe.to_string(), on_disk));
            }
        }
        names.sort_unstable();
        let mut entries = vec![root];
        for (name, on_disk) in names {
            if entries.len() > most.saturating_add(1) {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return Err(FilesError::new(Trouble::Stopped, "list", path, "it was stopped"));
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let Some(stat) = dir.look(&on_disk).map_err(failed)? else { continue };
            entries.extend(entry(&name, &stat).filter(|_| may(&below)));
        }
        let more = entries.len() > most.saturating_add(1);
        entries.truncate(most.saturating_add(1));
        Ok(Shelf { entries, more })
    }
}

/// A name as it is told, when it is a file or a directory.
fn entry(name: &str, stat: &Stat) -> Option<Entry> {
    let kind = match os::file_type(stat) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Dir,
        _ => return None,
    };
    let stamp = Stamp::of(stat);
    Some(Entry {
        parent: 0,
        name: name.to_owned(),
        kind,
        size: if kind == EntryKind::File { stamp.size } else { 0 },
        mode: os::mode_of(stat),
        mtime_ns: stamp.mtime_ns,
        id: FileIdentity([0; 16]),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(shelf: &Shelf) -> Vec<&str> {
        shelf.entries.iter().skip(1).map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn one_directory_is_listed_page_by_page_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("shared");
        fs::create_dir_all(root.join("d/deep")).unwrap();
        for name in ["a", "b", "c", "e", "x\ny", "d/deep/file"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::create_dir(root.join(".clankers-part")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        let export = Export::open(&root).unwrap();
        let go = AtomicBool::new(false);
        let look = |path: &str, after: &str, most| export.shelf(path, (after, most), |_| true, &go);
        let all = look("", "", 100).unwrap();
        assert_eq!((names(&all), all.more), (vec!["a", "b", "c", "d", "e"], false));
        assert_eq!((all.entries[0].name.as_str(), all.entries[1].size), ("shared", 1));
        let first = look("", "", 2).unwrap();
        assert_eq!((names(&first), first.more), (vec!["a", "b"], true));
        let next = look("", "b", 3).unwrap();
        assert_eq!((names(&next), next.more), (vec!["c", "d", "e"], false));
        assert_eq!(names(&look("d", "", 9).unwrap()), ["deep"]);
        let file = look("d/deep/file", "", 9).unwrap();
        assert_eq!((file.entries.len(), file.entries[0].kind), (1, EntryKind::File));
        for bad in ["link", "out", "out/hosts", "..", "d/../..", "none", "a/b"] {
            assert!(look(bad, "", 9).is_err(), "{bad}");
        }
        let some = export.shelf("d", ("", 9), |path| path != "d/deep", &go).unwrap();
        assert_eq!((names(&some), some.more), (Vec::new(), false));
        let told = export.shelf("", ("", 1), |path| path == "c", &go).unwrap();
        assert_eq!((names(&told), told.more), (vec!["c"], false), "what is hidden is not counted");
        assert_eq!(look("", "", 9).unwrap().entries.len(), 6);
        assert!(export.shelf("", ("", 9), |_| true, &AtomicBool::new(true)).is_err());
    }
}
