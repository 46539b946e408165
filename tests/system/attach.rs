//! Attached sessions through the real binary: seen from elsewhere, typed into, cut and taken up again.

#[path = "attach/cuts.rs"]
mod cuts;
#[path = "attach/faults.rs"]
mod faults;
#[path = "attach/manners.rs"]
mod manners;
#[path = "attach/roles.rs"]
mod roles;
#[path = "attach/terminal.rs"]
pub(crate) mod terminal;
#[path = "attach/typing.rs"]
mod typing;
#[path = "attach/waiting.rs"]
mod waiting;
#[path = "attach/wire.rs"]
mod wire;

use std::time::Duration;

use clankers_tests::{
    Node, NodeHome,
    cli::{Cli, Ran, Running},
};
use serde_json::Value;

/// Waits in a shell until the test makes the file.
const GATE: &str = "until [ -e go ]; do sleep 0.01; done";
/// How long a viewer may take for what it is waited for (time).
const LIMIT: Duration = Duration::from_secs(30);

/// `attach --mode json` here, with standard input left open.
fn attach(home: &NodeHome, more: &[&str]) -> Cli {
    home.cli(["attach", "--mode", "json"]).args(more).stdin_open().within(LIMIT)
}

/// The same on another node.
fn remote(guest: &NodeHome, node: &Node, more: &[&str]) -> Cli {
    attach(guest, &["--remote", node.ticket()]).args(more)
}

/// A prompt's session.
fn session_of(home: &NodeHome, text: &str) -> String {
    let ran = home.cli(["rpc", "prompt", "local", text, "--mode", "json"]).run().ok();
    ran.json_lines()[0]["session"].as_str().unwrap().to_owned()
}

fn durable(lines: &[Value]) -> Vec<Value> {
    lines.iter().filter(|line| line.get("seq").is_some() && line["type"] != "detached").cloned().collect()
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    durable(lines).iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

/// Reads lines until one fits.
fn until(run: &mut Running, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut seen = Vec::new();
    while let Some(line) = run.json() {
        let found = fits(&line);
        seen.push(line);
        if found {
            return seen;
        }
    }
    panic!("it ended before: {}", run.process().story());
}

/// Leaves as Ctrl-C does when only watching, and says everything that was printed.
fn leave(run: Running) -> Ran {
    run.interrupt();
    run.finish().code(0)
}

/// The text of a message as its pieces say it, laid out by their offsets.
fn streamed(lines: &[Value], item: &str) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| line["type"] == "text_delta" && line["item"] == item) {
        let offset = usize::try_from(line["offset"].as_u64().unwrap()).unwrap();
        assert_eq!(offset, text.len(), "a piece is missing or there twice: {line}");
        text.push_str(line["text"].as_str().unwrap());
    }
    text
}
