//! `rpc`: other nodes, and this one as they see it.

use std::time::{Duration, Instant};

use clankers_node::{mesh::Path, store::Home};
use clankers_protocol::{
    message::Ext,
    refusal::ExitKind,
    request::{
        node::{Info, InfoReply},
        prompt::SessionChoice,
    },
};
use serde_json::json;

use super::{discover, get, peers, prompt, send, transfers};
use crate::{
    args::{PromptArgs, RpcCommand},
    error::{CliError, Outcome},
    local::Machine,
    output,
    remote::{DIAL_TIMEOUT, Peer},
};

pub(crate) async fn run(home: Home, command: RpcCommand, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    match command {
        RpcCommand::Start(network) => super::daemon::foreground(home, network, json).await,
        RpcCommand::Id => id(&machine, json).await,
        RpcCommand::Ping { peer, count, timeout } => ping(&machine, &peer, count, timeout, json).await,
        RpcCommand::Prompt { peer, text, prompting } => {
            remote_prompt(&machine, &peer, &text, &prompting).await
        }
        RpcCommand::Discover(args) => Box::pin(discover::run(&machine, args, json)).await,
        RpcCommand::Peers(command) => peers::run(&machine, command, json).await,
        RpcCommand::SendFile(args) => Box::pin(send::run(&machine, args, json)).await,
        RpcCommand::GetFile(args) => Box::pin(get::run(&machine, args, json)).await,
        RpcCommand::Transfers { command } => {
            Box::pin(transfers::run(&machine, command.unwrap_or_default(), json)).await
        }
    }
}

async fn id(machine: &Machine, json: bool) -> Outcome {
    let id = machine.run.node();
    let ticket = match machine.running()? {
        Some(note) => Some(current_ticket(machine).await.unwrap_or(note.ticket)),
        None => None,
    };
    if json {
        return Ok(output::json(&json!({"id": id, "did": id.did(), "ticket": ticket}))?);
    }
    let mut lines = vec![format!("id      {id}"), format!("did     {}", id.did())];
    match ticket {
        Some(ticket) => lines.push(format!("ticket  {ticket}")),
        None => lines.push("ticket  (no node runs: clankers daemon start -d)".to_owned()),
    }
    Ok(output::lines(lines.iter().map(String::as_str))?)
}

/// The ticket as it is now: addresses and relay change while a node runs. A node that does not answer has left
/// the one that it began with.
async fn current_ticket(machine: &Machine) -> Result<String, CliError> {
    let local = machine.node().await?;
    let info: Result<InfoReply, _> = local.client.ask(&Info { leaf: None, ext: Ext::default() }).await;
    local.close().await;
    Ok(info?.ticket)
}

async fn ping(machine: &Machine, peer: &str, count: u32, limit: Duration, json: bool) -> Outcome {
    let peer = Peer::reach(machine, peer, limit).await?;
    let done = ping_reached(&peer, count, limit, json).await;
    peer.close().await;
    done
}

async fn ping_reached(peer: &Peer, count: u32, limit: Duration, json: bool) -> Outcome {
    for seq in 1..=count {
        let rtt = peer.client.ping(u64::from(seq), limit).await.map_err(|error| match error {
            clankers_client::ClientError::Timeout(_) => {
                CliError::new(ExitKind::Unreachable, format!("no answer to ping {seq} within {limit:?}"))
            }
            other => other.into(),
        })?;
        let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        let path = peer.client.connection().path();
        if json {
            output::json(&json!({"seq": seq, "rtt_us": micros, "path": path.word()}))?;
        } else {
            let way = match path {
                Path::Direct(addr) => format!("direct {addr}"),
                other => other.word().to_owned(),
            };
            let line = format!("seq={seq} rtt={:.3} ms {way}", rtt.as_secs_f64() * 1000.0);
            output::lines([line.as_str()])?;
        }
    }
    Ok(())
}

async fn remote_prompt(machine: &Machine, peer: &str, text: &str, args: &PromptArgs) -> Outcome {
    if args.api_base.is_some() {
        return Err(CliError::usage(
            "--api-base is for -p: another node asks the servers of its own settings",
        ));
    }
    let text = prompt::text(text, args)?;
    let session = match prompt::selector(args) {
        Some(session) => SessionChoice::Existing(session),
        None => SessionChoice::New { cwd: None },
    };
    let mut request = prompt::request(text, args, session)?;
    let begun = Instant::now();
    let limit = args.timeout.map_or(DIAL_TIMEOUT, |limit| limit.min(DIAL_TIMEOUT));
    let peer = Peer::reach(machine, peer, limit).await?;
    // The time limit is for all of it.
    request.limits.timeout_ms =
        args.timeout.map(|limit| prompt::millis(limit.saturating_sub(begun.elapsed())));
    let way =
        prompt::Way { machine, client: &peer.client, subject: peer.subject, held: &peer.held, here: false };
    let done = prompt::run(&way, request, args).await;
    let fellow = peer.fellow;
    peer.close().await;
    done.map_err(|error| {
        let error = error.about(machine);
        if fellow { error.of_fellow() } else { error }
    })
}
