//! Why a model gave no answer, or only half of one.

use std::fmt;

/// What kind of failure it was: the hall turns it into an outcome, the CLI into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelErrorKind {
    /// A key is missing or was refused (401, 403).
    Credentials,
    /// The account has no money or quota left: trying again does not help.
    Quota,
    /// Too many requests (429), also after waiting.
    RateLimited,
    /// The server failed or is overloaded (408, 5xx, 529), also after waiting.
    Server,
    /// The server refuses this request (400 and most 4xx).
    Rejected,
    /// The conversation is longer than the model can read: with a shorter one it would work.
    ContextTooLong,
    /// No such model there (404).
    NoSuchModel,
    /// Nobody answers: refused, no such name, no route, TLS failed.
    Unreachable,
    /// It did not answer in time, or fell silent.
    Timeout,
    /// The stream ended before the answer did.
    Cut,
    /// What came is not what was agreed.
    Garbage,
    /// What came is larger than a limit.
    TooLarge,
    /// The caller cancelled, or nobody listens any more.
    Cancelled,
    /// The settings or the script are wrong.
    Settings,
    /// The script has no more turns.
    ScriptEnded,
}

/// A failure of a model call. Its text never holds a key, and never a character that a terminal would act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ModelError {
    /// The provider: `anthropic`, `openai`, `ollama`, `lmstudio`, `scripted`, `offline`, or `models` for the catalogue.
    pub provider: &'static str,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
    /// The server's name for the request, for its support people.
    pub request_id: Option<String>,
    /// What kind of failure.
    pub kind: ModelErrorKind,
    /// What happened, why, and what to do next.
    pub message: String,
    /// Requests made (count); 0 when it failed before the first.
    pub tries: u32,
}

impl ModelError {
    /// A failure without an HTTP response.
    #[must_use]
    pub fn new(provider: &'static str, kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { provider, status: None, request_id: None, kind, message: message.into(), tries: 0 }
    }

    pub(crate) fn cancelled(provider: &'static str) -> Self {
        Self::new(provider, ModelErrorKind::Cancelled, "the call was cancelled")
    }

    /// Whether the same call may work in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ModelErrorKind::RateLimited
                | ModelErrorKind::Server
                | ModelErrorKind::Cut
                | ModelErrorKind::Timeout
        )
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.message)?;
        if self.tries > 1 {
            write!(f, " ({} tries)", self.tries)?;
        }
        match (self.status, &self.request_id) {
            (Some(status), Some(id)) => write!(f, " (HTTP {status}, request {id})"),
            (Some(status), None) => write!(f, " (HTTP {status})"),
            (None, Some(id)) => write!(f, " (request {id})"),
            (None, None) => Ok(()),
        }
    }
}
