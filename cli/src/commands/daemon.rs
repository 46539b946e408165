//! `daemon`: this machine's node.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use clankers_client::Client;
use clankers_node::{
    daemon::{Daemon, Overrides, StartError},
    limits::{DRAIN, HALT},
    mesh::MeshError,
    store::{self, Home, LockError, RunInfo},
};
use clankers_protocol::{
    message::Ext,
    refusal::{ExitKind, RefusalCode},
    request::{
        admin::{Admin, AdminCommand, AdminDone},
        node::{Info, InfoReply},
        session::{SessionKill, SessionKilled},
    },
};
use serde_json::{Value, json};

use super::logs;
use crate::{
    args::{DaemonCommand, NetworkArgs, StartArgs},
    error::{CliError, Outcome},
    local::{Machine, no_node},
    log, output,
    pools::{ONE, POOLS},
    signals,
};

/// Set for a node in the background: it leaves the terminal's session and says on standard output when it is
/// ready, or why not.
const DETACHED: &str = "CLANKERS_DETACHED";
/// How long a node in the background may take to be ready (time).
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stopped node's lock may stay beyond its own time limits (time).
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How often the lock is looked at while a node stops (time).
const STOP_POLL: Duration = Duration::from_millis(10);
/// Bytes of what a node in the background says when it starts.
const READY_BYTES: u64 = 256 * 1024;

pub(crate) async fn run(home: Home, command: DaemonCommand, json: bool) -> Outcome {
    match command {
        DaemonCommand::Start(StartArgs { detach: false, network }) => serve(home, network, json).await,
        DaemonCommand::Start(StartArgs { detach: true, network }) => detach(&home, &network, json),
        DaemonCommand::Stop => stop(&home, json).await,
        DaemonCommand::Status => status(&home, json).await,
        DaemonCommand::Logs(args) => logs::run(&home, &args).await,
        DaemonCommand::Kill { session } => kill(&home, session, json).await,
    }
}

/// `rpc start`: the same in the foreground.
pub(crate) async fn foreground(home: Home, network: NetworkArgs, json: bool) -> Outcome {
    serve(home, network, json).await
}

async fn serve(home: Home, network: NetworkArgs, json: bool) -> Outcome {
    let detached = std::env::var_os(DETACHED).is_some();
    if detached {
        // Fails only for a process that leads its session already.
        let _leads = rustix::process::setsid();
    }
    log::start(&home.node_log()).map_err(CliError::machine)?;
    // Before anybody is told that it is ready: whoever then asks it to end must find it listening.
    let mut signals = signals::StopSignals::new()?;
    let overrides = Overrides { bind: network.bind, relay: network.relay, mdns: network.mdns };
    let daemon = match Daemon::start(home, overrides).await {
        Ok(daemon) => daemon,
        Err(error) => {
            let error = start_error(&error);
            if detached {
                output::json(
                    &json!({"error": {"kind": error.name(), "message": error.message, "hints": error.hints}}),
                )?;
            }
            return Err(error);
        }
    };
    let info = daemon.run_info();
    tracing::info!(id = %info.id, addrs = ?info.addrs, "ready");
    let warnings = daemon.warnings();
    if detached || json {
        output::json(&started(&info, daemon.sessions().await, &warnings))?;
    } else {
        let lines = [
            format!("✓ node {} is ready", info.id),
            format!("  addresses  {}", info.addrs.join(", ")),
            format!("  ticket     {}", info.ticket),
            "  Ctrl-C stops it".to_owned(),
        ];
        output::lines(lines.iter().map(String::as_str))?;
        warnings.iter().for_each(|warning| anstream::eprintln!("! {warning}"));
    }
    let halt = daemon.halter();
    let (tell, told) = tokio::sync::oneshot::channel();
    let listen = async {
        // Nobody to tell: somebody else has asked the node to stop already.
        let _late = tell.send(signals.next().await);
        // A second one does not wait for running turns.
        signals.next().await;
        halt();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = daemon.run(async { told.await.unwrap_or("a signal") }) => {}
        () = listen => {}
    }
    tracing::info!("stopped");
    Ok(())
}

fn start_error(error: &StartError) -> CliError {
    let out = CliError::machine(error);
    match error {
        StartError::Lock(LockError::Held { .. }) => out.hint("see it with 'clankers daemon status'"),
        StartError::Settings(error) => CliError::settings(error),
        StartError::Identity(error) => CliError::key(error),
        StartError::Mesh(MeshError::PortTaken(_)) => {
            out.hint("choose with --bind ADDR:PORT; port 0 takes the one that is remembered, or any free one")
        }
        _ => out,
    }
}

fn started(info: &RunInfo, sessions: u64, warnings: &[String]) -> Value {
    json!({
        "id": info.id, "pid": info.pid, "addrs": info.addrs, "ticket": info.ticket, "sessions": sessions,
        "uptime_s": 0, "warnings": warnings,
    })
}

/// Starts a node in the background for a command that needs one, and says so on standard error.
pub(crate) fn start_beside(home: &Home) -> Outcome {
    let said = launch(home, &NetworkArgs::default())?;
    let pid = said.get("pid").and_then(Value::as_u64).unwrap_or_default();
    anstream::eprintln!("✓ the node runs now (process {pid}); 'clankers daemon stop' stops it");
    Ok(())
}

fn detach(home: &Home, network: &NetworkArgs, json: bool) -> Outcome {
    let said = launch(home, network)?;
    if json {
        return Ok(output::json(&said)?);
    }
    let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default();
    let pid = said.get("pid").and_then(Value::as_u64).unwrap_or_default();
    let lines =
        [format!("✓ node {} runs (process {pid})", text("id")), format!("  ticket  {}", text("ticket"))];
    output::lines(lines.iter().map(String::as_str))?;
    let warnings = said.get("warnings").and_then(Value::as_array).into_iter().flatten();
    warnings.filter_map(Value::as_str).for_each(|warning| anstream::eprintln!("! {warning}"));
    Ok(())
}

/// Starts this very program again, in the background, and waits until it is ready. What it says then.
fn launch(home: &Home, network: &NetworkArgs) -> Result<Value, CliError> {
    let program = std::env::current_exe()?;
    let mut process = Process::new(program);
    process.arg("--home").arg(home.root()).args(["daemon", "start"]);
    if let Some(bind) = network.bind {
        process.args(["--bind", &bind.to_string()]);
    }
    if let Some(relay) = &network.relay {
        process.args(["--relay", relay]);
    }
    if let Some(mdns) = network.mdns {
        process.args(["--mdns", if mdns { "on" } else { "off" }]);
    }
    if std::env::var_os(POOLS).is_none() {
        process.env(POOLS, ONE);
    }
    process.env(DETACHED, "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = process.spawn()?;
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(out.take(READY_BYTES)).read_line(&mut line);
            // The other side has stopped waiting when this fails.
            let _late = tell.send(read.map(|_| line));
        });
    }
    let line = match told.recv_timeout(READY_TIMEOUT) {
        Ok(line) => line?,
        Err(_) => {
            let killed = child.kill().and_then(|()| child.wait());
            tracing::debug!(?killed, "a node that was not ready in time");
            return Err(CliError::machine(format!(
                "the node was not ready within {} s",
                READY_TIMEOUT.as_secs()
            ))
            .hint("see 'clankers daemon logs'"));
        }
    };
    let said: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
    if let Some(error) = said.get("error") {
        return Err(told_error(error));
    }
    if said.get("id").and_then(Value::as_str).is_none() || said.get("pid").is_none() {
        let status = child.wait()?;
        return Err(CliError::machine(format!("the node ended at once ({status})"))
            .hint("see 'clankers daemon logs'"));
    }
    Ok(said)
}

fn told_error(error: &Value) -> CliError {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out = CliError::machine(text("message"));
    let hints = error.get("hints").and_then(Value::as_array);
    out.hints = hints.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    out
}

async fn stop(home: &Home, json: bool) -> Outcome {
    let machine = Machine::open(home)?;
    let local = machine.node().await?;
    let drain_ms = u64::try_from(DRAIN.as_millis()).unwrap_or(u64::MAX);
    let request = Admin { leaf: None, command: AdminCommand::Stop { drain_ms }, ext: Ext::default() };
    let done: AdminDone = match local.client.ask(&request).await {
        Ok(done) => done,
        Err(error) => {
            local.close().await;
            return Err(error.into());
        }
    };
    if done.prompts > 0 {
        anstream::eprintln!("  {} prompt(s) run: they get up to {} s", done.prompts, DRAIN.as_secs());
    }
    local.close().await;
    let deadline = Instant::now() + DRAIN + HALT + STOP_GRACE;
    while store::holder(home).map_err(CliError::machine)?.is_some() {
        if Instant::now() > deadline {
            let error = CliError::machine(format!("the node (process {}) does not end", done.pid));
            return Err(error.hint(format!("kill it: kill -9 {}; nothing acknowledged is lost", done.pid)));
        }
        // A lock has no event of its own to wait for.
        tokio::time::sleep(STOP_POLL).await;
    }
    if json {
        return Ok(output::json(&json!({"stopped": true, "pid": done.pid}))?);
    }
    Ok(output::lines([format!("✓ stopped (process {})", done.pid).as_str()])?)
}

async fn status(home: &Home, json: bool) -> Outcome {
    let machine = Machine::open(home)?;
    let local = machine.node().await?;
    let asked: Result<InfoReply, _> = local.client.ask(&Info { leaf: None, ext: Ext::default() }).await;
    local.close().await;
    let info = asked?;
    if json {
        return Ok(output::json(&status_value(&info))?);
    }
    let mut lines = vec![
        format!("id           {}", info.id),
        format!("process      {}", info.pid),
        format!("version      {}", info.software),
        format!("addresses    {}", info.addrs.join(", ")),
        format!("relay        {}", info.relay.as_deref().unwrap_or("none")),
        format!("workspace    {}", info.workspace.as_deref().unwrap_or("none offered to peers")),
        format!("model        {}", info.model),
        format!("sessions     {} ({} prompts running or queued)", info.sessions, info.prompts),
        format!("connections  {} (requests refused: {})", info.connections, refused(&info)),
        format!("up           {} s", info.uptime_ms / 1000),
    ];
    if let Some(load) = info.load() {
        lines.insert(
            lines.len() - 2,
            format!(
                "in memory    {} sessions: {} attached, {} running, {} queued, {} waiting for leave; {} events ({} KiB kept)",
                load.loaded,
                load.viewers,
                load.running,
                load.queued,
                load.pending,
                load.events,
                load.ring_bytes / 1024
            ),
        );
    }
    if let Some(label) = &info.label {
        lines.insert(1, format!("label        {label}"));
    }
    Ok(output::lines(lines.iter().map(String::as_str))?)
}

/// How many requests were refused, and why: most are questions that have no answer, not attacks.
fn refused(info: &InfoReply) -> String {
    let mut why = info.refused();
    why.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    let words: Vec<String> = why
        .iter()
        .map(|(code, count)| format!("{count} {}", RefusalCode::from_number(*code).name()))
        .collect();
    if words.is_empty() {
        info.refusals.to_string()
    } else {
        format!("{}: {}", info.refusals, words.join(", "))
    }
}

fn status_value(info: &InfoReply) -> Value {
    let refused: serde_json::Map<String, Value> = info
        .refused()
        .into_iter()
        .map(|(code, count)| (RefusalCode::from_number(code).name().to_owned(), count.into()))
        .collect();
    json!({
        "id": info.id,
        "pid": info.pid,
        "addrs": info.addrs,
        "ticket": info.ticket,
        "sessions": info.sessions,
        "uptime_s": info.uptime_ms / 1000,
        "version": info.software,
        "label": info.label,
        "relay": info.relay,
        "workspace": info.workspace,
        "model": info.model,
        "prompts": info.prompts,
        "connections": info.connections,
        "refusals": info.refusals,
        "refused": refused,
        "load": info.load().map(|load| json!({
            "loaded": load.loaded,
            "viewers": load.viewers,
            "running": load.running,
            "queued": load.queued,
            "pending": load.pending,
            "events": load.events,
            "ring_frames": load.ring_frames,
            "ring_bytes": load.ring_bytes,
        })),
    })
}

async fn kill(home: &Home, session: String, json: bool) -> Outcome {
    let machine = Machine::open(home)?;
    if machine.running()?.is_none() {
        return Err(no_node(home));
    }
    let local = machine.node().await?;
    let killed = kill_session(&local.client, session).await;
    local.close().await;
    let killed = killed?;
    if json {
        return Ok(output::json(&json!({"session": killed.session, "was_running": killed.was_running}))?);
    }
    let what = if killed.was_running { "cancelled its prompt and archived it" } else { "archived it" };
    Ok(output::lines([format!("✓ {}: {what}", killed.session.short()).as_str()])?)
}

async fn kill_session(client: &Client, session: String) -> Result<SessionKilled, CliError> {
    if session.is_empty() {
        return Err(CliError::new(ExitKind::Usage, "the session's id is empty"));
    }
    Ok(client.ask(&SessionKill { leaf: None, session, ext: Ext::default() }).await?)
}
