//! The words of `team`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{duration, token::RightsArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum TeamCommand {
    /// Make a team; this node keeps its key
    Create {
        /// What to call it
        name: String,
    },
    /// Write an invite for one peer: one word, of use to that peer only
    Invite(InviteArgs),
    /// Join a team by an invite
    Join {
        /// The invite, a file that holds it, or '-' for standard input
        #[arg(value_name = "INVITE|FILE|-")]
        invite: String,
    },
    /// Teams of this node
    List,
    /// Who belongs to a team, and how each is
    Members(TeamArgs),
    /// Leave a team, and forget it
    Leave(LeaveArgs),
    /// Remove a member for good: every member cuts it off as soon as it hears of it
    Remove {
        /// Whom: a node id, a unique prefix, or a label
        peer: String,
        /// The team, when this node belongs to several
        #[arg(long, value_name = "NAME")]
        team: Option<String>,
    },
    /// Give every member who asks a token of its own on this node
    Grant(GrantArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TeamArgs {
    /// The team: its name, or the beginning of its id; the only one when not given
    #[arg(value_name = "NAME")]
    pub(crate) team: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// For whom: a node id, a unique prefix, a label, or a ticket
    pub(crate) peer: String,
    /// It may invite others, and remove those
    #[arg(long)]
    pub(crate) admin: bool,
    /// How long the membership lasts, such as 30days; without it, 90days and --renew
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expire: Option<Duration>,
    /// It renews itself, for as long, while whoever invited it is there, until 'team remove'
    #[arg(long)]
    pub(crate) renew: bool,
    /// The team, when this node belongs to several
    #[arg(long, value_name = "NAME")]
    pub(crate) team: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LeaveArgs {
    #[command(flatten)]
    pub(crate) team: TeamArgs,
    /// Also when the team's key lies here: it is lost then, and nobody can invite any more but the admins
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    pub(crate) team: TeamArgs,
    #[command(flatten)]
    pub(crate) rights: RightsArgs,
    /// How long each token lasts, such as 24h; it is given anew while its holder is a member
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) expire: Duration,
    /// Nothing any more: what was given ends at once
    #[arg(long, conflicts_with_all = ["preset", "tools"])]
    pub(crate) nothing: bool,
}
