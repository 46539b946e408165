//! Very many files.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt};

use clankers_files::{Begun, EntryKind, Place, Small};
use clankers_protocol::transfer::tree;

use crate::{
    attacks::raw,
    support::{GO, Talk, parts_in},
};

#[test]
fn a_million_empty_files_are_looked_at_and_declined() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let mut items = vec![(String::new(), EntryKind::Dir, 0)];
    items.extend((0..1_000_000).map(|at| (format!("d{}/f{at}", at % 10), EntryKind::File, 0)));
    let Begun::Landing(landing) = place.begin(raw(items)).unwrap() else { panic!("done") };
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    assert_eq!(plan.had.len() + plan.bad.len(), 0);
    // None of them is on the disk before the end.
    assert_eq!(
        fs::read_dir(dir.path().join(".clankers-part").join(&parts_in(dir.path())[0])).unwrap().count(),
        2
    );
    let landed = landing.commit(&(1..=1_000_000).collect::<BTreeSet<u32>>(), b"").unwrap();
    assert_eq!((landed.files, landed.bytes), (0, 0));
}

#[test]
fn twenty_thousand_small_files_land_resume_and_are_forgotten() {
    let base = std::path::Path::new("/dev/shm");
    let dir = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() }.unwrap();
    let root = dir.path().join("t");
    for at in 0..20_000 {
        if at % 200 == 0 {
            fs::create_dir_all(root.join(format!("d{}", at / 200))).unwrap();
        }
        let len = if at % 2 == 0 { 0 } else { 10 };
        fs::write(root.join(format!("d{}/f{at}", at / 200)), vec![b'x'; len]).unwrap();
    }
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&root);
    talk.to = Some("in".to_owned());
    let cv = tree::hash_block(10, 0, &[b'x'; 10]);
    let files: Vec<u32> = talk.manifest.files().filter(|(_, e)| e.size > 0).map(|(at, _)| at).collect();
    let send = |files: &[u32], landing: &clankers_files::Landing| {
        for some in files.chunks(256) {
            let some: Vec<_> =
                some.iter().map(|file| Small { file: *file, cv: &cv, bytes: &[b'x'; 10] }).collect();
            assert!(landing.write_small(&some).iter().all(Result::is_ok));
        }
    };
    let landing = talk.begin(&place).unwrap();
    landing.scan(&GO, &|_| ()).unwrap();
    send(&files[..5_000], &landing);
    drop(landing);
    let landing = talk.begin(&place).unwrap();
    assert_eq!(landing.scan(&GO, &|_| ()).unwrap().had.len(), 5_000);
    landing.forget().unwrap();
    assert!(parts_in(dir.path()).is_empty());
    let landing = talk.begin(&place).unwrap();
    landing.scan(&GO, &|_| ()).unwrap();
    send(&files, &landing);
    assert_eq!(landing.commit(&[].into(), b"").unwrap().files, 20_000);
    let one = fs::metadata(dir.path().join("in/t/d3/f777")).unwrap();
    assert_eq!((one.len(), one.mtime()), (10, fs::metadata(root.join("d3/f777")).unwrap().mtime()));
}
