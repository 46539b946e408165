//! The one error of the command line: what happened, why, and what to do next. Its kind is the exit code.

use clankers_client::ClientError;
use clankers_protocol::{
    refusal::{ExitKind, RefusalCode},
    text::{self, Clean},
};

/// Characters of one line of a peer's words that are shown.
const LINE_CHARS: usize = 500;

/// An error as a person or a script sees it.
#[derive(Debug)]
pub(crate) struct CliError {
    /// What the process exits with.
    pub(crate) kind: ExitKind,
    /// What happened and why, in one line.
    pub(crate) message: String,
    /// What to do next, each one line.
    pub(crate) hints: Vec<String>,
    /// There is nobody to tell, or nothing that was not said.
    pub(crate) silent: bool,
    /// Nobody reads standard output any more.
    pub(crate) unread: bool,
}

/// What commands return.
pub(crate) type Outcome = Result<(), CliError>;

impl CliError {
    /// An error of this kind.
    pub(crate) fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), silent: false, unread: false }
    }

    /// The same with one more hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The answer is no, and the output has said so: only the exit code is left to give.
    pub(crate) fn said(kind: ExitKind) -> Self {
        Self { silent: true, ..Self::new(kind, String::new()) }
    }

    /// Whoever read the output has gone: there is nobody to tell.
    pub(crate) fn unread() -> Self {
        std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
    }

    /// The machine that runs the command is to blame.
    pub(crate) fn machine(message: impl std::fmt::Display) -> Self {
        Self::new(ExitKind::Machine, message.to_string())
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(ExitKind::Usage, message.to_string())
    }

    /// The home's key cannot be used.
    pub(crate) fn key(error: impl std::fmt::Display) -> Self {
        Self::machine(error).hint("a key is never replaced by itself: it is who this node is to its peers")
    }

    /// The settings cannot be used.
    pub(crate) fn settings(error: impl std::fmt::Display) -> Self {
        Self::machine(error).hint("docs/settings.md lists every setting")
    }

    /// The same in terms of this machine: a peer knows only this run's key, the owner there needs the node's.
    pub(crate) fn about(mut self, machine: &crate::local::Machine) -> Self {
        let (run, node) = (machine.run.id().to_string(), machine.run.node().to_string());
        self.message = self.message.replace(&run, &node);
        for hint in &mut self.hints {
            *hint = hint.replace(&run, &node);
        }
        self
    }

    /// The same for a fellow member of a team: its owner can give to all members at once what is missing.
    pub(crate) fn of_fellow(mut self) -> Self {
        let flags = self.hints.iter().find_map(|hint| {
            let (_, after) = hint.split_once("clankers token create --for ")?;
            after.split_once(' ').map(|(_, flags)| flags.to_owned())
        });
        let told = self.hints.iter().any(|hint| hint.contains("clankers team grant"));
        if let Some(flags) = flags.filter(|flags| !told && flags != "--root") {
            self.hints.push(format!("or give it to every member of the team: clankers team grant {flags}"));
        }
        self
    }

    /// The name that `--json` carries.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            ExitKind::Failed => "failed",
            ExitKind::Usage => "usage",
            ExitKind::Credentials => "credentials",
            ExitKind::Denied => "denied",
            ExitKind::Limit => "limit",
            ExitKind::Unreachable => "unreachable",
            ExitKind::NotFound => "not_found",
            ExitKind::Machine => "machine",
            ExitKind::Timeout => "timeout",
            ExitKind::Interrupted => "interrupted",
        }
    }

    /// Prints it to standard error, cleaned: parts of it may be a peer's words.
    pub(crate) fn print(&self, json: bool) {
        if json {
            let hints: Vec<_> = self.hints.iter().map(|h| text::line(h, LINE_CHARS)).collect();
            let error = serde_json::json!({"error": {
                "kind": self.name(), "message": text::line(&self.message, LINE_CHARS), "hints": hints,
            }});
            anstream::eprintln!("{error}");
            return;
        }
        anstream::eprintln!("✗ {}", Clean::block(&self.message));
        for hint in &self.hints {
            anstream::eprintln!("  {}", Clean::line(hint, LINE_CHARS));
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(refusal) => {
                let mut out = Self::new(refusal.code().exit(), text::line(&refusal.message, LINE_CHARS));
                out.hints = refusal.hints.clone();
                out.hints.extend(crate::skew::hint(refusal.code()).map(str::to_owned));
                if refusal.code() == RefusalCode::Unsupported {
                    out.hints.push("its version is older: restart it with this version".into());
                }
                out
            }
            ClientError::Dial(_) => Self::new(ExitKind::Unreachable, error.to_string()).hint(
                "see there that it runs: 'clankers daemon status'; 'clankers rpc id' prints a fresh ticket",
            ),
            ClientError::Timeout(_) => Self::new(ExitKind::Timeout, error.to_string()),
            ClientError::Authority(_) => Self::machine(&error),
            ClientError::Closed(_) => {
                let kind = error.close_code().map_or(ExitKind::Unreachable, |code| code.exit());
                let out = Self::new(kind, error.to_string());
                match error.close_code() {
                    Some(clankers_protocol::refusal::CloseCode::Version) => out
                        .hint("the two sides speak different versions: update the older one and restart it"),
                    _ => out,
                }
            }
            _ => Self::new(ExitKind::Unreachable, error.to_string()),
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let unread = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { silent: unread, unread, ..Self::machine(error) }
    }
}
