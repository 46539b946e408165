//! One turn: from a prompt to the end of its answer.

mod draft;
mod ids;
mod io;
mod spend;
mod work;

use std::collections::VecDeque;

use clankers_protocol::{
    Timestamp,
    conversation::{Message, ModelEvent, ModelRequest, StopReason, ToolCall, ToolSpec, ToolStatus},
    event::{Event, Outcome, ToolCallEvent},
};

pub use self::io::{Failure, Finished, Input, Interrupt, Output, TurnConfig, TurnLimits};
use self::{
    draft::{Draft, TooLarge},
    ids::Ids,
    spend::Spend,
    work::Work,
};
use crate::limits::STEERS;

#[derive(Debug)]
enum State {
    New,
    Asking(Draft),
    Working(Work),
    Finished,
}

/// The machine of one turn.
#[derive(Debug)]
pub struct Turn {
    model: String,
    system: String,
    tools: Vec<ToolSpec>,
    limits: TurnLimits,
    transcript: Vec<Message>,
    ids: Ids,
    spend: Spend,
    steers: VecDeque<String>,
    state: State,
}

impl Turn {
    /// A turn that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: TurnConfig) -> Self {
        let TurnConfig { prefix, model, price, system, tools, limits, transcript } = config;
        let ids = Ids::new(prefix, &transcript);
        let steers = VecDeque::new();
        let spend = Spend::new(price);
        Self { model, system, tools, limits, transcript, ids, spend, steers, state: State::New }
    }

    /// The conversation so far: when the turn has finished, what the next one starts from.
    #[must_use]
    pub fn transcript(&self) -> &[Message] {
        &self.transcript
    }

    /// The same without a copy.
    #[must_use]
    pub fn into_transcript(self) -> Vec<Message> {
        self.transcript
    }

    /// Whether [`Output::Finished`] was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// One step. Inputs that do not fit the state (late, twice, never asked for) change nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        if self.is_finished() {
            return;
        }
        match input {
            Input::Start { prompt } => self.start(now, prompt, out),
            Input::Model(event) => self.model(now, event, out),
            Input::ModelFailed { failure, message } => self.model_failed(failure, message, out),
            Input::ToolFinished { call_id, status, text } => {
                if let State::Working(work) = &mut self.state {
                    work.finish(&call_id, status, text, out);
                    self.work_on(now, out);
                }
            }
            Input::Steer { text } if self.steers.len() < STEERS => self.steers.push_back(text),
            Input::Steer { text } => out.push(Output::SteerRefused { text }),
            Input::Interrupt(why) => self.interrupt(why, out),
            Input::Tick => {}
        }
        if !self.is_finished() && self.is_late(now) {
            self.interrupt(Interrupt::TimedOut, out);
        }
    }

    fn is_late(&self, now: Timestamp) -> bool {
        self.limits.deadline.is_some_and(|deadline| now >= deadline)
    }

    fn start(&mut self, now: Timestamp, prompt: String, out: &mut Vec<Output>) {
        if !matches!(self.state, State::New) {
            return;
        }
        self.transcript.push(Message::User { text: prompt });
        if let Some(deadline) = self.limits.deadline {
            out.push(Output::WakeAt(deadline));
        }
        self.ask(now, out);
    }

    /// Asks the model, unless a limit forbids it.
    fn ask(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.is_late(now) {
            self.interrupt(Interrupt::TimedOut, out);
            return;
        }
        if let Err(why) = self.spend.may_ask(&self.limits, &self.model) {
            self.finish(Outcome::Limit, Some(why), out);
            return;
        }
        for text in self.steers.drain(..) {
            out.push(Output::Steered { text: text.clone() });
            self.transcript.push(Message::User { text });
        }
        self.spend.asked();
        self.state = State::Asking(Draft::new(self.ids.message()));
        out.push(Output::CallModel(ModelRequest {
            model: self.model.clone(),
            system: self.system.clone(),
            messages: self.transcript.clone(),
            tools: self.tools.clone(),
        }));
    }

    fn model(&mut self, now: Timestamp, event: ModelEvent, out: &mut Vec<Output>) {
        let State::Asking(draft) = &mut self.state else { return };
        let taken = match event {
            ModelEvent::Text(more) => draft.text(&more, out),
            ModelEvent::Thinking(more) => draft.thinking(&more, out),
            ModelEvent::ThinkingSignature(signature) => draft.signature(signature),
            ModelEvent::ToolCall(call) => draft.call(call),
            ModelEvent::Usage(usage) => {
                draft.usage = Some(usage);
                Ok(())
            }
            ModelEvent::Stop(stop) => {
                self.stopped(now, stop, out);
                Ok(())
            }
        };
        if let Err(TooLarge(what)) = taken {
            out.push(Output::CancelModel);
            self.keep_partial(out);
            let reason = format!("the model's {what} is larger than is accepted: ask for less at a time");
            self.finish(Outcome::Failed, Some(reason), out);
        }
    }

    /// The model has said all it wanted to say for now.
    fn stopped(&mut self, now: Timestamp, stop: StopReason, out: &mut Vec<Output>) {
        let State::Asking(mut draft) = std::mem::replace(&mut self.state, State::Finished) else { return };
        let mut calls = std::mem::take(&mut draft.calls);
        let stop = match stop {
            StopReason::EndTurn | StopReason::ToolUse if calls.is_empty() => StopReason::EndTurn,
            StopReason::EndTurn => StopReason::ToolUse,
            stop => stop,
        };
        if matches!(stop, StopReason::Refusal | StopReason::Interrupted) {
            // Whatever it wanted done is not to be done.
            calls.clear();
        }
        for call in &mut calls {
            call.id = self.ids.call(&call.id);
        }
        let (usage, item) = (draft.usage, draft.item().to_owned());
        let (event, message) = draft.complete(stop, calls.clone());
        out.push(Output::Durable(Event::Message(event)));
        self.transcript.push(message);
        self.spend.answered(usage, &self.model, out);
        if calls.is_empty() {
            self.said(now, stop, out);
        } else {
            self.begin_work(now, &item, stop, calls, out);
        }
    }

    fn begin_work(
        &mut self,
        now: Timestamp,
        item: &str,
        stop: StopReason,
        calls: Vec<ToolCall>,
        out: &mut Vec<Output>,
    ) {
        let mut work = Work::default();
        for call in calls {
            out.push(Output::Durable(Event::ToolCall(ToolCallEvent {
                item: call.id.clone(),
                message: item.to_owned(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            })));
            let read_only = self.tools.iter().any(|tool| tool.name == call.name && tool.read_only);
            work.add(call, read_only);
        }
        if stop == StopReason::MaxTokens {
            // The last call may be half of what it should be, and nobody can tell. The model gets to know.
            let why = "your message reached the output limit, so its calls may be cut; make smaller ones";
            work.close_all(ToolStatus::Error, why, out);
        }
        self.state = State::Working(work);
        self.work_on(now, out);
    }

    /// A message without calls.
    fn said(&mut self, now: Timestamp, stop: StopReason, out: &mut Vec<Output>) {
        let (outcome, reason) = match stop {
            StopReason::EndTurn | StopReason::ToolUse if !self.steers.is_empty() => {
                self.ask(now, out);
                return;
            }
            StopReason::EndTurn | StopReason::ToolUse => (Outcome::Completed, None),
            StopReason::MaxTokens => (
                Outcome::Limit,
                Some("the answer is cut at the model's output limit: say 'continue', or ask for less"),
            ),
            StopReason::Refusal => (
                Outcome::Failed,
                Some("the provider refused to answer this: say it differently, or use another model"),
            ),
            StopReason::Interrupted => {
                (Outcome::Failed, Some("the model broke off in the middle: try again"))
            }
        };
        self.finish(outcome, reason.map(str::to_owned), out);
    }

    /// Starts the next tools, or asks the model when all have ended.
    fn work_on(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let State::Working(work) = &mut self.state else { return };
        if !work.is_done() {
            work.start(out);
            return;
        }
        self.keep_results();
        self.ask(now, out);
    }

    fn keep_results(&mut self) {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Working(work) => self.transcript.extend(work.into_results()),
            other => self.state = other,
        }
    }

    fn model_failed(&mut self, failure: Failure, message: String, out: &mut Vec<Output>) {
        if matches!(self.state, State::Asking(_)) {
            self.keep_partial(out);
            let outcome = match failure {
                Failure::Credentials => Outcome::Credentials,
                Failure::Other => Outcome::Failed,
            };
            self.finish(outcome, Some(message), out);
        }
    }

    /// Keeps what the model said before it was cut short, without its calls: they never ran.
    fn keep_partial(&mut self, out: &mut Vec<Output>) {
        let State::Asking(draft) = std::mem::replace(&mut self.state, State::Finished) else { return };
        let usage = draft.usage;
        if draft.has_words() {
            let (event, message) = draft.complete(StopReason::Interrupted, Vec::new());
            out.push(Output::Durable(Event::Message(event)));
            self.transcript.push(message);
        }
        self.spend.answered(usage, &self.model, out);
    }

    fn interrupt(&mut self, why: Interrupt, out: &mut Vec<Output>) {
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

    fn finish(&mut self, outcome: Outcome, reason: Option<String>, out: &mut Vec<Output>) {
        self.state = State::Finished;
        let unheard = self.steers.drain(..).collect();
        let (usage, cost) = self.spend.total();
        out.push(Output::Finished(Finished { outcome, reason, usage, cost, unheard }));
    }
}
