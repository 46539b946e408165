//! What a request may use, before it is made: so that a budget can be set aside.

use clankers_protocol::conversation::{Message, ModelRequest, Usage};

use crate::limits::BYTES_PER_TOKEN;

/// Bytes around each message and tool that are not in its text: roles, ids, punctuation.
const AROUND: u64 = 48;

/// An upper-ish estimate: all bytes that are sent, three to a token, as fresh input, and the longest answer. English
/// text and code have about four bytes to a token; text in other scripts may have fewer than three, so this is no
/// proof, and what is reported after the call is what counts.
pub(crate) fn usage(request: &ModelRequest, max_output: u64) -> Usage {
    let len = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    let message = |message: &Message| match message {
        Message::User { text } => len(text),
        Message::Assistant { thinking, text, calls } => {
            let thinking =
                thinking.iter().map(|t| len(&t.text).saturating_add(t.signature.as_deref().map_or(0, len)));
            let calls = calls.iter().map(|c| len(&c.id) + len(&c.name) + len(&c.arguments) + AROUND);
            thinking.chain(calls).fold(len(text), u64::saturating_add)
        }
        Message::ToolResult { call_id, name, text, .. } => len(call_id) + len(name) + len(text),
    };
    let messages = request.messages.iter().map(|m| message(m).saturating_add(AROUND));
    let tools =
        request.tools.iter().map(|t| len(&t.name) + len(&t.description) + len(&t.parameters) + AROUND);
    let bytes = messages.chain(tools).fold(len(&request.system).saturating_add(AROUND), u64::saturating_add);
    Usage { input: bytes.div_ceil(BYTES_PER_TOKEN), output: max_output, ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::conversation::{ToolCall, ToolSpec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_that_is_sent_counts(text in ".{0,200}", arguments in ".{0,200}", tool in ".{0,200}") {
            let call = ToolCall { id: "a".into(), name: "ls".into(), arguments: arguments.clone() };
            let calls = vec![call];
            let messages = vec![
                Message::User { text: text.clone() },
                Message::Assistant { thinking: Vec::new(), text: text.clone(), calls },
            ];
            let tools = vec![ToolSpec {
                name: "ls".into(), description: tool.clone(), parameters: "{}".into(), read_only: true,
            }];
            let mut request =
                ModelRequest { model: String::new(), system: text.clone(), messages, tools };
            let whole = usage(&request, 7);
            let sent = 3 * text.len() + arguments.len() + tool.len();
            prop_assert!(whole.input * BYTES_PER_TOKEN >= sent as u64);
            prop_assert!(whole.input * BYTES_PER_TOKEN <= sent as u64 + 400);
            prop_assert_eq!(whole.output, 7);
            request.messages.clear();
            prop_assert!(usage(&request, 7).input < whole.input);
        }
    }
}
