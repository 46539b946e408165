//! Asking a node whether it is there and what it is.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{CidDigest, NodeId, message::Ext};

/// Are you there? Needs no authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back as it was.
    pub nonce: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The ping's.
    pub nonce: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// What are you, and how are you? Needs `/clankers/node/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`Info`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoReply {
    /// The node's id.
    pub id: NodeId,
    /// Process id of the node.
    pub pid: u32,
    /// Name and version of the software.
    pub software: String,
    /// Its own label.
    pub label: Option<String>,
    /// Socket addresses that it listens on, as text.
    pub addrs: Vec<String>,
    /// The relay it is reachable through.
    pub relay: Option<String>,
    /// A ticket: id and addresses, no rights.
    pub ticket: String,
    /// Milliseconds since it was ready.
    pub uptime_ms: u64,
    /// Sessions on disk.
    pub sessions: u64,
    /// Prompts running or queued.
    pub prompts: u64,
    /// Connections open now.
    pub connections: u64,
    /// Requests refused since the start.
    pub refusals: u64,
    /// The default model.
    pub model: String,
    /// Where sessions of peers work; `None` when the node offers none.
    pub workspace: Option<String>,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    Ping = PING;
    Pong = PONG;
    Info = INFO;
    InfoReply = INFO_REPLY;
}
