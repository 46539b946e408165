//! The file that the scripted model reads.
//!
//! ```toml
//! repeat = false            # true: after the last turn comes the first again
//! piece_chars = 16          # characters in one streamed piece
//!
//! [[turn]]                  # the first model call of the session
//! thinking = "Let me look."
//! text = "I will look for it."
//! delay_ms = 10             # before each piece
//! [[turn.call]]
//! name = "grep"
//! arguments = { pattern = "TODO", path = "src" }     # a table, or JSON as a string
//!
//! [[turn]]                  # the second: after the tool's result
//! text = "Found:\n{{result}}"     # also {{prompt}} and {{status}}
//! usage = { input = 1200, output = 34 }
//!
//! [[turn]]
//! fail = { kind = "server", status = 529, message = "overloaded", after_text = false }
//!
//! [[turn]]
//! text = "thinking it over"
//! hang = true               # says this, then nothing until it is interrupted
//! ```

use std::{fs::File, io::Read, path::Path};

use clankers_protocol::conversation::{StopReason, Usage};
use serde::Deserialize;

use super::PROVIDER;
use crate::{
    error::{ModelError, ModelErrorKind},
    limits::{SCRIPT_BYTES, SCRIPT_DELAY_MS, SCRIPT_PIECE_CHARS, SCRIPT_TURNS},
};

/// A script: what the model says, turn by turn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// After the last turn comes the first again.
    pub repeat: bool,
    /// Characters in one streamed piece.
    pub piece_chars: usize,
    /// The turns.
    #[serde(rename = "turn")]
    pub turns: Vec<Turn>,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// What it thinks.
    pub thinking: String,
    /// What it says.
    pub text: String,
    /// What it calls.
    #[serde(rename = "call")]
    pub calls: Vec<Call>,
    /// The pause before each piece (milliseconds).
    pub delay_ms: u64,
    /// Characters in one streamed piece of this turn.
    pub piece_chars: Option<usize>,
    /// After the text, say nothing until interrupted.
    pub hang: bool,
    /// Fail instead of answering.
    pub fail: Option<Failure>,
    /// Why it stops; otherwise what fits the calls.
    pub stop: Option<StopReason>,
    /// Tokens it claims to have used.
    #[serde(deserialize_with = "usage")]
    pub usage: Option<Usage>,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The call's id; otherwise one is made.
    #[serde(default)]
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// A table, or a string that is passed as it is (also when it is broken JSON).
    #[serde(default)]
    pub arguments: serde_json::Value,
}

impl Call {
    pub(super) fn arguments(&self) -> String {
        match &self.arguments {
            serde_json::Value::Null => "{}".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// A failure on purpose.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failure {
    /// `server` (default), `rate_limited`, `credentials`, `quota`, `timeout`, `cut` or `garbage`.
    pub kind: FailureKind,
    /// The HTTP status it claims.
    pub status: Option<u16>,
    /// Its words.
    pub message: String,
    /// Whether thinking and text come first.
    pub after_text: bool,
}

/// What a scripted failure looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server failed.
    #[default]
    Server,
    /// Too many requests.
    RateLimited,
    /// The key is refused.
    Credentials,
    /// No money left.
    Quota,
    /// Silence.
    Timeout,
    /// The stream ended too early.
    Cut,
    /// Nonsense came.
    Garbage,
}

impl Failure {
    pub(super) fn error(&self) -> ModelError {
        let kind = match self.kind {
            FailureKind::Server => ModelErrorKind::Server,
            FailureKind::RateLimited => ModelErrorKind::RateLimited,
            FailureKind::Credentials => ModelErrorKind::Credentials,
            FailureKind::Quota => ModelErrorKind::Quota,
            FailureKind::Timeout => ModelErrorKind::Timeout,
            FailureKind::Cut => ModelErrorKind::Cut,
            FailureKind::Garbage => ModelErrorKind::Garbage,
        };
        let words = if self.message.is_empty() { "failed" } else { &self.message };
        let mut error = ModelError::new(PROVIDER, kind, format!("{words} (the script says so)"));
        error.status = self.status;
        error
    }
}

/// [`Usage`] with every field optional.
fn usage<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Usage>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Fields {
        input: u64,
        output: u64,
        cache_read: u64,
        cache_write: u64,
    }
    let Fields { input, output, cache_read, cache_write } = Fields::deserialize(d)?;
    Ok(Some(Usage { input, output, cache_read, cache_write }))
}

impl Script {
    /// A script from TOML.
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`] with the line, never with its content.
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        let script = toml::from_str(text).map_err(|error| {
            let at =
                error.span().and_then(|span| text.get(..span.start)).map(|before| before.lines().count());
            broken(&match at {
                Some(line) => format!("not a script in TOML, near line {}", line.max(1)),
                None => "not a script in TOML".to_owned(),
            })
        })?;
        Self::checked(script)
    }

    /// A script from JSON.
    ///
    /// # Errors
    /// As [`Script::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let script = serde_json::from_str(text)
            .map_err(|error| broken(&format!("not a script in JSON, near line {}", error.line())))?;
        Self::checked(script)
    }

    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let shown = clankers_protocol::text::line(&path.display().to_string(), 200);
        let fail = |why: &str| broken(&format!("{shown}: {why}"));
        let json = match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => false,
            Some("json") => true,
            _ => return Err(fail("a script's name ends in .toml or .json")),
        };
        let meta = std::fs::metadata(path).map_err(|error| fail(&error.to_string()))?;
        // A FIFO or a device would block or never end.
        if !meta.is_file() {
            return Err(fail("not a regular file"));
        }
        let mut text = String::new();
        let file = File::open(path).map_err(|error| fail(&error.to_string()))?;
        file.take(SCRIPT_BYTES + 1).read_to_string(&mut text).map_err(|error| fail(&error.to_string()))?;
        if u64::try_from(text.len()).is_ok_and(|size| size > SCRIPT_BYTES) {
            return Err(fail("larger than 4 MiB"));
        }
        let script = if json { Self::from_json(&text) } else { Self::from_toml(&text) };
        script.map_err(|error| fail(&error.message))
    }

    fn checked(mut self) -> Result<Self, ModelError> {
        if self.turns.is_empty() {
            return Err(broken("the script has no [[turn]]"));
        }
        if self.turns.len() > SCRIPT_TURNS {
            return Err(broken("the script has more than 10,000 turns"));
        }
        if self.turns.iter().any(|turn| turn.delay_ms > SCRIPT_DELAY_MS) {
            return Err(broken("a delay_ms is longer than ten minutes"));
        }
        if self.piece_chars == 0 {
            self.piece_chars = SCRIPT_PIECE_CHARS;
        }
        Ok(self)
    }

    pub(super) fn turn(&self, n: usize) -> Option<&Turn> {
        let n = if self.repeat { n.checked_rem(self.turns.len())? } else { n };
        self.turns.get(n)
    }
}

fn broken(why: &str) -> ModelError {
    ModelError::new(PROVIDER, ModelErrorKind::Settings, why)
}
