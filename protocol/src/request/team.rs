//! Teams: who belongs together, and what members are given.
//!
//! A team is a key; its id is that key's. Membership is a chain of UCAN delegations that begins at it. The owner's
//! requests make teams, invite, join and remove; [`TeamShow`] and [`TeamClaim`] are what members say to each other.

mod note;

use serde::{Deserialize, Serialize};

pub use self::note::{EXT_NOTES, Goodbye, MemberNote};
use super::{
    plain_messages,
    revocation::RevokedLink,
    tokens::{Rights, TOKEN_TEXT_BYTES},
};
use crate::{
    CidDigest, NodeId, TeamId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// What an invite's text begins with.
pub const INVITE_PREFIX: &str = "clankers-team:";

/// A team as one of its members knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// The team's id: its key.
    pub id: TeamId,
    /// What it was called when it was made.
    pub name: String,
    /// This node may invite, and remove those it invited.
    pub admin: bool,
    /// The team's key lies here: this node may remove anybody.
    pub keeper: bool,
    /// Since when this node belongs to it.
    pub joined: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// Members known here, this node included (count).
    pub members: u64,
    /// Of these, those that are there now (count).
    pub alive: u64,
    /// Why this node is no member any more: a refusal code's number.
    pub ended: Option<u16>,
    /// What came by gossip, or went to it, and was dropped since the node started (count).
    pub dropped: u64,
    /// What members are given here on request.
    pub template: Option<TemplateRecord>,
}

/// What members are given on request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRecord {
    /// What their tokens allow, in words.
    pub grants: Vec<String>,
    /// For how long each (seconds).
    pub expire_secs: u64,
    /// How many members have one now (count).
    pub given: u64,
}

/// How a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Heard of lately.
    Alive,
    /// Silent for longer than it said it would be.
    Lost,
    /// It said goodbye.
    Left,
    /// It was removed from the team.
    Removed,
    /// Not heard of since this node started.
    Unknown,
}

/// What a member has to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLoad {
    /// Sessions on its disk (count).
    pub sessions: u32,
    /// Prompts running or waiting (count).
    pub running: u32,
}

/// One member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its id.
    pub id: NodeId,
    /// The label that the owner of this node gave it.
    pub label: Option<String>,
    /// The label that it claims for itself.
    pub claimed: Option<String>,
    /// This node itself.
    pub me: bool,
    /// It may invite; as far as this node has seen its membership.
    pub admin: bool,
    /// How it is.
    pub state: MemberState,
    /// Socket addresses, as text.
    pub addrs: Vec<String>,
    /// The relay it is reached through.
    pub relay: Option<String>,
    /// `direct` or `relay`, when there is a connection to it.
    pub path: Option<String>,
    /// Round trip on that connection (microseconds).
    pub rtt_us: Option<u64>,
    /// Its software.
    pub version: Option<String>,
    /// When it was last heard of.
    pub last_seen: Option<Timestamp>,
    /// What it has to do.
    pub load: Option<MemberLoad>,
    /// Until when it is a member, as far as this node has seen that.
    pub expires: Option<Timestamp>,
}

/// Make a team. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamCreate {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What to call it.
    pub name: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamCreate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamCreated {
    /// The team.
    pub team: TeamRecord,
    /// What later versions add.
    pub ext: Ext,
}

/// Write an invite for one peer. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvite {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The team: a name, or the beginning of its id; the only one when not given.
    pub team: Option<String>,
    /// For whom: an id, a unique prefix, or a label.
    pub peer: String,
    /// It may invite others.
    pub admin: bool,
    /// How long the membership lasts (seconds).
    pub expire_secs: u64,
    /// It renews itself, for as long, while whoever wrote it is there.
    pub renew: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamInvite`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInvited {
    /// The invite: one word, of use to that peer only.
    pub invite: String,
    /// The team.
    pub team: TeamRecord,
    /// For whom it is.
    pub member: NodeId,
    /// CID of the membership's last link, as text.
    pub cid: String,
    /// When the membership ends.
    pub expires: Timestamp,
    /// What later versions add.
    pub ext: Ext,
}

/// Join by an invite. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamJoin {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The invite's text.
    pub invite: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamJoin`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamJoined {
    /// The team.
    pub team: TeamRecord,
    /// This node belonged to it already.
    pub known: bool,
    /// Members that were reached at once (count).
    pub reached: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Which teams are there? For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamListReply {
    /// In order of name.
    pub teams: Vec<TeamRecord>,
    /// What later versions add.
    pub ext: Ext,
}

/// Who belongs to a team? For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMembers {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The team; the only one when not given.
    pub team: Option<String>,
    /// How many to leave out at the beginning: those of earlier pages.
    pub skip: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamMembers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMembersReply {
    /// The team.
    pub team: TeamRecord,
    /// This node first, then in order of label and id.
    pub members: Vec<MemberRecord>,
    /// How many more there are after these.
    pub more: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Leave a team, and forget it. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamLeave {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The team; the only one when not given.
    pub team: Option<String>,
    /// Also when the team's key lies here, and is lost with it.
    pub force: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamLeave`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamLeft {
    /// The team as it was.
    pub team: TeamRecord,
    /// What later versions add.
    pub ext: Ext,
}

/// Remove a member for good. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRemove {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The team; the only one when not given.
    pub team: Option<String>,
    /// Whom: an id, a unique prefix, or a label.
    pub peer: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamRemove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRemoved {
    /// The team.
    pub team: TeamRecord,
    /// Who was removed.
    pub member: NodeId,
    /// The memberships that were revoked.
    pub links: Vec<RevokedLink>,
    /// Tokens of this node's template that it had, and that ended (count).
    pub tokens: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Give every member who asks a token of this kind, or nothing any more. For the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamGrant {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The team; the only one when not given.
    pub team: Option<String>,
    /// What for; `None`: nothing any more, and what was given ends.
    pub rights: Option<Rights>,
    /// For how long each token (seconds).
    pub expire_secs: u64,
    /// What later versions add; rights to send files as in a `TokenCreate`.
    pub ext: Ext,
}

/// The answer to [`TeamGrant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamGranted {
    /// The team, with what is given now.
    pub team: TeamRecord,
    /// Tokens of an earlier kind that ended (count).
    pub ended: u64,
    /// What the owner should know about it.
    pub warnings: Vec<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// I belong to this team: do you? Needs nothing but the membership itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamShow {
    /// The team.
    pub team: TeamId,
    /// The asker's membership: a container of delegations from the team's key to the asker.
    pub chain: Vec<u8>,
    /// What later versions add.
    pub ext: Ext,
}

/// Yes. The answer to [`TeamShow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamShown {
    /// The answering node's membership.
    pub chain: Vec<u8>,
    /// What later versions add.
    pub ext: Ext,
}

/// Give me what you give to members. Needs a membership that was shown on this connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamClaim {
    /// The team.
    pub team: TeamId,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TeamClaim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamClaimed {
    /// The token's text.
    pub token: String,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    TeamList = TEAM_LIST;
}

fn name(name: &str) -> Result<(), MessageError> {
    within("team", name.len(), limits::LABEL_BYTES)
}

fn choice(team: Option<&String>) -> Result<(), MessageError> {
    within("team", team.map_or(0, String::len), limits::SELECTOR_BYTES)
}

fn record(team: &TeamRecord) -> Result<(), MessageError> {
    name(&team.name)?;
    let grants = team.template.as_ref().map_or(0, |template| template.grants.len());
    within("grants", grants, limits::PAGE_ENTRIES)
}

macro_rules! check_messages {
    ($($name:ident = $kind:ident |$it:ident| $check:block;)*) => {
        $(impl Message for $name {
            const KIND: Kind = Kind::$kind;

            fn check(&self) -> Result<(), MessageError> {
                let $it = self;
                $check?;
                self.ext.check()
            }
        })*
    };
}

check_messages! {
    TeamCreate = TEAM_CREATE |it| { name(&it.name) };
    TeamCreated = TEAM_CREATED |it| { record(&it.team) };
    TeamInvite = TEAM_INVITE |it| {
        choice(it.team.as_ref()).and_then(|()| within("peer", it.peer.len(), limits::SELECTOR_BYTES))
    };
    TeamInvited = TEAM_INVITED |it| {
        record(&it.team).and_then(|()| within("invite", it.invite.len(), limits::INVITE_BYTES))
    };
    TeamJoin = TEAM_JOIN |it| { within("invite", it.invite.len(), limits::INVITE_BYTES) };
    TeamJoined = TEAM_JOINED |it| { record(&it.team) };
    TeamListReply = TEAM_LIST_REPLY |it| {
        within("teams", it.teams.len(), limits::TEAMS).and_then(|()| it.teams.iter().try_for_each(record))
    };
    TeamMembers = TEAM_MEMBERS |it| { choice(it.team.as_ref()) };
    TeamMembersReply = TEAM_MEMBERS_REPLY |it| {
        within("members", it.members.len(), limits::PAGE_ENTRIES).and_then(|()| record(&it.team))
    };
    TeamLeave = TEAM_LEAVE |it| { choice(it.team.as_ref()) };
    TeamLeft = TEAM_LEFT |it| { record(&it.team) };
    TeamRemove = TEAM_REMOVE |it| {
        choice(it.team.as_ref()).and_then(|()| within("peer", it.peer.len(), limits::SELECTOR_BYTES))
    };
    TeamRemoved = TEAM_REMOVED |it| {
        within("links", it.links.len(), limits::REVOCATIONS).and_then(|()| record(&it.team))
    };
    TeamGrant = TEAM_GRANT |it| {
        choice(it.team.as_ref()).and_then(|()| it.rights.as_ref().map_or(Ok(()), Rights::check))
    };
    TeamGranted = TEAM_GRANTED |it| {
        within("warnings", it.warnings.len(), limits::RIGHTS_ENTRIES).and_then(|()| record(&it.team))
    };
    TeamShow = TEAM_SHOW |it| { within("chain", it.chain.len(), limits::CHAIN_BYTES) };
    TeamShown = TEAM_SHOWN |it| { within("chain", it.chain.len(), limits::CHAIN_BYTES) };
    TeamClaim = TEAM_CLAIM |_it| { Ok::<(), MessageError>(()) };
    TeamClaimed = TEAM_CLAIMED |it| { within("token", it.token.len(), TOKEN_TEXT_BYTES) };
}
