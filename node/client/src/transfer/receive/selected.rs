//! Which of an offer's entries are wanted, when only some are.

use std::collections::BTreeSet;

use clankers_protocol::transfer::manifest::Manifest;

/// The entries that are not wanted when only these paths are, each with all that is beneath it; a path has the root's name
/// in front, or begins beneath it. No paths: all are wanted.
///
/// # Errors
/// The paths that name nothing.
pub fn declined(manifest: &Manifest, only: &[String]) -> Result<BTreeSet<u32>, Vec<String>> {
    if only.is_empty() {
        return Ok(BTreeSet::new());
    }
    let trimmed = |path: &str| path.trim_end_matches('/').trim_start_matches("./").to_owned();
    let wishes: BTreeSet<String> = only.iter().map(|path| trimmed(path)).collect();
    let mut unmet = wishes.clone();
    let mut inside: BTreeSet<u32> = BTreeSet::new();
    let mut wanted: BTreeSet<u32> = BTreeSet::new();
    for (index, entry) in manifest.iter() {
        let names = [manifest.path(index), manifest.below(index)];
        let named: Vec<&String> = names.iter().flatten().filter(|name| wishes.contains(*name)).collect();
        named.iter().for_each(|name| {
            unmet.remove(*name);
        });
        if !named.is_empty() || (index != 0 && inside.contains(&entry.parent)) {
            inside.insert(index);
            // The directories on the way to it.
            let mut at = index;
            while wanted.insert(at) && at != 0 {
                at = manifest.get(at).map_or(0, |entry| entry.parent);
            }
        }
    }
    if !unmet.is_empty() {
        return Err(unmet.into_iter().collect());
    }
    Ok((0..manifest.len()).filter(|index| !wanted.contains(index)).collect())
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        request::transfer::{Entry, EntryKind},
        transfer::{
            FileIdentity,
            manifest::{Builder, ManifestLimits},
        },
    };

    use super::*;

    fn tree() -> Manifest {
        let entry = |parent, name: &str, kind| Entry {
            parent,
            name: name.into(),
            kind,
            size: 0,
            mode: 0o644,
            mtime_ns: 0,
            id: FileIdentity([0; 16]),
        };
        let mut builder = Builder::new(ManifestLimits::default());
        for one in [
            entry(0, "root", EntryKind::Dir),
            entry(0, "a", EntryKind::Dir),
            entry(1, "x", EntryKind::File),
            entry(1, "y", EntryKind::File),
            entry(0, "b", EntryKind::File),
        ] {
            builder.push(&one).unwrap();
        }
        builder.finish().unwrap()
    }

    fn left_out(only: &[&str]) -> Result<Vec<u32>, Vec<String>> {
        let only: Vec<String> = only.iter().map(|path| (*path).to_owned()).collect();
        declined(&tree(), &only).map(|set| set.into_iter().collect())
    }

    #[test]
    fn what_is_named_comes_with_its_way_and_what_is_beneath() {
        assert_eq!(left_out(&[]), Ok(vec![]));
        assert_eq!(left_out(&["root"]), Ok(vec![]));
        assert_eq!(left_out(&["b"]), Ok(vec![1, 2, 3]));
        assert_eq!(left_out(&["root/a/y"]), Ok(vec![2, 4]));
        assert_eq!(left_out(&["a/", "b"]), Ok(vec![]));
        assert_eq!(left_out(&["a", "c", "a/z"]), Err(vec!["a/z".into(), "c".into()]));
        assert!(left_out(&["../b"]).is_err());
    }
}
