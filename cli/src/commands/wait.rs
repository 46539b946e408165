//! `wait`: until nothing runs in a session any more, for scripts.

use std::time::Duration;

use clankers_client::{AttachStream, Client, Ended, Failure, Wish};
use clankers_node::store::Home;
use clankers_protocol::{
    attach::Shown,
    event::{Durable, Event, SettledEvent, StreamItem},
    jsonl,
    refusal::ExitKind,
    request::{
        attach::{From, Role},
        session::SessionState,
    },
};
use serde_json::json;

use super::{attach::way::Road, prompt::ended, ps};
use crate::{
    args::WaitArgs,
    error::{CliError, Outcome},
    local::Machine,
    output,
};

/// How often the node is asked whether anything runs, beside what the session says by itself (time): a prompt may
/// have ended just before the session was looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn run(home: Home, args: WaitArgs, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    let road = Road::new(machine, args.remote.clone());
    let wish = Wish { session: Some(args.session.clone()), role: Role::View, from: From::Tail(0) };
    let mut stream = AttachStream::open(road, wish);
    let waiting = idle(&mut stream);
    let done = match args.timeout {
        None => waiting.await,
        Some(limit) => tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| {
            let words = format!("it still runs after {}", humantime::format_duration(limit));
            Err(CliError::new(ExitKind::Timeout, words).hint("what runs goes on; wait again, or cancel it"))
        }),
    };
    let done = match done {
        Err(error) if args.remote.is_some() => Err(error.about(&stream.way().machine)),
        done => done,
    };
    stream.close().await;
    let (session, last) = done?;
    if json {
        let code = last.as_ref().map_or(0, |settled| jsonl::exit_code(settled.outcome));
        output::json(&json!({
            "session": session,
            "prompt_seq": last.as_ref().map(|settled| settled.prompt_seq),
            "outcome": last.as_ref().map(|settled| settled.outcome),
            "reason": last.as_ref().and_then(|settled| settled.reason.clone()),
            "exit_code": code,
        }))?;
    }
    last.map_or(Ok(()), ended)
}

/// Waits until nothing runs or waits in the session: which one it is, and how the last prompt ended that was seen.
async fn idle(stream: &mut AttachStream<Road>) -> Result<(String, Option<SettledEvent>), CliError> {
    let (mut session, mut open, mut last) = (String::new(), 0_u64, None);
    loop {
        let shown = tokio::select! {
            shown = stream.next() => shown.map_err(why)?,
            () = tokio::time::sleep(LOOK), if !session.is_empty() => {
                if let Some(client) = stream.way().last()
                    && is_idle(&client, &session).await?
                {
                    return Ok((session, last));
                }
                continue;
            }
        };
        match shown {
            Shown::Attached(attached, _) => {
                session = attached.session.to_string();
                open = u64::from(attached.state.running) + attached.state.queued;
            }
            Shown::Item(StreamItem::Durable(Durable { event, .. })) => match event {
                Event::Prompt(_) => open += 1,
                Event::Settled(settled) => {
                    open = open.saturating_sub(1);
                    last = Some(settled);
                }
                _ => continue,
            },
            _ => continue,
        }
        if open == 0 {
            return Ok((session, last));
        }
    }
}

async fn is_idle(client: &Client, session: &str) -> Result<bool, CliError> {
    // A connection that is being made anew answers later.
    let Ok(sessions) = ps::all(client, true).await else { return Ok(false) };
    let found = sessions.iter().find(|info| info.id.to_string() == session);
    Ok(found.is_some_and(|info| info.state == SessionState::Idle))
}

fn why(end: Ended<CliError>) -> CliError {
    match end {
        Ended::Detached => CliError::new(ExitKind::Failed, "the session was left"),
        Ended::Refused(refusal) => clankers_client::ClientError::Refused(refusal).into(),
        Ended::Unreachable(Some(Failure::Reach(error))) => error,
        Ended::Unreachable(Some(Failure::Broke(error))) => error.into(),
        Ended::Unreachable(None) => {
            CliError::new(ExitKind::Unreachable, "the node cannot be reached any more")
        }
    }
}
