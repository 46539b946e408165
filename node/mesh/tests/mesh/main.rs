//! The mesh from outside: real endpoints on loopback, the same bodies over QUIC and in memory, mDNS, and guests
//! that do not behave.

// What the workspace forbids outside of tests; clippy does not see that all of this is one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::string_slice
)]

mod dialing;
mod discovering;
mod framing;
mod gossip_faults;
mod gossiping;
mod hostile;
mod packet;
mod parity;
mod soak;
mod storm;
mod timing;

use std::{future::Future, time::Duration};

use clankers_mesh::{Bind, Connection, Mesh, MeshConfig, PeerAddress, Relay};
use clankers_protocol::NodeId;

/// The protocol of these tests.
const ALPN: &[u8] = b"clankers-test/1";
/// How long anything may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(seed: u8) -> MeshConfig {
    MeshConfig {
        secret: [seed; 32].into(),
        bind: Bind::Loopback { port: 0 },
        relay: Relay::Off,
        mdns: None,
        alpns: vec![ALPN.to_vec()],
    }
}

async fn start(seed: u8) -> Mesh {
    Mesh::start(config(seed)).await.expect("a mesh on loopback starts")
}

fn id_of(seed: u8) -> NodeId {
    NodeId(*iroh::SecretKey::from_bytes(&[seed; 32]).public().as_bytes())
}

/// Waits, but not for ever.
async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing after {PATIENCE:?}"))
}

/// Two meshes and a connection between them, seen from the dialer and from the acceptor.
struct Pair {
    a: Mesh,
    b: Mesh,
    at_a: Connection,
    at_b: Connection,
}

async fn connect(seed_a: u8, seed_b: u8) -> Pair {
    let (a, b) = (start(seed_a).await, start(seed_b).await);
    let address = PeerAddress { id: b.id(), addrs: b.addrs(), relay: None };
    let (at_a, at_b) =
        soon("connecting", async { tokio::join!(a.dial(&address, ALPN, PATIENCE), b.accept()) }).await;
    Pair { a, b, at_a: at_a.expect("dialed"), at_b: at_b.expect("accepted") }
}

impl Pair {
    async fn close(&self) {
        soon("closing", async { tokio::join!(self.a.close(), self.b.close()) }).await;
    }
}
