//! Blocks that are damaged on their way: none of it is taken for good.

use std::fs;

use clankers_client::transfer::TransferError;
use clankers_protocol::{
    request::transfer::{Entry, EntryKind, FileBlock},
    transfer::{Fault, FileIdentity, SourceIdentity, tree::hash_block},
};

use super::{
    pair::{Pair, content},
    raw::{block, receive_from, receive_these},
};

/// Places that are damaged, one in each file's block (count).
const PLACES: usize = 10_000;
/// The last file, which is as it should be.
const GOOD: &str = "z";

/// A file's only block.
fn whole(file: u32, bytes: &[u8]) -> FileBlock {
    let size = bytes.len() as u64;
    FileBlock { file, block: 0, len: u32::try_from(size).unwrap(), cv: hash_block(size, 0, bytes) }
}

/// The bytes of the file of this number, and what is listed of it.
fn file(n: usize) -> (Vec<u8>, Entry) {
    let (name, len) = if n < PLACES { (format!("f{n:05}"), 1 + n % 300) } else { (GOOD.to_owned(), 77) };
    let entry = Entry {
        parent: 0,
        name,
        kind: EntryKind::File,
        size: len as u64,
        mode: 0o644,
        mtime_ns: 0,
        id: FileIdentity([1; 16]),
    };
    (content(n as u64, len), entry)
}

/// One bit in ten thousand blocks, of their bytes and of their hashes: each is noticed, and none spoils another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_blocks_are_noticed() {
    let pair = Pair::new(&[]);
    let root = Entry { name: "sent".into(), kind: EntryKind::Dir, size: 0, ..file(0).1 };
    let entries = std::iter::once(root).chain((0..=PLACES).map(|n| file(n).1)).collect();
    let received = receive_these(&pair, (SourceIdentity([3; 32]), entries), |mut raw| async move {
        raw.offer().await;
        let mut lane = raw.lane().await;
        for n in 0..=PLACES {
            let (mut bytes, _) = file(n);
            let mut head = whole(n as u32 + 1, &bytes);
            let roll = u64::from_le_bytes(content(n as u64, 8).try_into().unwrap());
            let bit = (roll >> 8) as usize;
            if n < PLACES && roll.is_multiple_of(4) {
                head.cv.0[bit / 8 % 32] ^= 1 << (bit % 8);
            } else if n < PLACES {
                let at = bit / 8 % bytes.len();
                bytes[at] ^= 1 << (bit % 8);
            }
            lane.writer.stream().write_all(&block(&head, &bytes)).await.unwrap();
        }
        raw.control.commit().await;
        while let Ok(Some(_)) = raw.control.reader.next().await {}
    });
    let received = received.await.unwrap();
    assert_eq!(received.receipt.receipt.files, 1);
    assert_eq!(received.bad.len(), PLACES);
    assert!(received.bad.iter().all(|(_, fault)| *fault == Fault::Mismatch), "{:?}", received.bad[0]);
    let landed: Vec<_> = fs::read_dir(pair.inbox.join("sent")).unwrap().flatten().collect();
    assert_eq!(landed.len(), 1, "only what is whole has a name");
    assert!(fs::read(landed[0].path()).unwrap() == file(PLACES).0);
}

/// Every bit of a block's frame, and of the frame's own header: it lands as it is, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_frame_of_a_block_lands_nowhere() {
    let bytes = content(1, 300);
    let frame = block(&whole(0, &bytes), &bytes);
    let head = frame.len() - bytes.len();
    let mut ended = 0;
    for bit in 0..head * 8 {
        let pair = Pair::new(&[("", bytes.len())]);
        let mut frame = frame.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        let received = receive_from(&pair, |mut raw| async move {
            raw.offer().await;
            let mut lane = raw.lane().await;
            let _cut = lane.writer.stream().write_all(&frame).await;
            // A sender that is cut off: a length that is too long is waited for until then.
            let _cut = lane.writer.finish();
            raw.control.commit().await;
            while let Ok(Some(_)) = raw.control.reader.next().await {}
        });
        match received.await {
            Ok(received) => assert_eq!(received.receipt.receipt.files, 0, "bit {bit}"),
            Err(TransferError::Lost | TransferError::Broken(_)) => ended += 1,
            Err(error) => panic!("bit {bit}: {error}"),
        }
        assert!(!pair.inbox.join("sent").exists(), "bit {bit}");
    }
    assert!(ended > 0 && ended < head * 8, "{ended} of {} bits end the conversation", head * 8);
}
