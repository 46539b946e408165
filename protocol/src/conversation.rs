//! What a conversation with a model is made of: shared by the agent, the models and the session log.

use serde::{Deserialize, Serialize};

use crate::NanoUsd;

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSpec {
    /// The tool's name, as the model says it.
    pub name: String,
    /// What the tool does, for the model.
    pub description: String,
    /// JSON Schema of its arguments, as text.
    pub parameters: String,
    /// Whether calls of it may run beside each other.
    pub read_only: bool,
}

/// A model's wish to call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id, as the provider gave it (or made for it).
    pub id: String,
    /// The tool's name, not checked yet.
    pub name: String,
    /// The arguments, JSON as text, not checked yet.
    pub arguments: String,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It ran and succeeded.
    Ok,
    /// It ran, or was tried, and failed; the text says why.
    Error,
    /// The prompter may not do this.
    Denied,
    /// It was cut short: cancelled, or its fate is unknown after a crash.
    Interrupted,
}

/// Thinking of a model, with the signature that the provider wants back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinking {
    /// The text.
    pub text: String,
    /// The provider's signature over it, if it gives one.
    pub signature: Option<String>,
}

/// One entry of the transcript that a model is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Somebody's words.
    User {
        /// The text.
        text: String,
    },
    /// The model's words and wishes.
    Assistant {
        /// Thinking blocks, in order.
        thinking: Vec<Thinking>,
        /// The text; may be empty.
        text: String,
        /// Calls, each answered by one [`Message::ToolResult`] that follows.
        calls: Vec<ToolCall>,
    },
    /// The answer to one call.
    ToolResult {
        /// Which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// How it ended.
        status: ToolStatus,
        /// What it said.
        text: String,
    },
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It said what it had to say.
    EndTurn,
    /// It waits for tool results.
    ToolUse,
    /// It ran into its output limit.
    MaxTokens,
    /// The provider refused the content.
    Refusal,
    /// It was interrupted here.
    Interrupted,
    /// The provider paused a long answer and wants to be asked again with what it said so far (Anthropic's
    /// `pause_turn`).
    Pause,
}

/// Tokens used, by kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Fresh input tokens.
    pub input: u64,
    /// Output tokens, thinking included.
    pub output: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: u64,
    /// Input tokens written to it.
    pub cache_write: u64,
}

impl Usage {
    /// The sum by kind, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }
}

/// What a model's tokens cost: nano-dollars for one token of each kind. One nano-dollar a token is 0.001 dollars a
/// million.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Fresh input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to it.
    pub cache_write: u64,
}

impl Price {
    /// What `usage` costs, saturating.
    #[must_use]
    pub fn cost(&self, usage: Usage) -> NanoUsd {
        let parts = [
            usage.input.saturating_mul(self.input),
            usage.output.saturating_mul(self.output),
            usage.cache_read.saturating_mul(self.cache_read),
            usage.cache_write.saturating_mul(self.cache_write),
        ];
        NanoUsd(parts.into_iter().fold(0, u64::saturating_add))
    }
}

/// What a model says while it answers, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// More thinking.
    Thinking(String),
    /// The signature of the thinking block that ends here.
    ThinkingSignature(String),
    /// A whole tool call.
    ToolCall(ToolCall),
    /// Usage of this call so far; the last one counts.
    Usage(Usage),
    /// The end; nothing follows.
    Stop(StopReason),
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// The model's name within its provider.
    pub model: String,
    /// The system prompt.
    pub system: String,
    /// The transcript, oldest first.
    pub messages: Vec<Message>,
    /// Tools it may call; none: the request carries no tools array.
    pub tools: Vec<ToolSpec>,
}
