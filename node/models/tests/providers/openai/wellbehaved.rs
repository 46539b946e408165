//! Servers that answer, each in its own dialect.

use clankers_models::{ModelEvent, ModelSettings, OpenAiSettings, Registry};
use clankers_protocol::conversation::{StopReason, ToolCall, ToolSpec, Usage};
use serde_json::{Value, json};

use super::{KEY, finish, model, text};
use crate::{
    ask, ask_for, request, said,
    server::{Server, event, http, stream},
    timing,
};

#[tokio::test]
async fn a_plain_answer_and_what_was_asked() {
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": 2 } });
    let body =
        [text("hel"), text("lo"), finish("stop"), event(&usage), "data: [DONE]\n\n".to_owned()].concat();
    let server = Server::start(vec![stream(&body)]).await;
    let (events, done) = ask(&model(&server.base, Some(KEY), timing())).await;
    done.unwrap();
    let expected = [
        ModelEvent::Text("hel".into()),
        ModelEvent::Text("lo".into()),
        ModelEvent::Usage(Usage { input: 9, output: 2, ..Usage::default() }),
        ModelEvent::Stop(StopReason::EndTurn),
    ];
    assert_eq!(events, expected);
    let requests = server.requests();
    let (head, body) = &requests[0];
    assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {KEY}")), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    let expected = json!({ "model": "m", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "system", "content": "be brief" }, { "role": "user", "content": "hi" }] });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn crlf_no_usage_no_done_no_key() {
    let body = [": keepalive\n\n".to_owned(), text("hi"), finish("stop")].concat().replace('\n', "\r\n");
    let server = Server::start(vec![stream(&body)]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    assert_eq!(events, [ModelEvent::Text("hi".into()), ModelEvent::Stop(StopReason::EndTurn)]);
    assert!(!server.requests()[0].0.contains("authorization"));
}

#[tokio::test]
async fn done_alone_ends_an_answer() {
    let server = Server::start(vec![stream(&(text("hi") + "data: [DONE]"))]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    assert_eq!(events, [ModelEvent::Text("hi".into()), ModelEvent::Stop(StopReason::EndTurn)]);
}

#[tokio::test]
async fn interleaved_tool_calls() {
    let piece = |index: u64, id: Option<&str>, arguments: &str| {
        let function = json!({ "name": id.map(|_| "read"), "arguments": arguments });
        let call = json!({ "index": index, "id": id, "function": function });
        event(&json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }))
    };
    let body = [
        piece(0, Some("a"), "{\"path\":"),
        piece(1, Some("b"), "{}"),
        piece(0, None, "\"x\"}"),
        finish("tool_calls"),
        "data: [DONE]\n\n".to_owned(),
    ];
    let server = Server::start(vec![stream(&body.concat())]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    let call = |id: &str, arguments: &str| {
        ModelEvent::ToolCall(ToolCall { id: id.into(), name: "read".into(), arguments: arguments.into() })
    };
    assert_eq!(
        events,
        [call("a", "{\"path\":\"x\"}"), call("b", "{}"), ModelEvent::Stop(StopReason::ToolUse)]
    );
}

#[tokio::test]
async fn a_server_that_does_not_stream() {
    let body = json!({ "choices": [{ "message": { "role": "assistant", "content": "hi" }, "finish_reason": "length" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 1 } });
    let server =
        Server::start(vec![http(200, "content-type: application/json\r\n", &body.to_string())]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    assert_eq!(said(&events), "hi");
    assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::MaxTokens)));
}

#[tokio::test]
async fn a_server_that_refuses_the_usage_option_is_asked_without() {
    let refusal = r#"{"error":{"message":"Unknown field: stream_options"}}"#;
    let answer = || stream(&(text("hi") + &finish("stop")));
    let server = Server::start(vec![http(400, "", refusal), answer(), answer()]).await;
    let model = model(&server.base, None, timing());
    for _ in 0..2 {
        assert_eq!(said(&ask(&model).await.0), "hi");
    }
    let with = |n: usize| server.requests()[n].1.contains("stream_options");
    assert_eq!((with(0), with(1), with(2)), (true, false, false), "asked once, remembered");
}

#[tokio::test]
async fn a_server_of_ones_own_needs_no_model_name() {
    let list = http(200, "content-type: application/json\r\n", r#"{"data":[{"id":"tiny"},{"id":"other"}]}"#);
    let answer = || stream(&(text("hi") + &finish("stop")));
    let server = Server::start(vec![list, answer(), answer()]).await;
    let openai =
        OpenAiSettings { api_base: server.base.clone(), timing: timing(), ..OpenAiSettings::default() };
    let settings = ModelSettings { openai: Some(openai), ..ModelSettings::default() };
    let registry = Registry::new(settings, |_| None).unwrap();
    let model = registry.resolve(&registry.default_name()).unwrap();
    for _ in 0..2 {
        ask(&model).await.1.unwrap();
    }
    let requests = server.requests();
    assert!(requests[0].0.starts_with("get /v1/models "), "{requests:?}");
    assert!(requests[1].1.contains("\"model\":\"tiny\"") && requests.len() == 3, "{requests:?}");
}

#[tokio::test]
async fn a_model_that_takes_tools_only_without_reasoning_gets_them_so() {
    let refusal = r#"{"error":{"message":"Function tools are supported only with reasoning_effort none"}}"#;
    let answer = stream(&(text("hi") + &finish("stop")));
    let server = Server::start(vec![http(400, "", refusal), answer]).await;
    let mut request = request();
    request.tools.push(ToolSpec {
        name: "ls".into(),
        description: "lists".into(),
        parameters: "{}".into(),
        read_only: true,
    });
    ask_for(&model(&server.base, None, timing()), request).await.1.unwrap();
    let with = |n: usize| server.requests()[n].1.contains("\"reasoning_effort\":\"none\"");
    assert_eq!((with(0), with(1)), (false, true));
}

#[tokio::test]
async fn what_a_server_thought_is_kept_apart_from_what_it_said() {
    let thought = |words: &str| {
        event(&json!({ "choices": [{ "delta": { "reasoning_content": words, "content": null } }] }))
    };
    let first = thought("hm") + &text("so") + &finish("stop");
    let server = Server::start(vec![stream(&first)]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    assert_eq!((&events[0], said(&events).as_str()), (&ModelEvent::Thinking("hm".into()), "so"));
}
