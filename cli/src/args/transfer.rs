//! The words of sending and getting files, and of what comes in.

use std::path::PathBuf;

use clankers_protocol::request::transfer::OnConflict;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct SendFileArgs {
    /// A node id, a unique prefix, a label, or a ticket
    pub(crate) peer: String,
    /// Files and directories; each is a transfer of its own
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Into this directory of your inbox there
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<String>,
    /// What to do when something there has the name already
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_conflict: ConflictWord,
    /// Send what links point to; without it links are left out
    #[arg(long)]
    pub(crate) follow_links: bool,
    /// Leave out what fits this glob: a name, or with a slash a path in the directory (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Only list what would be sent, and what cannot be; asks nobody
    #[arg(long, conflicts_with = "detach")]
    pub(crate) dry_run: bool,
    /// Let this machine's node send it, and return at once; it goes on after a restart
    #[arg(short = 'd', long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetFileArgs {
    /// A node id, a unique prefix, a label, or a ticket
    pub(crate) peer: String,
    /// What to get: the name of an export there, and a path in it, such as music/album
    #[arg(value_name = "REMOTE_PATH")]
    pub(crate) path: String,
    /// Into this directory, or as this file; without it, into the present directory
    #[arg(short = 'o', long = "output", value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// What to do when something here has the name already
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_conflict: ConflictWord,
}

/// What to do about a name that is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictWord {
    /// Take another name: 'name (1)'
    #[default]
    Rename,
    /// Refuse the transfer
    Refuse,
    /// Replace files, once the new ones are whole
    Overwrite,
    /// Leave what is there; files that are the same count as sent
    Skip,
}

impl From<ConflictWord> for OnConflict {
    fn from(word: ConflictWord) -> Self {
        match word {
            ConflictWord::Rename => Self::Rename,
            ConflictWord::Refuse => Self::Refuse,
            ConflictWord::Overwrite => Self::Overwrite,
            ConflictWord::Skip => Self::Skip,
        }
    }
}

#[derive(Debug, Default, Subcommand)]
pub(crate) enum TransfersCommand {
    /// List them, the latest first
    #[default]
    List,
    /// Stop one; what arrived stays, and it can be resumed
    Cancel {
        /// Its id, or a unique prefix
        id: String,
    },
    /// Go on with one that this machine began
    Resume {
        /// Its id, or a unique prefix
        id: String,
        /// Let this machine's node go on with it, and return at once
        #[arg(short = 'd', long)]
        detach: bool,
    },
    /// Remove the record of one, and what arrived of it and is not whole
    Forget {
        /// Its id, or a unique prefix
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// Offers that wait for your answer
    List,
    /// Accept one, all of it or a part
    Accept {
        /// Its id, or a unique prefix
        id: String,
        /// Only this path in it, and what is beneath it (may be repeated)
        #[arg(long, value_name = "PATH")]
        only: Vec<String>,
    },
    /// Reject one
    Reject {
        /// Its id, or a unique prefix
        id: String,
    },
}
