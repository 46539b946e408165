//! What every session of a node shares.

use clankers_models::Registry;
use clankers_store::Home;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use std::sync::Arc;

use crate::{authority::Authority, settings::Limits};

/// Shared by all sessions.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where everything is kept.
    pub(crate) home: Home,
    /// What every judgement rests on.
    pub(crate) authority: Arc<Authority>,
    /// Which models there are.
    pub(crate) models: Registry,
    /// What the node takes on.
    pub(crate) limits: Limits,
    /// Nothing new is begun.
    pub(crate) draining: CancellationToken,
    /// What runs is interrupted.
    pub(crate) halt: CancellationToken,
    /// All actors: who stops the node waits for them.
    pub(crate) tasks: TaskTracker,
}
