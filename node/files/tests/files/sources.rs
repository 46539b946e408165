//! What is listed and read, and what changes meanwhile.

use std::{
    fs,
    io::Write,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use clankers_files::{Export, Selection, SkipReason, Source, Trouble};
use clankers_protocol::transfer::manifest::ManifestLimits;

use crate::support::{GO, bytes, set_mtime, tree_at, walk};

fn paths(source: &Source) -> Vec<String> {
    (0..source.len()).map(|at| source.path(at)).collect()
}

fn reasons(source: &Source) -> Vec<(String, SkipReason)> {
    let mut all: Vec<_> = source.skipped().named().map(|s| (s.path.clone(), s.why.clone())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn a_source_is_listed_in_the_order_of_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.b", "a", "a-", "z"] {
        fs::create_dir_all(dir.path().join("r").join(name)).unwrap();
        fs::write(dir.path().join("r").join(name).join("f"), b"x").unwrap();
    }
    fs::write(dir.path().join("r/a!"), b"x").unwrap();
    let source = walk(&dir.path().join("r"));
    let manifest = source.manifest(ManifestLimits::default()).unwrap();
    assert_eq!(manifest.len(), source.len());
    assert_eq!((source.files(), source.dirs(), source.total_bytes()), (5, 5, 5));
    assert!(paths(&source).contains(&"r/a.b/f".to_owned()));
    assert_eq!(walk(&dir.path().join("r")).identity(), source.identity());
    assert_ne!(walk(&dir.path().join("r/a")).identity(), source.identity());
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_or_directory_is_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("d")).unwrap();
    fs::write(root.join("f"), b"x").unwrap();
    symlink("f", root.join("link")).unwrap();
    symlink("nothing", root.join("broken")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"x").unwrap();
    fs::write(root.join("bad\nname"), b"x").unwrap();
    fs::write(root.join("CON"), b"x").unwrap();
    fs::write(root.join("F"), b"twin of f").unwrap();
    let source = walk(&root);
    let found = reasons(&source);
    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["CON", "bad\nname", "broken", "f", "link", "pipe", "socket", "\u{fffd}\u{fffd}"]);
    assert!(matches!(found[0].1, SkipReason::Name(_)) && matches!(found[1].1, SkipReason::Name(_)));
    assert_eq!((&found[2].1, &found[4].1), (&SkipReason::Link, &SkipReason::Link));
    assert_eq!(found[3].1, SkipReason::Twin("F".to_owned()));
    assert_eq!(
        (&found[5].1, &found[6].1),
        (&SkipReason::Special("named pipe"), &SkipReason::Special("socket"))
    );
    assert_eq!(found[7].1, SkipReason::NotText);
    assert_eq!(paths(&source), ["r", "r/F", "r/d"]);
    // A manifest of what is left can be made: what would be refused is not in it.
    source.manifest(ManifestLimits::default()).unwrap();
    assert_eq!(
        Source::walk(&root.join("pipe"), &Selection::default(), &GO).unwrap_err().kind(),
        Trouble::NotSendable
    );
}

#[test]
fn links_are_followed_when_asked_and_never_in_circles() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::create_dir_all(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/f"), b"content").unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("../outside/f", root.join("file")).unwrap();
    symlink("../..", root.join("d/e/up")).unwrap();
    symlink(".", root.join("self")).unwrap();
    symlink("broken", root.join("broken")).unwrap();
    let selection = Selection { follow_links: true, ..Selection::default() };
    let source = Source::walk(&root, &selection, &GO).unwrap();
    assert_eq!(paths(&source), ["r", "r/d", "r/d/e", "r/file", "r/out", "r/out/f"]);
    let why: Vec<SkipReason> = reasons(&source).into_iter().map(|(_, why)| why).collect();
    assert_eq!(why, [SkipReason::BrokenLink, SkipReason::Loop, SkipReason::Loop]);
    let mut text = Vec::new();
    source.read_small(3, &mut text).unwrap();
    source.read_small(5, &mut text).unwrap();
    assert_eq!(text, b"contentcontent");
    // A link that leads to another file by now leads to a file that was not meant.
    fs::remove_file(root.join("file")).unwrap();
    fs::write(dir.path().join("outside/secret"), b"content").unwrap();
    symlink("../outside/secret", root.join("file")).unwrap();
    assert_eq!(source.read_small(3, &mut text).unwrap_err().kind(), Trouble::Changed);
}

#[test]
fn globs_leave_out_files_and_whole_directories() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let selection = Selection {
        follow_links: false,
        excludes: vec!["*.bin".into(), "deep/down/".into(), "/none".into()],
        never: None,
    };
    let source = Source::walk(&dir.path().join("t"), &selection, &GO).unwrap();
    assert_eq!(paths(&source), ["t", "t/a.txt", "t/deep", "t/deep/äö ü.dat", "t/empty"]);
    assert_eq!(source.skipped().count(), 0);
}

#[test]
fn the_nodes_own_directory_is_not_sent_along() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    let selection = Selection { never: Some(dir.path().join("t/deep")), ..Selection::default() };
    let source = Source::walk(&dir.path().join("t"), &selection, &GO).unwrap();
    assert!(paths(&source).iter().all(|path| !path.starts_with("t/deep")), "{:?}", paths(&source));
    assert_eq!(source.skipped().named().next().map(|one| one.why.clone()), Some(SkipReason::Home));
}

#[test]
fn names_that_are_not_composed_travel_composed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("u\u{308}ber")).unwrap();
    fs::write(root.join("u\u{308}ber/a\u{308}"), b"x").unwrap();
    let source = walk(&root);
    assert_eq!(paths(&source), ["r", "r/über", "r/über/ä"]);
    let mut text = Vec::new();
    source.read_small(2, &mut text).unwrap();
    assert_eq!(text, b"x");
}

#[test]
fn a_source_that_changes_shrinks_grows_or_vanishes_is_an_error_and_never_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let length = 3 << 20;
    type Act = fn(&Path);
    let acts: [(&str, Act); 6] = [
        ("written", |p| {
            let mut file = fs::OpenOptions::new().write(true).open(p).unwrap();
            file.write_all(b"x").unwrap();
        }),
        ("shrunk", |p| fs::OpenOptions::new().write(true).open(p).unwrap().set_len(100).unwrap()),
        ("grown", |p| fs::OpenOptions::new().append(true).open(p).unwrap().write_all(b"x").unwrap()),
        ("written, and its time set back", |p| {
            let before = fs::metadata(p).unwrap().modified().unwrap();
            fs::write(p, vec![7; 3 << 20]).unwrap();
            fs::File::open(p).unwrap().set_times(fs::FileTimes::new().set_modified(before)).unwrap();
        }),
        ("replaced", |p| {
            fs::write(p.with_extension("new"), vec![1; 3 << 20]).unwrap();
            fs::rename(p.with_extension("new"), p).unwrap();
        }),
        ("removed", |p| fs::remove_file(p).unwrap()),
    ];
    for (what, act) in acts {
        fs::write(&path, bytes(1, length)).unwrap();
        set_mtime(&path, 1_000_000_000);
        let source = walk(&path);
        let file = source.open_file(0).unwrap();
        let mut block = Vec::new();
        file.read_block(0, &mut block).unwrap();
        assert_eq!(block, bytes(1, length)[..1 << 20]);
        act(&path);
        // Who has it open sees it, unless the name only leads elsewhere now; who opens it again sees that too.
        let read = file.read_block(1, &mut block);
        let again = source.open_file(0).map(|_| ());
        match what {
            "replaced" => assert_eq!(again.unwrap_err().kind(), Trouble::Changed),
            "removed" => assert_eq!(again.unwrap_err().kind(), Trouble::Vanished),
            "written, and its time set back" => assert_eq!(read.unwrap_err().kind(), Trouble::Changed),
            _ => {
                assert_eq!(read.unwrap_err().kind(), Trouble::Changed, "{what}");
                assert_eq!(again.unwrap_err().kind(), Trouble::Changed, "{what}");
            }
        }
    }
}

#[test]
fn a_small_file_that_fails_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"12345").unwrap();
    let source = walk(&dir.path().join("f"));
    fs::write(dir.path().join("f"), b"123").unwrap();
    let mut into = b"before".to_vec();
    assert_eq!(source.read_small(0, &mut into).unwrap_err().kind(), Trouble::Changed);
    assert_eq!(into, b"before");
    // Packed: many small files in one buffer with room.
    let source = walk(&dir.path().join("f"));
    into.reserve(1 << 20);
    source.read_small(0, &mut into).unwrap();
    assert_eq!(into, b"before123");
}

/// A file is written all the time while it is read: what is read without an error is of one time.
#[test]
fn a_writer_beside_the_reader_never_makes_a_mixed_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, vec![0; 64 * 1024]).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, stop) = (path.clone(), stop.clone());
        thread::spawn(move || {
            let mut value = 0_u8;
            while !stop.load(Ordering::Relaxed) {
                value = value.wrapping_add(1);
                let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                // In one call: the file is of one time before and after it.
                file.write_all(&[value; 64 * 1024]).unwrap();
            }
        })
    };
    let (mut whole, mut refused) = (0, 0);
    let mut into = Vec::new();
    for _ in 0..300 {
        into.clear();
        match walk(&path).read_small(0, &mut into) {
            Ok(()) => {
                whole += 1;
                assert!(into.windows(2).all(|two| two[0] == two[1]), "a mixed file after {whole} whole ones");
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), Trouble::Changed);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(refused > 0, "the writer was never noticed");
}

#[test]
fn an_export_is_never_left() {
    let dir = tempfile::tempdir().unwrap();
    tree_at(&dir.path().join("t"));
    fs::write(dir.path().join("secret"), b"secret").unwrap();
    symlink("../secret", dir.path().join("t/link")).unwrap();
    symlink("..", dir.path().join("t/up")).unwrap();
    let export = Export::open(&dir.path().join("t")).unwrap();
    let source =
        |path: &str| export.source(path, &Selection { follow_links: true, ..Selection::default() }, &GO);
    assert_eq!(paths(&source("deep/down").unwrap()), ["down", "down/here", "down/here/x"]);
    assert_eq!(source("").unwrap().name(), "t");
    assert_eq!(source("").unwrap().skipped().count(), 2, "links are not followed, whatever was asked");
    for bad in
        ["..", "../secret", "/etc/passwd", "deep/../../secret", "link", "up", "up/secret", "a//b", "./a"]
    {
        let error = source(bad).unwrap_err();
        assert!(matches!(error.kind(), Trouble::NotSendable | Trouble::Changed), "{bad}: {error}");
    }
    assert_eq!(source("missing").unwrap_err().kind(), Trouble::Vanished);
}
