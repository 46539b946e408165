//! What is typed, and what a person sees.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    process::Command,
};

use clankers_tests::{
    NodeHome, Script, Turn,
    process::{Input, Process},
};
use serde_json::json;

use super::{LIMIT, session_of};
use crate::BIN;

/// Waits until it has printed this.
fn printed(process: &Process, text: &str) {
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(());
    assert!(process.stdout().wait(LIMIT, has).is_some(), "never printed {text:?}: {}", process.story());
}

/// `attach` with a pipe as its standard input, to type into while it runs.
fn typing(home: &NodeHome, session: &str, mode: &str) -> (Process, File) {
    let pipe = home.workspace().join("typed");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = Command::new("sh");
    home.furnish(&mut command);
    command.args(["-c", "exec \"$0\" attach \"$1\" --mode \"$2\" < typed", BIN, session, mode]);
    let viewer = Process::spawn(command, Input::Nothing);
    let typed = OpenOptions::new().write(true).open(&pipe).unwrap();
    (viewer, typed)
}

#[test]
fn what_is_typed_while_the_node_is_away_is_sent_once_it_is_back() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("heard: {{prompt}}")));
    let mut node = home.start();
    let session = session_of(&home, "/ls");
    let (viewer, mut typed) = typing(&home, &session, "json");
    printed(&viewer, "\"attached\"");
    node.kill9();
    printed(&viewer, "\"stale\"");
    writeln!(typed, "are you there").unwrap();
    printed(&viewer, "\"input_kept\"");
    node.restart();
    printed(&viewer, "\"resumed\":true");
    printed(&viewer, "\"input_taken\"");
    printed(&viewer, "\"text\":\"heard: are you there\"");
    writeln!(typed, "and again").unwrap();
    printed(&viewer, "\"text\":\"heard: and again\"");
    let text = viewer.stdout().text();
    assert_eq!(text.matches("\"text\":\"are you there\"").count(), 1, "{}", viewer.story());
    // The end of a pipe does not leave; a word does.
    writeln!(typed, "/detach").unwrap();
    let exit = viewer.wait(LIMIT).unwrap();
    assert_eq!(exit.code, Some(0), "{}", viewer.story());
    assert!(viewer.stdout().text().trim_end().lines().last().unwrap().contains("\"detached\""));
}

#[test]
fn a_slip_answers_nothing_and_is_no_prompt() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": "echo ran > ran.txt" })),
        Turn::says("it is done"),
        Turn::says("heard: {{prompt}}"),
    ]));
    let _node = home.start();
    let session = session_of(&home, "/ls");
    let (viewer, mut typed) = typing(&home, &session, "text");
    let ask = ["rpc", "prompt", "local", "go", "--session", &session, "--ask", "shell"];
    let said = |text: &str| {
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(());
        assert!(viewer.stderr().wait(LIMIT, has).is_some(), "never said {text:?}: {}", viewer.story());
    };
    said("/help says what there is");
    let asked = home.cli(ask).within(LIMIT).start();
    said("(/approve ");
    writeln!(typed, "/appr\n/nonsense please").unwrap();
    let unknown = |word: &str| {
        format!("! there is no command {word}; /help lists them; begin with a space to send it as it is\n")
    };
    said(&unknown("/appr"));
    said(&unknown("/nonsense"));
    writeln!(typed, "/approve").unwrap();
    asked.finish().ok();
    assert!(home.workspace().join("ran.txt").exists(), "{}", viewer.story());
    // What is meant is sent: with a space before it, a path, a tool's name; and the model had nothing else to answer.
    writeln!(typed, " /nonsense").unwrap();
    printed(&viewer, "heard: /nonsense\n");
    writeln!(typed, "/read ran.txt").unwrap();
    printed(&viewer, "ran\n");
    writeln!(typed, "/model nope/x\n/detach").unwrap();
    assert_eq!(viewer.wait(LIMIT).unwrap().code, Some(0), "{}", viewer.story());
    let err = viewer.stderr().text();
    assert!(
        err.contains("for nope/x; whether the node has it shows with your next prompt"),
        "{}",
        viewer.story()
    );
    let all = home.cli(["attach", &session, "--before", "1000000", "--mode", "json"]).run().ok().json_lines();
    let prompts: Vec<_> =
        all.iter().filter(|line| line["type"] == "prompt").map(|line| &line["text"]).collect();
    assert_eq!(prompts, ["/ls", "go", "/nonsense", "/read ran.txt"]);
}

#[test]
fn a_person_sees_the_transcript_and_no_escape_of_anybodys() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("an \u{1b}[31manswer").piece_chars(3)));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--operator"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "do \u{1b}[2J it", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    let (viewer, mut typed) = typing(&home, &session, "text");
    printed(&viewer, "an \u{fffd}[31manswer\n");
    typed.write_all(b"/who\n/who is that\n/model\n/detach\n").unwrap();
    assert_eq!(viewer.wait(LIMIT).unwrap().code, Some(0), "{}", viewer.story());
    assert_eq!(viewer.stdout().text().trim_end(), "an \u{fffd}[31manswer", "{}", viewer.story());
    let err = viewer.stderr().text();
    for said in [
        "typing, 0 others",
        &format!("{} ❯ do \u{fffd}[2J it", guest.id().short()),
        "types, since",
        "(you)",
        "takes less than that",
        "model scripted",
        "come back with: clankers attach",
    ] {
        assert!(err.contains(said), "{said:?} is not there: {}", viewer.story());
    }
    assert!(!err.contains('\u{1b}'), "{}", viewer.story());
}
