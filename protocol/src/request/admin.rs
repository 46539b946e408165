//! What only an owner asks.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{CidDigest, message::Ext};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminCommand {
    /// Stop: take nothing new, let turns end for so long, interrupt the rest. Needs `/clankers/admin/stop`.
    Stop {
        /// How long to wait for running turns (milliseconds).
        drain_ms: u64,
    },
}

/// An owner's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What.
    pub command: AdminCommand,
    /// What later versions add.
    pub ext: Ext,
}

/// It is done, or under way: a stopping node closes its connections when it has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminDone {
    /// Process id of the node.
    pub pid: u32,
    /// Prompts that were running or queued.
    pub prompts: u64,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    Admin = ADMIN;
    AdminDone = ADMIN_DONE;
}
