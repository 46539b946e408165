//! The commands, one file for each family.

pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod daemon;
mod logs;
pub(crate) mod models;
mod output_file;
pub(crate) mod peers;
mod piped;
pub(crate) mod prompt;
pub(crate) mod ps;
pub(crate) mod rpc;
pub(crate) mod session;
pub(crate) mod token;
mod transcript;
pub(crate) mod trust;
pub(crate) mod wait;
