//! What this crate is told about providers, and the one place where it reads the environment.

use std::{path::PathBuf, time::Duration};

use crate::{limits, secret::Secret};

/// Where OpenAI's own server is.
pub const OPENAI_BASE: &str = "https://api.openai.com/v1";
/// Where Anthropic's own server is; its version is in the path of each request.
pub const ANTHROPIC_BASE: &str = "https://api.anthropic.com";
/// Where Ollama listens unless told otherwise.
pub const OLLAMA_BASE: &str = "http://127.0.0.1:11434";
/// Where LM Studio listens unless told otherwise.
pub const LMSTUDIO_BASE: &str = "http://127.0.0.1:1234";

/// What may be used, and what is used when nobody says.
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// The model that answers when a prompt names none; `None`: Anthropic when it is configured, then OpenAI, then
    /// offline.
    pub default: Option<String>,
    /// Anthropic's Messages API.
    pub anthropic: Option<AnthropicSettings>,
    /// An OpenAI-compatible server.
    pub openai: Option<OpenAiSettings>,
    /// Servers on this machine that need no configuration.
    pub local: LocalSettings,
    /// The file of the model `scripted`.
    pub scripted: Option<PathBuf>,
    /// Whether `scripted:/any/path` may be named in a prompt. Only for one who may read this machine's files
    /// anyway: false in a daemon. The default model above is always allowed.
    pub scripted_paths: bool,
}

/// An OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Its address up to and with the version: `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`.
    pub api_base: String,
    /// The key; a server of one's own often needs none.
    pub api_key: Option<Secret>,
    /// Names of its models; the first is its default. Others can be named too.
    pub models: Vec<String>,
    /// The owner says that this server costs nothing: every price is zero.
    pub free: bool,
    /// The most tokens of one answer. `None`: at OpenAI itself [`limits::OUTPUT_TOKENS`] or what the model can do, if
    /// that is less; elsewhere the server decides.
    pub max_output: Option<u64>,
    /// How long to wait for what.
    pub timing: Timing,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            api_base: OPENAI_BASE.to_owned(),
            api_key: None,
            models: Vec::new(),
            free: false,
            max_output: None,
            timing: Timing::default(),
        }
    }
}

/// Anthropic's Messages API, or a server that speaks it.
#[derive(Debug, Clone)]
pub struct AnthropicSettings {
    /// Its address, with or without the version: `https://api.anthropic.com`.
    pub api_base: String,
    /// The key.
    pub api_key: Option<Secret>,
    /// Names of its models; the first is its default. Others can be named too.
    pub models: Vec<String>,
    /// The most tokens of one answer, thinking included. `None`: [`limits::OUTPUT_TOKENS`] or what the model can do,
    /// if that is less; [`limits::OUTPUT_TOKENS_UNKNOWN`] for a model that the catalogue does not have.
    pub max_output: Option<u64>,
    /// How long to wait for what.
    pub timing: Timing,
}

impl Default for AnthropicSettings {
    fn default() -> Self {
        Self {
            api_base: ANTHROPIC_BASE.to_owned(),
            api_key: None,
            models: Vec::new(),
            max_output: None,
            timing: Timing::default(),
        }
    }
}

/// Servers on this machine. Nothing is asked until one of their models is wanted.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// Ollama's address, as `OLLAMA_HOST` has it: with or without scheme and port.
    pub ollama: String,
    /// LM Studio's address.
    pub lmstudio: String,
    /// How long to wait for what.
    pub timing: Timing,
}

impl Default for LocalSettings {
    fn default() -> Self {
        let (ollama, lmstudio) = (OLLAMA_BASE.to_owned(), LMSTUDIO_BASE.to_owned());
        Self { ollama, lmstudio, timing: Timing::default() }
    }
}

/// How long to wait for what; the defaults are this crate's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request to the response's headers.
    pub first_byte: Duration,
    /// Between two pieces of the response.
    pub idle: Duration,
    /// For what may follow the stop reason.
    pub after_stop: Duration,
    /// Tries of one call, the first included; 0 counts as 1.
    pub tries: u32,
    /// The first pause between tries; it doubles.
    pub backoff: Duration,
    /// The longest pause that a Retry-After can impose.
    pub retry_after_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT,
            first_byte: limits::FIRST_BYTE,
            idle: limits::IDLE,
            after_stop: limits::AFTER_STOP,
            tries: limits::TRIES,
            backoff: limits::BACKOFF,
            retry_after_max: limits::RETRY_AFTER_MAX,
        }
    }
}

/// Where keys are kept that are not in the environment. A closure will do.
pub trait Credentials {
    /// The key of a provider (`anthropic`, `openai`), if there is one.
    fn key(&self, provider: &str) -> Option<Secret>;
}

impl<F: Fn(&str) -> Option<Secret>> Credentials for F {
    fn key(&self, provider: &str) -> Option<Secret> {
        self(provider)
    }
}

impl ModelSettings {
    /// Settings from this process's environment: `ANTHROPIC_API_KEY`, `ANTHROPIC_BASE_URL`, `OPENAI_API_KEY`,
    /// `OPENAI_BASE_URL`, `OLLAMA_HOST`, `CLANKERS_SCRIPT` (the file of the scripted model). The model itself
    /// (`CLANKERS_MODEL`, `--model`) is the caller's to set.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    }

    /// The same from any source of variables; an empty one counts as absent.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| {
            let value = var(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let (api_key, base) =
            (var("OPENAI_API_KEY").as_deref().and_then(Secret::new), var("OPENAI_BASE_URL"));
        let openai = (api_key.is_some() || base.is_some()).then(|| OpenAiSettings {
            api_base: base.unwrap_or_else(|| OPENAI_BASE.to_owned()),
            api_key,
            ..OpenAiSettings::default()
        });
        let api_key = var("ANTHROPIC_API_KEY").as_deref().and_then(Secret::new);
        let base = var("ANTHROPIC_BASE_URL");
        let anthropic = (api_key.is_some() || base.is_some()).then(|| AnthropicSettings {
            api_base: base.unwrap_or_else(|| ANTHROPIC_BASE.to_owned()),
            api_key,
            ..AnthropicSettings::default()
        });
        let mut local = LocalSettings::default();
        if let Some(host) = var("OLLAMA_HOST") {
            local.ollama = host;
        }
        let scripted = var("CLANKERS_SCRIPT").map(PathBuf::from);
        Self { anthropic, openai, local, scripted, ..Self::default() }
    }

    /// Takes keys from where they are kept, for providers that have none yet; a provider that was not configured is,
    /// once it has a key. Call it last, after the environment and the settings file.
    pub fn fill_keys(&mut self, credentials: &impl Credentials) {
        let missing = self.anthropic.as_ref().is_none_or(|settings| settings.api_key.is_none());
        if missing && let Some(key) = credentials.key("anthropic") {
            self.anthropic.get_or_insert_default().api_key = Some(key);
        }
        let missing = self.openai.as_ref().is_none_or(|settings| settings.api_key.is_none());
        if missing && let Some(key) = credentials.key("openai") {
            self.openai.get_or_insert_default().api_key = Some(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_configures_nothing() {
        for value in [None, Some(""), Some(" \n")] {
            let settings = ModelSettings::from_vars(|_| value.map(str::to_owned));
            assert!(settings.openai.is_none() && settings.scripted.is_none() && !settings.scripted_paths);
            assert!(settings.anthropic.is_none() && settings.local.ollama == OLLAMA_BASE);
        }
    }

    #[test]
    fn a_base_needs_no_key_and_a_key_needs_no_base() {
        let only = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "x".to_owned());
        let base = ModelSettings::from_vars(only("OPENAI_BASE_URL")).openai.unwrap();
        assert_eq!((base.api_base.as_str(), base.api_key), ("x", None));
        let key = ModelSettings::from_vars(only("OPENAI_API_KEY")).openai.unwrap();
        assert_eq!((key.api_base.as_str(), key.api_key), (OPENAI_BASE, Secret::new("x")));
        let base = ModelSettings::from_vars(only("ANTHROPIC_BASE_URL")).anthropic.unwrap();
        assert_eq!((base.api_base.as_str(), base.api_key), ("x", None));
        let key = ModelSettings::from_vars(only("ANTHROPIC_API_KEY")).anthropic.unwrap();
        assert_eq!((key.api_base.as_str(), key.api_key), (ANTHROPIC_BASE, Secret::new("x")));
        assert_eq!(ModelSettings::from_vars(only("OLLAMA_HOST")).local.ollama, "x");
    }

    #[test]
    fn settings_do_not_print_the_key() {
        let key = |name: &str| name.ends_with("_API_KEY").then(|| "sk-very-secret".to_owned());
        let shown = format!("{:?}", ModelSettings::from_vars(key));
        assert!(!shown.contains("very") && shown.matches("Secret(..)").count() == 2, "{shown}");
    }

    #[test]
    fn the_environments_key_wins_over_the_kept_one() {
        let kept = |provider: &str| Secret::new(&format!("kept-{provider}"));
        let mut settings =
            ModelSettings::from_vars(|name| (name == "OPENAI_API_KEY").then(|| "env".to_owned()));
        settings.fill_keys(&kept);
        assert_eq!(settings.openai.unwrap().api_key, Secret::new("env"));
        assert_eq!(settings.anthropic.unwrap().api_key, Secret::new("kept-anthropic"));
        let mut none = ModelSettings::default();
        none.fill_keys(&|_: &str| None);
        assert!(none.openai.is_none() && none.anthropic.is_none());
    }
}
