//! What goes into a turn and what comes out of it.

use clankers_protocol::{
    NanoUsd, Timestamp,
    conversation::{Message, ModelEvent, ModelRequest, Price, ToolCall, ToolSpec, ToolStatus, Usage},
    event::{Delta, DeltaKind, Event, Outcome},
};

use crate::limits::MODEL_CALLS;

/// What a turn may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLimits {
    /// Model calls (count).
    pub max_model_calls: u32,
    /// Money; with an unknown price no call is made.
    pub max_cost: Option<NanoUsd>,
    /// When it must have ended.
    pub deadline: Option<Timestamp>,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self { max_model_calls: MODEL_CALLS, max_cost: None, deadline: None }
    }
}

/// What a turn starts from.
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// Begins every id that this turn makes: unique in the session, of `a-z A-Z 0-9 _ -`, such as `p17` for the prompt
    /// with seq 17. Messages are `p17-1`, `p17-2`, ...
    pub prefix: String,
    /// The model's name, as `provider/name`.
    pub model: String,
    /// What its tokens cost; `None`: not known.
    pub price: Option<Price>,
    /// The system prompt.
    pub system: String,
    /// Tools that are offered. Calls of others are passed on too: who may what is not decided here.
    pub tools: Vec<ToolSpec>,
    /// Limits.
    pub limits: TurnLimits,
    /// The conversation so far, every call answered.
    pub transcript: Vec<Message>,
}

/// Why a turn is interrupted from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Somebody cancelled it.
    Cancelled,
    /// Its time is up.
    TimedOut,
    /// The node stops.
    Shutdown,
}

/// Why a model call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Credentials are missing or refused.
    Credentials,
    /// Everything else.
    Other,
}

/// What happens to a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin. The prompt's event is stored already.
    Start {
        /// The prompter's words.
        prompt: String,
    },
    /// The model says something.
    Model(ModelEvent),
    /// The model call ended without [`ModelEvent::Stop`].
    ModelFailed {
        /// Why.
        failure: Failure,
        /// In words, with what to do next.
        message: String,
    },
    /// A tool call ended.
    ToolFinished {
        /// Which: the id in [`Output::CallTool`].
        call_id: String,
        /// How.
        status: ToolStatus,
        /// What the model is told.
        text: String,
    },
    /// A word from the side: heard when the current tools have ended, or instead of finishing.
    Steer {
        /// The words.
        text: String,
    },
    /// Stop now.
    Interrupt(Interrupt),
    /// Look at the clock.
    Tick,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// Why and what to do, when it did not complete.
    pub reason: Option<String>,
    /// Tokens of all model calls.
    pub usage: Usage,
    /// What they cost; `None` when a price or a usage is not known.
    pub cost: Option<NanoUsd>,
    /// Steering words that nobody heard any more.
    pub unheard: Vec<String>,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask the model; pass on what it says as [`Input::Model`], and a failure as [`Input::ModelFailed`].
    CallModel(ModelRequest),
    /// Drop the model call; what it still says is ignored.
    CancelModel,
    /// Ask the gate and run a tool; exactly one [`Input::ToolFinished`] is expected.
    CallTool {
        /// The call; its id is unique in the session.
        call: ToolCall,
        /// Whether others may run beside it.
        read_only: bool,
    },
    /// Stop all running tools; their results are ignored.
    CancelTools,
    /// Show this.
    Live(DeltaKind, Delta),
    /// Store this, then show it.
    Durable(Event),
    /// Steering words entered the transcript here.
    Steered {
        /// The words.
        text: String,
    },
    /// Too many steering words wait: these are not taken.
    SteerRefused {
        /// The words.
        text: String,
    },
    /// Send [`Input::Tick`] at this time.
    WakeAt(Timestamp),
    /// The end; nothing follows.
    Finished(Finished),
}
