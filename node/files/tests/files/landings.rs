//! A transfer arrives, whole or in pieces.

use std::{fs, time::Duration};

use clankers_files::{Begun, HadFrom, Inbox, Place, Small, Trouble};
use clankers_protocol::transfer::tree;

use crate::support::{GO, Talk, bytes, had_from, parts_in, shape, tree_at};

#[test]
fn a_tree_arrives_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("photos"));
    let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
    let place = inbox.place("laptop").unwrap();
    let talk = Talk::new(&dir.path().join("photos"));
    let (landed, plan, sent) = talk.whole(&place).unwrap();
    assert_eq!(landed.name, "photos");
    assert_eq!((landed.files, landed.bytes), (u64::from(talk.source.files()), talk.source.total_bytes()));
    assert_eq!((sent, plan.had.len(), landed.conflicts.len()), (landed.bytes, 0, 0));
    assert_eq!(shape(&dir.path().join("photos")), shape(&place.path().join("photos")));
    assert_eq!(parts_in(place.path()), Vec::<String>::new());
    // What nobody measured is not known: the usage of the place is what landed.
    assert_eq!(inbox.usage().unwrap().files, landed.files);
}

#[test]
fn a_single_file_arrives_with_the_hash_that_b3sum_prints() {
    let dir = tempfile::tempdir().unwrap();
    for (at, len) in [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20].into_iter().enumerate() {
        let path = dir.path().join(format!("f{at}.bin"));
        fs::write(&path, bytes(9, len)).unwrap();
        let place = Place::open(dir.path()).unwrap();
        let mut talk = Talk::new(&path);
        talk.to = Some("in/here".to_owned());
        let (landed, _, _) = talk.whole(&place).unwrap();
        let there = dir.path().join("in/here").join(&landed.name);
        assert_eq!(fs::read(&there).unwrap(), bytes(9, len), "{len}");
        if len > 0 {
            assert_eq!(talk.root(0).0, *blake3::hash(&bytes(9, len)).as_bytes());
        }
        place.settle(&landed.id).unwrap();
    }
    assert!(!dir.path().join(".clankers-part").exists(), "nothing of ours stays in the user's directory");
}

#[test]
fn a_transfer_that_was_cut_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(&dir.path().join("t/..")).unwrap();
    let mut talk = Talk::new(&dir.path().join("t"));
    talk.to = Some("in".to_owned());
    let total = talk.source.total_bytes();
    let mut sent_in_all = 0;
    for round in 0.. {
        let landing = talk.begin(&place).unwrap();
        assert_eq!(landing.resumes(), round > 0);
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert_eq!(plan.had_bytes, sent_in_all, "round {round}: what was sent is had");
        let (sent, all) = talk.send(&landing, &plan, 2).unwrap();
        sent_in_all += sent;
        if all {
            landing.commit(&talk.declined, b"").unwrap();
            break;
        }
        let partials = place.partials();
        assert!(partials.unwrap()[0].running);
        drop(landing);
        assert!(!place.partials().unwrap()[0].running);
    }
    assert_eq!(sent_in_all, total, "nothing was sent twice");
    assert_eq!(shape(&dir.path().join("t")), shape(&dir.path().join("in/t")));
}

#[test]
fn the_same_transfer_runs_once_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"x").unwrap();
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&dir.path().join("f"));
    talk.to = Some("in".to_owned());
    let landing = talk.begin(&place).unwrap();
    assert_eq!(talk.begin(&place).unwrap_err().kind(), Trouble::Busy);
    let id = place.partials().unwrap()[0].id.clone();
    assert_eq!(place.forget(&id).unwrap_err().kind(), Trouble::Busy);
    drop(landing);
    drop(talk.begin(&place).unwrap());
    assert!(place.forget(&id).unwrap() && !place.forget(&id).unwrap());
    assert_eq!(parts_in(dir.path()), Vec::<String>::new());
}

#[test]
fn a_sender_that_did_not_hear_of_the_end_is_told_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"x").unwrap();
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&dir.path().join("f"));
    talk.to = Some("in".to_owned());
    talk.whole(&place).unwrap();
    match place.begin(talk.wish()).unwrap() {
        Begun::Done { name, note } => assert_eq!((name.as_str(), note.as_slice()), ("f", &b"note"[..])),
        Begun::Landing(_) => panic!("it is received twice"),
    }
    // Another transfer of the same file is another, and the first asking once more does not disturb it.
    let first = talk.wish();
    let second = talk.number(2);
    let landing = second.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    assert!(second.send(&landing, &plan, u64::MAX).unwrap().1);
    assert!(matches!(place.begin(first).unwrap(), Begun::Done { .. }));
    assert_eq!(landing.commit(&[].into(), b"").unwrap().name, "f (1)");
}

#[test]
fn wrong_bytes_blocks_and_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&dir.path().join("t"));
    talk.to = Some("in".to_owned());
    talk.declined = [talk.index("a.txt")].into();
    let landing = talk.begin(&place).unwrap();
    landing.scan(&GO, &|_| ()).unwrap();
    let big = talk.index("big.bin");
    let size = talk.manifest.get(big).unwrap().size;
    let good = bytes(2, size as usize);
    let cv = |block: u32, bytes: &[u8]| tree::hash_block(size, block, bytes);
    let first = &good[..1 << 20];
    let kinds = [
        landing.write_block(big, 0, &cv(1, first), first),
        landing.write_block(big, 0, &cv(0, &first[1..]), &first[1..]),
        landing.write_block(big, 4, &cv(4, first), first),
        landing.write_block(big, u32::MAX, &cv(4, first), first),
        landing.write_block(u32::MAX, 0, &cv(0, first), first),
        landing.write_block(0, 0, &cv(0, first), first),
        landing.write_block(talk.index("a.txt"), 0, &cv(0, b"hello"), b"hello"),
        landing.write_block(talk.index("none"), 0, &cv(0, b"x"), b""),
    ]
    .map(|result| result.unwrap_err().kind());
    use Trouble::{Corrupt, NoSuch};
    assert_eq!(kinds, [Corrupt, Corrupt, NoSuch, NoSuch, NoSuch, NoSuch, NoSuch, NoSuch]);
    let small = [Small { file: big, cv: &cv(0, first), bytes: first }];
    assert_eq!(landing.write_small(&small)[0].as_ref().unwrap_err().kind(), NoSuch);
    assert_eq!(landing.file_done(big).unwrap_err().kind(), Trouble::Incomplete);
    assert_eq!(landing.commit(&[].into(), b"").unwrap_err().kind(), Trouble::Incomplete);
}

#[test]
fn what_was_declined_or_is_missing_does_not_land() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&dir.path().join("t"));
    talk.to = Some("in".to_owned());
    talk.declined = [talk.index("a.txt"), talk.index("empty")].into();
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    talk.send(&landing, &plan, 2).unwrap();
    let came: Vec<u32> = (0..talk.manifest.len()).collect();
    let landed = landing.commit(&came.into_iter().collect(), b"").unwrap();
    assert_eq!(landed.files, 0);
    let there = dir.path().join("in/t");
    assert!(there.join("deep/down/here").is_dir() && !there.join("empty").exists());
    assert!(shape(&there).iter().all(|line| line.contains(" dir ")), "{:?}", shape(&there));
}

#[test]
fn what_is_abandoned_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
    let place = inbox.place("laptop").unwrap();
    let talk = Talk::new(&dir.path().join("t"));
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    talk.send(&landing, &plan, 3).unwrap();
    assert!(inbox.usage().unwrap().bytes >= talk.source.total_bytes(), "a running transfer counts as whole");
    assert!(inbox.sweep(Duration::ZERO).unwrap().is_empty(), "a running one is never abandoned");
    drop(landing);
    assert!(inbox.sweep(Duration::from_secs(3600)).unwrap().is_empty());
    let partial = &inbox.partials().unwrap()[0].1;
    assert!(partial.had_bytes > 0 && partial.about.as_ref().unwrap().name == "t");
    let gone = inbox.sweep(Duration::ZERO).unwrap();
    assert_eq!((gone.len(), gone[0].0.as_str()), (1, "laptop"));
    assert_eq!(inbox.usage().unwrap().bytes, 0);
    assert!(!place.path().join(".clankers-part").exists());
}

#[test]
fn a_changed_file_of_a_resumed_tree_is_asked_for_again_and_strays_go() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("t");
    tree_at(&root);
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&root);
    talk.to = Some("in".to_owned());
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
    drop(landing);
    fs::write(root.join("big.bin"), bytes(77, 2 << 20)).unwrap();
    fs::remove_file(root.join("edge.bin")).unwrap();
    fs::write(root.join("new"), b"new").unwrap();
    let mut again = Talk::new(&root);
    again.to = Some("in".to_owned());
    let part = &parts_in(dir.path())[0];
    let tree = dir.path().join(".clankers-part").join(part).join("tree");
    fs::write(tree.join("stray"), b"not ours").unwrap();
    fs::create_dir_all(tree.join("stray.d/e/e/p")).unwrap();
    let (landed, plan, sent) = again.whole(&place).unwrap();
    assert_eq!(sent, (2 << 20) + 3);
    assert!(had_from(&plan, HadFrom::Part) >= 4);
    assert_eq!(shape(&root), shape(&dir.path().join("in").join(landed.name)));
}

#[test]
fn what_tidies_up_is_not_in_the_way_of_what_begins() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"x").unwrap();
    let inbox = dir.path().join("in");
    fs::create_dir(&inbox).unwrap();
    let talk = Talk::new(&dir.path().join("f"));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let place = Place::open(&inbox).unwrap();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                place.sweep(Duration::from_secs(3600)).unwrap();
            }
        });
        let begin = || {
            let place = Place::open(&inbox).unwrap();
            (0..500).try_for_each(|_| talk.begin(&place)?.forget())
        };
        let done = begin();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        done.unwrap();
    });
    assert!(!inbox.join(".clankers-part").exists());
}
