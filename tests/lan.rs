//! Discovery on a local network: meshes and real nodes on the hosts of tests/lab, without internet; and other people's
//! mDNS beside them.
//!
//! [`meshes`] that come, go and move; [`interop`] with python-zeroconf, avahi and dig; the [`doctor`]. Teams of real nodes:
//! a [`partition`] of three minutes (slow), a member that is [`killed`] or [`moves`], or has two [`networks`], [`clocks`] that are wrong by a year, a
//! [`relay`] of one's own that is killed.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "lan/clocks.rs"]
mod clocks;
#[path = "lan/doctor.rs"]
mod doctor;
#[path = "lan/interop.rs"]
mod interop;
#[path = "lan/killed.rs"]
mod killed;
#[path = "lan/meshes.rs"]
mod meshes;
#[path = "lan/moves.rs"]
mod moves;
#[path = "lan/networks.rs"]
mod networks;
#[path = "lan/partition.rs"]
mod partition;
#[path = "lan/place.rs"]
mod place;
#[path = "lan/relay.rs"]
mod relay;

use std::{future::Future, time::Duration};

use clankers_lab::Lab;
use clankers_mesh::{Bind, Discovery, Mdns, Mesh, MeshConfig, Relay};
use clankers_protocol::NodeId;

const BIN: &str = env!("CARGO_BIN_EXE_clankers");
/// For whatever is waited for (time).
const LIMIT: Duration = Duration::from_secs(60);
const ALPN: &[u8] = b"clankers-lan-test/1";

/// Runs something on a host, with a runtime of its own: what is bound there stays in the host's network.
fn on<T: Send, F: Future<Output = T>>(lab: &Lab, host: usize, what: impl FnOnce() -> F + Send) -> T {
    lab.host(host).inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(what())
    })
}

/// A mesh as a node on a LAN has it: every interface, no relay, mDNS on the standard port.
async fn mesh(seed: u8) -> Mesh {
    let config = MeshConfig {
        secret: [seed; 32].into(),
        bind: Bind::Any { port: 0 },
        relay: Relay::Off,
        mdns: Some(Mdns::default()),
        alpns: vec![ALPN.to_vec()],
    };
    Mesh::start(config).await.unwrap()
}

/// Waits until the table fits.
async fn until(found: &Discovery, what: &str, fits: impl Fn(&Discovery) -> bool) {
    let mut news = found.subscribe();
    let seen = tokio::time::timeout(LIMIT, async {
        while !fits(found) {
            news.next().await.expect("discovery goes on");
        }
    });
    assert!(seen.await.is_ok(), "{what}: not within {LIMIT:?}: {:?}", found.list());
}

fn knows(found: &Discovery, ids: impl IntoIterator<Item = NodeId>) -> bool {
    ids.into_iter().all(|id| !found.addrs(id).is_empty())
}

/// A program on a host, to its end.
fn run(lab: &Lab, host: usize, program: &str, arguments: &[&str]) -> String {
    let out = lab.host(host).command(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
