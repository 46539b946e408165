//! The mesh itself: one iroh endpoint, its accept loop, its discovery.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use clankers_protocol::NodeId;
use iroh::{
    Endpoint, RelayMap, RelayMode, SecretKey, Watcher as _,
    dns::{DnsResolver, FallbackMode},
    endpoint::{BindError, BindOpts, Builder, PortmapperConfig, presets},
};
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::{
    accept::Acceptor,
    changes::{AddressChanges, RelayWatch},
    config::{Bind, Mdns, MeshConfig, Relay},
    connection::Connection,
    dial::{DialError, Found},
    discovery::{Discovery, OwnRecord},
    gossip::GossipError,
    limits::{CLOSE_MS, OWN_ADDRESSES_MS, PORT_ATTEMPTS},
    mdns::{MdnsError, MdnsService},
    peer::{AddressError, PeerAddress, parse_relay},
    reach::Reach,
    routes::{Route, Routes},
    transport::{self, Room},
};

/// Why a mesh does not start.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Another socket has the address.
    #[error("{0} is taken by another program; stop that one, or choose another port (0: any free one)")]
    PortTaken(SocketAddr),
    /// A socket could not be bound for another reason.
    #[error("cannot listen on {addrs:?}: {cause}")]
    Bind {
        /// What was asked for.
        addrs: Vec<SocketAddr>,
        /// What the operating system said.
        cause: String,
    },
    /// Nothing to bind, or two addresses of one family.
    #[error("cannot listen on {0:?}: give one IPv4 address, one IPv6 address, or one of each")]
    Addresses(Vec<SocketAddr>),
    /// The relay is no URL.
    #[error(transparent)]
    Relay(#[from] AddressError),
    /// mDNS does not start.
    #[error(transparent)]
    Mdns(#[from] MdnsError),
    /// Something else within the endpoint.
    #[error("the endpoint does not start: {0}")]
    Endpoint(String),
}

/// A node's place in the mesh. Close it on every way out: peers then know at once instead of after 30 s.
#[derive(Debug)]
pub struct Mesh {
    reach: Reach,
    /// None when this mesh only dials.
    routes: Option<Routes>,
    acceptor: AsyncMutex<Acceptor>,
    watch: RelayWatch,
}

impl Mesh {
    /// Binds the sockets and starts accepting. Returns as soon as peers on this machine and this network can
    /// dial; a relay, where there is one, connects in the background.
    ///
    /// # Errors
    /// [`MeshError`]; nothing is left running then.
    pub async fn start(config: MeshConfig) -> Result<Self, MeshError> {
        let discovery = config.mdns.as_ref().filter(|m| m.browse).map(|_| {
            let own = SecretKey::from_bytes(&config.secret).public();
            Discovery::new(NodeId(*own.as_bytes()))
        });
        let endpoint = bind(&config, discovery.as_ref()).await?;
        if !config.alpns.is_empty() {
            own_addresses(&endpoint).await;
        }
        let routes = (!config.alpns.is_empty()).then(|| Routes::new(&endpoint, &config.alpns));
        let acceptor = AsyncMutex::new(Acceptor::start(&endpoint, routes.clone()));
        let watch = RelayWatch::start(&endpoint, &config.relay);
        let mesh = Self { reach: Reach::new(endpoint, config.relay, discovery), routes, acceptor, watch };
        if let Some(mdns) = &config.mdns {
            let ports = mesh.reach.endpoint.bound_sockets();
            let own = OwnRecord { id: mesh.id(), ports, label: mdns.label.clone() };
            // Who accepts nobody has nothing to announce.
            let mdns = Mdns { advertise: mdns.advertise && !config.alpns.is_empty(), ..mdns.clone() };
            match MdnsService::start(&mdns, &own, mesh.reach.discovery.clone()) {
                Ok(service) => *mesh.reach.mdns() = Some(service),
                Err(e) => {
                    mesh.close().await;
                    return Err(e.into());
                }
            }
        }
        Ok(mesh)
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.reach.id()
    }

    /// Addresses at which others can dial this node, as far as is known now: those of its interfaces, and those
    /// that relays have seen. Without any network it is the loopback addresses.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        let known = PeerAddress::from_iroh(&self.reach.endpoint.addr()).addrs;
        if known.is_empty() { self.local_addrs() } else { known }
    }

    /// Addresses at which programs on this machine can dial this node, whatever the network does.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.reach
            .endpoint
            .bound_sockets()
            .into_iter()
            .map(|addr| SocketAddr::new(near(addr.ip()), addr.port()))
            .collect()
    }

    /// The URL of the relay where this node listens, once it does.
    #[must_use]
    pub fn relay_url(&self) -> Option<String> {
        self.reach.endpoint.addr().relay_urls().next().map(ToString::to_string)
    }

    /// How this node can be reached, as it would stand in a ticket.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        PeerAddress { id: self.id(), addrs: self.addrs(), relay: self.relay_url() }
    }

    /// The ticket to this node: id and addresses of this moment, no rights.
    #[must_use]
    pub fn ticket(&self) -> String {
        // Our own id is a key and our own relay a URL, so this cannot fail; an empty ticket parses nowhere.
        self.address().ticket().unwrap_or_default()
    }

    /// Peers found on the local network; none when mDNS is off or does not browse.
    #[must_use]
    pub fn discovery(&self) -> Option<&Discovery> {
        self.reach.discovery.as_ref()
    }

    /// The next peer that dialed and proved its id; `None` when the mesh is closed or only dials. Handshakes run
    /// side by side, so a slow one holds up nobody. Cancel-safe.
    pub async fn accept(&self) -> Option<Connection> {
        self.acceptor.lock().await.next().await
    }

    /// Dials a peer, at the given addresses and relay and at those found by mDNS. A known address is tried at
    /// once, without waiting for any discovery. `limit` bounds the whole attempt.
    ///
    /// A peer that refuses after the handshake lets this succeed first; the reason then stands in
    /// [`Connection::closed`].
    ///
    /// # Errors
    /// [`DialError`] with what was tried and how it ended.
    pub async fn dial(
        &self,
        peer: &PeerAddress,
        alpn: &[u8],
        limit: Duration,
    ) -> Result<Connection, DialError> {
        self.reach.dial(peer, alpn, limit, Room::Admitted).await
    }

    /// Connections open now, of every protocol and in both directions (count).
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        let metrics = &self.reach.endpoint.metrics().socket;
        metrics.num_conns_opened.get().saturating_sub(metrics.num_conns_closed.get())
    }

    /// News of this node's own addresses and relay, from now on.
    #[must_use]
    pub fn changes(&self) -> AddressChanges {
        AddressChanges::of(&self.reach.endpoint)
    }

    /// Looks at the network anew: sockets, addresses, the way to the relay. The mesh notices most changes by
    /// itself; call this when it cannot know, such as after the machine slept.
    pub async fn network_changed(&self) {
        self.reach.endpoint.network_change().await;
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Accepts a team's protocol until the route is dropped.
    pub(crate) fn route(&self, alpn: &[u8]) -> Result<Route, GossipError> {
        self.routes.as_ref().ok_or(GossipError::DialsOnly)?.team(alpn)
    }

    /// Says goodbye on mDNS and to every connection, and waits until they know it, for at most
    /// [`CLOSE_MS`]. More calls do nothing. The sockets go when the mesh is dropped; within one process the
    /// port is free again a moment after that (iroh closes sockets on another thread).
    pub async fn close(&self) {
        let all = async {
            if let Some(routes) = &self.routes {
                routes.close();
            }
            self.watch.stop();
            let service = self.reach.mdns().take();
            let mdns = async {
                if let Some(service) = service {
                    service.stop().await;
                }
            };
            tokio::join!(mdns, self.reach.endpoint.close());
            self.acceptor.lock().await.ended().await;
        };
        if timeout(Duration::from_millis(CLOSE_MS), all).await.is_err() {
            tracing::warn!("closing took over {CLOSE_MS} ms; some peers will notice by time-out");
        }
    }
}

/// Binds; when any port will do on every interface, one that IPv4 and IPv6 share, so that there is one number to
/// remember for the next start.
async fn bind(config: &MeshConfig, discovery: Option<&Discovery>) -> Result<Endpoint, MeshError> {
    if config.bind == (Bind::Any { port: 0 }) {
        for _ in 0..PORT_ATTEMPTS {
            let Some(port) = free_port() else { break };
            match bind_exactly(config, &Bind::Any { port }, discovery).await {
                // Somebody was faster.
                Err(MeshError::PortTaken(_)) => {}
                done => return done,
            }
        }
    }
    bind_exactly(config, &config.bind, discovery).await
}

fn free_port() -> Option<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.local_addr().ok().map(|addr| addr.port())
}

async fn bind_exactly(
    config: &MeshConfig,
    bind: &Bind,
    discovery: Option<&Discovery>,
) -> Result<Endpoint, MeshError> {
    let wanted = wanted_sockets(bind)?;
    let mut builder = builder_for(&config.relay, bind.is_loopback())?
        .secret_key(SecretKey::from_bytes(&config.secret))
        .alpns(config.alpns.clone())
        .transport_config(transport::config(Room::Admitted))
        .clear_ip_transports();
    for (addr, required) in &wanted {
        let opts = BindOpts::default().set_is_required(*required).set_is_default_route(true);
        builder = builder
            .bind_addr_with_opts(*addr, opts)
            .map_err(|_| MeshError::Addresses(wanted.iter().map(|(a, _)| *a).collect()))?;
    }
    if let Some(discovery) = discovery {
        builder = builder.address_lookup(Found::new(discovery.clone()));
    }
    builder.bind().await.map_err(|e| bind_error(&e, &wanted))
}

/// What each relay mode switches on. Port mapping (UPnP, PCP, NAT-PMP) asks the router for a way in from the
/// internet: only where relays are allowed, and never for a mesh on loopback.
fn builder_for(relay: &Relay, loopback: bool) -> Result<Builder, MeshError> {
    let mapper = if loopback { PortmapperConfig::Disabled } else { PortmapperConfig::default() };
    Ok(match relay {
        Relay::Off => Endpoint::builder(presets::Minimal)
            .dns_resolver(DnsResolver::builder().with_fallback_mode(FallbackMode::Never).build())
            .portmapper_config(PortmapperConfig::Disabled),
        Relay::N0 => Endpoint::builder(presets::N0).portmapper_config(mapper),
        Relay::Url(url) => Endpoint::builder(presets::Minimal)
            .dns_resolver(
                DnsResolver::builder().with_system_defaults().with_fallback_mode(FallbackMode::Never).build(),
            )
            .relay_mode(RelayMode::Custom(RelayMap::from(parse_relay(url)?)))
            .portmapper_config(mapper),
    })
}

fn wanted_sockets(bind: &Bind) -> Result<Vec<(SocketAddr, bool)>, MeshError> {
    let wanted = bind.wanted();
    let of_v4 = wanted.iter().filter(|(a, _)| a.is_ipv4()).count();
    if wanted.is_empty() || of_v4 > 1 || wanted.len() - of_v4 > 1 {
        return Err(MeshError::Addresses(wanted.into_iter().map(|(a, _)| a).collect()));
    }
    Ok(wanted)
}

fn bind_error(e: &BindError, wanted: &[(SocketAddr, bool)]) -> MeshError {
    let BindError::Sockets { source, .. } = e else {
        return MeshError::Endpoint(format!("{e:#}"));
    };
    if source.kind() == io::ErrorKind::AddrInUse {
        // The error does not say which one; trying each again does.
        let taken =
            |addr: &SocketAddr| UdpSocket::bind(addr).is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse);
        let required = || wanted.iter().filter(|(_, required)| *required).map(|(a, _)| *a);
        if let Some(addr) = required().find(taken).or_else(|| required().next()) {
            return MeshError::PortTaken(addr);
        }
    }
    MeshError::Bind { addrs: wanted.iter().map(|(a, _)| *a).collect(), cause: source.to_string() }
}

/// Waits a moment for the machine's own addresses, so that the first ticket has them.
async fn own_addresses(endpoint: &Endpoint) {
    let mut watch = endpoint.watch_addr();
    let known = async {
        while watch.get().ip_addrs().next().is_none() {
            if watch.updated().await.is_err() {
                break;
            }
        }
    };
    if timeout(Duration::from_millis(OWN_ADDRESSES_MS), known).await.is_err() {
        tracing::debug!("no address of this machine is known yet");
    }
}

/// The address by which this machine reaches a socket of its own.
fn near(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bound => bound,
    }
}
