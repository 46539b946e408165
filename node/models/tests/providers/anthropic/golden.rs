//! The whole request of a working session, in both dialects: several turns, thinking, parallel tools, cache marks.

use clankers_models::ModelRequest;
use clankers_protocol::conversation::{Message, Thinking, ToolCall, ToolSpec, ToolStatus};
use serde_json::{Value, json};

use super::{finish, model, start, text};
use crate::{
    ask_for, openai,
    server::{Server, stream},
    timing,
};

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

fn call(id: &str, path: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "read".into(), arguments: format!("{{\"path\":\"{path}\"}}") }
}

fn result(id: &str, status: ToolStatus, text: &str) -> Message {
    Message::ToolResult { call_id: id.into(), name: "read".into(), status, text: text.into() }
}

fn session() -> ModelRequest {
    let signature = Some("anthropic:claude-test:thinking:sig".to_owned());
    let tool = |name: &str, description: &str| ToolSpec {
        name: name.into(),
        description: description.into(),
        parameters: "{\"type\":\"object\"}".into(),
        read_only: true,
    };
    ModelRequest {
        model: String::new(),
        system: "be brief".into(),
        messages: vec![
            user("read both"),
            Message::Assistant {
                thinking: vec![Thinking { text: "two files".into(), signature }],
                text: "Reading.".into(),
                calls: vec![call("toolu_1", "a"), call("toolu_2", "b")],
            },
            result("toolu_1", ToolStatus::Ok, "A"),
            result("toolu_2", ToolStatus::Denied, "not allowed"),
            user("only a then"),
            Message::Assistant { thinking: Vec::new(), text: "It says A.".into(), calls: Vec::new() },
            user("thanks"),
        ],
        tools: vec![tool("ls", "lists"), tool("read", "reads")],
    }
}

#[tokio::test]
async fn anthropics() {
    let server = Server::start(vec![stream(&(start() + &text("hi") + &finish("end_turn")))]).await;
    ask_for(&model(&server.base, timing()), session()).await.1.unwrap();
    let sent: Value = serde_json::from_str(&server.requests()[0].1).unwrap();
    let marked = json!({ "type": "ephemeral" });
    let expected = json!({
        "model": "claude-test", "max_tokens": 8192, "stream": true,
        "system": [{ "type": "text", "text": "be brief", "cache_control": marked }],
        "tools": [
            { "name": "ls", "description": "lists", "input_schema": { "type": "object" } },
            { "name": "read", "description": "reads", "input_schema": { "type": "object" }, "cache_control": marked },
        ],
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "read both" }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "two files", "signature": "sig" },
                { "type": "text", "text": "Reading." },
                { "type": "tool_use", "id": "toolu_1", "name": "read", "input": { "path": "a" } },
                { "type": "tool_use", "id": "toolu_2", "name": "read", "input": { "path": "b" } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": "A" },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": "not allowed", "is_error": true },
                { "type": "text", "text": "only a then", "cache_control": marked },
            ] },
            { "role": "assistant", "content": [{ "type": "text", "text": "It says A." }] },
            { "role": "user", "content": [{ "type": "text", "text": "thanks", "cache_control": marked }] },
        ],
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn openais() {
    let server = Server::start(vec![stream(&(openai::text("hi") + &openai::finish("stop")))]).await;
    ask_for(&openai::model(&server.base, None, timing()), session()).await.1.unwrap();
    let sent: Value = serde_json::from_str(&server.requests()[0].1).unwrap();
    let tool = |name: &str, description: &str| {
        let parameters = json!({ "type": "object" });
        json!({ "type": "function", "function": { "name": name, "description": description, "parameters": parameters } })
    };
    let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "read", "arguments": arguments } });
    let calls = [call("toolu_1", "{\"path\":\"a\"}"), call("toolu_2", "{\"path\":\"b\"}")];
    let expected = json!({
        "model": "m", "stream": true, "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "read both" },
            { "role": "assistant", "content": "Reading.", "tool_calls": calls },
            { "role": "tool", "tool_call_id": "toolu_1", "content": "A" },
            { "role": "tool", "tool_call_id": "toolu_2", "content": "not allowed" },
            { "role": "user", "content": "only a then" },
            { "role": "assistant", "content": "It says A." },
            { "role": "user", "content": "thanks" },
        ],
        "tools": [tool("ls", "lists"), tool("read", "reads")],
    });
    assert_eq!(sent, expected);
}
