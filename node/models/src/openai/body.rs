//! The request, as chat completions want it.

use clankers_protocol::conversation::{Message, ModelRequest, ToolCall, ToolSpec};
use serde_json::{Value, json};

/// The JSON body of a streaming request.
pub(crate) fn build(request: &ModelRequest, model: &str, with_usage: bool) -> Vec<u8> {
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    messages.extend(request.messages.iter().filter_map(message));
    let mut body = json!({ "model": model, "messages": messages, "stream": true });
    if let Some(body) = body.as_object_mut() {
        if with_usage {
            body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
        // Several servers refuse an empty array.
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
    }
    body.to_string().into_bytes()
}

fn tool(spec: &ToolSpec) -> Value {
    let parameters: Value = serde_json::from_str(&spec.parameters)
        .unwrap_or_else(|_| json!({ "type": "object", "properties": {} }));
    let function = json!({ "name": spec.name, "description": spec.description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}

/// One message; `None` for an answer that was interrupted before its first word, which providers refuse.
fn message(message: &Message) -> Option<Value> {
    Some(match message {
        Message::User { text } => json!({ "role": "user", "content": text }),
        // Thinking stays here: this dialect has no field to carry it back, and some servers refuse it.
        Message::Assistant { text, calls, .. } if calls.is_empty() => {
            (!text.is_empty()).then(|| json!({ "role": "assistant", "content": text }))?
        }
        Message::Assistant { text, calls, .. } => {
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            let calls: Vec<Value> = calls.iter().map(call).collect();
            json!({ "role": "assistant", "content": content, "tool_calls": calls })
        }
        Message::ToolResult { call_id, text, .. } => {
            let content = if text.is_empty() { "(no output)" } else { text.as_str() };
            json!({ "role": "tool", "tool_call_id": call_id, "content": content })
        }
    })
}

fn call(call: &ToolCall) -> Value {
    // What a model wrote may be broken JSON; servers that parse it back would refuse the whole conversation.
    let is_object = serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object());
    let arguments = if is_object { call.arguments.as_str() } else { "{}" };
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

#[cfg(test)]
mod tests {
    use clankers_protocol::conversation::{Thinking, ToolStatus};

    use super::*;

    fn body(request: &ModelRequest, with_usage: bool) -> Value {
        serde_json::from_slice(&build(request, "m", with_usage)).unwrap()
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
