//! What a mesh is started with.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use zeroize::Zeroizing;

/// Which sockets to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// `127.0.0.1` only: this machine.
    Loopback {
        /// UDP port, 0 for any free one.
        port: u16,
    },
    /// Every interface, IPv4 and IPv6 on the same port. IPv6 is left out where it does not exist or has the port
    /// taken.
    Any {
        /// UDP port, 0 for any free one.
        port: u16,
    },
    /// Exactly these addresses, at most one for IPv4 and one for IPv6.
    Exact(Vec<SocketAddr>),
}

impl Bind {
    /// Says whether only this machine can reach the mesh.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Loopback { .. } => true,
            Self::Any { .. } => false,
            Self::Exact(addrs) => addrs.iter().all(|a| a.ip().is_loopback()),
        }
    }

    /// The addresses to try, in order; the second value says whether a failure to bind one is fatal.
    pub(crate) fn wanted(&self) -> Vec<(SocketAddr, bool)> {
        match self {
            Self::Loopback { port } => vec![(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)), true)],
            Self::Any { port } => vec![
                (SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port)), true),
                (SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, *port)), false),
            ],
            Self::Exact(addrs) => addrs.iter().map(|a| (*a, true)).collect(),
        }
    }
}

/// Who may help across networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// Nobody: no relay, no DNS, no port mapping; nothing is sent beyond the peers themselves (and mDNS when
    /// that is on).
    Off,
    /// n0's public relays, and n0's DNS to publish and look up relay addresses by node id.
    N0,
    /// This relay only (an `https://` URL); nothing is published or looked up elsewhere.
    Url(String),
}

/// Discovery on the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mdns {
    /// UDP port: 5353 is the standard; another one keeps tests and the demo apart from the rest of the network.
    pub port: u16,
    /// Speak on the loopback interface only.
    pub loopback: bool,
    /// The label to announce. It is a claim, shown to others as such.
    pub label: Option<String>,
    /// Announce this node.
    pub advertise: bool,
    /// Listen for others.
    pub browse: bool,
}

/// The port that RFC 6762 gives to mDNS.
pub const MDNS_PORT: u16 = 5353;

impl Default for Mdns {
    fn default() -> Self {
        Self { port: MDNS_PORT, loopback: false, label: None, advertise: true, browse: true }
    }
}

/// What [`Mesh::start`](crate::Mesh::start) needs.
#[derive(Clone)]
pub struct MeshConfig {
    /// The seed of the node's Ed25519 key; wiped when dropped.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where to listen.
    pub bind: Bind,
    /// Help across networks.
    pub relay: Relay,
    /// Discovery on the local network, none when absent.
    pub mdns: Option<Mdns>,
    /// Protocols to accept. Empty: this mesh only dials, and refuses whoever dials it.
    pub alpns: Vec<Vec<u8>>,
}

impl MeshConfig {
    /// The cheapest mesh: loopback, any port, no relay, no mDNS, dialing only. It reaches this machine alone; to
    /// reach others set `bind` to [`Bind::Any`].
    #[must_use]
    pub fn dial_only(secret: Zeroizing<[u8; 32]>) -> Self {
        Self { secret, bind: Bind::Loopback { port: 0 }, relay: Relay::Off, mdns: None, alpns: Vec::new() }
    }
}

impl fmt::Debug for MeshConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshConfig")
            .field("secret", &"(secret)")
            .field("bind", &self.bind)
            .field("relay", &self.relay)
            .field("mdns", &self.mdns)
            .field("alpns", &self.alpns)
            .finish()
    }
}
