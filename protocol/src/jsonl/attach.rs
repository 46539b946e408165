//! How programs see an attached session: the lines of a prompt, those of all prompts, and these.

use serde_json::{Value, json};

use super::VERSION;
use crate::{
    PromptId, SessionId,
    refusal::Refusal,
    request::attach::{Attached, Attendee, Gap, InputDone, InputTaken, Pending, Presence, Resolved, State},
    text,
};

/// Characters of a refusal that are shown.
const REFUSAL_CHARS: usize = 500;

fn state(state: &State) -> Value {
    json!({
        "attached": state.attached, "roster": state.roster.iter().map(who).collect::<Vec<_>>(), "model": state.model, "running": state.running,
        "queued": state.queued, "open_items": state.open_items,
        "pending": state.pending.iter().map(pending_fields).collect::<Vec<_>>(),
    })
}

fn who(who: &Attendee) -> Value {
    json!({
        "attach_id": who.attach_id, "principal": who.principal, "role": who.role, "since": who.since.rfc3339(),
    })
}

fn pending_fields(pending: &Pending) -> Value {
    json!({
        "request": pending.request, "prompt_seq": pending.prompt_seq, "tool": pending.tool,
        "what": pending.what, "principal": pending.principal, "until": pending.until.rfc3339(),
    })
}

/// The line of a kind in a session, with more fields.
fn line(kind: &str, session: SessionId, fields: Value) -> Value {
    let mut line = serde_json::Map::new();
    line.insert("type".into(), kind.into());
    line.insert("session".into(), json!(session));
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    Value::Object(line)
}

/// A stream begins; `resumed`: it continues what was shown before.
#[must_use]
pub fn attached(attached: &Attached, resumed: bool) -> Value {
    let fields = json!({
        "v": VERSION, "attach_id": attached.attach_id, "epoch": attached.epoch,
        "oldest_seq": attached.oldest_seq, "head_seq": attached.head_seq, "first_seq": attached.first_seq,
        "role": attached.role_granted, "cwd": attached.cwd, "resumed": resumed, "state": state(&attached.state),
    });
    line("attached", attached.session, fields)
}

/// The viewer fell behind: pieces are missing, and this is how it is now.
#[must_use]
pub fn behind(session: SessionId, now: &State) -> Value {
    line("state", session, json!({ "state": state(now) }))
}

/// Events are missing.
#[must_use]
pub fn gap(session: SessionId, gap: &Gap) -> Value {
    line("gap", session, json!({ "from": gap.from, "to": gap.to, "why": gap.why }))
}

/// Somebody came or went.
#[must_use]
pub fn presence(session: SessionId, presence: &Presence) -> Value {
    line("presence", session, json!({ "joined": presence.joined, "who": who(&presence.who) }))
}

/// A tool call waits for an answer.
#[must_use]
pub fn pending(session: SessionId, pending: &Pending) -> Value {
    line("pending", session, pending_fields(pending))
}

/// It waits no more.
#[must_use]
pub fn resolved(session: SessionId, resolved: &Resolved) -> Value {
    let fields = json!({
        "request": resolved.request, "allowed": resolved.allowed, "by": resolved.by, "reason": resolved.reason,
    });
    line("resolved", session, fields)
}

/// The node took what was typed.
#[must_use]
pub fn input_taken(session: SessionId, taken: &InputTaken) -> Value {
    let fields = json!({
        "input_id": taken.input_id, "prompt_seq": taken.prompt_seq, "duplicate": taken.duplicate,
    });
    line("input_taken", session, fields)
}

/// The node carried out a cancellation or an answer.
#[must_use]
pub fn input_done(session: SessionId, done: &InputDone) -> Value {
    line("input_done", session, json!({ "input_id": done.input_id, "changed": done.changed }))
}

/// The node refused what was typed.
#[must_use]
pub fn input_refused(session: SessionId, input_id: &PromptId, refusal: &Refusal) -> Value {
    let fields = json!({
        "input_id": input_id, "code": refusal.code().name(),
        "message": text::line(&refusal.message, REFUSAL_CHARS),
    });
    line("input_refused", session, fields)
}

/// What was typed waits for the node to answer again (`kept`), or was not sent at all.
#[must_use]
pub fn input_waits(session: SessionId, input_id: &PromptId, kept: bool) -> Value {
    line(if kept { "input_kept" } else { "input_not_sent" }, session, json!({ "input_id": input_id }))
}

/// The connection: `stale`, `lost` or `back`.
#[must_use]
pub fn connection(session: SessionId, how: &str) -> Value {
    line("connection", session, json!({ "state": how }))
}

/// The viewer left; its cursor, to come back to.
#[must_use]
pub fn detached(session: SessionId, cursor: Option<(u64, u64)>) -> Value {
    let (epoch, seq) = cursor.unzip();
    line("detached", session, json!({ "epoch": epoch, "seq": seq }))
}
