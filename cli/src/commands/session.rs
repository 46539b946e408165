//! `session`: sessions on disk. Their logs are read as they are, whether a node runs or not.

mod export;

use std::io::{BufRead, IsTerminal, Write};

use clankers_node::store::{Found, Home, LogEnd, LogReader, Sessions, SessionsError, Store};
use clankers_protocol::{
    NanoUsd, SessionId,
    event::{Event, Outcome as Settlement},
    message::Ext,
    refusal::ExitKind,
    request::session::{SessionInfo, SessionKill, SessionKilled, SessionState},
    text::Clean,
};
use serde_json::{Value, json};

use super::{
    output_file::Out,
    ps::{self, state},
};
use crate::{
    args::SessionCommand,
    error::{CliError, Outcome},
    local::{self, Machine},
    output::{self, ago, rfc3339},
};

/// Sessions whose cost a listing adds up (count): each is read to its end.
const COSTS: usize = 500;
/// How long the store may be held by another command (time).
const STORE_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) async fn run(home: Home, command: SessionCommand, json: bool) -> Outcome {
    match command {
        SessionCommand::List { all } => list(home, all, json).await,
        SessionCommand::Show { session } => show(&home, &session, json),
        SessionCommand::Export { session, format, output } => {
            let reader = open(&home, &session)?;
            let mut out = Out::open(output.as_deref())?;
            export::write(&reader, format, &mut out)?;
            damage(&reader);
            Ok(out.keep()?)
        }
        SessionCommand::Delete { session, yes } => delete(&home, &session, yes, json).await,
        SessionCommand::Reindex => reindex(&home, json),
    }
}

/// The session that a word means.
fn find(home: &Home, word: &str) -> Result<SessionId, CliError> {
    let sessions = Sessions::without_store(home);
    if word == "last" {
        // As a node means it: one's own that was used last.
        let own = Some(Machine::open(home)?.run.node());
        let listed = sessions.list(false).map_err(trouble)?;
        let last = listed.iter().find(|session| session.principal == own);
        return last.map(|session| session.id).ok_or_else(|| {
            CliError::new(ExitKind::NotFound, "there is no session of yours yet")
                .hint("'clankers session list --all' lists all that are here")
        });
    }
    let found = sessions.find(word, None).map_err(trouble)?;
    match found {
        Found::Session(id) => Ok(id),
        Found::NotFound => Err(CliError::new(ExitKind::NotFound, format!("there is no session '{word}'"))
            .hint("'clankers session list --all' lists them; a prefix has at least four digits")),
        Found::Ambiguous(_) => Err(CliError::usage(format!("several sessions begin with '{word}'"))
            .hint("write more of the id: 'clankers session list --all --json' shows whole ones")),
    }
}

fn trouble(error: SessionsError) -> CliError {
    CliError::machine(error)
}

fn open(home: &Home, word: &str) -> Result<LogReader, CliError> {
    LogReader::open(home, find(home, word)?).map_err(CliError::machine)
}

/// Says that a log could not be read to its end.
fn damage(reader: &LogReader) {
    match reader.ending() {
        LogEnd::Whole => {}
        LogEnd::Torn => anstream::eprintln!(
            "! the last line is torn (a crash, or it is being written just now): it is left out"
        ),
        LogEnd::Damaged(_) => {
            anstream::eprintln!("! the log is damaged: what comes after the damage is left out")
        }
    }
}

/// What a session cost so far, as far as prices are known.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    known: NanoUsd,
    /// Some prompt's cost is not known.
    more: bool,
}

impl Cost {
    fn add(&mut self, event: &Event) {
        match event {
            Event::Usage(usage) => match usage.cost {
                Some(cost) => self.known = self.known.plus(cost),
                None => self.more = true,
            },
            // A server that said nothing of what it used, or a prompt that a crash cut off.
            Event::Settled(settled) if settled.cost.is_none() => self.more = true,
            _ => {}
        }
    }

    fn of(home: &Home, id: SessionId) -> Option<Self> {
        let mut cost = Self::default();
        LogReader::open(home, id).ok()?.scan(0, |durable| cost.add(&durable.event)).ok()?;
        Some(cost)
    }

    fn words(cost: Option<Self>) -> String {
        match cost {
            None => "?".to_owned(),
            Some(Self { known, more: true }) => format!("{known} + ?"),
            Some(Self { known, more: false }) => known.to_string(),
        }
    }

    fn value(cost: Option<Self>) -> Value {
        cost.filter(|cost| !cost.more).map_or(Value::Null, |cost| json!(cost.known.0))
    }
}

async fn list(home: Home, all: bool, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    let local = machine.node_or_hall().await?;
    let listed = ps::all(&local.client, all).await;
    local.close().await;
    let sessions: Vec<(SessionInfo, Option<Cost>)> = listed?
        .into_iter()
        .enumerate()
        .map(|(at, info)| {
            let cost = if at < COSTS { Cost::of(&home, info.id) } else { None };
            (info, cost)
        })
        .collect();
    if json {
        let rows = sessions.iter().map(|(info, cost)| {
            let mut row = ps::value(info);
            if let Value::Object(row) = &mut row {
                row.insert("cost".to_owned(), Cost::value(*cost));
            }
            row
        });
        return Ok(output::json(&Value::Array(rows.collect()))?);
    }
    if sessions.is_empty() {
        anstream::eprintln!("no sessions yet: a prompt makes one");
        return Ok(());
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 6]> = sessions
        .iter()
        .map(|(s, cost)| {
            let (id, state, cost) = (s.id.short(), state(s).to_owned(), Cost::words(*cost));
            [id, state, s.model.clone(), ago(s.created, now), cost, s.title.clone()]
        })
        .collect();
    output::table(["SESSION", "STATE", "MODEL", "CREATED", "COST", "TITLE"], &rows)?;
    Ok(())
}

fn show(home: &Home, word: &str, json: bool) -> Outcome {
    let reader = open(home, word)?;
    let header = reader.header().clone();
    let (mut cost, mut prompts, mut last) = (Cost::default(), 0_u64, None);
    let mut title = header.title.clone();
    reader
        .scan(0, |durable| {
            cost.add(&durable.event);
            match &durable.event {
                Event::Prompt(prompt) => {
                    prompts += 1;
                    title.get_or_insert_with(|| prompt.text.clone());
                }
                Event::Settled(settled) => last = Some((settled.outcome, durable.at)),
                _ => {}
            }
        })
        .map_err(CliError::machine)?;
    let title = clankers_protocol::text::line(&title.unwrap_or_default(), 60);
    if json {
        let value = json!({
            "id": header.session, "title": title, "model": header.model, "cwd": header.cwd,
            "created": rfc3339(header.created), "principal": header.principal, "prompts": prompts,
            "head_seq": reader.head_seq(), "epoch": reader.epoch(), "cost": Cost::value(Some(cost)),
            "last": last.map(|(outcome, at)| json!({"outcome": outcome, "at": rfc3339(at)})),
        });
        damage(&reader);
        return Ok(output::json(&value)?);
    }
    let ended = |(outcome, at): (Settlement, _)| {
        let word = serde_json::to_value(outcome).ok().and_then(|v| v.as_str().map(str::to_owned));
        format!("{} {}", word.unwrap_or_default(), rfc3339(at))
    };
    let lines = [
        format!("session    {}", header.session),
        format!("title      {title}"),
        format!("directory  {}", Clean::line(&header.cwd, 400)),
        format!("created    {}", rfc3339(header.created)),
        format!("prompts    {prompts} ({} events)", reader.head_seq()),
        format!("cost       {}", Cost::words(Some(cost))),
        format!("last       {}", last.map_or_else(|| "nothing ended yet".to_owned(), ended)),
        String::new(),
    ];
    output::lines(lines.iter().map(String::as_str))?;
    export::write(&reader, crate::args::Format::Md, &mut Out::Standard)?;
    damage(&reader);
    Ok(())
}

async fn delete(home: &Home, word: &str, yes: bool, json: bool) -> Outcome {
    let id = find(home, word)?;
    if !yes {
        confirm(&id)?;
    }
    let machine = Machine::open(home)?;
    let local = machine.node_or_hall().await?;
    let done = archive(&local, id).await;
    local.close().await;
    done?;
    let sessions = Sessions::without_store(home);
    if !sessions.delete(id).map_err(trouble)? {
        return Err(CliError::machine(format!("session {} is in use by another process", id.short()))
            .hint("wait until it ends"));
    }
    if json {
        return Ok(output::json(&json!({"session": id, "deleted": true}))?);
    }
    anstream::eprintln!("✓ deleted {}", id.short());
    Ok(())
}

/// Has the node let go of a session, unless something runs in it.
async fn archive(local: &local::Local, id: SessionId) -> Outcome {
    let all = ps::all(&local.client, true).await?;
    let info = all.iter().find(|info| info.id == id);
    match info.map(|info| info.state) {
        Some(SessionState::Running | SessionState::Busy) => {
            let words = format!("something runs in session {}", id.short());
            Err(CliError::new(ExitKind::Failed, words)
                .hint("wait until it ends, or end it: clankers daemon kill ID"))
        }
        Some(_) if info.is_some_and(|info| !info.archived) => {
            let request = SessionKill { leaf: None, session: id.to_string(), ext: Ext::default() };
            let _killed: SessionKilled = local.client.ask(&request).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn confirm(id: &SessionId) -> Outcome {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage("a session is deleted for good, and nobody is here to be asked")
            .hint("say --yes"));
    }
    anstream::eprint!("delete session {} for good? [y/N] ", id.short());
    let _shown = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CliError::new(ExitKind::Interrupted, "nothing was deleted")),
    }
}

fn reindex(home: &Home, json: bool) -> Outcome {
    if local::running(home)?.is_some() {
        return Err(CliError::machine("a node runs in this home, and has the index open")
            .hint("stop it first: clankers daemon stop"));
    }
    let now = clankers_node::clock::now();
    let store = Store::open_with_deadline(home, now, STORE_WAIT).map_err(CliError::machine)?;
    let count =
        Sessions::open(home, std::sync::Arc::new(store)).and_then(|s| s.rebuild()).map_err(trouble)?;
    if json {
        return Ok(output::json(&json!({"sessions": count}))?);
    }
    anstream::eprintln!("✓ {count} sessions read into the index");
    Ok(())
}
