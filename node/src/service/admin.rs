//! What only an owner asks.

use std::{sync::PoisonError, time::Duration};

use clankers_auth::{Args, Command};
use clankers_protocol::{
    message::Ext,
    request::admin::{Admin, AdminCommand, AdminDone},
};

use super::Answer;
use crate::{door::Caller, limits::DRAIN};

pub(super) async fn run(caller: &Caller, request: Admin) -> Answer<AdminDone> {
    let AdminCommand::Stop { drain_ms } = request.command;
    caller.authorize(request.leaf, Command::AdminStop, &Args::default())?;
    let hall = &caller.hall;
    let done = AdminDone { pid: std::process::id(), prompts: hall.sessions.prompts(), ext: Ext::default() };
    *hall.drain.lock().unwrap_or_else(PoisonError::into_inner) = Duration::from_millis(drain_ms).min(DRAIN);
    tracing::info!(peer = %caller.remote, "asked to stop");
    hall.stop.cancel();
    Ok(done)
}
