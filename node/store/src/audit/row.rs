//! A decision as one line.

use std::fmt::Write;

use clankers_protocol::{NodeId, PromptId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was allowed.
    Allow,
    /// It was refused.
    Deny,
}

/// A decision worth keeping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who was at the other end.
    pub peer: NodeId,
    /// In whose name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<NodeId>,
    /// CIDs of the chain's links, root first; 16 are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// What was asked for: `/clankers/prompt/send`.
    pub command: String,
    /// With which arguments; 16 are kept, long values are cut.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// What was decided.
    pub verdict: Verdict,
    /// The code that the peer was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The whole reason, for the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The session that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The prompt that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<PromptId>,
}

/// The line that says how many rows were dropped.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DroppedRow {
    pub(super) at: Timestamp,
    pub(super) dropped: u64,
}

/// The row as a line, newline included: of bounded size, and without anything that a terminal would obey.
pub(super) fn encode(row: &AuditRow) -> Vec<u8> {
    line(&bounded(row))
}

pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    // None of these types can fail to become JSON.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut line = String::with_capacity(text.len().saturating_add(1));
    for c in text.chars() {
        // Inside strings only, since JSON has no such characters outside of them; serde_json escapes those below 0x20.
        if is_unseen(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing into a string does not fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line.into_bytes()
}

/// Characters that change how a line is shown rather than being shown: controls, separators, directions, tags.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn bounded(row: &AuditRow) -> AuditRow {
    let text = |text: &String| clipped(text, limits::AUDIT_TEXT_BYTES);
    let args = row.args.iter().take(limits::AUDIT_ARGS);
    AuditRow {
        chain: row
            .chain
            .iter()
            .take(limits::AUDIT_CHAIN)
            .map(|cid| clipped(cid, limits::CID_BYTES))
            .collect(),
        command: text(&row.command),
        args: args.map(|(key, value)| (clipped(key, limits::WORD_BYTES), small(value))).collect(),
        code: row.code.as_ref().map(text),
        reason: row.reason.as_ref().map(text),
        ..row.clone()
    }
}

fn small(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => Value::String(clipped(text, limits::AUDIT_TEXT_BYTES)),
        // A list or a map, as text: its depth must not be the reader's trouble.
        other => Value::String(clipped(&other.to_string(), limits::AUDIT_TEXT_BYTES)),
    }
}

/// At most so many bytes of it, and a sign where it was cut.
fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
