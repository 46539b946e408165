//! The demo's steps, in order. Later parts of the product add theirs.

use std::time::{Duration, Instant};

use clankers_protocol::refusal::ExitKind;
use serde_json::Value;

use super::machine::{Machine, Ran, Stage};
use crate::{
    error::{CliError, Outcome},
    output,
};

/// How long the two machines may take to find each other by mDNS before a ticket is used instead (time).
const FIND_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the laptop is asked whom it has found (time).
const FIND_POLL: Duration = Duration::from_millis(100);
/// How soon what runs under a token that was taken back must have ended (time): a second, and room for a busy machine.
const END_LIMIT: Duration = Duration::from_secs(5);
/// What both nodes are started with: this machine only.
pub(super) const START: &[&str] =
    &["daemon", "start", "-d", "--bind", "127.0.0.1:0", "--relay", "off", "--mdns", "on"];

/// Characters of a session's id that are typed (count): as `ps` prints them.
const ID_CHARS: usize = 10;

const QUESTION: &str = "Which TODOs are left in this project?";

pub(super) async fn play(stage: &mut Stage) -> Outcome {
    say(
        "A desk and a laptop, later a friend's machine: played by three homes on this one. Nothing leaves it.",
    )?;
    std::fs::create_dir_all(stage.desk.project.join("src"))?;
    std::fs::write(
        stage.desk.project.join("src/main.rs"),
        "fn main() {\n    // TODO: greet people by name\n    println!(\"hello\"); // TODO: translate\n}\n",
    )?;
    start(stage).await?;
    find(stage).await?;
    refused(stage).await?;
    granted(stage).await?;
    scoped(stage).await?;
    let passed = passed_on(stage).await?;
    watched(stage).await?;
    super::files::play(stage).await?;
    super::team::play(stage).await?;
    taken_back(stage, &passed).await?;
    stop(stage).await
}

async fn start(stage: &mut Stage) -> Outcome {
    step(1, "Start a node on each")?;
    for machine in [&mut stage.desk, &mut stage.laptop] {
        ok(machine.clankers(START).await?, "the node started")?;
    }
    Ok(())
}

async fn find(stage: &mut Stage) -> Outcome {
    step(2, "They find each other")?;
    let desk = text(&stage.desk.ask(&["rpc", "id", "--json"]).await?, "id")?;
    if found_by_mdns(&stage.laptop, &desk).await? {
        say("The laptop has found the desk by mDNS. Found is not trusted: a name is given by you.")?;
        ok(stage.laptop.clankers(&["rpc", "peers", "list"]).await?, "the peers are listed")?;
        let add = ["rpc", "peers", "add", desk.as_str(), "--label", "desk"];
        ok(stage.laptop.clankers(&add).await?, "the desk has a name")?;
    } else {
        say("No multicast here, so the laptop is given a ticket: an id and addresses, no rights.")?;
        let ticket = text(&stage.desk.ask(&["rpc", "id", "--json"]).await?, "ticket")?;
        let add = ["rpc", "peers", "add", ticket.as_str(), "--label", "desk"];
        ok(stage.laptop.clankers(&add).await?, "the desk has a name")?;
    }
    let ran = ok(stage.laptop.clankers(&["rpc", "ping", "desk", "-c", "3"]).await?, "the desk answers")?;
    check(ran.stdout.lines().count() == 3, "three pings have three answers")
}

async fn found_by_mdns(laptop: &Machine, desk: &str) -> Result<bool, CliError> {
    let begun = Instant::now();
    loop {
        let peers = laptop.ask(&["rpc", "peers", "list", "--json"]).await?;
        let found = peers.as_array().into_iter().flatten().any(|peer| {
            peer.get("id").and_then(Value::as_str) == Some(desk)
                && peer.get("addrs").and_then(Value::as_array).is_some_and(|addrs| !addrs.is_empty())
        });
        if found || begun.elapsed() > FIND_TIMEOUT {
            return Ok(found);
        }
        tokio::time::sleep(FIND_POLL).await;
    }
}

async fn refused(stage: &mut Stage) -> Outcome {
    step(3, "Knowing a node is no right: the laptop's prompt is refused")?;
    let ran = stage.laptop.clankers(&["rpc", "prompt", "desk", QUESTION]).await?;
    exits(&ran, ExitKind::Denied, "a prompt without a token is refused")
}

async fn granted(stage: &mut Stage) -> Outcome {
    step(4, "The desk's owner lets the laptop review: prompt, with tools that only read, for an hour")?;
    let laptop = text(&stage.laptop.ask(&["rpc", "id", "--json"]).await?, "id")?;
    let create = ["token", "create", "--for", laptop.as_str(), "--reviewer", "--expire", "1h"];
    let ran = ok(stage.desk.clankers(&create).await?, "a token is made")?;
    // Handed over as people do: by a file.
    std::fs::write(stage.laptop.project.join("desk.token"), ran.stdout)?;
    ok(stage.laptop.clankers(&["token", "import", "desk.token"]).await?, "the laptop keeps the token")?;
    step(5, "The same prompt again: the desk's agent works in the desk's project, its words stream back")?;
    let ran = ok(stage.laptop.clankers(&["rpc", "prompt", "desk", QUESTION]).await?, "the prompt runs")?;
    check(ran.stdout.contains("src/main.rs:2"), "the answer comes from the desk's files")
}

async fn scoped(stage: &mut Stage) -> Outcome {
    step(6, "The token holds at every tool call: searching is in it, a shell is not")?;
    let ran = stage.laptop.clankers(&["rpc", "prompt", "desk", "/grep TODO src"]).await?;
    let ran = ok(ran, "a tool runs without a model")?;
    check(ran.stdout.contains("translate"), "grep found what is there")?;
    let ran = stage.laptop.clankers(&["rpc", "prompt", "desk", "/bash touch owned"]).await?;
    exits(&ran, ExitKind::Denied, "the shell is refused")?;
    check(!stage.desk.project.join("owned").exists(), "nothing was run")?;
    ok(stage.desk.clankers(&["ps"]).await?, "the desk sees its sessions").map(drop)
}

/// Says which token was passed on.
async fn passed_on(stage: &mut Stage) -> Result<String, CliError> {
    step(7, "The laptop's owner lets a friend search too, and no more; nobody needs to be asked for that")?;
    let cid = held(stage).await?;
    let friend = text(&stage.friend.ask(&["rpc", "id", "--json"]).await?, "id")?;
    let delegate = ["token", "delegate", "--from", cid.as_str(), "--for", friend.as_str(), "--tools", "grep"];
    let ran = ok(stage.laptop.clankers(&delegate).await?, "a part is passed on")?;
    std::fs::write(stage.friend.project.join("desk.token"), ran.stdout)?;
    ok(stage.friend.clankers(&["token", "import", "desk.token"]).await?, "the friend keeps the token")?;
    let ticket = text(&stage.desk.ask(&["rpc", "id", "--json"]).await?, "ticket")?;
    let add = ["rpc", "peers", "add", ticket.as_str(), "--label", "desk"];
    ok(stage.friend.clankers(&add).await?, "the desk has a name")?;
    let ran = stage.friend.clankers(&["rpc", "prompt", "desk", "/grep TODO src"]).await?;
    check(ok(ran, "the friend may search")?.stdout.contains("translate"), "grep found what is there")?;
    let ran = stage.friend.clankers(&["rpc", "prompt", "desk", "/read src/main.rs"]).await?;
    exits(&ran, ExitKind::Denied, "what the laptop did not pass on is refused")?;
    Ok(cid)
}

async fn watched(stage: &mut Stage) -> Outcome {
    step(8, "The friend may watch one of the laptop's sessions: the laptop prompts, the friend sees it too")?;
    let sessions = stage.laptop.ask(&["ps", "--remote", "desk", "--json"]).await?;
    let newest = sessions.as_array().and_then(|sessions| sessions.first());
    let session: String = text(newest.unwrap_or(&Value::Null), "id")?.chars().take(ID_CHARS).collect();
    let friend = text(&stage.friend.ask(&["rpc", "id", "--json"]).await?, "id")?;
    let create = ["token", "create", "--for", friend.as_str(), "--read-only", "--session", session.as_str()];
    let ran = ok(stage.desk.clankers(&create).await?, "a token for one session is made")?;
    std::fs::write(stage.friend.project.join("watch.token"), ran.stdout)?;
    ok(stage.friend.clankers(&["token", "import", "watch.token"]).await?, "the friend keeps the token")?;
    let attach = ["attach", session.as_str(), "--remote", "desk", "--read-only", "--tail", "0"];
    let mut watching = stage.friend.begin(&attach, "watching").await?;
    let prompt = ["rpc", "prompt", "desk", QUESTION, "--session", session.as_str()];
    ok(stage.laptop.clankers(&prompt).await?, "the prompt runs")?;
    say("(the friend's terminal, until it leaves with Ctrl-C)")?;
    check(watching.until("src/main.rs:2").await?, "the friend sees the same words")?;
    watching.interrupt()?;
    let ran = ok(watching.finish().await?, "watching is left")?;
    check(ran.stdout.contains("detached"), "the friend is told how to come back")
}

async fn taken_back(stage: &mut Stage, cid: &str) -> Outcome {
    step(
        11,
        "The desk's owner takes the laptop's token back: what runs under it ends, the friend's part too",
    )?;
    let watching = stage.laptop.begin(&["attach", "--remote", "desk", "last"], "watching").await?;
    ok(stage.desk.clankers(&["token", "revoke", cid]).await?, "the token is taken back")?;
    let taken = Instant::now();
    let ran = watching.finish().await?;
    exits(&ran, ExitKind::Denied, "the watching ends")?;
    check(taken.elapsed() < END_LIMIT, "the watching ends at once")?;
    let ran = stage.friend.clankers(&["rpc", "prompt", "desk", "/grep TODO src"]).await?;
    exits(&ran, ExitKind::Denied, "what was passed on ends with it")
}

/// The CID of the token that the laptop holds.
async fn held(stage: &Stage) -> Result<String, CliError> {
    let tokens = stage.laptop.ask(&["token", "list", "--json"]).await?;
    let held = tokens
        .as_array()
        .into_iter()
        .flatten()
        .find(|token| token.get("issued").and_then(Value::as_bool) == Some(false));
    text(held.unwrap_or(&Value::Null), "cid")
}

async fn stop(stage: &mut Stage) -> Outcome {
    step(12, "Stop all")?;
    for machine in [&mut stage.friend, &mut stage.laptop, &mut stage.desk] {
        ok(machine.clankers(&["daemon", "stop"]).await?, "the node stopped")?;
    }
    Ok(())
}

pub(super) fn say(words: &str) -> Outcome {
    Ok(output::lines([words])?)
}

pub(super) fn step(number: u32, title: &str) -> Outcome {
    Ok(output::lines(["", format!("── {number}. {title}").as_str()])?)
}

pub(super) fn text(value: &Value, key: &str) -> Result<String, CliError> {
    let text = value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| failed(&format!("'{key}' is there")))
}

pub(super) fn failed(what: &str) -> CliError {
    CliError::new(ExitKind::Failed, format!("the demo failed: it does not hold that {what}"))
}

pub(super) fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(failed(what)) }
}

pub(super) fn ok(ran: Ran, what: &str) -> Result<Ran, CliError> {
    if ran.status.success() { Ok(ran) } else { Err(failed(what)) }
}

pub(super) fn exits(ran: &Ran, kind: ExitKind, what: &str) -> Outcome {
    let code = ran.status.code();
    say(&format!("(exit code {})", code.map_or_else(|| "none".to_owned(), |code| code.to_string())))?;
    check(code == Some(kind as i32), what)
}
