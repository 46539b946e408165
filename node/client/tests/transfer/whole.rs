//! Transfers that nothing disturbs.

use std::fs;

use clankers_protocol::{request::transfer::OnConflict, transfer::TransferId};

use super::pair::{Pair, content, ids};

const MIB: usize = 1024 * 1024;

fn never(_: &clankers_client::transfer::Progress) -> bool {
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_arrives_whole_and_is_signed_for() {
    for len in [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 77] {
        let pair = Pair::new(&[("", len)]);
        let ended = pair.run(never).await;
        let sent = ended.sent.unwrap();
        let (us, them) = ids();
        let said = &sent.receipt.receipt;
        assert!(clankers_auth::receipt::is_signed(said, us, them, &sent.receipt.signature));
        assert_eq!((said.files, said.bytes, said.sent_bytes), (1, len as u64, len as u64));
        assert_eq!(said.root.to_string(), blake3::hash(&content(1, len)).to_hex().as_str(), "{len}");
        assert!(sent.bad.is_empty() && ended.received.unwrap().bad.is_empty());
        pair.is_whole("sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_arrives_whole() {
    let mut files: Vec<(String, usize)> =
        (0..700).map(|n| (format!("many/{}/f{n}", n % 7), n * 13)).collect();
    files.extend([
        ("large".to_owned(), 9 * MIB + 5),
        ("a/b/c/d/deep".to_owned(), MIB),
        ("empty".to_owned(), 0),
    ]);
    let files: Vec<(&str, usize)> = files.iter().map(|(path, len)| (path.as_str(), *len)).collect();
    for lanes in [1, 8] {
        let pair = Pair { lanes, ..Pair::new(&files) };
        let ended = pair.run(never).await;
        let sent = ended.sent.unwrap();
        assert_eq!(sent.receipt.receipt.files as usize, files.len());
        assert!(sent.bad.is_empty());
        pair.is_whole("sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_landed_already_is_not_sent_again() {
    let pair = Pair::new(&[("a", 100), ("b", 3 * MIB)]);
    let first = pair.run(never).await.sent.unwrap();
    let again = pair.run(never).await.sent.unwrap();
    assert_eq!(first.receipt.receipt.root, again.receipt.receipt.root);
    // Whoever sent knows what was sent; what answers an offer has to be compared with that.
    assert_eq!((first.root, again.root), (Some(first.receipt.receipt.root), None));
    assert_eq!(again.receipt.receipt.name, "sent");
    let names =
        fs::read_dir(&pair.inbox).unwrap().filter(|e| e.as_ref().unwrap().file_name() != ".clankers-part");
    assert_eq!(names.count(), 1, "the same transfer again makes no second copy");
    // Another transfer of the same makes one.
    let other = Pair { transfer: TransferId([8; 16]), ..pair };
    assert_eq!(other.run(never).await.sent.unwrap().receipt.receipt.name, "sent (1)");
    other.is_whole("sent (1)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_taken_are_dealt_with_as_asked() {
    for (policy, wanted) in [
        (OnConflict::Refuse, None),
        (OnConflict::Rename, Some("sent (1)")),
        (OnConflict::Overwrite, Some("sent")),
        (OnConflict::Skip, Some("sent")),
    ] {
        let pair = Pair { on_conflict: policy, ..Pair::new(&[("same", 2 * MIB), ("other", 2 * MIB)]) };
        fs::create_dir(pair.inbox.join("sent")).unwrap();
        fs::write(pair.inbox.join("sent/same"), content(1, 2 * MIB)).unwrap();
        fs::write(pair.inbox.join("sent/other"), content(99, 2 * MIB)).unwrap();
        let sent = pair.run(never).await.sent;
        match wanted {
            None => assert!(sent.unwrap_err().to_string().contains("that name"), "{policy:?}"),
            Some(name) => {
                let sent = sent.unwrap();
                assert_eq!(sent.receipt.receipt.name, name, "{policy:?}");
                let (there, bad) = (fs::read(pair.inbox.join(name).join("other")).unwrap(), sent.bad.len());
                match policy {
                    OnConflict::Skip => assert!(there == content(99, 2 * MIB) && bad == 1),
                    _ => assert!(there == content(2, 2 * MIB) && bad == 0, "{policy:?}"),
                }
            }
        }
    }
}

/// Everything that is sent takes at least the time that its rate allows for it: a bound that no machine is too fast for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_transfer_is_not_faster_than_its_limit() {
    let rate = 4 * MIB as u64;
    for lanes in [1, 8] {
        let pair = Pair { lanes, limit: Some(rate), ..Pair::new(&[("a", 2 * MIB), ("b", MIB + MIB / 2)]) };
        let begun = std::time::Instant::now();
        let sent = pair.run(never).await.sent.unwrap();
        // 3.5 MiB, less the quarter of a second that may leave at once and as the last piece.
        assert!(begun.elapsed() >= std::time::Duration::from_millis(600), "{:?}", begun.elapsed());
        assert_eq!(sent.receipt.receipt.sent_bytes, 3 * MIB as u64 + MIB as u64 / 2);
        pair.is_whole("sent");
    }
}
