//! Finding a node that is there already, from another host of the emulated LAN: by our browser, and by
//! iroh-mdns-address-lookup, each from nothing, turn by turn. Beside it: mDNS in a [`storm`], [`gossip`] beside one that
//! spams, and what teams of real nodes cost, in [`members`].

pub(crate) mod gossip;
pub(crate) mod members;
pub(crate) mod storm;

use std::{future::Future, sync::mpsc, thread, time::Instant};

use clankers_mesh::{Bind, Browser, Mdns, Mesh, MeshConfig, Relay};
use clankers_protocol::NodeId;
use clankers_tests::{
    baseline::lan::{Announced, find},
    stats::{Samples, millis},
};

use crate::{
    limits::{LOOKS, PATIENCE},
    peers::Lab,
    report::{Judge, Row},
};

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(what)
}

pub(crate) fn lan(lab: &Lab) -> Vec<Row> {
    // None, and why, where there is no root and no /dev/net/tun.
    let Some(net) = clankers_lab::Lab::builder().hosts(2).seed(1).start() else { return Vec::new() };
    let (told, is_told) = mpsc::sync_channel(1);
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    let (ours, theirs) = thread::scope(|scope| {
        let there = net.host(1);
        scope.spawn(move || there.inside(|| run(be_found(told, is_over))));
        let (us, them): (NodeId, [u8; 32]) = is_told.recv_timeout(PATIENCE).expect("both are announced");
        let (mut ours, mut theirs) = (Samples::new(), Samples::new());
        net.host(0).inside(|| {
            for round in 0..lab.rounds * LOOKS {
                // Whoever comes first in a round is somebody else in the next.
                if round % 2 == 0 {
                    ours.extend([run(look(us))]);
                }
                theirs.extend([millis(run(find(them, PATIENCE)).expect("it is found"))]);
                if round % 2 == 1 {
                    ours.extend([run(look(us))]);
                }
            }
        });
        let _gone = over.send(());
        (ours, theirs)
    });
    let baseline = "iroh-mdns-address-lookup";
    let middle = Row::new("LAN discovery, p50", "ms", ours.clone(), Judge::P50, 150.0, 50.0);
    let worst = Row::new("LAN discovery, p99", "ms", ours, Judge::P99, 1_200.0, 300.0);
    vec![middle.beside(baseline, theirs.clone()), worst.beside(baseline, theirs)]
}

async fn be_found(told: mpsc::SyncSender<(NodeId, [u8; 32])>, is_over: tokio::sync::oneshot::Receiver<()>) {
    let config = MeshConfig {
        secret: [1; 32].into(),
        bind: Bind::Any { port: 0 },
        relay: Relay::Off,
        mdns: Some(Mdns::default()),
        alpns: vec![b"nothing/1".to_vec()],
    };
    let mesh = Mesh::start(config).await.expect("a mesh");
    let baseline = Announced::start(2).await;
    told.send((mesh.id(), baseline.id())).expect("somebody waits for it");
    drop(is_over.await);
    mesh.close().await;
    baseline.close().await;
}

async fn look(id: NodeId) -> f64 {
    let begun = Instant::now();
    let browser = Browser::start(&Mdns::default(), None).expect("mDNS starts");
    browser.discovery().wait_for(id, PATIENCE).await.expect("it is found");
    let took = begun.elapsed();
    browser.stop().await;
    millis(took)
}
