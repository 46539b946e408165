//! Sessions: list, create, kill.

use clankers_auth::{Args, Command};
use clankers_protocol::{
    message::Ext,
    request::session::{
        SessionCreate, SessionCreated, SessionKill, SessionKilled, SessionList, SessionListReply,
    },
};

use super::{Answer, page};
use crate::{door::Caller, select, trouble};

pub(super) async fn list(caller: &Caller, request: SessionList) -> Answer<SessionListReply> {
    let grant = caller.authorize(request.leaf, Command::SessionList, &Args::default())?;
    let all = caller.hall.sessions.list(&caller.hall, request.archived).await;
    let mut sessions = all.map_err(|error| trouble::session(caller, &error))?;
    sessions.retain(|info| select::reaches(&grant, info.principal));
    sessions.sort_by_key(|info| std::cmp::Reverse((info.created, info.id)));
    let (sessions, more) = page(sessions, request.skip);
    Ok(SessionListReply { sessions, more, ext: Ext::default() })
}

pub(super) async fn create(caller: &Caller, request: SessionCreate) -> Answer<SessionCreated> {
    let grant = caller.authorize(request.leaf, Command::SessionCreate, &Args::default())?;
    let cwd = select::directory(caller, &grant, request.cwd.as_deref()).await?;
    let model = select::model(caller, &grant, request.model.as_deref())?.full_name().to_owned();
    let own = caller.clone();
    let made =
        caller.to_the_end(async move { own.hall.sessions.create(grant.principal, cwd, model).await }).await;
    let session = made.map_err(|error| trouble::session(caller, &error))?;
    Ok(SessionCreated { session: session.id, ext: Ext::default() })
}

pub(super) async fn kill(caller: &Caller, request: SessionKill) -> Answer<SessionKilled> {
    let grant = caller.authorize(request.leaf, Command::SessionKill, &Args::default())?;
    let id = select::session(caller, &grant, &request.session).await?;
    let own = caller.clone();
    let killed = caller.to_the_end(async move { own.hall.sessions.kill(&own.hall, id).await }).await;
    let was_running = killed.map_err(|error| trouble::session(caller, &error))?;
    Ok(SessionKilled { session: id, was_running, ext: Ext::default() })
}
