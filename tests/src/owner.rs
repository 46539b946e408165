//! A node's owner as a client within this process: for measuring without a process in between.

use clankers_client::{Client, Introduction, RunIdentity};
use clankers_mesh::{Bind, Mesh, MeshConfig};
use clankers_protocol::{ALPN, hello::PeerKind};

use crate::{forge, limits::STEP, node::Node};

/// One run of the owner's, connected to the node.
#[derive(Debug)]
pub struct Owner {
    mesh: Mesh,
    client: Client,
}

impl Owner {
    /// Dials the node over QUIC and is welcomed, with a key of its own and a link from the node's key.
    ///
    /// # Panics
    /// When any of it fails.
    pub async fn of(node: &Node) -> Self {
        Self::dialing(node, Bind::Loopback { port: 0 }).await
    }

    /// The same from a host of the lab's, where the node is somewhere else: within `host.inside`.
    ///
    /// # Panics
    /// When any of it fails.
    pub async fn across(node: &Node) -> Self {
        Self::dialing(node, Bind::Any { port: 0 }).await
    }

    async fn dialing(node: &Node, bind: Bind) -> Self {
        let run = RunIdentity::new(node.home().seed(), forge::random());
        let config = MeshConfig { bind, ..MeshConfig::dial_only(run.seed()) };
        let mesh = Mesh::start(config).await.expect("an endpoint");
        let connection = mesh.dial(node.address(), ALPN, STEP).await.expect("the node");
        let now = forge::now();
        let who = Introduction {
            software: "lab/0".into(),
            kind: PeerKind::Cli,
            label: None,
            boot_id: u64::from_le_bytes(forge::random()),
            now,
            chains: run.chains(node.id(), &[], now, forge::random()).expect("the owner's chain"),
        };
        let client = Client::greet(connection, who).await.expect("a connection");
        client.welcome().await.expect("a welcome");
        Self { mesh, client }
    }

    /// The connection.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.client.close();
        self.mesh.close().await;
    }
}
