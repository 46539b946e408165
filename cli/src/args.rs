//! The words of the command line: names, flags and their help. Others script against them.

mod attach;
mod audit;
mod mesh;
mod prompt;
mod session;
mod shows;
mod team;
mod token;
mod transfer;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    attach::{AttachArgs, WaitArgs},
    audit::AuditArgs,
    mesh::{DiscoverArgs, MeshArgs},
    prompt::{Mode, PromptArgs},
    session::{AuthCommand, Format, SessionCommand, TrustArgs},
    team::{GrantArgs, InviteArgs, TeamCommand},
    token::{CreateArgs, DelegateArgs, RevokeArgs, TokenCommand, WhyArgs},
    transfer::{GetFileArgs, InboxCommand, SendFileArgs, TransfersCommand},
};

/// Coding agents on all your machines, and your teammates', without a vendor's cloud.
#[derive(Debug, Parser)]
#[command(name = "clankers", version)]
#[command(after_help = "Exit codes: 0 ok, 1 agent, tool or model failed, 2 usage, 3 credentials, 4 denied, \
    5 budget or limit, 6 peer unreachable, 7 not found, 8 this machine, 124 timeout, 130 interrupted")]
pub(crate) struct Cli {
    /// Directory with this node's key, settings and sessions
    #[arg(long, global = true, env = "CLANKERS_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,

    /// Answers (and errors) as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Prompt the agent here, in this directory, and print its answer
    #[arg(short = 'p', long = "prompt", value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,

    #[command(flatten)]
    pub(crate) prompting: PromptArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the main job: two real nodes, a token, a remote prompt; leaves nothing behind
    Demo(DemoArgs),
    /// This machine's node
    #[command(subcommand)]
    Daemon(DaemonCommand),
    /// Other nodes, and this one as they see it
    #[command(subcommand)]
    Rpc(RpcCommand),
    /// Watch a session and type into it, from anywhere; it goes on when you leave
    Attach(AttachArgs),
    /// Wait until nothing runs in a session any more; ends as the last prompt there did
    Wait(WaitArgs),
    /// Sessions of this machine's node, newest first
    Ps(PsArgs),
    /// Sessions on disk
    #[command(subcommand)]
    Session(SessionCommand),
    /// Models that can be used here, what they cost, and why the others cannot
    Models,
    /// Keys of model providers
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Use the skills and agents of a project: whoever wrote them then speaks to your model
    Trust(TrustArgs),
    /// Who may do what: tokens issued and held
    #[command(subcommand)]
    Token(TokenCommand),
    /// What others offer to send
    #[command(subcommand)]
    Inbox(InboxCommand),
    /// Who asked this machine's node for what, and what it answered
    Audit(AuditArgs),
    /// Teams: who belongs together, and what members are given
    #[command(subcommand)]
    Team(TeamCommand),
    /// The whole mesh as this machine's node sees it
    Mesh(MeshArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the temporary homes and say where they are
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start this machine's node
    Start(StartArgs),
    /// Stop it: lets running turns end for up to 10 s
    Stop,
    /// Say how it is
    Status,
    /// Print its log
    Logs(LogsArgs),
    /// Cancel what runs in a session and archive it
    Kill {
        /// The session: an id or a unique prefix
        #[arg(value_name = "ID")]
        session: String,
    },
}

#[derive(Debug, Default, Args)]
pub(crate) struct StartArgs {
    /// In the background; returns when the node is ready, or with the reason why not
    #[arg(short = 'd', long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Default, Args)]
pub(crate) struct NetworkArgs {
    /// Address to listen on; without it, the remembered port on all interfaces
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) bind: Option<SocketAddr>,
    /// Help across networks: none, n0's public relays, or your own
    #[arg(long, value_name = "off|n0|URL", value_parser = relay)]
    pub(crate) relay: Option<String>,
    /// Advertise on the local network and listen to it
    #[arg(long, value_name = "on|off", value_parser = on_off)]
    pub(crate) mdns: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// How many lines from the end
    #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
    pub(crate) lines: usize,
    /// Go on as the log grows
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RpcCommand {
    /// Start this machine's node in the foreground (as 'daemon start')
    Start(NetworkArgs),
    /// Print this node's id, did, and (when it runs) a ticket
    Id,
    /// Is that node there?
    Ping {
        /// A node id, a unique prefix, a label, or a ticket
        peer: String,
        /// How many pings
        #[arg(short = 'c', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
        /// Give up on an answer after this long
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
        timeout: Duration,
    },
    /// Prompt the agent of that node, and stream its answer
    Prompt {
        /// A node id, a unique prefix, a label, or a ticket
        peer: String,
        /// The prompt; '-' reads it from standard input. '/grep TODO src' runs a tool without a model
        text: String,
        #[command(flatten)]
        prompting: Box<PromptArgs>,
    },
    /// Find nodes: those that the running node knows, or those on the local network
    Discover(DiscoverArgs),
    /// Whom this node knows
    #[command(subcommand)]
    Peers(PeersCommand),
    /// Send files and directories to that node's inbox; goes on where it broke off
    SendFile(SendFileArgs),
    /// Get a file or a directory that that node exports; without a path, list what it exports
    GetFile(GetFileArgs),
    /// Files on their way from and to this machine
    #[command(args_conflicts_with_subcommands = true)]
    Transfers {
        #[command(subcommand)]
        command: Option<TransfersCommand>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersCommand {
    /// List them
    List,
    /// Add one, by ticket or id
    Add {
        /// A ticket, or a node id
        peer: String,
        /// An address it can be reached at (may be repeated)
        #[arg(long, value_name = "ADDR:PORT")]
        addr: Vec<SocketAddr>,
        /// What to call it
        #[arg(long)]
        label: Option<String>,
    },
    /// Forget one
    Remove {
        /// A node id, a unique prefix, or a label
        peer: String,
    },
    /// Name one
    Label {
        /// A node id, a unique prefix, or its present label
        peer: String,
        /// The new label; without it the label is taken away
        label: Option<String>,
    },
    /// Trust one: a label that it alone claims then names it
    Trust {
        /// A node id, a unique prefix, or a label
        peer: String,
        /// Do not trust it any more
        #[arg(long)]
        no: bool,
    },
    /// Dial one, and say what was found
    Probe {
        /// A node id, a unique prefix, or a label
        peer: String,
        /// Give up after this long
        #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
        timeout: Duration,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Archived ones too
    #[arg(short = 'a', long)]
    pub(crate) all: bool,
    /// Those of another node: an id, a unique prefix, a label, or a ticket
    #[arg(long, value_name = "PEER")]
    pub(crate) remote: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|e| format!("{e}; write it like 90s, 10m or 24h"))?;
    if duration.is_zero() {
        return Err("zero is no time at all; write it like 90s, 10m or 24h".into());
    }
    Ok(duration)
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".into()),
    }
}

fn relay(text: &str) -> Result<String, String> {
    clankers_node::settings::check_relay(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_prompt_needs_no_command_and_a_command_no_prompt() {
        assert!(Cli::try_parse_from(["clankers", "-p", "hi", "--mode", "json"]).is_ok());
        assert!(Cli::try_parse_from(["clankers", "rpc", "ping", "local", "-c", "3"]).is_ok());
        assert!(Cli::try_parse_from(["clankers", "rpc", "ping", "local", "-c", "0"]).is_err());
        assert!(
            Cli::try_parse_from(["clankers", "token", "create", "--for", "x", "--root", "--reviewer"])
                .is_err()
        );
    }
}
