//! The tool `read`.

mod lines;

use std::io::{self, BufReader, Read, Seek};
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::call::ReadArgs;
use crate::error::{ToolError, shown};
use crate::limits::{
    COUNT_BYTES_MAX, IMAGE_BYTES_MAX, OUTPUT_BYTES_MAX, OUTPUT_LINES_MAX, READ_BUFFER_BYTES, SEARCH_TIME_MAX,
    SNIFF_BYTES,
};
use crate::os::{self, Stamp};
use crate::outcome::{Attachment, CutBy, ToolOutcome, Truncated};
use crate::seen::Seen;
use crate::workspace::{FileAt, View};
use lines::LineReader;

/// Shows a file.
pub(crate) fn run(
    view: &View,
    seen: &Seen,
    args: &ReadArgs,
    images: bool,
    cancel: &CancellationToken,
) -> Result<ToolOutcome, ToolError> {
    let mut file = view.open_file(&args.path)?;
    let outcome = show(&mut file, args, images, cancel)?;
    // The state from before the reading: what changed meanwhile differs from it.
    seen.note(&file.path, Stamp::of(&file.stat));
    Ok(outcome)
}

fn show(
    file: &mut FileAt,
    args: &ReadArgs,
    images: bool,
    cancel: &CancellationToken,
) -> Result<ToolOutcome, ToolError> {
    let path = shown(&file.path);
    let failed = |error| {
        if cancel.is_cancelled() { ToolError::Interrupted } else { ToolError::io("read", &path, error) }
    };
    let size = os::size(&file.stat);
    let mut head = Vec::new();
    (&file.file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(failed)?;
    if let Some(mime) = image(&head) {
        if !images {
            return Err(ToolError::Image { path, mime, bytes: size });
        }
        return attach(file, &path, mime, size);
    }
    if let Some(what) = not_text(&head) {
        return Err(ToolError::Binary { path, what, bytes: size });
    }
    file.file.rewind().map_err(failed)?;
    let patient = Patient { file: &file.file, cancel, deadline: Instant::now() + SEARCH_TIME_MAX };
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, patient));
    page(&mut reader, args, &path, size).map_err(|error| match error {
        Failure::Io(error) => failed(error),
        Failure::Tool(error) => error,
    })
}

/// Reads until somebody cancels or the time is over: a file can be larger than anyone's patience.
pub(crate) struct Patient<'a, R> {
    pub(crate) file: R,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) deadline: Instant,
}

impl<R: Read> Read for Patient<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        if Instant::now() > self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it took longer than 60 s"));
        }
        self.file.read(buffer)
    }
}

enum Failure {
    Io(io::Error),
    Tool(ToolError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn page<R: io::BufRead>(
    reader: &mut LineReader<R>,
    args: &ReadArgs,
    path: &str,
    size: u64,
) -> Result<ToolOutcome, Failure> {
    let offset = args.offset.unwrap_or(1);
    let skipped = reader.skip(offset - 1, u64::MAX)?;
    let wanted = args.limit.unwrap_or(u64::MAX);
    let mut page = Page::default();
    let mut cut = None;
    let mut long_line = None;
    while page.lines < wanted {
        if page.lines >= OUTPUT_LINES_MAX as u64 {
            cut = Some(CutBy::Lines);
            break;
        }
        let Some(line) = reader.next(OUTPUT_BYTES_MAX + 1)? else { break };
        if line.bytes.contains(&0) {
            return Err(
                ToolError::Binary { path: path.to_owned(), what: "it holds NUL bytes", bytes: size }.into()
            );
        }
        if !page.add(&line.bytes, offset == 1) {
            cut = Some(CutBy::Bytes);
            long_line = (page.lines == 0).then_some(line.len);
            break;
        }
    }
    let rest = usize::from(cut == Some(CutBy::Bytes)) as u64 + reader.skip(u64::MAX, COUNT_BYTES_MAX)?;
    let total = reader.at_end().then_some(skipped + page.lines + rest);
    if page.lines == 0 && long_line.is_none() && offset > 1 {
        let lines = total.unwrap_or(skipped);
        return Err(ToolError::BeyondEnd { path: path.to_owned(), offset, lines }.into());
    }
    // Lines left because the caller wanted no more of them are not cut, but worth saying.
    let cut = cut.or((rest > 0 && args.limit.is_none()).then_some(CutBy::Lines));
    Ok(page.finish(path, offset, rest, total, cut, long_line))
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::Tool(error)
    }
}

#[derive(Default)]
struct Page {
    text: String,
    lines: u64,
    bad_bytes: bool,
    bom: bool,
    crlf: bool,
}

impl Page {
    /// Adds a line unless it does not fit.
    fn add(&mut self, mut bytes: &[u8], from_start: bool) -> bool {
        if self.lines == 0
            && from_start
            && let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf")
        {
            self.bom = true;
            bytes = rest;
        }
        if let Some(rest) = bytes.strip_suffix(b"\r") {
            self.crlf = true;
            bytes = rest;
        }
        let line = String::from_utf8_lossy(bytes);
        let end = usize::from(self.lines > 0);
        if self.text.len() + end + line.len() > OUTPUT_BYTES_MAX {
            return false;
        }
        self.bad_bytes |= matches!(line, std::borrow::Cow::Owned(_));
        if end == 1 {
            self.text.push('\n');
        }
        self.text.push_str(&line);
        self.lines += 1;
        true
    }

    fn finish(
        self,
        path: &str,
        offset: u64,
        rest: u64,
        total: Option<u64>,
        cut: Option<CutBy>,
        long_line: Option<u64>,
    ) -> ToolOutcome {
        let last = offset + self.lines.saturating_sub(1);
        let of = total.map_or_else(|| "more".to_owned(), |total| total.to_string());
        let mut notes = Vec::new();
        if let Some(len) = long_line {
            let next = offset + 1;
            notes.push(format!(
                "line {offset} alone is {len} bytes, more than is shown at once; grep shows where in it something is, \
                 the next line is at offset {next}"
            ));
        } else if rest > 0 {
            notes.push(format!("lines {offset} to {last} of {of}; continue with offset {}", last + 1));
        }
        if total == Some(0) {
            notes.push(format!("{path} is empty"));
        }
        if self.bad_bytes {
            notes.push("some bytes are not UTF-8 and shown as \u{fffd}; edit cannot match those".to_owned());
        }
        let mut text = self.text;
        if !notes.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n\n" };
            text = format!("{text}{gap}[{}]", notes.join("; "));
        }
        let mut outcome = ToolOutcome::ok(text).with_details(json!({
            "path": path, "offset": offset, "lines": self.lines, "total_lines": total, "crlf": self.crlf, "bom": self.bom,
        }));
        outcome.truncated = cut.map(|by| Truncated { by, shown_lines: self.lines, total_lines: total });
        outcome
    }
}

fn image(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn attach(file: &mut FileAt, path: &str, mime: &'static str, size: u64) -> Result<ToolOutcome, ToolError> {
    let failed = |error| ToolError::io("read", path, error);
    file.file.rewind().map_err(failed)?;
    let mut bytes = Vec::new();
    (&file.file).take(IMAGE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > IMAGE_BYTES_MAX {
        return Err(ToolError::TooLarge {
            what: format!("the image {path}"),
            actual: size,
            limit: IMAGE_BYTES_MAX,
            hint: "make a smaller copy of it first",
        });
    }
    let mut outcome = ToolOutcome::ok(format!("[{path} is attached: {mime}, {} bytes]", bytes.len()))
        .with_details(json!({ "path": path, "mime": mime, "bytes": bytes.len() }));
    outcome.attachments = vec![Attachment { mime, bytes }];
    Ok(outcome)
}

fn not_text(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16 text; convert it to UTF-8 first"),
        [0x7f, b'E', b'L', b'F', ..] => Some("it is an ELF binary"),
        [b'P', b'K', 3, 4, ..] => Some("it is a zip archive"),
        [0x1f, 0x8b, ..] => Some("it is gzip data"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("it is a PDF document"),
        head if head.contains(&0) => Some("it is binary (it holds NUL bytes)"),
        _ => None,
    }
}
