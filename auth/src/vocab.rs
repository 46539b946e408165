//! The vocabulary: every command that a node judges, and the arguments that policies may speak of.
//!
//! Commands are a closed set; their paths are frozen. Arguments are filled in by whoever executes a request,
//! never by the caller.

use crate::standing::Asks;

macro_rules! commands {
    ($($(#[doc = $doc:literal])* $name:ident = $path:literal;)*) => {
        /// A command that a chain may allow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $($(#[doc = $doc])* $name,)*
        }

        impl Command {
            /// Every command, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its path, as delegations write it.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// What it lets somebody do, in words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii().trim_suffix_dot(),)* }
            }
        }
    };
}

trait TrimDot {
    fn trim_suffix_dot(&self) -> &str;
}

impl TrimDot for str {
    fn trim_suffix_dot(&self) -> &str {
        self.strip_suffix('.').unwrap_or(self)
    }
}

commands! {
    /// see the node's state and addresses.
    NodeInfo = "/clankers/node/info";
    /// see whom the node knows.
    NodePeers = "/clankers/node/peers";
    /// list sessions.
    SessionList = "/clankers/session/list";
    /// make sessions in a directory of choice.
    SessionCreate = "/clankers/session/create";
    /// end sessions.
    SessionKill = "/clankers/session/kill";
    /// watch sessions.
    Observe = "/clankers/session/attach/observe";
    /// type into sessions.
    Drive = "/clankers/session/attach/drive";
    /// prompt.
    PromptSend = "/clankers/prompt/send";
    /// cancel prompts.
    PromptCancel = "/clankers/prompt/cancel";
    /// answer approvals.
    Approve = "/clankers/approve";
    /// list files.
    FileList = "/clankers/file/list";
    /// read files.
    FileRead = "/clankers/file/read";
    /// write files.
    FileWrite = "/clankers/file/write";
    /// send files into the inbox.
    FileDrop = "/clankers/file/drop";
    /// offer files.
    FileOffer = "/clankers/file/offer";
    /// use tools.
    ToolUse = "/clankers/tool/use";
    /// run shell commands, which can do all that the account can.
    ShellExec = "/clankers/shell/exec";
    /// use models.
    ModelUse = "/clankers/model/use";
    /// issue and keep tokens.
    AdminGrant = "/clankers/admin/grant";
    /// revoke tokens.
    AdminRevoke = "/clankers/admin/revoke";
    /// change the node's settings and peer book.
    AdminConfig = "/clankers/admin/config";
    /// stop the node.
    AdminStop = "/clankers/admin/stop";
}

impl Command {
    /// Whether some request of this version needs it.
    #[must_use]
    pub fn is_served(self) -> bool {
        matches!(
            self,
            Self::NodeInfo
                | Self::NodePeers
                | Self::SessionList
                | Self::SessionCreate
                | Self::SessionKill
                | Self::Observe
                | Self::Drive
                | Self::Approve
                | Self::PromptSend
                | Self::PromptCancel
                | Self::FileRead
                | Self::FileDrop
                | Self::FileOffer
                | Self::ToolUse
                | Self::ShellExec
                | Self::AdminGrant
                | Self::AdminRevoke
                | Self::AdminConfig
                | Self::AdminStop
        )
    }

    /// The command that a call of this tool needs: the shell is a right of its own.
    #[must_use]
    pub fn for_tool(tool: &str) -> Self {
        if tool == SHELL_TOOL { Self::ShellExec } else { Self::ToolUse }
    }
}

/// An argument that policies may speak of. Besides these, every request has `cmd` and `ctx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arg {
    /// [`Args::session`].
    Session,
    /// [`Args::workspace`].
    Workspace,
    /// [`Args::path`].
    Path,
    /// [`Args::tool`].
    Tool,
    /// [`Args::argv0`].
    Argv0,
    /// [`Args::model`].
    Model,
    /// [`Args::size`].
    Size,
}

impl Command {
    /// The arguments that its executor fills in, each of them: presets write policies about no others.
    #[must_use]
    pub fn args(self) -> &'static [Arg] {
        match self {
            Self::NodeInfo
            | Self::NodePeers
            | Self::SessionList
            | Self::AdminGrant
            | Self::AdminRevoke
            | Self::AdminConfig
            | Self::AdminStop => &[],
            Self::SessionKill | Self::Observe | Self::Drive | Self::PromptCancel | Self::Approve => {
                &[Arg::Session]
            }
            Self::SessionCreate => &[Arg::Session, Arg::Workspace, Arg::Path],
            Self::PromptSend => &[Arg::Session, Arg::Workspace, Arg::Model],
            Self::FileList => &[Arg::Workspace, Arg::Path],
            Self::FileRead | Self::FileWrite => &[Arg::Workspace, Arg::Path, Arg::Size],
            Self::FileDrop | Self::FileOffer => &[Arg::Path, Arg::Size],
            Self::ToolUse => &[Arg::Session, Arg::Workspace, Arg::Tool, Arg::Path],
            Self::ShellExec => &[Arg::Session, Arg::Workspace, Arg::Tool, Arg::Argv0],
            Self::ModelUse => &[Arg::Model],
        }
    }

    /// The command with this path.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.path() == path)
    }
}

/// The tool that is a shell.
pub const SHELL_TOOL: &str = "bash";
/// Tools that change nothing.
pub const READ_TOOLS: &[&str] = &["read", "grep", "find", "ls"];
/// Tools that write files, beneath the workspace.
pub const WRITE_TOOLS: &[&str] = &["write", "edit"];

/// Every tool that a grant may name.
pub fn all_tools() -> impl Iterator<Item = &'static str> {
    READ_TOOLS.iter().chain(WRITE_TOOLS).copied().chain([SHELL_TOOL])
}

/// The arguments of a request, as its executor knows them. A policy that speaks of an argument that is not
/// there denies.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Args {
    /// The session's id.
    pub session: Option<String>,
    /// The workspace's id; for reading files, that of the export root.
    pub workspace: Option<String>,
    /// Canonical path relative to the workspace (for a drop or an offer: to the peer's directory in the inbox), `/`
    /// between parts, `.` for the directory itself.
    pub path: Option<String>,
    /// The tool's name.
    pub tool: Option<String>,
    /// The first word of a shell command.
    pub argv0: Option<String>,
    /// The model, as `provider/name`.
    pub model: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// What it would use up.
    pub asks: Asks,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_distinct_and_none_is_a_textual_prefix_trap() {
        let mut paths: Vec<_> = Command::ALL.iter().map(|c| c.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Command::ALL.len());
        assert_eq!(Command::PromptSend.words(), "prompt");
    }

    #[test]
    fn the_shell_is_its_own_right() {
        assert_eq!(Command::for_tool("bash"), Command::ShellExec);
        assert!(all_tools().filter(|t| *t != "bash").all(|t| Command::for_tool(t) == Command::ToolUse));
    }
}
