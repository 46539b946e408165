//! A transfer that was nearly over, or seemed to be, is asked for again.

use std::{borrow::Cow, collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use clankers_files::{Begun, Inbox, Item, Listing, PartId, Place, Small, There, Wish};
use clankers_protocol::{
    request::transfer::{EntryKind, OnConflict},
    transfer::{FileIdentity, TransferId, tree},
};

use crate::support::{GO, Talk, bytes, parts_in, shape, tree_at};

fn talk(dir: &Path, name: &str, conflict: OnConflict) -> Talk {
    let mut talk = Talk::new(&dir.join(name)).on(conflict);
    talk.to = Some("in".to_owned());
    talk
}

fn files(root: &Path) -> Vec<String> {
    shape(root).into_iter().filter(|line| line.contains(" file ")).collect()
}

#[test]
fn what_a_killed_join_had_moved_is_not_sent_again() {
    for conflict in [OnConflict::Overwrite, OnConflict::Skip] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        tree_at(&dir.join("t"));
        fs::create_dir_all(dir.join("in/t")).unwrap();
        let place = Place::open(dir).unwrap();
        let talk = talk(dir, "t", conflict);
        let landing = talk.begin(&place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
        let tree = dir.join(".clankers-part").join(landing.id().as_str()).join("tree");
        drop(landing);
        for moved in ["big.bin", "a.txt"] {
            fs::rename(tree.join(moved), dir.join("in/t").join(moved)).unwrap();
        }
        let (landed, plan, sent) = talk.whole(&place).unwrap();
        assert_eq!((sent, plan.had_bytes, plan.lost_bytes), (0, landed.bytes, 0), "{conflict:?}");
        assert_eq!(landed.conflicts, [0_u32; 0]);
        assert_eq!(files(&dir.join("t")), files(&dir.join("in/t")));
    }
}

#[test]
fn a_conflict_at_the_last_moment_is_not_the_end() {
    for conflict in [OnConflict::Overwrite, OnConflict::Skip] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        tree_at(&dir.join("t"));
        fs::create_dir_all(dir.join("in/t")).unwrap();
        let place = Place::open(dir).unwrap();
        let talk = talk(dir, "t", conflict);
        let landing = talk.begin(&place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
        fs::create_dir(dir.join("in/t/edge.bin")).unwrap();
        let landed = landing.commit(&[].into(), b"a receipt of all files").unwrap();
        assert_eq!(landed.conflicts, [talk.index("edge.bin")]);
        drop(landing);
        assert_eq!(parts_in(dir).len(), 1, "what could not land is kept, and no receipt");
        fs::remove_dir(dir.join("in/t/edge.bin")).unwrap();
        // Not `Done`; and nothing is sent again.
        let (landed, plan, sent) = talk.whole(&place).unwrap();
        assert_eq!((sent, plan.had_bytes), (0, talk.source.total_bytes()), "{conflict:?}");
        assert_eq!((landed.bytes, landed.conflicts.len()), (talk.source.total_bytes(), 0));
        assert_eq!(files(&dir.join("t")), files(&dir.join("in/t")));
    }
}

#[test]
fn a_source_that_changed_since_it_landed_is_received_anew() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("f"), b"old").unwrap();
    let place = Place::open(dir).unwrap();
    talk(dir, "f", OnConflict::Rename).whole(&place).unwrap();
    assert!(matches!(place.begin(talk(dir, "f", OnConflict::Rename).wish()).unwrap(), Begun::Done { .. }));
    // In place: the same path, device and inode, so the same source; and the sender resumes, so the same id.
    fs::write(dir.join("f"), b"new and longer").unwrap();
    let again = talk(dir, "f", OnConflict::Rename);
    let (landed, _, sent) = again.whole(&place).unwrap();
    assert_eq!((landed.name.as_str(), sent), ("f (1)", 14));
    assert_eq!(fs::read(dir.join("in/f (1)")).unwrap(), b"new and longer");
    // The new one is what is remembered now.
    match place.begin(again.wish()).unwrap() {
        Begun::Done { name, .. } => assert_eq!(name, "f (1)"),
        Begun::Landing(_) => panic!("it is received a third time"),
    }
}

/// A directory and a file in it whose sender lets nobody read them.
struct Hidden(Vec<u8>);

impl Listing for Hidden {
    fn len(&self) -> u32 {
        2
    }

    fn item(&self, index: u32) -> Option<Item<'_>> {
        let (path, kind, size) = match index {
            0 => ("", EntryKind::Dir, 0),
            1 => ("f", EntryKind::File, self.0.len() as u64),
            _ => return None,
        };
        let identity = FileIdentity([index as u8; 16]);
        Some(Item { path: Cow::Borrowed(path), kind, size, mode: 0, mtime_ns: 1, identity, wanted: true })
    }
}

#[test]
fn what_a_sender_hides_by_its_mode_is_counted() {
    for len in [3, (1 << 20) + 1] {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("s")).unwrap();
        let content = bytes(1, len);
        let listing = Arc::new(Hidden(content.clone()));
        let wish = Wish { listing, root_name: "h".to_owned(), ..Talk::new(&dir.path().join("s")).wish() };
        let Begun::Landing(landing) = place.begin(wish).unwrap() else { panic!("it has landed") };
        landing.scan(&GO, &|_| ()).unwrap();
        let size = len as u64;
        for (block, bytes) in content.chunks(1 << 20).enumerate() {
            let cv = tree::hash_block(size, block as u32, bytes);
            if len < 1 << 20 {
                landing.write_small(&[Small { file: 1, cv: &cv, bytes }]).pop().unwrap().unwrap();
            } else {
                landing.write_block(1, block as u32, &cv, bytes).unwrap();
            }
        }
        landing.file_done(1).unwrap();
        landing.commit(&[].into(), b"").unwrap();
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("h"), mode("h/f")), (0o700, 0o400));
        let usage = place.usage().unwrap();
        assert!(usage.bytes >= size && usage.disk_bytes >= size, "{usage:?}");
    }
}

/// After a kill: what is here is counted without the sender. Exactly, when one file has several blocks.
#[test]
fn what_is_here_of_what_broke_off_is_counted_by_its_files_and_its_journal() {
    const BLOCK: usize = 1 << 20;
    for large in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("t");
        fs::create_dir_all(from.join("d")).unwrap();
        for n in 0..large {
            fs::write(
                from.join(format!("large{n}")),
                bytes(n, 3 * BLOCK + 1000 + usize::try_from(n).unwrap()),
            )
            .unwrap();
        }
        for (n, len) in [0, 1, 70_000, BLOCK].into_iter().enumerate() {
            fs::write(from.join(format!("d/small{n}")), bytes(9, len)).unwrap();
        }
        let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
        let talk = Talk::new(&from);
        let transfer = TransferId([1; 16]);
        let (mut part, mut had) = (None, 0);
        for blocks in 0.. {
            let place = inbox.place("laptop").unwrap();
            let landing = talk.begin(&place).unwrap();
            let plan = landing.scan(&GO, &|_| ()).unwrap();
            assert_eq!(plan.had_bytes, had);
            let (sent, all) = talk.send(&landing, &plan, blocks % 3).unwrap();
            had += sent;
            let id = landing.id().clone();
            if all {
                landing.commit(&BTreeSet::new(), b"note").unwrap();
                assert_eq!(inbox.there(&id, &transfer).unwrap(), There::Landed(b"note".to_vec()));
                part = Some(id);
                break;
            }
            drop(landing);
            let There::Part(there) = inbox.there(&id, &transfer).unwrap() else { panic!("nothing is there") };
            let over = if large == 1 { 0 } else { large * BLOCK as u64 };
            assert!((had..=had + over).contains(&there), "{there} for {had}, with {large} large files");
        }
        assert_eq!(had, talk.source.total_bytes());
        inbox.place("laptop").unwrap().settle(&part.unwrap()).unwrap();
        let other = PartId::of("p", "", "t", &talk.source.identity());
        assert_eq!(inbox.there(&other, &transfer).unwrap(), There::Nothing);
    }
}
