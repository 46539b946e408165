//! Transfers that break off and go on.

use super::pair::Pair;

const MIB: u64 = 1024 * 1024;

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
