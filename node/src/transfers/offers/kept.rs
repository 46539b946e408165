//! All that is in an offer, kept beside its description, so that the owner sees what is accepted although its sender left.

use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use clankers_protocol::{request::transfer::shown::ShownEntry, transfer::manifest::Manifest};

use crate::limits::OFFER_LIST_BYTES;

/// What is offered, in its order.
pub(super) fn entries(manifest: &Manifest) -> impl Iterator<Item = ShownEntry> + '_ {
    manifest.iter().map(|(index, entry)| ShownEntry {
        path: manifest.path(index).unwrap_or_default(),
        kind: entry.kind,
        bytes: entry.size,
    })
}

/// Keeps them, one after the other, as many as have room. Blocks.
pub(super) fn write(path: &Path, entries: impl Iterator<Item = ShownEntry>) -> io::Result<()> {
    let most = usize::try_from(OFFER_LIST_BYTES).unwrap_or(usize::MAX);
    let mut said = Vec::new();
    for entry in entries {
        let mut one = serde_json::to_vec(&entry)?;
        one.push(b'\n');
        if said.len().saturating_add(one.len()) > most {
            break;
        }
        said.extend(one);
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(&said)?;
    // What is shown is not shorter after a loss of power.
    file.sync_data()
}

/// Some of those that were kept, from `skip` on, so many at the most, and how many there are in all; fewer where the file
/// is not whole. Blocks.
pub(super) fn read(path: &Path, skip: usize, most: usize) -> (Vec<ShownEntry>, usize) {
    let mut said = Vec::new();
    let opened = fs::File::open(path).and_then(|file| file.take(OFFER_LIST_BYTES).read_to_end(&mut said));
    if opened.is_err() {
        return (Vec::new(), 0);
    }
    let whole = said.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let all = whole.clone().count();
    let some = whole.skip(skip).take(most).map_while(|line| serde_json::from_slice(line).ok());
    (some.collect(), all)
}

#[cfg(test)]
mod tests {
    use clankers_protocol::request::transfer::EntryKind;

    use super::*;

    #[test]
    fn what_was_kept_is_read_and_what_is_torn_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.list");
        assert_eq!(read(&path, 0, 9), (Vec::new(), 0));
        let entry = |number: u64| ShownEntry {
            path: format!("root/{number}"),
            kind: EntryKind::File,
            bytes: number << 40,
        };
        let all: Vec<ShownEntry> = (0..1_000).map(entry).collect();
        write(&path, all.iter().cloned()).unwrap();
        assert_eq!(read(&path, 0, 1_000), (all.clone(), 1_000));
        assert_eq!(read(&path, 990, 5), (all[990..995].to_vec(), 1_000));
        assert_eq!(read(&path, 1_001, 5), (Vec::new(), 1_000));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(read(&path, 0, 1_000), (all[..999].to_vec(), 999));
        // More than there is room for.
        let long = |number: u64| ShownEntry { path: "n".repeat(200), ..entry(number) };
        write(&path, (0..100_000).map(long)).unwrap();
        assert!(fs::metadata(&path).unwrap().len() <= OFFER_LIST_BYTES);
        let (_, kept) = read(&path, 0, 1);
        assert!(kept > 10_000 && kept < 100_000, "{kept}");
    }
}
