//! Transfers that break off and go on.

use std::{
    future::Ready,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use clankers_client::transfer::{Progress, beside};
use clankers_mesh::Connection;
use clankers_protocol::limits::{QUIET_MS, TRANSFER_SILENCE_MS};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pair::{Pair, ids};

const MIB: u64 = 1024 * 1024;
/// The boot of a node.
const OLD: u64 = 7;

/// Each attempt is cut after a few MiB more; in the end all is there, and little was sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_cut_goes_on_where_it_was() {
    let pair = Pair::new(&[("a", 30 * 1024 * 1024 + 5), ("b/c", 8 * 1024 * 1024), ("b/d", 300)]);
    let total = 38 * MIB + 305;
    let mut had = 0;
    for _ in 0..40 {
        let goal = had + 4 * MIB;
        let ended = pair.run(|now| now.bytes >= goal && now.bytes < total).await;
        match (ended.sent, ended.received) {
            (Ok(sent), _) => {
                assert!(
                    sent.receipt.receipt.sent_bytes <= total - had,
                    "nothing that is there is sent again"
                );
                pair.is_whole("sent");
                return;
            }
            (Err(error), _) => {
                assert!(error.may_retry(), "{error}");
                assert!(!pair.inbox.join("sent").exists(), "no final name before all is there");
                had = resting(&pair);
            }
        }
    }
    panic!("it never ended");
}

fn resting(pair: &Pair) -> u64 {
    let place = clankers_files::Place::open(&pair.inbox).unwrap();
    place.partials().unwrap().iter().map(|part| part.had_bytes).sum()
}

/// A receiver that was killed closes nothing. When its node is there again, the sender goes over to it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_has_started_anew_is_not_waited_for() {
    // Slow enough not to be done before.
    let pair = Pair { limit: Some(4 * MIB), ..Pair::new(&[("a", 20 * 1024 * 1024)]) };
    let (ours, theirs) = Connection::memory_pair(ids().0, ids().1);
    let (tell, told) = watch::channel(Progress::default());
    let (seen, mut progress) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let tried = AtomicU64::new(0);
    // It is there as the same boot first, which is no reason to leave it so soon.
    let dial = || async { Some((OLD + u64::from(tried.fetch_add(1, Ordering::Relaxed) >= 2), "fresh")) };
    let begun = Instant::now();
    let sending = beside(Box::pin(pair.send(&ours, &tell, &stop)), (&ours, OLD), told, dial);
    // Killed after some of it: it reads and says nothing any more, and closes nothing.
    let receiving = async {
        let mut alive = std::pin::pin!(pair.receive(&theirs, &seen, &stop));
        tokio::select! {
            _ = &mut alive => {}
            _ = progress.wait_for(|now| now.bytes > 0) => {}
        }
        std::future::pending::<()>().await;
    };
    let (ended, fresh) = tokio::select! {
        ended = sending => ended,
        () = receiving => unreachable!("it is dead"),
    };
    assert!(ended.unwrap_err().may_retry());
    assert_eq!((fresh, tried.load(Ordering::Relaxed)), (Some("fresh"), 3));
    assert!(begun.elapsed() >= Duration::from_millis(QUIET_MS), "it was not quiet for long enough");
    assert!(begun.elapsed() < Duration::from_millis(TRANSFER_SILENCE_MS), "its silence was waited for");
}

/// Nobody is dialed while the peer speaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_there_is_not_dialed_again() {
    let pair = Pair::new(&[("a", 3 * 1024 * 1024)]);
    let (ours, theirs) = Connection::memory_pair(ids().0, ids().1);
    let (tell, told) = watch::channel(Progress::default());
    let (seen, stop) = (watch::channel(Progress::default()).0, CancellationToken::new());
    // It takes longer than the peer may be quiet.
    let pair = Pair { limit: Some(1024 * 1024), ..pair };
    let dial = || -> Ready<Option<(u64, ())>> { panic!("it speaks once a second") };
    let sending = beside(Box::pin(pair.send(&ours, &tell, &stop)), (&ours, OLD), told, dial);
    let ((sent, _), received) = tokio::join!(sending, pair.receive(&theirs, &seen, &stop));
    assert!(sent.is_ok() && received.is_ok());
    pair.is_whole("sent");
}
