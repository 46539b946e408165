//! How a turn ends: by a failure, an interruption, or because all is said.

use clankers_protocol::{
    Timestamp,
    conversation::{StopReason, ToolStatus},
    event::{Event, Outcome},
};

use super::{Failure, Finished, Interrupt, Output, State, Turn};

impl Turn {
    pub(super) fn model_failed(
        &mut self,
        now: Timestamp,
        failure: Failure,
        mut message: String,
        out: &mut Vec<Output>,
    ) {
        let outcome = match failure {
            Failure::Credentials => Outcome::Credentials,
            Failure::Limit => Outcome::Limit,
            Failure::Denied => Outcome::Denied,
            Failure::ContextTooLong | Failure::Other => Outcome::Failed,
        };
        match &self.state {
            State::Asking(draft) if draft.is_blank() && failure.cost_nothing() => {
                if draft.usage.is_some() {
                    let usage = draft.usage;
                    self.answered(usage, out);
                }
                if failure == Failure::ContextTooLong {
                    self.spend.was_refused();
                    if self.compact_after_refusal(out) {
                        return;
                    }
                    message.push_str(
                        ": the conversation is as short as it can be made; use a model with a larger context, or begin \
                         a new session",
                    );
                }
                self.finish(outcome, Some(message), out);
            }
            State::Asking(_) => {
                self.keep_partial(out);
                self.finish(outcome, Some(message), out);
            }
            State::Compacting(_) if matches!(failure, Failure::Other | Failure::ContextTooLong) => {
                self.compaction_failed(now, &message, out);
            }
            State::Compacting(compaction) => {
                if compaction.usage.is_some() {
                    self.spend.answered(compaction.usage, &self.model, out);
                }
                self.finish(outcome, Some(message), out);
            }
            State::New | State::Working(_) | State::Finished => {}
        }
    }

    /// Keeps what the model said before it was cut short, without its calls: they never ran.
    pub(super) fn keep_partial(&mut self, out: &mut Vec<Output>) {
        let State::Asking(draft) = std::mem::replace(&mut self.state, State::Finished) else { return };
        let usage = draft.usage;
        if draft.has_words() {
            let (event, message) = draft.complete(StopReason::Interrupted, Vec::new());
            out.push(Output::Durable(Event::Message(event)));
            self.keep(message);
        }
        self.answered(usage, out);
    }

    pub(super) fn interrupt(&mut self, why: Interrupt, out: &mut Vec<Output>) {
        let (outcome, words) = match why {
            Interrupt::Cancelled => (Outcome::Cancelled, "the turn was cancelled"),
            Interrupt::TimedOut => (Outcome::TimedOut, "the turn's time was up"),
            Interrupt::Shutdown => (Outcome::Interrupted, "the node stopped"),
        };
        match &mut self.state {
            State::New | State::Finished => {}
            State::Asking(_) => {
                out.push(Output::CancelModel);
                self.keep_partial(out);
            }
            State::Compacting(compaction) => {
                out.push(Output::CancelModel);
                let usage = compaction.usage;
                self.spend.answered(usage, &self.model, out);
            }
            State::Working(work) => {
                if work.has_running() {
                    out.push(Output::CancelTools);
                }
                work.close_all(ToolStatus::Interrupted, words, out);
                self.keep_results();
            }
        }
        self.finish(outcome, Some(words.to_owned()), out);
    }

    pub(super) fn finish(&mut self, outcome: Outcome, reason: Option<String>, out: &mut Vec<Output>) {
        self.state = State::Finished;
        let unheard = self.steers.take();
        let (usage, cost) = self.spend.total();
        out.push(Output::Finished(Finished { outcome, reason, usage, cost, unheard }));
    }
}
