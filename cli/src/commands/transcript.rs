//! Prints the events of a prompt: text for people, JSON lines for programs.

use std::io::{self, IsTerminal, Write};

use super::output_file::Out;

use clankers_protocol::{
    PromptId, SessionId,
    conversation::ToolStatus,
    event::{DeltaKind, Durable, Event, StreamItem},
    jsonl,
    request::prompt::Accepted,
    text::{self, Clean},
};

use crate::args::Mode;

/// Characters of a tool's arguments or outcome shown to people.
const FOLDED_CHARS: usize = 100;
/// Characters of a notice shown to people.
const NOTICE_CHARS: usize = 400;

/// Prints one prompt.
pub(crate) struct Printer {
    mode: Mode,
    session: SessionId,
    out: Out,
    /// The message whose text is being printed, so that its durable event is not printed again.
    streamed: Option<String>,
    /// Where the cursor is: a line has begun.
    mid_line: bool,
    /// Calls that no model asked for: their result is the answer.
    direct: Option<String>,
}

impl Printer {
    pub(crate) fn new(mode: Mode, session: SessionId) -> Self {
        Self::to(Out::Standard, mode, session)
    }

    /// One that prints to somewhere else.
    pub(crate) fn to(out: Out, mode: Mode, session: SessionId) -> Self {
        Self { mode, session, out, streamed: None, mid_line: false, direct: None }
    }

    /// All was said, and well: what goes into a file is there now.
    pub(crate) fn keep(self) -> io::Result<()> {
        self.out.keep()
    }

    /// The first line.
    pub(crate) fn accepted(&mut self, accepted: &Accepted, prompt_id: &PromptId) -> io::Result<()> {
        match self.mode {
            Mode::Json => self.out.line(&jsonl::accepted(accepted, prompt_id)),
            Mode::Text if io::stderr().is_terminal() => {
                anstream::eprintln!("session {}", self.session.short());
                Ok(())
            }
            Mode::Text => Ok(()),
        }
    }

    /// One item of the stream.
    pub(crate) fn item(&mut self, item: &StreamItem) -> io::Result<()> {
        if self.mode == Mode::Json {
            return jsonl::item(self.session, item).map_or(Ok(()), |value| self.out.line(&value));
        }
        match item {
            StreamItem::Live(DeltaKind::Text, delta) => {
                self.streamed = Some(delta.item.clone());
                self.write(&delta.text)
            }
            StreamItem::Live(DeltaKind::Notice, delta) => {
                self.end_line()?;
                anstream::eprintln!("! {}", text::line(&delta.text, NOTICE_CHARS));
                Ok(())
            }
            StreamItem::Live(..) => Ok(()),
            StreamItem::Durable(Durable { event, .. }) => self.event(event),
        }
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Message(message) => {
                if self.streamed.take().as_deref() != Some(message.item.as_str()) {
                    self.write(&message.text)?;
                }
                self.end_line()
            }
            Event::ToolCall(call) => {
                self.end_line()?;
                if call.message.is_empty() {
                    self.direct = Some(call.item.clone());
                } else {
                    let arguments = text::line(&call.arguments, FOLDED_CHARS);
                    anstream::eprintln!("● {} {arguments}", text::line(&call.name, FOLDED_CHARS));
                }
                Ok(())
            }
            Event::ToolResult(result) if self.direct.as_deref() == Some(result.item.as_str()) => {
                if result.status == ToolStatus::Ok {
                    self.write(&result.text)?;
                    self.end_line()?;
                }
                Ok(())
            }
            Event::ToolResult(result) => {
                let glyph = if result.status == ToolStatus::Ok { "✓" } else { "✗" };
                let first = result.text.lines().next().unwrap_or_default();
                anstream::eprintln!("  {glyph} {}", text::line(first, FOLDED_CHARS));
                Ok(())
            }
            Event::Settled(_) => self.end_line(),
            Event::Prompt(_)
            | Event::Usage(_)
            | Event::Steered(_)
            | Event::Compacted(_)
            | Event::Resolved(_) => Ok(()),
        }
    }

    fn write(&mut self, dirty: &str) -> io::Result<()> {
        if dirty.is_empty() {
            return Ok(());
        }
        self.mid_line = !dirty.ends_with('\n');
        self.out.write(Clean::block(dirty).as_str().as_bytes())
    }

    /// Ends a line that has begun.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.mid_line) {
            self.out.write(b"\n")?;
        }
        Ok(())
    }
}

/// One JSON object, flushed.
pub(crate) fn line(value: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}
