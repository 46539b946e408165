//! What lies in a part directory and belongs to nothing that is had.

use std::{collections::BTreeSet, io};

use clankers_protocol::request::transfer::EntryKind;
use rustix::fs::FileType;

use super::{Had, HadFrom};
use crate::{
    dir::Dirs,
    landing::{Landing, TREE, lock, under},
    limits, os,
};

const STRAY: &str = "stray";

impl Landing {
    /// Removes from the part directory what is not had: part files of what changed or vanished at its source, files that
    /// were cut while they were written, whatever somebody else put there.
    pub(super) fn remove_strays(&self, had: &[Had]) -> io::Result<()> {
        lock(&self.tree).clear();
        let part = &self.start.part;
        let kept: BTreeSet<String> = had
            .iter()
            .filter(|had| had.from == HadFrom::Part)
            .filter_map(|had| Some(under(TREE, &self.item(had.file)?.path)))
            .collect();
        if kept.is_empty() {
            return part.remove_tree(TREE);
        }
        let dirs: BTreeSet<String> = self
            .wanted()
            .filter(|(_, item)| item.kind == EntryKind::Dir)
            .map(|(_, item)| under(TREE, &item.path))
            .collect();
        let mut open = Dirs::new(part.clone());
        let root = part.look(TREE)?.map(|stat| os::file_type(&stat));
        let mut waiting: Vec<String> = match root {
            Some(FileType::Directory) => vec![TREE.to_owned()],
            _ => Vec::new(),
        };
        while let Some(path) = waiting.pop() {
            let dir = open.dir(&path, false)?;
            rustix::fs::fchmod(&dir, os::mode(limits::DIR_MODE))?;
            for entry in dir.names()? {
                let (name, kind) = entry?;
                let text = std::str::from_utf8(&name).ok().map(|name| format!("{path}/{name}"));
                match (text, kind) {
                    (Some(below), FileType::Directory)
                        if dirs.contains(&below) || above_any(&kept, &below) =>
                    {
                        waiting.push(below);
                    }
                    (Some(below), kind) if kind != FileType::Directory && kept.contains(&below) => {}
                    // By a name of ours: it may have one that is no text.
                    _ => {
                        part.remove_tree(STRAY)?;
                        rustix::fs::renameat(&dir, name.as_slice(), part, STRAY)?;
                        part.remove_tree(STRAY)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether one of the sorted paths lies beneath this one.
fn above_any(paths: &BTreeSet<String>, above: &str) -> bool {
    let beneath = format!("{above}/");
    paths.range(beneath.clone()..).next().is_some_and(|path| path.starts_with(&beneath))
}
