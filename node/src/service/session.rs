//! Sessions: list, create, kill.

use clankers_auth::{Args, Command, Grant};
use clankers_protocol::{
    NodeId, SessionId,
    limits::PAGE_ENTRIES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::session::{
        SessionCreate, SessionCreated, SessionKill, SessionKilled, SessionList, SessionListReply,
    },
};

use super::Answer;
use crate::{door::Caller, sessions::SessionError};

/// Whether the grant's principal reaches a session that `creator` made: the owner reaches all, a principal its
/// own, and others only where the chain lets it watch and type into that very session.
fn reaches(grant: &Grant, creator: NodeId, id: SessionId) -> bool {
    if grant.owner || creator == grant.principal {
        return true;
    }
    let args = Args { session: Some(id.to_string()), ..Args::default() };
    let now = crate::clock::now();
    // A chain that does not speak of sessions at all says nothing about other people's.
    grant.held.names_sessions()
        && grant.held.authorize(now, Command::Observe, &args).is_ok()
        && grant.held.authorize(now, Command::Drive, &args).is_ok()
}

pub(super) async fn list(caller: &Caller, request: SessionList) -> Answer<SessionListReply> {
    let grant = caller.authorize(request.leaf, Command::SessionList, &Args::default())?;
    let all = caller.hall.sessions.list(&caller.hall, request.archived).await;
    let all = all.map_err(|error| trouble(caller, &error))?;
    let mut sessions: Vec<_> =
        all.into_iter().filter(|info| reaches(&grant, info.principal, info.id)).collect();
    sessions.sort_by_key(|info| std::cmp::Reverse((info.created, info.id)));
    let more = sessions.len().saturating_sub(PAGE_ENTRIES) as u64;
    sessions.truncate(PAGE_ENTRIES);
    Ok(SessionListReply { sessions, more, ext: Ext::default() })
}

pub(super) async fn create(caller: &Caller, request: SessionCreate) -> Answer<SessionCreated> {
    let (grant, cwd) =
        super::prompt::place(caller, request.leaf, request.cwd.as_deref(), Command::SessionCreate)?;
    let model = super::prompt::model(caller, &grant, request.model.as_deref())?;
    let session = caller
        .hall
        .sessions
        .create(grant.principal, cwd, model.full_name().to_owned())
        .await
        .map_err(|error| trouble(caller, &error))?;
    Ok(SessionCreated { session: session.id, ext: Ext::default() })
}

pub(super) async fn kill(caller: &Caller, request: SessionKill) -> Answer<SessionKilled> {
    let grant = caller.authorize(request.leaf, Command::SessionKill, &Args::default())?;
    let id = find(caller, &grant, &request.session).await?;
    let was_running = caller.hall.sessions.kill(&caller.hall, id).await.map_err(|e| trouble(caller, &e))?;
    Ok(SessionKilled { session: id, was_running, ext: Ext::default() })
}

/// The session that a selector means, among those that the caller reaches: to anybody else it is not there.
pub(super) async fn find(caller: &Caller, grant: &Grant, selector: &str) -> Answer<SessionId> {
    let all = caller.hall.sessions.list(&caller.hall, false).await.map_err(|e| trouble(caller, &e))?;
    let mut found = all.iter().filter(|info| reaches(grant, info.principal, info.id)).filter(|info| {
        selector == "last" || selector.len() >= 4 && info.id.to_string().starts_with(selector)
    });
    match (found.next(), found.next()) {
        (Some(info), None) => Ok(info.id),
        (Some(info), Some(_)) if selector == "last" => Ok(info.id),
        (Some(_), Some(_)) => Err(Box::new(
            caller
                .refuse(RefusalCode::Ambiguous, &format!("several sessions begin with '{}'", clean(selector)))
                .hint("write more of the id; 'clankers ps' lists them"),
        )),
        (None, _) => Err(Box::new(
            caller
                .refuse(RefusalCode::NotFound, &format!("there is no session '{}'", clean(selector)))
                .hint("'clankers ps' lists them; a prefix has at least four digits"),
        )),
    }
}

fn clean(text: &str) -> String {
    clankers_protocol::text::line(text, 80)
}

pub(super) fn trouble(caller: &Caller, error: &SessionError) -> Box<Refusal> {
    let code = match error {
        SessionError::NotFound(_) => RefusalCode::NotFound,
        SessionError::TooMany(_) => RefusalCode::Busy,
        SessionError::Elsewhere(_) => RefusalCode::Busy,
        SessionError::Stopping => RefusalCode::Stopping,
        SessionError::Log(_) | SessionError::Store(_) | SessionError::Failed => RefusalCode::NodeTrouble,
    };
    Box::new(caller.refuse(code, &error.to_string()))
}
