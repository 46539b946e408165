//! A node that was reached once, and is to be reached again in a hurry: over the same endpoint, at the addresses that
//! were known, without asking anybody who it is.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Weak},
    time::Duration,
};

use clankers_client::authority::renewal;
use clankers_node::{
    clock,
    mesh::{Mesh, PeerAddress},
};
use clankers_protocol::ALPN;

use super::{Errands, Peer};
use crate::{error::CliError, local::Machine};

/// An address that nobody has (RFC 5737): the way to it is the way to the internet.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// See the module.
#[derive(Clone)]
pub(crate) struct Again {
    address: PeerAddress,
    held: Vec<Vec<u8>>,
    /// The endpoint lives for as long as a connection of it does, or a try.
    mesh: Weak<Mesh>,
    /// Where packets went, as far as that is known.
    target: SocketAddr,
}

impl Peer {
    /// How to reach it again; `None` for this machine's own node, which is looked up each time.
    pub(crate) fn again(&self) -> Option<Again> {
        let (mesh, address) = (self.mesh.as_ref()?, self.address.clone()?);
        let target = self.client.connection().remote_addr();
        let target = target.or_else(|| address.addrs.first().copied().filter(|_| address.relay.is_none()));
        let held = self.held.clone();
        Some(Again { address, held, mesh: Arc::downgrade(mesh), target: target.unwrap_or(NOWHERE) })
    }
}

impl Again {
    /// Whether what is held there is fresh: else this machine's node has to see to it first.
    pub(crate) fn is_fresh(&self) -> bool {
        let now = clock::now();
        self.held.iter().all(|chain| renewal(chain, now).is_none())
    }

    /// Leaves the endpoint: the next try has one of its own, which knows nothing of the network of before.
    pub(crate) fn forget_endpoint(&mut self) {
        self.mesh = Weak::new();
    }

    /// The endpoint that there is, or a fresh one, which the next tries share.
    pub(crate) async fn endpoint(&mut self, machine: &Machine) -> Result<Arc<Mesh>, CliError> {
        if let Some(mesh) = self.mesh.upgrade() {
            return Ok(mesh);
        }
        let mesh = Arc::new(machine.dialer(self.address.addrs.is_empty()).await?);
        self.mesh = Arc::downgrade(&mesh);
        Ok(mesh)
    }

    /// Dials, and says Hello.
    pub(crate) async fn reach(
        &self,
        machine: &Machine,
        mesh: Arc<Mesh>,
        limit: Duration,
    ) -> Result<Peer, CliError> {
        let dialed = mesh.dial(&self.address, ALPN, limit).await.map_err(clankers_client::ClientError::from);
        let greeted = match dialed {
            Ok(connection) => machine.greet(connection, self.address.id, &self.held).await,
            Err(error) => Err(error.into()),
        };
        match greeted {
            Ok(client) => Ok(Peer {
                client,
                subject: self.address.id,
                held: self.held.clone(),
                // What could be given was said when it was reached first.
                fellow: false,
                local: None,
                mesh: Some(mesh),
                address: Some(self.address.clone()),
                errands: None::<Errands>,
            }),
            Err(error) => {
                super::part_last(mesh).await;
                Err(error)
            }
        }
    }

    /// The address from which this machine would send to the node now. Asks the system's routes; sends nothing.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        let any: IpAddr = match self.target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(self.target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }
}
