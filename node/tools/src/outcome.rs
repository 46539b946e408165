//! What a call gives back, at its end and while it runs.

use tokio::sync::mpsc;

use crate::error::ToolError;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did what was asked. A command that exits non-zero is not `Ok`.
    Ok,
    /// It failed; the text says why and what to do.
    Error,
    /// A rule refused it: the grant's paths, the node's own files, git's own files, a path out of the workspace.
    Denied,
    /// It was cancelled; the text holds what there was until then.
    Interrupted,
}

/// Which limit cut the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutBy {
    /// The number of lines.
    Lines,
    /// The number of bytes.
    Bytes,
    /// The number of hits, paths or entries.
    Count,
    /// The time or the number of entries visited.
    Effort,
}

/// That something was left out. The text itself says so too, with how to get the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// Which limit cut it.
    pub by: CutBy,
    /// Lines that are in the text.
    pub shown_lines: u64,
    /// Lines there are in all, where known.
    pub total_lines: Option<u64>,
}

/// An image or other content that is not text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its media type, such as `image/png`.
    pub mime: &'static str,
    /// Its bytes, at most [`crate::limits::IMAGE_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// The result of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutcome {
    /// How it ended.
    pub status: Status,
    /// What the model reads. Valid UTF-8; terminal escapes of a command's output are still in it.
    pub text: String,
    /// Facts for programs: `exit_code`, `signal`, `diff`, `bytes`, `hits`, ... by tool.
    pub details: Option<serde_json::Value>,
    /// Present when something was left out.
    pub truncated: Option<Truncated>,
    /// Images, when `read` met one.
    pub attachments: Vec<Attachment>,
}

impl ToolOutcome {
    pub(crate) fn ok(text: String) -> Self {
        Self { status: Status::Ok, text, details: None, truncated: None, attachments: Vec::new() }
    }

    pub(crate) fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl From<ToolError> for ToolOutcome {
    fn from(error: ToolError) -> Self {
        let status = match &error {
            ToolError::Interrupted => Status::Interrupted,
            e if e.is_denial() => Status::Denied,
            _ => Status::Error,
        };
        Self { status, ..Self::ok(error.to_string()) }
    }
}

/// A piece of a command's output, sent while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Where it begins in the whole output, in bytes of text.
    pub offset: u64,
    /// The text: whole characters, at most [`crate::limits::CHUNK_BYTES`] times three (a bad byte becomes U+FFFD).
    pub text: String,
}

/// Where live output goes.
///
/// A full channel slows the command down (its pipe fills), never the node; timeout and cancellation still work.
/// A closed channel is ignored, and one that stays full for a second after the command's end is left: the result is
/// complete without it.
#[derive(Debug, Clone, Default)]
pub struct OutputSink(Option<mpsc::Sender<OutputChunk>>);

impl OutputSink {
    /// Sends to this channel.
    pub fn new(sender: mpsc::Sender<OutputChunk>) -> Self {
        Self(Some(sender))
    }

    /// Nobody watches.
    pub fn none() -> Self {
        Self(None)
    }

    pub(crate) async fn send(&mut self, chunk: OutputChunk) {
        if let Some(sender) = &self.0
            && sender.send(chunk).await.is_err()
        {
            self.0 = None;
        }
    }
}
