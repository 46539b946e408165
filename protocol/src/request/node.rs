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

/// Number of an `ext` value of [`InfoReply`]: its [`Load`], as postcard.
pub const EXT_LOAD: u16 = 1;

/// Number of an `ext` value of [`InfoReply`]: how many requests were refused with which code, as postcard.
pub const EXT_REFUSED: u16 = 2;

/// What the sessions in memory are at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Sessions in memory (count).
    pub loaded: u64,
    /// Who is attached to them (count).
    pub viewers: u64,
    /// Prompts that run (count).
    pub running: u64,
    /// Prompts that wait for their turn (count).
    pub queued: u64,
    /// Tool calls that wait for somebody's leave (count).
    pub pending: u64,
    /// Events and pieces announced since those sessions were loaded (count).
    pub events: u64,
    /// Of these, what is still at hand for whoever is a little late (count).
    pub ring_frames: u64,
    /// The same (bytes).
    pub ring_bytes: u64,
}

impl InfoReply {
    /// What the sessions in memory are at; `None` from a node that does not say.
    #[must_use]
    pub fn load(&self) -> Option<Load> {
        postcard::from_bytes(self.ext.get(EXT_LOAD)?).ok()
    }

    /// Requests refused since the start by the number of the refusal's code; empty from a node that does not say.
    #[must_use]
    pub fn refused(&self) -> Vec<(u16, u64)> {
        self.ext.get(EXT_REFUSED).and_then(|value| postcard::from_bytes(value).ok()).unwrap_or_default()
    }
}

/// The `ext` value that carries how many requests were refused with which code.
#[must_use]
pub fn refused_to_ext(by_code: &[(u16, u64)]) -> (u16, Vec<u8>) {
    (EXT_REFUSED, postcard::to_stdvec(by_code).unwrap_or_default())
}

impl Load {
    /// The `ext` value that carries it.
    #[must_use]
    pub fn to_ext(self) -> (u16, Vec<u8>) {
        // Eight numbers cannot fail to be written; an empty value is none.
        (EXT_LOAD, postcard::to_stdvec(&self).unwrap_or_default())
    }
}

plain_messages! {
    Ping = PING;
    Pong = PONG;
    Info = INFO;
    InfoReply = INFO_REPLY;
}
