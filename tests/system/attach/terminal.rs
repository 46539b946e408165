//! On a real terminal: 80 columns, 24 rows, through tmux.

use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use clankers_tests::{NodeHome, Script, Turn, wait};
use serde_json::json;

use super::{LIMIT, session_of};
use crate::BIN;

/// A terminal with one program in it. Gone with the value.
pub(crate) struct Terminal {
    home: NodeHome,
    socket: PathBuf,
}

impl Terminal {
    /// Runs this in `home`; none where there is no tmux.
    pub(crate) fn start(home: &NodeHome, environment: &[&str], words: &[&str]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: there is no tmux here");
            return None;
        }
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { home: home.clone(), socket: home.root().join(format!("tmux{number}.sock")) };
        let told: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // Ctrl-C is for the program: the shell outlives it.
        let line = format!(
            "trap : INT; env {} {BIN} {}; echo ended with $?; exec cat",
            environment.join(" "),
            told.join(" ")
        );
        terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", "sh", "-c", &line]);
        Some(terminal)
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        self.home.furnish(&mut command);
        command.env("TERM", "xterm-256color").args(["-u", "-f", "/dev/null", "-S"]);
        let done = command.arg(&self.socket).args(words).output().unwrap();
        assert!(done.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What stands on it, and what has scrolled away; with its escapes when `raw`.
    pub(crate) fn screen(&self, raw: bool) -> String {
        let words = ["capture-pane", "-p", "-S", "-200", "-e"];
        self.tmux(&words[..if raw { 5 } else { 4 }])
    }

    pub(crate) fn shows(&self, text: &str) -> String {
        let mut last = String::new();
        let seen = wait::try_until(LIMIT, || {
            last = self.screen(false);
            last.contains(text).then_some(())
        });
        assert!(seen.is_some(), "never showed {text:?}:\n{last}");
        last
    }

    pub(crate) fn types(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        self.home.furnish(&mut command);
        let _gone = command.arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

#[test]
fn a_line_is_edited_while_text_appears_above_it() {
    let home = NodeHome::new(BIN);
    let nasty = "# A title\nsome **bold** words and \u{1b}[2Jnothing worse\n";
    home.script(&Script::of([
        Turn::says(nasty).piece_chars(4).and_calls("ls", &json!({})),
        Turn::says("listed, {{prompt}}"),
        Turn::says("this one hangs\n").hangs(),
    ]));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let Some(terminal) = Terminal::start(&home, &[], &["attach", &session, "--tail", "0"]) else { return };
    terminal.shows("typing · scripted");
    // A word typed wrong, put right in the middle of the line.
    terminal.types(&["go n", "Left", "o", "End", "w", "Enter"]);
    let seen = terminal.shows("listed, go onw");
    assert!(seen.contains("some bold words and \u{fffd}[2Jnothing worse"), "{seen}");
    assert!(seen.contains("✓ ls {} → "), "a call and its outcome on one line: {seen}");
    assert!(seen.contains("local · direct "), "the way there: {seen}");
    assert!(terminal.screen(true).contains("\u{1b}[1m# A title"), "{:?}", terminal.screen(true));
    // What was typed stays while something appears; Ctrl-C interrupts the turn, not the client.
    terminal.types(&["wait for it", "Enter"]);
    terminal.shows("this one hangs");
    terminal.shows("running");
    terminal.types(&["C-c"]);
    terminal.shows("cancelling; Ctrl-C again leaves");
    terminal.shows("cancelled");
    terminal.types(&["/who", "Enter"]);
    terminal.shows("(you)");
    // The history of this home, and nothing of anybody else's in it.
    terminal.types(&["Up", "Up"]);
    terminal.shows("> wait for it");
    terminal.types(&["C-u", "C-d"]);
    let seen = terminal.shows("ended with 0");
    assert!(seen.contains("come back with: clankers attach"), "{seen}");
    let kept = std::fs::read_to_string(home.path().join("attach_history")).unwrap();
    assert_eq!(
        kept.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(),
        ["go onw", "wait for it", "/who"]
    );
    let mode = std::os::unix::fs::MetadataExt::mode(&home.path().join("attach_history").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
    // The terminal echoes and ends lines again.
    terminal.types(&["plain again", "Enter"]);
    wait::until("the echo of cat", LIMIT, || {
        (terminal.screen(false).matches("plain again").count() == 2).then_some(())
    });
}

#[test]
fn without_colour_and_on_a_dumb_terminal_it_works_too() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("# heard: {{prompt}}\n")));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    for (environment, coloured) in [("NO_COLOR=1", false), ("TERM=dumb", false), ("A=b", true)] {
        let words = ["attach", &session, "--tail", "0"];
        let Some(terminal) = Terminal::start(&home, &[environment], &words) else { return };
        terminal.shows("/help says what there is");
        terminal.types(&["hello", "Enter"]);
        terminal.shows("# heard: hello");
        assert_eq!(
            terminal.screen(true).contains('\u{1b}'),
            coloured,
            "{environment}: {:?}",
            terminal.screen(true)
        );
        terminal.types(&["C-d"]);
        terminal.shows("ended with 0");
    }
}

#[test]
fn alone_on_a_terminal_it_starts_a_node_and_offers_its_sessions() {
    let home = NodeHome::new(BIN);
    home.script_and(
        &Script::always(Turn::says("heard: {{prompt}}\n")),
        "[network]\nbind = \"127.0.0.1:0\"\nrelay = \"off\"\nmdns = false\n",
    );
    // Nothing to pick from: a new session.
    let Some(terminal) = Terminal::start(&home, &[], &[]) else { return };
    terminal.shows("the node runs now");
    terminal.types(&["first", "Enter"]);
    terminal.shows("heard: first");
    terminal.types(&["C-d"]);
    terminal.shows("ended with 0");
    drop(terminal);
    session_of(&home, "/ls");
    let Some(terminal) = Terminal::start(&home, &[], &[]) else { return };
    terminal.shows("which (1-2, or an id)");
    terminal.types(&["2", "Enter"]);
    terminal.shows("heard: first");
    terminal.types(&["/older 1", "Enter"]);
    terminal.shows("there is nothing older");
    terminal.types(&["/detach", "Enter"]);
    let seen = terminal.shows("ended with 0");
    assert!(seen.contains("come back with: clankers attach"), "{seen}");
    home.cli(["daemon", "stop"]).run().ok();
}

#[test]
fn a_terminal_is_given_back_whatever_ends_the_client() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("this one hangs\n").hangs()));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let Some(terminal) = Terminal::start(&home, &[], &["attach", &session, "--tail", "0"]) else {
            return;
        };
        terminal.shows("typing · scripted");
        terminal.types(&["half a line"]);
        terminal.shows("> half a line");
        let attached = |pid: &u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words.next() == Some(BIN.as_bytes()) && words.next() == Some(b"attach")
        };
        let pid = home.processes().into_iter().find(attached).unwrap();
        clankers_tests::process::signal_stranger(pid, signal);
        let seen = terminal.shows("ended with 130");
        assert!(seen.contains("come back with: clankers attach"), "{seen}");
        terminal.types(&["plain again", "Enter"]);
        wait::until("the echo of cat", LIMIT, || {
            (terminal.screen(false).matches("plain again").count() == 2).then_some(())
        });
    }
}

#[test]
fn the_status_line_says_that_the_node_is_gone_for_as_long_as_it_is() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("heard: {{prompt}}\n")));
    let mut node = home.start();
    let session = session_of(&home, "/ls");
    let Some(terminal) = Terminal::start(&home, &[], &["attach", &session, "--tail", "0"]) else { return };
    terminal.shows("typing · scripted");
    let seen = terminal.shows("local · direct ");
    assert!(!seen.contains("no connection"), "{seen}");
    node.kill9();
    let seen = terminal.shows("local · no connection · not attached · scripted");
    assert!(!seen.contains("local · direct "), "{seen}");
    // What is typed meanwhile changes nothing of that.
    terminal.types(&["are you there", "Enter"]);
    terminal.shows("this is sent when it does");
    terminal.types(&["/who", "Enter"]);
    let seen = terminal.shows("(you)");
    assert!(!seen.contains("local · direct "), "{seen}");
    node.restart();
    terminal.shows("heard: are you there");
    terminal.shows("typing · scripted");
    let seen = terminal.shows("local · direct ");
    let last = seen.lines().rev().find(|line| line.contains("local · ")).unwrap();
    assert!(last.contains("direct "), "{seen}");
    terminal.types(&["C-d"]);
    terminal.shows("ended with 0");
}

#[test]
fn flags_of_a_prompt_without_one_are_not_ignored() {
    let home = NodeHome::new(BIN);
    let Some(terminal) = Terminal::start(&home, &[], &["--model", "scripted"]) else { return };
    let seen = terminal.shows("ended with 2");
    assert!(seen.contains("--model goes with a prompt, and there is none"), "{seen}");
}
