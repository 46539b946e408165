//! This machine's node: started, looked at, stopped, killed, started again.

#[path = "daemon/ends.rs"]
mod ends;

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use clankers_tests::{NodeHome, Script, Start, Turn, process};
use serde_json::{Value, json};

use crate::{BIN, main_job::demo::processes_of};

const QUIET: &[&str] = &["--bind", "127.0.0.1:0", "--relay", "off", "--mdns", "off"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o7777
}

/// Every file beneath: its path and mode.
fn modes(under: &Path) -> Vec<(String, u32, bool)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).expect("a directory") {
        let path = entry.expect("an entry").path();
        let is_dir = path.is_dir();
        found.push((path.display().to_string(), mode(&path), is_dir));
        if is_dir {
            found.extend(modes(&path));
        }
    }
    found
}

#[test]
fn in_the_background_it_is_ready_when_the_command_returns() {
    let home = NodeHome::new(BIN);
    // What programs read: all fields, and a node that answers the very next command.
    let started = home.cli(["daemon", "start", "-d", "--json"]).args(QUIET).run().ok();
    let ready = started.json();
    let pid = u32::try_from(ready["pid"].as_u64().expect("a pid")).expect("a small number");
    let answer = home.cli(["rpc", "ping", "local", "--json"]).run();
    let status = home.cli(["daemon", "status", "--json"]).run();
    let stopped = home.cli(["daemon", "stop", "--json"]).run();
    answer.ok();
    for key in ["id", "addrs", "ticket", "sessions", "pid"] {
        assert_eq!(ready[key], status.json()[key], "{key}");
        assert!(!ready[key].is_null(), "{key}: {ready}");
    }
    assert_eq!(ready["id"], home.id().to_string());
    assert!(ready["uptime_s"].as_u64().is_some_and(|uptime| uptime < 60));
    assert!(status.json()["uptime_s"].is_u64());
    assert_eq!(started.err(), "");
    assert_eq!(stopped.ok().json(), json!({"stopped": true, "pid": pid}));
    assert!(!process::lives(pid), "when stop returns it is gone");
    assert!(!home.path().join("run/node.json").exists(), "and so is the note about it");
    home.cli(["daemon", "stop"]).run().code(6);
    home.cli(["daemon", "status", "--json"]).run().code(6);

    // For people: the id and the ticket.
    let started = home.cli(["daemon", "start", "-d"]).args(QUIET).run().ok();
    assert!(started.out().contains(&home.id().to_string()) && started.out().contains("endpoint"));
    let status = home.cli(["daemon", "status"]).run().ok();
    assert!(status.out().contains(&home.id().to_string()), "{}", status.story());
    let log = home.cli(["daemon", "logs"]).run().ok();
    assert!(log.out().lines().filter(|line| line.contains("ready")).count() == 2, "{}", log.story());
    let last = home.cli(["daemon", "logs", "-n", "1"]).run().ok();
    assert_eq!(last.out().lines().count(), 1);
    assert!(log.out().ends_with(last.out()), "the last line is the last: {}", last.story());
    assert_eq!(home.cli(["daemon", "logs", "-n", "0"]).run().ok().out(), "");
    let stopped = home.cli(["daemon", "stop"]).run().ok();
    assert!(stopped.out().starts_with("✓ stopped"), "{}", stopped.story());
    // It never ran: there is no log to show.
    NodeHome::new(BIN).cli(["daemon", "logs"]).run().code(7);
}

#[test]
fn a_log_is_followed_as_it_grows() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let follower = home.cli(["daemon", "logs", "-f", "-n", "1"]).start();
    follower.saying("\n");
    // A refusal is worth a line; a stranger brings one about.
    let stranger = NodeHome::new(BIN);
    stranger.cli(["rpc", "prompt", node.ticket(), "hi"]).run().code(4);
    follower.saying("refused");
    follower.interrupt();
    let ended = follower.finish();
    assert!(ended.exit.signal == Some(2) || ended.exit.code == Some(130) || ended.exit.code == Some(0));
}

#[test]
fn what_it_writes_is_for_its_owner_alone() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("kept")));
    // The lab made that directory, as a person would: now with a careless umask.
    fs::remove_dir_all(home.path()).expect("removed");
    let shell = |words: &str| {
        let mut shell = std::process::Command::new("/bin/sh");
        home.furnish(&mut shell);
        let output =
            shell.args(["-c", &format!("umask 000; exec '{BIN}' {words}")]).output().expect("a shell");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    shell(&format!("daemon start -d {}", QUIET.join(" ")));
    let pid = Value::as_u64(&home.cli(["daemon", "status", "--json"]).run().ok().json()["pid"]);
    shell("-p /ls");
    shell("rpc peers add aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --label x");
    let guest = NodeHome::new(BIN).id();
    shell(&format!("token create --for {guest} --reviewer"));
    let check = || {
        assert_eq!(mode(&home.path()), 0o700);
        let all = modes(&home.path());
        for (path, mode, is_dir) in &all {
            assert_eq!(*mode, if *is_dir { 0o700 } else { 0o600 }, "{path}");
        }
        let has = |part: &str| assert!(all.iter().any(|(path, ..)| path.contains(part)), "{part} in {all:?}");
        ["identity.key", "logs/node.log", ".jsonl", "store.redb", "auth.log"].into_iter().for_each(has);
    };
    check();
    assert!(home.path().join("run/node.json").exists());
    shell("daemon stop");
    check();
    assert!(pid.is_some_and(|pid| !process::lives(u32::try_from(pid).expect("a small number"))));
}

#[test]
fn a_port_is_remembered_and_given_up_only_to_somebody_else() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let (addr, ticket) = (node.addrs()[0], node.ticket().to_owned());
    node.stop();
    assert!(UdpSocket::bind(addr).is_ok(), "a stopped node holds no port");
    node.restart();
    assert_eq!((node.addrs()[0], node.ticket()), (addr, ticket.as_str()), "tickets outlive a restart");
    node.stop();

    let other = UdpSocket::bind(addr).expect("free now");
    node.restart();
    assert_ne!(node.addrs()[0].port(), addr.port());
    assert_ne!(node.ticket(), ticket);
    let log = home.node_log();
    let said = log
        .lines()
        .find(|line| line.contains("WARN") && line.contains("taken"))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(said.contains(&addr.to_string()), "it says which: {said}");
    // The one that it has now is the one to come back to.
    let second = node.addrs()[0];
    node.stop();
    drop(other);
    node.restart();
    assert_eq!(node.addrs()[0], second);
    node.stop();
    // A remembered port that makes no sense is no reason not to start.
    fs::write(home.path().join("run/port"), "70000 bottles").expect("written");
    node.restart();
    assert_eq!(node.status()["pid"], node.pid());
}

#[test]
fn after_kill_9_it_recovers_by_itself() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([Turn::says("first"), Turn::says("half of").hangs()]));
    let mut node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--reviewer"]);
    let done = home.cli(["-p", "one", "--mode", "json"]).run().ok().json_lines();
    let session = done[0]["session"].as_str().expect("text").to_owned();
    let mut hanging = home.cli(["-p", "two", "--session", &session, "--mode", "json"]).start();
    hanging.json_of_type("text_delta");
    let (ticket, pid) = (node.ticket().to_owned(), node.pid());
    node.kill9();
    // Who waits there notices by the silence, in its time; here nobody waits for that.
    drop(hanging);

    // What it left: a note of a run that is over, and a lock file that nobody holds.
    assert!(home.path().join("run/node.json").exists());
    home.cli(["daemon", "status"]).run().code(6);
    let id = home.cli(["rpc", "id", "--json"]).run().ok().json();
    assert_eq!(id["ticket"], Value::Null, "a dead node's ticket is not offered");
    home.cli(["-p", "/ls"]).run().ok();
    // Even when its process id has been given to somebody else.
    let bystander = clankers_tests::node::bystander(&home);
    let note = fs::read_to_string(home.path().join("run/node.json")).expect("the note");
    let note = note.replace(&pid.to_string(), &bystander.pid().to_string());
    fs::write(home.path().join("run/node.json"), note).expect("written");
    home.cli(["daemon", "status"]).run().code(6);
    home.cli(["daemon", "stop"]).run().code(6);
    assert!(bystander.exit().is_none(), "a stranger's process is left alone");

    node.restart();
    assert_eq!(node.ticket(), ticket, "the same port, the same ticket");
    let list = home.cli(["ps", "--json"]).run().ok().json();
    let found =
        list.as_array().expect("an array").iter().find(|s| s["id"] == session.as_str()).expect("the session");
    assert_eq!(found["state"], "idle", "{found}");
    // What was acknowledged is there, the torn turn is closed, the session goes on.
    let log = String::from_utf8(home.session_log(&session)).expect("text");
    assert!(log.contains("\"first\"") && log.contains("\"two\""), "{log}");
    home.script(&Script::always(Turn::says("on we go")));
    node.stop();
    node.restart();
    let ran = home.cli(["-p", "three", "--session", &session, "--mode", "json"]).run().ok();
    assert_eq!(ran.json_lines().last().expect("lines")["outcome"], "completed");
    guest.cli(["rpc", "prompt", node.ticket(), "hi"]).run().ok();
    // The same when nothing at all is left of run/.
    node.kill9();
    fs::remove_dir_all(home.path().join("run")).expect("removed");
    node.restart();
    assert_eq!(node.status()["pid"], node.pid());
}

#[test]
fn a_start_that_is_raced_has_one_winner() {
    let home = NodeHome::new(BIN);
    // Even the home and the key are made by whoever comes first.
    let starts: Vec<_> =
        (0..5).map(|_| home.cli(["daemon", "start", "-d", "--json"]).args(QUIET).start()).collect();
    let ran: Vec<_> = starts.into_iter().map(clankers_tests::Running::finish).collect();
    let (won, lost): (Vec<_>, Vec<_>) = ran.into_iter().partition(|ran| ran.exit.code == Some(0));
    assert_eq!(
        (won.len(), lost.len()),
        (1, 4),
        "{:?}",
        lost.iter().map(|ran| ran.story().to_owned()).collect::<Vec<_>>()
    );
    let pid = won[0].json()["pid"].clone();
    for ran in lost {
        let ran = ran.code(8);
        assert!(
            ran.error()["message"].as_str().is_some_and(|m| m.contains("already running")),
            "{}",
            ran.story()
        );
    }
    assert_eq!(home.cli(["daemon", "status", "--json"]).run().ok().json()["pid"], pid);
    let node = Start::new().detached().command(&home).run().code(8);
    assert!(node.error()["message"].to_string().contains(&pid.to_string()), "{}", node.story());
    home.cli(["daemon", "stop"]).run().ok();
    assert_eq!(processes_of(home.root()), [], "winner and losers are gone");
}

#[test]
fn one_in_the_background_lets_go_of_its_starter() {
    let home = NodeHome::new(BIN);
    fs::DirBuilder::new().mode(0o700).create(home.path()).expect("the home");
    let node = Start::new().detached().on(&home);
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.pid())).expect("a process");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    // State, parent, group, session (proc(5)): it leads a session of its own, so the terminal's end is not its end.
    assert_eq!(fields[3], node.pid().to_string(), "{stat}");
    for (descriptor, wanted) in [(0, "/dev/null"), (2, "/dev/null")] {
        let target = fs::read_link(format!("/proc/{}/fd/{descriptor}", node.pid())).expect("a descriptor");
        assert_eq!(target, Path::new(wanted), "{descriptor}");
    }
}

/// Each thread's own pool of memory would grow for hours; what the owner has set stands.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_node_has_one_pool_of_memory_unless_somebody_said_how_many() {
    let pools = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).expect("an environment");
        let environment = String::from_utf8_lossy(&environment).into_owned();
        environment.split('\0').find_map(|one| one.strip_prefix("MALLOC_ARENA_MAX=").map(str::to_owned))
    };
    let node = NodeHome::new(BIN).start();
    assert_eq!(pools(node.pid()).as_deref(), Some("1"));
    let node = Start::new().env("MALLOC_ARENA_MAX", "3").on(&NodeHome::new(BIN));
    assert_eq!(pools(node.pid()).as_deref(), Some("3"));
    let home = NodeHome::new(BIN);
    let started = home.cli(["daemon", "start", "-d", "--json"]).args(QUIET).run().ok().json();
    let pid = u32::try_from(started["pid"].as_u64().expect("a pid")).expect("a small number");
    let found = pools(pid);
    home.cli(["daemon", "stop"]).run().ok();
    assert_eq!(found.as_deref(), Some("1"));
}
