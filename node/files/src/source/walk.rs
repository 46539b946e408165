//! Listing a source: every directory read once, from a handle, in the order of a manifest.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use clankers_protocol::{
    request::transfer::EntryKind,
    transfer::{
        manifest::compare_siblings,
        name::{SafePath, fold},
    },
};
use rustix::fs::{AtFlags, FileType, Stat};

use super::{Kept, Selection, SkipReason, Skipped, Skips, Source, filter::Filter, source_identity};
use crate::{
    dir::Dir,
    error::{FilesError, Result, Trouble},
    limits,
    os::{self, Ident, Stamp},
};

struct Walk<'a> {
    filter: Filter,
    follow_links: bool,
    never: Option<Ident>,
    stop: &'a AtomicBool,
    source: Source,
    names_bytes: usize,
}

/// A directory that is being listed.
struct Frame {
    dir: Dir,
    index: u32,
    ident: Ident,
    /// Beneath the root, with a slash at the end unless it is the root.
    prefix: String,
    /// What is left of it, the next at the end.
    left: Vec<Kept>,
}

/// Lists the root `disk_name` in `base`, which travels as `name`.
pub(super) fn walk(
    base: Dir,
    disk_name: &str,
    name: &str,
    path: &str,
    selection: &Selection,
    stop: &AtomicBool,
) -> Result<Source> {
    let refuse = |why: String| FilesError::new(Trouble::NotSendable, "send", path, why);
    let failed = |e: io::Error| FilesError::reading("read", path, &e);
    let stat = base.look(disk_name).map_err(failed)?;
    let stat = stat.ok_or_else(|| FilesError::new(Trouble::Vanished, "read", path, "it is not there"))?;
    let safe = SafePath::from_source(name).map_err(|e| refuse(format!("its name cannot be sent: {e}")))?;
    let kind = match os::file_type(&stat) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Dir,
        other => return Err(refuse(format!("it is a {}", kind_name(other)))),
    };
    let root = kept(0, safe.as_str(), disk_name, kind, &stat, false);
    let source = Source {
        base: base.clone(),
        entries: Vec::new(),
        skipped: Skips::default(),
        identity: source_identity(path, root.ident),
        total_bytes: 0,
        files: 0,
        open: Mutex::default(),
    };
    let filter = Filter::new(&selection.excludes)?;
    let never = selection.never.as_ref().and_then(|path| rustix::fs::stat(path).ok());
    let never = never.as_ref().map(Ident::of);
    let mut walk = Walk { filter, follow_links: selection.follow_links, never, stop, source, names_bytes: 0 };
    let ident = root.ident;
    let index = walk.push(root)?;
    if kind == EntryKind::Dir {
        let dir = base.sub(disk_name).map_err(failed)?;
        walk.run(Frame { dir, index, ident, prefix: String::new(), left: Vec::new() })?;
    }
    Ok(walk.source)
}

impl Walk<'_> {
    fn run(&mut self, mut root: Frame) -> Result<()> {
        self.list(&mut root, &[]).map_err(|e| FilesError::reading("read", self.source.name(), &e))?;
        let mut frames = vec![root];
        while let Some(frame) = frames.last_mut() {
            if self.stop.load(Ordering::Relaxed) {
                let name = self.source.name();
                return Err(FilesError::new(Trouble::Stopped, "list", name, "it was stopped"));
            }
            let Some(entry) = frame.left.pop() else {
                frames.pop();
                continue;
            };
            if entry.kind == EntryKind::File {
                self.push(entry)?;
                continue;
            }
            let prefix = format!("{}{}/", frame.prefix, entry.disk_name());
            let opened = open_dir(&frame.dir, &entry);
            let ident = entry.ident;
            if Some(ident) == self.never {
                self.skip(prefix, SkipReason::Home);
                continue;
            }
            let above: Vec<Ident> = frames.iter().map(|frame| frame.ident).collect();
            if frames.len() >= limits::SOURCE_DEPTH {
                self.skip(prefix, SkipReason::TooDeep);
                continue;
            }
            let dir = match opened {
                Ok(dir) => dir,
                Err(error) => {
                    self.skip(prefix, SkipReason::Unreadable(error.to_string()));
                    continue;
                }
            };
            let mut below = Frame { dir, index: 0, ident, prefix, left: Vec::new() };
            below.index = self.source.len();
            match self.list(&mut below, &above) {
                Ok(()) => {
                    self.push(entry)?;
                    frames.push(below);
                }
                Err(error) => self.skip(below.prefix, SkipReason::Unreadable(error.to_string())),
            }
        }
        Ok(())
    }

    /// Reads a directory and keeps what of it is to be sent, in reverse order.
    fn list(&mut self, frame: &mut Frame, above: &[Ident]) -> io::Result<()> {
        let mut folds: HashMap<String, Box<str>> = HashMap::new();
        let mut names: Vec<(Vec<u8>, FileType)> = frame.dir.names()?.collect::<io::Result<_>>()?;
        // So that the same one of two twins is left out each time.
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (name, _) in names {
            let Ok(name) = std::str::from_utf8(&name) else {
                let path = format!("{}{}", frame.prefix, String::from_utf8_lossy(&name));
                self.skip(path, SkipReason::NotText);
                continue;
            };
            let kept = match self.look(frame, above, name) {
                Ok(Some(kept)) => kept,
                Ok(None) => continue,
                Err(why) => {
                    self.skip(format!("{}{name}", frame.prefix), why);
                    continue;
                }
            };
            match folds.entry(fold(&kept.name)) {
                Slot::Occupied(twin) => {
                    let why = SkipReason::Twin(twin.get().to_string());
                    self.skip(format!("{}{name}", frame.prefix), why);
                }
                Slot::Vacant(slot) => {
                    slot.insert(kept.name.clone());
                    frame.left.push(kept);
                }
            }
            if frame.left.len() > limits::ENTRIES {
                return Err(io::Error::other("it has too many entries"));
            }
        }
        frame.left.sort_unstable_by(|a, b| compare_siblings((&b.name, b.kind), (&a.name, a.kind)));
        Ok(())
    }

    /// What a name is; `None` when it is left out without a word.
    fn look(
        &self,
        frame: &Frame,
        above: &[Ident],
        name: &str,
    ) -> std::result::Result<Option<Kept>, SkipReason> {
        let unreadable = |e: io::Error| SkipReason::Unreadable(e.to_string());
        let Some(mut stat) = frame.dir.look(name).map_err(unreadable)? else { return Ok(None) };
        if !self.filter.is_empty() {
            let is_dir = os::file_type(&stat) == FileType::Directory;
            if self.filter.leaves_out(name, &format!("{}{name}", frame.prefix), is_dir) {
                return Ok(None);
            }
        }
        let linked = os::file_type(&stat) == FileType::Symlink;
        if linked {
            if !self.follow_links {
                return Err(SkipReason::Link);
            }
            stat =
                rustix::fs::statat(&frame.dir, name, AtFlags::empty()).map_err(|_| SkipReason::BrokenLink)?;
        }
        let kind = match os::file_type(&stat) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Dir,
            other => return Err(SkipReason::Special(kind_name(other))),
        };
        let ident = Ident::of(&stat);
        if kind == EntryKind::Dir && linked && (ident == frame.ident || above.contains(&ident)) {
            return Err(SkipReason::Loop);
        }
        let safe = SafePath::from_source(name).map_err(|e| SkipReason::Name(e.to_string()))?;
        Ok(Some(kept(frame.index, safe.as_str(), name, kind, &stat, linked)))
    }

    fn push(&mut self, entry: Kept) -> Result<u32> {
        let index = self.source.len();
        self.names_bytes = self.names_bytes.saturating_add(entry.name.len());
        if self.source.entries.len() >= limits::ENTRIES || self.names_bytes > limits::NAMES_BYTES {
            let why = format!("it has more than {} files and directories", limits::ENTRIES);
            return Err(FilesError::new(Trouble::TooMany, "send", self.source.name(), why));
        }
        if entry.kind == EntryKind::File {
            self.source.files = self.source.files.saturating_add(1);
            self.source.total_bytes = self.source.total_bytes.saturating_add(entry.size);
        }
        self.source.entries.push(entry);
        Ok(index)
    }

    fn skip(&mut self, path: String, why: SkipReason) {
        self.source.skipped.push(Skipped { path, why });
    }
}

fn kept(parent: u32, name: &str, disk_name: &str, kind: EntryKind, stat: &Stat, linked: bool) -> Kept {
    let stamp = Stamp::of(stat);
    Kept {
        parent,
        name: name.into(),
        disk_name: (name != disk_name).then(|| disk_name.into()),
        kind,
        size: if kind == EntryKind::File { stamp.size } else { 0 },
        mode: os::mode_of(stat),
        mtime_ns: stamp.mtime_ns,
        ident: stamp.ident,
        linked,
    }
}

/// Opens a directory that was listed, and makes sure that it is the one.
pub(super) fn open_dir(parent: &Dir, entry: &Kept) -> io::Result<Dir> {
    let dir = if entry.linked {
        parent.sub_through_link(entry.disk_name())?
    } else {
        parent.sub(entry.disk_name())?
    };
    if Ident::of(&dir.stat()?) == entry.ident {
        Ok(dir)
    } else {
        // Swapped for another: what stands there now was not meant.
        Err(rustix::io::Errno::LOOP.into())
    }
}

/// A kind of file, in words.
fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "file of an unknown kind",
    }
}
