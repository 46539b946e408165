//! Which session is attached to: the one that was named, a new one, or the one that is picked.

use std::io::{BufRead, IsTerminal};

use clankers_client::Client;
use clankers_protocol::{
    message::Ext,
    refusal::ExitKind,
    request::session::{SessionCreate, SessionCreated, SessionInfo},
    text,
};

use super::way::Road;
use crate::{args::AttachArgs, commands::ps, error::CliError, output::ago};

/// Sessions offered to pick from (count).
const OFFERED: usize = 20;
/// Characters of a title.
const TITLE_CHARS: usize = 50;

/// A selector for the session: asks the node when none was named, and the person when there are several.
pub(super) async fn session(road: &Road, args: &AttachArgs) -> Result<String, CliError> {
    if let Some(session) = &args.session {
        return Ok(session.clone());
    }
    let peer = road.peer().await?;
    let chosen = if args.new { create(&peer.client, args).await } else { choose(&peer.client, args).await };
    match chosen {
        Ok(session) => {
            road.keep(peer);
            Ok(session)
        }
        Err(error) => {
            peer.close().await;
            Err(if args.remote.is_some() { error.about(&road.machine) } else { error })
        }
    }
}

async fn create(client: &Client, args: &AttachArgs) -> Result<String, CliError> {
    let here = std::env::current_dir().ok().and_then(|dir| dir.to_str().map(str::to_owned));
    let cwd = if args.remote.is_some() { None } else { here };
    let request = SessionCreate { leaf: None, cwd, model: args.model.clone(), ext: Ext::default() };
    let created: SessionCreated = client.ask(&request).await?;
    Ok(created.session.to_string())
}

async fn choose(client: &Client, args: &AttachArgs) -> Result<String, CliError> {
    let sessions = ps::all(client, false).await?;
    match sessions.as_slice() {
        [] if args.auto_daemon => create(client, args).await,
        [] => Err(CliError::new(ExitKind::NotFound, "there is no session of yours to attach to")
            .hint("make one: clankers attach --new")),
        [one] => Ok(one.id.to_string()),
        several if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => ask(several),
        several => {
            let error = CliError::usage(format!("there are {} sessions: say which", several.len()));
            let named = several.iter().take(3).map(|s| format!("clankers attach {}", s.id.short()));
            Err(named.fold(error.hint("'last' is the one that was active last"), CliError::hint))
        }
    }
}

/// Asks the person at the terminal.
fn ask(sessions: &[SessionInfo]) -> Result<String, CliError> {
    let now = clankers_node::clock::now();
    for (number, session) in (1..).zip(sessions.iter().take(OFFERED)) {
        let (id, title) = (session.id.short(), text::line(&session.title, TITLE_CHARS));
        anstream::eprintln!("{number:>3}  {id}  {:>8}  {title}", ago(session.created, now));
    }
    anstream::eprint!("which (1-{}, or an id): ", sessions.len().min(OFFERED));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let word = line.trim();
    let place = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match place.and_then(|place| sessions.get(place)) {
        Some(session) => Ok(session.id.to_string()),
        None if word.is_empty() => Err(CliError::usage("no session was picked")),
        None => Ok(word.to_owned()),
    }
}
