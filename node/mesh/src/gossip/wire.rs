//! Messages between neighbours: how they stand on a stream, and a look at them before the core sees them.
//!
//! On the stream: a length of two bytes (big-endian, at most [`GOSSIP_MESSAGE_BYTES`]), then postcard of the
//! core's message. The core trusts its peers more than we do: a hop count at its end makes it overflow, data
//! about peers is kept for ever. [`look`] refuses such messages. It reads a mirror of the core's message, since
//! the core's own fields are private; a test holds the two together.

use bytes::{BufMut, Bytes, BytesMut};
use clankers_protocol::NodeId;
use iroh_gossip::proto::topic;
use serde::Deserialize;

use crate::limits::{
    GOSSIP_INTRODUCTION, GOSSIP_MESSAGE_BYTES, GOSSIP_PAYLOAD_BYTES, GOSSIP_ROUNDS, GOSSIP_SHUFFLED,
    GOSSIP_TTL,
};

/// The first byte of a connection's stream: the version of what follows.
pub(crate) const VERSION: u8 = 1;

/// What the core sends and receives.
pub(crate) type CoreMessage = topic::Message<NodeId>;

/// A message with its length, ready to be sent; `None` when it is over the limit, which the core's own limits
/// rule out.
pub(crate) fn encode(message: &CoreMessage) -> Option<Bytes> {
    let body = postcard::to_stdvec(message).ok()?;
    let length = u16::try_from(body.len()).ok().filter(|_| body.len() <= GOSSIP_MESSAGE_BYTES)?;
    let mut out = BytesMut::with_capacity(body.len() + 2);
    out.put_u16(length);
    out.put_slice(&body);
    Some(out.freeze())
}

/// Why a message of a neighbour is not used. No honest node sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Odd {
    #[error("not a message")]
    Garbage,
    #[error("data about a peer, which is not used here")]
    PeerData,
    #[error("a membership message with too far to go")]
    Ttl,
    #[error("a shuffle of too many members")]
    Shuffle,
    #[error("a payload over the limit")]
    Payload,
    #[error("a payload that is not what its id says")]
    Id,
    #[error("a payload for neighbours only, which is not used here")]
    Scope,
}

/// A message as far as limits care.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A payload; its content and the hash of it.
    Payload { id: [u8; 32], content: Bytes },
    /// A payload that has made more hops than can be. Whoever forwarded it last need not be at fault.
    Tired,
    /// A request to become a neighbour, which the core hardly refuses.
    Join,
    /// Anything else, with how many messages it counts for.
    Other { as_many: u32 },
}

/// Reads a message that any member may have made up.
///
/// # Errors
/// [`Odd`] when no honest node sends it.
pub(crate) fn look(bytes: &[u8]) -> Result<Look, Odd> {
    let Ok((message, rest)) = postcard::take_from_bytes::<Mirror<'_>>(bytes) else {
        return Err(Odd::Garbage);
    };
    if !rest.is_empty() {
        return Err(Odd::Garbage);
    }
    match message {
        Mirror::Swarm(swarm) => look_at_swarm(&swarm),
        Mirror::Gossip(MirrorGossip::Gossip { id, content, scope }) => {
            if content.len() > GOSSIP_PAYLOAD_BYTES {
                return Err(Odd::Payload);
            }
            let MirrorScope::Swarm(round) = scope else { return Err(Odd::Scope) };
            if *blake3::hash(content).as_bytes() != id {
                return Err(Odd::Id);
            }
            if round > GOSSIP_ROUNDS {
                return Ok(Look::Tired);
            }
            Ok(Look::Payload { id, content: Bytes::copy_from_slice(content) })
        }
        Mirror::Gossip(MirrorGossip::IHave(ids)) => {
            Ok(Look::Other { as_many: u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1) })
        }
        Mirror::Gossip(MirrorGossip::Prune | MirrorGossip::Graft { .. }) => Ok(Look::Other { as_many: 1 }),
    }
}

fn look_at_swarm(message: &MirrorSwarm<'_>) -> Result<Look, Odd> {
    let no_data = |data: &Option<&[u8]>| if data.is_none() { Ok(()) } else { Err(Odd::PeerData) };
    let in_reach = |ttl: u16| if ttl <= GOSSIP_TTL { Ok(()) } else { Err(Odd::Ttl) };
    let members = |nodes: &[MirrorPeer<'_>]| {
        if nodes.len() > GOSSIP_SHUFFLED {
            return Err(Odd::Shuffle);
        }
        nodes.iter().try_for_each(|node| no_data(&node.data))
    };
    match message {
        MirrorSwarm::Join(data) => no_data(data).map(|()| Look::Join),
        MirrorSwarm::Neighbor { priority, data } => {
            no_data(data)?;
            Ok(match priority {
                MirrorPriority::High => Look::Join,
                MirrorPriority::Low => Look::Other { as_many: 1 },
            })
        }
        MirrorSwarm::ForwardJoin { peer, ttl } => {
            no_data(&peer.data)?;
            in_reach(*ttl)?;
            // Each may be a wish to reach somebody who does not exist.
            Ok(Look::Other { as_many: GOSSIP_INTRODUCTION })
        }
        MirrorSwarm::Shuffle { nodes, ttl, .. } => {
            members(nodes)?;
            in_reach(*ttl)?;
            Ok(Look::Other { as_many: 1 })
        }
        MirrorSwarm::ShuffleReply { nodes } => {
            members(nodes)?;
            Ok(Look::Other { as_many: 1 })
        }
        MirrorSwarm::Disconnect { .. } => Ok(Look::Other { as_many: 1 }),
    }
}

// The same shapes, in the same order, as in iroh_gossip::proto 0.101: topic.rs, hyparview.rs, plumtree.rs.

#[derive(Deserialize)]
enum Mirror<'a> {
    #[serde(borrow)]
    Swarm(MirrorSwarm<'a>),
    #[serde(borrow)]
    Gossip(MirrorGossip<'a>),
}

#[derive(Deserialize)]
enum MirrorSwarm<'a> {
    #[serde(borrow)]
    Join(Option<&'a [u8]>),
    ForwardJoin {
        #[serde(borrow)]
        peer: MirrorPeer<'a>,
        ttl: u16,
    },
    Shuffle {
        #[allow(dead_code, reason = "it stands there on the wire")]
        origin: [u8; 32],
        #[serde(borrow)]
        nodes: Vec<MirrorPeer<'a>>,
        ttl: u16,
    },
    ShuffleReply {
        #[serde(borrow)]
        nodes: Vec<MirrorPeer<'a>>,
    },
    Neighbor {
        priority: MirrorPriority,
        #[serde(borrow)]
        data: Option<&'a [u8]>,
    },
    #[allow(dead_code, reason = "they stand there on the wire")]
    Disconnect { alive: bool, respond: bool },
}

#[derive(Deserialize)]
struct MirrorPeer<'a> {
    #[allow(dead_code, reason = "it stands there on the wire")]
    id: [u8; 32],
    #[serde(borrow)]
    data: Option<&'a [u8]>,
}

#[derive(Deserialize)]
enum MirrorPriority {
    High,
    Low,
}

#[derive(Deserialize)]
enum MirrorGossip<'a> {
    Gossip {
        id: [u8; 32],
        #[serde(borrow)]
        content: &'a [u8],
        scope: MirrorScope,
    },
    Prune,
    #[allow(dead_code, reason = "they stand there on the wire")]
    Graft {
        id: Option<[u8; 32]>,
        round: u16,
    },
    IHave(Vec<MirrorIHave>),
}

#[derive(Deserialize)]
enum MirrorScope {
    Swarm(u16),
    Neighbors,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "they stand there on the wire")]
struct MirrorIHave {
    id: [u8; 32],
    round: u16,
}

#[cfg(test)]
mod tests;
