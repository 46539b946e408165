//! Model providers: who answers a prompt.
//!
//! A [`Registry`] is made from [`ModelSettings`] and turns a name into a [`Model`]; [`Model::stream`] asks it and hands
//! its answer on piece by piece, through a bounded queue, as [`ModelEvent`]s.
//!
//! - [`openai`]: OpenAI-compatible chat completions, the only part that opens a connection
//! - [`scripted`]: a recording, for demos, tests and rehearsals; it is no language model and says so
//! - [`offline`]: tools in plain words, for a machine without any model; it never pretends to be one
//!
//! The shape of requests and events is the protocol's: [`clankers_protocol::conversation`].

pub mod error;
pub mod limits;
pub mod offline;
pub mod openai;
mod price;
pub mod registry;
pub mod scripted;
pub mod secret;
pub mod settings;
mod sink;
#[cfg(test)]
mod testing;

pub use clankers_protocol::conversation::{ModelEvent, ModelRequest, Price};
pub use error::{ModelError, ModelErrorKind};
pub use offline::WordsParser;
pub use registry::{Model, ModelInfo, Registry};
pub use secret::Secret;
pub use settings::{ModelSettings, OpenAiSettings, Timing};
