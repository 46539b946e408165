//! The program `lab`, as a person uses it.

#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use clankers_lab::Lab;

const LONG: Duration = Duration::from_secs(20);

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab"))
}

/// Whether labs can be made here; says why not.
fn possible() -> bool {
    Lab::builder().hosts(1).start().is_some()
}

fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A lab in the background, with its name.
fn up(arguments: &[&str]) -> (Child, String) {
    let mut command = lab();
    command.arg("up").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap());
    // What a killed lab left is told first.
    let name = loop {
        let mut line = String::new();
        assert!(words.read_line(&mut line).unwrap() > 0, "no lab");
        if let Some(rest) = line.strip_prefix("✓ ") {
            break rest.split(':').next().unwrap().to_owned();
        }
    };
    thread::spawn(move || words.lines().for_each(|line| eprintln!("{}", line.unwrap())));
    (child, name)
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn space(name: &str, host: &str) -> std::path::PathBuf {
    Path::new("/run/netns").join(format!("{name}-{host}"))
}

#[test]
fn a_lab_runs_a_command_and_ends_with_it() {
    if !possible() {
        return;
    }
    let script = "\"$0\" exec b -- ip -o -4 addr show eth0; \"$0\" ctl show; exit 7";
    let output = lab()
        .args([
            "up",
            "--delay",
            "50ms",
            "--loss",
            "1%",
            "--rate",
            "100mbit",
            "--with",
            "set b->a delay 1ms",
            "--",
        ])
        .args(["/bin/sh", "-c", script, env!("CARGO_BIN_EXE_lab")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("10.0.0.2/24"), "{words}");
    assert!(words.contains("link a->b delay 50ms jitter 0s loss 1% rate 100mbit"), "{words}");
    assert!(words.contains("link b->a delay 1ms"), "{words}");
    let name = words.lines().find_map(|line| line.strip_prefix("lab ")).unwrap();
    assert!(!space(name, "a").exists() && !Path::new("/run/clankers-lab").join(name).exists());
}

#[test]
fn a_running_lab_is_steered_from_outside_and_from_its_input() {
    if !possible() {
        return;
    }
    let (mut child, name) = up(&["--hosts", "3"]);
    let ctl = |words: &[&str]| lab().args(["ctl", "--lab", &name]).args(words).output().unwrap();
    ok(ctl(&["set", "a->c", "delay", "20ms"]));
    ok(ctl(&["cut", "b", "1h"]));
    ok(ctl(&["move", "a", "10.0.0.9"]));
    let shown = ok(ctl(&["show"]));
    for line in
        ["host a 10.0.0.9", "link a->c delay 20ms", "link a->b CUT", "link c->b CUT", "link c->a delay"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let refused = ctl(&["set", "a->d", "delay", "20ms"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no such host"));
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "heal *").unwrap();
    wait_for("healed links", || !ok(ctl(&["show"])).contains("CUT"));
    ok(ctl(&["quit"]));
    assert!(child.wait().unwrap().success());
    assert!(!space(&name, "a").exists());
}

#[test]
fn ctrl_c_cleans_up() {
    if !possible() {
        return;
    }
    let (mut child, name) = up(&[]);
    assert!(space(&name, "a").exists());
    ok(Command::new("kill").args(["-INT", &child.id().to_string()]).output().unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!space(&name, "a").exists());
}

#[test]
fn what_a_killed_lab_leaves_is_swept_with_its_programs() {
    if !possible() {
        return;
    }
    let (mut child, name) = up(&[]);
    let mut left = lab().args(["exec", "--lab", &name, "b", "--", "sleep", "1000"]).spawn().unwrap();
    let inside = || {
        let pids = Command::new("ip").args(["netns", "pids", &format!("{name}-b")]).output().unwrap();
        String::from_utf8(pids.stdout).unwrap().contains(&left.id().to_string())
    };
    wait_for("the program on the host", inside);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(space(&name, "b").exists());
    // Any lab's start sweeps as well; another test's may have been first.
    ok(lab().arg("sweep").output().unwrap());
    wait_for("an empty /run/netns", || !space(&name, "a").exists() && !space(&name, "b").exists());
    assert!(!left.wait().unwrap().success());
    wait_for("no socket", || !Path::new("/run/clankers-lab").join(&name).exists());
}

#[test]
fn nonsense_is_refused_before_anything_is_made() {
    for (arguments, words) in [
        (["up", "--delay", "fast"], "not a time"),
        (["up", "--loss", "101%"], "not a chance"),
        (["exec", "a", "--"], "required"),
        (["ctl", "--lab", "lab-1-1-1"], "required"),
    ] {
        let output = lab().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
}
