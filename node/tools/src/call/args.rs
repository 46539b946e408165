//! The arguments of each tool. Unknown names are refused: a misspelt `ofset` must not pass for none.

use serde::{Deserialize, Serialize};

use super::ToolCall;
use super::lenient::{flag, list, number};
use crate::limits::{BASH_TIME_MAX, COMMAND_BYTES_MAX, EDITS_MAX, PATTERN_BYTES_MAX, WRITE_BYTES_MAX};

/// Arguments of `read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadArgs {
    /// The file.
    #[serde(alias = "file_path")]
    pub path: String,
    /// The first line to show, from 1.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many lines to show.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Arguments of `write`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteArgs {
    /// The file.
    #[serde(alias = "file_path")]
    pub path: String,
    /// All of its new content.
    pub content: String,
}

/// One replacement of an `edit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Text that occurs exactly once in the file.
    #[serde(alias = "oldText", alias = "old_string")]
    pub old_text: String,
    /// What stands there afterwards.
    #[serde(alias = "newText", alias = "new_string")]
    pub new_text: String,
}

/// Arguments of `edit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditArgs {
    /// The file.
    pub path: String,
    /// The replacements, each matched against the file as it was.
    pub edits: Vec<Replacement>,
}

/// `edit` as models send it: with a list, or with one replacement beside the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditAsSent {
    #[serde(alias = "file_path")]
    path: String,
    #[serde(default, deserialize_with = "list")]
    edits: Vec<Replacement>,
    #[serde(default, alias = "oldText", alias = "old_string")]
    old_text: Option<String>,
    #[serde(default, alias = "newText", alias = "new_string")]
    new_text: Option<String>,
}

impl From<EditAsSent> for EditArgs {
    fn from(sent: EditAsSent) -> Self {
        let mut edits = sent.edits;
        if sent.old_text.is_some() || sent.new_text.is_some() {
            edits.push(Replacement {
                old_text: sent.old_text.unwrap_or_default(),
                new_text: sent.new_text.unwrap_or_default(),
            });
        }
        Self { path: sent.path, edits }
    }
}

/// Arguments of `bash`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BashArgs {
    /// The command line.
    #[serde(alias = "cmd")]
    pub command: String,
    /// Seconds it may take.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// Arguments of `grep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrepArgs {
    /// A regular expression in Rust's syntax.
    pub pattern: String,
    /// The file or directory to search, `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Search only files whose name (or path, if it has a `/`) matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glob: Option<String>,
    /// Upper and lower case alike.
    #[serde(default, alias = "ignoreCase", deserialize_with = "flag", skip_serializing_if = "is_false")]
    pub ignore_case: bool,
    /// The pattern is plain text.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "is_false")]
    pub literal: bool,
    /// Lines to show before and after each hit.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Hits wanted, at most 100.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Also what ignore files leave out.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "is_false")]
    pub all: bool,
}

/// Arguments of `find`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindArgs {
    /// A glob, matched with the name, or with the path if it has a `/`.
    #[serde(alias = "glob")]
    pub pattern: String,
    /// The directory to look in, `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Paths wanted, at most 1,000.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Also what ignore files leave out.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "is_false")]
    pub all: bool,
}

/// Arguments of `ls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LsArgs {
    /// The directory, `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Entries wanted, at most 500.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Also what ignore files leave out.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "is_false")]
    pub all: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl ToolCall {
    /// What is wrong with arguments that have the right shape, or `None`.
    pub(super) fn fault(&self) -> Option<String> {
        let too_long = |what: &str, len: usize, max: usize| {
            (len > max).then(|| format!("{what} is {len} bytes, the limit is {max}"))
        };
        let zero = |what: &str, value: Option<u64>| {
            (value == Some(0)).then(|| format!("{what} is 0, the smallest is 1"))
        };
        match self {
            Self::Read(a) => zero("offset", a.offset).or(zero("limit", a.limit)),
            Self::Write(a) => too_long("content", a.content.len(), WRITE_BYTES_MAX),
            Self::Edit(a) if a.edits.is_empty() => Some("there are no edits".to_owned()),
            Self::Edit(a) if a.edits.len() > EDITS_MAX => {
                Some(format!("{} edits, the limit is {EDITS_MAX}", a.edits.len()))
            }
            Self::Edit(a) => {
                let added = a.edits.iter().map(|e| e.new_text.len()).sum();
                too_long("the new text in all", added, WRITE_BYTES_MAX)
            }
            Self::Bash(a) if a.command.trim().is_empty() => Some("the command is empty".to_owned()),
            Self::Bash(a) if a.command.contains('\0') => Some("the command holds a NUL byte".to_owned()),
            Self::Bash(a) if a.timeout > Some(BASH_TIME_MAX.as_secs()) => {
                Some(format!("timeout is longer than {} s", BASH_TIME_MAX.as_secs()))
            }
            Self::Bash(a) => {
                zero("timeout", a.timeout).or(too_long("command", a.command.len(), COMMAND_BYTES_MAX))
            }
            Self::Grep(a) if a.pattern.is_empty() => Some("the pattern is empty".to_owned()),
            Self::Grep(a) => zero("limit", a.limit)
                .or(too_long("pattern", a.pattern.len(), PATTERN_BYTES_MAX))
                .or(too_long("glob", a.glob.as_ref().map_or(0, String::len), PATTERN_BYTES_MAX)),
            Self::Find(a) if a.pattern.is_empty() => {
                Some("the pattern is empty, `*` is every name".to_owned())
            }
            Self::Find(a) => {
                zero("limit", a.limit).or(too_long("pattern", a.pattern.len(), PATTERN_BYTES_MAX))
            }
            Self::Ls(a) => zero("limit", a.limit),
        }
    }
}
