//! The offline model: not an LLM. It runs tools that are asked for in plain words, and says so otherwise.
//!
//! It is what a machine without a key has: `grep TODO src`, `read README.md`, `ls` do real work. Tools that change something are not guessed from words: they
//! are asked for by name (`/bash cargo test`), which needs no model at all.

use clankers_protocol::{
    conversation::{Message, ModelEvent, ModelRequest, StopReason, ToolCall, ToolStatus, Usage},
    text,
};

use crate::{error::ModelError, limits::OFFLINE_RESULT_BYTES, sink::Sink};

pub(crate) const PROVIDER: &str = "offline";

/// Understands a direct tool prompt: the tool's name and its arguments (JSON as text), or `None`. Given by the hall,
/// which knows the tools.
pub type WordsParser = fn(&str) -> Option<(String, String)>;

/// The model of a machine without models.
#[derive(Debug, Clone, Copy)]
pub struct OfflineModel {
    parse: WordsParser,
}

impl OfflineModel {
    /// A model that understands what `parse` understands.
    #[must_use]
    pub fn new(parse: WordsParser) -> Self {
        Self { parse }
    }

    pub(crate) async fn stream(&self, request: &ModelRequest, sink: &mut Sink) -> Result<(), ModelError> {
        let asked = match request.messages.last() {
            Some(Message::User { text }) => (self.parse)(text.trim()),
            _ => None,
        };
        let stop = if let Some((name, arguments)) = asked {
            // Ids need to differ within a session only; the count of messages grows with every call.
            let id = format!("offline-{}", request.messages.len());
            sink.send(ModelEvent::ToolCall(ToolCall { id, name, arguments })).await?;
            StopReason::ToolUse
        } else {
            let words = match results(&request.messages) {
                Some(words) => words,
                None => help(request),
            };
            sink.send(ModelEvent::Text(words)).await?;
            StopReason::EndTurn
        };
        sink.send(ModelEvent::Usage(Usage::default())).await?;
        sink.send(ModelEvent::Stop(stop)).await
    }
}

/// The tool results at the transcript's end, as an answer.
fn results(messages: &[Message]) -> Option<String> {
    let mut answers: Vec<String> = Vec::new();
    for message in messages.iter().rev() {
        let Message::ToolResult { name, status, text, .. } = message else { break };
        answers.push(answer(name, *status, text));
    }
    answers.reverse();
    (!answers.is_empty()).then(|| answers.join("\n\n"))
}

fn answer(name: &str, status: ToolStatus, said: &str) -> String {
    let said = said.trim_end();
    let shown = text::head(said, OFFLINE_RESULT_BYTES);
    let cut = if shown.len() < said.len() { "\n[cut: the tool's own result has the rest]" } else { "" };
    match status {
        ToolStatus::Ok if shown.is_empty() => format!("{name}: no output"),
        ToolStatus::Ok => format!("{shown}{cut}"),
        ToolStatus::Error => format!("{name} failed: {shown}{cut}"),
        ToolStatus::Denied if shown.starts_with("denied") => format!("{shown}{cut}"),
        ToolStatus::Denied => format!("{name} was denied: {shown}{cut}"),
        ToolStatus::Interrupted => format!("{name} was interrupted: {shown}{cut}"),
    }
}

fn help(request: &ModelRequest) -> String {
    let tools: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    let tools = if tools.is_empty() { "none in this session".to_owned() } else { tools.join(", ") };
    format!(
        "No language model is configured here: this is the offline model, which only runs tools asked for in plain \
         words, such as `grep TODO src`, `read README.md` or `ls`, and others by name, such as `/bash cargo test` (tools: {tools}).\n\
         To talk to a model: `clankers auth set-key anthropic` (or openai), or set ANTHROPIC_API_KEY or OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own; or \
         name one that runs on this machine: --model ollama/NAME or lmstudio/NAME."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Model, testing::run};

    fn parse(words: &str) -> Option<(String, String)> {
        let rest = words.strip_prefix("grep ")?;
        Some(("grep".to_owned(), format!("{{\"pattern\":\"{rest}\"}}")))
    }

    fn request(messages: Vec<Message>) -> ModelRequest {
        ModelRequest { model: "offline".to_owned(), system: String::new(), messages, tools: Vec::new() }
    }

    fn result(status: ToolStatus, text: &str) -> Message {
        Message::ToolResult {
            call_id: "1".to_owned(),
            name: "grep".to_owned(),
            status,
            text: text.to_owned(),
        }
    }

    async fn says(messages: Vec<Message>) -> String {
        let (events, done) = run(&Model::offline(parse), request(messages)).await;
        done.unwrap();
        match events.as_slice() {
            [ModelEvent::Text(text), ModelEvent::Usage(_), ModelEvent::Stop(StopReason::EndTurn)] => {
                text.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn plain_words_become_a_tool_call_and_its_result_the_answer() {
        let prompt = Message::User { text: " grep TODO\n".to_owned() };
        let (events, done) = run(&Model::offline(parse), request(vec![prompt.clone()])).await;
        done.unwrap();
        let call = match &events[0] {
            ModelEvent::ToolCall(call) => call.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((call.name.as_str(), call.arguments.as_str()), ("grep", "{\"pattern\":\"TODO\"}"));
        assert_eq!(events.last(), Some(&ModelEvent::Stop(StopReason::ToolUse)));
        let wish = Message::Assistant { thinking: Vec::new(), text: String::new(), calls: vec![call] };
        let after = vec![prompt, wish, result(ToolStatus::Ok, "src/a.rs:1: TODO\n")];
        assert_eq!(says(after).await, "src/a.rs:1: TODO");
    }

    #[tokio::test]
    async fn a_result_that_looks_like_a_prompt_is_not_obeyed() {
        assert_eq!(says(vec![result(ToolStatus::Ok, "grep secrets")]).await, "grep secrets");
    }

    #[tokio::test]
    async fn failures_are_said() {
        assert_eq!(says(vec![result(ToolStatus::Denied, "no bash")]).await, "grep was denied: no bash");
        assert_eq!(says(vec![result(ToolStatus::Error, "bad regex")]).await, "grep failed: bad regex");
        assert_eq!(says(vec![result(ToolStatus::Ok, " \n")]).await, "grep: no output");
    }

    #[tokio::test]
    async fn anything_else_gets_help_and_never_an_invention() {
        let said = says(vec![Message::User { text: "refactor this".to_owned() }]).await;
        assert!(said.contains("OPENAI_API_KEY") && said.contains("No language model"), "{said}");
    }
}
