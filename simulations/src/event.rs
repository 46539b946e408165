//! What happens in a world.

use std::sync::Arc;

use clankers_protocol::{
    CidDigest, NodeId,
    presence::{Noted, Record, Signed, Told},
    request::presence::PresenceDigest,
};
use iroh_gossip::proto::topic::{Message, Timer};

use crate::{payload::Payload, wire::Transport};

/// What a connection carries.
#[derive(Debug, Clone)]
pub enum Packet {
    /// Gossip's own protocol, and the payload in it.
    Gossip(Message<NodeId>, Option<Carried>),
    /// A request, or its answer, on `clankers/1`.
    Ask(Arc<Ask>),
}

/// A payload that a message of gossip carries.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The hash that gossip gives it.
    pub id: [u8; 32],
    /// What it says; `None` when it says nothing.
    pub payload: Option<Payload>,
}

/// Requests on `clankers/1` and their answers.
#[derive(Debug)]
pub enum Ask {
    /// Here is my membership; show yours.
    Show,
    /// The answer: whether it was good. Then the other's is good as well, or it would not be one of the world's.
    Shown(bool),
    /// What do you know of members that I do not?
    Sync {
        /// Newest records that the asker has; `None`: it asks for what is named only.
        have: Option<Vec<PresenceDigest>>,
        /// Members whose membership it has not seen.
        ask: Vec<NodeId>,
        /// Revocations that it has.
        revoked: Vec<CidDigest>,
    },
    /// The answer.
    Synced {
        /// Records that the asker lacks.
        told: Vec<Told>,
        /// Memberships that the asker has not seen.
        chains: Vec<NodeId>,
        /// Members of whom the asker has something newer.
        want: Vec<NodeId>,
        /// Revocations that the asker lacks, with their bodies.
        revoked: Vec<Noted>,
        /// Revocations that the asker has and the answerer lacks.
        lacks: Vec<CidDigest>,
    },
    /// What was wanted.
    Tell {
        /// Records.
        told: Vec<Told>,
        /// Memberships.
        chains: Vec<NodeId>,
        /// Revocations.
        revoked: Vec<Noted>,
    },
    /// The body of a revocation, please.
    Pull(CidDigest),
    /// The answer; `None` when it is not there.
    Body(CidDigest, Option<Noted>),
}

/// The machines that ask to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Presence.
    Presence,
    /// The healer.
    Healer,
    /// Peering.
    Peering,
    /// The spread of revocations.
    Spread,
}

/// One event.
#[derive(Debug)]
pub enum Event {
    /// Of the transport.
    Net(Transport),
    /// One of gossip's timers.
    Timer {
        /// Whose.
        host: u32,
        /// In which life it was set: a restarted process has none.
        life: u32,
        /// Which.
        timer: Timer<NodeId>,
    },
    /// A machine is woken.
    Wake {
        /// Whose.
        host: u32,
        /// In which life.
        life: u32,
        /// Which machine.
        machine: Machine,
        /// The how manieth wish of it this was: a later one replaces it.
        number: u64,
    },
    /// A host that said goodbye ends.
    Quit {
        /// Whose.
        host: u32,
        /// In which life.
        life: u32,
    },
    /// A host looks at who is a member still.
    Recheck {
        /// Whose turn it is.
        host: u32,
        /// In which life.
        life: u32,
    },
    /// A connection that gossip needed no more when it was not open yet: given up once it carries nothing.
    Spare {
        /// Whose.
        host: u32,
        /// In which life.
        life: u32,
        /// With whom.
        peer: u32,
    },
    /// Gossip has waited long enough for leave to talk to a member.
    WantOver {
        /// Who waits.
        host: u32,
        /// In which life.
        life: u32,
        /// For whom.
        peer: u32,
        /// The how manieth wait of the host this is.
        number: u64,
    },
}

impl From<Transport> for Event {
    fn from(transport: Transport) -> Self {
        Self::Net(transport)
    }
}

/// Number of an `ext` value of a presence record: its author's membership.
pub const EXT_CHAIN: u16 = 1;
/// Bytes of a membership on the wire, as `clankers-auth` makes them: one link and what holds it, rounded up.
pub const CHAIN_BYTES: usize = 400;
/// Bytes of a revocation with its witness on the wire, rounded up.
pub const REVOCATION_BYTES: usize = 1_200;
/// Bytes of a frame's head and of a request's fixed fields.
const HEAD_BYTES: usize = 48;
/// Bytes of an id.
const ID_BYTES: usize = 32;
/// Bytes of a digest of presence: an id and two counters.
const DIGEST_BYTES: usize = 44;

impl Ask {
    /// Bytes on the wire, about.
    #[must_use]
    pub fn size(&self) -> usize {
        HEAD_BYTES
            + match self {
                Self::Show | Self::Shown(_) => CHAIN_BYTES,
                Self::Sync { have, ask, revoked } => {
                    have.as_ref().map_or(0, Vec::len) * DIGEST_BYTES + (ask.len() + revoked.len()) * ID_BYTES
                }
                Self::Synced { told, chains, want, revoked, lacks } => {
                    (want.len() + lacks.len()) * ID_BYTES + bulk(told, chains, revoked)
                }
                Self::Tell { told, chains, revoked } => bulk(told, chains, revoked),
                Self::Pull(_) | Self::Body(_, None) => ID_BYTES,
                Self::Body(_, Some(_)) => REVOCATION_BYTES,
            }
    }
}

fn bulk(told: &[Told], chains: &[NodeId], revoked: &[Noted]) -> usize {
    let records: usize = told.iter().map(|told| record_bytes(&told.record)).sum();
    records + chains.len() * (CHAIN_BYTES + ID_BYTES) + revoked.len() * REVOCATION_BYTES
}

fn record_bytes(record: &Signed<Record>) -> usize {
    postcard::experimental::serialized_size(record).unwrap_or(usize::MAX)
}
