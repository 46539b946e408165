//! The words of `attach` and `wait`.

use std::time::Duration;

use clap::Args;

use super::{Mode, duration};

#[derive(Debug, Default, Args)]
pub(crate) struct AttachArgs {
    /// The session: an id, a unique prefix, or 'last' (yours that was used last); without it you pick one
    #[arg(value_name = "SESSION", conflicts_with = "new")]
    pub(crate) session: Option<String>,
    /// On another node: an id, a unique prefix, a label, or a ticket
    #[arg(long, value_name = "PEER")]
    pub(crate) remote: Option<String>,
    /// Watch only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Make a new session
    #[arg(long)]
    pub(crate) new: bool,
    /// The model of a new session, as provider/name
    #[arg(long, value_name = "MODEL", requires = "new")]
    pub(crate) model: Option<String>,
    /// Only what comes after this event; 'EPOCH:SEQ' is a cursor that notices when history was lost
    #[arg(long, value_name = "SEQ", value_parser = cursor, conflicts_with = "tail")]
    pub(crate) after: Option<(Option<u64>, u64)>,
    /// Only the last N events, and what comes
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Only the events before this one, at most 1000 of them (--tail), and no more
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["after", "new"])]
    pub(crate) before: Option<u64>,
    /// Start this machine's node if none runs
    #[arg(long, conflicts_with = "remote")]
    pub(crate) auto_daemon: bool,
    /// Print text for people, or JSON lines for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The session: an id, a unique prefix, or 'last' (yours that was used last)
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
    /// On another node: an id, a unique prefix, a label, or a ticket
    #[arg(long, value_name = "PEER")]
    pub(crate) remote: Option<String>,
    /// Wait no longer than this, such as 90s or 10m; what runs goes on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// `SEQ` or `EPOCH:SEQ`.
fn cursor(text: &str) -> Result<(Option<u64>, u64), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| "write SEQ or EPOCH:SEQ, in digits".to_owned());
    match text.split_once(':') {
        Some((epoch, seq)) => Ok((Some(number(epoch)?), number(seq)?)),
        None => Ok((None, number(text)?)),
    }
}
