//! The settings: one TOML file in the home, every key optional, unknown keys refused with the nearest name.
//!
//! `docs/settings.md` documents each key; a test holds the two together.

mod files;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clankers_protocol::{NanoUsd, Timestamp, request::prompt::Ask};
use clankers_store::audit::AuditSettings;
use serde::Deserialize;

pub use self::files::Files;

/// All settings. What is not set has a default.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What this node calls itself; shown to others as a claim.
    pub label: Option<String>,
    /// Directory that sessions of peers work in; the directory where the node was started when not set.
    pub workspace: Option<PathBuf>,
    /// The default model, as `provider/name`.
    pub model: Option<String>,
    /// The node's network.
    pub network: Network,
    /// Model providers.
    pub models: Models,
    /// The agent.
    pub agent: Agent,
    /// What the node takes on.
    pub limits: Limits,
    /// Tokens: their withdrawal, and what new ones are limited to.
    pub authority: Authority,
    /// The audit log.
    pub audit: Audit,
    /// Files that peers send and get.
    pub files: Files,
}

/// `[audit]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Days that its files are kept.
    pub keep_days: u32,
    /// Bytes of one file, before the next is begun.
    pub max_file_bytes: u64,
    /// Files that are kept at most.
    pub max_files: usize,
}

impl Default for Audit {
    fn default() -> Self {
        let kept = AuditSettings::default();
        Self { keep_days: kept.keep_days, max_file_bytes: kept.max_bytes_per_file, max_files: kept.max_files }
    }
}

impl Audit {
    /// As the store wants it.
    #[must_use]
    pub fn settings(&self) -> AuditSettings {
        AuditSettings {
            keep_days: self.keep_days,
            max_bytes_per_file: self.max_file_bytes,
            max_files: self.max_files,
        }
    }
}

/// `[authority]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authority {
    /// Every token issued before this moment (RFC 3339) is refused: the auth epoch.
    pub not_before: Option<String>,
    /// Dollars that a new grant to prompt may cost when `--max-cost` says nothing, such as `5.00`; or `none`.
    pub default_max_cost: Option<String>,
}

/// What a grant to prompt may cost when nobody says.
const DEFAULT_MAX_COST: NanoUsd = NanoUsd(5_000_000_000);

impl Authority {
    /// What a new grant to prompt may cost when nobody says; `None`: no limit.
    #[must_use]
    pub fn default_max_cost(&self) -> Option<NanoUsd> {
        match self.default_max_cost.as_deref() {
            None => Some(DEFAULT_MAX_COST),
            Some("none") => None,
            Some(text) => dollars(text).or(Some(DEFAULT_MAX_COST)),
        }
    }

    /// The auth epoch; the beginning of time when it was never moved.
    #[must_use]
    pub fn epoch(&self) -> Timestamp {
        self.not_before.as_deref().and_then(moment).unwrap_or_default()
    }
}

/// Dollars as people write them: `5`, `1.50`.
///
/// Down to a nano-dollar; nothing that is not a plain decimal number.
#[must_use]
pub fn dollars(text: &str) -> Option<NanoUsd> {
    let amount: rust_decimal::Decimal = text.parse().ok()?;
    let nano = amount.checked_mul(rust_decimal::Decimal::from(1_000_000_000_u64))?;
    if !nano.is_integer() {
        return None;
    }
    u64::try_from(nano).ok().map(NanoUsd)
}

fn moment(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp)
}

/// `[network]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Address to listen on; the remembered port on all interfaces when not set.
    pub bind: Option<SocketAddr>,
    /// `off`, `n0`, or the URL of a relay.
    pub relay: Option<String>,
    /// Advertise on and listen to the local network.
    pub mdns: Option<bool>,
    /// UDP port of mDNS; 5353 when not set. Another port keeps a test or a demo to itself.
    pub mdns_port: Option<u16>,
}

/// `[agent]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Which calls of a model wait until somebody who is attached allows them: `never`, `shell` or `writes`. A prompt
    /// may ask for more, never for less.
    pub ask: Option<String>,
}

impl Agent {
    /// What every prompt asks for at least.
    #[must_use]
    pub fn ask(&self) -> Ask {
        self.ask.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// `[models]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Models {
    /// `[models.anthropic]`: Anthropic's Messages API, or a server that speaks it.
    pub anthropic: Option<Anthropic>,
    /// `[models.local]`: servers on this machine that need no configuration.
    pub local: Option<LocalServers>,
    /// `[models.openai]`: any server that speaks OpenAI's chat completions.
    pub openai: Option<OpenAi>,
    /// `[models.scripted]`: a deterministic model read from a file.
    pub scripted: Option<Scripted>,
}

/// `[models.openai]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAi {
    /// Base URL of the API, such as `http://127.0.0.1:11434/v1`.
    pub api_base: Option<String>,
    /// Models that peers may ask for by name.
    pub models: Vec<String>,
    /// It costs nothing: every price is zero.
    pub free: bool,
    /// The most tokens of one answer.
    pub max_output: Option<u64>,
}

/// `[models.anthropic]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Anthropic {
    /// Base URL of the API.
    pub api_base: Option<String>,
    /// Models that peers may ask for by name; the first is the default one.
    pub models: Vec<String>,
    /// The most tokens of one answer, thinking included.
    pub max_output: Option<u64>,
}

/// `[models.local]`
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalServers {
    /// Where Ollama is.
    pub ollama: Option<String>,
    /// Where LM Studio is.
    pub lmstudio: Option<String>,
}

/// `[models.scripted]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// The script.
    pub path: PathBuf,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions loaded at a time.
    pub max_sessions: usize,
    /// Prompts waiting in one session.
    pub max_queue: usize,
    /// Model calls in one prompt.
    pub max_turns: u32,
    /// Seconds that one prompt may take.
    pub prompt_timeout_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_sessions: 1000, max_queue: 100, max_turns: 200, prompt_timeout_secs: 24 * 3600 }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key that does not exist.
    #[error("{path}: unknown setting '{key}'{}", nearest.as_ref().map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key as it stands there.
        key: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{path}{}: {message}", line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
}

impl Settings {
    /// Reads the settings; a file that is not there means all defaults.
    ///
    /// # Errors
    /// [`SettingsError`] when the file cannot be read, is no TOML, or has a key or value that makes no sense.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SettingsError::Read { path: path.into(), source }),
        };
        Self::parse(&text, path)
    }

    /// Reads settings from text; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| explain(text, path, &error))?;
        settings.check().map_err(|message| SettingsError::Broken {
            path: path.into(),
            line: None,
            message,
        })?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(label) = &self.label {
            clankers_protocol::hello::check_label(label).map_err(|e| format!("label: {e}"))?;
        }
        if let Some(relay) = &self.network.relay {
            check_relay(relay)?;
        }
        if self.authority.not_before.as_deref().is_some_and(|text| moment(text).is_none()) {
            return Err("authority.not_before: write a moment like 2026-11-20T08:00:00Z".into());
        }
        if self.authority.epoch() > crate::clock::now() {
            return Err(
                "authority.not_before: this moment is yet to come; it would lock out everybody".into()
            );
        }
        if self
            .authority
            .default_max_cost
            .as_deref()
            .is_some_and(|text| text != "none" && dollars(text).is_none())
        {
            return Err("authority.default_max_cost: write dollars like 5.00, or none".into());
        }
        if let Some(Err(why)) = self.agent.ask.as_deref().map(str::parse::<Ask>) {
            return Err(format!("agent.ask: {why}"));
        }
        if self.workspace.as_ref().is_some_and(|w| !w.is_absolute()) {
            return Err("workspace: write an absolute path".into());
        }
        self.files.check()?;
        let limits = &self.limits;
        for (name, value) in [
            ("limits.max_sessions", limits.max_sessions),
            ("limits.max_queue", limits.max_queue),
            ("limits.max_turns", limits.max_turns as usize),
            ("audit.keep_days", self.audit.keep_days as usize),
            ("audit.max_file_bytes", usize::try_from(self.audit.max_file_bytes).unwrap_or(usize::MAX)),
            ("audit.max_files", self.audit.max_files),
            ("limits.prompt_timeout_secs", usize::try_from(limits.prompt_timeout_secs).unwrap_or(usize::MAX)),
        ] {
            if value == 0 {
                return Err(format!("{name}: 0 would refuse everything; leave it out for the default"));
            }
        }
        Ok(())
    }
}

/// Checks the value of a relay setting or flag.
///
/// # Errors
/// A message that says what is allowed.
pub fn check_relay(relay: &str) -> Result<(), String> {
    let url = relay.starts_with("https://") || relay.starts_with("http://");
    if matches!(relay, "off" | "n0") || url {
        return Ok(());
    }
    Err(format!(
        "relay: '{}' is neither off, n0, nor the URL of a relay",
        clankers_protocol::text::line(relay, 80)
    ))
}

fn explain(text: &str, path: &Path, error: &toml::de::Error) -> SettingsError {
    let message = error.message();
    if let Some((key, known)) = unknown_field(message) {
        let near = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(&key, name), name))
            .min()
            .filter(|(distance, name)| *distance <= (name.len() / 2).max(2))
            .map(|(_, name)| name.clone());
        return SettingsError::Unknown { path: path.into(), key, nearest: near };
    }
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    SettingsError::Broken {
        path: path.into(),
        line,
        message: message.lines().next().unwrap_or("").to_owned(),
    }
}

/// Serde's words for an unknown field: "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    let key = quoted.next()?;
    Some((key, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("settings.toml"))
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let error = parse("[network]\nrelai = \"off\"\n").unwrap_err().to_string();
        assert_eq!(error, "settings.toml: unknown setting 'relai'; did you mean 'relay'?");
        let error = parse("zzzzzzzzzzzz = 1").unwrap_err().to_string();
        assert_eq!(error, "settings.toml: unknown setting 'zzzzzzzzzzzz'");
    }

    #[test]
    fn broken_values_name_the_line() {
        let error = parse("\n\nlabel = 3\n").unwrap_err().to_string();
        assert!(error.starts_with("settings.toml, line 3: invalid type"), "{error}");
        assert!(parse("label = \"a b\"").is_err());
        assert!(parse("[network]\nrelay = \"yes\"").is_err());
        assert!(parse("workspace = \"src\"").is_err());
        assert!(parse("[limits]\nmax_turns = 0").is_err());
        assert!(parse("[authority]\nnot_before = \"yesterday\"").is_err());
        assert!(parse("[authority]\nnot_before = \"9999-01-01T00:00:00Z\"").is_err());
        let set = parse("[authority]\nnot_before = \"1970-01-01T00:00:02Z\"").unwrap();
        assert_eq!(set.authority.epoch(), Timestamp(2000));
    }

    #[test]
    fn everything_has_a_default() {
        assert_eq!(parse("").unwrap(), Settings::default());
        assert_eq!(Settings::load(Path::new("/nonexistent/settings.toml")).unwrap(), Settings::default());
    }
}
