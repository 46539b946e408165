//! The providers against servers that behave, and servers that do not, in both dialects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

mod anthropic;
mod failures;
mod local;
mod openai;
mod server;
mod tls;

use std::time::Duration;

use clankers_models::{Model, ModelError, ModelEvent, ModelRequest, Timing};
use clankers_protocol::conversation::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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

fn request() -> ModelRequest {
    let messages = vec![Message::User { text: "hi".to_owned() }];
    ModelRequest { model: String::new(), system: "be brief".to_owned(), messages, tools: Vec::new() }
}

/// All events of one call, and how it ended; no test waits longer than 20 s.
async fn ask(model: &Model) -> (Vec<ModelEvent>, Result<(), ModelError>) {
    ask_for(model, request()).await
}

async fn ask_for(model: &Model, request: ModelRequest) -> (Vec<ModelEvent>, Result<(), ModelError>) {
    let (sender, mut receiver) = mpsc::channel(4);
    let listen = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    };
    let call = model.stream(request, sender, CancellationToken::new());
    let both = async { tokio::join!(listen, call) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the call ends")
}

fn said(events: &[ModelEvent]) -> String {
    events
        .iter()
        .filter_map(|e| if let ModelEvent::Text(text) = e { Some(text.as_str()) } else { None })
        .collect()
}
