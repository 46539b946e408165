//! How programs see a prompt: one JSON object a line (the contract is `docs/json.md`, version 1).
//!
//! Every line has `type` and `session`. Only durable events have `seq`, each on exactly one line.

pub mod attach;
pub mod transfer;

use serde_json::{Map, Value, json};

use crate::{
    NanoUsd, PromptId, SessionId,
    event::{Delta, DeltaKind, Durable, Event, Outcome, StreamItem},
    request::prompt::Accepted,
};

/// The version that `accepted` carries as `v`.
pub const VERSION: u64 = 1;

/// The first line.
#[must_use]
pub fn accepted(accepted: &Accepted, prompt_id: &PromptId) -> Value {
    json!({
        "type": "accepted",
        "session": accepted.session,
        "v": VERSION,
        "prompt_id": prompt_id,
        "prompt_seq": accepted.prompt_seq,
        "duplicate": accepted.duplicate,
    })
}

/// The line for an item of the stream; `None` for a prompt's own event, which `accepted` stands for.
#[must_use]
pub fn item(session: SessionId, item: &StreamItem) -> Option<Value> {
    match item {
        StreamItem::Live(kind, delta) => Some(live(session, *kind, delta)),
        StreamItem::Durable(Durable { event: Event::Prompt(_), .. }) => None,
        StreamItem::Durable(durable) => Some(event(session, durable)),
    }
}

fn live(session: SessionId, kind: DeltaKind, delta: &Delta) -> Value {
    let kind = match kind {
        DeltaKind::Text => "text_delta",
        DeltaKind::Thinking => "thinking_delta",
        DeltaKind::ToolOutput => "tool_output",
        DeltaKind::Notice => return json!({"type": "notice", "session": session, "text": delta.text}),
    };
    json!({"type": kind, "session": session, "item": delta.item, "offset": delta.offset, "text": delta.text})
}

/// A durable event with all its fields, `seq` and `session`.
#[must_use]
pub fn event(session: SessionId, durable: &Durable) -> Value {
    let fields = match &durable.event {
        Event::Prompt(e) => json!({
            "type": "prompt", "prompt_id": e.prompt_id, "principal": e.principal, "text": e.text,
            "model": e.model,
        }),
        Event::Message(e) => json!({
            "type": "message", "item": e.item, "role": "assistant", "text": e.text,
            "thinking": e.thinking.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), "stop": e.stop,
        }),
        Event::ToolCall(e) => json!({
            "type": "tool_call", "item": e.item, "message": e.message, "name": e.name,
            "arguments": arguments(&e.arguments),
        }),
        Event::ToolResult(e) => json!({
            "type": "tool_result", "item": e.item, "name": e.name, "status": e.status, "text": e.text,
        }),
        Event::Usage(e) => json!({
            "type": "usage", "model": e.model, "usage": e.usage, "cost": cost(e.cost),
        }),
        Event::Settled(e) => json!({
            "type": "settled", "prompt_id": e.prompt_id, "prompt_seq": e.prompt_seq, "outcome": e.outcome, "reason": e.reason,
            "usage": e.usage, "cost": cost(e.cost),
        }),
        Event::Steered(e) => json!({
            "type": "steered", "prompt_id": e.prompt_id, "principal": e.principal, "text": e.text,
        }),
        Event::Compacted(e) => json!({
            "type": "compacted", "summary": e.summary, "kept": e.kept, "tokens_before": e.tokens_before,
            "tokens_after": e.tokens_after,
        }),
        Event::Resolved(e) => json!({
            "type": "resolved", "request": e.request, "by": e.by, "allowed": e.allowed, "reason": e.reason,
        }),
    };
    let mut line = Map::new();
    let mut fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
    line.insert("type".into(), fields.shift_remove("type").unwrap_or_default());
    line.insert("session".into(), json!(session));
    line.insert("seq".into(), json!(durable.seq));
    line.extend(fields);
    Value::Object(line)
}

/// Integer nano-dollars, or null when the price is not known.
fn cost(cost: Option<NanoUsd>) -> Value {
    cost.map_or(Value::Null, |nano| json!(nano.0))
}

/// Arguments as JSON when they are, as the model's raw text when not.
fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// What a command line exits with after this outcome.
#[must_use]
pub fn exit_code(outcome: Outcome) -> i32 {
    use crate::refusal::ExitKind;
    match outcome {
        Outcome::Completed => 0,
        Outcome::Failed | Outcome::Interrupted => ExitKind::Failed as i32,
        Outcome::Credentials => ExitKind::Credentials as i32,
        Outcome::Denied => ExitKind::Denied as i32,
        Outcome::Limit => ExitKind::Limit as i32,
        Outcome::Cancelled => ExitKind::Interrupted as i32,
        Outcome::TimedOut => ExitKind::Timeout as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, conversation::Usage, event::SettledEvent};

    #[test]
    fn only_durable_lines_have_a_seq() {
        let session = SessionId([7; 32]);
        let delta = Delta { item: "m1".into(), offset: 0, text: "hi".into() };
        let line = item(session, &StreamItem::Live(DeltaKind::Text, delta)).unwrap();
        assert_eq!(line.get("seq"), None);
        assert_eq!(line["type"], "text_delta");
        let settled = SettledEvent {
            prompt_id: "p".parse().unwrap(),
            prompt_seq: 1,
            outcome: Outcome::TimedOut,
            reason: None,
            usage: Usage::default(),
            cost: Some(NanoUsd(5)),
        };
        let durable = Durable { seq: 9, at: Timestamp(1), event: Event::Settled(settled) };
        let line = item(session, &StreamItem::Durable(durable)).unwrap();
        assert_eq!(line["seq"], 9);
        assert_eq!(line["cost"], 5);
        assert_eq!(line["outcome"], "timed_out");
        assert_eq!(line["session"], session.to_string());
    }
}
