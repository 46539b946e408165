//! The OpenAI dialect.

mod hostile;
mod wellbehaved;

use clankers_models::{Model, ModelSettings, OpenAiSettings, Registry, Secret, Timing};

use crate::server::event;

/// A key of the usual form, to be looked for where it must not be.
pub(crate) const KEY: &str = "sk-proj-0123456789abcdefghijklmnop";

pub(crate) fn model(base: &str, key: Option<&str>, timing: Timing) -> Model {
    let openai = OpenAiSettings {
        api_base: base.to_owned(),
        api_key: key.and_then(Secret::new),
        models: vec!["m".to_owned()],
        timing,
        ..OpenAiSettings::default()
    };
    let settings = ModelSettings { openai: Some(openai), ..ModelSettings::default() };
    Registry::new(settings, |_| None).unwrap().resolve("openai").unwrap()
}

/// An event with text.
pub(crate) fn text(words: &str) -> String {
    event(&serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": words } }] }))
}

/// The event that says why the model stopped.
pub(crate) fn finish(reason: &str) -> String {
    event(&serde_json::json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }))
}
