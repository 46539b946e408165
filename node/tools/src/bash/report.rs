//! A command's answer in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::json;

use super::End;
use super::spool::Kept;
use crate::limits::SPILL_BYTES_MAX;
use crate::outcome::{Status, ToolOutcome, Truncated};
use crate::walk::with_notes;

/// What is known at a command's end.
pub(super) struct Report {
    pub(super) end: End,
    pub(super) kept: Kept,
    /// Children still hold the output open.
    pub(super) background: bool,
    pub(super) took: Duration,
}

impl Report {
    pub(super) fn outcome(self) -> ToolOutcome {
        let kept = &self.kept;
        let mut notes = Vec::new();
        if kept.cut.is_some() {
            notes.push(self.cut_note());
        }
        let (status, code, signal) = match &self.end {
            End::Exited(exit) => (self.exited(*exit, &mut notes), exit.code(), exit.signal()),
            End::TimedOut(allowed) => {
                notes.push(format!(
                    "timed out after {} s and was killed with all its children; a longer timeout can be asked for",
                    allowed.as_secs()
                ));
                (Status::Error, None, None)
            }
            End::Cancelled => {
                notes.push("interrupted and killed with all its children".to_owned());
                (Status::Interrupted, None, None)
            }
        };
        if self.background {
            notes.push(
                "background processes hold its output open; what they print from here on is dropped, redirect it to a file to see it"
                    .to_owned(),
            );
        }
        let file = kept.file.as_ref().and_then(|file| file.as_ref().ok());
        let details = json!({
            "exit_code": code,
            "signal": signal,
            "timed_out": matches!(self.end, End::TimedOut(_)),
            "background": self.background,
            "duration_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "output_bytes": kept.bytes,
            "output_lines": kept.lines,
            "output_file": file.map(|path| path.to_string_lossy()),
        });
        let truncated =
            kept.cut.map(|by| Truncated { by, shown_lines: kept.shown_lines, total_lines: Some(kept.lines) });
        let text = with_notes(self.kept.text, &notes);
        ToolOutcome { status, truncated, ..ToolOutcome::ok(text).with_details(details) }
    }

    fn exited(&self, exit: ExitStatus, notes: &mut Vec<String>) -> Status {
        if let Some(signal) = exit.signal() {
            notes.push(format!("killed by signal {signal}{}", signal_name(signal)));
            return Status::Error;
        }
        match exit.code() {
            Some(0) => {
                if self.kept.text.is_empty() {
                    notes.push("no output, exit code 0".to_owned());
                }
                Status::Ok
            }
            Some(code) => {
                notes.push(format!("exit code {code}"));
                Status::Error
            }
            None => Status::Error,
        }
    }

    fn cut_note(&self) -> String {
        let kept = &self.kept;
        let what = if kept.half {
            format!("only the end of the last line of {} is shown", kept.lines)
        } else {
            format!("only the last {} of {} lines are shown", kept.shown_lines, kept.lines)
        };
        match &kept.file {
            Some(Ok(path)) if kept.lost == 0 => {
                format!("{what}; the whole output is in {}, read and grep open it", path.display())
            }
            Some(Ok(path)) => format!(
                "{what}; the first {} MiB of the output are in {}, read and grep open it; {} bytes after them are lost",
                SPILL_BYTES_MAX >> 20,
                path.display(),
                kept.lost
            ),
            Some(Err(why)) => format!("{what}; the rest could not be kept: {why}"),
            None => what,
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (HUP)",
        2 => " (INT)",
        3 => " (QUIT)",
        4 => " (ILL)",
        6 => " (ABRT)",
        8 => " (FPE)",
        9 => " (KILL)",
        11 => " (SEGV)",
        13 => " (PIPE)",
        15 => " (TERM)",
        _ => "",
    }
}
