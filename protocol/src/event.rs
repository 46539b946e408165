//! What happens in a session.
//!
//! *Durable* events have a `seq`, from 1, without gaps: they are appended to the log and synced before anyone
//! hears of them. *Live* deltas carry the item they belong to and a byte offset, never a seq; the completed
//! item is durable and authoritative.

use serde::{Deserialize, Serialize};

use crate::{
    CidDigest, NanoUsd, NodeId, PromptId, Timestamp,
    conversation::{StopReason, Thinking, ToolStatus, Usage},
    kind::Kind,
    message::MessageError,
};

/// Somebody's prompt was accepted. Written before it runs, so that it runs once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptEvent {
    /// The client's id for it.
    pub prompt_id: PromptId,
    /// On whose authority: the owner, or the grant's audience.
    pub principal: NodeId,
    /// The leaf of the chain it runs under, when it came with one.
    pub leaf: Option<CidDigest>,
    /// The words.
    pub text: String,
    /// The model that answers, as `provider/name`.
    pub model: String,
}

/// The model completed a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEvent {
    /// The message's id within the session; its deltas carried the same.
    pub item: String,
    /// Thinking blocks, in order.
    pub thinking: Vec<Thinking>,
    /// The whole text.
    pub text: String,
    /// Why it ended.
    pub stop: StopReason,
}

/// The model asked for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallEvent {
    /// The call's id.
    pub item: String,
    /// The message that asked; empty for a direct tool prompt.
    pub message: String,
    /// The tool.
    pub name: String,
    /// Its arguments: JSON as text.
    pub arguments: String,
}

/// A tool call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResultEvent {
    /// The call's id.
    pub item: String,
    /// The tool.
    pub name: String,
    /// How it ended.
    pub status: ToolStatus,
    /// What the model is told.
    pub text: String,
}

/// What one call of a model used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// The model, as `provider/name`.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// Its price; `None` when the price is not known.
    pub cost: Option<NanoUsd>,
}

/// How a prompt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The turn ran to its end.
    Completed,
    /// The agent, a direct tool or the model server failed.
    Failed,
    /// Credentials for the model are missing or refused.
    Credentials,
    /// The prompter may not do what was asked.
    Denied,
    /// A limit on cost or turns was reached.
    Limit,
    /// Somebody cancelled it.
    Cancelled,
    /// Its time was up.
    TimedOut,
    /// The node stopped or crashed under it; what ran is not run again.
    Interrupted,
}

/// A prompt ended: its last event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledEvent {
    /// Which prompt.
    pub prompt_id: PromptId,
    /// Seq of its own event: two principals may choose the same id in one session.
    pub prompt_seq: u64,
    /// How.
    pub outcome: Outcome,
    /// Why and what to do, when it did not complete.
    pub reason: Option<String>,
    /// Tokens used by all its model calls.
    pub usage: Usage,
    /// What they cost; `None` when a price is not known.
    pub cost: Option<NanoUsd>,
}

/// Words from the side entered the running turn. Written when the model is about to hear them, not when they came: where
/// the event stands is where the words stand in the transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteerEvent {
    /// The id that their author's client gave to the words, as for a prompt.
    pub prompt_id: PromptId,
    /// Who said them.
    pub principal: NodeId,
    /// The leaf of the chain that allowed it, when it came with one.
    pub leaf: Option<CidDigest>,
    /// The words.
    pub text: String,
}

/// The older part of the conversation was replaced by a summary, so that it fits the model's context again. The log
/// keeps it; only the model no longer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactedEvent {
    /// What stands for the older part.
    pub summary: String,
    /// Entries of the transcript that stay as they are, counted from its end (count).
    pub kept: u32,
    /// The context before (tokens, estimated).
    pub tokens_before: u64,
    /// The context after (tokens, estimated).
    pub tokens_after: u64,
}

/// A request for approval was answered, or nobody answered in time. That it is pending is state and not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedEvent {
    /// The request: the id of the call that waited.
    pub request: String,
    /// Who answered; `None`: nobody did.
    pub by: Option<NodeId>,
    /// Whether the call may run.
    pub allowed: bool,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A durable event's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A prompt was accepted.
    Prompt(PromptEvent),
    /// A message was completed.
    Message(MessageEvent),
    /// A tool was called.
    ToolCall(ToolCallEvent),
    /// A tool call ended.
    ToolResult(ToolResultEvent),
    /// A model call was paid for.
    Usage(UsageEvent),
    /// A prompt ended.
    Settled(SettledEvent),
    /// Words from the side were heard.
    Steered(SteerEvent),
    /// The older part of the conversation became a summary.
    Compacted(CompactedEvent),
    /// A request for approval was answered.
    Resolved(ResolvedEvent),
}

/// A durable event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Its number: from 1, no gaps.
    pub seq: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A piece of something unfinished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The item it belongs to.
    pub item: String,
    /// Where it begins in the item: bytes of UTF-8.
    pub offset: u64,
    /// The text.
    pub text: String,
}

/// A live piece of what kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaKind {
    /// A message's text.
    Text,
    /// A message's thinking.
    Thinking,
    /// A tool call's output.
    ToolOutput,
    /// Words for whoever watches, whole in one piece: a retry, what was not used. They are no part of the
    /// conversation, and in no durable event.
    Notice,
}

/// One entry of the stream that a prompter or a viewer receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// A durable event.
    Durable(Durable),
    /// A live piece.
    Live(DeltaKind, Delta),
}

impl StreamItem {
    /// Frame kind and body.
    #[must_use]
    pub fn encode(&self) -> (Kind, Vec<u8>) {
        fn body(value: &impl Serialize) -> Vec<u8> {
            // See Message::encode for why this cannot fail on what this module defines.
            postcard::to_stdvec(value).unwrap_or_default()
        }
        match self {
            Self::Live(DeltaKind::Text, delta) => (Kind::TEXT_DELTA, body(delta)),
            Self::Live(DeltaKind::Thinking, delta) => (Kind::THINKING_DELTA, body(delta)),
            Self::Live(DeltaKind::ToolOutput, delta) => (Kind::TOOL_OUTPUT, body(delta)),
            Self::Live(DeltaKind::Notice, delta) => (Kind::NOTICE, body(delta)),
            Self::Durable(Durable { seq, at, event }) => match event {
                Event::Prompt(e) => (Kind::EVENT_PROMPT, body(&(seq, at, e))),
                Event::Message(e) => (Kind::EVENT_MESSAGE, body(&(seq, at, e))),
                Event::ToolCall(e) => (Kind::EVENT_TOOL_CALL, body(&(seq, at, e))),
                Event::ToolResult(e) => (Kind::EVENT_TOOL_RESULT, body(&(seq, at, e))),
                Event::Usage(e) => (Kind::EVENT_USAGE, body(&(seq, at, e))),
                Event::Settled(e) => (Kind::EVENT_SETTLED, body(&(seq, at, e))),
                Event::Steered(e) => (Kind::EVENT_STEERED, body(&(seq, at, e))),
                Event::Compacted(e) => (Kind::EVENT_COMPACTED, body(&(seq, at, e))),
                Event::Resolved(e) => (Kind::EVENT_RESOLVED, body(&(seq, at, e))),
            },
        }
    }

    /// The item in a frame; `None` for a kind that this version does not know, to be skipped and counted.
    ///
    /// # Errors
    /// [`MessageError`] when the body is not what its kind promises.
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Option<Self>, MessageError> {
        fn whole<T: serde::de::DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, MessageError> {
            let (value, rest) = postcard::take_from_bytes(body).map_err(|_| MessageError::Malformed(kind))?;
            if rest.is_empty() { Ok(value) } else { Err(MessageError::Trailing(kind, rest.len())) }
        }
        fn durable<T: serde::de::DeserializeOwned>(
            kind: Kind,
            body: &[u8],
            wrap: fn(T) -> Event,
        ) -> Result<StreamItem, MessageError> {
            let (seq, at, event) = whole::<(u64, Timestamp, T)>(kind, body)?;
            Ok(StreamItem::Durable(Durable { seq, at, event: wrap(event) }))
        }
        Ok(Some(match kind {
            Kind::TEXT_DELTA => Self::Live(DeltaKind::Text, whole(kind, body)?),
            Kind::THINKING_DELTA => Self::Live(DeltaKind::Thinking, whole(kind, body)?),
            Kind::TOOL_OUTPUT => Self::Live(DeltaKind::ToolOutput, whole(kind, body)?),
            Kind::NOTICE => Self::Live(DeltaKind::Notice, whole(kind, body)?),
            Kind::EVENT_PROMPT => durable(kind, body, Event::Prompt)?,
            Kind::EVENT_MESSAGE => durable(kind, body, Event::Message)?,
            Kind::EVENT_TOOL_CALL => durable(kind, body, Event::ToolCall)?,
            Kind::EVENT_TOOL_RESULT => durable(kind, body, Event::ToolResult)?,
            Kind::EVENT_USAGE => durable(kind, body, Event::Usage)?,
            Kind::EVENT_SETTLED => durable(kind, body, Event::Settled)?,
            Kind::EVENT_STEERED => durable(kind, body, Event::Steered)?,
            Kind::EVENT_COMPACTED => durable(kind, body, Event::Compacted)?,
            Kind::EVENT_RESOLVED => durable(kind, body, Event::Resolved)?,
            _ => return Ok(None),
        }))
    }
}
