//! Are you there, what are you, how are you?

use std::sync::{PoisonError, atomic::Ordering};

use clankers_auth::{Args, Command};
use clankers_protocol::{
    message::Ext,
    request::node::{Info, InfoReply, Ping, Pong, refused_to_ext},
};

use super::Answer;
use crate::{door::Caller, hall::SOFTWARE};

pub(super) fn ping(ping: Ping) -> Answer<Pong> {
    Ok(Pong { nonce: ping.nonce, ext: Ext::default() })
}

pub(super) async fn info(caller: &Caller, info: Info) -> Answer<InfoReply> {
    caller.authorize(info.leaf, Command::NodeInfo, &Args::default())?;
    let hall = &caller.hall;
    let mesh = hall.mesh.get();
    let by_code = hall.counters.by_code.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refused = refused_to_ext(&by_code.into_iter().collect::<Vec<_>>());
    Ok(InfoReply {
        id: hall.id,
        pid: std::process::id(),
        software: SOFTWARE.to_owned(),
        label: hall.settings.label.clone(),
        addrs: mesh.map(|m| m.addrs().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        relay: mesh.and_then(|m| m.relay_url()),
        ticket: mesh.map(|m| m.ticket()).unwrap_or_default(),
        uptime_ms: u64::try_from(hall.uptime().as_millis()).unwrap_or(u64::MAX),
        sessions: hall.sessions.count(hall).await,
        prompts: hall.sessions.prompts(),
        connections: hall.live_connections() as u64,
        refusals: hall.counters.refusals.load(Ordering::Relaxed),
        model: hall.context.models.default_name(),
        workspace: hall.workspace.as_ref().map(|w| w.display().to_string()),
        ext: Ext(vec![hall.sessions.load().to_ext(), refused]),
    })
}
