//! The first thing that anybody runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clankers_tests::{NodeHome, Running, limits::STEP, process, wait};
use rustix::process::Signal;

use crate::BIN;

/// Processes with this directory among their words.
pub(crate) fn processes_of(dir: &Path) -> Vec<(u32, String)> {
    let needle = dir.display().to_string();
    let ids = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let words = ids.filter_map(|id: u32| {
        let words = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        Some((id, String::from_utf8_lossy(&words).replace('\0', " ")))
    });
    words.filter(|(id, words)| words.contains(&needle) && process::lives(*id)).collect()
}

/// A directory for what is temporary, and the demo that runs in it.
fn demo(home: &NodeHome) -> (PathBuf, Running) {
    let dir = home.root().join("tmp");
    fs::create_dir(&dir).expect("a directory");
    let running = home.cli(["demo"]).env("TMPDIR", &dir).within(Duration::from_secs(60)).start();
    (dir, running)
}

fn nothing_is_left(dir: &Path) {
    assert_eq!(processes_of(dir), [], "processes are left");
    let left: Vec<_> = fs::read_dir(dir).expect("the directory").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn it_runs_leaves_nothing_and_prints_commands_that_can_be_typed() {
    let home = NodeHome::new(BIN);
    let (dir, running) = demo(&home);
    let ran = running.finish().ok();
    assert!(ran.exit.took < Duration::from_secs(120), "{:?}", ran.exit.took);
    nothing_is_left(&dir);
    assert!(!home.path().exists(), "the caller's own home is not touched");
    assert!(!ran.out().contains('\u{1b}'), "{}", ran.story());

    let commands: Vec<&str> =
        ran.out().lines().filter_map(|line| line.split_once("$ clankers ")).map(|(_, words)| words).collect();
    assert!(commands.len() >= 10, "{}", ran.story());
    for words in &commands {
        // What a shell makes of the line, and whether the words are ours: help comes only when all before it is.
        let mut shell = Command::new("/bin/sh");
        home.furnish(&mut shell);
        let output =
            shell.args(["-c", &format!("exec \"$0\" {words} --help"), BIN]).output().expect("a shell");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for told in [
        "rpc ping",
        "rpc prompt desk",
        "token create --for",
        "token delegate --from",
        "attach --remote",
        "token revoke",
        "rpc send-file desk",
        "inbox accept",
        "team join",
        "mesh",
    ] {
        assert!(commands.iter().any(|words| words.starts_with(told)), "{told} in {commands:?}");
    }
    // The refusals and the ended watching, with their exit codes; the streamed answer.
    assert_eq!(ran.out().matches("(exit code 4)").count(), 6, "{}", ran.story());
    let ended = "not allowed to watch sessions: a link of the chain was revoked";
    assert!(ran.out().contains(ended), "{}", ran.story());
    // The same words twice: to the prompter, and to the friend, who only watches.
    let watched = ran.out().split("── 8.").nth(1).and_then(|rest| rest.split("── 9.").next()).unwrap();
    assert_eq!(watched.matches("These are open:\n").count(), 2, "{}", ran.story());
    assert!(commands.iter().any(|words| words.ends_with("--read-only --tail 0")), "{commands:?}");
    assert!(ran.out().contains("! detached; come back with: clankers attach"), "{}", ran.story());
    // Two streams of one command do not run into each other's lines.
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let run = |line: &str| line.split(|c| !token(c)).map(str::len).max() > Some(200);
    let (invites, token_lines): (Vec<&str>, Vec<&str>) =
        ran.out().lines().filter(|line| run(line)).partition(|line| line.contains("clankers-team:"));
    assert_eq!(invites.len(), 4, "two that are printed, two that are typed: {}", ran.story());
    assert_eq!(token_lines.len(), 5, "{}", ran.story());
    for line in token_lines {
        assert!(line.chars().all(token), "a token stands on a line of its own: {line}");
    }
}

#[test]
fn it_fails_when_a_step_fails_and_clears_up_all_the_same() {
    let home = NodeHome::new(BIN);
    let nowhere = home.file("a-file", "").join("beneath");
    let ran = home.cli(["demo"]).env("TMPDIR", &nowhere).run().code(8);
    assert!(ran.err().contains("✗"), "{}", ran.story());
    assert!(!ran.out().contains('✓'), "{}", ran.story());

    // One of the nodes dies under it, while the other one is asked.
    let (dir, running) = demo(&home);
    running.saying("── 4.");
    let laptop = wait::until("the laptop's node", STEP, || {
        let nodes = processes_of(&dir).into_iter();
        nodes
            .filter(|(_, words)| words.contains("/laptop/") && words.contains("daemon start"))
            .map(|(id, _)| id)
            .next()
    });
    process::signal_stranger(laptop, Signal::KILL);
    let ran = running.finish();
    assert!(ran.exit.code.is_some_and(|code| code != 0), "{}", ran.story());
    assert!(ran.err().contains("the demo failed"), "{}", ran.story());
    nothing_is_left(&dir);
    fs::remove_dir(&dir).expect("an empty directory");

    // And a person who has seen enough.
    let (dir, running) = demo(&home);
    running.saying("── 2.").interrupt();
    running.finish().code(130);
    nothing_is_left(&dir);
}
