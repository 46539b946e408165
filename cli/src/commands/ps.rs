//! `ps` and `session list`: sessions, newest first.

use clankers_client::Client;
use clankers_node::store::Home;
use clankers_protocol::{
    message::Ext,
    request::session::{SessionInfo, SessionList, SessionListReply},
};
use serde_json::{Value, json};

use crate::{
    args::PsArgs,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, ago, rfc3339},
    remote::{DIAL_TIMEOUT, Peer},
};

pub(crate) async fn run(home: Home, args: PsArgs, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    match args.remote {
        None => {
            let local = machine.node_or_hall().await?;
            let done = print(&local.client, args.all, json).await;
            local.close().await;
            done
        }
        Some(peer) => {
            let peer = Peer::reach(&machine, &peer, DIAL_TIMEOUT).await?;
            let done = print(&peer.client, args.all, json).await;
            peer.close().await;
            done.map_err(|error| error.about(&machine))
        }
    }
}

async fn print(client: &Client, archived: bool, json: bool) -> Outcome {
    let sessions = all(client, archived).await?;
    if json {
        return Ok(output::json(&Value::Array(sessions.iter().map(value).collect()))?);
    }
    if sessions.is_empty() {
        anstream::eprintln!("no sessions of yours yet: a prompt makes one");
        return Ok(());
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 5]> = sessions
        .iter()
        .map(|s| [s.id.short(), state(s).to_owned(), s.model.clone(), ago(s.created, now), s.title.clone()])
        .collect();
    output::table(["SESSION", "STATE", "MODEL", "CREATED", "TITLE"], &rows)?;
    Ok(())
}

/// Every session that may be seen, page by page.
pub(super) async fn all(client: &Client, archived: bool) -> Result<Vec<SessionInfo>, CliError> {
    let mut sessions = Vec::new();
    loop {
        let skip = sessions.len() as u64;
        let request = SessionList { leaf: None, skip, archived, ext: Ext::default() };
        let reply: SessionListReply = client.ask(&request).await?;
        let ended = reply.more == 0 || reply.sessions.is_empty();
        sessions.extend(reply.sessions);
        if ended {
            return Ok(sessions);
        }
    }
}

pub(super) fn state(info: &SessionInfo) -> &'static str {
    use clankers_protocol::request::session::SessionState;
    match (info.archived, info.state) {
        (true, _) => "archived",
        (_, SessionState::Idle) => "idle",
        (_, SessionState::Running) => "running",
        (_, SessionState::Busy) => "busy",
        (_, SessionState::Damaged) => "damaged",
    }
}

pub(super) fn value(info: &SessionInfo) -> Value {
    json!({
        "id": info.id,
        "title": info.title,
        "state": state(info),
        "model": info.model,
        "head_seq": info.head_seq,
        "attached": info.attached,
        "created": rfc3339(info.created),
        "principal": info.principal,
        "cwd": info.cwd,
    })
}
