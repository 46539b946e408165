//! The mesh: how one node reaches another. iroh and mDNS end here; what leaves this crate speaks of node ids,
//! socket addresses, connections and frames.
//!
//! - [`config`]: what a mesh is started with: key, sockets, relay, mDNS
//! - [`endpoint`]: [`Mesh`] itself: start, accept, dial, tickets, close
//! - [`dial`]: an attempt to reach a peer, and the error that says what was tried
//! - [`source`]: how many unauthenticated connections a stranger may hold
//! - [`connection`] and [`stream`]: a connection and its streams, over QUIC or in memory
//! - [`framed`]: whole messages on a stream
//! - [`peer`]: addresses and tickets
//! - [`discovery`]: who is on the local network, from [`Mdns`]
//! - [`gossip`]: a payload reaches all members of a team
//! - [`browser`]: the local network without a node; [`doctor`](mod@doctor): why nobody is found there
//! - [`changes`]: this node's addresses, and a relay that was lost
//! - [`limits`]: every bound, with its unit
//!
//! A request's bytes come in through `accept.rs` with the peer's identity known from TLS, and leave as frames for
//! the door. The same [`Connection`] in memory ([`Connection::memory_pair`]) serves a command line that runs
//! the hall in its own process.

mod accept;
pub mod browser;
pub mod changes;
mod company;
pub mod config;
pub mod connection;
pub mod dial;
pub mod discovery;
pub mod doctor;
pub mod endpoint;
pub mod framed;
pub mod gossip;
pub mod limits;
mod mdns;
mod memory;
pub mod peer;
mod reach;
mod routes;
pub mod source;
pub mod stream;
mod transport;

pub use browser::Browser;
pub use changes::AddressChanges;
pub use config::{Bind, MDNS_PORT, Mdns, MeshConfig, Relay};
pub use connection::{Closed, Connection, Path};
pub use dial::{DialError, DialFailure, Tried};
pub use discovery::{Changes, Discovered, Discovery, ResolveError};
pub use doctor::{Diagnosis, Finding, InterfaceSeen, doctor};
pub use endpoint::{Mesh, MeshError};
pub use framed::{FrameReader, FrameWriter, FramedError, encode_message};
pub use gossip::{
    Gossip, GossipConfig, GossipCounters, GossipError, GossipEvent, GossipEvents, Screen, Screened,
    TeamTopic, WantDial, Way,
};
pub use mdns::MdnsError;
pub use peer::{AddressError, PeerAddress, parse_ticket};
pub use stream::{RecvStream, SendStream, StreamError};
