//! The commands, one file for each family.

pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod auth;
mod carry;
pub(crate) mod daemon;
mod discover;
mod exports;
mod get;
pub(crate) mod inbox;
mod logs;
pub(crate) mod mesh;
pub(crate) mod models;
mod output_file;
pub(crate) mod peers;
mod piped;
mod progress;
pub(crate) mod prompt;
pub(crate) mod ps;
pub(crate) mod rpc;
mod send;
pub(crate) mod session;
pub(crate) mod team;
pub(crate) mod token;
mod transcript;
mod transfers;
pub(crate) mod trust;
pub(crate) mod wait;
