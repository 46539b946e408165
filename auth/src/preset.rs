//! Presets: what an owner means by "reviewer", as a delegation's command and policy.
//!
//! A delegation carries one command, a preset means several. So that a grant stays one token with one CID to
//! revoke, the command is the common `/clankers` and the policy says which commands beneath it: the executor
//! gives every request an argument `cmd`, its own command path (`docs/decisions/0003-one-token-one-grant.md`).

use ucan::{Policy, PolicyError, Profile};

use crate::vocab::{Command, READ_TOOLS, SHELL_TOOL, WRITE_TOOLS};

/// What a token is to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantSpec {
    /// Commands, whole.
    pub commands: Vec<Command>,
    /// Tools, beneath `tool/use` and `shell/exec`.
    pub tools: Vec<String>,
    /// Everything, whatever it is: the two above do not matter.
    pub everything: bool,
}

const READ_ONLY: &[Command] =
    &[Command::NodeInfo, Command::SessionList, Command::Observe, Command::FileList, Command::FileRead];
const PROMPT: &[Command] = &[Command::PromptSend, Command::PromptCancel];
const OPERATOR: &[Command] = &[
    Command::NodePeers,
    Command::SessionCreate,
    Command::SessionKill,
    Command::Drive,
    Command::Approve,
    Command::FileWrite,
    Command::FileDrop,
    Command::FileOffer,
    Command::ModelUse,
];

fn owned(tools: &[&str]) -> Vec<String> {
    tools.iter().map(|t| (*t).to_owned()).collect()
}

impl GrantSpec {
    /// Observe, list and read files, node info; not prompt.
    #[must_use]
    pub fn read_only() -> Self {
        Self { commands: READ_ONLY.to_vec(), tools: Vec::new(), everything: false }
    }

    /// Read-only, and prompt with the tools read, grep, find, ls.
    #[must_use]
    pub fn reviewer() -> Self {
        Self { commands: [READ_ONLY, PROMPT].concat(), tools: owned(READ_TOOLS), everything: false }
    }

    /// Drive, prompt, all tools but the shell.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            commands: [READ_ONLY, PROMPT, OPERATOR].concat(),
            tools: owned(&[READ_TOOLS, WRITE_TOOLS].concat()),
            everything: false,
        }
    }

    /// Everything.
    #[must_use]
    pub fn root() -> Self {
        Self { commands: Vec::new(), tools: Vec::new(), everything: true }
    }

    /// Prompt with just these tools.
    #[must_use]
    pub fn tools(tools: Vec<String>) -> Self {
        Self { commands: PROMPT.to_vec(), tools, everything: false }
    }

    /// The same with just these tools: what the preset allows besides stays. Every preset that may not prompt
    /// may after this.
    #[must_use]
    pub fn with_tools(mut self, tools: Vec<String>) -> Self {
        if self.everything {
            let mut all = Self::operator();
            all.tools = tools;
            return all;
        }
        for command in PROMPT {
            if !self.commands.contains(command) {
                self.commands.push(*command);
            }
        }
        self.tools = tools;
        self
    }

    /// Whether it allows the shell.
    #[must_use]
    pub fn allows_shell(&self) -> bool {
        self.everything || self.tools.iter().any(|t| t == SHELL_TOOL)
    }

    /// The delegation's command and policy.
    ///
    /// # Errors
    /// [`PolicyError`] when the policy is over the strict profile's limits.
    pub fn compile(&self) -> Result<(&'static str, Policy), PolicyError> {
        if self.everything {
            return Ok(("/", Policy::build([], Profile::Strict)?));
        }
        let mut either = Vec::new();
        if !self.commands.is_empty() {
            either.push(Policy::one_of(".cmd", self.commands.iter().map(|c| c.path())));
        }
        let plain: Vec<&str> = self.tools.iter().map(String::as_str).filter(|t| *t != SHELL_TOOL).collect();
        if !plain.is_empty() {
            either.push(Policy::and([
                Policy::eq(".cmd", Command::ToolUse.path()),
                Policy::one_of(".tool", plain.iter().copied()),
            ]));
        }
        if self.tools.iter().any(|t| t == SHELL_TOOL) {
            either.push(Policy::eq(".cmd", Command::ShellExec.path()));
        }
        Ok(("/clankers", Policy::build([Policy::or(either)], Profile::Strict)?))
    }
}
