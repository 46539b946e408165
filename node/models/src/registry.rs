//! Which models there are, and which one a name means.

use std::{path::Path, sync::Arc};

use clankers_protocol::{
    conversation::{ModelEvent, ModelRequest, Price},
    text,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{ModelError, ModelErrorKind},
    limits::MODEL_NAME_BYTES,
    offline::{self, OfflineModel, WordsParser},
    openai::{self, OpenAiModel, Server},
    scripted::{self, Script, ScriptedModel},
    settings::ModelSettings,
    sink::Sink,
};

/// A model that can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Model {
    full_name: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Scripted(ScriptedModel),
    Offline(OfflineModel),
    OpenAi(OpenAiModel),
}

impl Model {
    /// The offline model.
    #[must_use]
    pub fn offline(parse: WordsParser) -> Self {
        Self { full_name: offline::PROVIDER.to_owned(), kind: Kind::Offline(OfflineModel::new(parse)) }
    }

    /// A scripted model.
    #[must_use]
    pub fn scripted(script: Script) -> Self {
        Self { full_name: scripted::PROVIDER.to_owned(), kind: Kind::Scripted(ScriptedModel::new(script)) }
    }

    /// Its name as `provider/name`, or just the provider where there is only one.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Its provider: `openai`, `scripted` or `offline`.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        match self.kind {
            Kind::Scripted(_) => scripted::PROVIDER,
            Kind::Offline(_) => offline::PROVIDER,
            Kind::OpenAi(_) => openai::PROVIDER,
        }
    }

    /// What its tokens cost. Offline and scripted cost nothing; `None`: not known, never zero.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        match &self.kind {
            Kind::Scripted(_) | Kind::Offline(_) => Some(Price::default()),
            Kind::OpenAi(model) => model.price(),
        }
    }

    /// Asks the model. Its answer goes into `events` (bounded: the model waits while the queue is full) and ends with
    /// exactly one [`ModelEvent::Stop`] when this returns `Ok`. `request.model` is not looked at: this is the model.
    ///
    /// # Errors
    /// [`ModelError`]; what was sent before it stands. Nothing follows an error. A cancellation, or a dropped
    /// receiver, ends the call with [`ModelErrorKind::Cancelled`].
    pub async fn stream(
        &self,
        request: ModelRequest,
        events: mpsc::Sender<ModelEvent>,
        cancel: CancellationToken,
    ) -> Result<(), ModelError> {
        let mut sink = Sink::new(self.provider(), events, cancel);
        match &self.kind {
            Kind::Scripted(model) => model.stream(&request, &mut sink).await,
            Kind::Offline(model) => model.stream(&request, &mut sink).await,
            // The largest future by far: kept out of the caller's.
            Kind::OpenAi(model) => Box::pin(model.stream(&request, &mut sink)).await,
        }
    }
}

/// One line of a listing of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// What to write after `--model`.
    pub name: String,
    /// Whether it can be used.
    pub usable: bool,
    /// What it is, or why it cannot be used and what to do about it.
    pub about: String,
}

/// All models of a node, by name.
#[derive(Debug, Clone)]
pub struct Registry {
    settings: Arc<ModelSettings>,
    server: Option<Arc<Server>>,
    offline: OfflineModel,
}

impl Registry {
    /// The models that `settings` allow. `parse` is the offline model's ear. Opens no file and no connection.
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`] when the OpenAI-compatible server's address is wrong.
    pub fn new(settings: ModelSettings, parse: WordsParser) -> Result<Self, ModelError> {
        let server = settings.openai.clone().map(Server::new).transpose()?.map(Arc::new);
        Ok(Self { settings: Arc::new(settings), server, offline: OfflineModel::new(parse) })
    }

    /// The model that is used when nobody names one: the settings' default, otherwise that of the OpenAI-compatible
    /// server, otherwise offline.
    #[must_use]
    pub fn default_name(&self) -> String {
        if let Some(name) = &self.settings.default {
            return name.clone();
        }
        self.server.as_ref().map_or_else(
            || offline::PROVIDER.to_owned(),
            |server| format!("{}/{}", openai::PROVIDER, server.default_model()),
        )
    }

    /// The model that `name` means: `provider/name`, `offline`, `scripted`, `scripted:PATH`, or a bare name of the
    /// OpenAI-compatible server (also one with a slash of its own, as OpenRouter has them).
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`] when it is not configured or its script cannot be read,
    /// [`ModelErrorKind::NoSuchModel`] when it is no name.
    pub fn resolve(&self, name: &str) -> Result<Model, ModelError> {
        let shown = text::line(name, 80);
        if name.is_empty() || name.len() > MODEL_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(no_such(format!(
                "'{shown}' is not a model's name: write it like openai/NAME, or offline"
            )));
        }
        if name == offline::PROVIDER {
            let kind = Kind::Offline(self.offline);
            return Ok(Model { full_name: name.to_owned(), kind });
        }
        if name == scripted::PROVIDER {
            let path = self.settings.scripted.as_deref().ok_or_else(no_script)?;
            return Self::script(name, path);
        }
        if let Some(path) = name.strip_prefix("scripted:") {
            // A prompter from elsewhere must not make this node open files of its choice.
            if !self.settings.scripted_paths && self.settings.default.as_deref() != Some(name) {
                return Err(ModelError::new(
                    scripted::PROVIDER,
                    ModelErrorKind::Settings,
                    "a script's path cannot be named here: the node's owner sets it, and the model is then 'scripted'",
                ));
            }
            return Self::script(name, Path::new(path));
        }
        self.remote(name, &shown)
    }

    fn script(name: &str, path: &Path) -> Result<Model, ModelError> {
        Ok(Model { full_name: name.to_owned(), kind: Kind::Scripted(ScriptedModel::open(path)?) })
    }

    fn remote(&self, name: &str, shown: &str) -> Result<Model, ModelError> {
        let own = name.strip_prefix("openai/").or_else(|| (name == openai::PROVIDER).then_some(""));
        let Some(server) = &self.server else {
            let error = if own.is_some() {
                let why =
                    "no key and no address: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own";
                ModelError::new(openai::PROVIDER, ModelErrorKind::Credentials, why)
            } else {
                no_such(format!(
                    "no model '{shown}' here: there are offline and scripted; OPENAI_API_KEY or OPENAI_BASE_URL adds more"
                ))
            };
            return Err(error);
        };
        let bare = own.unwrap_or(name);
        let bare = if bare.is_empty() { server.default_model() } else { bare };
        let full_name = format!("{}/{bare}", openai::PROVIDER);
        Ok(Model { full_name, kind: Kind::OpenAi(OpenAiModel::new(Arc::clone(server), bare.to_owned())) })
    }

    /// What is configured, and why the rest is not.
    #[must_use]
    pub fn list(&self) -> Vec<ModelInfo> {
        let mut list = Vec::new();
        let line =
            |name: &str, usable: bool, about: String| ModelInfo { name: name.to_owned(), usable, about };
        match &self.server {
            None => {
                let about = "not configured: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own";
                list.push(line("openai", false, about.to_owned()));
            }
            Some(server) => {
                let about = format!("OpenAI-compatible server at {}", server.place());
                let default = server.default_model();
                let named = server.models().iter().map(String::as_str).filter(|name| *name != default);
                for name in std::iter::once(default).chain(named) {
                    list.push(line(&format!("openai/{name}"), true, about.clone()));
                }
            }
        }
        let script = self.settings.scripted.is_some();
        let about =
            if script { "replays a script; not a language model" } else { "no script: set CLANKERS_SCRIPT" };
        list.push(line(scripted::PROVIDER, script, about.to_owned()));
        let about = "runs tools asked for in plain words; not a language model";
        list.push(line(offline::PROVIDER, true, about.to_owned()));
        list
    }
}

fn no_such(message: String) -> ModelError {
    ModelError::new("models", ModelErrorKind::NoSuchModel, message)
}

fn no_script() -> ModelError {
    let message = "no script is set: set CLANKERS_SCRIPT to a .toml or .json file";
    ModelError::new(scripted::PROVIDER, ModelErrorKind::Settings, message)
}

#[cfg(test)]
mod tests;
