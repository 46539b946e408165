//! Asking a model in a test.

use std::time::Duration;

use clankers_protocol::conversation::{ModelEvent, ModelRequest};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Model, ModelError};

/// All events of one call, and how it ended; no test waits longer than 20 s.
pub(crate) async fn run(model: &Model, request: ModelRequest) -> (Vec<ModelEvent>, Result<(), ModelError>) {
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
