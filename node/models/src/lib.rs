//! Model providers: who answers a prompt.
//!
//! A [`Registry`] is made from [`ModelSettings`] and turns a name into a [`Model`]; [`Model::stream`] asks it and hands
//! its answer on piece by piece, through a bounded queue, as [`ModelEvent`]s.
//!
//! - [`anthropic`]: Anthropic's Messages API
//! - [`openai`]: OpenAI-compatible chat completions, also of the programs on this machine that are found by themselves
//! - [`scripted`]: a recording, for demos, tests and rehearsals; it is no language model and says so
//! - [`offline`]: tools in plain words, for a machine without any model; it never pretends to be one
//!
//! The first two share their client, time limits, retries and the parser of server-sent events (`http`), which is the
//! only part that opens a connection. What models cost and how much they read stands in `data/models.toml`.
//!
//! The shape of requests and events is the protocol's: [`clankers_protocol::conversation`].

pub mod anthropic;
mod catalogue;
pub mod error;
mod estimate;
mod http;
pub mod limits;
mod local;
mod model;
pub mod offline;
pub mod openai;
pub mod registry;
pub mod scripted;
pub mod secret;
pub mod settings;
mod sink;
#[cfg(test)]
mod testing;
mod wire;

pub use clankers_protocol::conversation::{ModelEvent, ModelRequest, Price};
pub use error::{ModelError, ModelErrorKind};
pub use model::Model;
pub use offline::WordsParser;
pub use registry::{ModelInfo, Registry};
pub use secret::Secret;
pub use settings::{AnthropicSettings, Credentials, LocalSettings, ModelSettings, OpenAiSettings, Timing};
pub use sink::{Notice, Notify};
