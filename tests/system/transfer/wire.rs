//! Peers that do not keep to the rules.

use std::fs;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    Message,
    message::Ext,
    refusal::RefusalCode,
    request::transfer::{DoneFile, EntryKind, FileCommit, FileDone, FileManifest, FileOffer},
    transfer::{Root, TransferId, tree::hash_block},
};
use clankers_tests::{
    forge,
    hostile::{Answer, Hostile, frame},
};

use super::{
    peer::{accepted, answer, block, dir, entry, file, intruder, lane},
    shape,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_manifests_are_refused_and_leave_nothing() {
    let intruder = intruder().await;
    let root = || entry(0, "root", EntryKind::Dir, 0);
    let mut bad: Vec<(&str, FileOffer)> = [
        "..",
        ".",
        "",
        "a/b",
        "/etc",
        "a\0b",
        "a\\b",
        "C:",
        "con",
        "a.",
        "a ",
        "\u{202e}gpj",
        "e\u{301}",
        "\x1b[2J",
        ".clankers-part",
        &"x".repeat(256),
    ]
    .into_iter()
    .map(|name| ("a name", file(name, 1)))
    .collect();
    bad.extend(
        ["..", "../x", "/x", "a//b", "a/../b", ".clankers-part", "a\nb"]
            .map(|to| ("a directory", FileOffer { to: Some(to.into()), ..file("f", 1) })),
    );
    bad.extend([
        ("sizes that lie", FileOffer { bytes: 5, ..file("f", 6) }),
        ("sizes that lie the other way", FileOffer { bytes: 6, ..file("f", 5) }),
        ("a count that lies", FileOffer { files: 0, ..file("f", 5) }),
        ("too many bytes", file("f", u64::MAX)),
        (
            "an overflow",
            dir(vec![root(), entry(0, "a", EntryKind::File, u64::MAX), entry(0, "b", EntryKind::File, 2)]),
        ),
        ("a directory with a size", dir(vec![entry(0, "root", EntryKind::Dir, 5)])),
        ("twins", dir(vec![root(), entry(0, "A", EntryKind::File, 1), entry(0, "a", EntryKind::File, 1)])),
        (
            "the same twice",
            dir(vec![root(), entry(0, "a", EntryKind::File, 1), entry(0, "a", EntryKind::File, 1)]),
        ),
        (
            "beneath a file",
            dir(vec![root(), entry(0, "a", EntryKind::File, 1), entry(1, "b", EntryKind::File, 1)]),
        ),
        ("a parent that is not there", dir(vec![root(), entry(9, "a", EntryKind::File, 1)])),
        ("a parent of its own", dir(vec![root(), entry(1, "a", EntryKind::Dir, 0)])),
        ("another root", FileOffer { name: "other".into(), ..file("f", 1) }),
        ("nothing at all", FileOffer { entries: Vec::new(), files: 0, bytes: 0, ..file("f", 0) }),
    ]);
    for (what, offer) in bad {
        let shown = format!("{what}: {:?} to {:?}", offer.name, offer.to);
        let mut talk = intruder.guest.say(&offer).await;
        match answer(&mut talk).await {
            Answer::Refused(refusal) => {
                let code = refusal.code();
                let fit = [
                    RefusalCode::Invalid,
                    RefusalCode::TooLarge,
                    RefusalCode::Malformed,
                    RefusalCode::Quota,
                    RefusalCode::Unauthorized,
                ];
                assert!(fit.contains(&code), "{shown}: {refusal:?}");
                assert!(!refusal.message.contains(['\x1b', '\u{202e}', '\n']), "{shown}: {refusal:?}");
            }
            other => panic!("{shown}: {other:?}"),
        }
    }
    let inbox = intruder.node.home().path().join("inbox");
    assert!(fs::read_dir(&inbox).into_iter().flatten().next().is_none(), "{:?}", shape(&inbox));
    intruder.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_lie_do_not_land() {
    let intruder = intruder().await;
    let good = hash_block(5, 0, b"hello");
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("other bytes", block(0, 0, b"jello", good)),
        ("another file", block(7, 0, b"hello", good)),
        ("another block", block(0, 1, b"hello", good)),
        ("a shorter one", block(0, 0, b"hell", hash_block(4, 0, b"hell"))),
        ("no frame", b"nonsense nonsense".to_vec()),
        ("another frame", frame(FileCommit::KIND, &FileCommit { ext: Ext::default() }.encode())),
    ];
    for (what, bytes) in bad {
        let offer = file("f", 5);
        let mut talk = intruder.guest.say(&offer).await;
        accepted(&mut talk).await;
        let mut data = lane(&intruder.guest, offer.transfer).await;
        let _cut = data.write(&bytes).await;
        let commit = FileCommit { ext: Ext::default() };
        let _cut = talk.write(&frame(FileCommit::KIND, &commit.encode())).await;
        let ended = talk.answers().await;
        assert!(!ended.iter().any(|answer| matches!(answer, Answer::Silence)), "{what}: {ended:?}");
        let inbox = intruder.node.home().path().join("inbox").join(intruder.peer.id().short());
        assert!(!inbox.join("f").exists(), "{what}: {:?}", shape(&inbox));
    }
    // A root that is not that of the blocks.
    let large = vec![7; 1024 * 1024];
    let size = 2 * large.len() as u64;
    let offer = file("large", size);
    let mut talk = intruder.guest.say(&offer).await;
    accepted(&mut talk).await;
    let mut data = lane(&intruder.guest, offer.transfer).await;
    for number in [0, 1] {
        data.write(&block(0, number, &large, hash_block(size, number, &large))).await.unwrap();
    }
    let done = FileDone { files: vec![DoneFile { file: 0, root: Root([3; 32]) }], ext: Ext::default() };
    talk.write(&frame(FileDone::KIND, &done.encode())).await.unwrap();
    talk.write(&frame(FileCommit::KIND, &FileCommit { ext: Ext::default() }.encode())).await.unwrap();
    let _ended = talk.answers().await;
    let inbox = intruder.node.home().path().join("inbox").join(intruder.peer.id().short());
    assert!(!inbox.join("large").exists());
    assert!(intruder.node.lives());
    intruder.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_streams_belong_to_their_own_connection() {
    let intruder = intruder().await;
    let offer = file("f", 5);
    let mut talk = intruder.guest.say(&offer).await;
    accepted(&mut talk).await;
    let other = Hostile::start().await;
    let spec = GrantSpec::default().with_files(true, false);
    let chain = forge::grant(&intruder.node.home().seed(), other.id(), &spec);
    let (guest, _) = other.welcomed(intruder.node.address(), vec![chain]).await;
    let mut data = lane(&guest, offer.transfer).await;
    assert_eq!(data.answer().await.refused(), RefusalCode::NotFound);
    // Nor to a transfer that is none, nor to one that was not taken yet.
    let mut data = lane(&intruder.guest, TransferId([9; 16])).await;
    assert_eq!(data.answer().await.refused(), RefusalCode::NotFound);
    let mut again = intruder.guest.say(&offer).await;
    assert_eq!(answer(&mut again).await.refused(), RefusalCode::Busy);
    other.close().await;
    intruder.peer.close().await;
}

/// A manifest that goes on for ever ends where it was announced to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_no_longer_than_was_announced() {
    let intruder = intruder().await;
    let mut talk =
        intruder.guest.say(&FileOffer { files: 2, ..dir(vec![entry(0, "root", EntryKind::Dir, 0)]) }).await;
    let page = |from: u32| FileManifest {
        entries: (from..from + 100).map(|n| entry(0, &format!("f{n:09}"), EntryKind::File, 0)).collect(),
        ext: Ext::default(),
    };
    let _cut = talk.write(&frame(FileManifest::KIND, &page(0).encode())).await;
    match answer(&mut talk).await {
        Answer::Refused(refusal) => {
            assert!(matches!(refusal.code(), RefusalCode::Invalid | RefusalCode::TooLarge))
        }
        other => panic!("{other:?}"),
    }
    intruder.peer.close().await;
}
