//! Where a peer may be: an id, addresses, a relay; and the ticket that carries them.

use std::{collections::BTreeSet, net::SocketAddr, str::FromStr};

use clankers_protocol::{NodeId, limits::ADDRESSES};
use iroh::{EndpointAddr, EndpointId, RelayUrl, TransportAddr};
use iroh_tickets::{Ticket, endpoint::EndpointTicket};

use crate::limits::TICKET_BYTES;

/// An id and hints where it may be reached. The hints carry no trust: whoever answers must prove the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// The peer's id.
    pub id: NodeId,
    /// Socket addresses to try.
    pub addrs: Vec<SocketAddr>,
    /// The URL of the relay where the peer listens.
    pub relay: Option<String>,
}

impl From<NodeId> for PeerAddress {
    fn from(id: NodeId) -> Self {
        Self { id, addrs: Vec::new(), relay: None }
    }
}

/// Why a text is not a ticket, or an address cannot be dialed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a ticket.
    #[error(
        "not a ticket: a ticket is one word that begins with \"endpoint\"; print one with `clankers rpc id`"
    )]
    NotATicket,
    /// A ticket that is cut off, mistyped or of a kind we cannot read.
    #[error("a broken ticket: it may be cut off or mistyped; copy it again, it is one word")]
    Broken,
    /// Longer than any honest ticket.
    #[error("a ticket of {0} bytes; the limit is {TICKET_BYTES}")]
    TooLong(usize),
    /// 32 bytes that are no Ed25519 public key.
    #[error("{0} is not a node id: no key has these bytes; copy the id again")]
    NotAKey(NodeId),
    /// A relay that is not a URL.
    #[error("\"{0}\" is not the URL of a relay; it should look like https://relay.example.org")]
    Relay(String),
}

impl PeerAddress {
    /// The ticket that says the same: one word, no rights in it.
    ///
    /// # Errors
    /// [`AddressError`] when the id is no key or the relay no URL.
    pub fn ticket(&self) -> Result<String, AddressError> {
        Ok(EndpointTicket::new(self.to_iroh()?).encode_string())
    }

    pub(crate) fn to_iroh(&self) -> Result<EndpointAddr, AddressError> {
        let relay = self.relay.as_deref().map(parse_relay).transpose()?;
        let mut addrs: BTreeSet<_> = self
            .addrs
            .iter()
            .take(ADDRESSES)
            .filter(|a| is_dialable(a))
            .copied()
            .map(TransportAddr::Ip)
            .collect();
        addrs.extend(relay.map(TransportAddr::Relay));
        Ok(EndpointAddr { id: endpoint_id(self.id)?, addrs })
    }

    pub(crate) fn from_iroh(addr: &EndpointAddr) -> Self {
        Self {
            id: NodeId(*addr.id.as_bytes()),
            addrs: addr.ip_addrs().copied().filter(is_dialable).take(ADDRESSES).collect(),
            relay: addr.relay_urls().next().map(ToString::to_string),
        }
    }
}

/// Reads a ticket, whoever wrote it.
///
/// # Errors
/// [`AddressError`] when it is none.
pub fn parse_ticket(text: &str) -> Result<PeerAddress, AddressError> {
    let text = text.trim();
    if text.len() > TICKET_BYTES {
        return Err(AddressError::TooLong(text.len()));
    }
    if !text.starts_with(EndpointTicket::KIND) {
        return Err(AddressError::NotATicket);
    }
    let ticket = EndpointTicket::from_str(text).map_err(|_| AddressError::Broken)?;
    Ok(PeerAddress::from_iroh(ticket.endpoint_addr()))
}

pub(crate) fn endpoint_id(id: NodeId) -> Result<EndpointId, AddressError> {
    EndpointId::from_bytes(&id.0).map_err(|_| AddressError::NotAKey(id))
}

pub(crate) fn parse_relay(url: &str) -> Result<RelayUrl, AddressError> {
    let wrong = || AddressError::Relay(clankers_protocol::text::line(url, 100));
    let parsed: RelayUrl = url.parse().map_err(|_| wrong())?;
    // RelayUrl derefs to a URL: only the two schemes that a relay speaks, and with a host.
    let fits = matches!(parsed.scheme(), "https" | "http") && parsed.host_str().is_some();
    if fits { Ok(parsed) } else { Err(wrong()) }
}

/// Addresses that a packet may be sent to: not a group, not "any", not port 0. Nor an IPv6 address of one link (RFC 4007): the QUIC
/// stack answers there without naming the interface, which the system refuses, and when such an address is dialed beside
/// others and heard first the peer answers nowhere.
pub(crate) fn is_dialable(addr: &SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, std::net::IpAddr::V4(v4) if v4.is_broadcast());
    let of_one_link = matches!(ip, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast && !of_one_link
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(seed: u8) -> NodeId {
        NodeId(*iroh::SecretKey::from_bytes(&[seed; 32]).public().as_bytes())
    }

    proptest! {
        #[test]
        fn a_ticket_comes_back(
            seed in any::<u8>(),
            addrs in prop::collection::btree_set((any::<[u8; 4]>(), 1_u16..), 0..8),
            relay in any::<bool>(),
        ) {
            let addrs = addrs.into_iter().map(SocketAddr::from).filter(is_dialable).collect();
            let relay = relay.then(|| "https://relay.example.org/".to_owned());
            let address = PeerAddress { id: id(seed), addrs, relay };
            prop_assert_eq!(parse_ticket(&address.ticket().unwrap()), Ok(address));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(endpoint)?[a-z2-7]{0,200}|.{0,60}") {
            drop(parse_ticket(&text));
        }
    }

    #[test]
    fn what_is_no_ticket_says_so() {
        assert_eq!(parse_ticket("build-box"), Err(AddressError::NotATicket));
        let whole = PeerAddress::from(id(1)).ticket().unwrap();
        assert_eq!(parse_ticket(whole.get(..whole.len() - 4).unwrap()), Err(AddressError::Broken));
        let long = format!("endpoint{}", "a".repeat(TICKET_BYTES));
        assert_eq!(parse_ticket(&long), Err(AddressError::TooLong(TICKET_BYTES + 8)));
        assert!(matches!(parse_relay("file:///etc/passwd"), Err(AddressError::Relay(_))));
        assert!(matches!(parse_relay("relay"), Err(AddressError::Relay(_))));
    }

    #[test]
    fn addresses_that_reach_many_are_not_dialed() {
        let text = [
            "0.0.0.0:1",
            "224.0.0.251:5353",
            "255.255.255.255:9",
            "[ff02::fb]:1",
            "[fe80::1%2]:1",
            "[::]:1",
            "127.0.0.1:0",
        ];
        for addr in text {
            assert!(!is_dialable(&addr.parse().unwrap()), "{addr}");
        }
        assert!(is_dialable(&"[::1]:1".parse().unwrap()));
    }
}
