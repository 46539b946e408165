//! Dialing: known addresses at once, mDNS beside them, and an error that says what was tried.

use std::{fmt, net::SocketAddr, time::Duration};

use clankers_protocol::{NodeId, text};
use futures_util::{StreamExt, stream, stream::BoxStream};
use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    address_lookup::{AddressLookup, EndpointInfo, Error as LookupError, Item},
    endpoint::{
        ConnectError, ConnectOptions, ConnectWithOptsError, ConnectingError, ConnectionError,
        TransportErrorCode,
    },
};
use tokio::time::timeout;

use crate::{
    config::Relay,
    connection::{Closed, Connection},
    discovery::Discovery,
    limits::{LOOKUP_MS, REASON_CHARS},
    peer::{AddressError, PeerAddress, parse_relay},
    transport::{self, Room},
};

/// Why a peer was not reached, and what was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot reach node {}: {how}; tried: {tried}", id.short())]
pub struct DialError {
    /// Who was dialed.
    pub id: NodeId,
    /// What was tried.
    pub tried: Tried,
    /// How it ended.
    pub how: DialFailure,
}

/// How an attempt to dial ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// Nobody answered in time.
    #[error("no answer within {:.1} s; check that the node runs and that the address is right", .0.as_secs_f64())]
    Timeout(Duration),
    /// There was nowhere to send a packet to.
    #[error("no address of it is known; use its ticket (`clankers rpc id` prints it there)")]
    NoAddress,
    /// The id or the relay cannot be right.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// One does not dial oneself.
    #[error("that is this node itself")]
    Myself,
    /// The peer answered and wants no connection now.
    #[error(
        "it refuses connections now: it is shutting down, only dials, or has too many; try again in a moment"
    )]
    Busy,
    /// The peer does not speak this protocol.
    #[error("it does not speak \"{0}\"; one of the two needs another version")]
    Protocol(String),
    /// Whoever answered has another key.
    #[error("another node answers at that address; its address has changed: use a fresh ticket")]
    OtherNode,
    /// The connection ended during the handshake.
    #[error("{0}")]
    Closed(Closed),
    /// This mesh is closed.
    #[error("this node is shutting down")]
    MeshClosed,
    /// Something else, in the words of the endpoint.
    #[error("{0}")]
    Other(String),
}

/// What an attempt to dial has tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Addresses that were given.
    pub addrs: Vec<SocketAddr>,
    /// Addresses that mDNS knew in the end; `None` when this dial did not ask it.
    pub mdns: Option<Vec<SocketAddr>>,
    /// The relay that was given and allowed.
    pub relay: Option<String>,
    /// Whether n0's DNS was asked.
    pub dns: bool,
    /// Whether relays are off here.
    pub relay_off: bool,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addrs: &[SocketAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match self.addrs.as_slice() {
            [] => f.write_str("no given address")?,
            addrs => write!(f, "{}", list(addrs))?,
        }
        match self.mdns.as_deref() {
            None => f.write_str(", mDNS not asked by this dial")?,
            Some([]) => f.write_str(", mDNS (not seen)")?,
            Some(addrs) => write!(f, ", mDNS ({})", list(addrs))?,
        }
        if self.dns {
            f.write_str(", n0's DNS")?;
        }
        match &self.relay {
            Some(url) => write!(f, ", relay {}", text::line(url, 100)),
            None if self.relay_off => f.write_str(", relay is off"),
            None => f.write_str(", no relay given"),
        }
    }
}

/// What dialing needs of a mesh.
pub(crate) struct Dialer<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) relay: &'a Relay,
    pub(crate) discovery: Option<&'a Discovery>,
}

impl Dialer<'_> {
    pub(crate) async fn dial(
        &self,
        peer: &PeerAddress,
        alpn: &[u8],
        limit: Duration,
        room: Room,
    ) -> Result<Connection, DialError> {
        let address = match self.address(peer) {
            Ok(address) => address,
            Err(e) => return Err(self.error(peer, e.into())),
        };
        if self.discovery.is_none() && *self.relay != Relay::N0 && address.is_empty() {
            let how =
                if address.id == self.endpoint.id() { DialFailure::Myself } else { DialFailure::NoAddress };
            return Err(self.error(peer, how));
        }
        let options = ConnectOptions::new().with_transport_config(transport::config(room));
        let connect = async {
            let connecting = self.endpoint.connect_with_opts(address, alpn, options).await?;
            Ok::<_, ConnectError>(connecting.await?)
        };
        match timeout(limit, Box::pin(connect)).await {
            Ok(Ok(conn)) => Ok(Connection::quic(conn, None)),
            Ok(Err(e)) => Err(self.error(peer, failure(&e, alpn, limit))),
            Err(_) => Err(self.error(peer, DialFailure::Timeout(limit))),
        }
    }

    /// The addresses that are allowed: a relay only where relays are.
    fn address(&self, peer: &PeerAddress) -> Result<EndpointAddr, AddressError> {
        let mut address = peer.to_iroh()?;
        match self.relay {
            Relay::Off => address.addrs.retain(TransportAddr::is_ip),
            Relay::N0 => {}
            Relay::Url(own) => {
                let own = TransportAddr::Relay(parse_relay(own)?);
                address.addrs.retain(|a| a.is_ip() || *a == own);
                // A peer without a known relay may well listen at ours: everyone here does.
                address.addrs.insert(own);
            }
        }
        Ok(address)
    }

    fn error(&self, peer: &PeerAddress, how: DialFailure) -> DialError {
        let address = self.address(peer).ok();
        let tried = Tried {
            addrs: address.iter().flat_map(|a| a.ip_addrs().copied()).collect(),
            mdns: self.discovery.map(|d| d.addrs(peer.id)),
            relay: address.iter().flat_map(EndpointAddr::relay_urls).next().map(ToString::to_string),
            dns: *self.relay == Relay::N0,
            relay_off: *self.relay == Relay::Off,
        };
        DialError { id: peer.id, tried, how }
    }
}

fn failure(e: &ConnectError, alpn: &[u8], limit: Duration) -> DialFailure {
    match e {
        ConnectError::Connect { source, .. } => match source {
            ConnectWithOptsError::SelfConnect { .. } => DialFailure::Myself,
            ConnectWithOptsError::NoAddress { .. } => DialFailure::NoAddress,
            ConnectWithOptsError::EndpointClosed { .. } => DialFailure::MeshClosed,
            other => DialFailure::Other(text::line(&format!("{other:#}"), REASON_CHARS)),
        },
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => lost(source, alpn, limit),
        ConnectError::Connecting { source: ConnectingError::HandshakeFailure { .. }, .. } => {
            DialFailure::OtherNode
        }
        other => DialFailure::Other(text::line(&format!("{other:#}"), REASON_CHARS)),
    }
}

/// TLS alert 120, `no_application_protocol` (RFC 7301 section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;

fn lost(e: &ConnectionError, alpn: &[u8], limit: Duration) -> DialFailure {
    match e {
        ConnectionError::TimedOut => DialFailure::Timeout(limit),
        ConnectionError::LocallyClosed => DialFailure::MeshClosed,
        ConnectionError::ConnectionClosed(close) => {
            if close.error_code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL) {
                DialFailure::Protocol(text::line(&String::from_utf8_lossy(alpn), REASON_CHARS))
            } else if close.error_code == TransportErrorCode::CONNECTION_REFUSED {
                DialFailure::Busy
            } else {
                DialFailure::Closed(Closed::from_quic(e))
            }
        }
        // Our side gives up a handshake with a TLS alert only when the certificate is not the key we dialed.
        ConnectionError::TransportError(inner) if is_tls_alert(inner.code) => DialFailure::OtherNode,
        other => DialFailure::Closed(Closed::from_quic(other)),
    }
}

/// TLS alerts are QUIC errors 0x100 to 0x1ff (RFC 9001 section 4.8).
fn is_tls_alert(code: TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

/// Feeds what mDNS finds into iroh while it dials.
#[derive(Debug)]
pub(crate) struct Found {
    discovery: Discovery,
}

impl Found {
    pub(crate) fn new(discovery: Discovery) -> Self {
        Self { discovery }
    }
}

impl AddressLookup for Found {
    fn resolve(&self, id: EndpointId) -> Option<BoxStream<'static, Result<Item, LookupError>>> {
        let discovery = self.discovery.clone();
        let node = NodeId(*id.as_bytes());
        // What is known at once, then whatever else is heard in the next seconds; iroh drops the stream with the
        // attempt, and the end of it is ours: an endless lookup would stay for as long as the peer is known.
        let lookup = stream::unfold(Vec::new(), move |seen| {
            let discovery = discovery.clone();
            async move {
                let limit = Duration::from_millis(LOOKUP_MS);
                let addrs = timeout(limit, discovery.addrs_other_than(node, &seen)).await.ok()?;
                let of = EndpointAddr::from_parts(id, addrs.iter().copied().map(TransportAddr::Ip));
                Some((Ok(Item::new(EndpointInfo::from(of), "mdns", None)), addrs))
            }
        });
        Some(lookup.boxed())
    }
}
