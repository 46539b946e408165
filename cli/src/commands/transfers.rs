//! `rpc transfers`: files on their way. What this machine began is in records that every command reads; what comes in,
//! its node knows.

mod listed;
mod watch;

use std::time::{Duration, Instant};

use clankers_client::transfer::{Direction, Job, Record, RecordError, State, TransferError, forget_parts};
use clankers_protocol::{
    message::Ext,
    refusal::ExitKind,
    request::transfer::{
        keeping::{TransferChange, TransferEdit, TransferEdited},
        with_limit_rate,
    },
    text,
};
use serde_json::{Value, json};

use self::listed::{Line, lines};
use super::{
    carry::{Carrier, records, short},
    send,
};
use crate::{
    args::TransfersCommand,
    error::{CliError, Outcome},
    local::Machine,
    output,
};

/// How long a transfer that was asked to stop may take for it (time).
const STOP: Duration = Duration::from_secs(10);
/// How long the node may take to answer for a list (time).
const REPLY: Duration = Duration::from_secs(30);
/// How often is looked whether it has (time).
const LOOK: Duration = Duration::from_millis(50);
/// Errors that are told beneath the list, the latest (count); '--json' has all.
const WHYS: usize = 5;

pub(crate) async fn run(machine: &Machine, command: TransfersCommand, json: bool) -> Outcome {
    match command {
        TransfersCommand::List(args) if args.watch => watch::run(machine, args.id.as_deref(), json).await,
        TransfersCommand::List(_) => list(machine, json).await,
        TransfersCommand::Cancel { id } => cancel(machine, &id, json).await,
        TransfersCommand::Resume { id, limit_rate, detach } => {
            resume(machine, &id, (limit_rate, detach), json).await
        }
        TransfersCommand::Forget { id } => forget(machine, &id, json).await,
    }
}

async fn list(machine: &Machine, json: bool) -> Outcome {
    let local = machine.node_or_hall().await?;
    let found = lines(machine, Some((&local.client, REPLY))).await;
    local.close().await;
    let lines = found?;
    if json {
        return Ok(output::json(&Value::Array(lines.iter().map(Line::as_json).collect()))?);
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 9]> = lines.iter().map(|line| line.row(now)).collect();
    output::table(["ID", "WAY", "PEER", "NAME", "STATE", "DONE", "RATE", "LEFT", "WHEN"], &rows)?;
    for line in lines.iter().filter(|line| line.error.is_some()).take(WHYS) {
        let (id, error) = (text::head(&line.id, 10), line.error.as_deref().unwrap_or_default());
        anstream::eprintln!("! {id}: {}", text::line(error, 300));
    }
    Ok(())
}

/// The record of this name; none when it may be one that comes in.
fn own(machine: &Machine, id: &str) -> Result<Option<Record>, CliError> {
    match records(machine).find(id) {
        Ok(record) => Ok(Some(record)),
        Err(RecordError::None(_)) => Ok(None),
        Err(error) => Err(TransferError::from(error).into()),
    }
}

async fn cancel(machine: &Machine, id: &str, json: bool) -> Outcome {
    let Some(record) = own(machine, id)? else {
        return edit(machine, id, TransferChange::Cancel, json).await;
    };
    let kept = records(machine);
    if kept.ask_to_cancel(&record.id).map_err(TransferError::from)? {
        let begun = Instant::now();
        while kept.is_running(&record.id) {
            if begun.elapsed() >= STOP {
                let words = format!("{} was asked to stop, and has not yet", short(&record));
                return Err(
                    CliError::new(ExitKind::Timeout, words).hint("see it with 'clankers rpc transfers'")
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        // Who was killed meanwhile could not note it.
        if let Some(left) = own(machine, &record.id)?.filter(|left| !left.state.is_over()) {
            kept.settle(&Record { state: State::Cancelled, ..left }).map_err(TransferError::from)?;
        }
    } else if record.state.is_over() {
        let words = format!("{} is over: {}", short(&record), record.state.word());
        return Err(CliError::new(ExitKind::Failed, words));
    } else {
        kept.settle(&Record { state: State::Cancelled, ..record.clone() }).map_err(TransferError::from)?;
    }
    said(&record.id, "cancelled", "is cancelled; what arrived is kept there", json)
}

async fn resume(machine: &Machine, id: &str, (limit, detach): (Option<u64>, bool), json: bool) -> Outcome {
    let Some(record) = own(machine, id)? else {
        return edit(machine, id, TransferChange::Resume, json).await;
    };
    if record.state == State::Done {
        let words = format!("{} is done: there is nothing left to send", short(&record));
        return Err(CliError::new(ExitKind::Failed, words));
    }
    if record.state == State::Partial {
        let words = format!("{} ended without some of its files", short(&record));
        return Err(CliError::new(ExitKind::Failed, words)
            .hint("send it again with --on-conflict skip: what is there is not sent again"));
    }
    if detach {
        if record.direction == Direction::Get {
            let error = CliError::usage("only what is sent can be left to the node");
            return Err(error.hint(format!("clankers rpc transfers resume {}", short(&record))));
        }
        return detach_one(machine, &record, limit, json).await;
    }
    let mut carrier = Carrier::to(machine, &record.peer, json).await?;
    let done = if carrier.subject() == Some(record.subject) {
        match Job::resume(&records(machine), &record.id) {
            Ok(mut job) => match limit.map_or(Ok(()), |limit| job.limit(Some(limit))) {
                Ok(()) => carrier.carry(&mut job).await,
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    } else {
        let words = format!("'{}' is another node now than when this began", text::line(&record.peer, 64));
        Err(CliError::new(ExitKind::NotFound, words).hint(format!("then it was {}", record.subject)))
    };
    carrier.close().await;
    done
}

/// Leaves it to this machine's node, under the same id.
async fn detach_one(machine: &Machine, record: &Record, limit: Option<u64>, json: bool) -> Outcome {
    let local = machine.node().await?;
    let (transfer, change) = (record.id.clone(), TransferChange::Resume);
    let request = TransferEdit { leaf: None, transfer, change, ext: with_limit_rate(limit) };
    let edited: Result<TransferEdited, _> = local.client.ask(&request).await;
    local.close().await;
    send::told(&edited?.transfer.transfer, json)
}

async fn forget(machine: &Machine, id: &str, json: bool) -> Outcome {
    let Some(record) = own(machine, id)? else {
        return edit(machine, id, TransferChange::Forget, json).await;
    };
    if !records(machine).is_running(&record.id) {
        forget_parts(&record)?;
    }
    match records(machine).forget(&record.id) {
        Ok(()) => said(&record.id, "forgotten", "is forgotten", json),
        Err(RecordError::Running(_)) => {
            Err(CliError::new(ExitKind::Failed, format!("{} is running", short(&record)))
                .hint(format!("stop it first: clankers rpc transfers cancel {}", short(&record))))
        }
        Err(error) => Err(TransferError::from(error).into()),
    }
}

/// Asks the node about what comes in.
async fn edit(machine: &Machine, id: &str, change: TransferChange, json: bool) -> Outcome {
    let local = machine.node_or_hall().await?;
    let request = TransferEdit { leaf: None, transfer: id.to_owned(), change, ext: Ext::default() };
    let edited: Result<TransferEdited, _> = local.client.ask(&request).await;
    local.close().await;
    let transfer = edited?.transfer;
    let (word, line) = match change {
        TransferChange::Cancel => (
            "cancelled",
            "is cancelled: the other side cannot go on with it, nor send the same anew, until you forget it; what arrived is kept",
        ),
        TransferChange::Resume => ("resumed", "goes on"),
        TransferChange::Forget => {
            ("forgotten", "is forgotten, and what arrived of it and was not whole is removed")
        }
    };
    said(&transfer.transfer.to_string(), word, line, json)
}

fn said(id: &str, word: &str, line: &str, json: bool) -> Outcome {
    if json {
        return Ok(output::json(&json!({"transfer": id, "state": word}))?);
    }
    let line = format!("✓ {} {line}", text::head(id, 10));
    Ok(output::lines([line.as_str()])?)
}
