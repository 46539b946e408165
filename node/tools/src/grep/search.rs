//! Searching one file with ripgrep's searcher.

use std::fs::File;
use std::io;
use std::time::Instant;

use grep_matcher::LineTerminator;
use grep_regex::RegexMatcher;
use grep_searcher::{
    BinaryDetection, MmapChoice, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};
use tokio_util::sync::CancellationToken;

use crate::limits::{LINE_CHARS_MAX, OUTPUT_BYTES_MAX, SEARCH_HEAP_BYTES_MAX};
use crate::read::Patient;
use crate::text::short_line;

/// What to search for.
pub(super) struct Search<'a> {
    pub(super) matcher: RegexMatcher,
    pub(super) context: usize,
    /// Hits wanted of one file.
    pub(super) limit: usize,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
}

/// A line of the answer.
#[derive(Debug)]
pub(super) struct HitLine {
    pub(super) number: u64,
    pub(super) text: String,
    /// A hit, or a line around one.
    pub(super) hit: bool,
    /// The text was cut.
    pub(super) cut: bool,
}

/// What one file gave.
#[derive(Debug, Default)]
pub(super) struct FileHits {
    pub(super) lines: Vec<HitLine>,
    /// Lines that match.
    pub(super) hits: usize,
    limit: usize,
    /// Bytes of text in `lines`.
    bytes: usize,
    /// There are more than were wanted.
    pub(super) more: bool,
    /// The file is binary; its hits do not count.
    pub(super) binary: bool,
    /// The file could not be read to its end.
    pub(super) failed: bool,
}

impl Search<'_> {
    pub(super) fn searcher(&self) -> Searcher {
        SearcherBuilder::new()
            .line_terminator(LineTerminator::crlf())
            .line_number(true)
            .before_context(self.context)
            .after_context(self.context)
            .heap_limit(Some(SEARCH_HEAP_BYTES_MAX))
            // A mapped file that shrinks would kill the node.
            .memory_map(MmapChoice::never())
            .binary_detection(BinaryDetection::quit(0))
            .build()
    }

    pub(super) fn file(&self, searcher: &mut Searcher, file: File) -> FileHits {
        let mut hits = FileHits { limit: self.limit, ..FileHits::default() };
        let reader = Patient { file, cancel: self.cancel, deadline: self.deadline };
        if searcher.search_reader(&self.matcher, reader, &mut hits).is_err() {
            hits.failed = true;
        }
        hits
    }
}

impl FileHits {
    /// Of a file that could not be read at all.
    pub(super) fn failed() -> Self {
        Self { failed: true, ..Self::default() }
    }

    fn push(&mut self, number: Option<u64>, bytes: &[u8], hit: bool) {
        // No character is longer than four bytes, so this holds every character that is shown and one more.
        let start = bytes.get(..(LINE_CHARS_MAX + 1) * 4).unwrap_or(bytes);
        let text = String::from_utf8_lossy(start);
        let (text, cut) = short_line(text.trim_end_matches(['\n', '\r']));
        self.bytes += text.len();
        self.lines.push(HitLine { number: number.unwrap_or(0), text, hit, cut });
    }
}

impl Sink for &mut FileHits {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.hits == self.limit || self.bytes > OUTPUT_BYTES_MAX {
            self.more = true;
            return Ok(false);
        }
        self.hits += 1;
        self.push(found.line_number(), found.bytes(), true);
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> Result<bool, io::Error> {
        self.push(line.line_number(), line.bytes(), false);
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, end: &SinkFinish) -> Result<(), io::Error> {
        self.binary |= end.binary_byte_offset().is_some();
        Ok(())
    }
}
