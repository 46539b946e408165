//! A message while the model is still saying it.

use clankers_protocol::{
    conversation::{Message, StopReason, Thinking, ToolCall, Usage},
    event::{Delta, DeltaKind, MessageEvent},
    limits::DELTA_BYTES,
    text,
};

use super::Output;
use crate::limits::{
    ARGUMENTS_BYTES, CALLS, CALLS_BYTES, NAME_BYTES, SIGNATURE_BYTES, TEXT_BYTES, THINKING_BLOCKS,
    THINKING_BYTES,
};

/// The model said more than is accepted; what is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) &'static str);

#[derive(Debug)]
pub(super) struct Draft {
    item: String,
    text: String,
    thinking: Vec<Thinking>,
    /// The last block waits for more text or for its signature.
    block_open: bool,
    thinking_bytes: usize,
    signature_bytes: usize,
    pub(super) calls: Vec<ToolCall>,
    calls_bytes: usize,
    /// As last reported.
    pub(super) usage: Option<Usage>,
}

impl Draft {
    pub(super) fn new(item: String) -> Self {
        Self {
            item,
            text: String::new(),
            thinking: Vec::new(),
            block_open: false,
            thinking_bytes: 0,
            signature_bytes: 0,
            calls: Vec::new(),
            calls_bytes: 0,
            usage: None,
        }
    }

    pub(super) fn text(&mut self, more: &str, out: &mut Vec<Output>) -> Result<(), TooLarge> {
        if self.text.len() + more.len() > TEXT_BYTES {
            return Err(TooLarge("text"));
        }
        live(DeltaKind::Text, &self.item, self.text.len(), more, out);
        self.text.push_str(more);
        Ok(())
    }

    pub(super) fn thinking(&mut self, more: &str, out: &mut Vec<Output>) -> Result<(), TooLarge> {
        if more.is_empty() {
            return Ok(());
        }
        if self.thinking_bytes + more.len() > THINKING_BYTES {
            return Err(TooLarge("thinking"));
        }
        live(DeltaKind::Thinking, &self.item, self.thinking_bytes, more, out);
        self.thinking_bytes += more.len();
        self.block()?.text.push_str(more);
        Ok(())
    }

    /// Ends a block. A block may have a signature and no text (thinking that the provider keeps to itself).
    pub(super) fn signature(&mut self, signature: String) -> Result<(), TooLarge> {
        self.signature_bytes += signature.len();
        if self.signature_bytes > SIGNATURE_BYTES {
            return Err(TooLarge("thinking"));
        }
        self.block()?.signature = Some(signature);
        self.block_open = false;
        Ok(())
    }

    fn block(&mut self) -> Result<&mut Thinking, TooLarge> {
        if !self.block_open {
            if self.thinking.len() >= THINKING_BLOCKS {
                return Err(TooLarge("thinking"));
            }
            self.thinking.push(Thinking { text: String::new(), signature: None });
            self.block_open = true;
        }
        self.thinking.last_mut().ok_or(TooLarge("thinking"))
    }

    pub(super) fn call(&mut self, call: ToolCall) -> Result<(), TooLarge> {
        if self.calls.len() >= CALLS {
            return Err(TooLarge("list of tool calls"));
        }
        if call.name.len() > NAME_BYTES || call.arguments.len() > ARGUMENTS_BYTES {
            return Err(TooLarge("tool call"));
        }
        self.calls_bytes += call.arguments.len();
        if self.calls_bytes > CALLS_BYTES {
            return Err(TooLarge("list of tool calls"));
        }
        self.calls.push(call);
        Ok(())
    }

    /// Whether anything was said that is worth keeping when it is cut short. Calls alone are not: they never ran.
    pub(super) fn has_words(&self) -> bool {
        !self.text.is_empty() || !self.thinking.is_empty()
    }

    /// Whether anything was said that a person reads.
    pub(super) fn has_text(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Whether nothing was said at all.
    pub(super) fn is_blank(&self) -> bool {
        !self.has_words() && self.calls.is_empty()
    }

    pub(super) fn item(&self) -> &str {
        &self.item
    }

    /// The message for the log and the same for the transcript, with `calls` as they are to be known from now on.
    pub(super) fn complete(self, stop: StopReason, calls: Vec<ToolCall>) -> (MessageEvent, Message) {
        let Self { item, text, thinking, .. } = self;
        let message = Message::Assistant { thinking: thinking.clone(), text: text.clone(), calls };
        (MessageEvent { item, thinking, text, stop }, message)
    }
}

/// Announces a piece, in parts that fit on the wire.
fn live(kind: DeltaKind, item: &str, offset: usize, more: &str, out: &mut Vec<Output>) {
    let mut rest = more;
    let mut at = offset;
    while !rest.is_empty() {
        let part = text::head(rest, DELTA_BYTES);
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        out.push(Output::Live(kind, Delta { item: item.to_owned(), offset, text: part.to_owned() }));
        at += part.len();
        rest = rest.get(part.len()..).unwrap_or("");
    }
}
