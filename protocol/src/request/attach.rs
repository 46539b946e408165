//! Attaching to a session: one stream, history first, then what happens, with what the viewer says on its way back.
//!
//! ```text
//! ATTACH -> ATTACHED, then GAP?, durable events and live deltas, STATE, PRESENCE, PENDING, RESOLVED, BEAT ...
//!        <- INPUT, ATTACH_CANCEL, ANSWER, DETACH       -> INPUT_TAKEN | INPUT_DONE | INPUT_REFUSED, DETACHED
//! ```
//!
//! What is refused at the beginning, and what ends the stream by force, is a [`Refusal`].

use serde::{Deserialize, Serialize};

use super::{plain_messages, prompt::When};
use crate::{
    CidDigest, NodeId, PromptId, SessionId, Timestamp,
    event::DeltaKind,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
    refusal::Refusal,
};

/// What a viewer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See everything. Needs `/clankers/session/attach/observe`.
    View,
    /// Prompt, cancel and answer as well. Needs `/clankers/session/attach/drive` too.
    Type,
}

/// Where the stream of durable events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// With the first event there is.
    Begin,
    /// With the last so many (count); 0: only what comes.
    Tail(u64),
    /// After this one.
    After {
        /// The log's epoch in which `seq` was seen; when it is not known, `seq` is taken at its word.
        epoch: Option<u64>,
        /// The last durable event that the viewer has.
        seq: u64,
    },
}

/// Let me see a session, from here on. Needs `/clankers/session/attach/observe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// An id, a unique prefix, or `last`, which is what none means.
    pub session: Option<String>,
    /// What the viewer wants to do.
    pub role: Role,
    /// Where it begins.
    pub from: From,
    /// What later versions add.
    pub ext: Ext,
}

/// One who is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendee {
    /// Names this attachment while the session is loaded.
    pub attach_id: u64,
    /// On whose authority.
    pub principal: NodeId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// Something is unfinished: its text so far follows as deltas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenItem {
    /// The message or call.
    pub item: String,
    /// What of it: text, thinking, or a tool's output.
    pub kind: DeltaKind,
    /// Where the text that the node still has begins (bytes of UTF-8); more than 0 when it is very long.
    pub from: u64,
    /// Where it ends so far (bytes of UTF-8).
    pub to: u64,
}

/// A tool call waits for somebody's leave. State, not an event: told on attaching and when it comes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Names it: the call's id.
    pub request: String,
    /// The prompt that wants it: seq of its own event.
    pub prompt_seq: u64,
    /// The tool.
    pub tool: String,
    /// What it is about to do, in one line.
    pub what: String,
    /// Whose prompt it is.
    pub principal: NodeId,
    /// Denied when nobody has answered by then.
    pub until: Timestamp,
    /// What later versions add.
    pub ext: Ext,
}

/// A pending approval is over. The first answer wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Which.
    pub request: String,
    /// Whether the call runs.
    pub allowed: bool,
    /// Who answered; nobody when its time was up or it was withdrawn.
    pub by: Option<NodeId>,
    /// Why, when nobody answered.
    pub reason: Option<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// How a session is now, beside its events: with [`Attached`], and again after a viewer fell behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Who is attached, at most [`limits::ROSTER`] of them, oldest first.
    pub roster: Vec<Attendee>,
    /// How many are attached in all (count).
    pub attached: u64,
    /// What waits for an answer.
    pub pending: Vec<Pending>,
    /// What is unfinished; the text so far follows as deltas.
    pub open_items: Vec<OpenItem>,
    /// The model that answers, as `provider/name`.
    pub model: String,
    /// Whether a prompt runs.
    pub running: bool,
    /// Prompts that wait (count).
    pub queued: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// You are attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Your own entry in the roster.
    pub attach_id: u64,
    /// The session.
    pub session: SessionId,
    /// The log's epoch: a cursor is (epoch, seq).
    pub epoch: u64,
    /// Seq of the first durable event that there is.
    pub oldest_seq: u64,
    /// Seq of the last durable event at this moment; 0 when there is none.
    pub head_seq: u64,
    /// Seq of the durable event with which this stream begins; `head_seq` + 1 when there is no history to send.
    pub first_seq: u64,
    /// What you may do: never more than you asked for, perhaps less.
    pub role_granted: Role,
    /// The directory it works in.
    pub cwd: String,
    /// How it is now.
    pub state: State,
    /// What later versions add.
    pub ext: Ext,
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapWhy {
    /// The cursor is of another epoch of the log, whose history was lost in part: its numbers mean nothing here.
    Epoch,
    /// The events are on the disk no more, or cannot be read.
    Lost,
}

/// Events are missing: never a silent hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first durable event that should have come.
    pub from: u64,
    /// What comes next is the one after this; below `from` when history begins anew.
    pub to: u64,
    /// Why.
    pub why: GapWhy,
    /// What later versions add.
    pub ext: Ext,
}

/// Somebody came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub who: Attendee,
    /// Came, or went.
    pub joined: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// The node is there, and nothing happens. Sent each second while the stream is silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Seq of the last durable event.
    pub head_seq: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// Please do this: becomes a prompt of the viewer with `input_id` as its prompt id, exactly once. Judged at the
/// node for each input: `/clankers/session/attach/drive` and `/clankers/prompt/send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The client's id for it, and the prompt's.
    pub input_id: PromptId,
    /// The words.
    pub text: String,
    /// When it takes its turn.
    pub when: When,
    /// Model to use; the session's when not given.
    pub model: Option<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// Cancel a prompt of the viewer's (the owner: anybody's). Needs drive and `/clankers/prompt/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachCancel {
    /// Names this message in its answer.
    pub input_id: PromptId,
    /// Which prompt; the running one when not given.
    pub prompt_id: Option<PromptId>,
    /// What later versions add.
    pub ext: Ext,
}

/// Answer a pending approval. Needs `/clankers/approve` and the right to the tool itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Names this message in its answer.
    pub input_id: PromptId,
    /// Which approval.
    pub request: String,
    /// Yes or no.
    pub allow: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// Nobody sits at this viewer any more (its input has ended): no approval waits for its answer. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattended {
    /// What later versions add.
    pub ext: Ext,
}

/// I leave; what runs goes on. Answered by [`Detached`], the last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detach {
    /// What later versions add.
    pub ext: Ext,
}

/// The last frame after [`Detach`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// What later versions add.
    pub ext: Ext,
}

/// An input is written down and will run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTaken {
    /// Which.
    pub input_id: PromptId,
    /// Seq of its prompt's durable event.
    pub prompt_seq: u64,
    /// The node had it already.
    pub duplicate: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// A cancellation or an answer was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDone {
    /// Which.
    pub input_id: PromptId,
    /// Whether it changed something: there was a prompt to cancel.
    pub changed: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// An input, a cancellation or an answer was refused: told to its sender alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRefused {
    /// Which.
    pub input_id: PromptId,
    /// Why, and what to do.
    pub refusal: Refusal,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    Gap = GAP;
    Presence = PRESENCE;
    Beat = BEAT;
    AttachCancel = ATTACH_CANCEL;
    Unattended = UNATTENDED;
    Detach = DETACH;
    Detached = DETACHED;
    InputTaken = INPUT_TAKEN;
    InputDone = INPUT_DONE;
}

impl Message for Attach {
    const KIND: Kind = Kind::ATTACH;

    fn check(&self) -> Result<(), MessageError> {
        within("session", self.session.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for Attached {
    const KIND: Kind = Kind::ATTACHED;

    fn check(&self) -> Result<(), MessageError> {
        within("cwd", self.cwd.len(), limits::PATH_BYTES)?;
        self.state.check()?;
        self.ext.check()
    }
}

impl Message for State {
    const KIND: Kind = Kind::ATTACH_STATE;

    fn check(&self) -> Result<(), MessageError> {
        within("roster", self.roster.len(), limits::ROSTER)?;
        within("pending", self.pending.len(), limits::PENDING)?;
        within("open items", self.open_items.len(), limits::OPEN_ITEMS)?;
        within("model", self.model.len(), limits::SELECTOR_BYTES)?;
        self.pending.iter().try_for_each(Message::check)?;
        self.ext.check()
    }
}

impl Message for Pending {
    const KIND: Kind = Kind::PENDING;

    fn check(&self) -> Result<(), MessageError> {
        within("request", self.request.len(), limits::SELECTOR_BYTES)?;
        within("tool", self.tool.len(), limits::SELECTOR_BYTES)?;
        within("what", self.what.len(), limits::PENDING_WHAT_BYTES)?;
        self.ext.check()
    }
}

impl Message for Resolved {
    const KIND: Kind = Kind::RESOLVED;

    fn check(&self) -> Result<(), MessageError> {
        within("request", self.request.len(), limits::SELECTOR_BYTES)?;
        within("reason", self.reason.as_ref().map_or(0, String::len), limits::REFUSAL_TEXT_BYTES)?;
        self.ext.check()
    }
}

impl Message for Input {
    const KIND: Kind = Kind::INPUT;

    fn check(&self) -> Result<(), MessageError> {
        within("input", self.text.len(), limits::PROMPT_BYTES)?;
        within("model", self.model.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for Answer {
    const KIND: Kind = Kind::ANSWER;

    fn check(&self) -> Result<(), MessageError> {
        within("request", self.request.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for InputRefused {
    const KIND: Kind = Kind::INPUT_REFUSED;

    fn check(&self) -> Result<(), MessageError> {
        self.refusal.check()?;
        self.ext.check()
    }
}
