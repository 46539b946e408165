//! One command line: run to its end, or watched line by line as it prints.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    capture::Line,
    home::NodeHome,
    limits::COMMAND,
    process::{Exit, Input, Process},
};

/// A command line that is being put together.
#[derive(Debug, Clone)]
#[must_use]
pub struct Cli {
    home: NodeHome,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    input: Input,
    limit: Duration,
}

impl Cli {
    /// `clankers` without arguments.
    pub fn new(home: &NodeHome) -> Self {
        Self {
            home: home.clone(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Input::Nothing,
            limit: COMMAND,
        }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// One more variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs in this directory instead of the workspace.
    pub fn dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// What it reads on standard input; nothing otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// Leaves standard input open and silent.
    pub fn stdin_open(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// How long it may take; after that it is killed and the test fails.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn command(&self) -> Command {
        let mut command = self.home.command();
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// Starts it, to be watched.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(self) -> Running {
        let command = self.command();
        Running { process: Process::spawn(command, self.input), next: 0, limit: self.limit }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end in its time.
    pub fn run(self) -> Ran {
        self.start().finish()
    }
}

/// A command line that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
    next: usize,
    limit: Duration,
}

impl Running {
    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The next line of its standard output with the time of its arrival; `None` when the output has ended.
    ///
    /// # Panics
    /// When none comes in its time.
    pub fn line(&mut self) -> Option<Line> {
        match self.process.stdout().line(self.next, self.limit) {
            Some((line, next)) => {
                self.next = next;
                Some(line)
            }
            None if self.process.stdout().wait_closed(Duration::ZERO) => None,
            None => panic!("no line within {:?}: {}", self.limit, self.process.story()),
        }
    }

    /// The next line as JSON.
    ///
    /// # Panics
    /// When none comes in its time, or it is no JSON.
    pub fn json(&mut self) -> Option<Value> {
        let line = self.line()?;
        Some(serde_json::from_slice(&line.bytes).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {:?}\n{}", line.text(), self.process.story())
        }))
    }

    /// Reads JSON lines until one has this `"type"`, and returns it.
    ///
    /// # Panics
    /// When the output ends before.
    pub fn json_of_type(&mut self, wanted: &str) -> Value {
        while let Some(value) = self.json() {
            if value["type"] == wanted {
                return value;
            }
        }
        panic!("no line of type {wanted:?}: {}", self.process.story());
    }

    /// Waits until its standard output has this text anywhere.
    ///
    /// # Panics
    /// When it does not come.
    pub fn saying(&self, text: &str) -> &Self {
        let needle = text.as_bytes();
        let found = self
            .process
            .stdout()
            .wait(self.limit, |bytes| bytes.windows(needle.len()).any(|part| part == needle).then_some(()));
        assert!(found.is_some(), "never said {text:?}: {}", self.process.story());
        self
    }

    /// Types this, where standard input was left open.
    pub fn types(&self, text: &str) {
        self.process.write(text.as_bytes());
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.process.signal(Signal::INT);
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it survives that.
    pub fn kill9(&self) {
        self.process.kill();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in its time; it is killed then.
    pub fn finish(self) -> Ran {
        let Some(exit) = self.process.wait(self.limit) else {
            panic!("still running after {:?}: {}", self.limit, self.process.story());
        };
        Ran {
            exit,
            stdout: self.process.stdout().bytes(),
            stderr: self.process.stderr().bytes(),
            story: self.process.story(),
        }
    }
}

/// A command line that has ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ended and when.
    pub exit: Exit,
    /// What it printed on standard output.
    pub stdout: Vec<u8>,
    /// What it printed on standard error.
    pub stderr: Vec<u8>,
    story: String,
}

impl Ran {
    /// It ended with code 0.
    ///
    /// # Panics
    /// Otherwise.
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// It ended with this code.
    ///
    /// # Panics
    /// Otherwise.
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.exit.code, Some(code), "{}", self.story);
        self
    }

    /// Standard output as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.story))
    }

    /// Standard error as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn err(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap_or_else(|error| panic!("{error}: {}", self.story))
    }

    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.story))
    }

    /// Standard output as one JSON value a line.
    ///
    /// # Panics
    /// When a line is none.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}: {}", self.story));
        self.out().lines().map(parse).collect()
    }

    /// The `error` object that `--json` puts on standard error: `kind`, `message`, `hints`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn error(&self) -> Value {
        let parsed = self.err().lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let error = parsed.as_ref().and_then(|value| value.get("error"));
        error.unwrap_or_else(|| panic!("no JSON error on standard error: {}", self.story)).clone()
    }

    /// The command, how it ended and what it printed: for messages of failed assertions.
    #[must_use]
    pub fn story(&self) -> &str {
        &self.story
    }
}
