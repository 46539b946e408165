//! Sessions: list, create, kill.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{
    CidDigest, NodeId, SessionId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Nothing runs.
    Idle,
    /// A prompt runs.
    Running,
    /// Its log is held by another process.
    Busy,
    /// Its log is damaged; it can be read up to the damage.
    Damaged,
}

/// One session in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its title: the beginning of its first prompt.
    pub title: String,
    /// What it is doing.
    pub state: SessionState,
    /// Its model, as `provider/name`.
    pub model: String,
    /// Seq of its last durable event.
    pub head_seq: u64,
    /// Peers attached or waiting for a prompt.
    pub attached: u32,
    /// When it was created.
    pub created: Timestamp,
    /// Who created it.
    pub principal: NodeId,
    /// The directory it works in.
    pub cwd: String,
    /// Whether it was archived (killed).
    pub archived: bool,
}

/// Which sessions are there? Needs `/clankers/session/list`; shows those the caller may see, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// How many to leave out at the beginning: those of earlier pages.
    pub skip: u64,
    /// Archived ones too.
    pub archived: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`SessionList`]: at most one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionListReply {
    /// Newest first.
    pub sessions: Vec<SessionInfo>,
    /// How many more there are after these.
    pub more: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Make a session. Needs `/clankers/session/create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCreate {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Directory to work in; the node's workspace when not given.
    pub cwd: Option<String>,
    /// Model to use; the node's default when not given.
    pub model: Option<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`SessionCreate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCreated {
    /// The new session.
    pub session: SessionId,
    /// What later versions add.
    pub ext: Ext,
}

/// Cancel what runs in a session and archive it. Needs `/clankers/session/kill`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKill {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Id or unique prefix.
    pub session: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`SessionKill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKilled {
    /// Which one it was.
    pub session: SessionId,
    /// Whether a prompt was running.
    pub was_running: bool,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    SessionList = SESSION_LIST;
    SessionCreated = SESSION_CREATED;
    SessionKilled = SESSION_KILLED;
}

impl Message for SessionListReply {
    const KIND: Kind = Kind::SESSION_LIST_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("sessions", self.sessions.len(), limits::PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for SessionCreate {
    const KIND: Kind = Kind::SESSION_CREATE;

    fn check(&self) -> Result<(), MessageError> {
        within("cwd", self.cwd.as_ref().map_or(0, String::len), limits::PATH_BYTES)?;
        within("model", self.model.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for SessionKill {
    const KIND: Kind = Kind::SESSION_KILL;

    fn check(&self) -> Result<(), MessageError> {
        within("session", self.session.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}
