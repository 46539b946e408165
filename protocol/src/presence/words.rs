//! What goes into the machine and what comes out.

use std::sync::Arc;

use super::{
    Standing,
    beat::Own,
    payload::{Lost, Record, Say, Signed},
};
use crate::{NodeId, Timestamp};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin to say that this node is there.
    Start,
    /// What this node is to say of itself from now on.
    Own(Box<Own>),
    /// Its membership was shown and is good.
    Member(NodeId),
    /// It is no member any more: revoked, ended.
    Removed(NodeId),
    /// A record came.
    Record {
        /// Who handed it on.
        from: NodeId,
        /// How long ago that one heard it (milliseconds): 0 for what comes by gossip.
        age_ms: u64,
        /// The record.
        record: Arc<Signed<Record>>,
        /// Its author signed it.
        verified: bool,
    },
    /// Somebody says that it lost a member.
    Lost {
        /// Who handed it on.
        from: NodeId,
        /// What was said.
        lost: Signed<Lost>,
        /// Its author signed it.
        verified: bool,
    },
    /// A gossip neighbour was won.
    Up(NodeId),
    /// A gossip neighbour is none any more.
    Down {
        /// Which.
        member: NodeId,
        /// Its connection broke: it did not say goodbye, and gossip did not part from it.
        broken: bool,
    },
    /// This node leaves: one goodbye, and nothing after it.
    Leave,
    /// It is time.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Sign this and gossip it.
    Broadcast(Say),
    /// Somebody's standing changed, or what it says.
    Changed(NodeId, Change),
    /// Exchange presence and revocations with this neighbour.
    Sync(NodeId),
    /// Ask who handed on a record for the membership of its author, who is not known here; or a neighbour for what it has
    /// heard of a member that has gone silent.
    Ask {
        /// Whom.
        from: NodeId,
        /// Whose.
        member: NodeId,
    },
    /// Call again with [`Input::Tick`] at this time; it takes the place of any time said before.
    WakeAt(Timestamp),
}

/// How somebody changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is there, and was not, or was thought lost.
    Came,
    /// It says something new of itself.
    Updated,
    /// Somebody lost it; it may yet say that it lives.
    Suspect,
    /// It was not heard of for too long, or did not say that it lives.
    Silent,
    /// It said goodbye.
    Left,
    /// It is no member any more.
    Gone,
}

/// What came and was without effect (counts).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Of another team.
    pub other_team: u64,
    /// By or from somebody whose membership is not known.
    pub unknown: u64,
    /// Seen before, or older than what was seen: also replays.
    pub stale: u64,
    /// Not signed by its author.
    pub forged: u64,
    /// Older than it holds.
    pub late: u64,
    /// About a loss that is over.
    pub refuted: u64,
    /// Members for whom there was no room.
    pub full: u64,
    /// In this node's own name, from before it started or from a copy of it.
    pub myself: u64,
}

/// What is known of one member.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Who.
    pub id: NodeId,
    /// How it is.
    pub standing: Standing,
    /// The newest that it said.
    pub record: Option<&'a Record>,
    /// When that was heard, by this node's clock.
    pub heard: Option<Timestamp>,
}

/// What two members lack of each other's.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Of whom this node has something newer that holds.
    pub send: Vec<NodeId>,
    /// Of whom the other has.
    pub want: Vec<NodeId>,
}

/// A record that is told on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How long ago it was heard here (milliseconds).
    pub age_ms: u64,
    /// The record.
    pub record: Arc<Signed<Record>>,
}
