//! What is piped into a prompt. Nothing here waits for ever unless it was told to: a program that starts this one
//! often leaves it a standard input on which nothing ever comes.

use std::{
    io::{IsTerminal, Read},
    os::fd::AsFd,
    sync::mpsc,
    time::Duration,
};

use clankers_protocol::limits::PROMPT_BYTES;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
};

use crate::error::CliError;

/// How long a pipe that nobody spoke of may take to say its first byte (seconds).
const FIRST_BYTE_SECS: i64 = 1;

/// Standard input to its end, at most so long.
pub(crate) fn all(limit: Option<Duration>) -> Result<String, CliError> {
    let (tell, read) = mpsc::sync_channel(1);
    // Reading cannot be interrupted; the process ends without it.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let limit = PROMPT_BYTES as u64 + 1;
        let done = std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map(|_| bytes);
        let _gone = tell.send(done);
    });
    let done = match limit {
        Some(limit) => read.recv_timeout(limit).map_err(|_| {
            CliError::new(
                clankers_protocol::refusal::ExitKind::Timeout,
                "the time was up before standard input had ended",
            )
        })?,
        None => read.recv().map_err(|_| CliError::machine("cannot read standard input"))?,
    };
    let bytes =
        done.map_err(|e| CliError::usage(format!("cannot read the prompt from standard input: {e}")))?;
    // Reading ends in the middle of whatever is too long: perhaps of a character.
    if bytes.len() > PROMPT_BYTES {
        return Err(super::prompt::too_long());
    }
    String::from_utf8(bytes).map_err(|_| {
        CliError::usage("the prompt on standard input is not UTF-8 text")
            .hint("name a file in the prompt and let the agent read it")
    })
}

/// Whether something is piped in that nobody spoke of: a file, or a pipe that says something soon.
pub(crate) fn is_there() -> bool {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return false;
    }
    let Ok(stat) = fstat(stdin.as_fd()) else { return false };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => true,
        FileType::Fifo | FileType::Socket => {
            let mut fds = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
            let limit = Timespec { tv_sec: FIRST_BYTE_SECS, tv_nsec: 0 };
            let said = matches!(poll(&mut fds, Some(&limit)), Ok(ready) if ready > 0);
            if !said {
                let secs = FIRST_BYTE_SECS;
                anstream::eprintln!(
                    "! standard input has said nothing for {secs} s: going on without it; --stdin waits for it"
                );
            }
            said
        }
        _ => false,
    }
}
