//! What a request's words mean: which session, which directory, which model, which peer.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clankers_auth::{Args, Command, Grant, Held};
use clankers_models::{Model, ModelError, ModelErrorKind};
use clankers_protocol::{
    CidDigest, NodeId, SessionId,
    limits::SELECTOR_BYTES,
    refusal::{Refusal, RefusalCode},
    request::{peers::PeerRecord, session::SessionInfo},
    text,
};
use clankers_store::{Parting, PeerError, Store, StoreError};

use crate::{door::Caller, hall::Hall, nearest::nearest, service::Answer, sessions::SessionError, trouble};

/// Characters of a caller's word that are said back.
const WORD_CHARS: usize = 80;
/// Peers that claim a name, as far as they are named (count).
const CLAIMING: usize = 3;

fn word(dirty: &str) -> String {
    text::line(dirty, WORD_CHARS)
}

/// Whether a chain's principal reaches a session: the owner reaches all, anybody else their own, and those that the
/// node's own link of the chain names. What lower links say widens nothing: its holder writes them.
pub(crate) fn reaches(held: &Held, session: &SessionInfo) -> bool {
    held.is_owner() || session.principal == held.principal() || held.reaches(&session.id.to_string())
}

/// The session that a selector means and leave to do something with it, under one chain: the one with this leaf, or
/// the first that has both.
pub(crate) async fn session_under(
    caller: &Caller,
    leaf: Option<CidDigest>,
    command: Command,
    selector: &str,
) -> Answer<(Grant, SessionId)> {
    let mut refusal = None;
    for held in caller.held(leaf) {
        let found = match session(caller, &held, selector).await {
            Ok(found) => found,
            Err(not_there) => {
                refusal = refusal.or(Some(not_there));
                continue;
            }
        };
        let args = Args { session: Some(found.id.to_string()), ..Args::default() };
        match caller.authorize(Some(held.leaf()), command, &args) {
            Ok(grant) => return Ok((grant, found.id)),
            Err(denied) => refusal = Some(denied),
        }
    }
    match refusal {
        Some(refusal) => Err(refusal),
        // Nothing was shown that could allow anything.
        None => Err(match caller.authorize(leaf, command, &Args::default()) {
            Err(refusal) => refusal,
            Ok(_) => Box::new(caller.refuse(RefusalCode::Unauthorized, "show the token again")),
        }),
    }
}

/// The session that a selector means, among those that the caller reaches: to anybody else it is not there.
pub(crate) async fn session(caller: &Caller, held: &Held, selector: &str) -> Answer<SessionInfo> {
    let listed = caller.hall.sessions.list(&caller.hall, false).await;
    let all = listed.map_err(|error: SessionError| trouble::session(caller, &error))?;
    // The owner's `last` is the owner's own: somebody else's words must not slip under the owner's rights.
    let principal = held.principal();
    let mut found = all.iter().filter(|info| reaches(held, info)).filter(|info| match selector {
        "last" => info.principal == principal,
        _ => selector.len() >= 4 && info.id.to_string().starts_with(selector),
    });
    match (found.next(), found.next()) {
        (Some(info), None) => Ok(info.clone()),
        // The list's order is the latest first.
        (Some(info), Some(_)) if selector == "last" => Ok(info.clone()),
        (Some(_), Some(_)) => {
            let words = format!("several sessions begin with '{}'", word(selector));
            let refusal = caller.refuse(RefusalCode::Ambiguous, &words);
            Err(Box::new(refusal.hint("write more of the id").hint(listing(held))))
        }
        (None, _) => {
            let words = format!("there is no session '{}'", word(selector));
            let refusal = caller.refuse(RefusalCode::NotFound, &words);
            Err(Box::new(refusal.hint(listing(held)).hint("a prefix has at least four digits")))
        }
    }
}

/// Where the caller finds the sessions that it reaches.
fn listing(held: &Held) -> &'static str {
    if held.is_owner() { "'clankers ps' lists them" } else { "'clankers ps --remote PEER' lists yours" }
}

/// The directory that a new session works in: the node's workspace unless the caller chose another. Only the
/// owner chooses freely; others need a chain that lets them create sessions there, beneath the workspace.
pub(crate) async fn directory(
    caller: &Caller,
    held: &Held,
    session: SessionId,
    cwd: Option<&str>,
) -> Answer<String> {
    let workspace = caller.hall.workspace.clone();
    let Some(cwd) = cwd else {
        return workspace.map(|w| w.display().to_string()).ok_or_else(|| {
            let refusal = caller.refuse(RefusalCode::NoWorkspace, "this node offers no workspace");
            Box::new(refusal.hint("start it in a project's directory, or set 'workspace' in its settings"))
        });
    };
    if held.is_owner() {
        let real = real_directory(PathBuf::from(cwd)).await;
        if !Path::new(cwd).is_absolute() || real.is_none() {
            let words = format!("'{}' is not a directory here", text::line(cwd, SELECTOR_BYTES));
            return Err(Box::new(caller.refuse(RefusalCode::Invalid, &words)));
        }
        return Ok(cwd.to_owned());
    }
    // To everybody else, what is outside of the workspace is not there at all.
    let id = workspace_id(workspace.as_deref()).await;
    let inside = match workspace {
        Some(workspace) => beneath(workspace, cwd).await,
        None => None,
    };
    let named = inside.as_ref().map_or(".", |(relative, _)| relative.as_str());
    let args = Args {
        session: Some(session.to_string()),
        workspace: id,
        path: Some(named.to_owned()),
        ..Args::default()
    };
    // Under the same chain: two narrow ones do not add up to a wide one.
    caller.authorize(Some(held.leaf()), Command::SessionCreate, &args)?;
    inside.map(|(_, real)| real.display().to_string()).ok_or_else(|| {
        let words = "sessions of peers work beneath this node's workspace only";
        Box::new(caller.refuse(RefusalCode::NoWorkspace, words))
    })
}

/// Whether a session's directory is still one that this chain may work in: for others than the owner it lies beneath the
/// workspace that is offered now, unless the node's own link names the session.
pub(crate) async fn still_offered(caller: &Caller, held: &Held, id: SessionId, cwd: &str) -> Answer<()> {
    if held.is_owner() || held.reaches(&id.to_string()) {
        return Ok(());
    }
    let inside = match caller.hall.workspace.clone() {
        Some(workspace) => beneath(workspace, cwd).await,
        None => None,
    };
    match inside {
        Some(_) => Ok(()),
        None => {
            let words = "this session worked in a directory that the node does not offer any more";
            Err(Box::new(caller.refuse(RefusalCode::NoWorkspace, words).hint("begin a new session")))
        }
    }
}

/// How policies name the workspace at this path, when there is one.
pub(crate) async fn workspace_id(path: Option<&Path>) -> Option<String> {
    let path = path?.to_owned();
    tokio::task::spawn_blocking(move || clankers_tools::Workspace::id_at(&path)).await.ok().flatten()
}

async fn real_directory(path: PathBuf) -> Option<PathBuf> {
    let look = move || path.canonicalize().ok().filter(|real| real.is_dir());
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

/// A directory beneath the workspace, relative to it and as it really is.
async fn beneath(workspace: PathBuf, cwd: &str) -> Option<(String, PathBuf)> {
    let asked = workspace.join(cwd);
    let workspace = real_directory(workspace).await?;
    let real = real_directory(asked).await?;
    let relative = real.strip_prefix(&workspace).ok()?.to_str()?;
    let relative = if relative.is_empty() { "." } else { relative }.to_owned();
    Some((relative, real))
}

/// The model that was asked for, or the default. Others than the owner choose among the default and the models
/// that the settings name: the owner's keys pay for it. When nothing is configured, a model server on this machine is
/// looked for, unless the prompt is `direct` and needs none.
pub(crate) async fn model(caller: &Caller, held: &Held, wanted: Option<&str>, direct: bool) -> Answer<Model> {
    let models = &caller.hall.context.models;
    let default = match wanted.is_some() || direct {
        true => models.default_name(),
        false => models.default_name_asking().await,
    };
    let name = wanted.unwrap_or(&default);
    let model = models.resolve(name).map_err(|error| no_model(caller, &error))?;
    if held.is_owner() {
        return Ok(model);
    }
    // By their full names: the default may be written in short.
    let own = models.resolve(&default).map(|model| model.full_name().to_owned());
    let mut offered: Vec<String> = models.list().into_iter().filter(|m| m.usable).map(|m| m.name).collect();
    offered.extend(own);
    offered.sort();
    offered.dedup();
    if offered.iter().any(|full| full == model.full_name()) {
        return Ok(model);
    }
    let words = format!("this node offers no model '{}'", word(name));
    let hint = format!("it offers: {}", offered.join(", "));
    Err(Box::new(caller.refuse(RefusalCode::NoModel, &words).hint(&hint)))
}

fn no_model(caller: &Caller, error: &ModelError) -> Box<Refusal> {
    let code = match error.kind {
        ModelErrorKind::Credentials => RefusalCode::NoCredentials,
        _ => RefusalCode::NoModel,
    };
    let hint = "where the agent runs: 'clankers auth set-key PROVIDER', or set its variable; 'clankers models' says more";
    let refusal = caller.refuse(code, &error.to_string());
    Box::new(if code == RefusalCode::NoCredentials { refusal.hint(hint) } else { refusal })
}

/// A refusal that names the nearest tool.
pub(crate) fn unknown_tool(caller: &Caller, tool: &str) -> Box<Refusal> {
    let names: Vec<&str> = clankers_tools::specs().iter().map(|spec| spec.name).collect();
    let refusal = caller.refuse(RefusalCode::Invalid, &format!("there is no tool '{}'", word(tool)));
    Box::new(match nearest(tool, names.iter().copied()) {
        Some(near) => refusal.hint(&format!("did you mean '{near}'?")),
        None => refusal.hint(&format!("the tools are: {}", names.join(", "))),
    })
}

/// The id of the peer that a name means: an id, a ticket, a name in the book, a prefix of one on the network.
pub(crate) async fn peer(caller: &Caller, name: &str) -> Answer<NodeId> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    if let Ok(ticket) = clankers_mesh::parse_ticket(name) {
        return Ok(ticket.id);
    }
    match known_peer(caller, name).await? {
        Ok(peer) => Ok(peer.id),
        Err(error @ PeerError::NotFound(_)) => {
            let discovery = caller.hall.mesh.get().and_then(|mesh| mesh.discovery());
            let found = discovery.and_then(|d| d.resolve(name).ok()).map(|found| found.id);
            match found.or_else(|| is_self(caller, name).then_some(caller.hall.id)) {
                Some(id) => Ok(id),
                None => Err(unknown(caller, name, &error).await),
            }
        }
        Err(error) => Err(trouble::peer(caller, &error)),
    }
}

/// Whether the owner means this node: by the word for it, or by the label of its settings when nobody else has it.
pub(crate) fn is_self(caller: &Caller, name: &str) -> bool {
    let own = caller.hall.settings.label.as_ref();
    caller.is_owner() && (name == "local" || own.is_some_and(|own| own.to_lowercase() == name.to_lowercase()))
}

/// The refusal when a name means nobody. To the owner it says who claims the name, and how their word is taken for it.
pub(crate) async fn unknown(caller: &Caller, name: &str, error: &PeerError) -> Box<Refusal> {
    let mut claiming = if caller.is_owner() { claiming(caller, name).await } else { Vec::new() };
    claiming.truncate(CLAIMING);
    let said = word(name);
    let hint = match claiming.as_slice() {
        [] => return trouble::peer(caller, error),
        [one] => {
            let id = one.short();
            format!(
                "{id} claims that name, which is no proof: 'clankers rpc peers label {id} {said}' names it so, \
                 'clankers rpc peers trust {id}' believes what it claims"
            )
        }
        several => {
            let ids: Vec<String> = several.iter().map(|id| id.short()).collect();
            format!(
                "several claim that name, which is no proof ({}): 'clankers rpc peers label ID {said}' names one so",
                ids.join(", ")
            )
        }
    };
    Box::new(caller.refuse(RefusalCode::NotFound, &error.to_string()).hint(&hint))
}

/// Who calls itself so, in the book or on the local network, and is called nothing by the owner.
async fn claiming(caller: &Caller, name: &str) -> Vec<NodeId> {
    let listed = caller.hall.with_store(|store| store.peers().list()).await;
    let book = listed.ok().and_then(Result::ok).unwrap_or_default();
    let named: Vec<NodeId> = book.iter().filter(|peer| peer.label.is_some()).map(|peer| peer.id).collect();
    let discovery = caller.hall.mesh.get().and_then(|mesh| mesh.discovery());
    let heard = discovery.map(|discovery| discovery.list()).unwrap_or_default();
    let claims = book.into_iter().map(|peer| (peer.id, peer.claimed));
    let claims = claims.chain(heard.into_iter().map(|found| (found.id, found.label)));
    let says = |claimed: &Option<String>| {
        claimed.as_ref().is_some_and(|claimed| claimed.to_lowercase() == name.to_lowercase())
    };
    let mut ids: Vec<NodeId> = claims.filter(|(_, claimed)| says(claimed)).map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    ids.retain(|id| !named.contains(id) && *id != caller.hall.id);
    ids
}

/// Whom a name means among those that this node knows: those in the book, and the members of its teams. The owner's own
/// names come first; a label that somebody claims means them only while exactly one does, trusted peer or member. Members who
/// are away are meant when nobody else is.
pub(crate) async fn known_peer(caller: &Caller, name: &str) -> Answer<Result<PeerRecord, PeerError>> {
    let hall = &caller.hall;
    let mut members = Vec::new();
    for team in hall.teams.all() {
        let view = team.ask(crate::teams::Command::View).await.unwrap_or_default();
        members.extend(view.members.into_iter().map(|member| {
            // One that was not heard since the start still has the label of before: nobody else gets it meanwhile.
            let label = member.record.map(|record| record.label);
            (team.id, member.id, label)
        }));
    }
    let (wanted, judge) = (name.to_owned(), Arc::clone(hall));
    let resolved = hall
        .with_store(move |store| {
            let labelled = members.into_iter().map(|(team, id, label)| {
                let label = label.unwrap_or_else(|| {
                    let kept = store.teams().member(team, id).ok().flatten();
                    kept.filter(|kept| kept.parting.is_none()).and_then(|kept| kept.label)
                });
                (id, label)
            });
            match store.peers().resolve_among(&wanted, &labelled.collect::<Vec<_>>()) {
                // Those who are there come first: nobody who is away makes their names unclear.
                Err(PeerError::NotFound(_)) => store.peers().resolve_among(&wanted, &away(&judge, store)?),
                done => done,
            }
        })
        .await;
    resolved.map_err(|error| trouble::store(caller, &error))
}

/// Members who are remembered, whether or not their team runs here or they were heard since: each with its label of before.
fn away(hall: &Hall, store: &Store) -> Result<Vec<(NodeId, Option<String>)>, StoreError> {
    let mut away = Vec::new();
    for team in store.teams().list()? {
        let judged = |id, chain: &Vec<u8>| hall.judge_member(team.id, id, chain).is_ok();
        let members = store.teams().members(team.id)?.into_iter().filter(|(id, row)| {
            *id != hall.id
                && row.parting != Some(Parting::Removed)
                && row.chains.iter().any(|chain| judged(*id, chain))
        });
        away.extend(members.map(|(id, row)| (id, row.label)));
    }
    Ok(away)
}
