//! What a process printed, byte for byte, and when each piece came.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::limits::{OUTPUT_BYTES, READ_BYTES, SHOWN_LINES};

/// One line of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When its last byte was read.
    pub at: Instant,
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
}

impl Line {
    /// The line as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Where each piece that was read ends, and when it came.
    pieces: Vec<(usize, Instant)>,
    closed: bool,
}

/// A growing output. Clones see the same one.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<(Mutex<State>, Condvar)>);

impl Capture {
    /// Reads `source` to its end in a thread of its own.
    #[must_use]
    pub fn of(source: impl Read + Send + 'static) -> Self {
        let capture = Self::default();
        let writer = capture.clone();
        thread::spawn(move || writer.fill(source));
        capture
    }

    /// An output that will never hold anything.
    #[must_use]
    pub fn closed() -> Self {
        let capture = Self::default();
        capture.close();
        capture
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.state().closed = true;
        self.0.1.notify_all();
    }

    fn fill(&self, mut source: impl Read) {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            let at = Instant::now();
            let mut state = self.state();
            state.bytes.extend_from_slice(&buffer[..count]);
            let end = state.bytes.len();
            state.pieces.push((end, at));
            drop(state);
            self.0.1.notify_all();
            if end > OUTPUT_BYTES {
                break;
            }
        }
        self.close();
    }

    /// Waits until `look` finds something in the bytes so far. `None` when the output ends without it, or `limit`
    /// passes.
    pub fn wait<T>(&self, limit: Duration, mut look: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state.bytes) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the output; whether it came within `limit`.
    #[must_use]
    pub fn wait_closed(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The line that begins at byte `from`, and where the next one begins. A last line needs no newline once the
    /// output has ended.
    #[must_use]
    pub fn line(&self, from: usize, limit: Duration) -> Option<(Line, usize)> {
        let whole = self.wait(limit, |bytes| {
            let rest = bytes.get(from..)?;
            rest.iter().position(|byte| *byte == b'\n').map(|length| from + length)
        });
        let state = self.state();
        let end = match whole {
            Some(end) => end,
            None if state.closed && state.bytes.len() > from => state.bytes.len(),
            None => return None,
        };
        let index = state.pieces.partition_point(|(piece, _)| *piece <= end.min(state.bytes.len() - 1));
        let at = state.pieces.get(index).or(state.pieces.last()).map_or_else(Instant::now, |(_, at)| *at);
        Some((Line { at, bytes: state.bytes[from..end].to_vec() }, end + 1))
    }

    /// When the byte at `place` was read, if it was.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<Instant> {
        let state = self.state();
        let index = state.pieces.partition_point(|(end, _)| *end <= place);
        state.pieces.get(index).map(|(_, at)| *at)
    }

    /// All bytes so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// All text so far; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    /// The last lines, for a failed test's report: control characters are shown, not sent.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.text())
    }
}

/// The last lines of a text, indented, control characters escaped.
#[must_use]
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(SHOWN_LINES);
    let mut out = String::new();
    if skipped > 0 {
        out.push_str(&format!("    ... {skipped} lines before\n"));
    }
    for line in &lines[skipped..] {
        let shown: String = line.chars().flat_map(shown).collect();
        out.push_str(&format!("    {shown}\n"));
    }
    out
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() && c != '\t' { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use super::*;

    #[test]
    fn lines_come_with_their_time_and_the_last_needs_no_newline() {
        let (reader, mut writer) = pipe().unwrap();
        let capture = Capture::of(reader);
        writer.write_all(b"one\ntw").unwrap();
        let (one, next) = capture.line(0, Duration::from_secs(10)).unwrap();
        assert_eq!(one.text(), "one");
        assert_eq!(capture.line(next, Duration::from_millis(1)), None, "half a line is none");
        let before = Instant::now();
        writer.write_all(b"o").unwrap();
        drop(writer);
        let (two, next) = capture.line(next, Duration::from_secs(10)).unwrap();
        assert_eq!(two.text(), "two");
        assert!(one.at <= before && two.at >= before);
        assert_eq!(capture.line(next, Duration::from_secs(10)), None);
        assert!(capture.wait_closed(Duration::ZERO));
        assert_eq!(capture.at(2), Some(one.at));
        assert_eq!(capture.at(99), None);
    }

    #[test]
    fn a_failed_test_does_not_drive_the_terminal() {
        assert_eq!(tail("\x1b[2Jx\r\n"), "    \\u{1b}[2Jx\n");
    }
}
