//! What goes to standard output: data. Tables for people, JSON for programs.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    time::Duration,
};

use clankers_protocol::{Timestamp, text};

/// Characters of one cell of a table.
const CELL_CHARS: usize = 60;

/// How often a watcher looks whether anybody reads what it prints (time).
const READER: Duration = Duration::from_millis(250);

/// Ends when nobody can read standard output any more: the other end of the pipe is closed, or the terminal is gone.
pub(crate) async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let out = io::stdout();
        // Nothing is asked for: an error or a hang-up is told in any case.
        let mut asked = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
        let polled = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let gone = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP);
        if polled.is_ok() && asked.iter().any(gone) {
            return;
        }
        tokio::time::sleep(READER).await;
    }
}

/// One JSON value and a newline, flushed.
pub(crate) fn json(value: &serde_json::Value) -> io::Result<()> {
    told(|out| writeln!(out, "{value}"))
}

/// Writes and flushes; what fails says where, so that it is not taken for the disk of something else.
fn told(write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(|error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}")))
}

/// Lines of text, flushed.
pub(crate) fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    // Each with its end in one piece: whoever reads both streams as they come sees whole lines, long ones too.
    told(|out| lines.into_iter().try_for_each(|line| out.write_all(format!("{line}\n").as_bytes())))
}

/// A table with a heading; cells may be a peer's words, and are cleaned.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| text::line(cell, CELL_CHARS))).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|h| h.len())).max().unwrap_or_default()
    };
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell:<width$}", width = width(at))).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut out = vec![line(heading)];
    out.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines(out.iter().map(String::as_str))
}

/// A time as RFC 3339, UTC, to the second.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .and_then(|time| time.round(jiff::Unit::Second))
        .map_or_else(|_| "9999-12-31T23:59:59Z".to_owned(), |time| time.to_string())
}

/// A time as a person says it, such as "3m ago".
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let secs = now.since(at) / 1000;
    match secs {
        0..60 => format!("{secs}s ago"),
        60..3600 => format!("{}m ago", secs / 60),
        3600..86_400 => format!("{}h ago", secs / 3600),
        _ => format!("{}d ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp(1_800_000_000_000)), "2027-01-15T08:00:00Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), "9999-12-31T23:59:59Z");
        assert_eq!(ago(Timestamp(0), Timestamp(7_200_000)), "2h ago");
    }
}
