//! `mesh`: the whole mesh as this machine's node sees it.

use std::time::Duration;

use clankers_client::Client;
use clankers_node::store::Home;
use clankers_protocol::{
    message::Ext,
    refusal::ExitKind,
    request::{
        presence::{MeshNode, MeshView, MeshViewReply},
        session::SessionState,
        team::{MemberNote, MemberState},
    },
    text,
};
use serde_json::{Value, json};

use super::{
    peers, ps,
    team::show::{self as people, label, load, state, way},
};
use crate::{
    args::MeshArgs,
    error::{CliError, Outcome},
    local::{Local, Machine},
    output::{self, ago},
    signals::Interrupts,
};

/// How much longer than the members the own node may take to answer (time).
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a watched view is looked at again (time).
const LOOK: Duration = Duration::from_secs(1);
/// Characters of a session's title.
const TITLE_CHARS: usize = 60;

pub(crate) async fn run(home: Home, args: MeshArgs, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    let local = machine.node_or_hall().await?;
    if local.in_process() {
        anstream::eprintln!(
            "! no node runs here, so nobody is asked: start it with 'clankers daemon start -d'"
        );
    }
    if args.watch {
        return watch(&machine, local, args.timeout, json).await;
    }
    let done = match noted(&local.client, args.timeout).await {
        Ok(nodes) => show(&nodes, json),
        Err(error) => Err(error),
    };
    local.close().await;
    done
}

/// A node, with what its record has no place for.
type Noted = (MeshNode, MemberNote);

/// All nodes.
pub(super) async fn view(client: &Client, limit: Duration) -> Result<Vec<MeshNode>, CliError> {
    Ok(noted(client, limit).await?.into_iter().map(|(node, _)| node).collect())
}

/// The same, page by page; their sessions are asked for within `limit`.
async fn noted(client: &Client, limit: Duration) -> Result<Vec<Noted>, CliError> {
    let mut nodes = Vec::new();
    loop {
        let ask_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = MeshView { leaf: None, skip: nodes.len() as u64, ask_ms, ext: Ext::default() };
        let reply: MeshViewReply = client.ask_within(&request, limit + PATIENCE).await?;
        let ended = reply.more == 0 || reply.nodes.is_empty();
        let notes = (0..).map(|place| MemberNote::read(&reply.ext, place));
        nodes.extend(reply.nodes.into_iter().zip(notes));
        if ended {
            return Ok(nodes);
        }
    }
}

/// Shows the view again whenever it says something else. A node that stops is waited for.
async fn watch(machine: &Machine, mut local: Local, limit: Duration, json: bool) -> Outcome {
    let mut interrupts = Interrupts::new().map_err(CliError::machine)?;
    let mut shown = String::new();
    let done = loop {
        let nodes = tokio::select! {
            nodes = noted(&local.client, limit) => nodes,
            () = interrupts.next() => break Err(CliError::said(ExitKind::Interrupted)),
        };
        let gone = match nodes {
            Ok(nodes) => {
                if let Err(error) = news(&nodes, &mut shown, json) {
                    break Err(error);
                }
                // It is a look at what is remembered, and in the way of a node that starts.
                local.in_process()
            }
            Err(error) if error.kind == ExitKind::Unreachable => {
                anstream::eprintln!("! this machine's node has gone; it is watched again when it is back");
                true
            }
            Err(error) => break Err(error),
        };
        if gone {
            local.close().await;
            local = tokio::select! {
                again = next_node(machine) => again?,
                () = output::reader_gone() => return Err(CliError::unread()),
                () = interrupts.next() => return Err(CliError::said(ExitKind::Interrupted)),
            };
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = output::reader_gone() => break Err(CliError::unread()),
            () = interrupts.next() => break Err(CliError::said(ExitKind::Interrupted)),
        }
    };
    local.close().await;
    done
}

/// Waits until a node runs here, and answers.
async fn next_node(machine: &Machine) -> Result<Local, CliError> {
    loop {
        match machine.node().await {
            Err(error) if error.kind == ExitKind::Unreachable => tokio::time::sleep(LOOK).await,
            node => return node,
        }
    }
}

/// Shows what is not what was shown last. Times and round trips change all the time: they alone are no news.
fn news(nodes: &[Noted], shown: &mut String, json: bool) -> Outcome {
    let says: Vec<_> = nodes.iter().map(gist).collect();
    let says = format!("{says:?}");
    if says != *shown {
        if !shown.is_empty() && !json {
            output::lines([""])?;
        }
        *shown = says;
        show(nodes, json)?;
    }
    Ok(())
}

fn gist((node, note): &Noted) -> impl std::fmt::Debug + use<> {
    let sessions: Vec<_> =
        node.sessions.iter().flatten().map(|session| (session.id, session.state, session.head_seq)).collect();
    let peer = &node.peer;
    let names = (peer.id, peer.label.clone(), peer.claimed.clone(), peer.version.clone());
    (names, node.teams.clone(), (node.state, note.goodbye), node.path.clone(), node.load, sessions)
}

fn show(nodes: &[Noted], json: bool) -> Outcome {
    if json {
        let all = nodes.iter().map(|(node, note)| {
            let mut value = value(node);
            if let Some(object) = value.as_object_mut() {
                object.insert("goodbye".into(), note.goodbye.map(people::goodbye).into());
            }
            value
        });
        return Ok(output::json(&Value::Array(all.collect()))?);
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 9]> = nodes
        .iter()
        .map(|(node, note)| {
            let peer = &node.peer;
            let label = label(peer.label.as_deref(), peer.claimed.as_deref());
            let how = if node.me { "this node".to_owned() } else { peer.via.join(",") };
            let seen = match node.me {
                true => String::new(),
                false => peer.last_seen.map(|at| ago(at, now)).unwrap_or_default(),
            };
            [
                label,
                peer.id.short(),
                node.teams.join(","),
                standing(node, *note).to_owned(),
                way(node.path.as_deref(), node.rtt_us),
                load(node.load),
                how,
                peer.version.clone().unwrap_or_default(),
                seen,
            ]
        })
        .collect();
    output::table(["LABEL", "ID", "TEAM", "STATE", "PATH", "LOAD", "KNOWN BY", "VERSION", "SEEN"], &rows)?;
    let sessions: Vec<String> = nodes.iter().flat_map(|(node, _)| sessions(node)).collect();
    if !sessions.is_empty() {
        output::lines(["", "sessions you may see:"].into_iter().chain(sessions.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// How a node is, in a word; what answers without a node running here is no node.
fn standing(node: &MeshNode, note: MemberNote) -> &'static str {
    match node.state {
        Some(MemberState::Unknown) if node.me => "not running",
        other => other.map(|state| people::standing(state, note.goodbye)).unwrap_or_default(),
    }
}

fn sessions(node: &MeshNode) -> Vec<String> {
    let label = label(node.peer.label.as_deref(), node.peer.claimed.as_deref());
    let whose = if label.is_empty() { node.peer.id.short() } else { label };
    let line = |session: &clankers_protocol::request::session::SessionInfo| {
        let mark = if session.state == SessionState::Running { "▶" } else { " " };
        let title = text::line(&session.title, TITLE_CHARS);
        format!("{mark} {}  {}  {title}", text::line(&whose, TITLE_CHARS), session.id.short())
    };
    node.sessions.iter().flatten().map(line).collect()
}

pub(super) fn value(node: &MeshNode) -> Value {
    let mut value = peers::value(&node.peer);
    if let Some(object) = value.as_object_mut() {
        let sessions = node.sessions.as_ref().map(|list| list.iter().map(ps::value).collect::<Vec<_>>());
        object.insert("me".into(), node.me.into());
        object.insert("teams".into(), node.teams.clone().into());
        object.insert("state".into(), node.state.map(state).into());
        object.insert("path".into(), node.path.clone().into());
        object.insert("rtt_us".into(), node.rtt_us.into());
        let load = node.load.map(|load| json!({"sessions": load.sessions, "running": load.running}));
        object.insert("load".into(), load.into());
        object.insert("sessions".into(), sessions.into());
    }
    value
}
