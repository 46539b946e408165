//! Sides that are there and do nothing, on a clock of the test: each is given up within its limit, and not before.

use std::{fs, time::Duration};

use clankers_client::transfer::TransferError;
use clankers_protocol::{
    limits::{TRANSFER_SILENCE_MS, TRANSFER_STALL_MS},
    request::transfer::{FileBlock, FileCommit},
    transfer::tree::{BLOCK_BYTES, hash_block},
};
use tokio::time::Instant;

use super::{
    pair::Pair,
    raw::{accept, block, progress, receive_from, send_to, swallow},
};

const BLOCK: usize = BLOCK_BYTES as usize;
/// How much later than its limit a side may be given up (time).
const LATE: Duration = Duration::from_secs(5);

/// Not for ever, which would be over in no time on this clock, and never.
async fn patient<T>(done: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), done)
        .await
        .unwrap_or_else(|_| panic!("it is waited for for ever"))
}

fn is_stalled<T: std::fmt::Debug>(done: Result<T, TransferError>, begun: Instant, limit_ms: u64) {
    let (limit, took) = (Duration::from_millis(limit_ms), begun.elapsed());
    let Err(TransferError::Stalled) = done else { panic!("{done:?} after {took:?}") };
    assert!(took >= limit && took <= limit + LATE, "after {took:?} instead of {limit:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_falls_silent_is_given_up() {
    let pair = Pair::new(&[("a", 2 * BLOCK)]);
    let begun = Instant::now();
    let received = receive_from(&pair, |mut raw| async move {
        raw.offer().await;
        // It holds its streams, and is not there any more.
        std::future::pending::<()>().await;
    });
    is_stalled(patient(received).await, begun, TRANSFER_SILENCE_MS);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_stalls_is_given_up_and_what_came_is_kept() {
    let pair = Pair::new(&[("a", 2 * BLOCK + 5)]);
    let begun = Instant::now();
    let source = fs::read(pair.source.join("a")).unwrap();
    let received = receive_from(&pair, |mut raw| async move {
        raw.offer().await;
        let mut lane = raw.lane().await;
        let (size, bytes) = (source.len() as u64, &source[..BLOCK]);
        let head = FileBlock { file: 1, block: 0, len: BLOCK as u32, cv: hash_block(size, 0, bytes) };
        lane.writer.stream().write_all(&block(&head, bytes)).await.unwrap();
        // It says each second that it is there.
        raw.control.beat(progress(0)).await;
    });
    is_stalled(patient(received).await, begun, TRANSFER_STALL_MS);
    assert!(!pair.inbox.join("sent").exists());
    // Its parts are let go of: whoever comes next goes on with them.
    let sent = pair.run(|_| false).await.sent.unwrap();
    assert_eq!(sent.receipt.receipt.sent_bytes, BLOCK_BYTES + 5);
    pair.is_whole("sent");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_comes_slowly_is_waited_for() {
    let pair = Pair::new(&[("a", 2 * BLOCK)]);
    let begun = Instant::now();
    let source = fs::read(pair.source.join("a")).unwrap();
    let received = receive_from(&pair, |mut raw| async move {
        raw.offer().await;
        let mut lane = raw.lane().await;
        let (size, bytes) = (source.len() as u64, &source[..BLOCK]);
        let head = FileBlock { file: 1, block: 0, len: BLOCK as u32, cv: hash_block(size, 0, bytes) };
        let drops = async {
            // All of it takes nearly four times as long as it may stand still.
            for part in block(&head, bytes).chunks(BLOCK / 8) {
                tokio::time::sleep(Duration::from_millis(TRANSFER_STALL_MS * 4 / 10)).await;
                lane.writer.stream().write_all(part).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::join!(drops, raw.control.beat(progress(0)));
    });
    // Nine parts, and then nothing more.
    is_stalled(patient(received).await, begun, TRANSFER_STALL_MS * 9 * 4 / 10 + TRANSFER_STALL_MS);
    let sent = pair.run(|_| false).await.sent.unwrap();
    assert_eq!(sent.receipt.receipt.sent_bytes, BLOCK_BYTES, "the first block is kept");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_falls_silent_is_given_up() {
    let pair = Pair::new(&[("a", 2 * BLOCK)]);
    let begun = Instant::now();
    let sent = send_to(&pair, |mut control, connection| async move {
        accept(&mut control).await;
        swallow(connection).await;
        std::future::pending::<()>().await;
    });
    is_stalled(patient(sent).await, begun, TRANSFER_SILENCE_MS);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_acknowledges_is_given_up() {
    // One that takes the bytes, and one that does not even take the data streams.
    for reads in [true, false] {
        let pair = Pair::new(&[("a", 20 * BLOCK)]);
        let begun = Instant::now();
        let sent = send_to(&pair, |mut control, connection| async move {
            accept(&mut control).await;
            tokio::select! {
                () = control.beat(progress(0)) => {}
                () = swallow(connection), if reads => {}
            }
        });
        is_stalled(patient(sent).await, begun, TRANSFER_STALL_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_signs_is_given_up() {
    let pair = Pair::new(&[("a", 2 * BLOCK)]);
    let begun = Instant::now();
    let sent = send_to(&pair, |mut control, connection| async move {
        accept(&mut control).await;
        tokio::spawn(swallow(connection));
        let _all = control.until::<FileCommit>().await.unwrap();
        control.beat(progress(2 * BLOCK_BYTES)).await;
    });
    // What it says first is news, and counts as a step.
    is_stalled(patient(sent).await, begun, TRANSFER_STALL_MS);
}
