//! The lab of the whole-system tests and the benches: real processes of the real binary, each in a home of its own.
//!
//! - [`home`]: a machine of one's own: temporary home, workspace, settings, clean environment
//! - [`cli`]: one command line: run to its end, or watched line by line as it prints
//! - [`node`]: a running node: started, asked, stopped, killed, started again on the same home
//! - [`script`]: what the scripted model says
//! - [`model`]: an OpenAI-compatible server that answers well or badly
//! - [`pacer`]: one that speaks at a pace and says when
//! - [`hostile`]: a peer over real QUIC that says whatever it likes, and [`forge`], the tokens it shows
//! - [`impostor`]: the same the other way round: what is dialed, and calls itself a node
//! - [`owner`]: a node's owner as a client within this process
//! - [`process`] and [`capture`]: children that never outlive the test, and what they printed when
//! - [`proxy`]: a wire to a node that can be cut
//! - [`wait`]: waiting for events, always with a deadline
//! - [`guide`]: a guide in Markdown, run as it stands
//! - [`baseline`]: echo over raw iroh, raw quinn and TCP: what the benches measure against
//! - [`fuzz`]: a function for each decoder that takes any bytes, and [`changes`], which makes them
//! - [`stats`] and [`load`]: medians, percentiles, and how busy the machine is
//!
//! The suites are `[[test]]` targets of the package `clankers`, so that the binary is built for them; its path is
//! the one thing that they must tell: `NodeHome::new(env!("CARGO_BIN_EXE_clankers"))`.
//!
//! Everything here panics with the whole story when it cannot do what a test asks: that is how a lab reports.

// A lab is test code: what goes wrong in it must fail the test at once, with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod baseline;
pub mod capture;
pub mod changes;
pub mod cli;
pub mod forge;
pub mod fuzz;
pub mod guide;
pub mod home;
pub mod hostile;
pub mod impostor;
pub mod limits;
pub mod load;
pub mod model;
pub mod node;
pub mod owner;
pub mod pacer;
pub mod process;
pub mod proxy;
pub mod script;
pub mod stats;
pub mod wait;

pub use cli::{Cli, Ran, Running};
pub use home::NodeHome;
pub use node::{Node, Start};
pub use script::{Script, Turn};
