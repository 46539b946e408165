//! A whole tool loop against a mock that somebody else wrote, unmodified: `@copilotkit/aimock` from npm. Its journal says
//! what was really sent, in both dialects.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use clankers_tests::{
    NodeHome,
    process::{Input, Process},
};
use serde_json::{Value, json};

use crate::BIN;

/// The version that these tests were written against.
const PACKAGE: &str = "@copilotkit/aimock@1.43.0";

/// Where it is installed: beside what cargo builds, so that it is fetched once.
fn command_line() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm");
    let file = place.join("node_modules/@copilotkit/aimock/dist/cli.js");
    if !file.exists() {
        // A test fetches nothing from anywhere unless it was told to.
        if std::env::var_os("CLANKERS_TEST_INSTALL").is_none_or(|value| value != "1") {
            return Err(format!("{PACKAGE} is not installed; CLANKERS_TEST_INSTALL=1 installs it"));
        }
        fs::create_dir_all(&place).map_err(|error| error.to_string())?;
        let installed = Command::new("npm")
            .args([
                "install",
                "--no-fund",
                "--no-audit",
                "--fetch-retries=1",
                "--fetch-timeout=20000",
                "--prefix",
            ])
            .arg(&place)
            .arg(PACKAGE)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("npm cannot be run: {error}"))?;
        if !installed.status.success() {
            let why =
                String::from_utf8_lossy(&installed.stderr).lines().last().unwrap_or_default().to_owned();
            return Err(format!("npm cannot install {PACKAGE}: {why}"));
        }
    }
    if file.exists() { Ok(file) } else { Err(format!("{PACKAGE} has no dist/cli.js")) }
}

/// What the mock remembers of what it was asked.
fn journal(address: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("GET /__aimock/journal HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (from, to) = (answer.find("[{").unwrap(), answer.rfind(']').unwrap());
    serde_json::from_str(&answer[from..=to]).unwrap()
}

#[test]
fn a_tool_loop_runs_against_somebody_elses_mock() {
    let cli = match command_line() {
        Ok(cli) => cli,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let home = NodeHome::new(BIN);
    let fixtures = json!({"fixtures": [
        {"match": {"hasToolResult": true}, "response": {"content": "It has three lines."}},
        {"match": {"userMessage": "look at notes.txt"}, "response": {"toolCalls": [
            {"name": "read", "arguments": json!({"path": "notes.txt"}).to_string()}]}},
    ]});
    let fixtures = home.file("fixtures.json", fixtures.to_string());
    let mut command = Command::new("node");
    command.arg(cli).args(["-p", "0", "-f"]).arg(fixtures);
    let mock = Process::spawn(command, Input::Nothing);
    let said = mock.stdout().wait(Duration::from_secs(30), |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (_, rest) = text.split_once("listening on http://")?;
        rest.split_once('\n').map(|(address, _)| address.trim().to_owned())
    });
    let address = said.unwrap_or_else(|| panic!("the mock did not start: {}", mock.story()));
    for (model, variable, base) in [
        ("openai/gpt-4o", "OPENAI", format!("http://{address}/v1")),
        ("anthropic/claude-haiku-4-5", "ANTHROPIC", format!("http://{address}")),
    ] {
        let ran = home
            .cli(["-p", "look at notes.txt", "--model", model])
            .env(&format!("{variable}_BASE_URL"), base)
            .env(&format!("{variable}_API_KEY"), "sk-of-nobody")
            .run()
            .ok();
        assert_eq!(ran.out(), "It has three lines.\n", "{}", ran.story());
    }
    let journal = journal(&address);
    let asked: Vec<(&str, &Value)> = journal
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["method"] == "POST")
        .map(|entry| (entry["path"].as_str().unwrap(), &entry["body"]))
        .collect();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths,
        ["/v1/chat/completions", "/v1/chat/completions", "/v1/messages", "/v1/messages"],
        "{journal}"
    );
    for (_, body) in &asked {
        let tools = body["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 7, "{body}");
    }
    for answered in [asked[1].1, asked[3].1] {
        // What the tool said, under the call's own id, after the message that called it.
        let messages = answered["messages"].to_string();
        let (call, result) = (messages.find("notes.txt\\\"").unwrap(), messages.find("three").unwrap());
        assert!(call < result, "{messages}");
    }
}
