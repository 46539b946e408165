//! One model that can be asked, whoever provides it.

use clankers_protocol::conversation::{ModelEvent, ModelRequest, Price, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    anthropic::{self, AnthropicModel},
    error::ModelError,
    estimate,
    limits::OUTPUT_TOKENS,
    offline::{self, OfflineModel, WordsParser},
    openai::OpenAiModel,
    scripted::{self, Script, ScriptedModel},
    sink::{Notify, Sink},
};

/// A model that can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Model {
    full_name: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scripted(ScriptedModel),
    Offline(OfflineModel),
    Anthropic(AnthropicModel),
    OpenAi(OpenAiModel),
}

impl Model {
    pub(crate) fn new(full_name: String, kind: Kind) -> Self {
        Self { full_name, kind }
    }

    /// The offline model.
    #[must_use]
    pub fn offline(parse: WordsParser) -> Self {
        Self::new(offline::PROVIDER.to_owned(), Kind::Offline(OfflineModel::new(parse)))
    }

    /// A scripted model.
    #[must_use]
    pub fn scripted(script: Script) -> Self {
        Self::new(scripted::PROVIDER.to_owned(), Kind::Scripted(ScriptedModel::new(script)))
    }

    /// Its name as `provider/name`, or just the provider where there is only one.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Its provider: `anthropic`, `openai`, `ollama`, `lmstudio`, `scripted` or `offline`.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        match &self.kind {
            Kind::Scripted(_) => scripted::PROVIDER,
            Kind::Offline(_) => offline::PROVIDER,
            Kind::Anthropic(_) => anthropic::PROVIDER,
            Kind::OpenAi(model) => model.provider(),
        }
    }

    /// What its tokens cost when the prompt is not a very long one; see [`Model::price_at`].
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        self.price_at(0)
    }

    /// What its tokens cost in a call whose prompt has so many tokens, cached ones included: some vendors ask more
    /// for all of a long request. Offline, scripted and what runs on this machine cost nothing; `None`: not known,
    /// never zero.
    #[must_use]
    pub fn price_at(&self, prompt_tokens: u64) -> Option<Price> {
        match &self.kind {
            Kind::Scripted(_) | Kind::Offline(_) => Some(Price::default()),
            Kind::Anthropic(model) => model.price(prompt_tokens),
            Kind::OpenAi(model) => model.price(prompt_tokens),
        }
    }

    /// Above how many tokens of prompt [`Model::price_at`] differs from [`Model::price`], and what it is there; `None`:
    /// nowhere.
    #[must_use]
    pub fn long_price(&self) -> Option<(u64, Price)> {
        match &self.kind {
            Kind::Scripted(_) | Kind::Offline(_) => None,
            Kind::Anthropic(model) => model.long_price(),
            Kind::OpenAi(model) => model.long_price(),
        }
    }

    /// Tokens that it reads and writes together; `None`: not known.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        match &self.kind {
            Kind::Scripted(_) | Kind::Offline(_) => None,
            Kind::Anthropic(model) => model.context_window(),
            Kind::OpenAi(model) => model.context_window(),
        }
    }

    /// Tokens that one answer may have, as this model is asked here; `None`: the server decides.
    #[must_use]
    pub fn max_output(&self) -> Option<u64> {
        match &self.kind {
            Kind::Scripted(_) | Kind::Offline(_) => None,
            Kind::Anthropic(model) => Some(model.max_output()),
            Kind::OpenAi(model) => model.max_output(),
        }
    }

    /// What a request will use at most, more or less, so that a budget can be set aside before it is made: all its
    /// bytes, three to a token, as fresh input, and the longest answer ([`OUTPUT_TOKENS`] when the server decides).
    /// It errs upwards for English and code, and may fall short for scripts with fewer than three bytes to a token.
    #[must_use]
    pub fn estimate(&self, request: &ModelRequest) -> Usage {
        estimate::usage(request, self.max_output().unwrap_or(OUTPUT_TOKENS))
    }

    /// Asks the model. Its answer goes into `events` (bounded: the model waits while the queue is full) and ends with
    /// exactly one [`ModelEvent::Stop`] when this returns `Ok`. `request.model` is not looked at: this is the model.
    ///
    /// # Errors
    /// [`ModelError`]; what was sent before it stands. Nothing follows an error. A cancellation, or a dropped
    /// receiver, ends the call with [`crate::ModelErrorKind::Cancelled`].
    pub async fn stream(
        &self,
        request: ModelRequest,
        events: mpsc::Sender<ModelEvent>,
        cancel: CancellationToken,
    ) -> Result<(), ModelError> {
        self.run(request, Sink::new(self.provider(), events, cancel)).await
    }

    /// [`Model::stream`], which also tells `notify` of every try that failed and will be made again.
    ///
    /// # Errors
    /// As [`Model::stream`].
    pub async fn stream_with(
        &self,
        request: ModelRequest,
        events: mpsc::Sender<ModelEvent>,
        cancel: CancellationToken,
        notify: Notify,
    ) -> Result<(), ModelError> {
        self.run(request, Sink::new(self.provider(), events, cancel).notify(Some(notify))).await
    }

    async fn run(&self, request: ModelRequest, mut sink: Sink) -> Result<(), ModelError> {
        match &self.kind {
            Kind::Scripted(model) => model.stream(&request, &mut sink).await,
            Kind::Offline(model) => model.stream(&request, &mut sink).await,
            // The largest futures by far: kept out of the caller's.
            Kind::Anthropic(model) => Box::pin(model.stream(&request, &mut sink)).await,
            Kind::OpenAi(model) => Box::pin(model.stream(&request, &mut sink)).await,
        }
    }
}
