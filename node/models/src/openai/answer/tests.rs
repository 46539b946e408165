use proptest::prelude::*;
use serde_json::json;

use super::*;

fn answer(chunks: &[Value]) -> Result<Vec<ModelEvent>, Bad> {
    let (mut answer, mut out) = (ChatAnswer::default(), Vec::new());
    for chunk in chunks {
        answer.take(&chunk.to_string(), &mut out)?;
    }
    answer.finish(&mut out);
    Ok(out)
}

fn delta(delta: &Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn piece(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    delta(&json!({ "tool_calls": [{ "index": index, "id": id, "function": function }] }))
}

fn call(id: &str, name: &str, arguments: &str) -> ModelEvent {
    ModelEvent::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
}

#[test]
fn text_thinking_and_usage() {
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 4,
        "prompt_tokens_details": { "cached_tokens": 6, "cache_write_tokens": 3 } } });
    let chunks = [
        delta(&json!({ "role": "assistant", "content": "", "reasoning_content": "hm" })),
        delta(&json!({ "content": "he" })),
        delta(&json!({ "content": "llo", "reasoning_content": null })),
        finish("stop"),
        usage,
    ];
    let expected = [
        ModelEvent::Thinking("hm".into()),
        ModelEvent::Text("he".into()),
        ModelEvent::Text("llo".into()),
        ModelEvent::Usage(Usage { input: 1, output: 4, cache_read: 6, cache_write: 3 }),
        ModelEvent::Stop(StopReason::EndTurn),
    ];
    assert_eq!(answer(&chunks).unwrap(), expected);
}

#[test]
fn interleaved_calls_are_put_together_by_index() {
    let chunks = [
        piece(0, Some("a"), Some("read"), "{\"pa"),
        piece(1, Some("b"), Some("ls"), ""),
        piece(0, None, None, "th\":\"x\"}"),
        piece(1, None, Some("ls"), "{}"),
        finish("tool_calls"),
    ];
    let expected =
        [call("a", "read", "{\"path\":\"x\"}"), call("b", "ls", "{}"), ModelEvent::Stop(StopReason::ToolUse)];
    assert_eq!(answer(&chunks).unwrap(), expected);
}

#[test]
fn servers_that_number_badly() {
    // Always index 0, told apart by their ids; whole arguments; `stop` as the reason.
    let zeros =
        [piece(0, Some("a"), Some("ls"), "{}"), piece(0, Some("b"), Some("ls"), "{}"), finish("stop")];
    let expected = vec![call("a", "ls", "{}"), call("b", "ls", "{}"), ModelEvent::Stop(StopReason::ToolUse)];
    assert_eq!(answer(&zeros).unwrap(), expected);
    // No index; arguments as an object, then a continuation without id or name.
    let bare = |value: Value| delta(&json!({ "tool_calls": [value] }));
    let chunks = [
        bare(json!({ "id": "a", "function": { "name": "ls", "arguments": {} } })),
        bare(json!({ "function": { "name": "read", "arguments": "{\"a\"" } })),
        bare(json!({ "function": { "arguments": ":1}" } })),
        finish("tool_calls"),
    ];
    let expected =
        vec![call("a", "ls", "{}"), call("", "read", "{\"a\":1}"), ModelEvent::Stop(StopReason::ToolUse)];
    assert_eq!(answer(&chunks).unwrap(), expected);
}

#[test]
fn reasons_to_stop() {
    let reason = |chunks: &[Value]| answer(chunks).unwrap().pop();
    for (word, stop) in [
        ("stop", StopReason::EndTurn),
        ("length", StopReason::MaxTokens),
        ("content_filter", StopReason::Refusal),
        ("tool_calls", StopReason::EndTurn),
        ("made_up", StopReason::EndTurn),
    ] {
        assert_eq!(reason(&[finish(word)]), Some(ModelEvent::Stop(stop)), "{word}");
    }
    let refusal = delta(&json!({ "content": null, "refusal": "I won't" }));
    assert_eq!(
        answer(&[refusal, finish("stop")]).unwrap(),
        [ModelEvent::Text("I won't".into()), ModelEvent::Stop(StopReason::Refusal)]
    );
}

#[test]
fn an_error_inside_the_stream() {
    let error = json!({ "message": "overloaded", "code": 529 });
    assert_eq!(answer(&[json!({ "error": error })]), Err(Bad::Server(error)));
    assert!(answer(&[json!({ "error": null, "choices": [] })]).is_ok());
}

#[test]
fn floods_are_refused() {
    let flood = |chunk: Value| {
        let (mut answer, mut out) = (ChatAnswer::default(), Vec::new());
        let data = chunk.to_string();
        (0..5000).find_map(|_| {
            out.clear();
            answer.take(&data, &mut out).err()
        })
    };
    let long = "x".repeat(8192);
    let too_large = |bad: Option<Bad>| matches!(bad, Some(Bad::TooLarge(_)));
    assert!(too_large(flood(delta(&json!({ "content": long })))));
    assert!(too_large(flood(delta(&json!({ "reasoning": long })))));
    assert!(too_large(flood(piece(0, Some("a"), Some("x"), &long))));
    assert!(too_large(flood(delta(&json!({ "tool_calls": [{ "function": { "name": "x" } }] })))));
    assert!(too_large(flood(piece(0, Some(&long), None, ""))));
}

#[test]
fn deep_json_is_garbage_not_a_stack_overflow() {
    let mut answer = ChatAnswer::default();
    assert_eq!(answer.take(&"[".repeat(100_000), &mut Vec::new()), Err(Bad::Garbage));
}

proptest! {
    #[test]
    fn any_shape_is_survived(text in "[\\[\\]{}:,\"a-z0-9]{0,60}", key in "(choices|delta|usage|index|tool_calls)") {
        let mut answer = ChatAnswer::default();
        let _ = answer.take(&text, &mut Vec::new());
        let _ = answer.take(&json!({ "choices": [{ "delta": { (key.clone()): text } }], "usage": text }).to_string(), &mut Vec::new());
        let _ = answer.take(&json!({ (key): [null, {}, 3, "x"] }).to_string(), &mut Vec::new());
        let mut out = Vec::new();
        answer.finish(&mut out);
        prop_assert!(matches!(out.last(), Some(ModelEvent::Stop(_))));
    }
}
