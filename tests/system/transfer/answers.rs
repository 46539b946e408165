//! Peers that answer `get-file` with something else than was asked for: nothing of it lands outside, or under another name.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use clankers_protocol::{
    Message,
    message::Ext,
    refusal::RefusalCode,
    request::transfer::{
        DoneFile, Entry, EntryKind, FileAccept, FileCommit, FileData, FileDone, FileFetch, FileOffer,
    },
    transfer::{Root, TransferId, tree::hash_block},
};
use clankers_tests::{
    NodeHome,
    cli::Ran,
    forge,
    home::WORKSPACE,
    impostor::{Asked, Impostor, Manner},
};

use super::{
    peer::{block, dir, entry, file},
    shape,
};
use crate::BIN;

/// What it offers, whatever was asked for, and then sends.
#[derive(Clone)]
struct Lie {
    offer: FileOffer,
    /// The transfer is the one that was asked for.
    is_asked: bool,
    /// What it writes to each data stream.
    data: Vec<u8>,
    done: Vec<DoneFile>,
}

impl Lie {
    /// An offer of the transfer that was asked for, and these bytes.
    fn new(offer: FileOffer, data: Vec<u8>) -> Self {
        Self { offer, is_asked: true, data, done: Vec::new() }
    }

    async fn answer(self, mut asked: Asked) {
        match asked.first.kind {
            FileFetch::KIND => {
                let fetch = FileFetch::decode(&asked.first.body).unwrap();
                let transfer = if self.is_asked { fetch.transfer } else { TransferId(forge::random()) };
                let _cut = asked.writer.send(&FileOffer { transfer, ..self.offer }).await;
                if asked.until::<FileAccept>().await.is_some() {
                    if !self.done.is_empty() {
                        let done = FileDone { files: self.done, ext: Ext::default() };
                        let _cut = asked.writer.send(&done).await;
                    }
                    let _cut = asked.writer.send(&FileCommit { ext: Ext::default() }).await;
                }
                // Until the guest has heard enough.
                while let Ok(Some(_)) = asked.reader.next().await {}
            }
            FileData::KIND => {
                let _cut = asked.writer.stream().write_all(&self.data).await;
                let _cut = asked.writer.finish();
            }
            _ => asked.refuse().await,
        }
    }
}

/// A guest that asks one of these for `docs/book.txt`; what it printed, and itself.
async fn asked(lie: Lie, more: &'static [&'static str]) -> (Ran, NodeHome) {
    let manner: Manner = Arc::new(move |asked| Box::pin(lie.clone().answer(asked)));
    let impostor = Impostor::that(manner).await;
    let lap = NodeHome::new(BIN);
    let ticket = impostor.ticket();
    let ran = tokio::task::spawn_blocking(move || {
        let words = ["--json", "rpc", "get-file", &ticket, "docs/book.txt"];
        (lap.cli(words).args(more).within(Duration::from_secs(30)).run(), lap)
    });
    let ran = ran.await.unwrap();
    impostor.close().await;
    ran
}

/// What is new in the guest's workspace; fails when anything else of the guest's machine is.
fn came(lap: &NodeHome, what: &str) -> BTreeSet<String> {
    let names = |dir: &std::path::Path| -> BTreeSet<String> {
        let listed = fs::read_dir(dir).unwrap();
        listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(lap.root()), ["user", "workspace"].map(str::to_owned).into(), "{what}");
    assert_eq!(names(&lap.user()), [".clankers".to_owned()].into(), "{what}: in the home");
    let before = WORKSPACE.iter().map(|(name, _)| name.split('/').next().unwrap());
    // What is unfinished lies where its owner looks for nothing, and can be resumed.
    let before: BTreeSet<&str> = before.chain([".clankers-part"]).collect();
    names(&lap.workspace()).into_iter().filter(|name| !before.contains(name.as_str())).collect()
}

fn five(name: &str) -> FileOffer {
    file(name, 5)
}

fn hello() -> Vec<u8> {
    block(0, 0, b"hello", hash_block(5, 0, b"hello"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_is_called_is_up_to_who_asked() {
    for name in [".bash_profile", "README.md", "book.txt", ".clankers"] {
        let (ran, lap) = asked(Lie::new(five(name), hello()), &[]).await;
        assert_eq!(ran.exit.code, Some(0), "{name}: {}", ran.story());
        assert_eq!(came(&lap, name), ["book.txt".to_owned()].into());
        assert_eq!(fs::read(lap.workspace().join("book.txt")).unwrap(), b"hello");
        assert_eq!(fs::read_to_string(lap.workspace().join("README.md")).unwrap(), WORKSPACE[0].1, "{name}");
    }
    // The same with a directory that the answer names, and with a name that was asked for.
    let offer = FileOffer { to: Some("src".into()), ..five("main.rs") };
    let (ran, lap) = asked(Lie::new(offer, hello()), &["-o", "other.txt"]).await;
    assert_eq!(ran.exit.code, Some(0), "{}", ran.story());
    assert_eq!(came(&lap, "a directory"), ["other.txt".to_owned()].into());
    assert_eq!(fs::read_dir(lap.workspace().join("src")).unwrap().count(), 2, "nothing lands in src");
}

/// Whether it is a file cannot be known before: but what lands is one thing of the name that was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_lands_beneath_the_name_that_was_asked_for() {
    let entries = vec![
        entry(0, "root", EntryKind::Dir, 0),
        entry(0, ".bashrc", EntryKind::File, 5),
        entry(0, "src", EntryKind::Dir, 0),
        entry(2, "main.rs", EntryKind::File, 0),
    ];
    let data = block(1, 0, b"hello", hash_block(5, 0, b"hello"));
    let (ran, lap) = asked(Lie::new(dir(entries), data), &[]).await;
    assert_eq!(ran.exit.code, Some(0), "{}", ran.story());
    assert_eq!(came(&lap, "a directory"), ["book.txt".to_owned()].into());
    let landed: Vec<String> = shape(&lap.workspace().join("book.txt")).into_keys().collect();
    assert_eq!(landed, [".", "./.bashrc", "./src", "./src/main.rs"]);
    let own = lap.workspace().join("src/main.rs");
    assert_eq!(fs::read_to_string(own).unwrap(), WORKSPACE[1].1, "one's own is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_that_lead_elsewhere_land_nowhere() {
    let below = |names: &[(u32, &str, EntryKind)]| {
        let mut entries = vec![entry(0, "root", EntryKind::Dir, 0)];
        entries.extend(names.iter().map(|(parent, name, kind)| {
            entry(*parent, name, *kind, u64::from(*kind == EntryKind::File) * 5)
        }));
        dir(entries)
    };
    let bad: Vec<(&str, FileOffer)> = vec![
        ("a way up", five("../evil")),
        ("an absolute path", five("/tmp/evil")),
        ("an escape", five("\u{1b}[2Jevil")),
        ("the part directory", five(".clankers-part")),
        ("a way up, beneath", below(&[(0, "..", EntryKind::Dir), (1, "evil", EntryKind::File)])),
        ("a path, beneath", below(&[(0, "../../evil", EntryKind::File)])),
        ("twins", below(&[(0, "A", EntryKind::File), (0, "a", EntryKind::File)])),
        ("beneath a file", below(&[(0, "a", EntryKind::File), (1, "evil", EntryKind::File)])),
        ("a directory to receive in", FileOffer { to: Some("../evil".into()), ..five("book.txt") }),
        ("sizes that lie", FileOffer { bytes: 4, ..five("book.txt") }),
        ("more bytes than there can be", FileOffer { entries: vec![huge()], bytes: u64::MAX, ..five("h") }),
        ("nothing at all", FileOffer { entries: Vec::new(), files: 0, bytes: 0, ..five("book.txt") }),
    ];
    for (what, offer) in bad {
        let (ran, lap) = asked(Lie::new(offer, hello()), &[]).await;
        assert!(matches!(ran.exit.code, Some(1 | 2 | 5)), "{what}: {}", ran.story());
        assert_eq!(came(&lap, what), BTreeSet::new(), "{what}");
        assert!(!ran.err().contains('\u{1b}'), "{what}: {}", ran.story());
        assert!(!ran.error()["message"].to_string().is_empty(), "{what}: {}", ran.story());
    }
}

fn huge() -> Entry {
    entry(0, "h", EntryKind::File, u64::MAX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_what_was_told_get_no_name() {
    const MIB: usize = 1024 * 1024;
    let two = vec![7; MIB + 5];
    let size = two.len() as u64;
    let large = |number: u32, bytes: &[u8]| block(0, number, bytes, hash_block(size, number, bytes));
    let whole = [large(0, &two[..MIB]), large(1, &two[MIB..])].concat();
    let wrong = vec![DoneFile { file: 0, root: Root([3; 32]) }];
    let bad: Vec<(&str, Lie)> = vec![
        (
            "more than was told",
            Lie::new(five("f"), block(0, 0, b"hello you", hash_block(9, 0, b"hello you"))),
        ),
        ("a block after the last", Lie::new(five("f"), block(0, 1, b"hello", hash_block(5, 0, b"hello")))),
        (
            "a file that was not told of",
            Lie::new(five("f"), block(1, 0, b"hello", hash_block(5, 0, b"hello"))),
        ),
        (
            "other bytes than their hash says",
            Lie::new(five("f"), block(0, 0, b"jello", hash_block(5, 0, b"hello"))),
        ),
        ("another root than its blocks have", Lie { done: wrong, ..Lie::new(file("f", size), whole) }),
        ("another transfer than was asked for", Lie { is_asked: false, ..Lie::new(five("f"), hello()) }),
    ];
    for (what, lie) in bad {
        let (ran, lap) = asked(lie, &[]).await;
        assert!(!matches!(ran.exit.code, Some(0) | None), "{what}: {}", ran.story());
        assert_eq!(came(&lap, what), BTreeSet::new(), "{what}");
    }
    let refused = RefusalCode::Invalid.exit();
    let (ran, _) = asked(Lie { is_asked: false, ..Lie::new(five("f"), hello()) }, &[]).await;
    assert_eq!(ran.exit.code, Some(refused as i32), "{}", ran.story());
}
