//! Manifests that nobody honest makes, each with the reason for which it is refused. They go the whole way: as an offer
//! and its pages, into the receiver's machine.

use clankers_protocol::{
    Timestamp,
    limits::{TRANSFER_ENTRIES, TRANSFER_PAGE_ENTRIES},
    message::Ext,
    request::transfer::{Entry, EntryKind, FileManifest, FileOffer, OnConflict},
    transfer::{
        End, FileIdentity, FromSender, SourceIdentity, TransferId,
        manifest::{ManifestError, ManifestLimits, Totals},
        name::{Codepoint, NameError},
        receiver::{Input, Output, Receiver},
    },
};

use EntryKind::{Dir, File};

fn entry(parent: u32, name: &str, kind: EntryKind, size: u64) -> Entry {
    Entry { parent, name: name.into(), kind, size, mode: 0o644, mtime_ns: 0, id: FileIdentity([0; 16]) }
}

fn file(name: &str) -> Entry {
    entry(0, name, File, 1)
}

fn dir(name: &str) -> Entry {
    entry(0, name, Dir, 0)
}

fn offer(name: &str, totals: Totals) -> FileOffer {
    FileOffer {
        leaf: None,
        transfer: TransferId([1; 16]),
        name: name.into(),
        source: SourceIdentity([2; 32]),
        bytes: totals.bytes,
        files: totals.files,
        dirs: totals.dirs,
        to: None,
        on_conflict: OnConflict::Rename,
        lanes: 1,
        entries: Vec::new(),
        ext: Ext::default(),
    }
}

fn totals_of(entries: &[Entry]) -> Totals {
    let count = |kind| entries.iter().filter(|entry| entry.kind == kind).count() as u32;
    let bytes = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
    Totals { bytes, files: count(File), dirs: count(Dir) }
}

/// How the receiver ends; `None`: it would judge it.
fn refused(mut offer: FileOffer, entries: &[Entry]) -> Option<End> {
    let mut receiver = Receiver::new(Timestamp(0), ManifestLimits::default());
    let mut pages = entries.chunks(TRANSFER_PAGE_ENTRIES).map(<[Entry]>::to_vec);
    offer.entries = pages.next().unwrap_or_default();
    let more = pages.map(|entries| FromSender::from(FileManifest { entries, ext: Ext::default() }));
    for frame in std::iter::once(FromSender::from(offer)).chain(more) {
        let mut out = Vec::new();
        receiver.handle(Timestamp(1), Input::Frame(frame), &mut out);
        for output in out {
            match output {
                Output::Over(end) => return Some(end),
                Output::Judge => return None,
                _ => {}
            }
        }
    }
    panic!("the receiver waits for more")
}

fn why(entries: &[Entry]) -> ManifestError {
    match refused(offer(&entries[0].name, totals_of(entries)), entries) {
        Some(End::Unsound(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The names of a hostile manifest's second entry, and of its root.
const NAMES: &[(&str, &str, NameError)] = &[
    ("the directory above", "..", NameError::Dots),
    ("the directory itself", ".", NameError::Dots),
    ("no name", "", NameError::EmptyPart),
    ("a way up", "../x", NameError::Separator),
    ("a way up from within", "a/../../x", NameError::Separator),
    ("a way down", "a/b", NameError::Separator),
    ("an absolute path", "/etc/passwd", NameError::Separator),
    ("doubled slashes", "a//b", NameError::Separator),
    ("a slash at the end", "a/", NameError::Separator),
    ("only a slash", "/", NameError::Separator),
    ("a way up on Windows", "..\\x", NameError::Backslash),
    ("a path on Windows", "a\\b", NameError::Backslash),
    ("a share", "\\\\server\\share", NameError::Backslash),
    ("a device path", "\\\\?\\C:\\x", NameError::Backslash),
    ("a drive", "C:", NameError::Drive),
    ("a file of a drive", "c:x", NameError::Drive),
    ("a drive's root", "Z:\\x", NameError::Backslash),
    ("a NUL at the end", "a\0", NameError::Character(Codepoint('\0'))),
    ("a NUL that hides an ending", "a.txt\0.exe", NameError::Character(Codepoint('\0'))),
    ("a line feed", "a\nb", NameError::Character(Codepoint('\n'))),
    ("a carriage return", "a\rb", NameError::Character(Codepoint('\r'))),
    ("a tab", "a\tb", NameError::Character(Codepoint('\t'))),
    ("a bell", "a\u{7}", NameError::Character(Codepoint('\u{7}'))),
    ("a backspace", "ab\u{8}", NameError::Character(Codepoint('\u{8}'))),
    ("an escape that clears the screen", "\u{1b}[2J", NameError::Character(Codepoint('\u{1b}'))),
    ("an escape that sets the title", "\u{1b}]0;x\u{7}", NameError::Character(Codepoint('\u{1b}'))),
    ("an escape of one byte", "\u{9b}31m", NameError::Character(Codepoint('\u{9b}'))),
    ("a delete", "a\u{7f}", NameError::Character(Codepoint('\u{7f}'))),
    ("an ending turned round", "cod\u{202e}fdp.exe", NameError::Character(Codepoint('\u{202e}'))),
    ("an embedding", "\u{202a}a", NameError::Character(Codepoint('\u{202a}'))),
    ("an isolate", "\u{2066}a", NameError::Character(Codepoint('\u{2066}'))),
    ("a mark of direction", "a\u{200f}", NameError::Character(Codepoint('\u{200f}'))),
    ("a space of no width", "a\u{200b}b", NameError::Character(Codepoint('\u{200b}'))),
    ("a byte order mark", "\u{feff}a", NameError::Character(Codepoint('\u{feff}'))),
    ("a soft hyphen", "a\u{ad}b", NameError::Character(Codepoint('\u{ad}'))),
    ("a line separator", "a\u{2028}b", NameError::Character(Codepoint('\u{2028}'))),
    ("a filler that shows nothing", "\u{3164}", NameError::Character(Codepoint('\u{3164}'))),
    ("a tag", "a\u{e0041}", NameError::Character(Codepoint('\u{e0041}'))),
    ("no character", "a\u{ffff}", NameError::Character(Codepoint('\u{ffff}'))),
    ("no character of its block", "a\u{fdd0}", NameError::Character(Codepoint('\u{fdd0}'))),
    ("a dot at the end", "a.", NameError::Trailing),
    ("three dots", "...", NameError::Trailing),
    ("a space at the end", "a ", NameError::Trailing),
    ("only a space", " ", NameError::Trailing),
    ("the directory above, and a space", ".. ", NameError::Trailing),
    ("the console", "CON", NameError::Device),
    ("nothing, of Windows", "nul", NameError::Device),
    ("an auxiliary device", "Aux", NameError::Device),
    ("a printer", "prn", NameError::Device),
    ("a serial port", "COM1", NameError::Device),
    ("a serial port with a raised number", "com¹", NameError::Device),
    ("a parallel port", "lpt9", NameError::Device),
    ("an input", "CONIN$", NameError::Device),
    ("a decomposed letter", "e\u{301}", NameError::NotComposed),
    ("a letter that is another's sign", "\u{212b}", NameError::NotComposed),
    ("marks in the wrong order", "a\u{301}\u{323}", NameError::NotComposed),
    ("the part directory", ".clankers-part", NameError::PartDirectory),
    ("the part directory, shouted", ".CLANKERS-PART", NameError::PartDirectory),
    ("the part directory, with a joiner", ".clankers\u{200d}-part", NameError::PartDirectory),
];

#[test]
fn names_that_lead_elsewhere_or_hide() {
    for (what, name, reason) in NAMES {
        let entries = [dir("root"), file(name)];
        assert_eq!(
            why(&entries),
            ManifestError::Name { name: clankers_protocol::text::line(name, 80), error: *reason },
            "{what}"
        );
        let root = [file(name)];
        assert!(
            matches!(why(&root), ManifestError::Name { error, .. } if error == *reason),
            "{what}, as the root"
        );
        let error = why(&entries).to_string();
        assert!(!error.contains(|c: char| c.is_control() || c == '\u{202e}'), "{what}: {error:?}");
    }
}

#[test]
fn a_directory_to_receive_in_is_a_safe_path_too() {
    for to in ["..", "/tmp", "a/../b", "a//b", "C:/x", "a\0", "", "a/.clankers-part", "\u{1b}[2J"] {
        let entries = [file("x")];
        let asked = FileOffer { to: Some(to.into()), ..offer("x", totals_of(&entries)) };
        assert!(matches!(refused(asked, &entries), Some(End::Unsound(ManifestError::Name { .. }))), "{to:?}");
    }
}

/// What is wrong, the entries beneath a root, and what the receiver calls it.
type Tree = (&'static str, Vec<Entry>, fn(&ManifestError) -> bool);

fn twins() -> Vec<Tree> {
    vec![
        ("twins", vec![file("a"), file("a")], |e| matches!(e, ManifestError::Twin { .. })),
        ("twins but for case", vec![file("README"), file("readme")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("twins but for case, apart", vec![file("A"), file("b"), file("a")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("twins in another alphabet", vec![file("Σ"), file("ς")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("twins of two letters and one", vec![file("strasse"), file("straße")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("twins but for a joiner", vec![file("ab"), file("a\u{200d}b")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("twins but for a variation", vec![file("❤"), file("❤\u{fe0f}")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("directories that are twins", vec![dir("SRC"), dir("src")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("a file and a directory of one name", vec![file("a"), dir("a")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
        ("a file and a directory but for case", vec![dir("A"), file("a")], |e| {
            matches!(e, ManifestError::Twin { .. })
        }),
    ]
}

/// The same of other kinds.
fn trees() -> Vec<Tree> {
    let beneath = |parent, name: &str| entry(parent, name, File, 1);
    vec![
        ("a file beneath a file", vec![file("a"), beneath(1, "b")], |e| {
            matches!(e, ManifestError::BeneathFile { .. })
        }),
        ("a directory beneath a file", vec![file("a"), entry(1, "b", Dir, 0)], |e| {
            matches!(e, ManifestError::BeneathFile { .. })
        }),
        ("a directory that never came", vec![beneath(7, "b")], |e| {
            matches!(e, ManifestError::NoParent { .. })
        }),
        ("its own directory", vec![entry(1, "b", Dir, 0)], |e| matches!(e, ManifestError::NoParent { .. })),
        ("a directory that comes later", vec![beneath(2, "b"), dir("c")], |e| {
            matches!(e, ManifestError::NoParent { .. })
        }),
        ("the last number", vec![beneath(u32::MAX, "b")], |e| matches!(e, ManifestError::NoParent { .. })),
        ("a directory that is closed", vec![dir("a"), dir("b"), beneath(1, "c")], |e| {
            matches!(e, ManifestError::Order { .. })
        }),
        ("names out of order", vec![file("b"), file("a")], |e| matches!(e, ManifestError::Order { .. })),
        ("a directory before what sorts before its slash", vec![dir("a"), file("a.txt")], |e| {
            matches!(e, ManifestError::Order { .. })
        }),
        ("a directory of some size", vec![entry(0, "a", Dir, 5)], |e| {
            matches!(e, ManifestError::DirectorySize { .. })
        }),
        ("more than the largest number", vec![entry(0, "a", File, u64::MAX), entry(0, "b", File, 2)], |e| {
            matches!(e, ManifestError::TooLarge { .. })
        }),
        ("a file of the largest size", vec![entry(0, "a", File, u64::MAX)], |e| {
            matches!(e, ManifestError::TooLarge { got: u64::MAX, .. })
        }),
        ("a name of 256 bytes", vec![file(&"x".repeat(256))], |e| {
            matches!(e, ManifestError::Name { error: NameError::PartTooLong(256), .. })
        }),
        ("86 letters of three bytes", vec![file(&"語".repeat(86))], |e| {
            matches!(e, ManifestError::Name { error: NameError::PartTooLong(258), .. })
        }),
        ("4,096 levels", (0..4_096).map(|n| entry(n, "d", Dir, 0)).collect(), |e| {
            matches!(e, ManifestError::TooDeep { .. })
        }),
        ("a path that no call takes", (0..100).map(|n| entry(n, &"x".repeat(255), Dir, 0)).collect(), |e| {
            matches!(e, ManifestError::PathTooLong { .. })
        }),
    ]
}

#[test]
fn trees_that_are_none() {
    for (what, below, is_right) in twins().into_iter().chain(trees()) {
        let entries: Vec<Entry> = std::iter::once(dir("root")).chain(below).collect();
        let error = why(&entries);
        assert!(is_right(&error), "{what}: {error:?}");
    }
}

#[test]
fn totals_that_lie() {
    let honest = [dir("root"), entry(0, "a", File, 10), entry(0, "b", File, 20), entry(0, "c", Dir, 0)];
    let true_totals = totals_of(&honest);
    assert_eq!(refused(offer("root", true_totals), &honest), None);
    let cases = [
        ("fewer bytes than come", Totals { bytes: 29, ..true_totals }, "bytes"),
        ("more bytes than come", Totals { bytes: 31, ..true_totals }, "bytes"),
        ("no bytes at all", Totals { bytes: 0, ..true_totals }, "bytes"),
        ("files for directories", Totals { files: 3, dirs: 1, ..true_totals }, "directories"),
        ("directories for files", Totals { files: 1, dirs: 3, ..true_totals }, "files"),
    ];
    for (what, totals, of) in cases {
        match refused(offer("root", totals), &honest) {
            Some(End::Unsound(ManifestError::Totals { what: got, .. })) => assert_eq!(got, of, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    for (what, totals) in [
        ("more entries than a number holds", Totals { files: u32::MAX, dirs: u32::MAX, bytes: 0 }),
        ("one more than is taken", Totals { files: TRANSFER_ENTRIES, dirs: 1, bytes: 0 }),
        ("more bytes than are taken", Totals { bytes: u64::MAX, ..true_totals }),
        ("nothing", Totals::default()),
    ] {
        assert!(matches!(refused(offer("root", totals), &honest), Some(End::Unsound(_))), "{what}");
    }
    // An entry after the last that was announced.
    let fewer = Totals { files: 1, dirs: 1, bytes: 10 };
    assert!(matches!(
        refused(offer("root", fewer), &honest),
        Some(End::Unsound(ManifestError::Totals { .. }))
    ));
}

#[test]
fn a_root_that_is_another_than_was_announced() {
    let entries = [dir("photos"), file("a")];
    let asked = offer("holiday", totals_of(&entries));
    assert_eq!(refused(asked, &entries), Some(End::Unsound(ManifestError::RootName)));
    let empty = refused(offer("a", Totals { bytes: 1, files: 1, dirs: 0 }), &[]);
    assert!(matches!(empty, Some(End::Broken(_))));
    let beneath_itself = [entry(3, "a", File, 1)];
    assert!(matches!(why(&beneath_itself), ManifestError::NoParent { .. }));
}

#[test]
fn a_million_empty_files_are_taken_in_and_not_one_more() {
    let mut receiver = Receiver::new(Timestamp(0), ManifestLimits::default());
    let totals = Totals { bytes: 0, files: TRANSFER_ENTRIES - 1, dirs: 1 };
    let mut asked = offer("root", totals);
    asked.entries = vec![dir("root")];
    let mut out = Vec::new();
    receiver.handle(Timestamp(0), Input::Frame(asked.into()), &mut out);
    for page in 0..TRANSFER_ENTRIES.div_ceil(4_000) {
        let names = (page * 4_000..(page + 1) * 4_000).take_while(|n| *n < TRANSFER_ENTRIES - 1);
        let entries = names.map(|n| entry(0, &format!("{n:07}"), File, 0)).collect();
        receiver.handle(
            Timestamp(0),
            Input::Frame(FileManifest { entries, ext: Ext::default() }.into()),
            &mut out,
        );
    }
    assert!(out.contains(&Output::Judge));
    assert_eq!(receiver.manifest().map(|manifest| manifest.len()), Some(TRANSFER_ENTRIES));
}

#[test]
fn limits_of_the_receiver_hold_before_its_memory_is_used() {
    let limits = ManifestLimits { entries: 10, bytes: 1_000, depth: 3 };
    let ask = |totals| {
        let mut receiver = Receiver::new(Timestamp(0), limits);
        let mut out = Vec::new();
        let mut asked = offer("root", totals);
        asked.entries = vec![dir("root"), dir("a"), entry(1, "b", Dir, 0), entry(2, "c", Dir, 0)];
        receiver.handle(Timestamp(0), Input::Frame(asked.into()), &mut out);
        out.into_iter().find_map(|output| match output {
            Output::Over(End::Unsound(error)) => Some(error),
            _ => None,
        })
    };
    let four = Totals { bytes: 0, files: 0, dirs: 4 };
    assert_eq!(ask(Totals { dirs: 11, ..four }), Some(ManifestError::TooMany { got: 11, limit: 10 }));
    assert_eq!(
        ask(Totals { bytes: 1_001, ..four }),
        Some(ManifestError::TooLarge { got: 1_001, limit: 1_000 })
    );
    assert_eq!(ask(four), Some(ManifestError::TooDeep { name: "root/a/b/c".into(), got: 4, limit: 3 }));
}
