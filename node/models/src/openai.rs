//! OpenAI-compatible chat completions, streamed: OpenAI itself, Ollama, LM Studio, vLLM, llama.cpp, OpenRouter.
//!
//! Source: OpenAI's API reference, "Chat Completions" and its streaming events; what other servers do differently is
//! said where it is tolerated.

pub(crate) mod answer;
mod body;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use clankers_protocol::{
    conversation::{ModelRequest, Price},
    text,
};
use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;
use tokio::sync::OnceCell;

use self::{answer::ChatAnswer, body::Shape};
use crate::{
    catalogue::{self, ChatTools, Entry},
    error::{ModelError, ModelErrorKind},
    http::{Again, Endpoint, Fault, Names, Retry, client},
    limits::{LOCAL_LIST_BYTES, LOCAL_MODELS, MODEL_NAME_BYTES, OUTPUT_TOKENS},
    settings::{OPENAI_BASE, OpenAiSettings},
    sink::Sink,
};

pub(crate) const PROVIDER: &str = "openai";

/// The name that stands for the first model that the server lists.
pub const AUTO: &str = "auto";

/// What OpenAI's own server is asked for when nobody names a model.
pub const OPENAI_DEFAULT: &str = "gpt-5.4-mini";

pub(crate) static OPENAI: Names = Names {
    provider: PROVIDER,
    answer: "chat completion",
    key_var: "OPENAI_API_KEY",
    base_var: "OPENAI_BASE_URL",
    base_example: "https://api.openai.com/v1 or http://127.0.0.1:11434/v1",
    key_header: AUTHORIZATION,
    key_prefix: "Bearer ",
    headers: &[],
};

/// What is known of a server's prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prices {
    /// OpenAI's own.
    OpenAi,
    /// As its models cost at their vendors, where the catalogue has the name.
    ByName,
    /// It costs nothing: a program on this machine, or its owner says so.
    Free,
}

/// One server, shared by all its models.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    models: Vec<String>,
    prices: Prices,
    max_output: Option<u64>,
    /// The server refused `stream_options` once.
    no_usage_option: AtomicBool,
    first_model: OnceCell<String>,
}

impl Server {
    pub(crate) fn new(settings: OpenAiSettings) -> Result<Self, ModelError> {
        let is_openai = settings.api_base.trim().trim_end_matches('/') == OPENAI_BASE;
        let prices = match (settings.free, is_openai) {
            (true, _) => Prices::Free,
            (false, true) => Prices::OpenAi,
            (false, false) => Prices::ByName,
        };
        Self::of(&OPENAI, settings, prices)
    }

    /// A server that speaks this dialect under another provider's name.
    pub(crate) fn of(
        names: &'static Names,
        settings: OpenAiSettings,
        prices: Prices,
    ) -> Result<Self, ModelError> {
        let OpenAiSettings { api_base, api_key, models, max_output, timing, free: _ } = settings;
        let endpoint = Endpoint::new(names, &api_base, api_key, timing)?;
        let (no_usage_option, first_model) = (AtomicBool::new(false), OnceCell::new());
        Ok(Self { endpoint, models, prices, max_output, no_usage_option, first_model })
    }

    pub(crate) fn default_model(&self) -> &str {
        let fallback = if self.is_openai_itself() { OPENAI_DEFAULT } else { AUTO };
        self.models.first().map_or(fallback, String::as_str)
    }

    pub(crate) fn provider(&self) -> &'static str {
        self.endpoint.names.provider
    }

    pub(crate) fn place(&self) -> String {
        self.endpoint.place()
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.models
    }

    pub(crate) fn is_loopback(&self) -> bool {
        client::is_loopback(&self.endpoint.base)
    }

    fn is_openai_itself(&self) -> bool {
        self.endpoint.base.as_str().trim_end_matches('/') == OPENAI_BASE
    }

    /// The models that the server lists and that can be talked to.
    pub(crate) async fn list(&self) -> Result<Vec<String>, ModelError> {
        // Cancellation drops this whole future: the listener below is never cancelled by itself.
        let (events, _listener) = tokio::sync::mpsc::channel(1);
        let sink = Sink::new(self.provider(), events, tokio_util::sync::CancellationToken::new());
        let list =
            self.endpoint.get("/models", LOCAL_LIST_BYTES, &sink).await.map_err(|fault| fault.error)?;
        let ids = list.get("data").and_then(Value::as_array).into_iter().flatten();
        let ids = ids.filter_map(|model| model.get("id").and_then(Value::as_str));
        let ids = ids.filter(|id| !id.is_empty() && id.len() <= MODEL_NAME_BYTES);
        // A name goes onto a terminal as well. Embedding models answer no question.
        let ids = ids.filter(|id| text::line(id, MODEL_NAME_BYTES) == **id && !id.contains("embed"));
        Ok(ids.take(LOCAL_MODELS).map(str::to_owned).collect())
    }

    async fn first_listed(&self) -> Result<String, Fault> {
        let first = self.list().await.map_err(again)?.into_iter().next();
        first.ok_or_else(|| {
            let provider = self.provider();
            let message = format!("{} lists no model: name one (--model {provider}/NAME)", self.place());
            Fault::new(self.endpoint.names, ModelErrorKind::NoSuchModel, message)
        })
    }
}

/// A failed listing is tried again like any other call.
fn again(error: ModelError) -> Fault {
    let soon =
        matches!(error.kind, ModelErrorKind::Cut | ModelErrorKind::Server | ModelErrorKind::RateLimited);
    Fault { again: if soon { Again::Soon } else { Again::Never }, error }
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

    pub(crate) fn provider(&self) -> &'static str {
        self.server.provider()
    }

    fn entry(&self) -> Option<&'static Entry> {
        match self.server.prices {
            Prices::OpenAi => catalogue::find(PROVIDER, &self.name),
            Prices::ByName | Prices::Free => catalogue::find_anywhere(&self.name),
        }
    }

    /// Its price for a prompt of so many tokens: zero at a server that costs nothing, otherwise what the catalogue
    /// says of its name.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        match self.server.prices {
            Prices::Free => Some(Price::default()),
            Prices::OpenAi | Prices::ByName => self.entry().map(|entry| entry.price(prompt_tokens)),
        }
    }

    /// Above how many tokens of prompt another price holds, and which.
    #[must_use]
    pub fn long_price(&self) -> Option<(u64, Price)> {
        match self.server.prices {
            Prices::Free => None,
            Prices::OpenAi | Prices::ByName => self.entry()?.long_price(),
        }
    }

    /// Tokens that it reads and writes together.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        self.entry()?.context
    }

    /// Tokens that one answer may have. `None`: the server decides.
    #[must_use]
    pub fn max_output(&self) -> Option<u64> {
        // A model that is asked for more than it can do refuses; one that is not asked does what it can.
        let usual = || {
            let most = self.entry().and_then(|entry| entry.max_output)?;
            self.server.is_openai_itself().then(|| most.min(OUTPUT_TOKENS))
        };
        self.server.max_output.map(|most| most.max(1)).or_else(usual)
    }

    pub(crate) async fn stream(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), ModelError> {
        if let Some(refusal) = self.refuses_tools(request) {
            return Err(refusal);
        }
        let mut retry = Retry::new(&self.server.endpoint.timing);
        let chat_tools = self.entry().map(|entry| entry.chat_tools).unwrap_or_default();
        let mut no_reasoning = self.server.is_openai_itself()
            && chat_tools == ChatTools::WithoutReasoning
            && !request.tools.is_empty();
        loop {
            match self.once(request, &mut no_reasoning, sink).await {
                Ok(()) => return Ok(()),
                Err(fault) => retry.next(fault, sink).await?,
            }
        }
    }

    /// Some of OpenAI's models take tools at another interface only: said before it costs a call.
    fn refuses_tools(&self, request: &ModelRequest) -> Option<ModelError> {
        let never = self.entry()?.chat_tools == ChatTools::Never;
        (never && self.server.is_openai_itself() && !request.tools.is_empty()).then(|| {
            let message = format!(
                "OpenAI takes no tools for {} at chat completions: use openai/{OPENAI_DEFAULT}, or no tools",
                self.name
            );
            ModelError::new(PROVIDER, ModelErrorKind::Rejected, message)
        })
    }

    async fn once(
        &self,
        request: &ModelRequest,
        no_reasoning: &mut bool,
        sink: &mut Sink,
    ) -> Result<(), Fault> {
        let server = &*self.server;
        let name = match self.name.as_str() {
            AUTO => {
                let first = server.first_model.get_or_try_init(|| server.first_listed());
                sink.unless_cancelled(first).await??
            }
            name => name,
        };
        let with_usage = !server.no_usage_option.load(Ordering::Relaxed);
        let shape = Shape {
            model: name,
            with_usage,
            max_output: self.max_output(),
            // Older and other servers know only the older word.
            new_words: server.is_openai_itself(),
            no_reasoning: *no_reasoning,
        };
        let body = Bytes::from(body::build(request, &shape));
        let fault = match server.endpoint.ask("/chat/completions", body, ChatAnswer::default(), sink).await {
            Err(fault) if fault.error.kind == ModelErrorKind::Rejected => fault,
            done => return done,
        };
        let says = &fault.error.message;
        if with_usage && (says.contains("stream_options") || says.contains("include_usage")) {
            server.no_usage_option.store(true, Ordering::Relaxed);
        } else if says.contains("reasoning_effort") && !request.tools.is_empty() && !*no_reasoning {
            // Some of OpenAI's models take tools here only when they do not reason.
            *no_reasoning = true;
        } else {
            return Err(fault);
        }
        Err(Fault { again: Again::After(std::time::Duration::ZERO), ..fault })
    }
}

/// The names of a server that speaks this dialect and has no key.
pub(crate) const fn bearer(
    provider: &'static str,
    base_var: &'static str,
    base_example: &'static str,
    key_header: HeaderName,
) -> Names {
    Names {
        provider,
        answer: "chat completion",
        key_var: "",
        base_var,
        base_example,
        key_header,
        key_prefix: "Bearer ",
        headers: &[],
    }
}
