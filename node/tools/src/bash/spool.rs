//! Output as it comes: passed on live, its end kept for the answer, all of it in a file once it is long.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::limits::{OUTPUT_BYTES_MAX, OUTPUT_HELD_BYTES, OUTPUT_LINES_MAX, SPILL_BYTES_MAX};
use crate::outcome::{CutBy, OutputChunk, OutputSink};
use crate::text::{Decoder, tail};
use crate::workspace::Workspace;

/// Takes a command's output.
pub(super) struct Spool {
    decoder: Decoder,
    sink: OutputSink,
    /// The end of the text.
    held: String,
    /// Text and bytes that came since the last [`Spool::pass_on`].
    fresh: String,
    raw: Vec<u8>,
    offset: u64,
    lines: u64,
    bytes: u64,
    file: Spill,
    output_dir: Option<PathBuf>,
    workspace: Arc<Workspace>,
}

enum Spill {
    /// Everything still fits in the answer and is in `raw`.
    NotYet,
    Open {
        file: File,
        path: PathBuf,
        room: u64,
    },
    Failed(io::Error),
}

/// What a command printed, as the answer has it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) text: String,
    pub(super) cut: Option<CutBy>,
    /// The text begins within a line.
    pub(super) half: bool,
    pub(super) shown_lines: u64,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) file: Option<Result<PathBuf, String>>,
    /// Bytes that are not in the file because it is full.
    pub(super) lost: u64,
}

impl Spool {
    pub(super) fn new(sink: OutputSink, output_dir: Option<PathBuf>, workspace: Arc<Workspace>) -> Self {
        Self {
            decoder: Decoder::default(),
            sink,
            held: String::new(),
            fresh: String::new(),
            raw: Vec::new(),
            offset: 0,
            lines: 0,
            bytes: 0,
            file: Spill::NotYet,
            output_dir,
            workspace,
        }
    }

    /// Takes a piece. Does not wait; [`Spool::pass_on`] must follow before the next.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.raw.extend_from_slice(piece);
        let text = self.decoder.feed(piece);
        self.add(&text);
    }

    fn add(&mut self, text: &str) {
        self.lines += memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
        self.fresh.push_str(text);
        self.held.push_str(text);
        if self.held.len() > OUTPUT_HELD_BYTES * 2 {
            let mut from = self.held.len() - OUTPUT_HELD_BYTES;
            while !self.held.is_char_boundary(from) {
                from += 1;
            }
            self.held.drain(..from);
        }
    }

    /// Nobody waits for live output any more.
    pub(super) fn nobody_listens(&mut self) {
        self.sink = OutputSink::none();
        self.fresh.clear();
    }

    /// Passes fresh output on: to the file, then to the listener. Cancel-safe: what was not passed on still is fresh.
    pub(super) async fn pass_on(&mut self) {
        self.spill().await;
        if !self.fresh.is_empty() {
            self.sink.send(OutputChunk { offset: self.offset, text: self.fresh.clone() }).await;
            self.offset += self.fresh.len() as u64;
            self.fresh.clear();
        }
    }

    async fn spill(&mut self) {
        let long = self.bytes > OUTPUT_BYTES_MAX as u64 || self.lines > OUTPUT_LINES_MAX as u64;
        if matches!(self.file, Spill::NotYet) && long {
            let (workspace, dir) = (self.workspace.clone(), self.output_dir.clone());
            // On this thread: it is two system calls, once for each long output.
            self.file = match workspace.outputs().create(dir.as_deref()) {
                Ok((file, path)) => Spill::Open { file: File::from_std(file), path, room: SPILL_BYTES_MAX },
                Err(error) => Spill::Failed(error),
            };
        }
        match &mut self.file {
            Spill::NotYet => {}
            Spill::Failed(_) => self.raw.clear(),
            Spill::Open { file, room, .. } => {
                let fits = usize::try_from(*room).unwrap_or(usize::MAX).min(self.raw.len());
                // The file takes a piece of this size whole or, when this wait is cancelled before, not at all; so it
                // is cleared only afterwards.
                match file.write_all(self.raw.get(..fits).unwrap_or_default()).await {
                    Ok(()) => *room -= fits as u64,
                    Err(error) => self.file = Spill::Failed(error),
                }
                self.raw.clear();
            }
        }
    }

    /// The end of the output.
    pub(super) async fn finish(mut self) -> Kept {
        let rest = self.decoder.finish();
        self.add(rest);
        self.spill().await;
        let (file, lost) = match self.file {
            Spill::NotYet => (None, 0),
            Spill::Failed(error) => (Some(Err(error.to_string())), 0),
            Spill::Open { mut file, path, room } => {
                let written = SPILL_BYTES_MAX - room;
                match file.flush().await {
                    Ok(()) => (Some(Ok(path)), self.bytes - written),
                    Err(error) => (Some(Err(error.to_string())), 0),
                }
            }
        };
        let (text, cut, half) = tail(&self.held);
        let lines = self.lines + u64::from(!self.held.is_empty() && !self.held.ends_with('\n'));
        let shown_lines = if text.is_empty() { 0 } else { text.lines().count() as u64 };
        Kept { text: text.to_owned(), cut, half, shown_lines, lines, bytes: self.bytes, file, lost }
    }
}
