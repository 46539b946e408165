//! The commands, one file for each family.

pub(crate) mod daemon;
mod logs;
pub(crate) mod peers;
pub(crate) mod prompt;
pub(crate) mod ps;
pub(crate) mod rpc;
pub(crate) mod token;
mod transcript;
