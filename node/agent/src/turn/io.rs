//! What goes into a turn and what comes out of it.

use clankers_protocol::{
    NanoUsd, Timestamp,
    conversation::{Message, ModelEvent, ModelRequest, Price, ToolCall, ToolSpec, ToolStatus, Usage},
    event::{Delta, DeltaKind, Event, Outcome, SteerEvent},
};

use crate::{context::Carried, limits::MODEL_CALLS};

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
    /// What they cost in a call whose prompt has more than so many tokens, cached ones included, where that differs.
    pub long_price: Option<(u64, Price)>,
    /// The system prompt.
    pub system: String,
    /// Tools that are offered. Calls of others are passed on too: who may what is not decided here.
    pub tools: Vec<ToolSpec>,
    /// Limits.
    pub limits: TurnLimits,
    /// What the model takes in one request, its answer included (tokens). Beyond it the conversation is compacted;
    /// `None`: not known, so only when the provider says that a request is too long.
    pub window: Option<u64>,
    /// The conversation so far, every call answered.
    pub transcript: Vec<Message>,
    /// What belongs to it: from the turn before ([`crate::Turn::carried`]) or the log ([`crate::Rebuilt::carried`]).
    pub carried: Carried,
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
    /// The provider says that the request is longer than the model takes. The machine compacts once and asks again.
    ContextTooLong,
    /// The call was not made: a budget does not allow it.
    Limit,
    /// The call was not made: the prompter may not make it, or not any more.
    Denied,
    /// Everything else.
    Other,
}

impl Failure {
    /// Whether it says that no model worked, so that a call without words has no cost.
    pub(super) fn cost_nothing(self) -> bool {
        match self {
            Self::Credentials | Self::ContextTooLong | Self::Limit | Self::Denied => true,
            Self::Other => false,
        }
    }
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
    /// The model call was not made, or ended without [`ModelEvent::Stop`].
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
    /// A word from the side: heard when the current tools have ended, or instead of finishing. It is stored when it is
    /// heard; until then it is nobody's but its author's.
    Steer(SteerEvent),
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
    /// Steering words that nobody heard any more, oldest first. They are in no event.
    pub unheard: Vec<SteerEvent>,
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
    /// Too many steering words wait: these are not taken.
    SteerRefused(SteerEvent),
    /// Tell whoever watches. It is no part of the conversation.
    Notice {
        /// The words.
        text: String,
    },
    /// Send [`Input::Tick`] at this time.
    WakeAt(Timestamp),
    /// The end; nothing follows.
    Finished(Finished),
}
