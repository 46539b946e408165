//! The request, as chat completions want it.

use clankers_protocol::conversation::{Message, ModelRequest, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use crate::wire::{self, Ids};

/// What is asked beside the conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) model: &'a str,
    pub(crate) with_usage: bool,
    pub(crate) max_output: Option<u64>,
    /// `max_completion_tokens` instead of `max_tokens`.
    pub(crate) new_words: bool,
    /// `reasoning_effort: none`.
    pub(crate) no_reasoning: bool,
}

/// The JSON body of a streaming request.
pub(crate) fn build(request: &ModelRequest, shape: &Shape<'_>) -> Vec<u8> {
    let ids = Ids::new(&request.messages);
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    messages.extend(request.messages.iter().filter_map(|said| message(said, &ids)));
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(shape.model));
    body.insert("messages".to_owned(), Value::Array(messages));
    body.insert("stream".to_owned(), json!(true));
    if shape.with_usage {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    if let Some(most) = shape.max_output {
        let word = if shape.new_words { "max_completion_tokens" } else { "max_tokens" };
        body.insert(word.to_owned(), json!(most));
    }
    if shape.no_reasoning {
        body.insert("reasoning_effort".to_owned(), json!("none"));
    }
    // Several servers refuse an empty array.
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    Value::Object(body).to_string().into_bytes()
}

fn tool(spec: &ToolSpec) -> Value {
    let parameters: Value = serde_json::from_str(&spec.parameters)
        .unwrap_or_else(|_| json!({ "type": "object", "properties": {} }));
    let function =
        json!({ "name": wire::name(&spec.name), "description": spec.description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}

/// One message; `None` for an answer that was interrupted before its first word, which providers refuse.
fn message(message: &Message, ids: &Ids<'_>) -> Option<Value> {
    Some(match message {
        Message::User { text } => json!({ "role": "user", "content": text }),
        // Thinking stays here: this dialect has no field to carry it back, and some servers refuse it.
        Message::Assistant { text, calls, .. } if calls.is_empty() => {
            (!text.is_empty()).then(|| json!({ "role": "assistant", "content": text }))?
        }
        Message::Assistant { text, calls, .. } => {
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            let calls: Vec<Value> = calls.iter().map(|made| call(made, ids)).collect();
            json!({ "role": "assistant", "content": content, "tool_calls": calls })
        }
        Message::ToolResult { call_id, text, .. } => {
            let content = if text.is_empty() { "(no output)" } else { text.as_str() };
            json!({ "role": "tool", "tool_call_id": ids.wire(call_id), "content": content })
        }
    })
}

fn call(call: &ToolCall, ids: &Ids<'_>) -> Value {
    // What a model wrote may be broken JSON; servers that parse it back would refuse the whole conversation.
    let is_object = serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object());
    let arguments = if is_object { call.arguments.as_str() } else { "{}" };
    let function = json!({ "name": wire::name(&call.name), "arguments": arguments });
    json!({ "id": ids.wire(&call.id), "type": "function", "function": function })
}

#[cfg(test)]
mod tests {
    use clankers_protocol::conversation::{Thinking, ToolStatus};

    use super::*;

    const PLAIN: Shape<'_> =
        Shape { model: "m", with_usage: false, max_output: None, new_words: false, no_reasoning: false };

    fn body(request: &ModelRequest, with_usage: bool) -> Value {
        serde_json::from_slice(&build(request, &Shape { with_usage, ..PLAIN })).unwrap()
    }

    #[test]
    fn a_bare_question_has_no_tools_and_no_system() {
        let messages = vec![Message::User { text: "hi".to_owned() }];
        let request =
            ModelRequest { model: "m".to_owned(), system: String::new(), messages, tools: Vec::new() };
        let expected =
            json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "stream": true });
        assert_eq!(body(&request, false), expected);
        assert_eq!(body(&request, true)["stream_options"], json!({ "include_usage": true }));
    }

    #[test]
    fn a_tool_loop_is_carried_back() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: "ls".to_owned(),
            arguments: arguments.to_owned(),
        };
        let thinking = vec![Thinking { text: "hm".to_owned(), signature: Some("s".to_owned()) }];
        let request = ModelRequest {
            model: "m".to_owned(),
            system: "be brief".to_owned(),
            messages: vec![
                Message::Assistant { thinking: Vec::new(), text: String::new(), calls: Vec::new() },
                Message::Assistant {
                    thinking,
                    text: String::new(),
                    calls: vec![call("a", "{\"path\":\".\"}"), call("b", "{\"path\":")],
                },
                Message::ToolResult {
                    call_id: "a".to_owned(),
                    name: "ls".to_owned(),
                    status: ToolStatus::Ok,
                    text: String::new(),
                },
            ],
            tools: vec![ToolSpec {
                name: "ls".to_owned(),
                description: "lists".to_owned(),
                parameters: "{\"type\":\"object\"}".to_owned(),
                read_only: true,
            }],
        };
        let body = body(&request, false);
        let messages = body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 3, "the empty answer is left out: {body}");
        assert_eq!(messages[0], json!({ "role": "system", "content": "be brief" }));
        assert_eq!(messages[1]["content"], Value::Null);
        assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"], "{\"path\":\".\"}");
        assert_eq!(messages[1]["tool_calls"][1]["function"]["arguments"], "{}");
        assert!(!body.to_string().contains("hm"));
        assert_eq!(messages[2], json!({ "role": "tool", "tool_call_id": "a", "content": "(no output)" }));
        assert_eq!(body["tools"][0]["function"]["parameters"], json!({ "type": "object" }));
    }
}
