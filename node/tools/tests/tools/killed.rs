//! What needs a node of its own: a process that can be killed, and whose environment can be chosen.

use std::process::{Command, Stdio};

use clankers_tools::Status;
use serde_json::json;

use crate::lab::{Lab, alive, pid_in, until};

const VICTIM: &str = "VICTIM_WORKSPACE";
const COMMAND: &str = "VICTIM_COMMAND";

/// Plays the node in a process of its own.
#[tokio::test]
#[ignore = "the other tests here run it"]
async fn victim() {
    let dir = std::env::var(VICTIM).unwrap();
    let workspace = clankers_tools::Workspace::open(dir.as_ref(), clankers_tools::Forbidden::none()).unwrap();
    let tools = clankers_tools::Tools::new(workspace.into(), None);
    let command = std::env::var(COMMAND).unwrap();
    let call = clankers_tools::ToolCall::parse("bash", &json!({"command": command}).to_string()).unwrap();
    let outcome = tools
        .run(
            &call,
            std::sync::Arc::new(clankers_tools::AllowAll),
            clankers_tools::OutputSink::none(),
            Default::default(),
        )
        .await;
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        std::fs::write(std::path::Path::new(&dir).join("status"), status).unwrap();
    }
}

/// A node that runs one command in the lab's workspace.
fn node(lab: &Lab, command: &str) -> Command {
    let mut node = Command::new(std::env::current_exe().unwrap());
    node.args(["--ignored", "--exact", "killed::victim"])
        .env(VICTIM, lab.at(""))
        .env(COMMAND, command)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    node
}

#[test]
fn commands_see_no_secrets() {
    let lab = Lab::new();
    let status = node(&lab, "env > seen")
        .env("ANTHROPIC_API_KEY", "sk-secret-1")
        .env("GITHUB_TOKEN", "secret-2")
        .env("CLANKERS_HOME", "/secret-3")
        .env("BASH_ENV", "secret-4")
        .env("HARMLESS", "harmless-5")
        .status()
        .unwrap();
    assert!(status.success());
    let seen = String::from_utf8(lab.get("seen")).unwrap();
    assert!(!seen.contains("secret-"), "{seen}");
    assert!(seen.contains("HARMLESS=harmless-5") && seen.contains("TERM=dumb"), "{seen}");
}

#[test]
fn a_gibibyte_of_output_costs_little_memory() {
    let peak = |command: &str| {
        let lab = Lab::new();
        assert!(node(&lab, command).status().unwrap().success());
        let status = lab.at("status").exists().then(|| String::from_utf8(lab.get("status")).unwrap())?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let (Some(before), Some(after)) =
        (peak("true"), peak("yes 0123456789abcdef0123456789abcdef | head -c 1073741824"))
    else {
        eprintln!("skipped: this system does not tell a process's peak memory in /proc");
        return;
    };
    println!("peak {before} KiB without output, {after} KiB with 1 GiB of it");
    assert!(after < before + (16 << 10), "{before} KiB, then {after} KiB");
}

#[tokio::test]
async fn children_die_with_a_killed_node() {
    if !std::path::Path::new("/proc/self/environ").exists() {
        eprintln!("skipped: children with a session of their own are found by /proc only");
        return;
    }
    let lab = Lab::new();
    let command = "setsid sleep 1000 & echo $! > session; sleep 1000 & echo $! > child; \
                   (setsid sleep 1000 & echo $! > orphan); echo $$ > shell; wait";
    let mut node = node(&lab, command).spawn().unwrap();
    let mut pids = Vec::new();
    for file in ["session", "child", "orphan", "shell"] {
        pids.push((file, pid_in(&lab.at(file)).await));
    }
    let undertaker = undertaker_of(node.id()).expect("an undertaker");
    pids.push(("undertaker", undertaker));
    assert!(pids.iter().all(|(_, pid)| alive(*pid)));
    node.kill().unwrap();
    node.wait().unwrap();
    for (file, pid) in pids {
        until(&format!("{file} is dead"), || !alive(pid)).await;
    }
}

/// The undertaker that a node started.
fn undertaker_of(node: u32) -> Option<i32> {
    let read =
        |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut pids = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let stat = read(*pid, "stat");
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(node) && read(*pid, "cmdline").contains("clankers-undertaker")
    })
}
