//! A tool call: its parsed arguments and the facts that authority is asked about.

mod args;
mod facts;
mod lenient;
mod spec;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use args::{BashArgs, EditArgs, FindArgs, GrepArgs, LsArgs, ReadArgs, Replacement, WriteArgs};
pub use facts::Facts;
pub use spec::{ToolSpec, is_tool, specs};

use crate::error::ToolError;
use crate::limits::{ARGUMENTS_BYTES_MAX, QUOTED_CHARS_MAX};

/// One call of one tool, with arguments that fit it. What is judged and what is run are this same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolCall {
    /// Show a file.
    Read(ReadArgs),
    /// Create or replace a file.
    Write(WriteArgs),
    /// Replace parts of a file.
    Edit(EditArgs),
    /// Run a shell command.
    Bash(BashArgs),
    /// Search in files.
    Grep(GrepArgs),
    /// Find files by name.
    Find(FindArgs),
    /// List a directory.
    Ls(LsArgs),
}

impl ToolCall {
    /// Parses a call as models send it: the tool's name and a JSON object (nothing at all counts as `{}`).
    ///
    /// # Errors
    /// [`ToolError::UnknownTool`], [`ToolError::BadArguments`] (with how a right call looks),
    /// [`ToolError::TooLarge`].
    pub fn parse(name: &str, arguments_json: &str) -> Result<Self, ToolError> {
        let Some(spec) = spec::find(name) else {
            return Err(ToolError::UnknownTool {
                name: name.chars().take(QUOTED_CHARS_MAX).collect(),
                known: spec::specs().iter().map(|s| s.name).collect::<Vec<_>>().join(", "),
            });
        };
        if arguments_json.len() > ARGUMENTS_BYTES_MAX {
            return Err(ToolError::TooLarge {
                what: format!("the arguments of {}", spec.name),
                actual: arguments_json.len() as u64,
                limit: ARGUMENTS_BYTES_MAX as u64,
                hint: "send less at once",
            });
        }
        let json = if arguments_json.trim().is_empty() { "{}" } else { arguments_json };
        let call = match spec.name {
            "read" => Self::Read(fit(spec, json)?),
            "write" => Self::Write(fit(spec, json)?),
            "edit" => Self::Edit(fit::<args::EditAsSent>(spec, json)?.into()),
            "bash" => Self::Bash(fit(spec, json)?),
            "grep" => Self::Grep(fit(spec, json)?),
            "find" => Self::Find(fit(spec, json)?),
            _ => Self::Ls(fit(spec, json)?),
        };
        call.check(spec)?;
        Ok(call)
    }

    /// Parses a direct prompt: `/grep TODO src`, `/read README.md`, `/bash cargo test -- -q`,
    /// `/edit {"path": ...}`. `None` when the first word is not `/` and a tool's name: then it is ordinary text.
    ///
    /// # Errors
    /// As [`ToolCall::parse`], when the words do not fit the tool.
    pub fn from_words(line: &str) -> Option<Result<Self, ToolError>> {
        words::with_slash(line)
    }

    /// Parses the same without the slash, for the `offline` model. `None` also where the words do not fit the
    /// tool, since `read the docs and explain` is more likely prose than a call.
    pub fn from_plain_words(line: &str) -> Option<Self> {
        words::plain(line)
    }

    /// The tool's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Edit(_) => "edit",
            Self::Bash(_) => "bash",
            Self::Grep(_) => "grep",
            Self::Find(_) => "find",
            Self::Ls(_) => "ls",
        }
    }

    /// Whether it changes nothing: such calls may run side by side.
    pub fn read_only(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Grep(_) | Self::Find(_) | Self::Ls(_))
    }

    /// The arguments as canonical JSON: what a transcript shows for a direct prompt.
    pub fn arguments_json(&self) -> String {
        fn json(args: &impl Serialize) -> String {
            serde_json::to_string(args).unwrap_or_else(|_| "{}".to_owned())
        }
        match self {
            Self::Read(a) => json(a),
            Self::Write(a) => json(a),
            Self::Edit(a) => json(a),
            Self::Bash(a) => json(a),
            Self::Grep(a) => json(a),
            Self::Find(a) => json(a),
            Self::Ls(a) => json(a),
        }
    }

    fn check(&self, spec: &ToolSpec) -> Result<(), ToolError> {
        self.fault().map_or(Ok(()), |why| Err(spec.misfit(why)))
    }
}

fn fit<T: DeserializeOwned>(spec: &ToolSpec, json: &str) -> Result<T, ToolError> {
    serde_json::from_str(json).map_err(|error| spec.misfit(error.to_string()))
}
