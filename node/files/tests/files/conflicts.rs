//! Something has the name already.

use std::{fs, path::Path};

use clankers_files::{HadFrom, Place, Trouble};
use clankers_protocol::request::transfer::OnConflict;

use crate::support::{GO, Talk, bytes, had_from, parts_in, shape, tree_at};

fn talk(dir: &Path, name: &str, conflict: OnConflict) -> Talk {
    let mut talk = Talk::new(&dir.join(name)).on(conflict);
    talk.to = Some("in".to_owned());
    talk
}

#[test]
fn rename_gives_numbers_and_never_replaces() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f.txt"), b"mine").unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    for (number, name) in [(1, "f.txt"), (2, "f (1).txt"), (3, "f (2).txt")] {
        let (landed, _, _) =
            talk(dir.path(), "f.txt", OnConflict::Rename).number(number).whole(&place).unwrap();
        assert_eq!(landed.name, name);
    }
    for (number, name) in [(1, "t"), (2, "t (1)")] {
        let (landed, _, _) = talk(dir.path(), "t", OnConflict::Rename).number(number).whole(&place).unwrap();
        assert_eq!(landed.name, name);
    }
    // Whatever it is that has the name.
    std::os::unix::fs::symlink("/nowhere", dir.path().join("in/f (3).txt")).unwrap();
    let (landed, _, _) = talk(dir.path(), "f.txt", OnConflict::Rename).number(4).whole(&place).unwrap();
    assert_eq!(landed.name, "f (4).txt");
    assert!(fs::read_link(dir.path().join("in/f (3).txt")).is_ok());
}

#[test]
fn names_are_reserved_by_the_transfers_that_run() {
    let dir = tempfile::tempdir().unwrap();
    for from in ["one", "two"] {
        fs::create_dir(dir.path().join(from)).unwrap();
        fs::write(dir.path().join(from).join("f"), from).unwrap();
    }
    let place = Place::open(dir.path()).unwrap();
    let (one, two) =
        (talk(dir.path(), "one/f", OnConflict::Rename), talk(dir.path(), "two/f", OnConflict::Rename));
    let first = one.begin(&place).unwrap();
    let second = two.begin(&place).unwrap();
    assert_eq!((first.name().as_str(), second.name().as_str()), ("f", "f (1)"));
    drop((first, second));
    // The reservation outlives the process.
    let refused = talk(dir.path(), "two/f", OnConflict::Refuse);
    assert_eq!(refused.begin(&place).unwrap_err().kind(), Trouble::Conflict);
    assert_eq!(two.whole(&place).unwrap().0.name, "f (1)");
    assert_eq!(one.whole(&place).unwrap().0.name, "f");
}

#[test]
fn a_name_that_is_taken_at_the_last_moment_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    for (number, conflict) in [(1, OnConflict::Rename), (2, OnConflict::Refuse)] {
        let talk = talk(dir.path(), "t", conflict).number(number);
        let _ = fs::remove_dir_all(dir.path().join("in"));
        let landing = talk.begin(&place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        talk.send(&landing, &plan, u64::MAX).unwrap();
        assert_eq!(landing.name(), "t");
        fs::create_dir_all(dir.path().join("in/t")).unwrap();
        let landed = landing.commit(&[].into(), b"");
        assert_eq!(fs::read_dir(dir.path().join("in/t")).unwrap().count(), 0);
        match conflict {
            OnConflict::Rename => assert_eq!(landed.unwrap().name, "t (1)"),
            _ => {
                assert_eq!(landed.unwrap_err().kind(), Trouble::Conflict);
                drop(landing);
                // Nothing that arrived was wiped: with the name free, nothing is sent again.
                fs::remove_dir(dir.path().join("in/t")).unwrap();
                let (landed, plan, sent) = talk.whole(&place).unwrap();
                assert_eq!((sent, plan.had_bytes), (0, landed.bytes));
                assert_eq!(shape(&dir.path().join("t")), shape(&dir.path().join("in/t")));
            }
        }
    }
}

#[test]
fn refuse_refuses_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"new").unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("in/f"), b"old").unwrap();
    let place = Place::open(dir.path()).unwrap();
    let error = talk(dir.path(), "f", OnConflict::Refuse).begin(&place).unwrap_err();
    assert_eq!(error.kind(), Trouble::Conflict);
    assert!(error.to_string().contains("--on-conflict rename"), "{error}");
    assert_eq!(parts_in(dir.path()).len(), 0, "a refused transfer leaves nothing");
}

#[test]
fn overwrite_joins_directories_and_sends_only_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    talk(dir.path(), "t", OnConflict::Overwrite).whole(&place).unwrap();
    let there = dir.path().join("in/t");
    fs::write(there.join("their own"), b"stays").unwrap();
    fs::write(there.join("a.txt"), b"longer than it was").unwrap();
    // The same length, another content.
    fs::write(there.join("big.bin"), bytes(1234, (3 << 20) + 17)).unwrap();
    fs::remove_file(there.join("edge.bin")).unwrap();
    let (landed, plan, sent) = talk(dir.path(), "t", OnConflict::Overwrite).number(2).whole(&place).unwrap();
    assert_eq!(landed.name, "t");
    assert_eq!(sent, 5 + (3 << 20) + 17 + (2 << 20));
    assert!(had_from(&plan, HadFrom::Target) >= 4 && landed.conflicts.is_empty());
    assert_eq!(fs::read(there.join("their own")).unwrap(), b"stays");
    fs::remove_file(there.join("their own")).unwrap();
    let files =
        |path: &Path| shape(path).into_iter().filter(|line| line.contains(" file ")).collect::<Vec<_>>();
    assert_eq!(files(&dir.path().join("t")), files(&there));
}

#[test]
fn overwrite_of_a_file_replaces_its_name_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"new").unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("other"), b"old").unwrap();
    // A hard link at the target: the other name keeps what it had.
    fs::hard_link(dir.path().join("other"), dir.path().join("in/f")).unwrap();
    let place = Place::open(dir.path()).unwrap();
    let (landed, _, sent) = talk(dir.path(), "f", OnConflict::Overwrite).whole(&place).unwrap();
    assert_eq!((landed.name.as_str(), sent), ("f", 3));
    assert_eq!(fs::read(dir.path().join("in/f")).unwrap(), b"new");
    assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"old");
    let (_, _, sent) = talk(dir.path(), "f", OnConflict::Overwrite).number(2).whole(&place).unwrap();
    assert_eq!(sent, 0, "what is the same is not sent");
}

#[test]
fn skip_leaves_what_is_the_same_and_calls_the_rest_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    talk(dir.path(), "t", OnConflict::Skip).whole(&place).unwrap();
    let there = dir.path().join("in/t");
    fs::write(there.join("a.txt"), b"longer than it was").unwrap();
    fs::write(there.join("none"), b"not empty").unwrap();
    fs::write(there.join("block.bin"), bytes(99, 1 << 20)).unwrap();
    let skip = talk(dir.path(), "t", OnConflict::Skip).number(2);
    let landing = skip.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    let bad: Vec<_> = plan.bad.iter().map(|(file, e)| (*file, e.kind())).collect();
    assert_eq!(bad, [(skip.index("a.txt"), Trouble::Conflict), (skip.index("none"), Trouble::Conflict)]);
    let block = skip.index("block.bin");
    let found = plan.had.iter().find(|had| had.file == block).unwrap();
    assert_ne!(found.root, Some(skip.root(block)));
    assert_eq!(landing.drop_file(block).unwrap_err().kind(), Trouble::Conflict);
    for had in plan.had.iter().filter(|had| had.file != block) {
        assert_eq!(had.root, Some(skip.root(had.file)));
        landing.file_done(had.file).unwrap();
    }
    let landed = landing.commit(&[].into(), b"").unwrap();
    assert_eq!(landed.files, u64::from(skip.source.files()) - 3);
    assert_eq!(fs::read(there.join("a.txt")).unwrap(), b"longer than it was");
    assert_eq!(fs::read(there.join("block.bin")).unwrap(), bytes(99, 1 << 20));
}

#[test]
fn what_was_the_same_and_changes_before_the_end_is_not_said_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    for at in ["f", "in/f"] {
        fs::write(dir.path().join(at), b"same").unwrap();
    }
    let place = Place::open(dir.path()).unwrap();
    let talk = talk(dir.path(), "f", OnConflict::Skip);
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    talk.send(&landing, &plan, u64::MAX).unwrap();
    fs::remove_file(dir.path().join("in/f")).unwrap();
    assert_eq!(landing.commit(&[].into(), b"").unwrap_err().kind(), Trouble::Incomplete);
}

#[test]
fn kinds_that_do_not_fit_are_conflicts() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    fs::write(dir.path().join("f"), b"x").unwrap();
    fs::create_dir_all(dir.path().join("in/f")).unwrap();
    fs::write(dir.path().join("in/t"), b"a file").unwrap();
    let place = Place::open(dir.path()).unwrap();
    for conflict in [OnConflict::Overwrite, OnConflict::Skip] {
        for name in ["f", "t"] {
            let error = talk(dir.path(), name, conflict).begin(&place).unwrap_err();
            assert_eq!(error.kind(), Trouble::Conflict, "{name} {conflict:?}");
        }
    }
    // Deeper down only those files are in conflict that have something in their way.
    fs::remove_file(dir.path().join("in/t")).unwrap();
    fs::create_dir_all(dir.path().join("in/t/a.txt")).unwrap();
    fs::write(dir.path().join("in/t/deep"), b"a file").unwrap();
    let over = talk(dir.path(), "t", OnConflict::Overwrite).number(3);
    let landing = over.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    let mut bad: Vec<String> = plan.bad.iter().map(|(file, _)| over.manifest.below(*file).unwrap()).collect();
    bad.sort();
    assert_eq!(bad, ["a.txt", "deep", "deep/down", "deep/down/here", "deep/down/here/x", "deep/äö ü.dat"]);
    assert!(over.send(&landing, &plan, u64::MAX).unwrap().1);
    let landed = landing.commit(&[].into(), b"").unwrap();
    assert_eq!(landed.files, u64::from(over.source.files()) - 3);
    assert!(dir.path().join("in/t/a.txt").is_dir());
}
