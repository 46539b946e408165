//! Who is there: what members exchange when they meet, and what the owner sees of the whole mesh.

use serde::{Deserialize, Serialize};

use super::{
    peers::PeerRecord,
    plain_messages,
    session::SessionInfo,
    team::{MemberLoad, MemberState},
};
use crate::{
    CidDigest, NodeId, TeamId,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// The newest presence record of one member that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceDigest {
    /// Of whom.
    pub member: NodeId,
    /// Its start.
    pub boot_id: u64,
    /// The record's number since then.
    pub counter: u64,
}

/// A presence record that is told on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRecord {
    /// How long ago the teller heard it (milliseconds).
    pub age_ms: u64,
    /// The signed record, as it travels on gossip.
    pub record: Vec<u8>,
}

/// Somebody's membership, told by a third.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChain {
    /// Whose.
    pub member: NodeId,
    /// A container of delegations from the team's key to that member.
    pub chain: Vec<u8>,
}

/// What do you know of the members that I do not? Needs a membership that was shown on this connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceSync {
    /// The team.
    pub team: TeamId,
    /// What the asker has; `None`: only what is said below.
    pub have: Option<Vec<PresenceDigest>>,
    /// Records for whoever is asked.
    pub records: Vec<ToldRecord>,
    /// Memberships of their authors.
    pub chains: Vec<MemberChain>,
    /// Members whose membership the asker has not seen.
    pub ask: Vec<NodeId>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`PresenceSync`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceSynced {
    /// Records that the asker lacks, as many as fit.
    pub records: Vec<ToldRecord>,
    /// Memberships: of those whom the asker asked for, and of the records' authors whom it did not name.
    pub chains: Vec<MemberChain>,
    /// Members of whom the asker has something newer: it may send that.
    pub want: Vec<NodeId>,
    /// What later versions add.
    pub ext: Ext,
}

/// Show the whole mesh. Needs `/clankers/node/peers`; what others let this node see is for the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshView {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// How many to leave out at the beginning: those of earlier pages.
    pub skip: u64,
    /// Ask the members for their sessions, for at most so long (milliseconds); 0: do not.
    pub ask_ms: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// One node of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshNode {
    /// What is known of it.
    pub peer: PeerRecord,
    /// The node that answers.
    pub me: bool,
    /// Names of the teams that both belong to.
    pub teams: Vec<String>,
    /// How it is; `None` for one that is in no team.
    pub state: Option<MemberState>,
    /// `direct` or `relay`, when there is a connection to it.
    pub path: Option<String>,
    /// Round trip on that connection (microseconds).
    pub rtt_us: Option<u64>,
    /// What it has to do, as it says.
    pub load: Option<MemberLoad>,
    /// Its sessions that this node may see; `None` when it was not asked, or showed none.
    pub sessions: Option<Vec<SessionInfo>>,
}

/// The answer to [`MeshView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshViewReply {
    /// The node that answers first, then in order of label and id.
    pub nodes: Vec<MeshNode>,
    /// How many more there are after these.
    pub more: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Is this peer there? Dials it, and says what was found. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerProbe {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// An id, a unique prefix, or a label.
    pub peer: String,
    /// How long it may take (milliseconds).
    pub limit_ms: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`PeerProbe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerProbed {
    /// The peer as it is known now.
    pub peer: PeerRecord,
    /// `direct` or `relay`.
    pub path: String,
    /// Round trip (microseconds).
    pub rtt_us: u64,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    MeshView = MESH_VIEW;
    PeerProbed = PEER_PROBED;
}

fn told(records: &[ToldRecord], chains: &[MemberChain]) -> Result<(), MessageError> {
    within("records", records.len(), limits::PRESENCE_PAGE)?;
    within("chains", chains.len(), limits::PRESENCE_PAGE)?;
    records.iter().try_for_each(|told| within("record", told.record.len(), limits::PRESENCE_RECORD_BYTES))?;
    chains.iter().try_for_each(|member| within("chain", member.chain.len(), limits::CHAIN_BYTES))
}

impl Message for PresenceSync {
    const KIND: Kind = Kind::PRESENCE_SYNC;

    fn check(&self) -> Result<(), MessageError> {
        within("have", self.have.as_ref().map_or(0, Vec::len), limits::TEAM_DIGESTS)?;
        within("ask", self.ask.len(), limits::PRESENCE_PAGE)?;
        told(&self.records, &self.chains)?;
        self.ext.check()
    }
}

impl Message for PresenceSynced {
    const KIND: Kind = Kind::PRESENCE_SYNCED;

    fn check(&self) -> Result<(), MessageError> {
        within("want", self.want.len(), limits::TEAM_DIGESTS)?;
        told(&self.records, &self.chains)?;
        self.ext.check()
    }
}

impl Message for MeshViewReply {
    const KIND: Kind = Kind::MESH_VIEW_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("nodes", self.nodes.len(), limits::PAGE_ENTRIES)?;
        for node in &self.nodes {
            within("teams", node.teams.len(), limits::TEAMS)?;
            within("sessions", node.sessions.as_ref().map_or(0, Vec::len), limits::MESH_SESSIONS)?;
        }
        self.ext.check()
    }
}

impl Message for PeerProbe {
    const KIND: Kind = Kind::PEER_PROBE;

    fn check(&self) -> Result<(), MessageError> {
        within("peer", self.peer.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}
