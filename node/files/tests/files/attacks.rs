//! Names that are swapped while a transfer runs, and what stands at the target.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use clankers_files::{EntryKind, Inbox, Item, Listing, Place, Selection, Source, Trouble, Wish};
use clankers_protocol::{
    request::transfer::OnConflict,
    transfer::{FileIdentity, SourceIdentity, TransferId, tree},
};

use crate::support::{GO, Talk, bytes, parts_in, shape, tree_at, walk};

/// A listing as a hostile sender might have it, past the wire's own checks.
pub(crate) struct Raw(pub(crate) Vec<(String, EntryKind, u64)>);

impl Listing for Raw {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }
    fn item(&self, index: u32) -> Option<Item<'_>> {
        let (path, kind, size) = self.0.get(index as usize)?;
        let identity = FileIdentity([index as u8; 16]);
        Some(Item {
            path: path.as_str().into(),
            kind: *kind,
            size: *size,
            mode: 0o644,
            mtime_ns: 0,
            identity,
            wanted: true,
        })
    }
}

pub(crate) fn raw(items: Vec<(String, EntryKind, u64)>) -> Wish {
    Wish {
        principal: "did:key:sender".to_owned(),
        to: None,
        root_name: "r".to_owned(),
        source: SourceIdentity([1; 32]),
        transfer_id: TransferId([1; 16]),
        conflict: OnConflict::Rename,
        listing: Arc::new(Raw(items)),
        note: serde_json::Value::Null,
    }
}

/// Swaps the names of two things in a directory until it is dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Swapper {
    fn new(a: &Path, b: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let (a, b, halt, count) = (a.to_owned(), b.to_owned(), stop.clone(), swaps.clone());
        let thread = thread::spawn(move || {
            while !halt.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, &a, rustix::fs::CWD, &b, exchange);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, swaps, thread: Some(thread) }
    }

    /// Ten thousand times on either side: on a busy machine one of them waits for the other.
    fn is_enough(&self, rounds: u32) -> bool {
        rounds >= 10_000 && self.swaps.load(Ordering::Relaxed) >= 10_000
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.swaps.load(Ordering::Relaxed)
    }
}

fn outside(dir: &Path) -> std::path::PathBuf {
    let outside = dir.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), b"theirs").unwrap();
    outside
}

#[cfg(target_os = "linux")]
#[test]
fn a_target_directory_that_is_swapped_for_a_link_ten_thousand_times_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    fs::create_dir_all(dir.path().join("in/to")).unwrap();
    symlink(&outside, dir.path().join("in/link")).unwrap();
    fs::write(dir.path().join("f"), b"sent").unwrap();
    let place = Place::open(&dir.path().join("in")).unwrap();
    let swapper = Swapper::new(&dir.path().join("in/to"), &dir.path().join("in/link"));
    let mut talk = Talk::new(&dir.path().join("f"));
    talk.to = Some("to".to_owned());
    let (mut landed, mut refused) = (0, 0);
    for round in (0_u32..).take_while(|round| !swapper.is_enough(*round)) {
        // Each opens the directory anew; some go all the way.
        let result = match round % 10 {
            0 => talk.whole(&place).map(|_| ()),
            _ => talk.begin(&place).map(drop),
        };
        match result {
            Ok(()) => landed += 1,
            Err(error) => {
                assert_eq!(error.kind(), Trouble::BadPlace, "{error}");
                refused += 1;
            }
        }
        if round % 10 == 0 {
            for part in fs::read_dir(dir.path().join("in/.clankers-part")).into_iter().flatten() {
                let _ = fs::remove_file(part.unwrap().path());
            }
        }
    }
    let swaps = swapper.stop();
    assert!(
        landed > 0 && refused > 0 && swaps >= 10_000,
        "{landed} landed, {refused} refused, {swaps} swaps"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was written outside");
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"theirs");
}

#[cfg(target_os = "linux")]
#[test]
fn a_source_that_is_swapped_for_a_link_ten_thousand_times_is_never_read_through_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("t/d")).unwrap();
    fs::write(dir.path().join("t/d/f"), b"mine").unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), b"SECRET").unwrap();
    symlink(&outside, dir.path().join("t/e")).unwrap();
    let swapper = Swapper::new(&dir.path().join("t/d"), &dir.path().join("t/e"));
    let (mut read, mut refused) = (0, 0);
    let mut into = Vec::new();
    for _ in (0..).take_while(|round| !swapper.is_enough(*round)) {
        let Ok(source) = Source::walk(&dir.path().join("t"), &Selection::default(), &GO) else { continue };
        for at in (0..source.len()).filter(|at| source.path(*at).ends_with("/f")) {
            into.clear();
            match source.read_small(at, &mut into) {
                Ok(()) => {
                    assert_eq!(into, b"mine");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    let swaps = swapper.stop();
    assert!(read > 0 && refused > 0 && swaps >= 10_000, "{read} read, {refused} refused, {swaps} swaps");
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_devices_and_links_at_the_target_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    fs::write(dir.path().join("f"), b"sent").unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    let there = dir.path().join("in/f");
    type Make = fn(&Path, &Path) -> bool;
    let makes: [Make; 4] = [
        |at, _| node(at, rustix::fs::FileType::Fifo, 0),
        // /dev/null: only root can make it.
        |at, _| node(at, rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        |at, outside| symlink(outside.join("f"), at).is_ok(),
        |at, outside| symlink(outside, at).is_ok(),
    ];
    for (number, make) in makes.into_iter().enumerate() {
        if !make(&there, &outside) {
            continue;
        }
        let before = fs::symlink_metadata(&there).unwrap();
        let place = Place::open(dir.path()).unwrap();
        for conflict in [OnConflict::Overwrite, OnConflict::Skip, OnConflict::Refuse, OnConflict::Rename] {
            let mut talk = Talk::new(&dir.path().join("f")).on(conflict).number(number as u8 + 10);
            talk.to = Some("in".to_owned());
            match talk.whole(&place) {
                Ok((landed, _, _)) => {
                    assert_eq!((conflict, landed.name.as_str()), (OnConflict::Rename, "f (1)"));
                    fs::remove_file(dir.path().join("in/f (1)")).unwrap();
                }
                Err(error) => assert_eq!(error.kind(), Trouble::Conflict, "{conflict:?}"),
            }
            let now = fs::symlink_metadata(&there).unwrap();
            assert_eq!(now.file_type(), before.file_type());
        }
        fs::remove_file(&there).unwrap();
    }
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"theirs");
}

#[cfg(target_os = "linux")]
fn node(at: &Path, kind: rustix::fs::FileType, device: u64) -> bool {
    rustix::fs::mknodat(rustix::fs::CWD, at, kind, rustix::fs::Mode::from_raw_mode(0o600), device).is_ok()
}

#[test]
fn a_directory_that_becomes_a_link_midway_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    tree_at(&dir.path().join("t"));
    let place = Place::open(dir.path()).unwrap();
    for (number, conflict) in [(1, OnConflict::Overwrite), (2, OnConflict::Rename)] {
        let mut talk = Talk::new(&dir.path().join("t")).on(conflict).number(number);
        talk.to = Some("in".to_owned());
        fs::create_dir_all(dir.path().join("in/t/deep")).unwrap();
        let landing = talk.begin(&place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
        // What stood there is replaced by a way out, before the end.
        fs::remove_dir_all(dir.path().join("in/t/deep")).unwrap();
        symlink(&outside, dir.path().join("in/t/deep")).unwrap();
        let landed = landing.commit(&[].into(), b"").unwrap();
        assert_eq!(landed.conflicts.is_empty(), conflict == OnConflict::Rename);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        fs::remove_dir_all(dir.path().join("in")).unwrap();
    }
    // And the part directory itself.
    let talk = Talk::new(&dir.path().join("t"));
    let base = dir.path().join("p");
    fs::create_dir(&base).unwrap();
    symlink(&outside, base.join(".clankers-part")).unwrap();
    let error = talk.begin(&Place::open(&base).unwrap()).unwrap_err();
    assert_eq!(error.kind(), Trouble::BadPlace);
    let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
    symlink(&outside, dir.path().join("inbox/laptop")).unwrap();
    assert_eq!(inbox.place("laptop").unwrap_err().kind(), Trouble::BadPlace);
    for bad in ["..", "a/b", "", "."] {
        assert_eq!(inbox.place(bad).unwrap_err().kind(), Trouble::BadPlace);
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_part_file_that_was_replaced_by_a_link_or_has_another_name_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), bytes(5, 3 << 20)).unwrap();
    fs::write(dir.path().join("f"), bytes(6, 3 << 20)).unwrap();
    let place = Place::open(dir.path()).unwrap();
    for hard in [true, false] {
        let mut talk = Talk::new(&dir.path().join("f")).number(u8::from(hard));
        talk.to = Some("in".to_owned());
        let landing = talk.begin(&place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        talk.send(&landing, &plan, 1).unwrap();
        drop(landing);
        let part = dir.path().join(".clankers-part").join(&parts_in(dir.path())[0]).join("tree");
        fs::remove_file(&part).unwrap();
        if hard {
            fs::hard_link(dir.path().join("precious"), &part).unwrap();
        } else {
            symlink(dir.path().join("precious"), &part).unwrap();
        }
        let (_, plan, sent) = talk.whole(&place).unwrap();
        assert_eq!((plan.had.len(), sent), (0, 3 << 20));
        assert_eq!(fs::read(dir.path().join("precious")).unwrap(), bytes(5, 3 << 20));
    }
    assert_eq!(fs::read(dir.path().join("in/f")).unwrap(), bytes(6, 3 << 20));
}

#[test]
fn unsafe_paths_are_refused_again_behind_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let file = |path: &str| (path.to_owned(), EntryKind::File, 1);
    for bad in ["../x", "/x", "a/../../x", "a//x", "a/./x", "x/", "a\nx", "a\0x", "..", &"y".repeat(256)] {
        let error = place.begin(raw(vec![(String::new(), EntryKind::Dir, 0), file(bad)])).unwrap_err();
        assert_eq!(error.kind(), Trouble::BadPlace, "{bad:?}");
        for in_to in [true, false] {
            let mut wish = raw(vec![(String::new(), EntryKind::Dir, 0)]);
            if in_to {
                wish.to = Some(bad.to_owned())
            } else {
                wish.root_name = bad.to_owned()
            }
            assert_eq!(place.begin(wish).unwrap_err().kind(), Trouble::BadPlace, "{bad:?}");
        }
    }
    for (to, root) in [(None, ".clankers-part"), (None, ".CLANKERS-part"), (Some(".clankers-part/x"), "r")] {
        let mut wish = raw(vec![(String::new(), EntryKind::Dir, 0)]);
        wish.to = to.map(str::to_owned);
        wish.root_name = root.to_owned();
        assert_eq!(place.begin(wish).unwrap_err().kind(), Trouble::BadPlace);
    }
    // A file with something in it.
    assert!(place.begin(raw(vec![(String::new(), EntryKind::File, 1), file("x")])).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "what is refused leaves nothing");
}

#[test]
fn names_of_255_bytes_and_trees_4096_deep_work() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let deep = vec!["d"; 4096].join("/");
    let long = "ä".repeat(127) + "x";
    let mut items = vec![(String::new(), EntryKind::Dir, 0)];
    let mut at = String::new();
    for _ in 0..4096 {
        at = if at.is_empty() { "d".to_owned() } else { at + "/d" };
        items.push((at.clone(), EntryKind::Dir, 0));
    }
    items.push((format!("{deep}/{long}"), EntryKind::File, 3));
    let file = items.len() as u32 - 1;
    let begin = || match place.begin(raw(items.clone())).unwrap() {
        clankers_files::Begun::Landing(landing) => landing,
        clankers_files::Begun::Done { .. } => panic!("done"),
    };
    let landing = begin();
    landing.scan(&GO, &|_| ()).unwrap();
    landing.write_block(file, 0, &tree::hash_block(3, 0, b"abc"), b"abc").unwrap();
    drop(landing);
    // It resumes, is forgotten, and lands, at that depth.
    let landing = begin();
    assert_eq!(landing.scan(&GO, &|_| ()).unwrap().had_bytes, 3);
    landing.forget().unwrap();
    let landing = begin();
    landing.scan(&GO, &|_| ()).unwrap();
    landing.write_block(file, 0, &tree::hash_block(3, 0, b"abc"), b"abc").unwrap();
    landing.commit(&[].into(), b"").unwrap();
    let usage = place.usage().unwrap();
    assert_eq!((usage.files, usage.bytes >= 3), (1, true));
    // A name that is as long as a name can be gets its number all the same.
    fs::write(dir.path().join(&long), b"x").unwrap();
    let (landed, _, _) = Talk::new(&dir.path().join(&long)).whole(&place).unwrap();
    assert!(landed.name.len() <= 255 && landed.name.ends_with(" (1)"), "{}", landed.name);
}

#[test]
fn no_setuid_and_no_reading_of_what_has_not_landed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, bytes(1, 2 << 20)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6777)).unwrap();
    assert_eq!(walk(&path).entry(0).unwrap().mode, 0o777);
    let inbox = Inbox::open(&dir.path().join("inbox")).unwrap();
    let place = inbox.place("laptop").unwrap();
    let talk = Talk::new(&path);
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    talk.send(&landing, &plan, 1).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let part = place.path().join(".clankers-part").join(&parts_in(place.path())[0]);
    assert_eq!((mode(&dir.path().join("inbox")), mode(place.path()), mode(&part)), (0o700, 0o700, 0o700));
    assert_eq!(mode(&part.join("tree")), 0o600);
    drop(landing);
    talk.whole(&place).unwrap();
    assert_eq!(mode(&place.path().join("f")), 0o777);
}

#[test]
fn a_hostile_part_directory_does_not_spoil_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("t");
    tree_at(&root);
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&root);
    talk.to = Some("in".to_owned());
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    talk.send(&landing, &plan, 3).unwrap();
    drop(landing);
    let part = dir.path().join(".clankers-part").join(&parts_in(dir.path())[0]);
    fs::write(part.join("about.json"), b"{ not json").unwrap();
    fs::create_dir_all(part.join("tree/x/\u{1}")).unwrap();
    fs::set_permissions(part.join("tree/x"), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(place.partials().unwrap()[0].about.is_none());
    let (landed, plan, _) = talk.whole(&place).unwrap();
    assert!(plan.had_bytes > 0 && landed.name == "t");
    assert_eq!(shape(&root), shape(&dir.path().join("in/t")));
    // A file where a part directory should be.
    let id = landed.id;
    fs::create_dir_all(dir.path().join(".clankers-part")).unwrap();
    fs::write(dir.path().join(".clankers-part").join(id.as_str()), b"in the way").unwrap();
    assert_eq!(talk.number(2).whole(&place).unwrap().0.name, "t (1)");
}
