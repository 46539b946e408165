//! The hall of a clankers node: the daemon, the door, sessions, services.
//!
//! A request's way through it, one file for each step: [`connection`] judges Hello and reads the request,
//! [`service`] has one file for each family, each asks the [`door`], and what is to be done with a session is
//! done by its one writer, the actor in [`session`]. What every judgement rests on is in [`authority`]. [`daemon`] is a hall with a network and a store; a command
//! line without a node opens the same [`Hall`] in its own process.

mod authority;
pub mod clock;
mod connection;
mod context;
mod crowd;
pub mod daemon;
mod denials;
mod door;
pub mod hall;
pub mod limits;
mod links;
pub mod nearest;
mod select;
mod service;
mod session;
mod sessions;
pub mod settings;
mod surroundings;
mod system_prompt;
mod teams;
mod transfers;
mod trouble;
pub mod workspace;

/// Instructions, skills, agents and trust, for whoever manages them.
pub use clankers_context as context_files;
/// The way to the network, for whoever dials.
pub use clankers_mesh as mesh;
/// The models' settings, for whoever starts a hall.
pub use clankers_models as models;
/// The home and what is in it, for whoever starts or finds a node.
pub use clankers_store as store;
pub use hall::{Hall, HallConfig, HallError, SOFTWARE};
