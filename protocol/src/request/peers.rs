//! The peer book: whom a node knows, and how to reach them.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// One known peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// Its id.
    pub id: NodeId,
    /// The label that the owner gave it.
    pub label: Option<String>,
    /// The label that it claims for itself.
    pub claimed: Option<String>,
    /// Socket addresses, as text, the most recent first.
    pub addrs: Vec<String>,
    /// The relay it was last reached through.
    pub relay: Option<String>,
    /// How it is known: `book`, `mdns`, ...
    pub via: Vec<String>,
    /// Its software, when it said so.
    pub version: Option<String>,
    /// When it was last heard of.
    pub last_seen: Option<Timestamp>,
    /// Whether the owner added it.
    pub trusted: bool,
}

/// Whom do you know? Needs `/clankers/node/peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// How many to leave out at the beginning: those of earlier pages.
    pub skip: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`PeerList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerListReply {
    /// In order of label, then id.
    pub peers: Vec<PeerRecord>,
    /// How many more there are after these.
    pub more: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Who is meant by this name, how is it reached, and which grants of it do you hold? For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerResolve {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// A node id, a unique prefix, or a label.
    pub peer: String,
    /// How long to wait for it to be found on the network (milliseconds).
    pub wait_ms: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Number of an `ext` value of [`PeerResolve`]: the socket address, as text, at which the peer with this whole id proved its
/// key a moment ago. It is noted, and nothing is looked up.
pub const EXT_REACHED: u16 = 1;

/// The answer to [`PeerResolve`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerResolved {
    /// What is known.
    pub peer: PeerRecord,
    /// Containers of the chains that end at this node and begin at that peer.
    pub chains: Vec<Vec<u8>>,
    /// What later versions add.
    pub ext: Ext,
}

/// A change of the peer book. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerChange {
    /// Add a peer, or more addresses of a known one; it is trusted from now on.
    Add {
        /// Its id.
        id: NodeId,
        /// Socket addresses, as text.
        addrs: Vec<String>,
        /// A relay it is reachable through.
        relay: Option<String>,
        /// The label to give it.
        label: Option<String>,
    },
    /// Forget a peer: an id, a unique prefix, or a label.
    Remove(String),
    /// Give a known peer a label, or take it away.
    Label {
        /// An id, a unique prefix, or a label.
        peer: String,
        /// The new label.
        label: Option<String>,
    },
    /// Trust a known peer, so that a label which it alone claims names it; or do not any more.
    Trust {
        /// An id, a unique prefix, or a label.
        peer: String,
        /// Whether it is trusted from now on.
        trusted: bool,
    },
}

/// Change the peer book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEdit {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// How.
    pub change: PeerChange,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`PeerEdit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEdited {
    /// The peer as it is known now, or was.
    pub peer: PeerRecord,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    PeerList = PEER_LIST;
    PeerEdited = PEER_EDITED;
}

impl Message for PeerListReply {
    const KIND: Kind = Kind::PEER_LIST_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("peers", self.peers.len(), limits::PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for PeerResolve {
    const KIND: Kind = Kind::PEER_RESOLVE;

    fn check(&self) -> Result<(), MessageError> {
        within("peer", self.peer.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for PeerResolved {
    const KIND: Kind = Kind::PEER_RESOLVED;

    fn check(&self) -> Result<(), MessageError> {
        within("chains", self.chains.len(), limits::CHAINS)?;
        self.ext.check()
    }
}

impl Message for PeerEdit {
    const KIND: Kind = Kind::PEER_EDIT;

    fn check(&self) -> Result<(), MessageError> {
        match &self.change {
            PeerChange::Add { addrs, relay, label, .. } => {
                within("addrs", addrs.len(), limits::ADDRESSES)?;
                addrs.iter().try_for_each(|addr| within("addr", addr.len(), limits::SELECTOR_BYTES))?;
                within("relay", relay.as_ref().map_or(0, String::len), limits::PATH_BYTES)?;
                within("label", label.as_ref().map_or(0, String::len), limits::LABEL_BYTES)?;
            }
            PeerChange::Remove(peer) | PeerChange::Trust { peer, .. } => {
                within("peer", peer.len(), limits::SELECTOR_BYTES)?;
            }
            PeerChange::Label { peer, label } => {
                within("peer", peer.len(), limits::SELECTOR_BYTES)?;
                within("label", label.as_ref().map_or(0, String::len), limits::LABEL_BYTES)?;
            }
        }
        self.ext.check()
    }
}
