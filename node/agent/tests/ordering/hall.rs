//! A hall that believes nothing and checks every output.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use clankers_agent::{Finished, Output, Turn, limits, transcript::LOST_RESULT};
use clankers_protocol::{
    conversation::{Message, ModelRequest, StopReason, ToolStatus},
    event::{DeltaKind, Event},
};

#[derive(Default)]
pub(crate) struct Hall {
    pub(crate) asking: bool,
    /// The model is asked for a summary.
    pub(crate) summarising: bool,
    pub(crate) running: BTreeMap<String, bool>,
    pub(crate) finished: Option<Finished>,
    pub(crate) events: Vec<Event>,
    /// A summary was asked for and did not come.
    pub(crate) failed_summary: bool,
    pub(crate) compactions: usize,
    /// Tools at a time.
    pub(crate) most_running: usize,
    pub(crate) steers_given: usize,
    pub(crate) steers_refused: usize,
    pub(crate) steers_heard: usize,
    results: BTreeMap<String, (ToolStatus, String)>,
    called: BTreeSet<String>,
    items: BTreeSet<String>,
    words: BTreeMap<String, (String, String)>,
    paused: bool,
}

impl Hall {
    /// The next prompt of the same session.
    pub(crate) fn next_prompt(&mut self) {
        self.finished = None;
        (self.steers_given, self.steers_refused, self.steers_heard) = (0, 0, 0);
    }

    pub(crate) fn take(&mut self, output: Output) {
        assert!(self.finished.is_none(), "after the end: {output:?}");
        match output {
            Output::CallModel(request) => self.call_model(&request),
            Output::CancelModel => {
                assert!(std::mem::take(&mut self.asking), "nothing to cancel");
                self.end_summary();
            }
            Output::CallTool { call, read_only } => {
                assert!(!self.asking && self.called.contains(&call.id), "{call:?}");
                assert!(!self.results.contains_key(&call.id), "{call:?} has its result");
                assert!(self.running.is_empty() || read_only && self.running.values().all(|&ro| ro));
                assert_eq!(read_only, matches!(call.name.as_str(), "read" | "grep"));
                assert!(self.running.insert(call.id, read_only).is_none());
                assert!(self.running.len() <= limits::PARALLEL);
                self.most_running = self.most_running.max(self.running.len());
            }
            Output::CancelTools => {
                assert!(!self.running.is_empty());
                self.running.clear();
            }
            Output::Live(kind, delta) => {
                assert!(self.asking && !self.summarising && !delta.text.is_empty());
                let (text, thinking) = self.words.entry(delta.item).or_default();
                let known = if kind == DeltaKind::Text { text } else { thinking };
                assert_eq!(delta.offset, known.len() as u64, "a hole");
                known.push_str(&delta.text);
            }
            Output::Durable(event) => self.durable(event),
            Output::SteerRefused(_) => self.steers_refused += 1,
            Output::Notice { text } => assert!(self.failed_summary && !text.is_empty()),
            Output::WakeAt(_) => {}
            Output::Finished(finished) => {
                assert!(!self.asking && self.running.is_empty(), "something is left running");
                assert_eq!(self.called.len(), self.results.len(), "calls without a result");
                let told = self.steers_heard + self.steers_refused + finished.unheard.len();
                assert_eq!(told, self.steers_given, "words were lost");
                self.finished = Some(finished);
            }
        }
    }

    fn call_model(&mut self, request: &ModelRequest) {
        assert!(!self.asking && self.running.is_empty(), "two things at once");
        assert_eq!(self.called.len(), self.results.len(), "asked with open calls");
        self.asking = true;
        self.summarising = request.tools.is_empty();
        if self.summarising {
            assert!(matches!(request.messages.as_slice(), [Message::User { .. }]));
            return;
        }
        check_transcript(&request.messages);
        let unasked = matches!(request.messages.last(), Some(Message::Assistant { .. }));
        assert!(!unasked || self.paused, "asked without a word");
    }

    /// The model's answer to a summary ended without one.
    pub(crate) fn end_summary(&mut self) {
        self.failed_summary |= std::mem::take(&mut self.summarising);
    }

    fn durable(&mut self, event: Event) {
        match &event {
            Event::Message(message) => {
                let (text, thinking) = self.words.remove(&message.item).unwrap_or_default();
                assert_eq!(message.text, text, "deltas and message differ");
                let whole: String = message.thinking.iter().map(|block| block.text.as_str()).collect();
                assert_eq!(whole, thinking);
                assert!(self.items.insert(message.item.clone()), "an item twice");
                self.paused = message.stop == StopReason::Pause;
            }
            Event::ToolCall(call) => {
                assert!(self.called.insert(call.item.clone()), "{call:?} twice");
            }
            Event::ToolResult(result) => {
                assert!(self.called.contains(&result.item));
                let said = (result.status, result.text.clone());
                assert!(self.results.insert(result.item.clone(), said).is_none(), "two results");
            }
            Event::Compacted(compacted) => {
                assert!(self.running.is_empty() && !self.asking);
                assert!(compacted.summary.len() <= limits::SUMMARY_BYTES + limits::TOLD_REQUEST_BYTES + 128);
                self.compactions += 1;
            }
            Event::Steered(_) => self.steers_heard += 1,
            Event::Usage(_) => {}
            other => panic!("{other:?}"),
        }
        self.events.push(event);
    }

    /// The machine's own transcript, its open calls answered as a crash would leave them.
    pub(crate) fn as_after_a_crash(&self, turn: &Turn) -> Vec<Message> {
        let mut messages = turn.transcript().to_vec();
        let Some(Message::Assistant { calls, .. }) = messages.last().cloned() else { return messages };
        let lost = || (ToolStatus::Interrupted, LOST_RESULT.to_owned());
        messages.extend(calls.into_iter().map(|call| {
            let (status, text) = self.results.get(&call.id).cloned().unwrap_or_else(lost);
            Message::ToolResult { call_id: call.id, name: call.name, status, text }
        }));
        messages
    }
}

/// What providers require: each call answered, in order, before anything else is said; nobody says nothing.
pub(crate) fn check_transcript(messages: &[Message]) {
    let mut open: VecDeque<&str> = [].into();
    let mut seen = BTreeSet::new();
    for message in messages {
        match message {
            Message::ToolResult { call_id, .. } => assert_eq!(open.pop_front(), Some(call_id.as_str())),
            Message::User { .. } => assert!(open.is_empty()),
            Message::Assistant { thinking, text, calls } => {
                assert!(open.is_empty());
                assert!(!thinking.is_empty() || !text.is_empty() || !calls.is_empty(), "an empty message");
                for call in calls {
                    assert!(!call.id.is_empty() && seen.insert(&call.id));
                    open.push_back(&call.id);
                }
            }
        }
    }
    assert!(open.is_empty());
}
