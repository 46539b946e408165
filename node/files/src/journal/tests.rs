use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What was written down: a block that is had, or a file that is dropped.
#[derive(Debug, Clone)]
enum Entry {
    Had(u8, u32, u8),
    Dropped(u8),
}

fn claim(file: u8, block: u32, cv: u8) -> Claim {
    Claim { key: [file; 16], block, cv: Cv([cv; 32]) }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = prop_oneof![
        6 => (0_u8..4, 0_u32..6, any::<u8>()).prop_map(|(file, block, cv)| Entry::Had(file, block, cv)),
        1 => (0_u8..4).prop_map(Entry::Dropped),
    ];
    prop::collection::vec(entry, 0..60)
}

fn part() -> (tempfile::TempDir, Dir) {
    let dir = tempfile::tempdir().unwrap();
    let part = Dir::open(dir.path()).unwrap();
    (dir, part)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage costs the records that it hit and no others; a torn tail is cut off and what is added after it counts.
    #[test]
    fn a_journal_says_what_was_written_but_for_what_was_damaged(
        entries in entries(),
        hits in prop::collection::btree_map(0_usize..60, (0_usize..RECORD, 1_u8..=255), 0..8),
        torn in 0_usize..RECORD,
    ) {
        let (dir, part) = part();
        let journal = Journal::open(&part).unwrap().unwrap();
        let mut model = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let lost = hits.contains_key(&at);
            match entry {
                Entry::Had(file, block, cv) => {
                    journal.had(&[claim(*file, *block, *cv)]).unwrap();
                    if !lost {
                        model.insert((*file, *block), *cv);
                    }
                }
                Entry::Dropped(file) => {
                    journal.dropped(&[*file; 16]).unwrap();
                    if !lost {
                        model.retain(|(known, _), _| known != file);
                    }
                }
            }
        }
        let path = dir.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        prop_assert_eq!(bytes.len(), entries.len() * RECORD);
        for (record, (at, flip)) in hits.iter().filter(|(record, _)| **record < entries.len()) {
            bytes[record * RECORD + at] ^= flip;
        }
        bytes.extend(std::iter::repeat_n(KIND_HAD, torn));
        drop(journal);
        std::fs::write(&path, bytes).unwrap();
        let journal = Journal::open(&part).unwrap().unwrap();
        let claims = journal.load().unwrap();
        let damaged = hits.keys().filter(|record| **record < entries.len()).count() + usize::from(torn > 0);
        prop_assert_eq!(claims.damaged, damaged as u64);
        let said: Vec<_> = (0..4_u8).flat_map(|file| claims.of(&[file; 16]).to_vec()).collect();
        let wanted: Vec<_> = model.iter().map(|((file, block), cv)| claim(*file, *block, *cv)).collect();
        prop_assert_eq!(said, wanted);
        // After a torn tail records are whole again.
        journal.had(&[claim(9, 7, 5)]).unwrap();
        let claims = journal.load().unwrap();
        prop_assert_eq!(claims.of(&[9; 16]), &[claim(9, 7, 5)]);
    }
}

#[test]
fn one_has_it_and_who_looks_does_not_disturb() {
    let (_dir, part) = part();
    assert!(!Journal::is_held(&part));
    let journal = Journal::open(&part).unwrap().unwrap();
    assert!(Journal::is_held(&part) && Journal::open(&part).unwrap().is_none());
    drop(journal);
    assert!(!Journal::is_held(&part));
    assert!(Journal::open(&part).unwrap().is_some());
}

#[test]
fn what_is_no_file_is_no_journal() {
    let (dir, part) = part();
    std::fs::create_dir(dir.path().join(NAME)).unwrap();
    assert!(Journal::open(&part).is_err());
    assert!(!Journal::is_held(&part));
    std::fs::remove_dir(dir.path().join(NAME)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join(NAME)).unwrap();
    assert!(Journal::open(&part).is_err() && peek(&part).is_err());
}

/// A process that is being started has copies of all handles until it runs its own program.
#[test]
fn a_lock_ends_with_its_journal_whoever_has_a_copy_of_the_handle() {
    let (_dir, part) = part();
    let journal = Journal::open(&part).unwrap().unwrap();
    let copy = journal.file.lock().unwrap().try_clone().unwrap();
    assert!(Journal::open(&part).unwrap().is_none(), "it is locked");
    drop(journal);
    assert!(Journal::open(&part).unwrap().is_some());
    drop(copy);
}
