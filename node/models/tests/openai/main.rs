//! The OpenAI-compatible provider against servers that behave, and servers that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

mod hostile;
mod server;
mod tls;
mod wellbehaved;

use std::time::Duration;

use clankers_models::{
    Model, ModelError, ModelEvent, ModelRequest, ModelSettings, OpenAiSettings, Registry, Secret, Timing,
};
use clankers_protocol::conversation::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A key of the usual form, to be looked for where it must not be.
const KEY: &str = "sk-proj-0123456789abcdefghijklmnop";

/// Patience enough for a busy machine, impatience where a test waits for it to end.
fn timing() -> Timing {
    let ms = Duration::from_millis;
    Timing {
        connect: ms(5_000),
        first_byte: ms(10_000),
        idle: ms(10_000),
        after_stop: ms(100),
        tries: 3,
        backoff: ms(2),
        retry_after_max: ms(10),
    }
}

fn model(base: &str, key: Option<&str>, timing: Timing) -> Model {
    let api_key = key.and_then(Secret::new);
    let openai = OpenAiSettings { api_base: base.to_owned(), api_key, models: vec!["m".to_owned()], timing };
    let settings = ModelSettings { openai: Some(openai), ..ModelSettings::default() };
    Registry::new(settings, |_| None).unwrap().resolve("openai").unwrap()
}

fn request() -> ModelRequest {
    let messages = vec![Message::User { text: "hi".to_owned() }];
    ModelRequest { model: String::new(), system: "be brief".to_owned(), messages, tools: Vec::new() }
}

/// All events of one call, and how it ended; no test waits longer than 20 s.
async fn ask(model: &Model) -> (Vec<ModelEvent>, Result<(), ModelError>) {
    let (sender, mut receiver) = mpsc::channel(4);
    let listen = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    };
    let call = model.stream(request(), sender, CancellationToken::new());
    let both = async { tokio::join!(listen, call) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the call ends")
}

fn said(events: &[ModelEvent]) -> String {
    events
        .iter()
        .filter_map(|e| if let ModelEvent::Text(text) = e { Some(text.as_str()) } else { None })
        .collect()
}
