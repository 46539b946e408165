//! The words of sending and getting files, and of what comes in.

use std::path::PathBuf;

use clankers_client::limits::LIMIT_RATE_LEAST;
use clankers_protocol::{request::transfer::OnConflict, text};
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
    /// Send no more than so much in a second, such as 20MiB or 500KB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit_rate: Option<u64>,
    /// Only list what would be sent, and what cannot be; asks nobody (exit code 1 when something would be missed)
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
    /// What to get: the name of an export there, and a path in it, such as music/album; without it the exports are listed
    #[arg(value_name = "REMOTE_PATH")]
    pub(crate) path: Option<String>,
    /// Only list what there is to be got: the exports, or what is at REMOTE_PATH
    #[arg(long, conflicts_with_all = ["output", "limit_rate"])]
    pub(crate) list: bool,
    /// Into this directory, or as this file; without it, into the present directory. A name that is taken is dealt with
    /// as --on-conflict says: by default what comes is called 'name (1)'
    #[arg(short = 'o', long = "output", value_name = "PATH", requires = "path")]
    pub(crate) output: Option<PathBuf>,
    /// What to do when something here has the name already
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_conflict: ConflictWord,
    /// Ask that node to send no more than so much in a second, such as 20MiB or 500KB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit_rate: Option<u64>,
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
    /// Leave what is there: files that are the same count as sent, others as not arrived (exit code 1)
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

#[derive(Debug, Subcommand)]
pub(crate) enum TransfersCommand {
    /// List them, the latest first
    List(TransfersListArgs),
    /// Stop one; what arrived stays. One of this machine's can be resumed; one of another's not until it is forgotten
    Cancel {
        /// Its id, or a unique prefix; ID@PEER for one that this peer began, where its id is another's too
        id: String,
    },
    /// Go on with one that this machine began
    Resume {
        /// Its id, or a unique prefix
        id: String,
        /// No more than so much in a second, such as 20MiB or 500KB; without it the limit with which it began
        #[arg(long, value_name = "RATE", value_parser = rate)]
        limit_rate: Option<u64>,
        /// Let this machine's node go on with it, and return at once
        #[arg(short = 'd', long)]
        detach: bool,
    },
    /// Remove the record of one, and what arrived of it and is not whole
    Forget {
        /// Its id, or a unique prefix; ID@PEER for one that this peer began, where its id is another's too
        id: String,
    },
}

impl Default for TransfersCommand {
    fn default() -> Self {
        Self::List(TransfersListArgs::default())
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct TransfersListArgs {
    /// Show how far those are that run, and how each ends, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Watch only this one, and end with it: its id, or a unique prefix
    #[arg(requires = "watch")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// Offers that wait for your answer
    List,
    /// All that is in one of them
    Show {
        /// Its id, or a unique prefix
        id: String,
    },
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

/// Bytes in a second: a size, with or without `/s` behind it.
fn rate(given: &str) -> Result<u64, String> {
    let size = given.strip_suffix("/s").unwrap_or(given);
    let rate = parse_size::parse_size(size).map_err(|error| {
        format!(
            "'{}' is not a rate: {error}; write it like 20MiB or 500KB (in a second)",
            text::line(given, 40)
        )
    })?;
    if rate < LIMIT_RATE_LEAST {
        let least = LIMIT_RATE_LEAST / 1024;
        return Err(format!("a transfer this slow is taken for one that hangs; the least is {least}KiB"));
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_sizes_in_a_second() {
        for (given, bytes) in [
            ("20MiB", 20 << 20),
            ("20MiB/s", 20 << 20),
            ("500KB", 500_000),
            ("1.5MiB", 1_572_864),
            ("65536", 65_536),
            ("32KiB", LIMIT_RATE_LEAST),
        ] {
            assert_eq!(rate(given), Ok(bytes), "{given}");
        }
        for bad in ["", "fast", "-1", "0", "31KiB", "20MiB/h", "\u{1b}[2J"] {
            let words = rate(bad).unwrap_err();
            assert!(words.contains("KiB") || words.contains("KB"), "{words}");
            assert!(!words.contains('\u{1b}'));
        }
    }
}
