//! What it takes to reach a peer, apart from the mesh itself: tasks of their own hold a copy.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clankers_protocol::NodeId;
use iroh::Endpoint;

use crate::{
    config::Relay,
    connection::Connection,
    dial::{DialError, DialFailure, Dialer},
    discovery::Discovery,
    mdns::MdnsService,
    peer::PeerAddress,
    transport::Room,
};

/// Clones share the endpoint, the table of discovered peers and mDNS.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) endpoint: Endpoint,
    pub(crate) relay: Relay,
    pub(crate) discovery: Option<Discovery>,
    mdns: Arc<Mutex<Option<MdnsService>>>,
}

impl Reach {
    pub(crate) fn new(endpoint: Endpoint, relay: Relay, discovery: Option<Discovery>) -> Self {
        Self { endpoint, relay, discovery, mdns: Arc::new(Mutex::new(None)) }
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId(*self.endpoint.id().as_bytes())
    }

    pub(crate) fn mdns(&self) -> MutexGuard<'_, Option<MdnsService>> {
        self.mdns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials; when nobody answers at addresses that mDNS gave, asks there whether the peer still exists. Where it did answer is
    /// remembered beside what anybody says.
    pub(crate) async fn dial(
        &self,
        peer: &PeerAddress,
        alpn: &[u8],
        limit: Duration,
        room: Room,
    ) -> Result<Connection, DialError> {
        let dialer =
            Dialer { endpoint: &self.endpoint, relay: &self.relay, discovery: self.discovery.as_ref() };
        let dialed = dialer.dial(peer, alpn, limit, room).await;
        if let (Ok(connection), Some(discovery)) = (&dialed, &self.discovery)
            && let Some(addr) = connection.remote_addr()
        {
            discovery.reached(peer.id, addr);
        }
        let Err(e) = &dialed else { return dialed };
        if !matches!(e.how, DialFailure::Timeout(_) | DialFailure::OtherNode) {
            return dialed;
        }
        if let Some(discovery) = &self.discovery {
            discovery.missed(peer.id);
        }
        if e.tried.mdns.as_ref().is_some_and(|addrs| !addrs.is_empty())
            && let Some(service) = self.mdns().as_ref()
        {
            service.verify(peer.id);
        }
        dialed
    }
}
