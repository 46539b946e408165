//! Anthropic's Messages API, streamed.
//!
//! Source: Anthropic's API reference, "Messages", "Streaming messages", "Errors", "Prompt caching" and "Extended
//! thinking".

pub(crate) mod answer;
mod body;
mod signature;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use clankers_protocol::conversation::{ModelRequest, Price};
use reqwest::header::HeaderName;

use self::{answer::MessageAnswer, body::Shape};
use crate::{
    catalogue::{self, Entry},
    error::{ModelError, ModelErrorKind},
    http::{Again, Endpoint, Fault, Names, Retry},
    limits::{OUTPUT_TOKENS, OUTPUT_TOKENS_UNKNOWN},
    settings::AnthropicSettings,
    sink::Sink,
};

pub(crate) const PROVIDER: &str = "anthropic";

/// What is asked for when nobody names a model.
pub const ANTHROPIC_DEFAULT: &str = "claude-sonnet-5-5";

pub(crate) static ANTHROPIC: Names = Names {
    provider: PROVIDER,
    answer: "message of Anthropic's API",
    key_var: "ANTHROPIC_API_KEY",
    base_var: "ANTHROPIC_BASE_URL",
    base_example: "https://api.anthropic.com",
    key_header: HeaderName::from_static("x-api-key"),
    key_prefix: "",
    headers: &[("anthropic-version", "2023-06-01")],
};

/// One server, shared by all its models.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    models: Vec<String>,
    max_output: Option<u64>,
    /// The server refused `thinking: adaptive` once.
    no_adaptive: AtomicBool,
}

impl Server {
    pub(crate) fn new(settings: AnthropicSettings) -> Result<Self, ModelError> {
        let AnthropicSettings { api_base, api_key, models, max_output, timing } = settings;
        let endpoint = Endpoint::new(&ANTHROPIC, &api_base, api_key, timing)?;
        Ok(Self { endpoint, models, max_output, no_adaptive: AtomicBool::new(false) })
    }

    pub(crate) fn default_model(&self) -> &str {
        self.models.first().map_or(ANTHROPIC_DEFAULT, String::as_str)
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.models
    }

    pub(crate) fn place(&self) -> String {
        self.endpoint.place()
    }

    pub(crate) fn has_key(&self) -> bool {
        self.endpoint.has_key()
    }

    fn path(&self) -> &'static str {
        let versioned = self.endpoint.base.path().trim_end_matches('/').ends_with("/v1");
        if versioned { "/messages" } else { "/v1/messages" }
    }
}

/// A model behind Anthropic's API.
#[derive(Debug, Clone)]
pub struct AnthropicModel {
    server: Arc<Server>,
    name: String,
}

impl AnthropicModel {
    pub(crate) fn new(server: Arc<Server>, name: String) -> Self {
        Self { server, name }
    }

    fn entry(&self) -> Option<&'static Entry> {
        catalogue::find(PROVIDER, &self.name)
    }

    /// Its price for a prompt of so many tokens, if the catalogue has it.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        self.entry().map(|entry| entry.price(prompt_tokens))
    }

    /// Above how many tokens of prompt another price holds, and which.
    #[must_use]
    pub fn long_price(&self) -> Option<(u64, Price)> {
        self.entry()?.long_price()
    }

    /// Tokens that it reads and writes together.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        self.entry()?.context
    }

    /// Tokens that one answer may have: what is asked for as `max_tokens`.
    #[must_use]
    pub fn max_output(&self) -> u64 {
        let usual = || match self.entry() {
            Some(entry) => entry.max_output.map_or(OUTPUT_TOKENS, |most| most.min(OUTPUT_TOKENS)),
            None => OUTPUT_TOKENS_UNKNOWN,
        };
        self.server.max_output.unwrap_or_else(usual).max(1)
    }

    pub(crate) async fn stream(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), ModelError> {
        let mut retry = Retry::new(&self.server.endpoint.timing);
        let mut with_thinking = true;
        loop {
            match self.once(request, &mut with_thinking, sink).await {
                Ok(()) => return Ok(()),
                Err(fault) => retry.next(fault, sink).await?,
            }
        }
    }

    async fn once(
        &self,
        request: &ModelRequest,
        with_thinking: &mut bool,
        sink: &mut Sink,
    ) -> Result<(), Fault> {
        let server = &*self.server;
        let adaptive =
            self.entry().is_some_and(|entry| entry.adaptive) && !server.no_adaptive.load(Ordering::Relaxed);
        let (model, max_tokens) = (self.name.as_str(), self.max_output());
        let shape = Shape { model, max_tokens, adaptive, with_thinking: *with_thinking };
        let body = Bytes::from(body::build(request, &shape));
        let answer = MessageAnswer::new(model);
        let fault = match server.endpoint.ask(server.path(), body, answer, sink).await {
            Err(fault) if fault.error.kind == ModelErrorKind::Rejected => fault,
            done => return done,
        };
        let says = fault.error.message.to_ascii_lowercase();
        if !says.contains("thinking") && !says.contains("signature") {
            return Err(fault);
        }
        // Thinking that is carried back is checked by the server, against the model, the account and what stands
        // around it; a session that was compacted or led elsewhere can do without. So can one without new thinking.
        if *with_thinking && body::carries_thinking(request, model) {
            *with_thinking = false;
        } else if adaptive {
            server.no_adaptive.store(true, Ordering::Relaxed);
        } else {
            return Err(fault);
        }
        Err(Fault { again: Again::After(std::time::Duration::ZERO), ..fault })
    }
}
