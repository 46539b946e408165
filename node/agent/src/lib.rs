//! The turn of an agent as a pure machine: no clock, no task, no socket, no file.
//!
//! A [`Turn`] takes [`Input`]s (the prompt, what the model says, how tools ended, an interruption) and answers with
//! [`Output`]s (call the model, call a tool, this is live, this is to be stored). The hall executes them. What it
//! promises, whatever model and tools do:
//!
//! - every tool call that was announced gets exactly one result, before the model is asked again
//! - one model call at a time; read-only tools beside each other, others one by one, in order
//! - exactly one [`Output::Finished`], last
//! - the transcript is always one that a provider accepts, and short enough for the model as far as that is known:
//!   its older part is [compacted](compaction) into a summary that the model writes
//!
//! [`transcript`] makes the same transcript again from a session's log, also after a crash.

pub mod compaction;
pub mod context;
pub mod limits;
pub mod transcript;
pub mod turn;

pub use context::{Carried, Measured};
pub use transcript::{Rebuilt, rebuild};
pub use turn::{Failure, Finished, Input, Interrupt, Output, Turn, TurnConfig, TurnLimits};
