//! Ids and names of a transcript, as servers take them: a session may have been led by another provider, or a model may
//! have made up a tool. A server that finds one odd character refuses the whole conversation.

use clankers_protocol::conversation::Message;

use crate::limits::{WIRE_ID_BYTES, WIRE_NAME_BYTES};

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}

fn is_plain(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.len() <= most
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A tool's name: letters, digits, `-` and `_`.
pub(crate) fn name(name: &str) -> String {
    if is_plain(name, WIRE_NAME_BYTES) {
        return name.to_owned();
    }
    let clean: String = plain(name).chars().take(WIRE_NAME_BYTES).collect();
    if clean.is_empty() { "unnamed".to_owned() } else { clean }
}

/// The ids of one transcript. An id that a server would refuse becomes its place in the transcript, which stays the
/// same while the transcript grows, so that caches keep working.
#[derive(Debug, Default)]
pub(crate) struct Ids<'a> {
    renamed: Vec<(&'a str, String)>,
}

impl<'a> Ids<'a> {
    pub(crate) fn new(messages: &'a [Message]) -> Self {
        let ids = messages.iter().enumerate().flat_map(|(at, message)| {
            let calls = if let Message::Assistant { calls, .. } = message { calls.as_slice() } else { &[] };
            calls.iter().enumerate().map(move |(n, call)| (call.id.as_str(), at, n))
        });
        let odd = ids.filter(|(id, ..)| !is_plain(id, WIRE_ID_BYTES));
        Self { renamed: odd.map(|(id, at, n)| (id, format!("renamed_{at}_{n}"))).collect() }
    }

    pub(crate) fn wire(&self, id: &str) -> String {
        let renamed = self.renamed.iter().find(|(odd, _)| *odd == id);
        renamed.map_or_else(|| id.to_owned(), |(_, new)| new.clone())
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::conversation::ToolCall;
    use proptest::prelude::*;

    use super::*;

    fn calls(ids: &[String]) -> Message {
        let call = |id: &String| ToolCall { id: id.clone(), name: "ls".into(), arguments: "{}".into() };
        Message::Assistant {
            thinking: Vec::new(),
            text: String::new(),
            calls: ids.iter().map(call).collect(),
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken_and_different_ids_stay_different(
            mut odd in prop::collection::vec(".{0,60}", 1..8),
            mut fine in prop::collection::vec("[a-z0-9_-]{1,40}", 1..8),
        ) {
            odd.sort();
            odd.dedup();
            fine.sort();
            fine.dedup();
            let mut all = odd;
            all.extend(fine.into_iter().filter(|id| !id.starts_with("renamed")));
            all.sort();
            all.dedup();
            let messages = [calls(&all), calls(&["later".to_owned()])];
            let ids = Ids::new(&messages);
            let mut wire: Vec<String> = all.iter().map(|id| ids.wire(id)).collect();
            prop_assert!(wire.iter().all(|id| is_plain(id, WIRE_ID_BYTES)), "{:?}", wire);
            let before = Ids::new(&messages[..1]);
            prop_assert!(all.iter().all(|id| before.wire(id) == ids.wire(id)));
            wire.sort();
            wire.dedup();
            prop_assert_eq!(wire.len(), all.len());
            prop_assert!(all.iter().all(|id| is_plain(&name(id), WIRE_NAME_BYTES)));
        }
    }
}
