//! Discovery on a LAN by iroh-mdns-address-lookup: how soon an endpoint that is there already is found.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use iroh::{
    Endpoint, EndpointId, SecretKey,
    endpoint::{PortmapperConfig, presets},
};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use tokio::time::timeout;

/// An endpoint that announces itself until it is dropped.
#[derive(Debug)]
pub struct Announced {
    endpoint: Endpoint,
}

impl Announced {
    /// Starts it on every interface of this host.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub async fn start(seed: u8) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&[seed; 32]))
            .portmapper_config(PortmapperConfig::Disabled)
            .alpns(vec![b"nothing/1".to_vec()])
            .address_lookup(MdnsAddressLookup::builder())
            .bind()
            .await
            .expect("an endpoint");
        Self { endpoint }
    }

    /// Its id, as bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        *self.endpoint.id().as_bytes()
    }

    /// Ends it.
    pub async fn close(self) {
        self.endpoint.close().await;
    }
}

/// Looks for an endpoint from nothing, and says how long it took; none when it is not found in time.
///
/// # Panics
/// When the lookup does not start.
pub async fn find(id: [u8; 32], limit: Duration) -> Option<Duration> {
    let id = EndpointId::from_bytes(&id).expect("an id");
    let own = SecretKey::from_bytes(&[250; 32]).public();
    let begun = Instant::now();
    let lookup = MdnsAddressLookup::builder().advertise(false).build(own).expect("a lookup");
    let mut events = lookup.subscribe().await;
    let found = async {
        loop {
            let event = events.next().await?;
            if matches!(event, DiscoveryEvent::Discovered { endpoint_info, .. } if endpoint_info.endpoint_id == id)
            {
                return Some(begun.elapsed());
            }
        }
    };
    timeout(limit, found).await.ok().flatten()
}
