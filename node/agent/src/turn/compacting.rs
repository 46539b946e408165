//! The conversation is too long for the model: the older part becomes a summary that the model writes.

use clankers_protocol::{
    Timestamp,
    conversation::{ModelEvent, StopReason, Usage},
    event::{CompactedEvent, Event, Outcome},
    text,
};

use super::{Output, State, Turn};
use crate::{
    compaction,
    context::{Share, estimate, fixed_tokens, messages_tokens},
    limits::SUMMARY_NOISE_BYTES,
};

/// A summary while the model is still writing it.
#[derive(Debug)]
pub(super) struct Compaction {
    /// Entries of the transcript that it will stand for (count).
    cut: usize,
    /// The context before (tokens).
    before: u64,
    /// The provider refused the request as it is.
    refused: bool,
    summary: String,
    /// It may have so much (bytes); what is more is cut off and said.
    summary_bytes: usize,
    cut_off: bool,
    noise_bytes: usize,
    pub(super) usage: Option<Usage>,
}

impl Turn {
    fn context_tokens(&self) -> u64 {
        let fixed = fixed_tokens(&self.system, &self.tools);
        estimate(&self.transcript, fixed, self.carried.measured)
    }

    /// Begins a compaction if the conversation grew too long and it may help.
    pub(super) fn compact_if_needed(&mut self, out: &mut Vec<Output>) -> bool {
        if self.compacted || self.compaction_failed {
            return false;
        }
        let before = self.context_tokens();
        let share = Share::new(self.window, before, false);
        share.limit.is_some_and(|limit| before > limit) && self.compact(&share, before, false, out)
    }

    /// The provider says that the request is too long: begins a compaction, once for each answer.
    pub(super) fn compact_after_refusal(&mut self, out: &mut Vec<Output>) -> bool {
        if self.compacted {
            return false;
        }
        let before = self.context_tokens();
        self.compact(&Share::new(self.window, before, true), before, true, out)
    }

    fn compact(&mut self, share: &Share, before: u64, refused: bool, out: &mut Vec<Output>) -> bool {
        let Some(cut) = compaction::cut(&self.transcript, share) else { return false };
        let old = self.transcript.get(..cut).unwrap_or_default();
        if messages_tokens(old) < share.worth {
            return false;
        }
        out.push(Output::CallModel(compaction::request(&self.model, old, share.input)));
        self.state = State::Compacting(Compaction {
            cut,
            before,
            refused,
            summary: String::new(),
            summary_bytes: share.summary_bytes,
            cut_off: false,
            noise_bytes: 0,
            usage: None,
        });
        true
    }

    pub(super) fn summary(&mut self, now: Timestamp, event: ModelEvent, out: &mut Vec<Output>) {
        let State::Compacting(compaction) = &mut self.state else { return };
        let noise = match event {
            ModelEvent::Text(more) => {
                let room = compaction.summary_bytes.saturating_sub(compaction.summary.len());
                let part = if compaction.cut_off { "" } else { text::head(&more, room) };
                compaction.summary.push_str(part);
                compaction.cut_off |= part.len() < more.len();
                more.len() - part.len()
            }
            // Nothing of it is wanted; it counts against a model that never ends.
            ModelEvent::Thinking(more) | ModelEvent::ThinkingSignature(more) => more.len(),
            ModelEvent::ToolCall(call) => call.name.len() + call.arguments.len() + 1,
            ModelEvent::Usage(usage) => {
                compaction.usage = Some(usage);
                0
            }
            ModelEvent::Stop(stop) => {
                self.summarised(now, stop, out);
                return;
            }
        };
        compaction.noise_bytes = compaction.noise_bytes.saturating_add(noise);
        if compaction.noise_bytes > SUMMARY_NOISE_BYTES {
            out.push(Output::CancelModel);
            self.compaction_failed(now, "the model did not stop", out);
        }
    }

    fn summarised(&mut self, now: Timestamp, stop: StopReason, out: &mut Vec<Output>) {
        let State::Compacting(compaction) = &mut self.state else { return };
        let failure = match stop {
            StopReason::Refusal => Some("the provider refused it"),
            StopReason::Interrupted => Some("the model broke off in the middle"),
            _ if compaction.summary.trim().is_empty() => Some("the model wrote no summary"),
            _ => None,
        };
        if let Some(why) = failure {
            self.compaction_failed(now, why, out);
            return;
        }
        let State::Compacting(compaction) = std::mem::replace(&mut self.state, State::Finished) else {
            return;
        };
        self.spend.answered(compaction.usage, &self.model, out);
        let mut summary = compaction.summary.trim().to_owned();
        if compaction.cut_off || stop == StopReason::MaxTokens {
            summary.push_str("\n[the summary was cut off here]");
        }
        let (old, kept) = self.transcript.split_at(compaction.cut.min(self.transcript.len()));
        if let Some(request) = compaction::latest_request(old, kept, compaction.summary_bytes) {
            summary.push_str("\n\nThe user's latest request, word for word:\n\n");
            summary.push_str(&request);
        }
        let kept = kept.len();
        compaction::replace(&mut self.transcript, &summary, kept);
        self.carried.measured = None;
        self.compacted = true;
        out.push(Output::Durable(Event::Compacted(CompactedEvent {
            summary,
            kept: u32::try_from(kept).unwrap_or(u32::MAX),
            tokens_before: compaction.before,
            tokens_after: self.context_tokens(),
        })));
        self.ask(now, out);
    }

    /// Goes on without a summary if the conversation may still fit; otherwise the turn ends.
    pub(super) fn compaction_failed(&mut self, now: Timestamp, why: &str, out: &mut Vec<Output>) {
        let State::Compacting(compaction) = std::mem::replace(&mut self.state, State::Finished) else {
            return;
        };
        self.spend.answered(compaction.usage, &self.model, out);
        self.compaction_failed = true;
        let fits = self.window.is_none_or(|window| compaction.before <= window);
        if !compaction.refused && fits {
            let text =
                format!("the conversation is long and could not be summarised ({why}); it goes on as it is");
            out.push(Output::Notice { text });
            self.ask(now, out);
            return;
        }
        let model = &self.model;
        let reason = format!(
            "the conversation is longer than {model} takes and could not be summarised ({why}): \
             prompt again, use a model with a larger context, or begin a new session"
        );
        self.finish(Outcome::Failed, Some(reason), out);
    }
}
