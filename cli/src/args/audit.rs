//! The words of `audit`.

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Reads the node's files: works whether a node runs or not. Times are of this machine's zone, with --json UTC."
)]
pub(crate) struct AuditArgs {
    /// How many of the last decisions that match
    #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
    pub(crate) lines: usize,
    /// Go on as decisions are made
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// Only those about this peer: a label, a node id, or the beginning of one
    #[arg(long, value_name = "PEER")]
    pub(crate) peer: Option<String>,
    /// Only what was denied
    #[arg(long)]
    pub(crate) denied: bool,
}
