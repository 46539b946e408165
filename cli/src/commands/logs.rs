//! `daemon logs`: the node's log, its last lines, and what comes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    time::Duration,
};

use clankers_node::store::Home;
use clankers_protocol::{refusal::ExitKind, text::Clean};

use crate::{
    args::LogsArgs,
    error::{CliError, Outcome},
    output,
};

/// Bytes that are read back from the end at most.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;
/// How often a log that is followed is looked at (time).
const FOLLOW_POLL: Duration = Duration::from_millis(200);

pub(crate) async fn run(home: &Home, args: &LogsArgs) -> Outcome {
    let path = home.node_log();
    let mut file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            CliError::new(ExitKind::NotFound, "this home's node has no log: it never ran")
        }
        _ => CliError::machine(format!("cannot read {}: {error}", path.display())),
    })?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(args.lines);
    print(
        lines
            .get(from..)
            .unwrap_or_default()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .as_str(),
    )?;
    if !args.follow {
        return Ok(());
    }
    loop {
        // A file has no event of its own to wait for.
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_POLL) => {}
            () = output::reader_gone() => return Err(CliError::unread()),
        }
        let mut more = Vec::new();
        file.read_to_end(&mut more)?;
        print(&String::from_utf8_lossy(&more))?;
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(Clean::block(text).as_str().as_bytes())?;
    out.flush()
}
