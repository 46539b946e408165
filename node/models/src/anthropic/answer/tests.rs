use proptest::prelude::*;
use serde_json::json;

use super::*;

fn answer(events: &[Value]) -> Result<Vec<ModelEvent>, Bad> {
    let (mut answer, mut out) = (MessageAnswer::new("m"), Vec::new());
    for event in events {
        answer.take(&event.to_string(), &mut out)?;
    }
    answer.finish(&mut out);
    Ok(out)
}

fn start(index: u64, block: &Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn end(index: u64) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

fn stop(reason: &str) -> Value {
    json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 7 } })
}

fn call(id: &str, name: &str, arguments: &str) -> ModelEvent {
    ModelEvent::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
}

#[test]
fn thinking_text_and_tools() {
    let usage = json!({ "input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3 });
    let events = [
        json!({ "type": "message_start", "message": { "usage": usage } }),
        json!({ "type": "ping" }),
        start(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, &json!({ "type": "signature_delta", "signature": "si" })),
        delta(0, &json!({ "type": "signature_delta", "signature": "g" })),
        end(0),
        start(1, &json!({ "type": "redacted_thinking", "data": "xyz" })),
        end(1),
        json!({ "type": "made_up", "index": 3, "what": [1] }),
        start(2, &json!({ "type": "text", "text": "" })),
        delta(2, &json!({ "type": "text_delta", "text": "he" })),
        delta(2, &json!({ "type": "citations_delta", "citation": {} })),
        delta(2, &json!({ "type": "text_delta", "text": "llo" })),
        end(2),
        start(3, &json!({ "type": "tool_use", "id": "a", "name": "read", "input": {} })),
        start(4, &json!({ "type": "tool_use", "id": "b", "name": "ls", "input": {} })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "{\"path\"" })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": ":\"x\"}" })),
        end(3),
        end(4),
        stop("tool_use"),
        json!({ "type": "message_stop" }),
    ];
    let used = |output| ModelEvent::Usage(Usage { input: 9, output, cache_read: 5, cache_write: 3 });
    let expected = [
        used(1),
        ModelEvent::Thinking("hm".into()),
        ModelEvent::ThinkingSignature("anthropic:m:thinking:sig".into()),
        ModelEvent::ThinkingSignature("anthropic:m:redacted:xyz".into()),
        ModelEvent::Text("he".into()),
        ModelEvent::Text("llo".into()),
        call("a", "read", "{\"path\":\"x\"}"),
        call("b", "ls", "{}"),
        used(7),
        ModelEvent::Stop(StopReason::ToolUse),
    ];
    assert_eq!(answer(&events).unwrap(), expected);
}

#[test]
fn reasons_to_stop() {
    for (word, expected) in [
        ("end_turn", StopReason::EndTurn),
        ("stop_sequence", StopReason::EndTurn),
        ("max_tokens", StopReason::MaxTokens),
        ("model_context_window_exceeded", StopReason::MaxTokens),
        ("pause_turn", StopReason::Pause),
        ("refusal", StopReason::Refusal),
        ("tool_use", StopReason::EndTurn),
        ("made_up", StopReason::EndTurn),
    ] {
        assert_eq!(answer(&[stop(word)]).unwrap().pop(), Some(ModelEvent::Stop(expected)), "{word}");
    }
    let tool = start(0, &json!({ "type": "tool_use", "id": "a", "name": "ls", "input": {} }));
    let events = answer(&[tool.clone(), end(0), stop("end_turn")]).unwrap();
    assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::ToolUse)));
    // A call that ran into the limit: the reason tells the agent that it may be half of one.
    let half = delta(0, &json!({ "type": "input_json_delta", "partial_json": "{\"a\":" }));
    let events = answer(&[tool, half, stop("max_tokens")]).unwrap();
    assert_eq!(events.first(), Some(&call("a", "ls", "{\"a\":")));
    assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::MaxTokens)));
}

#[test]
fn a_whole_message_says_the_same() {
    let message = json!({
        "type": "message", "stop_reason": "tool_use", "usage": { "input_tokens": 2, "output_tokens": 3 },
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "text", "text": "so" },
            { "type": "server_tool_use", "id": "z", "name": "web", "input": { "q": 1 } },
            { "type": "tool_use", "id": "a", "name": "ls", "input": { "path": "." } },
        ],
    });
    let used = ModelEvent::Usage(Usage { input: 2, output: 3, ..Usage::default() });
    let expected = [
        used.clone(),
        ModelEvent::Thinking("hm".into()),
        ModelEvent::ThinkingSignature("anthropic:m:thinking:s".into()),
        ModelEvent::Text("so".into()),
        call("a", "ls", "{\"path\":\".\"}"),
        used,
        ModelEvent::Stop(StopReason::ToolUse),
    ];
    assert_eq!(answer(&[message]).unwrap(), expected);
}

#[test]
fn an_error_inside_the_stream() {
    let error = json!({ "type": "overloaded_error", "message": "Overloaded" });
    let event = json!({ "type": "error", "error": error.clone() });
    assert_eq!(answer(&[event]), Err(Bad::Server(error)));
}

#[test]
fn floods_are_refused() {
    let flood = |events: &[Value]| {
        let (mut answer, mut out) = (MessageAnswer::new("m"), Vec::new());
        (0..5000).find_map(|_| {
            out.clear();
            events.iter().find_map(|event| answer.take(&event.to_string(), &mut out).err())
        })
    };
    let long = "x".repeat(8192);
    let too_large = |bad: Option<Bad>| matches!(bad, Some(Bad::TooLarge(_)));
    let tool = start(0, &json!({ "type": "tool_use", "id": "a", "name": "ls", "input": {} }));
    assert!(too_large(flood(&[delta(0, &json!({ "type": "text_delta", "text": long }))])));
    assert!(too_large(flood(&[delta(0, &json!({ "type": "thinking_delta", "thinking": long }))])));
    assert!(too_large(flood(&[tool.clone(), end(0)])));
    assert!(too_large(flood(&[start(0, &json!({ "type": "text" }))])), "blocks that never end");
    assert!(too_large(flood(&[start(0, &json!({ "type": "tool_use", "id": long, "name": "x" }))])));
    let (mut answer, mut out) = (MessageAnswer::new("m"), Vec::new());
    answer.take(&tool.to_string(), &mut out).unwrap();
    let more = delta(0, &json!({ "type": "input_json_delta", "partial_json": long })).to_string();
    assert!((0..100).any(|_| answer.take(&more, &mut out).is_err()));
}

#[test]
fn a_proof_that_is_too_long_is_left_out_and_the_answer_goes_on() {
    let proof = json!({ "type": "redacted_thinking", "data": "x".repeat(40_000) });
    let events = answer(&[start(0, &proof), end(0), start(1, &proof), end(1), stop("end_turn")]).unwrap();
    assert_eq!(events.iter().filter(|e| matches!(e, ModelEvent::ThinkingSignature(_))).count(), 1);
    assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::EndTurn)));
    let (mut answer, mut out) = (MessageAnswer::new("m"), Vec::new());
    answer.take(&start(0, &json!({ "type": "thinking" })).to_string(), &mut out).unwrap();
    let more = delta(0, &json!({ "type": "signature_delta", "signature": "x".repeat(8192) })).to_string();
    for _ in 0..1000 {
        answer.take(&more, &mut out).unwrap();
    }
    assert!(matches!(answer.block(0), Some(Block::Thinking { signature }) if signature.len() < 100_000));
}

proptest! {
    #[test]
    fn any_shape_is_survived(text in "[\\[\\]{}:,\"a-z0-9]{0,60}", kind in "(message_start|content_block_start|content_block_delta|content_block_stop|message_delta|message)") {
        let mut answer = MessageAnswer::new("m");
        let mut out = Vec::new();
        let _ = answer.take(&text, &mut out);
        for part in [json!(text), json!([text]), json!({ "type": "tool_use" }), json!(null)] {
            let event = json!({ "type": kind, "index": 0, "content_block": part, "delta": part, "message": part, "usage": part, "content": part });
            let _ = answer.take(&event.to_string(), &mut out);
        }
        answer.finish(&mut out);
        prop_assert!(matches!(out.last(), Some(ModelEvent::Stop(_))));
    }
}
