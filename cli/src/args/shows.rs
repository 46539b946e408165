//! Which commands only show something.

use super::{
    AuthCommand, Command, DaemonCommand, InboxCommand, PeersCommand, RpcCommand, SessionCommand, TeamCommand,
    TokenCommand, TransfersCommand,
};

impl Command {
    /// Whether it only shows something, so that a reader who stops early has lost nothing. Where the exit code is the
    /// answer, or something is done, it is told all the same.
    pub(crate) fn only_shows(&self) -> bool {
        match self {
            Self::Daemon(command) => matches!(command, DaemonCommand::Status | DaemonCommand::Logs(_)),
            Self::Rpc(command) => match command {
                RpcCommand::Id | RpcCommand::Discover(_) | RpcCommand::Peers(PeersCommand::List) => true,
                RpcCommand::Transfers { command: Some(TransfersCommand::List(args)) } => args.id.is_none(),
                RpcCommand::Transfers { command } => command.is_none(),
                _ => false,
            },
            Self::Session(command) => matches!(
                command,
                SessionCommand::List { .. }
                    | SessionCommand::Show { .. }
                    | SessionCommand::Export { output: None, .. }
            ),
            Self::Auth(command) => matches!(command, AuthCommand::Status),
            Self::Token(command) => matches!(command, TokenCommand::List),
            Self::Inbox(command) => matches!(command, InboxCommand::List),
            Self::Team(command) => matches!(command, TeamCommand::List | TeamCommand::Members(_)),
            Self::Ps(_) | Self::Models | Self::Audit(_) | Self::Mesh(_) => true,
            Self::Demo(_) | Self::Attach(_) | Self::Wait(_) | Self::Trust(_) => false,
        }
    }
}
