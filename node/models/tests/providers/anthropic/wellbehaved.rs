//! Anthropic's API when it behaves, and what it refuses.

use clankers_models::{ModelEvent, ModelRequest};
use clankers_protocol::conversation::{Message, StopReason, Thinking, Usage};
use serde_json::{Value, json};

use super::{KEY, block, finish, model, named, start, text};
use crate::{
    ask, ask_for, request, said,
    server::{Server, http, stream},
    timing,
};

#[tokio::test]
async fn a_plain_answer_and_what_was_asked() {
    let body = start() + &text("hello") + &finish("end_turn");
    let server = Server::start(vec![stream(&body)]).await;
    let model = model(&server.base, timing());
    let (events, done) = ask(&model).await;
    done.unwrap();
    assert!(!format!("{model:?}").contains("sk-ant"), "a model that was used does not show its key");
    let used = |output| ModelEvent::Usage(Usage { input: 9, output, cache_read: 5, cache_write: 3 });
    let expected =
        [used(1), ModelEvent::Text("hello".into()), used(7), ModelEvent::Stop(StopReason::EndTurn)];
    assert_eq!(events, expected);
    let (head, body) = server.requests().remove(0);
    assert!(head.starts_with("post /v1/messages http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}")) && !head.contains("authorization"), "{head}");
    assert!(head.contains("anthropic-version: 2023-06-01"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["max_tokens"], 8192, "a model that is not in the catalogue");
    assert!(body.get("thinking").is_none() && body.get("tools").is_none(), "{body}");
}

#[tokio::test]
async fn a_model_of_the_catalogue_thinks_as_it_sees_fit() {
    let answer = || stream(&(start() + &text("hi") + &finish("end_turn")));
    let server = Server::start(vec![answer()]).await;
    ask(&named(&server.base, "claude-sonnet-5-5", timing())).await.1.unwrap();
    let body: Value = serde_json::from_str(&server.requests()[0].1).unwrap();
    assert_eq!((&body["max_tokens"], &body["thinking"]["type"]), (&json!(32_000), &json!("adaptive")));
}

#[tokio::test]
async fn a_server_that_refuses_adaptive_thinking_is_asked_without() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"thinking.type: adaptive is not supported"}}"#;
    let answer = || stream(&(start() + &text("hi") + &finish("end_turn")));
    let server = Server::start(vec![http(400, "", refusal), answer(), answer()]).await;
    let model = named(&server.base, "claude-sonnet-5-5", timing());
    for _ in 0..2 {
        assert_eq!(said(&ask(&model).await.0), "hi");
    }
    let with = |n: usize| server.requests()[n].1.contains("\"adaptive\"");
    assert_eq!((with(0), with(1), with(2)), (true, false, false), "asked once, remembered");
}

fn with_thinking(signature: &str) -> ModelRequest {
    let thinking = vec![Thinking { text: "hm".to_owned(), signature: Some(signature.to_owned()) }];
    let mut request = request();
    request.messages.push(Message::Assistant { thinking, text: "so".to_owned(), calls: Vec::new() });
    request.messages.push(Message::User { text: "and?".to_owned() });
    request
}

#[tokio::test]
async fn thinking_that_is_refused_is_left_out() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid `signature` in `thinking` block"}}"#;
    let answer = || stream(&(start() + &text("hi") + &finish("end_turn")));
    let server = Server::start(vec![http(400, "", refusal), answer()]).await;
    let request = with_thinking("anthropic:claude-test:thinking:sig");
    let (events, done) = ask_for(&model(&server.base, timing()), request).await;
    done.unwrap();
    assert_eq!(said(&events), "hi");
    let with = |n: usize| server.requests()[n].1.contains("\"signature\":\"sig\"");
    assert_eq!((with(0), with(1)), (true, false));
}

#[tokio::test]
async fn what_a_model_thought_comes_back_to_it_as_it_was() {
    let thinking = block(
        0,
        &json!({ "type": "thinking", "thinking": "", "signature": "" }),
        &[
            json!({ "type": "thinking_delta", "thinking": "hm" }),
            json!({ "type": "signature_delta", "signature": "sig==" }),
        ],
    );
    let redacted = block(1, &json!({ "type": "redacted_thinking", "data": "opaque" }), &[]);
    let first = start() + &thinking + &redacted + &text("so") + &finish("end_turn");
    let second = start() + &text("hi") + &finish("end_turn");
    let server = Server::start(vec![stream(&first), stream(&second)]).await;
    let model = model(&server.base, timing());
    let (events, done) = ask(&model).await;
    done.unwrap();
    // Put together as the agent does it: a signature ends a block.
    let mut blocks: Vec<Thinking> = Vec::new();
    let mut open = String::new();
    for event in events {
        match event {
            ModelEvent::Thinking(more) => open += &more,
            ModelEvent::ThinkingSignature(signature) => {
                blocks.push(Thinking { text: std::mem::take(&mut open), signature: Some(signature) });
            }
            _ => {}
        }
    }
    let mut request = request();
    request.messages.push(Message::Assistant { thinking: blocks, text: "so".into(), calls: Vec::new() });
    request.messages.push(Message::User { text: "and?".to_owned() });
    ask_for(&model, request).await.1.unwrap();
    let body: Value = serde_json::from_str(&server.requests()[1].1).unwrap();
    let expected = json!([
        { "type": "thinking", "thinking": "hm", "signature": "sig==" },
        { "type": "redacted_thinking", "data": "opaque" },
        { "type": "text", "text": "so" },
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
}

#[tokio::test]
async fn a_server_that_does_not_stream() {
    let body = json!({ "type": "message", "role": "assistant", "stop_reason": "max_tokens",
        "content": [{ "type": "text", "text": "hi" }], "usage": { "input_tokens": 3, "output_tokens": 1 } });
    let reply = http(200, "content-type: application/json\r\n", &body.to_string());
    let server = Server::start(vec![reply]).await;
    let (events, done) = ask(&model(&server.base, timing())).await;
    done.unwrap();
    assert_eq!(said(&events), "hi");
    assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::MaxTokens)));
}
