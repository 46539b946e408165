//! What every peer of a node uses: dial, say Hello, ask.
//!
//! The command line, a teammate's node and later the TUI all talk to a node through [`Client`]. A connection
//! is kept and shared: one [`Client`] serves any number of requests at a time, each on a stream of its own.
//! Hello and the first request leave in one flight, so a cold request costs two round trips in all.
//!
//! - [`run`]: the key and the chains of one run of a command line
//! - [`client`]: a connection that said Hello, and requests on it
//! - [`prompt`]: a prompt and the stream of what comes of it
//! - [`authority`]: revocations exchanged, grants renewed, tokens handed over when nodes meet
//! - [`attach`]: a session that is watched, over connections that come and go
//! - [`history`]: its older events, page by page
//! - [`transfer`]: files sent and got, resumed, verified, with a receipt
//! - [`error`]: everything that can go wrong on the way

pub mod attach;
pub mod authority;
pub mod client;
pub mod error;
pub mod history;
pub mod limits;
pub mod prompt;
pub mod run;
pub mod transfer;

pub use attach::{AttachStream, Ended, Failure, Way, Wish};
pub use client::{Client, Introduction};
pub use error::ClientError;
pub use history::{HistoryStream, Older};
pub use prompt::PromptStream;
pub use run::RunIdentity;
