//! The dialect of Anthropic's Messages API.

mod golden;
mod wellbehaved;

use clankers_models::{AnthropicSettings, Model, ModelSettings, Registry, Secret, Timing};
use serde_json::{Value, json};

/// A key of the usual form, to be looked for where it must not be.
pub(crate) const KEY: &str = "sk-ant-api03-0123456789abcdefghijklmnop";

pub(crate) fn model(base: &str, timing: Timing) -> Model {
    named(base, "claude-test", timing)
}

pub(crate) fn named(base: &str, name: &str, timing: Timing) -> Model {
    let anthropic = AnthropicSettings {
        // Anthropic's base has no version.
        api_base: base.trim_end_matches("/v1").to_owned(),
        api_key: Secret::new(KEY),
        models: vec![name.to_owned()],
        timing,
        ..AnthropicSettings::default()
    };
    let settings = ModelSettings { anthropic: Some(anthropic), ..ModelSettings::default() };
    Registry::new(settings, |_| None).unwrap().resolve("anthropic").unwrap()
}

/// An event with its name, as Anthropic sends it.
pub(crate) fn event(json: &Value) -> String {
    format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap())
}

pub(crate) fn start() -> String {
    let usage = json!({ "input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3 });
    event(
        &json!({ "type": "message_start", "message": { "id": "msg_1", "role": "assistant", "content": [], "usage": usage } }),
    )
}

/// A whole block in its events.
pub(crate) fn block(index: u64, start: &Value, deltas: &[Value]) -> String {
    let mut out = event(&json!({ "type": "content_block_start", "index": index, "content_block": start }));
    for delta in deltas {
        out += &event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    out + &event(&json!({ "type": "content_block_stop", "index": index }))
}

/// A block of text.
pub(crate) fn text(words: &str) -> String {
    block(0, &json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": words })])
}

/// The events that say why the model stopped.
pub(crate) fn finish(reason: &str) -> String {
    let delta = json!({ "stop_reason": reason, "stop_sequence": null });
    let usage = json!({ "output_tokens": 7 });
    event(&json!({ "type": "message_delta", "delta": delta, "usage": usage }))
        + &event(&json!({ "type": "message_stop" }))
}
