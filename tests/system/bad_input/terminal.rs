//! Words from elsewhere on a terminal, and a reader that goes away.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use clankers_tests::{NodeHome, Script, Turn};
use serde_json::json;

use super::fake::{Fake, Manner};
use crate::BIN;

/// Clears the screen, renames the window, turns around what is read, hides; and a C1 control.
const NASTY: &str = "A\u{1b}[2J\u{1b}]0;owned\u{7}B\u{202e}C\u{200b}D\u{9b}31mE\rF";

fn is_clean(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    !text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202e}' | '\u{200b}'))
}

#[test]
fn a_models_words_reach_no_terminal_raw() {
    let home = NodeHome::new(BIN);
    home.file(&format!("name{}", "\u{1b}[31m"), "TODO");
    home.script(&Script::of([
        Turn::says(NASTY)
            .thinking(NASTY)
            .and_calls("bash", &json!({"command": format!("printf '{NASTY}'")}))
            .and_calls(NASTY, &json!({"x": NASTY})),
        Turn::says("{{result}}"),
        Turn::fails("server", NASTY).status(400),
    ]));
    let text = home.cli(["-p", NASTY]).run().ok();
    assert!(is_clean(&text.stdout) && is_clean(&text.stderr), "{:?} {:?}", text.out(), text.err());
    assert!(text.out().contains("A\u{fffd}[2J"), "something stood there: {:?}", text.out());
    let failed = home.cli(["-p", "again", "--session", "last"]).run().code(1);
    assert!(is_clean(&failed.stderr) && failed.err().contains('✗'), "{:?}", failed.err());
    let listed = home.cli(["ps"]).run().ok();
    assert!(is_clean(&listed.stdout), "{:?}", listed.out());
    let direct = home.cli(["-p", "/ls"]).run().ok();
    assert!(is_clean(&direct.stdout), "{:?}", direct.out());

    // A program gets all of it, escaped.
    let ran = home.cli(["-p", NASTY, "--mode", "json"]).run().ok();
    let message = ran.json_lines().into_iter().find(|line| line["type"] == "message").expect("a message");
    assert_eq!(message["text"], NASTY);
    assert!(!ran.stdout.contains(&0x1b) && !ran.stdout.contains(&b'\r'), "{:?}", ran.out());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peers_refusal_reaches_no_terminal_raw() {
    let words = format!("{NASTY}\nsecond line");
    let fake = Fake::that(Manner::Refuses(words.clone(), words)).await;
    let ticket = fake.ticket();
    tokio::task::spawn_blocking(move || {
        let home = NodeHome::new(BIN);
        let ran = home.cli(["rpc", "prompt", &ticket, "hi"]).run().code(4);
        assert!(ran.stdout.is_empty() && is_clean(&ran.stderr), "{:?}", ran.err());
        assert!(ran.err().contains('A') && ran.err().lines().count() == 2, "{:?}", ran.err());
        let ran = home.cli(["rpc", "prompt", &ticket, "hi", "--mode", "json"]).run().code(4);
        assert!(is_clean(&ran.stderr) && ran.stdout.is_empty(), "{:?}", ran.err());
        assert_eq!(ran.error()["kind"], "denied");
        let asked = home.cli(["ps", "--remote", &ticket]).run().code(4);
        assert!(is_clean(&asked.stderr), "{:?}", asked.err());
    })
    .await
    .expect("the checks");
    fake.close().await;
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says(&"many words ".repeat(60)).piece_chars(4).delay_ms(5)));
    let _node = home.start();
    for words in [
        &["-p", "go", "--mode", "json"][..],
        &["rpc", "prompt", "local", "go"],
        &["rpc", "ping", "local", "-c", "100000"],
    ] {
        let mut command = home.command();
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let mut out = BufReader::new(child.stdout.take().expect("asked for"));
        let mut first = [0; 1];
        out.read_exact(&mut first).expect("something is said");
        if words.contains(&"json") {
            out.read_line(&mut String::new()).expect("a line");
        }
        drop(out);
        let mut err = String::new();
        child.stderr.take().expect("asked for").read_to_string(&mut err).expect("text");
        let status = child.wait().expect("its end");
        assert_eq!(err, "", "{words:?}: {status}");
    }
    // As people do it.
    let mut shell = std::process::Command::new("/bin/sh");
    home.furnish(&mut shell);
    let line = format!("'{BIN}' -p go --mode json | head -n 1");
    let output = shell.args(["-c", &line]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
