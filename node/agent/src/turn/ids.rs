//! Ids that a session has once only, whatever a model makes up.

use std::collections::BTreeSet;

use clankers_protocol::conversation::Message;

use crate::{compaction, limits::CALL_ID_BYTES};

#[derive(Debug)]
pub(super) struct Ids {
    prefix: String,
    messages: u32,
    calls: u32,
    used: BTreeSet<String>,
    /// Ids of what was summarised are not known any more, so no model's own id is sure to be new.
    forgotten: bool,
}

impl Ids {
    pub(super) fn new(prefix: String, transcript: &[Message]) -> Self {
        let used = transcript.iter().flat_map(|message| match message {
            Message::Assistant { calls, .. } => calls.iter().map(|call| call.id.clone()).collect(),
            _ => Vec::new(),
        });
        let forgotten = transcript.first().is_some_and(compaction::is_summary);
        Self { prefix, messages: 0, calls: 0, used: used.collect(), forgotten }
    }

    /// The next message's id.
    pub(super) fn message(&mut self) -> String {
        self.messages = self.messages.saturating_add(1);
        format!("{}-{}", self.prefix, self.messages)
    }

    /// The id under which a call is known from now on: the model's own when it is new and harmless, as some providers
    /// look into their ids; otherwise one of ours, of characters that every provider takes.
    pub(super) fn call(&mut self, given: &str) -> String {
        let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        let fits = (1..=CALL_ID_BYTES).contains(&given.len()) && given.bytes().all(harmless);
        if fits && !self.forgotten && self.used.insert(given.to_owned()) {
            return given.to_owned();
        }
        loop {
            self.calls = self.calls.saturating_add(1);
            let made = format!("{}-call-{}", self.prefix, self.calls);
            // A model may have guessed it.
            if self.used.insert(made.clone()) || self.calls == u32::MAX {
                return made;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_compaction_no_models_id_is_trusted_to_be_new() {
        let mut ids = Ids::new("p7".to_owned(), &[compaction::summary_message("s")]);
        assert_eq!(ids.call("call_1"), "p7-call-1");
    }

    #[test]
    fn bad_ids_are_replaced_and_good_ones_kept() {
        let mut ids = Ids::new("p7".to_owned(), &[]);
        assert_eq!(ids.call("call_abc"), "call_abc");
        assert_eq!(ids.call("p7-call-1"), "p7-call-1");
        assert_eq!(ids.call("call_abc"), "p7-call-2", "used before");
        assert_eq!(ids.call(""), "p7-call-3");
        assert_eq!(ids.call("a\u{1b}[2J"), "p7-call-4");
        assert_eq!(ids.call(&"x".repeat(129)), "p7-call-5");
        assert_eq!(ids.call("functions.bash:0"), "functions.bash:0");
        assert_eq!((ids.message(), ids.message()), ("p7-1".to_owned(), "p7-2".to_owned()));
    }
}
