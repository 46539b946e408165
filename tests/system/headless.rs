//! Without anybody at a terminal: exit codes one by one, what is piped in, what is written out, and what never hangs.

#[path = "headless/codes.rs"]
mod codes;
#[path = "headless/files.rs"]
mod files;
#[path = "headless/sessions.rs"]
mod sessions;
#[path = "headless/steering.rs"]
mod steering;

use clankers_tests::{
    NodeHome,
    cli::{Cli, Ran},
};
use serde_json::Value;

/// `-p TEXT --mode json`.
fn prompt(home: &NodeHome, text: &str, more: &[&str]) -> Cli {
    home.cli(["-p", text, "--mode", "json"]).args(more)
}

/// The lines of one type.
fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn session_of(ran: &Ran) -> String {
    ran.json_lines()[0]["session"].as_str().unwrap().to_owned()
}
