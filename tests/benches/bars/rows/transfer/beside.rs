//! An echo on the connection that a transfer runs on: 20 ms round trip, 100 Mb/s, emulated by the lab.

use std::{path::Path, time::Duration};

use clankers_client::transfer::{Job, Progress, Records, SendWish, Us};
use clankers_lab::{Lab as Net, Setting, link::Rate};
use clankers_protocol::transfer::TransferId;
use clankers_tests::{
    NodeHome, Start, forge,
    owner::Owner,
    stats::{Samples, millis},
};
use tokio::{runtime::Builder, sync::watch};
use tokio_util::sync::CancellationToken;

use super::corpus::Corpus;
use crate::{
    limits::{TRANSFER_BESIDE_MIB, TRANSFER_BESIDE_ROUNDS, TRANSFER_IDLE_PINGS, TRANSFER_PATIENCE},
    peers::Lab,
    report::{Judge, Row},
};

/// One way (time).
const DELAY: Duration = Duration::from_millis(10);
/// How fast the link is (Mb/s).
const RATE: u64 = 100;
/// What waits in its queue: a common router's 200 ms (bytes).
const QUEUE: usize = 2_500_000;
/// Between one echo's end and the next (time): a person types.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn beside(lab: &Lab) -> Vec<Row> {
    let setting = Setting { delay: DELAY, rate: Some(Rate::mbit(RATE)), queue: QUEUE, ..Setting::default() };
    let Some(net) = Net::builder().setting(setting).seed(7).start() else {
        eprintln!("  (not measured: the lab cannot run here)");
        return Vec::new();
    };
    let corpus = Corpus::new();
    let path = corpus.file("big.bin", TRANSFER_BESIDE_MIB << 20);
    let home = NodeHome::new(net.host(1).stand_in(&lab.binary, &corpus.dir("scripts")));
    let inbox = corpus.path().join("inbox").display().to_string();
    home.settings(&format!("[files]\ninbox = {inbox:?}\nkeep_free_bytes = 1048576\n"));
    let node = Start::new().bind(Some("0.0.0.0:0")).on(&home);
    let (mut idle, mut busy, mut added) = (Samples::new(), Samples::new(), Samples::new());
    net.host(0).inside(|| {
        let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let owner = Owner::across(&node).await;
            for _ in 0..TRANSFER_BESIDE_ROUNDS {
                let (alone, beside) = measure(&owner, &home, &path, &corpus.dir("records")).await;
                added.push(beside.p99() - alone.p99());
                idle.extend(alone);
                busy.extend(beside);
            }
            owner.close().await;
        });
    });
    let figure = "echo on the connection of a transfer, 20 ms round trip, 100 Mb/s";
    vec![
        Row::shown(figure, "ms", busy).beside("without the transfer", idle),
        Row::new("  its p99 above that without", "ms", added, Judge::P50, 60.0, 25.0),
    ]
}

/// Echoes before the transfer, and while it runs.
async fn measure(owner: &Owner, home: &NodeHome, path: &Path, records: &Path) -> (Samples, Samples) {
    let records = Records::new(records.to_owned());
    let id = home.id();
    let wish = SendWish {
        peer: id.to_string(),
        path: path.to_owned(),
        to: None,
        on_conflict: Default::default(),
        follow_links: false,
        exclude: Vec::new(),
        detached: false,
    };
    let mut job =
        Job::send(&records, id, wish, TransferId(forge::random()), forge::now()).expect("a transfer");
    let mut idle = Samples::new();
    for nonce in 0..TRANSFER_IDLE_PINGS as u64 {
        idle.push(echo(owner, nonce).await);
    }
    let us = Us { id, seed: home.seed().into(), home: None, now: forge::now };
    let (tell, _told) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let transfer = job.run(owner.client(), &us, None, &tell, &stop);
    let mut busy = Samples::new();
    let echoes = async {
        for nonce in 0.. {
            busy.push(echo(owner, nonce).await);
        }
    };
    tokio::select! {
        done = transfer => drop(done.expect("a whole transfer")),
        () = echoes => {}
        () = tokio::time::sleep(TRANSFER_PATIENCE) => panic!("the transfer does not end"),
    }
    assert!(busy.len() > 50, "only {} echoes fitted beside it", busy.len());
    (idle, busy)
}

async fn echo(owner: &Owner, nonce: u64) -> f64 {
    let took = owner.client().ping(nonce, TRANSFER_PATIENCE).await.expect("an echo");
    tokio::time::sleep(PAUSE).await;
    millis(took)
}
