//! What an owner means by "reviewer, on src only, for $1.50", as a delegation's command and policy.
//!
//! A delegation carries one command, a preset means several. So that a grant stays one token with one CID to
//! revoke, the command is the common `/clankers` and the policy says which commands beneath it: the executor
//! gives every request an argument `cmd`, its own command path (`docs/decisions/0003-one-token-one-grant.md`).

mod compile;
mod literals;
mod scope;

use clankers_protocol::NanoUsd;

pub(crate) use literals::{Literals, named_paths};
pub use scope::SpecError;

use crate::vocab::{Arg, Command, READ_TOOLS, SHELL_TOOL, WRITE_TOOLS};

/// What a token is to allow. The default says nothing: as a narrowing it leaves everything as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct GrantSpec {
    /// Commands, whole.
    pub commands: Vec<Command>,
    /// Tools, beneath `tool/use` and `shell/exec`.
    pub tools: Vec<String>,
    /// Every command and tool: the two above do not matter.
    pub everything: bool,
    /// Only in this workspace (its id), for what happens in one.
    pub workspace: Option<String>,
    /// Only these paths of the workspace and what is beneath them, for files and tools: relative, `/` between parts.
    pub paths: Vec<String>,
    /// Which sessions, beyond those that the principal makes.
    pub sessions: Sessions,
    /// Only these models; `*` in a name stands for anything.
    pub models: Vec<String>,
    /// At most this much money, over the whole life of the token.
    pub max_cost: Option<NanoUsd>,
    /// At most so many tokens of models, over the whole life of the token.
    pub max_tokens: Option<u64>,
    /// It may be passed on so many times; 0: not at all.
    pub max_depth: Option<u32>,
    /// At most so many prompts started within a minute.
    pub per_min: Option<u64>,
    /// At most so many prompts at the same time.
    pub concurrent: Option<u64>,
    /// Files of at most this size (bytes).
    pub max_size: Option<u64>,
    /// At most so much content of files that come to the node, over the whole life of the token (bytes).
    pub max_total: Option<u64>,
    /// It is issued again when its audience connects, while it is not revoked.
    pub renew: bool,
}

/// Which sessions a token is about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// Those that the principal makes; the token does not speak of sessions.
    #[default]
    Own,
    /// All of the node.
    All,
    /// These and no others, by their ids.
    These(Vec<String>),
}

const READ_ONLY: &[Command] =
    &[Command::NodeInfo, Command::SessionList, Command::Observe, Command::FileList, Command::FileRead];
const PROMPT: &[Command] = &[Command::PromptSend, Command::PromptCancel];
/// What belongs to prompting: seeing what one has started.
const FOLLOW: &[Command] = &[Command::SessionList, Command::Observe];
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
        Self { commands: READ_ONLY.to_vec(), ..Self::default() }
    }

    /// Read-only, and prompt with the tools read, grep, find, ls.
    #[must_use]
    pub fn reviewer() -> Self {
        let commands = [READ_ONLY, PROMPT].concat();
        Self { commands, tools: owned(READ_TOOLS), ..Self::default() }
    }

    /// Drive, prompt, all tools but the shell.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            commands: [READ_ONLY, PROMPT, OPERATOR].concat(),
            tools: owned(&[READ_TOOLS, WRITE_TOOLS].concat()),
            ..Self::default()
        }
    }

    /// Everything.
    #[must_use]
    pub fn root() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Prompt with just these tools, and see what comes of it.
    #[must_use]
    pub fn tools(tools: Vec<String>) -> Self {
        Self { commands: [PROMPT, FOLLOW].concat(), tools, ..Self::default() }
    }

    /// The same with just these tools: what the preset allows besides stays. Every preset that may not prompt
    /// may after this.
    #[must_use]
    pub fn with_tools(mut self, tools: Vec<String>) -> Self {
        if self.everything {
            self.commands = Self::operator().commands;
            self.everything = false;
        }
        for command in PROMPT {
            if !self.commands.contains(command) {
                self.commands.push(*command);
            }
        }
        self.tools = tools;
        self
    }

    /// The same, and the right to send files into the inbox, or to offer them; see [`Command::FileDrop`] and
    /// [`Command::FileOffer`]. For a grant that names nothing this is all that it allows.
    #[must_use]
    pub fn with_files(mut self, drop: bool, offer: bool) -> Self {
        for (wanted, command) in [(drop, Command::FileDrop), (offer, Command::FileOffer)] {
            if wanted && !self.everything && !self.commands.contains(&command) {
                self.commands.push(command);
            }
        }
        self
    }

    /// Whether it allows the shell.
    #[must_use]
    pub fn allows_shell(&self) -> bool {
        self.everything || self.tools.iter().any(|t| t == SHELL_TOOL)
    }

    /// Whether something of it happens in a workspace: tools, and files that are read or written there.
    #[must_use]
    pub fn is_about_a_workspace(&self) -> bool {
        let inside = |command: &Command| command.args().contains(&Arg::Workspace);
        self.everything || !self.tools.is_empty() || self.commands.iter().any(inside)
    }

    /// Whether it names no command and no tool, and so is no grant, only a narrowing of one.
    #[must_use]
    pub fn names_nothing(&self) -> bool {
        !self.everything && self.commands.is_empty() && self.tools.is_empty()
    }

    /// Whether it says nothing at all: as a narrowing, the same rights.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it limits more than how far it may be passed on.
    fn limits_something(&self) -> bool {
        let unlimited = Self {
            commands: self.commands.clone(),
            tools: self.tools.clone(),
            everything: self.everything,
            max_depth: self.max_depth,
            renew: self.renew,
            ..Self::default()
        };
        *self != unlimited
    }
}
