//! OpenAI-compatible chat completions, streamed: OpenAI itself, Ollama, LM Studio, vLLM, llama.cpp, OpenRouter.
//!
//! Source: OpenAI's API reference, "Chat Completions" and its streaming events; what other servers do differently is
//! said where it is tolerated.

mod answer;
mod body;
mod client;
mod fault;
mod sse;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use clankers_protocol::conversation::{ModelEvent, ModelRequest, Price};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tokio::{sync::OnceCell, time::timeout};

use self::{
    answer::{Answer, Bad},
    fault::Fault,
    sse::Sse,
};
use crate::{
    error::{ModelError, ModelErrorKind},
    limits::{ERROR_BODY_BYTES, MODEL_NAME_BYTES, RESPONSE_BYTES},
    price,
    settings::{OPENAI_BASE, OpenAiSettings},
    sink::Sink,
};

pub(crate) const PROVIDER: &str = "openai";

/// The name that stands for the first model that the server lists.
pub const AUTO: &str = "auto";

/// What OpenAI's own server is asked for when nobody names a model.
pub const OPENAI_DEFAULT: &str = "gpt-5.4-mini";

/// One server, shared by all its models: one client, one pool of connections.
#[derive(Debug)]
pub(crate) struct Server {
    settings: OpenAiSettings,
    base: Url,
    client: OnceLock<Client>,
    /// The server refused `stream_options` once.
    no_usage_option: AtomicBool,
    first_model: OnceCell<String>,
}

impl Server {
    pub(crate) fn new(settings: OpenAiSettings) -> Result<Self, ModelError> {
        let base = client::base(&settings.api_base)?;
        let no_usage_option = AtomicBool::new(false);
        Ok(Self { settings, base, client: OnceLock::new(), no_usage_option, first_model: OnceCell::new() })
    }

    pub(crate) fn default_model(&self) -> &str {
        let fallback = if self.is_openai_itself() { OPENAI_DEFAULT } else { AUTO };
        self.settings.models.first().map_or(fallback, String::as_str)
    }

    pub(crate) fn place(&self) -> String {
        client::place(&self.base)
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.settings.models
    }

    fn is_openai_itself(&self) -> bool {
        self.base.as_str().trim_end_matches('/') == OPENAI_BASE
    }

    fn client(&self) -> Result<&Client, ModelError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Two first calls at once may both make one; one of them is kept.
        let client = client::build(&self.base, &self.settings)?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// A model behind an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct OpenAiModel {
    server: Arc<Server>,
    name: String,
}

impl OpenAiModel {
    pub(crate) fn new(server: Arc<Server>, name: String) -> Self {
        Self { server, name }
    }

    /// Its price: known only at OpenAI itself, other servers ask what they like.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        self.server.is_openai_itself().then(|| price::openai(&self.name)).flatten()
    }

    pub(crate) async fn stream(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), ModelError> {
        let timing = &self.server.settings.timing;
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.once(request, sink).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if fault.again == fault::Again::Never || sink.has_sent() || tries >= timing.tries {
                let mut error = fault.error;
                if tries > 1 {
                    error.message = format!("{} ({tries} tries)", error.message);
                }
                return Err(error);
            }
            let mut random = [0; 4];
            // Without randomness the pause is only less well spread.
            let _ = getrandom::fill(&mut random);
            let random = u32::from_le_bytes(random);
            let pause = fault::pause(fault.again, tries, timing.backoff, timing.retry_after_max, random);
            tracing::info!(error = %fault.error, tries, ?pause, "the model call is tried again");
            sink.pause(pause).await?;
        }
    }

    async fn once(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), Fault> {
        let server = &*self.server;
        let name = match self.name.as_str() {
            AUTO => sink.unless_cancelled(server.first_model.get_or_try_init(|| self.list_first())).await??,
            name => name,
        };
        let with_usage = !server.no_usage_option.load(Ordering::Relaxed);
        let body = Bytes::from(body::build(request, name, with_usage));
        let url = client::below(&server.base, "/chat/completions");
        let send = server.client()?.post(url).header("accept", "text/event-stream").body(body).send();
        let response = self.first_byte(sink, send).await?;
        if !response.status().is_success() {
            let fault = self.refusal(response, sink).await?;
            let about_usage = fault.error.message.contains("stream_options")
                || fault.error.message.contains("include_usage");
            if with_usage && fault.error.kind == ModelErrorKind::Rejected && about_usage {
                server.no_usage_option.store(true, Ordering::Relaxed);
                return Err(Fault { again: fault::Again::After(std::time::Duration::ZERO), ..fault });
            }
            return Err(fault);
        }
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
        if kind.starts_with("application/json") {
            self.whole(response, sink).await
        } else {
            self.events(response, sink).await
        }
    }

    async fn first_byte(
        &self,
        sink: &Sink,
        send: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, Fault> {
        let limit = self.server.settings.timing.first_byte;
        match sink.unless_cancelled(timeout(limit, send)).await? {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(fault::transport(error, &self.server.place())),
            Err(_) => Err(self.silent(limit, "did not begin to answer")),
        }
    }

    fn silent(&self, limit: std::time::Duration, what: &str) -> Fault {
        let place = self.server.place();
        let message = format!("{place} {what} within {limit:?}: try again, or use another model");
        Fault::new(ModelErrorKind::Timeout, message)
    }

    /// The next piece of a response; `None` at its end.
    async fn piece(
        &self,
        response: &mut Response,
        sink: &Sink,
        stopped: bool,
    ) -> Result<Option<Bytes>, Fault> {
        let timing = &self.server.settings.timing;
        let limit = if stopped { timing.after_stop } else { timing.idle };
        match sink.unless_cancelled(timeout(limit, response.chunk())).await? {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(fault::transport(error, &self.server.place())),
            Err(_) => Err(self.silent(limit, "fell silent and sent nothing")),
        }
    }

    async fn refusal(&self, mut response: Response, sink: &Sink) -> Result<Fault, Fault> {
        let mut body = Vec::new();
        while body.len() < ERROR_BODY_BYTES {
            match self.piece(&mut response, sink, true).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(fault) if fault.error.kind == ModelErrorKind::Cancelled => return Err(fault),
                // The status alone says enough.
                Err(_) => break,
            }
        }
        body.truncate(ERROR_BODY_BYTES);
        let key = self.server.settings.api_key.as_ref();
        Ok(fault::refused(response.status().as_u16(), response.headers(), &body, key))
    }

    /// A server that ignores `stream` and answers at once.
    async fn whole(&self, mut response: Response, sink: &mut Sink) -> Result<(), Fault> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response, sink, false).await? {
            body.extend_from_slice(&piece);
            self.check_size(body.len())?;
        }
        let (mut answer, mut out) = (Answer::default(), Vec::new());
        let text = String::from_utf8_lossy(&body);
        answer.take(&text, &mut out).map_err(|bad| self.bad(bad))?;
        if !answer.has_begun() {
            return Err(self.bad(Bad::Garbage));
        }
        answer.finish(&mut out);
        Ok(forward(sink, &mut out).await?)
    }

    async fn events(&self, mut response: Response, sink: &mut Sink) -> Result<(), Fault> {
        let (mut sse, mut answer) = (Sse::default(), Answer::default());
        let (mut data, mut out) = (Vec::new(), Vec::new());
        let mut received = 0;
        while !answer.is_done() {
            let piece = match self.piece(&mut response, sink, answer.has_stopped()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(fault) if answer.has_stopped() && fault.error.kind != ModelErrorKind::Cancelled => break,
                Err(fault) => return Err(fault),
            };
            received += piece.len();
            self.check_size(received)?;
            sse.push(&piece, &mut data).map_err(|_| self.bad(Bad::TooLarge("an event")))?;
            let taken = data.drain(..).try_for_each(|data| answer.take(&data, &mut out));
            // What came before something bad was said, however the network has parted it.
            forward(sink, &mut out).await?;
            taken.map_err(|bad| self.bad(bad))?;
        }
        sse.finish(&mut data).map_err(|_| self.bad(Bad::TooLarge("an event")))?;
        for data in data {
            // A last event without its blank line counts when it is whole; half of one is just where it was cut.
            match answer.take(&data, &mut out) {
                Ok(()) | Err(Bad::Garbage) => {}
                Err(bad) => return Err(self.bad(bad)),
            }
        }
        if !answer.has_stopped() {
            return Err(self.ended_early(received, answer.has_begun()));
        }
        answer.finish(&mut out);
        Ok(forward(sink, &mut out).await?)
    }

    fn ended_early(&self, received: usize, begun: bool) -> Fault {
        if received > 0 && !begun {
            return self.bad(Bad::Garbage);
        }
        let message =
            format!("{} ended the stream in the middle of the answer: try again", self.server.place());
        Fault::new(ModelErrorKind::Cut, message)
    }

    fn check_size(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > RESPONSE_BYTES { Err(self.bad(Bad::TooLarge("the response"))) } else { Ok(()) }
    }

    fn bad(&self, bad: Bad) -> Fault {
        let place = self.server.place();
        match bad {
            Bad::Garbage => {
                let message = format!(
                    "{place} sent what is no chat completion: does OPENAI_BASE_URL end where the API begins (/v1)?"
                );
                Fault::new(ModelErrorKind::Garbage, message)
            }
            Bad::TooLarge(what) => Fault::new(
                ModelErrorKind::TooLarge,
                format!("{place} sent more than is accepted: {what} is too large"),
            ),
            Bad::Server(error) => fault::inside_stream(&error, self.server.settings.api_key.as_ref()),
        }
    }

    /// The first model that the server lists.
    async fn list_first(&self) -> Result<String, Fault> {
        // Cancellation drops this whole future: the listener below is never cancelled by itself.
        let (events, _listener) = tokio::sync::mpsc::channel(1);
        let sink = Sink::new(PROVIDER, events, tokio_util::sync::CancellationToken::new());
        let send = self.server.client()?.get(client::below(&self.server.base, "/models")).send();
        let mut response = self.first_byte(&sink, send).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &sink).await?);
        }
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response, &sink, false).await? {
            body.extend_from_slice(&piece);
            self.check_size(body.len())?;
        }
        let list: Value = serde_json::from_slice(&body).map_err(|_| self.bad(Bad::Garbage))?;
        let first = list.pointer("/data/0/id").and_then(Value::as_str);
        let first = first.filter(|id| !id.is_empty() && id.len() <= MODEL_NAME_BYTES);
        first.map(str::to_owned).ok_or_else(|| {
            let message = format!("{} lists no model: name one (--model openai/NAME)", self.server.place());
            Fault::new(ModelErrorKind::NoSuchModel, message)
        })
    }
}

async fn forward(sink: &mut Sink, out: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
    for event in out.drain(..) {
        sink.send(event).await?;
    }
    Ok(())
}
