//! A streamed message, put together piece by piece. Pure: JSON in, events out.

use clankers_protocol::conversation::{ModelEvent, StopReason, ToolCall, Usage};
use serde_json::Value;

use super::signature::Proof;
use crate::{
    http::{Answer, Bad},
    limits::{
        ALL_ARGUMENTS_BYTES, ARGUMENTS_BYTES, BLOCKS, CALLS, NAME_BYTES, SIGNATURE_BYTES, TEXT_BYTES,
        THINKING_BYTES,
    },
};

#[derive(Debug)]
enum Block {
    Thinking {
        signature: String,
    },
    Tool {
        id: String,
        name: String,
        whole: Option<String>,
        arguments: String,
    },
    /// Text, which is handed on as it comes, and kinds that are not known here.
    Other,
}

#[derive(Debug)]
pub(crate) struct MessageAnswer {
    model: String,
    /// Blocks that began and did not end, with their index.
    open: Vec<(u64, Block)>,
    /// Blocks that began (count).
    blocks: usize,
    calls: Vec<ToolCall>,
    usage: Usage,
    usage_said: bool,
    text_bytes: usize,
    thinking_bytes: usize,
    signature_bytes: usize,
    arguments_bytes: usize,
    stop: Option<StopReason>,
    begun: bool,
    done: bool,
}

impl MessageAnswer {
    /// An answer of this model, whose thinking will be tagged with its name.
    pub(crate) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            open: Vec::new(),
            blocks: 0,
            calls: Vec::new(),
            usage: Usage::default(),
            usage_said: false,
            text_bytes: 0,
            thinking_bytes: 0,
            signature_bytes: 0,
            arguments_bytes: 0,
            stop: None,
            begun: false,
            done: false,
        }
    }

    /// Says something of the answer; what the prompt has cost is said just before the first word, so that it counts
    /// even when the answer is cut, and not earlier, because then a failed call could not be made again.
    fn say(&mut self, event: ModelEvent, out: &mut Vec<ModelEvent>) {
        if !std::mem::replace(&mut self.usage_said, true) {
            out.push(ModelEvent::Usage(self.usage));
        }
        out.push(event);
    }

    fn text(&mut self, words: &str, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        if words.is_empty() {
            return Ok(());
        }
        self.text_bytes += words.len();
        if self.text_bytes > TEXT_BYTES {
            return Err(Bad::TooLarge("text"));
        }
        self.say(ModelEvent::Text(words.to_owned()), out);
        Ok(())
    }

    fn thinking(&mut self, words: &str, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        if words.is_empty() {
            return Ok(());
        }
        self.thinking_bytes += words.len();
        if self.thinking_bytes > THINKING_BYTES {
            return Err(Bad::TooLarge("thinking"));
        }
        self.say(ModelEvent::Thinking(words.to_owned()), out);
        Ok(())
    }

    /// The end of a thinking block. One whose proof is larger than is kept stays here: it only cannot go back.
    fn prove(&mut self, proof: Proof<'_>, out: &mut Vec<ModelEvent>) {
        let tag = proof.tag(&self.model);
        if self.signature_bytes + tag.len() <= SIGNATURE_BYTES {
            self.signature_bytes += tag.len();
            self.say(ModelEvent::ThinkingSignature(tag), out);
        }
    }

    fn start(&mut self, index: u64, block: &Value, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        self.blocks += 1;
        if self.blocks > BLOCKS {
            return Err(Bad::TooLarge("the list of blocks"));
        }
        let open = match words(block, "type") {
            "thinking" => {
                self.thinking(words(block, "thinking"), out)?;
                Block::Thinking { signature: words(block, "signature").to_owned() }
            }
            "redacted_thinking" => {
                self.prove(Proof::Redacted(words(block, "data")), out);
                Block::Other
            }
            "tool_use" => {
                let (id, name) = (words(block, "id"), words(block, "name"));
                if id.len() > NAME_BYTES || name.len() > NAME_BYTES {
                    return Err(Bad::TooLarge("a tool call's id or name"));
                }
                // Usually empty, and the arguments follow; some servers send them whole.
                let input = block.get("input").and_then(Value::as_object).filter(|input| !input.is_empty());
                let whole = input.map(|_| block.get("input").map(Value::to_string).unwrap_or_default());
                self.count_arguments(whole.as_deref().map_or(0, str::len), 0)?;
                Block::Tool { id: id.to_owned(), name: name.to_owned(), whole, arguments: String::new() }
            }
            "text" => {
                self.text(words(block, "text"), out)?;
                Block::Other
            }
            _ => Block::Other,
        };
        self.open.push((index, open));
        Ok(())
    }

    fn count_arguments(&mut self, more: usize, of_this: usize) -> Result<(), Bad> {
        self.arguments_bytes += more;
        if of_this + more > ARGUMENTS_BYTES || self.arguments_bytes > ALL_ARGUMENTS_BYTES {
            return Err(Bad::TooLarge("the arguments of a tool call"));
        }
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Value, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        match words(delta, "type") {
            "text_delta" => self.text(words(delta, "text"), out),
            "thinking_delta" => self.thinking(words(delta, "thinking"), out),
            "signature_delta" => {
                if let Some(Block::Thinking { signature }) = self.block(index) {
                    let more = words(delta, "signature");
                    // What is too long to be kept is not even put together.
                    if signature.len() <= SIGNATURE_BYTES {
                        signature.push_str(more);
                    }
                }
                Ok(())
            }
            "input_json_delta" => {
                let more = words(delta, "partial_json");
                let Some(Block::Tool { arguments, .. }) = self.block(index) else { return Ok(()) };
                let before = arguments.len();
                arguments.push_str(more);
                self.count_arguments(more.len(), before)
            }
            // Citations, and what may come.
            _ => Ok(()),
        }
    }

    fn block(&mut self, index: u64) -> Option<&mut Block> {
        self.open.iter_mut().rev().find(|(at, _)| *at == index).map(|(_, block)| block)
    }

    fn end(&mut self, index: u64, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        let Some(at) = self.open.iter().rposition(|(open, _)| *open == index) else { return Ok(()) };
        match self.open.remove(at).1 {
            Block::Thinking { signature } if !signature.is_empty() => {
                self.prove(Proof::Signature(&signature), out);
            }
            Block::Tool { id, name, whole, arguments } => {
                if self.calls.len() >= CALLS {
                    return Err(Bad::TooLarge("the list of tool calls"));
                }
                let arguments = if arguments.trim().is_empty() { whole } else { Some(arguments) };
                let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
                self.calls.push(ToolCall { id, name, arguments });
            }
            Block::Thinking { .. } | Block::Other => {}
        }
        Ok(())
    }

    /// Counts are for the whole message so far; what is not said again stays.
    fn count(&mut self, usage: &Value) {
        let count = |name: &str, before: u64| usage.get(name).and_then(Value::as_u64).unwrap_or(before);
        self.usage = Usage {
            input: count("input_tokens", self.usage.input),
            output: count("output_tokens", self.usage.output),
            cache_read: count("cache_read_input_tokens", self.usage.cache_read),
            cache_write: count("cache_creation_input_tokens", self.usage.cache_write),
        };
    }

    fn stop_reason(&mut self, from: &Value) {
        let Some(reason) = from.get("stop_reason").and_then(Value::as_str) else { return };
        self.stop = Some(match reason {
            "tool_use" => StopReason::ToolUse,
            "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
            "pause_turn" => StopReason::Pause,
            "refusal" => StopReason::Refusal,
            // end_turn, stop_sequence, and what may come.
            _ => StopReason::EndTurn,
        });
    }

    /// A message that came whole.
    fn whole(&mut self, message: &Value, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        self.begun = true;
        if let Some(usage) = message.get("usage") {
            self.count(usage);
        }
        let blocks = message.get("content").and_then(Value::as_array);
        for (index, block) in (0..).zip(blocks.into_iter().flatten()) {
            self.start(index, block, out)?;
            self.end(index, out)?;
        }
        self.stop_reason(message);
        self.done = true;
        Ok(())
    }
}

impl Answer for MessageAnswer {
    fn take(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        let data = data.trim();
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).map_err(|_| Bad::Garbage)?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(Bad::Server(error.clone()));
        }
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let nothing = Value::Null;
        let part = |name: &str| event.get(name).unwrap_or(&nothing);
        match words(&event, "type") {
            "message_start" => {
                self.begun = true;
                self.count(part("message").get("usage").unwrap_or(&nothing));
                Ok(())
            }
            "content_block_start" => self.start(index, part("content_block"), out),
            "content_block_delta" => self.delta(index, part("delta"), out),
            "content_block_stop" => self.end(index, out),
            "message_delta" => {
                self.begun = true;
                self.count(part("usage"));
                self.stop_reason(part("delta"));
                Ok(())
            }
            "message_stop" => {
                self.done = true;
                Ok(())
            }
            "message" => self.whole(&event, out),
            // Pings, and what may come.
            _ => Ok(()),
        }
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn has_stopped(&self) -> bool {
        self.stop.is_some() || self.done
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn finish(mut self, out: &mut Vec<ModelEvent>) {
        // Blocks whose end was not said; more calls than are allowed are left out, as their list is full.
        while let Some((index, _)) = self.open.first() {
            let index = *index;
            let _ = self.end(index, out);
        }
        let stop = match self.stop.unwrap_or(StopReason::EndTurn) {
            StopReason::EndTurn if !self.calls.is_empty() => StopReason::ToolUse,
            StopReason::ToolUse if self.calls.is_empty() => StopReason::EndTurn,
            stop => stop,
        };
        out.extend(self.calls.into_iter().map(ModelEvent::ToolCall));
        out.push(ModelEvent::Usage(self.usage));
        out.push(ModelEvent::Stop(stop));
    }
}

fn words<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests;
