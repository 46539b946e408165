//! Lines of a stream, without ever holding more of one than asked for.

use std::io::{self, BufRead};

use memchr::memchr;

/// A line without its `\n`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its bytes, at most as many as were asked for.
    pub(super) bytes: Vec<u8>,
    /// How many it has.
    pub(super) len: u64,
}

/// Reads lines.
pub(super) struct LineReader<R> {
    inner: R,
    end: bool,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, end: false }
    }

    /// Whether the end was met.
    pub(super) fn at_end(&self) -> bool {
        self.end
    }

    /// The next line, keeping at most `keep` bytes of it. A last line without `\n` is a line; after a last `\n` there
    /// is none.
    pub(super) fn next(&mut self, keep: usize) -> io::Result<Option<Line>> {
        let mut line = Line { bytes: Vec::new(), len: 0 };
        let mut any = false;
        loop {
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                self.end = true;
                return Ok(any.then_some(line));
            }
            any = true;
            let (piece, used, whole) = match memchr(b'\n', buffer) {
                Some(at) => (buffer.get(..at).unwrap_or_default(), at + 1, true),
                None => (buffer, buffer.len(), false),
            };
            line.len += piece.len() as u64;
            let room = keep.saturating_sub(line.bytes.len()).min(piece.len());
            line.bytes.extend_from_slice(piece.get(..room).unwrap_or_default());
            self.inner.consume(used);
            if whole {
                return Ok(Some(line));
            }
        }
    }

    /// Passes over `count` lines, or fewer at the end or once `bytes_max` bytes were passed. Gives how many.
    pub(super) fn skip(&mut self, count: u64, bytes_max: u64) -> io::Result<u64> {
        let (mut lines, mut bytes, mut open) = (0, 0u64, false);
        while lines < count && bytes < bytes_max {
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                self.end = true;
                return Ok(lines + u64::from(open));
            }
            let used = match memchr(b'\n', buffer) {
                Some(at) => {
                    lines += 1;
                    open = false;
                    at + 1
                }
                None => {
                    open = true;
                    buffer.len()
                }
            };
            bytes += used as u64;
            self.inner.consume(used);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_those_of_the_whole(text in "[ab\n]{0,40}", skip in 0u64..6, buffer in 1usize..9) {
            let want: Vec<&str> = text.split_terminator('\n').collect();
            let mut reader = LineReader::new(io::BufReader::with_capacity(buffer, text.as_bytes()));
            let skipped = reader.skip(skip, u64::MAX).unwrap();
            prop_assert_eq!(skipped, skip.min(want.len() as u64));
            for line in &want[usize::try_from(skipped).unwrap()..] {
                let got = reader.next(3).unwrap().unwrap();
                prop_assert_eq!(got.len, line.len() as u64);
                prop_assert_eq!(&got.bytes, &line.as_bytes()[..line.len().min(3)]);
            }
            prop_assert_eq!(reader.next(3).unwrap(), None);
            prop_assert!(reader.at_end());
        }
    }
}
