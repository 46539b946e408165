//! A look at the local network without a node: it announces nothing and dials nobody.

use clankers_protocol::NodeId;

use crate::{
    config::Mdns,
    discovery::{Discovery, OwnRecord},
    mdns::{MdnsError, MdnsService},
};

/// Listens on mDNS until stopped.
#[derive(Debug)]
pub struct Browser {
    discovery: Discovery,
    service: MdnsService,
}

impl Browser {
    /// Begins to listen, and asks who is there. `own` is left out of what is found.
    ///
    /// # Errors
    /// [`MdnsError`] when mDNS does not start; [`doctor`](crate::doctor()) may know why.
    pub fn start(mdns: &Mdns, own: Option<NodeId>) -> Result<Self, MdnsError> {
        // No key is all zeros, so nobody is left out by mistake.
        let own = own.unwrap_or(NodeId([0; 32]));
        let discovery = Discovery::new(own);
        let listening = Mdns { advertise: false, browse: true, ..mdns.clone() };
        let record = OwnRecord { id: own, ports: Vec::new(), label: None };
        let service = MdnsService::start(&listening, &record, Some(discovery.clone()))?;
        Ok(Self { discovery, service })
    }

    /// What was found so far, and news of it.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Ends it.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}
