//! The two dialects that the mock speaks: pieces of text, a tool call, the end.

use serde_json::{Value, json};

/// Which of them a request is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
}

impl Dialect {
    /// By the request's first line.
    pub(super) fn of(line: &str) -> Self {
        if line.contains("/messages") { Self::Anthropic } else { Self::OpenAi }
    }

    /// What comes before the pieces of a text.
    pub(super) fn begins(self) -> String {
        match self {
            Self::OpenAi => String::new(),
            Self::Anthropic => {
                let usage = json!({"input_tokens": 10, "output_tokens": 1});
                let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [],
                    "model": "mock", "stop_reason": null, "usage": usage});
                named(&json!({"type": "message_start", "message": message}))
                    + &named(&json!({"type": "content_block_start", "index": 0,
                        "content_block": {"type": "text", "text": ""}}))
            }
        }
    }

    /// A piece of text.
    pub(super) fn said(self, text: &str) -> String {
        match self {
            Self::OpenAi => plain(&json!({"choices": [{"index": 0, "delta": {"content": text}}]})),
            Self::Anthropic => named(&json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}})),
        }
    }

    /// One call of a tool, whole.
    pub(super) fn calls(self, tool: &str, arguments: &str) -> String {
        match self {
            Self::OpenAi => {
                let call = json!([{"index": 0, "id": "call_1", "type": "function",
                    "function": {"name": tool, "arguments": arguments}}]);
                plain(&json!({"choices": [{"index": 0, "delta": {"tool_calls": call}}]}))
            }
            Self::Anthropic => {
                named(&json!({"type": "content_block_stop", "index": 0}))
                    + &named(&json!({"type": "content_block_start", "index": 1, "content_block":
                        {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}}))
                    + &named(&json!({"type": "content_block_delta", "index": 1,
                        "delta": {"type": "input_json_delta", "partial_json": arguments}}))
            }
        }
    }

    /// The end, after a call or without.
    pub(super) fn stopped(self, call: bool) -> String {
        match self {
            Self::OpenAi => {
                let why = if call { "tool_calls" } else { "stop" };
                let stop = plain(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": why}]}));
                let usage =
                    plain(&json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}));
                format!("{stop}{usage}data: [DONE]\n\n")
            }
            Self::Anthropic => {
                let why = if call { "tool_use" } else { "end_turn" };
                named(&json!({"type": "content_block_stop", "index": u8::from(call)}))
                    + &named(&json!({"type": "message_delta", "delta": {"stop_reason": why},
                        "usage": {"output_tokens": 2}}))
                    + &named(&json!({"type": "message_stop"}))
            }
        }
    }
}

fn plain(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn named(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}
