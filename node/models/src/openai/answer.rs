//! A streamed answer, put together piece by piece. Pure: JSON in, events out.

use clankers_protocol::conversation::{ModelEvent, StopReason, ToolCall, Usage};
use serde_json::Value;

use crate::{
    http::{Answer, Bad},
    limits::{ALL_ARGUMENTS_BYTES, ARGUMENTS_BYTES, CALLS, NAME_BYTES, TEXT_BYTES, THINKING_BYTES},
};

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

#[derive(Debug, Default)]
pub(crate) struct ChatAnswer {
    text_bytes: usize,
    thinking_bytes: usize,
    arguments_bytes: usize,
    calls: Vec<PartialCall>,
    stop: Option<StopReason>,
    refused: bool,
    done: bool,
    seen: bool,
}

impl ChatAnswer {
    fn delta(&mut self, delta: &Value, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        // DeepSeek and vLLM say reasoning_content, OpenRouter and Ollama reasoning; some send both alike.
        let thinking = ["reasoning_content", "reasoning"].iter().find_map(|key| words(delta, key));
        if let Some(text) = thinking {
            self.thinking_bytes += text.len();
            if self.thinking_bytes > THINKING_BYTES {
                return Err(Bad::TooLarge("thinking"));
            }
            out.push(ModelEvent::Thinking(text.to_owned()));
        }
        let refusal = words(delta, "refusal");
        self.refused |= refusal.is_some();
        for text in words(delta, "content").into_iter().chain(refusal) {
            self.text_bytes += text.len();
            if self.text_bytes > TEXT_BYTES {
                return Err(Bad::TooLarge("text"));
            }
            out.push(ModelEvent::Text(text.to_owned()));
        }
        for piece in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(piece)?;
        }
        Ok(())
    }

    /// One piece of a tool call. Servers differ: `index` may be missing or always 0, the name may be repeated, the
    /// arguments may come whole, in pieces, or as an object.
    fn call(&mut self, piece: &Value) -> Result<(), Bad> {
        let index = piece.get("index").and_then(Value::as_u64);
        let id = words(piece, "id").unwrap_or("");
        let function = piece.get("function").unwrap_or(piece);
        let name = words(function, "name").unwrap_or("");
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(object @ Value::Object(_)) => object.to_string(),
            _ => String::new(),
        };
        if id.len() > NAME_BYTES || name.len() > NAME_BYTES {
            return Err(Bad::TooLarge("a tool call's id or name"));
        }
        let is_other = |call: &PartialCall| !id.is_empty() && !call.id.is_empty() && call.id != id;
        let known = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None if id.is_empty() && name.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|call| !id.is_empty() && call.id == id),
        };
        let known = known.filter(|at| self.calls.get(*at).is_some_and(|call| !is_other(call)));
        let at = match known {
            Some(at) => at,
            None if self.calls.len() >= CALLS => return Err(Bad::TooLarge("the list of tool calls")),
            None => {
                self.calls.push(PartialCall { index, ..PartialCall::default() });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(&arguments);
        self.arguments_bytes += arguments.len();
        if call.arguments.len() > ARGUMENTS_BYTES || self.arguments_bytes > ALL_ARGUMENTS_BYTES {
            return Err(Bad::TooLarge("the arguments of a tool call"));
        }
        Ok(())
    }
}

impl Answer for ChatAnswer {
    fn take(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), Bad> {
        let data = data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|_| Bad::Garbage)?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(Bad::Server(error.clone()));
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            out.push(ModelEvent::Usage(read_usage(usage)));
        }
        let Some(choices) = chunk.get("choices").and_then(Value::as_array) else { return Ok(()) };
        self.seen = true;
        // One answer was asked for; further choices would be mixed into it.
        let Some(choice) = choices.iter().find(|c| c.get("index").and_then(Value::as_u64).unwrap_or(0) == 0)
        else {
            return Ok(());
        };
        if let Some(delta) =
            choice.get("delta").or_else(|| choice.get("message")).filter(|delta| delta.is_object())
        {
            self.delta(delta, out)?;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.stop = Some(match reason {
                "length" => StopReason::MaxTokens,
                "content_filter" => StopReason::Refusal,
                "tool_calls" | "function_call" => StopReason::ToolUse,
                _ => StopReason::EndTurn,
            });
        }
        Ok(())
    }

    fn has_stopped(&self) -> bool {
        self.stop.is_some() || self.done
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn has_begun(&self) -> bool {
        self.seen
    }

    fn finish(self, out: &mut Vec<ModelEvent>) {
        let stop = match self.stop.unwrap_or(StopReason::EndTurn) {
            _ if self.refused => StopReason::Refusal,
            // Many servers say `stop` also when they called tools; some say `tool_calls` and call none.
            StopReason::EndTurn if !self.calls.is_empty() => StopReason::ToolUse,
            StopReason::ToolUse if self.calls.is_empty() => StopReason::EndTurn,
            stop => stop,
        };
        for call in self.calls {
            let arguments = if call.arguments.trim().is_empty() { "{}".to_owned() } else { call.arguments };
            out.push(ModelEvent::ToolCall(ToolCall { id: call.id, name: call.name, arguments }));
        }
        out.push(ModelEvent::Stop(stop));
    }
}

fn words<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn read_usage(usage: &Value) -> Usage {
    let count = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or(0);
    let prompt = count(usage.get("prompt_tokens"));
    let cached = usage.pointer("/prompt_tokens_details/cached_tokens");
    // DeepSeek's name for the same.
    let cache_read = count(cached.or_else(|| usage.get("prompt_cache_hit_tokens"))).min(prompt);
    // OpenRouter's; OpenAI itself does not say how much it wrote.
    let written = count(usage.pointer("/prompt_tokens_details/cache_write_tokens"));
    let cache_write = written.min(prompt - cache_read);
    let output = count(usage.get("completion_tokens"));
    Usage { input: prompt - cache_read - cache_write, output, cache_read, cache_write }
}

#[cfg(test)]
mod tests;
