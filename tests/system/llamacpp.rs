//! A prompt answered by a real OpenAI-compatible server that somebody else wrote: llama.cpp's own, from the package
//! `xllamacpp` of PyPI, with a tiny model of random weights that is made on the spot. What it says means nothing and is
//! hardly ever valid text, which is the better test.
//!
//! Runs where Python has the packages; with `CLANKERS_TEST_INSTALL=1` they are installed, once, beside what cargo builds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use clankers_tests::{
    NodeHome,
    process::{Input, Process},
};
use serde_json::Value;

use crate::BIN;

/// The versions that this test was written against.
const PACKAGES: [&str; 3] = ["xllamacpp==2026.10.11549", "gguf==0.19.0", "numpy"];
/// Makes the model and serves it.
const SERVER: &str = include_str!("llamacpp/serve.py");
/// How long the server may take to be there.
const START: Duration = Duration::from_secs(60);

fn works(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import gguf, numpy, xllamacpp"]).stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

fn done(command: &mut Command) -> Result<(), String> {
    let what = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what}: {error}"))?;
    let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{what}: {last}")) }
}

/// A Python that has the packages.
fn python() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let own = place.join("bin/python");
    if let Some(found) = [own.clone(), "python3".into()].into_iter().find(|python| works(python)) {
        return Ok(found);
    }
    if std::env::var_os("CLANKERS_TEST_INSTALL").is_none_or(|value| value != "1") {
        return Err(
            "python3 has no xllamacpp and gguf; CLANKERS_TEST_INSTALL=1 installs them with pip".into()
        );
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    let pip = ["-m", "pip", "install", "--quiet", "--retries=1", "--timeout=20"];
    done(Command::new(&own).args(pip).args(PACKAGES))?;
    if works(&own) { Ok(own) } else { Err("the packages are installed, but cannot be imported".into()) }
}

#[test]
fn a_real_server_answers_with_a_model_of_random_weights() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let home = NodeHome::new(BIN);
    let script = home.root().join("serve.py");
    fs::write(&script, SERVER).unwrap();
    let mut command = Command::new(python);
    command.arg(script).arg(home.root().join("model.gguf"));
    let server = Process::spawn(command, Input::Open);
    let said = server.stdout().wait(START, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (_, rest) = text.split_once("serving on ")?;
        rest.split_once('\n').map(|(address, _)| address.trim().to_owned())
    });
    let address = said.unwrap_or_else(|| panic!("the server did not start: {}", server.story()));
    let base = format!("{address}/v1");
    let ask = |words: &[&str]| {
        let ran = home
            .cli(["--api-base", &base, "--model", "openai/tiny-random", "--mode", "json"])
            .args(words)
            .within(START)
            .run()
            .ok();
        ran.json_lines()
    };
    let first = ask(&["-p", "What is your name?"]);
    let session = answered(&first);
    // What it said, however odd, goes back to it: the server refuses a request that is not valid.
    let second = ask(&["-p", "And mine?", "--session", &session]);
    assert_eq!(answered(&second), session);
    let read = |lines: &[Value]| {
        let usage = &of_type(lines, "usage")["usage"];
        usage["input"].as_u64().unwrap() + usage["cache_read"].as_u64().unwrap()
    };
    assert!(read(&second) > read(&first), "the second request has the first in it: {second:?}");
    assert!(home.session_log(&session).len() > 500);
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}: {lines:?}"))
}

/// It said something, was done by itself and counted what it said; gives the session.
fn answered(lines: &[Value]) -> String {
    let message = of_type(lines, "message");
    assert!(!message["text"].as_str().unwrap().is_empty(), "{message}");
    assert!(lines.iter().any(|line| line["type"] == "text_delta"), "{lines:?}");
    assert!(of_type(lines, "usage")["usage"]["output"].as_u64().unwrap() > 0);
    assert_eq!(of_type(lines, "settled")["outcome"], "completed");
    message["session"].as_str().unwrap().to_owned()
}
