//! What is configured, and why the rest is not.

use clankers_protocol::{conversation::Price, text};

use super::Registry;
use crate::{anthropic, catalogue, error::ModelError, local::Local, model::Model, offline, scripted};

/// One line of a listing of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// What to write after `--model`.
    pub name: String,
    /// Whether it can be used.
    pub usable: bool,
    /// What it is, or why it cannot be used and what to do about it.
    pub about: String,
    /// What it costs, if that is known: see [`Model::price`].
    pub price: Option<Price>,
    /// Tokens that it reads and writes together, if that is known.
    pub context_window: Option<u64>,
    /// Tokens that one answer may have; `None`: the server decides.
    pub max_output: Option<u64>,
}

impl ModelInfo {
    fn missing(name: &str, about: impl Into<String>) -> Self {
        let (name, about) = (name.to_owned(), about.into());
        Self { name, usable: false, about, price: None, context_window: None, max_output: None }
    }

    fn of(model: &Model, about: &str) -> Self {
        Self {
            name: model.full_name().to_owned(),
            usable: true,
            about: about.to_owned(),
            price: model.price(),
            context_window: model.context_window(),
            max_output: model.max_output(),
        }
    }
}

impl Registry {
    /// What is configured, and why the rest is not. Asks nobody: models on this machine stand in
    /// [`Registry::survey`] only.
    #[must_use]
    pub fn list(&self) -> Vec<ModelInfo> {
        let mut list = Vec::new();
        match &self.anthropic {
            None => list.push(ModelInfo::missing("anthropic", "not configured: set ANTHROPIC_API_KEY")),
            Some(server) => {
                let place = server.place();
                let about = match (server.has_key(), catalogue::source(anthropic::PROVIDER)) {
                    (true, Some(source)) => format!("Anthropic's API at {place}; prices: {source}"),
                    (true, None) => format!("Anthropic's API at {place}"),
                    (false, _) => format!("Anthropic's API at {place}, without a key (ANTHROPIC_API_KEY)"),
                };
                self.named(server.default_model(), server.models(), &about, &mut list, Self::anthropic);
            }
        }
        match &self.openai {
            None => {
                let about = "not configured: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own";
                list.push(ModelInfo::missing("openai", about));
            }
            Some(server) => {
                let about = format!("OpenAI-compatible server at {}", server.place());
                self.named(server.default_model(), server.models(), &about, &mut list, Self::openai);
            }
        }
        if self.settings.scripted.is_some() {
            let about = "replays a script; not a language model";
            list.push(ModelInfo {
                usable: true,
                price: Some(Price::default()),
                ..ModelInfo::missing(scripted::PROVIDER, about)
            });
        } else {
            list.push(ModelInfo::missing(scripted::PROVIDER, "no script: set CLANKERS_SCRIPT"));
        }
        let about = "runs tools asked for in plain words; not a language model";
        list.extend(self.resolve(offline::PROVIDER).ok().map(|model| ModelInfo::of(&model, about)));
        list
    }

    /// The default model of a server, then the others that its settings name.
    fn named(
        &self,
        default: &str,
        models: &[String],
        about: &str,
        list: &mut Vec<ModelInfo>,
        resolve: impl Fn(&Self, &str) -> Result<Model, ModelError>,
    ) {
        let named = models.iter().map(String::as_str).filter(|name| *name != default);
        for name in std::iter::once(default).chain(named) {
            list.extend(resolve(self, name).ok().map(|model| ModelInfo::of(&model, about)));
        }
    }

    /// [`Registry::list`], and what the model servers on this machine have just now: for `clankers models`. Waits at
    /// most [`crate::limits::LOCAL_ANSWER`].
    pub async fn survey(&self) -> Vec<ModelInfo> {
        let [first, second] = &*self.local;
        let (first_models, second_models) = tokio::join!(first.models(), second.models());
        let mut list = self.list();
        let at = list.len().saturating_sub(2);
        let mut found = Vec::new();
        for (local, models) in [(first, first_models), (second, second_models)] {
            found.extend(local_lines(local, models));
        }
        // Before the two that are no language models.
        list.splice(at..at, found);
        list
    }
}

fn local_lines(local: &Local, models: Result<Vec<String>, ModelError>) -> Vec<ModelInfo> {
    let called = local.called;
    match (models, local.server.clone()) {
        (Ok(models), Ok(server)) if models.is_empty() => {
            let about = format!("{called} at {} has no model yet", server.place());
            vec![ModelInfo::missing(local.provider, about)]
        }
        (Ok(models), Ok(server)) => {
            let about = format!("{called} at {}", server.place());
            let models = models.iter().filter_map(|name| Registry::local(local, name).ok());
            models.map(|model| ModelInfo::of(&model, &about)).collect()
        }
        (Err(error), _) | (_, Err(error)) => {
            let about = format!("not found: {}", text::line(&error.message, 300));
            vec![ModelInfo::missing(local.provider, about)]
        }
    }
}
