//! The scripted model: not an LLM, a recording. It reads its answers from a file and gives them in order.
//!
//! Demos, tests and rehearsals run on it. The n-th model call of a session is answered by turn n of the script;
//! n is counted in the transcript (assistant messages), so that a restarted node goes on where it stopped, and a
//! turn that failed or was interrupted before its first word is tried again.

mod script;

use std::{path::Path, sync::Arc, time::Duration};

use clankers_protocol::conversation::{Message, ModelEvent, ModelRequest, StopReason, ToolCall, ToolStatus};

pub use script::{Call, Failure, Script, Turn};

use crate::{
    error::{ModelError, ModelErrorKind},
    sink::Sink,
};

pub(crate) const PROVIDER: &str = "scripted";

/// A model that follows a script.
#[derive(Debug, Clone)]
pub struct ScriptedModel {
    script: Arc<Script>,
}

impl ScriptedModel {
    /// A model that follows `script`.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script: Arc::new(script) }
    }

    /// The script in a `.toml` or `.json` file.
    ///
    /// # Errors
    /// [`ModelErrorKind::Settings`]: the file is missing, too large, or no script. The file's content is never
    /// quoted: whoever names a file need not be allowed to read it.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Script::read(path).map(Self::new)
    }

    pub(crate) async fn stream(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), ModelError> {
        let n = request.messages.iter().filter(|m| matches!(m, Message::Assistant { .. })).count();
        let turn = self.script.turn(n).ok_or_else(|| ended(n, self.script.turns.len()))?;
        let pace = Duration::from_millis(turn.delay_ms);
        let failure = turn.fail.as_ref();
        if let Some(failure) = failure.filter(|failure| !failure.after_text) {
            sink.pause(pace).await?;
            return Err(failure.error());
        }
        let size = turn.piece_chars.unwrap_or(self.script.piece_chars).max(1);
        for piece in pieces(&fill(&turn.thinking, request), size) {
            sink.pause(pace).await?;
            sink.send(ModelEvent::Thinking(piece)).await?;
        }
        for piece in pieces(&fill(&turn.text, request), size) {
            sink.pause(pace).await?;
            sink.send(ModelEvent::Text(piece)).await?;
        }
        if turn.hang {
            sink.pause(Duration::MAX).await?;
        }
        if let Some(failure) = failure {
            return Err(failure.error());
        }
        for (k, call) in turn.calls.iter().enumerate() {
            sink.pause(pace).await?;
            let id = call.id.clone().unwrap_or_else(|| format!("scripted-{}-{}", n + 1, k + 1));
            let call = ToolCall { id, name: call.name.clone(), arguments: call.arguments() };
            sink.send(ModelEvent::ToolCall(call)).await?;
        }
        sink.send(ModelEvent::Usage(turn.usage.unwrap_or_default())).await?;
        let natural = if turn.calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
        sink.send(ModelEvent::Stop(turn.stop.unwrap_or(natural))).await
    }
}

fn ended(n: usize, turns: usize) -> ModelError {
    ModelError::new(
        PROVIDER,
        ModelErrorKind::ScriptEnded,
        format!(
            "the script has {turns} turns and this is model call {} of the session: add a [[turn]] to the script, \
             set `repeat = true` in it, or start a new session",
            n + 1
        ),
    )
}

/// `{{prompt}}` becomes the last user's words, `{{result}}` the last tool result, `{{status}}` how it ended. What is
/// filled in is not looked at again.
fn fill(template: &str, request: &ModelRequest) -> String {
    if !template.contains("{{") {
        return template.to_owned();
    }
    let back = || request.messages.iter().rev();
    let prompt = back().find_map(|m| if let Message::User { text } = m { Some(text.as_str()) } else { None });
    let result = back().find_map(|m| match m {
        Message::ToolResult { status, text, .. } => Some((*status, text.as_str())),
        _ => None,
    });
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match name.trim() {
            "prompt" => out.push_str(prompt.unwrap_or("")),
            "result" => out.push_str(result.map_or("", |(_, text)| text)),
            "status" => out.push_str(result.map_or("", |(status, _)| status_word(status))),
            _ => {
                out.push_str("{{");
                rest = after;
                continue;
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn status_word(status: ToolStatus) -> &'static str {
    match status {
        ToolStatus::Ok => "ok",
        ToolStatus::Error => "error",
        ToolStatus::Denied => "denied",
        ToolStatus::Interrupted => "interrupted",
    }
}

fn pieces(text: &str, chars: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut piece = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % chars == 0 {
            out.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    if !piece.is_empty() {
        out.push(piece);
    }
    out
}

#[cfg(test)]
mod tests;
