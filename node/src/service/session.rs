//! Sessions: list, create, kill.

use clankers_auth::{Args, Command, Held};
use clankers_protocol::{
    message::Ext,
    request::session::{
        SessionCreate, SessionCreated, SessionKill, SessionKilled, SessionList, SessionListReply,
    },
};

use super::{Answer, page};
use crate::{door::Caller, select, sessions::Sessions, trouble};

pub(super) async fn list(caller: &Caller, request: SessionList) -> Answer<SessionListReply> {
    let grant = caller.authorize(request.leaf, Command::SessionList, &Args::default())?;
    let all = caller.hall.sessions.list(&caller.hall, request.archived).await;
    let mut sessions = all.map_err(|error| trouble::session(caller, &error))?;
    sessions.retain(|info| select::reaches(&grant.held, info));
    sessions.sort_by_key(|info| std::cmp::Reverse((info.created, info.id)));
    let (sessions, more) = page(sessions, request.skip);
    Ok(SessionListReply { sessions, more, ext: Ext::default() })
}

pub(super) async fn create(caller: &Caller, request: SessionCreate) -> Answer<SessionCreated> {
    let hall = &caller.hall;
    let id = Sessions::new_id().map_err(|error| trouble::session(caller, &error))?;
    let args = Args {
        session: Some(id.to_string()),
        workspace: select::workspace_id(hall.workspace.as_deref()).await,
        path: Some(".".into()),
        ..Args::default()
    };
    let first = request.leaf.or_else(|| caller.held(None).first().map(Held::leaf));
    let held = first.and_then(|leaf| caller.held(Some(leaf)).pop());
    let held = match held {
        // Another directory than the workspace is asked for with its own path, below.
        Some(held) if request.cwd.is_some() && !held.is_owner() => held,
        _ => caller.authorize(request.leaf, Command::SessionCreate, &args)?.held,
    };
    let cwd = select::directory(caller, &held, id, request.cwd.as_deref()).await?;
    let model = select::model(caller, &held, request.model.as_deref(), false).await?.full_name().to_owned();
    let (own, principal) = (caller.clone(), held.principal());
    let made =
        caller.to_the_end(async move { own.hall.sessions.create(id, principal, cwd, model).await }).await;
    let session = made.map_err(|error| trouble::session(caller, &error))?;
    Ok(SessionCreated { session: session.id, ext: Ext::default() })
}

pub(super) async fn kill(caller: &Caller, request: SessionKill) -> Answer<SessionKilled> {
    let (_, id) = select::session_under(caller, request.leaf, Command::SessionKill, &request.session).await?;
    let own = caller.clone();
    let killed = caller.to_the_end(async move { own.hall.sessions.kill(&own.hall, id).await }).await;
    let was_running = killed.map_err(|error| trouble::session(caller, &error))?;
    Ok(SessionKilled { session: id, was_running, ext: Ext::default() })
}
