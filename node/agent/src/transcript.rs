//! The transcript from a session's log: what the model is told after a restart is what it was told before.

use std::collections::VecDeque;

use clankers_protocol::{
    conversation::{Message, ToolCall, ToolStatus, Usage},
    event::{Event, MessageEvent, PromptEvent, ToolCallEvent, ToolResultEvent},
};

use crate::{
    compaction,
    context::{Carried, is_empty},
};

/// What a call is answered with when a crash took its result.
pub const LOST_RESULT: &str =
    "Interrupted: the node stopped before this ended. What it had done by then stays done.";

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The transcript, every call answered.
    pub messages: Vec<Message>,
    /// The prompt that was running when the log ended.
    pub running: Option<PromptEvent>,
    /// Prompts that were accepted and had not begun, oldest first.
    pub queued: Vec<PromptEvent>,
    /// Calls without a result in the log. The transcript answers them with [`LOST_RESULT`]; the log should get the same.
    pub lost: Vec<ToolResultEvent>,
    /// What belongs to the transcript and is not in it.
    pub carried: Carried,
}

/// The transcript of durable events, in the order of the log.
///
/// A prompt may be accepted while another runs: its words enter when the one before is settled, and never when it was
/// settled before its turn came, or without an event of its own. A direct tool prompt (a call that no message asked for) is told as a user's words, so
/// that no model is credited with it. Words from the side stand where they were heard; a compaction replaces what came
/// before it by its summary; thinking is left out when a prompt for another model begins. Results come in the order of their calls, whichever ended first. A log that a
/// crash or a bug has left with holes still gives a transcript that providers accept.
#[must_use]
pub fn rebuild<'e>(events: impl IntoIterator<Item = &'e Event>) -> Rebuilt {
    let mut builder = Builder::default();
    for event in events {
        builder.take(event);
    }
    builder.close();
    let Builder { messages, running, queued, lost, carried, .. } = builder;
    Rebuilt { messages, running, queued: queued.into(), lost, carried }
}

#[derive(Default)]
struct Builder {
    messages: Vec<Message>,
    running: Option<PromptEvent>,
    /// The running prompt has an event of its own.
    began: bool,
    queued: VecDeque<PromptEvent>,
    lost: Vec<ToolResultEvent>,
    /// The message whose calls are being collected, not yet in `messages`.
    open: Option<Open>,
    direct: Vec<ToolCallEvent>,
    carried: Carried,
}

struct Open {
    message: MessageEvent,
    calls: Vec<(ToolCall, Option<(ToolStatus, String)>)>,
}

impl Builder {
    fn take(&mut self, event: &Event) {
        self.began |= !matches!(event, Event::Prompt(_) | Event::Settled(_));
        match event {
            Event::Prompt(prompt) if self.running.is_none() => self.begin(prompt.clone()),
            Event::Prompt(prompt) => self.queued.push_back(prompt.clone()),
            Event::Message(message) => {
                self.close();
                self.open = Some(Open { message: message.clone(), calls: Vec::new() });
            }
            Event::ToolCall(call) => self.call(call),
            Event::ToolResult(result) => self.result(result),
            Event::Settled(settled) => {
                if self.running.as_ref().is_some_and(|prompt| prompt.prompt_id == settled.prompt_id) {
                    self.close();
                    if !self.began {
                        // No model ever saw it.
                        self.messages.pop_if(|last| matches!(last, Message::User { .. }));
                    }
                    self.running = None;
                    if let Some(next) = self.queued.pop_front() {
                        self.begin(next);
                    }
                } else {
                    self.queued.retain(|prompt| prompt.prompt_id != settled.prompt_id);
                }
            }
            Event::Usage(usage) => self.measure(usage.usage),
            Event::Steered(words) => {
                self.close();
                self.messages.push(Message::User { text: words.text.clone() });
            }
            Event::Compacted(compacted) => {
                self.close();
                let kept = usize::try_from(compacted.kept).unwrap_or(usize::MAX);
                compaction::replace(&mut self.messages, &compacted.summary, kept);
                self.carried.measured = None;
            }
            Event::Resolved(_) => {}
        }
    }

    /// A model call was counted: what it was given, and the message that it said, if it said one.
    fn measure(&mut self, usage: Usage) {
        let answered = |open: &Open| !open.calls.is_empty() && open.calls.iter().all(|(_, r)| r.is_some());
        if self.open.as_ref().is_some_and(answered) {
            self.close();
        }
        let messages = self.messages.len() + usize::from(self.open.is_some());
        self.carried.measure(messages, usage);
    }

    fn begin(&mut self, prompt: PromptEvent) {
        self.close();
        self.carried.begin(&prompt.model, &mut self.messages);
        self.messages.push(Message::User { text: prompt.text.clone() });
        self.running = Some(prompt);
        self.began = false;
    }

    fn call(&mut self, event: &ToolCallEvent) {
        match &mut self.open {
            Some(open) if open.message.item == event.message => {
                let call = ToolCall {
                    id: event.item.clone(),
                    name: event.name.clone(),
                    arguments: event.arguments.clone(),
                };
                if !open.calls.iter().any(|(known, _)| known.id == call.id) {
                    open.calls.push((call, None));
                }
            }
            _ => self.direct.push(event.clone()),
        }
    }

    fn result(&mut self, event: &ToolResultEvent) {
        let calls = self.open.iter_mut().flat_map(|open| &mut open.calls);
        if let Some((_, result)) = calls.into_iter().find(|(call, _)| call.id == event.item) {
            // The first one counts.
            result.get_or_insert_with(|| (event.status, event.text.clone()));
        } else if let Some(at) = self.direct.iter().position(|call| call.item == event.item) {
            let call = self.direct.remove(at);
            self.messages.push(direct(&call, event.status, &event.text));
        }
    }

    /// Answers what is open and moves it to the transcript.
    fn close(&mut self) {
        for call in std::mem::take(&mut self.direct) {
            self.messages.push(direct(&call, ToolStatus::Interrupted, LOST_RESULT));
            self.lose(&call.item, &call.name);
        }
        let Some(Open { message, calls }) = self.open.take() else { return };
        let wishes = calls.iter().map(|(call, _)| call.clone()).collect();
        let (thinking, text) = (message.thinking, message.text);
        let said = Message::Assistant { thinking, text, calls: wishes };
        if is_empty(&said) {
            if let Some(measured) = &mut self.carried.measured {
                measured.messages = measured.messages.min(self.messages.len());
            }
            return;
        }
        self.messages.push(said);
        for (call, result) in calls {
            if result.is_none() {
                self.lose(&call.id, &call.name);
            }
            let (status, text) = result.unwrap_or_else(|| (ToolStatus::Interrupted, LOST_RESULT.to_owned()));
            self.messages.push(Message::ToolResult { call_id: call.id, name: call.name, status, text });
        }
    }

    fn lose(&mut self, item: &str, name: &str) {
        let (status, text) = (ToolStatus::Interrupted, LOST_RESULT.to_owned());
        self.lost.push(ToolResultEvent { item: item.to_owned(), name: name.to_owned(), status, text });
    }
}

/// A tool that a person ran: as a person would tell it.
fn direct(call: &ToolCallEvent, status: ToolStatus, said: &str) -> Message {
    let how = match status {
        ToolStatus::Ok => "succeeded",
        ToolStatus::Error => "failed",
        ToolStatus::Denied => "was denied",
        ToolStatus::Interrupted => "was interrupted",
    };
    Message::User { text: format!("I ran the tool {} with {}. It {how}:\n{said}", call.name, call.arguments) }
}

#[cfg(test)]
mod tests;
