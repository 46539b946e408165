//! The words of `session`, `auth` and `trust`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List them, newest first
    List {
        /// Archived ones too
        #[arg(short = 'a', long)]
        all: bool,
    },
    /// Say what one is, and what happened in it
    Show {
        /// The session: an id, a unique prefix, or 'last' (yours that was used last)
        #[arg(value_name = "ID")]
        session: String,
    },
    /// Write one out
    Export {
        /// The session: an id, a unique prefix, or 'last' (yours that was used last)
        #[arg(value_name = "ID")]
        session: String,
        /// For people, for programs, or for a browser
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Into this file, whole or not at all; without it, to standard output
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove one for good, archived or not; not while something runs in it
    Delete {
        /// The session: an id or a unique prefix
        #[arg(value_name = "ID")]
        session: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Read all logs anew into the index; not while a node runs
    Reindex,
}

/// What an export is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Markdown.
    #[default]
    Md,
    /// One JSON object a line, as of a prompt.
    Json,
    /// One page without scripts.
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Keep a provider's key: read from standard input, never shown
    SetKey {
        /// 'anthropic' or 'openai'
        #[arg(value_name = "PROVIDER")]
        provider: String,
    },
    /// Say which keys there are, and where they come from
    Status,
    /// Forget a provider's key
    Remove {
        /// 'anthropic' or 'openai'
        #[arg(value_name = "PROVIDER")]
        provider: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The project's directory; the one you are in when not given
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Trust it no more
    #[arg(long, conflicts_with = "list")]
    pub(crate) remove: bool,
    /// List what is trusted
    #[arg(long, conflicts_with = "directory")]
    pub(crate) list: bool,
}
