//! The request, as the Messages API wants it.

use clankers_protocol::conversation::{Message, ModelRequest, Thinking, ToolCall, ToolSpec, ToolStatus};
use serde_json::{Value, json};

use super::signature::Proof;
use crate::wire::{self, Ids};

/// What is asked beside the conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) model: &'a str,
    pub(crate) max_tokens: u64,
    /// Lets the model think as it sees fit and asks for a summary of it: otherwise newer models are silent meanwhile.
    pub(crate) adaptive: bool,
    /// Carries earlier thinking back.
    pub(crate) with_thinking: bool,
}

/// The JSON body of a streaming request.
pub(crate) fn build(request: &ModelRequest, shape: &Shape<'_>) -> Vec<u8> {
    let mut turns = turns(request, shape);
    // The system prompt, the tools and the last two user turns: the four marks that are allowed. What stands before a
    // mark is read from the cache when it was sent before, letter for letter.
    let users = turns.iter_mut().rev().filter(|turn| turn.role == USER);
    for last in users.take(2).filter_map(|turn| turn.blocks.last_mut()) {
        mark(last);
    }
    let messages: Vec<Value> =
        turns.into_iter().map(|turn| json!({ "role": turn.role, "content": turn.blocks })).collect();
    let mut body = json!({ "model": shape.model, "max_tokens": shape.max_tokens, "stream": true });
    if let Some(body) = body.as_object_mut() {
        if !request.system.trim().is_empty() {
            let mut system = text(&request.system);
            mark(&mut system);
            body.insert("system".to_owned(), json!([system]));
        }
        if !request.tools.is_empty() {
            let mut tools: Vec<Value> = request.tools.iter().map(tool).collect();
            if let Some(last) = tools.last_mut() {
                mark(last);
            }
            body.insert("tools".to_owned(), Value::Array(tools));
        }
        body.insert("messages".to_owned(), Value::Array(messages));
        if shape.adaptive {
            body.insert("thinking".to_owned(), json!({ "type": "adaptive", "display": "summarized" }));
        }
    }
    body.to_string().into_bytes()
}

/// Whether earlier thinking would go back to this model.
pub(crate) fn carries_thinking(request: &ModelRequest, model: &str) -> bool {
    request.messages.iter().any(|message| {
        let Message::Assistant { thinking, .. } = message else { return false };
        thinking.iter().any(|block| proven(block, model).is_some())
    })
}

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

#[derive(Debug)]
struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
    /// Tool results, which stand first.
    results: usize,
}

impl Turn {
    fn new(role: &'static str) -> Self {
        Self { role, blocks: Vec::new(), results: 0 }
    }
}

/// Turns of one side and the other; the last one is being added to.
#[derive(Debug)]
struct Turns {
    done: Vec<Turn>,
    last: Turn,
}

impl Turns {
    /// The turn of this side that is to be added to.
    fn of(&mut self, role: &'static str) -> &mut Turn {
        if self.last.role != role {
            let before = std::mem::replace(&mut self.last, Turn::new(role));
            if !before.blocks.is_empty() {
                self.done.push(before);
            }
        }
        &mut self.last
    }
}

/// The transcript in turns, the user's first and last.
fn turns(request: &ModelRequest, shape: &Shape<'_>) -> Vec<Turn> {
    let ids = Ids::new(&request.messages);
    let mut turns = Turns { done: Vec::new(), last: Turn::new(USER) };
    if !matches!(request.messages.first(), Some(Message::User { .. })) {
        turns.last.blocks.push(text("(the beginning of the conversation is not kept)"));
    }
    for message in &request.messages {
        match message {
            Message::User { text: words } => {
                let words = if words.trim().is_empty() { "(no words)" } else { words };
                turns.of(USER).blocks.push(text(words));
            }
            Message::ToolResult { call_id, status, text, .. } => {
                let turn = turns.of(USER);
                turn.blocks.insert(turn.results, result(&ids.wire(call_id), *status, text));
                turn.results += 1;
            }
            Message::Assistant { thinking, text, calls } => {
                let blocks = answer(thinking, text, calls, &ids, shape);
                if !blocks.is_empty() {
                    turns.of(ASSISTANT).blocks.extend(blocks);
                }
            }
        }
    }
    // Newer models refuse to go on with words that were put into their mouth.
    if turns.last.role == ASSISTANT {
        turns.of(USER).blocks.push(text("Continue."));
    }
    turns.done.push(turns.last);
    turns.done
}

fn answer(
    thinking: &[Thinking],
    words: &str,
    calls: &[ToolCall],
    ids: &Ids<'_>,
    shape: &Shape<'_>,
) -> Vec<Value> {
    let mut blocks = Vec::new();
    if shape.with_thinking {
        blocks.extend(thinking.iter().filter_map(|block| proven(block, shape.model)));
    }
    // An empty block is refused.
    if !words.trim().is_empty() {
        blocks.push(text(words));
    }
    blocks.extend(calls.iter().map(|call| tool_use(call, ids)));
    // An answer that was cut short while it thought has nothing that can stand alone.
    if words.trim().is_empty() && calls.is_empty() {
        blocks.clear();
    }
    blocks
}

/// A thinking block with a proof of this model: anything else is refused.
fn proven(block: &Thinking, model: &str) -> Option<Value> {
    Some(match Proof::of(block.signature.as_deref()?, model)? {
        Proof::Signature(signature) => {
            json!({ "type": "thinking", "thinking": block.text, "signature": signature })
        }
        Proof::Redacted(data) => json!({ "type": "redacted_thinking", "data": data }),
    })
}

fn text(words: &str) -> Value {
    json!({ "type": "text", "text": words })
}

fn tool_use(call: &ToolCall, ids: &Ids<'_>) -> Value {
    // What a model wrote may be broken JSON, and an object is wanted.
    let input = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
    let input = input.unwrap_or_else(|| json!({}));
    json!({ "type": "tool_use", "id": ids.wire(&call.id), "name": wire::name(&call.name), "input": input })
}

fn result(id: &str, status: ToolStatus, said: &str) -> Value {
    let said = if said.trim().is_empty() { "(no output)" } else { said };
    let mut block = json!({ "type": "tool_result", "tool_use_id": id, "content": said });
    if status != ToolStatus::Ok
        && let Some(block) = block.as_object_mut()
    {
        block.insert("is_error".to_owned(), json!(true));
    }
    block
}

fn tool(spec: &ToolSpec) -> Value {
    let schema: Value = serde_json::from_str(&spec.parameters)
        .unwrap_or_else(|_| json!({ "type": "object", "properties": {} }));
    json!({ "name": wire::name(&spec.name), "description": spec.description, "input_schema": schema })
}

fn mark(block: &mut Value) {
    if let Some(block) = block.as_object_mut() {
        block.insert("cache_control".to_owned(), json!({ "type": "ephemeral" }));
    }
}

#[cfg(test)]
mod tests;
