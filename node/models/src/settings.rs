//! What this crate is told about providers, and the one place where it reads the environment.

use std::{path::PathBuf, time::Duration};

use crate::{limits, secret::Secret};

/// Where OpenAI's own server is.
pub const OPENAI_BASE: &str = "https://api.openai.com/v1";

/// What may be used, and what is used when nobody says.
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// The model that answers when a prompt names none; `None`: OpenAI when it is configured, otherwise offline.
    pub default: Option<String>,
    /// An OpenAI-compatible server.
    pub openai: Option<OpenAiSettings>,
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
    /// How long to wait for what.
    pub timing: Timing,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            api_base: OPENAI_BASE.to_owned(),
            api_key: None,
            models: Vec::new(),
            timing: Timing::default(),
        }
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

impl ModelSettings {
    /// Settings from this process's environment: `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `CLANKERS_SCRIPT` (the file
    /// of the scripted model). The model itself (`CLANKERS_MODEL`, `--model`) is the caller's to set.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    }

    /// The same from any source of variables; an empty one counts as absent.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
        let api_key = var("OPENAI_API_KEY").as_deref().and_then(Secret::new);
        let api_base = var("OPENAI_BASE_URL").map(|base| base.trim().to_owned());
        let openai = (api_key.is_some() || api_base.is_some()).then(|| OpenAiSettings {
            api_base: api_base.unwrap_or_else(|| OPENAI_BASE.to_owned()),
            api_key,
            ..OpenAiSettings::default()
        });
        Self { openai, scripted: var("CLANKERS_SCRIPT").map(PathBuf::from), ..Self::default() }
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
        }
    }

    #[test]
    fn a_base_needs_no_key_and_a_key_needs_no_base() {
        let only = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "x".to_owned());
        let base = ModelSettings::from_vars(only("OPENAI_BASE_URL")).openai.unwrap();
        assert_eq!((base.api_base.as_str(), base.api_key), ("x", None));
        let key = ModelSettings::from_vars(only("OPENAI_API_KEY")).openai.unwrap();
        assert_eq!((key.api_base.as_str(), key.api_key), (OPENAI_BASE, Secret::new("x")));
    }

    #[test]
    fn settings_do_not_print_the_key() {
        let key = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-very-secret".to_owned());
        let shown = format!("{:?}", ModelSettings::from_vars(key));
        assert!(!shown.contains("very") && shown.contains("Secret(..)"), "{shown}");
    }
}
