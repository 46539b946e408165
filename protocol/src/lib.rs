//! The words that clankers peers say to each other, and the rules of conversation.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes go in and come out, `now` is
//! passed in. Version 1 of the wire, read from the outside in:
//!
//! - [`frame`]: a kind, a length, a body; the incremental decoder that refuses before it allocates
//! - [`kind`]: the table of frame kinds
//! - [`hello`]: the first words on a connection, and [`admission`], the machine that judges them
//! - [`request`]: what can be asked of a node, one module for each family
//! - [`attach`]: the viewer's side of an attached session: a machine that resumes without a gap
//! - [`transfer`]: files: names, manifests, block hashes, and the machines of both sides
//! - [`presence`], [`healer`], [`peering`], [`spread`]: the machines of a team: who is there, how it becomes whole
//!   again, who talks to whom, how revocations come to all
//! - [`refusal`]: the one table of refusal and close codes
//! - [`event`]: what happens in a session, durable or live, and [`jsonl`], how programs see it
//! - [`conversation`]: messages, tool calls, usage: what agent and models share
//! - [`id`], [`time`], [`money`], [`text`]: the small words everything else is made of

pub mod admission;
pub mod attach;
pub mod conversation;
pub mod event;
pub mod frame;
pub mod healer;
pub mod hello;
pub mod id;
pub mod jsonl;
pub mod kind;
pub mod limits;
pub mod message;
pub mod money;
pub mod peering;
pub mod presence;
pub mod refusal;
pub mod request;
pub mod spread;
pub mod text;
pub mod time;
mod timing;
pub mod transfer;

pub use id::{CidDigest, NodeId, PromptId, SessionId, TeamId};
pub use message::{Ext, Message};
pub use money::NanoUsd;
pub use time::Timestamp;

/// The one ALPN of everything between nodes in version 1.
pub const ALPN: &[u8] = b"clankers/1";

/// The protocol version spoken here.
pub const VERSION: u16 = 1;
