//! The one pass over a log when it is opened: checks every line, finds where each stands, and judges its end.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use super::entry::{self, AnyVersion, Entry, LOG_VERSION, LogHeader, RawEvent};
use crate::{limits, line};

/// What a log consists of.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) header: LogHeader,
    /// The header's checksum: the seed of all other lines.
    pub(crate) seed: u32,
    pub(crate) epoch: u64,
    /// Events before those of `offsets` (count): not 0 only when a survey was resumed.
    pub(crate) base: u64,
    /// Where event `base + n` begins is at place `n - 1`.
    pub(crate) offsets: Vec<u32>,
    /// Where the last whole line ends (bytes), which is where the next one goes.
    pub(crate) good_len: u64,
    pub(crate) end: End,
}

/// What an earlier survey of the same log knew.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    pub(crate) header: LogHeader,
    pub(crate) seed: u32,
    pub(crate) epoch: u64,
    pub(crate) head_seq: u64,
    pub(crate) good_len: u64,
}

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a whole line.
    Clean,
    /// With a whole line, of so many bytes, whose newline is missing or damaged.
    Unterminated { line: u64 },
    /// With a line that was never finished: an append was cut short before it was acknowledged.
    Torn { bytes: u64 },
    /// With a finished line that is damaged: perhaps an append cut short by a power loss, perhaps an event that had
    /// been acknowledged.
    BadLine { bytes: u64 },
    /// Damaged before its last line.
    Damaged { bytes: u64, what: &'static str },
}

/// Why there is nothing to survey.
#[derive(Debug)]
pub(crate) enum NoSurvey {
    Disk(io::Error),
    Newer(u64),
    Header {
        bytes: u64,
        what: &'static str,
    },
    /// A visited event is of an unknown type.
    Unknown(u64),
}

impl From<io::Error> for NoSurvey {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// What is done with each event on the way; `false`: this version does not know it.
pub(crate) type Visit<'a> = dyn FnMut(RawEvent<'_>) -> bool + 'a;

impl Survey {
    /// Where a survey begins.
    pub(crate) fn of(file: &File, visit: &mut Visit<'_>) -> Result<Self, NoSurvey> {
        let total = file.metadata()?.len();
        if total > limits::LOG_BYTES {
            return Err(NoSurvey::Header { bytes: total, what: "it is longer than any log may be" });
        }
        let mut file = file;
        file.seek(SeekFrom::Start(0))?;
        let mut lines = Lines::new(file);
        let mut survey = Self::begin(&mut lines, total)?;
        survey.walk(&mut lines, total, visit)?;
        Ok(survey)
    }

    /// Goes on where an earlier survey ended: only what was appended since is read.
    pub(crate) fn resume(file: &File, earlier: Resume, visit: &mut Visit<'_>) -> Result<Self, NoSurvey> {
        let total = file.metadata()?.len();
        let mut file = file;
        file.seek(SeekFrom::Start(earlier.good_len))?;
        let Resume { header, seed, epoch, head_seq, good_len } = earlier;
        let mut survey =
            Self { header, seed, epoch, base: head_seq, offsets: Vec::new(), good_len, end: End::Clean };
        survey.walk(&mut Lines::new(file), total, visit)?;
        Ok(survey)
    }

    /// The last event's seq.
    pub(crate) fn head_seq(&self) -> u64 {
        self.base.saturating_add(self.offsets.len() as u64)
    }

    fn begin(lines: &mut Lines<'_>, total: u64) -> Result<Self, NoSurvey> {
        let bad = |what| Err(NoSurvey::Header { bytes: total, what });
        let first = lines.next()?;
        let text = first.text();
        // The version stands first in every format, whatever follows: a newer log is told from a damaged one.
        if let Ok(AnyVersion { v }) = serde_json::from_slice(text)
            && v > LOG_VERSION
        {
            return Err(NoSurvey::Newer(v));
        }
        if !first.terminated() {
            return bad("its first line is not finished");
        }
        let Some(unsealed) = line::unseal(0, text) else { return bad("its first line is damaged") };
        let seed = unsealed.sum;
        let Ok(header) = serde_json::from_str::<LogHeader>(&line::object(unsealed.body)) else {
            return bad("its first line is not a session's header");
        };
        let good_len = first.len();
        Ok(Self {
            epoch: header.epoch,
            header,
            seed,
            base: 0,
            offsets: Vec::new(),
            good_len,
            end: End::Clean,
        })
    }

    fn walk(&mut self, lines: &mut Lines<'_>, total: u64, visit: &mut Visit<'_>) -> Result<(), NoSurvey> {
        loop {
            let next = lines.next()?;
            if next.is_empty() {
                return Ok(());
            }
            let text = next.text();
            if let Some(entry) = self.accept(text) {
                self.take(entry, visit)?;
                if next.terminated() {
                    self.good_len = self.good_len.saturating_add(next.len());
                    continue;
                }
                self.end = End::Unterminated { line: next.len() };
                return Ok(());
            }
            // Perhaps just its newline was hit.
            if let Some(entry) = next.without_last().and_then(|text| self.accept(text)) {
                self.take(entry, visit)?;
                self.end = End::Unterminated { line: next.len().saturating_sub(1) };
                return Ok(());
            }
            let (terminated, len) = (next.terminated(), next.len());
            self.end = self.judge(lines, total, terminated, len)?;
            return Ok(());
        }
    }

    /// The entry on this line, if it is whole and in its place.
    fn accept<'a>(&self, text: &'a [u8]) -> Option<Entry<'a>> {
        let entry = entry::entry(line::unseal(self.seed, text)?.body)?;
        let head = self.head_seq();
        match entry {
            Entry::Event(event) => event.seq == head.saturating_add(1),
            Entry::Epoch { epoch, after } => after == head && epoch > self.epoch,
        }
        .then_some(entry)
    }

    fn take(&mut self, entry: Entry<'_>, visit: &mut Visit<'_>) -> Result<(), NoSurvey> {
        match entry {
            Entry::Epoch { epoch, .. } => self.epoch = epoch,
            Entry::Event(event) => {
                // LOG_BYTES fits 32 bits.
                self.offsets.push(u32::try_from(self.good_len).unwrap_or(u32::MAX));
                if !visit(event) {
                    return Err(NoSurvey::Unknown(event.seq));
                }
            }
        }
        Ok(())
    }

    /// A line was bad: is it the unfinished end, or is there more behind it?
    fn judge(&self, lines: &mut Lines<'_>, total: u64, terminated: bool, len: u64) -> io::Result<End> {
        let bytes = total.saturating_sub(self.good_len);
        if !terminated {
            // Nothing follows, or a line longer than any: still unfinished as long as no line ends in it.
            return Ok(if len < Lines::LIMIT || lines.no_more_newline()? {
                End::Torn { bytes }
            } else {
                End::Damaged { bytes, what: "a line there is longer than any line may be" }
            });
        }
        Ok(if lines.next()?.is_empty() {
            End::BadLine { bytes }
        } else {
            End::Damaged { bytes, what: "a line there does not match its checksum or its place" }
        })
    }
}

/// Lines of a file, each bounded.
struct Lines<'f> {
    reader: BufReader<&'f File>,
    line: Vec<u8>,
}

/// One line, or what there is of it.
struct Next<'a> {
    raw: &'a [u8],
}

impl Next<'_> {
    fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    fn len(&self) -> u64 {
        self.raw.len() as u64
    }

    fn terminated(&self) -> bool {
        self.raw.ends_with(b"\n")
    }

    fn text(&self) -> &[u8] {
        self.raw.strip_suffix(b"\n").unwrap_or(self.raw)
    }

    /// An unfinished line without its last byte.
    fn without_last(&self) -> Option<&[u8]> {
        if self.terminated() { None } else { self.raw.split_last().map(|(_, rest)| rest) }
    }
}

impl<'f> Lines<'f> {
    /// More than a line may have (bytes).
    const LIMIT: u64 = limits::LINE_BYTES as u64 + 1;

    fn new(file: &'f File) -> Self {
        Self { reader: BufReader::with_capacity(limits::READ_BUFFER_BYTES, file), line: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        (&mut self.reader).take(Self::LIMIT).read_until(b'\n', &mut self.line)?;
        Ok(Next { raw: &self.line })
    }

    /// Whether no further line ends; reads to the end, keeping nothing.
    fn no_more_newline(&mut self) -> io::Result<bool> {
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(true);
            }
            if chunk.contains(&b'\n') {
                return Ok(false);
            }
            let len = chunk.len();
            self.reader.consume(len);
        }
    }
}
