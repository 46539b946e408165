//! Which models there are, and which one a name means.

mod list;

use std::{path::Path, sync::Arc};

use clankers_protocol::text;

pub use self::list::ModelInfo;
use crate::{
    anthropic::{self, AnthropicModel},
    error::{ModelError, ModelErrorKind},
    limits::MODEL_NAME_BYTES,
    local::Local,
    model::{Kind, Model},
    offline::{self, OfflineModel, WordsParser},
    openai::{self, OpenAiModel},
    scripted::{self, ScriptedModel},
    settings::ModelSettings,
};

/// All models of a node, by name.
#[derive(Debug, Clone)]
pub struct Registry {
    settings: Arc<ModelSettings>,
    anthropic: Option<Arc<anthropic::Server>>,
    openai: Option<Arc<openai::Server>>,
    local: Arc<[Local; 2]>,
    offline: OfflineModel,
}

impl Registry {
    /// The models that `settings` allow. `parse` is the offline model's ear. Opens no file and no connection.
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`] when the address of a configured server is wrong.
    pub fn new(settings: ModelSettings, parse: WordsParser) -> Result<Self, ModelError> {
        let anthropic = settings.anthropic.clone().map(anthropic::Server::new).transpose()?.map(Arc::new);
        let openai = settings.openai.clone().map(openai::Server::new).transpose()?.map(Arc::new);
        let local = Arc::new(Local::all(&settings.local));
        let offline = OfflineModel::new(parse);
        Ok(Self { settings: Arc::new(settings), anthropic, openai, local, offline })
    }

    /// The model that is used when nobody names one: the settings' default, otherwise Anthropic's when it has a key or
    /// an address, otherwise that of the OpenAI-compatible server, otherwise offline. Asks nobody.
    #[must_use]
    pub fn default_name(&self) -> String {
        self.configured().unwrap_or_else(|| offline::PROVIDER.to_owned())
    }

    /// [`Registry::default_name`], which looks for a model server on this machine before it says offline. That takes
    /// at most [`crate::limits::LOCAL_ANSWER`] for each of two, and nothing at all when a model is configured.
    pub async fn default_name_asking(&self) -> String {
        if let Some(name) = self.configured() {
            return name;
        }
        for local in self.local.iter() {
            let models = local.models().await.unwrap_or_default();
            if let Some(first) = models.first() {
                return format!("{}/{first}", local.provider);
            }
        }
        offline::PROVIDER.to_owned()
    }

    fn configured(&self) -> Option<String> {
        if let Some(name) = &self.settings.default {
            return Some(name.clone());
        }
        if let Some(server) = &self.anthropic {
            return Some(format!("{}/{}", anthropic::PROVIDER, server.default_model()));
        }
        self.openai.as_ref().map(|server| format!("{}/{}", openai::PROVIDER, server.default_model()))
    }

    /// The model that `name` means: `provider/name`, `offline`, `scripted`, `scripted:PATH`, a bare `claude-...` of
    /// Anthropic's, or a bare name of the OpenAI-compatible server (also one with a slash of its own, as OpenRouter
    /// has them). Asks nobody: a model that does not exist is noticed when it is asked.
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`] when it is not configured or its script cannot be read,
    /// [`ModelErrorKind::Credentials`] when its key is missing, [`ModelErrorKind::NoSuchModel`] when it is no name.
    pub fn resolve(&self, name: &str) -> Result<Model, ModelError> {
        let shown = text::line(name, 80);
        if name.is_empty() || name.len() > MODEL_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(no_such(format!(
                "'{shown}' is not a model's name: write it like anthropic/NAME, openai/NAME, or offline"
            )));
        }
        if name == offline::PROVIDER {
            return Ok(Model::new(name.to_owned(), Kind::Offline(self.offline)));
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
        Ok(Model::new(name.to_owned(), Kind::Scripted(ScriptedModel::open(path)?)))
    }

    fn remote(&self, name: &str, shown: &str) -> Result<Model, ModelError> {
        let of = |provider: &str| match name.strip_prefix(provider) {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        if let Some(bare) = of(anthropic::PROVIDER) {
            return self.anthropic(bare);
        }
        if let Some(bare) = of(openai::PROVIDER) {
            return self.openai(bare);
        }
        for local in self.local.iter() {
            if let Some(bare) = of(local.provider) {
                return Self::local(local, bare);
            }
        }
        // A name without its provider. A server of one's own may have Claude too, so the prefix alone decides nothing
        // where there is no Anthropic.
        if self.anthropic.is_some() && name.starts_with("claude-") {
            return self.anthropic(name);
        }
        if self.openai.is_some() {
            return self.openai(name);
        }
        Err(no_such(format!(
            "no model '{shown}' here: there are offline and scripted; ANTHROPIC_API_KEY, OPENAI_API_KEY or \
             OPENAI_BASE_URL adds more, and ollama/NAME or lmstudio/NAME is a model on this machine"
        )))
    }

    fn anthropic(&self, bare: &str) -> Result<Model, ModelError> {
        let Some(server) = &self.anthropic else {
            let why = "no key: set ANTHROPIC_API_KEY";
            return Err(ModelError::new(anthropic::PROVIDER, ModelErrorKind::Credentials, why));
        };
        let bare = if bare.is_empty() { server.default_model() } else { bare };
        let model = AnthropicModel::new(Arc::clone(server), bare.to_owned());
        Ok(Model::new(format!("{}/{bare}", anthropic::PROVIDER), Kind::Anthropic(model)))
    }

    fn openai(&self, bare: &str) -> Result<Model, ModelError> {
        let Some(server) = &self.openai else {
            let why =
                "no key and no address: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own";
            return Err(ModelError::new(openai::PROVIDER, ModelErrorKind::Credentials, why));
        };
        Ok(compatible(server, bare))
    }

    fn local(local: &Local, bare: &str) -> Result<Model, ModelError> {
        Ok(compatible(local.server.as_ref().map_err(Clone::clone)?, bare))
    }
}

fn compatible(server: &Arc<openai::Server>, bare: &str) -> Model {
    let bare = if bare.is_empty() { server.default_model() } else { bare };
    let model = OpenAiModel::new(Arc::clone(server), bare.to_owned());
    Model::new(format!("{}/{bare}", server.provider()), Kind::OpenAi(model))
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
