//! How large a conversation is for a model, as far as that can be known without its tokenizer.

use clankers_protocol::conversation::{Message, ToolSpec, Usage};

use crate::limits::{
    BYTES_PER_TOKEN, COMPACTION_WORTH, KEEP_TOKENS, MESSAGE_TOKENS, RESERVE_TOKENS, SUMMARY_BYTES,
    SUMMARY_INPUT_TOKENS, SUMMARY_LEAST_BYTES,
};

/// What a provider counted: how many tokens the beginning of a transcript has, system prompt and tools included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Entries of the transcript that were counted (count).
    pub messages: usize,
    /// What they came to (tokens).
    pub tokens: u64,
}

impl Measured {
    /// A usage of nothing measures nothing.
    fn new(messages: usize, usage: Usage) -> Option<Self> {
        let parts = [usage.input, usage.cache_read, usage.cache_write, usage.output];
        let tokens = parts.into_iter().fold(0, u64::saturating_add);
        (tokens > 0).then_some(Self { messages, tokens })
    }
}

/// What a transcript does not say of itself. One turn hands it to the next; [`crate::rebuild`] finds it in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// The model of the last prompt, as `provider/name`. Thinking is signed for the model that thought it: when the
    /// next prompt has another model, the thinking so far is left out.
    pub model: Option<String>,
    /// The last count by a provider.
    pub measured: Option<Measured>,
}

impl Carried {
    /// A prompt for `model` begins: what `transcript` holds of another model's thinking is left out. Twice is as once.
    pub fn begin(&mut self, model: &str, transcript: &mut Vec<Message>) {
        if self.model.as_deref().is_some_and(|last| last != model) {
            forget_thinking(transcript);
            self.measured = None;
        }
        self.model = Some(model.to_owned());
    }

    /// A model call was given, or said itself, the first `messages` entries.
    pub(crate) fn measure(&mut self, messages: usize, usage: Usage) {
        self.measured = Measured::new(messages, usage).or(self.measured);
    }
}

fn forget_thinking(transcript: &mut Vec<Message>) {
    for message in &mut *transcript {
        if let Message::Assistant { thinking, .. } = message {
            thinking.clear();
        }
    }
    transcript.retain(|message| !is_empty(message));
}

/// An assistant that said nothing: no provider takes it back.
pub(crate) fn is_empty(message: &Message) -> bool {
    matches!(message, Message::Assistant { thinking, text, calls }
        if thinking.is_empty() && text.is_empty() && calls.is_empty())
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// What one entry comes to (tokens, rather more than less).
pub(crate) fn message_tokens(message: &Message) -> u64 {
    let bytes = match message {
        Message::User { text } => text.len(),
        Message::Assistant { thinking, text, calls } => {
            let signature = |s: &Option<String>| s.as_ref().map_or(0, String::len);
            let thinking: usize = thinking.iter().map(|t| t.text.len() + signature(&t.signature)).sum();
            let calls: usize = calls.iter().map(|c| c.id.len() + c.name.len() + c.arguments.len()).sum();
            thinking + text.len() + calls
        }
        Message::ToolResult { call_id, text, .. } => call_id.len() + text.len(),
    };
    tokens(bytes).saturating_add(MESSAGE_TOKENS)
}

pub(crate) fn messages_tokens(messages: &[Message]) -> u64 {
    messages.iter().map(message_tokens).fold(0, u64::saturating_add)
}

/// What comes with every request beside the transcript (tokens).
pub(crate) fn fixed_tokens(system: &str, tools: &[ToolSpec]) -> u64 {
    let tools: usize = tools.iter().map(|t| t.name.len() + t.description.len() + t.parameters.len()).sum();
    tokens(system.len() + tools)
}

/// The whole request (tokens): counted as far as a provider counted it, estimated from there on.
pub(crate) fn estimate(messages: &[Message], fixed: u64, measured: Option<Measured>) -> u64 {
    let counted = measured.and_then(|m| messages.get(m.messages..).map(|rest| (m.tokens, rest)));
    let (base, rest) = counted.unwrap_or((fixed, messages));
    base.saturating_add(messages_tokens(rest))
}

/// How a context is shared out (tokens). A small window gives less to each, in the same spirit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// More than this is compacted; `None`: only when the provider says that it is too much.
    pub(crate) limit: Option<u64>,
    /// The latest that stays as it is.
    pub(crate) keep: u64,
    /// The same when it would otherwise end between a call and its result.
    pub(crate) keep_most: u64,
    /// What the model may be given to summarise.
    pub(crate) input: u64,
    /// A compaction of less does not help, and each answer would bring the next one.
    pub(crate) worth: u64,
    /// The summary may have so much (bytes).
    pub(crate) summary_bytes: usize,
}

impl Share {
    /// For a window (tokens, if known) and a request of `estimate` tokens that the provider `refused` or not.
    pub(crate) fn new(window: Option<u64>, estimate: u64, refused: bool) -> Self {
        let limit = window.map(|window| window - RESERVE_TOKENS.min(window / 4));
        // Without a window, or when the provider counts otherwise than we do, the estimate is all there is to go by.
        let room = match limit {
            Some(limit) if !refused => limit,
            Some(limit) => limit.min(estimate / 2),
            None => estimate / 2,
        };
        let quarter = usize::try_from(room / 4).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_TOKEN);
        Self {
            limit,
            worth: if refused { 0 } else { room / COMPACTION_WORTH },
            summary_bytes: quarter.clamp(SUMMARY_LEAST_BYTES, SUMMARY_BYTES),
            keep: KEEP_TOKENS.min(room / 2),
            keep_most: room / 2,
            input: SUMMARY_INPUT_TOKENS.min(room - room / 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Message {
        Message::User { text: text.to_owned() }
    }

    #[test]
    fn what_a_provider_counted_is_not_estimated_again() {
        let messages = [user(&"x".repeat(300)), user(&"y".repeat(30))];
        let all = messages_tokens(&messages);
        assert_eq!(all, 100 + 10 + 2 * MESSAGE_TOKENS);
        assert_eq!(estimate(&messages, 7, None), all + 7);
        let usage = Usage { input: 5, output: 6, cache_read: 7, cache_write: 8 };
        let measured = Measured::new(1, usage);
        assert_eq!(estimate(&messages, 7, measured), 26 + 10 + MESSAGE_TOKENS);
        assert_eq!(Measured::new(1, Usage::default()), None);
        let of_more = Some(Measured { messages: 3, tokens: 1 });
        assert_eq!(estimate(&messages, 7, of_more), all + 7, "a count of what is gone is no count");
    }

    #[test]
    fn a_window_is_shared_out() {
        let large = Share::new(Some(200_000), 190_000, false);
        assert_eq!((large.limit, large.keep), (Some(200_000 - RESERVE_TOKENS), KEEP_TOKENS));
        let small = Share::new(Some(8_000), 7_000, false);
        assert_eq!((small.limit, small.keep), (Some(6_000), 3_000));
        let refused = Share::new(Some(200_000), 40_000, true);
        assert_eq!((refused.keep, refused.input), (10_000, 17_500));
        for window in [None, Some(0), Some(1), Some(u64::MAX)] {
            for estimate in [0, 1, u64::MAX] {
                let share = Share::new(window, estimate, true);
                assert!(share.keep <= share.keep_most && share.keep <= KEEP_TOKENS);
            }
        }
    }

    #[test]
    fn another_model_does_not_get_thinking_that_is_not_its_own() {
        let thought = clankers_protocol::conversation::Thinking { text: "hm".into(), signature: None };
        let said = |text: &str| Message::Assistant {
            thinking: vec![thought.clone()],
            text: text.into(),
            calls: vec![],
        };
        let mut transcript = vec![user("a"), said("b"), said("")];
        let mut carried = Carried::default();
        for model in ["x/1", "x/1"] {
            carried.begin(model, &mut transcript);
            assert_eq!(transcript.len(), 3);
        }
        carried.measured = Some(Measured { messages: 2, tokens: 9 });
        carried.begin("x/2", &mut transcript);
        let bare = Message::Assistant { thinking: vec![], text: "b".into(), calls: vec![] };
        assert_eq!(transcript, [user("a"), bare]);
        assert_eq!(carried, Carried { model: Some("x/2".into()), measured: None });
    }
}
