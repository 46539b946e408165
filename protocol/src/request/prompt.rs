//! Prompts: a prompt runs exactly once, and goes on when its client vanishes.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{
    CidDigest, NanoUsd, PromptId, SessionId,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// Which session a prompt goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionChoice {
    /// One that exists: an id, a unique prefix, or `last`.
    Existing(String),
    /// A new one.
    New {
        /// Directory to work in; the node's workspace when not given.
        cwd: Option<String>,
    },
}

/// When a prompt takes its turn in a session that is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// After the prompts before it.
    Queue,
    /// In the running turn, at its next step.
    Steer,
}

/// Bounds that the prompter sets; the node's and the grant's hold as well.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptLimits {
    /// From acceptance to the end (milliseconds).
    pub timeout_ms: Option<u64>,
    /// Cost of the model calls.
    pub max_cost: Option<NanoUsd>,
    /// Model calls.
    pub max_turns: Option<u32>,
    /// Only these tools; `Some` of an empty list: none.
    pub tools: Option<Vec<String>>,
}

/// Number of an empty `ext` value of [`Prompt`]: the client made the id just now, so nobody has seen it before.
/// A hall that has no index of prompts need not search its logs for it. Whoever lies harms only himself.
pub const EXT_FRESH_ID: u16 = 1;

/// Number of an `ext` value of [`Prompt`]: which tool calls somebody has to allow first ([`Ask`], one byte).
pub const EXT_ASK: u16 = 2;
/// Number of an `ext` value of [`Prompt`]: name of the agent to answer as (UTF-8).
pub const EXT_AGENT: u16 = 3;
/// Number of an `ext` value of [`Prompt`]: where that agent is looked for: `user`, `project` or `both`.
pub const EXT_AGENT_SCOPE: u16 = 4;

/// Which tool calls of a model wait until somebody who is attached allows them. The node's owner may set more than
/// the prompter asked for, never less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// None.
    #[default]
    Never,
    /// Those that run a shell.
    Shell,
    /// Those that run a shell or write files.
    Writes,
}

impl Ask {
    /// As an `ext` value.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Shell => 1,
            Self::Writes => 2,
        }
    }

    /// From an `ext` value. What a later version means is at least as much as this one knows.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Never,
            1 => Self::Shell,
            _ => Self::Writes,
        }
    }
}

impl std::str::FromStr for Ask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self::Never),
            "shell" => Ok(Self::Shell),
            "writes" => Ok(Self::Writes),
            _ => Err("write never, shell or writes".into()),
        }
    }
}

/// Please do this. Needs `/clankers/prompt/send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The client's id for it: sending it again never runs it again.
    pub prompt_id: PromptId,
    /// Where.
    pub session: SessionChoice,
    /// The words.
    pub text: String,
    /// Model to use; the session's when not given.
    pub model: Option<String>,
    /// When.
    pub when: When,
    /// Bounds.
    pub limits: PromptLimits,
    /// Cancel when this stream is closed by the client.
    pub cancel_on_close: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// The prompt is written down and will run; events follow on the same stream, the last one `settled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The session it runs in.
    pub session: SessionId,
    /// Seq of its durable event.
    pub prompt_seq: u64,
    /// The node had it already: what follows is the first run's events.
    pub duplicate: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// Cancel a prompt. Needs `/clankers/prompt/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptCancel {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Id or unique prefix of the session.
    pub session: String,
    /// Which prompt; the running one when not given.
    pub prompt_id: Option<PromptId>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`PromptCancel`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptCancelled {
    /// Whether there was something to cancel.
    pub was_running: bool,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    Accepted = ACCEPTED;
    PromptCancelled = PROMPT_CANCELLED;
}

impl Message for Prompt {
    const KIND: Kind = Kind::PROMPT;

    fn check(&self) -> Result<(), MessageError> {
        within("prompt", self.text.len(), limits::PROMPT_BYTES)?;
        within("model", self.model.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        match &self.session {
            SessionChoice::Existing(session) => within("session", session.len(), limits::SELECTOR_BYTES)?,
            SessionChoice::New { cwd } => {
                within("cwd", cwd.as_ref().map_or(0, String::len), limits::PATH_BYTES)?;
            }
        }
        if let Some(tools) = &self.limits.tools {
            within("tools", tools.len(), limits::TOOLS)?;
            tools.iter().try_for_each(|tool| within("tool", tool.len(), limits::SELECTOR_BYTES))?;
        }
        self.ext.check()
    }
}

impl Message for PromptCancel {
    const KIND: Kind = Kind::PROMPT_CANCEL;

    fn check(&self) -> Result<(), MessageError> {
        within("session", self.session.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}
