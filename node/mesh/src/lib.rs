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
//! - [`limits`]: every bound, with its unit
//!
//! A request's bytes come in through `accept.rs` with the peer's identity known from TLS, and leave as frames for
//! the door. The same [`Connection`] in memory ([`Connection::memory_pair`]) serves a command line that runs
//! the hall in its own process.

mod accept;
pub mod config;
pub mod connection;
pub mod dial;
pub mod discovery;
pub mod endpoint;
pub mod framed;
pub mod limits;
mod mdns;
mod memory;
pub mod peer;
pub mod source;
pub mod stream;

pub use config::{Bind, MDNS_PORT, Mdns, MeshConfig, Relay};
pub use connection::{Closed, Connection, Path};
pub use dial::{DialError, DialFailure, Tried};
pub use discovery::{Changes, Discovered, Discovery, ResolveError};
pub use endpoint::{Mesh, MeshError};
pub use framed::{FrameReader, FrameWriter, FramedError, encode_message};
pub use mdns::MdnsError;
pub use peer::{AddressError, PeerAddress, parse_ticket};
pub use stream::{RecvStream, SendStream, StreamError};
