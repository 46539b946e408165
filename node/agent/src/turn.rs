//! One turn: from a prompt to the end of its answer.

mod compacting;
mod draft;
mod ending;
mod ids;
mod io;
mod spend;
mod steers;
mod work;

use clankers_protocol::{
    Timestamp,
    conversation::{Message, ModelEvent, ModelRequest, StopReason, ToolCall, ToolSpec, ToolStatus, Usage},
    event::{Event, Outcome, ToolCallEvent},
};

pub use self::io::{Failure, Finished, Input, Interrupt, Output, TurnConfig, TurnLimits};
use self::{
    compacting::Compaction,
    draft::{Draft, TooLarge},
    ids::Ids,
    spend::Spend,
    steers::Steers,
    work::Work,
};
use crate::{
    context::{Carried, is_empty},
    limits::PAUSES,
};

#[derive(Debug)]
enum State {
    New,
    Asking(Draft),
    Compacting(Compaction),
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
    window: Option<u64>,
    transcript: Vec<Message>,
    carried: Carried,
    ids: Ids,
    spend: Spend,
    steers: Steers,
    /// Pauses in a row (count).
    pauses: u32,
    /// A compaction has happened and the model has not answered since: another one would not help.
    compacted: bool,
    /// A compaction has failed: no other one is tried unless the provider asks for it.
    compaction_failed: bool,
    /// Something of it is in the log.
    on_record: bool,
    state: State,
}

impl Turn {
    /// A turn that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: TurnConfig) -> Self {
        let TurnConfig {
            prefix,
            model,
            price,
            long_price,
            system,
            tools,
            limits,
            window,
            mut transcript,
            mut carried,
        } = config;
        let ids = Ids::new(prefix, &transcript);
        carried.begin(&model, &mut transcript);
        Self {
            model,
            system,
            tools,
            limits,
            window,
            transcript,
            carried,
            ids,
            spend: Spend::new(price, long_price),
            steers: Steers::default(),
            pauses: 0,
            compacted: false,
            compaction_failed: false,
            on_record: false,
            state: State::New,
        }
    }

    /// The conversation so far: when the turn has finished, what the next one starts from.
    #[must_use]
    pub fn transcript(&self) -> &[Message] {
        &self.transcript
    }

    /// What the next turn is to know beside it.
    #[must_use]
    pub fn carried(&self) -> &Carried {
        &self.carried
    }

    /// What the next turn starts from, without a copy. A turn that left nothing in the log leaves nothing here
    /// either, not even its prompt: [`crate::rebuild`] could not tell it from one that never ran.
    #[must_use]
    pub fn into_transcript(mut self) -> Vec<Message> {
        if self.is_finished() && !self.on_record {
            self.transcript.pop_if(|last| matches!(last, Message::User { .. }));
        }
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
        let before = out.len();
        match input {
            Input::Start { prompt } => self.start(now, prompt, out),
            Input::Model(event) => self.model(now, event, out),
            Input::ModelFailed { failure, message } => self.model_failed(now, failure, message, out),
            Input::ToolFinished { call_id, status, text } => {
                if let State::Working(work) = &mut self.state {
                    work.finish(&call_id, status, text, out);
                    self.work_on(now, out);
                }
            }
            Input::Steer(words) => {
                if let Err(words) = self.steers.push(words) {
                    out.push(Output::SteerRefused(words));
                }
            }
            Input::Interrupt(why) => self.interrupt(why, out),
            Input::Tick => {}
        }
        if !self.is_finished() && self.is_late(now) {
            self.interrupt(Interrupt::TimedOut, out);
        }
        self.on_record |= out.iter().skip(before).any(|output| matches!(output, Output::Durable(_)));
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
        for words in self.steers.take() {
            self.transcript.push(Message::User { text: words.text.clone() });
            out.push(Output::Durable(Event::Steered(words)));
        }
        if self.compact_if_needed(out) {
            return;
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
        if matches!(self.state, State::Compacting(_)) {
            self.summary(now, event, out);
            return;
        }
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
        let wordless = !draft.has_text();
        let (event, message) = draft.complete(stop, calls.clone());
        out.push(Output::Durable(Event::Message(event)));
        self.keep(message);
        self.answered(usage, out);
        self.compacted = false;
        if calls.is_empty() {
            self.said(now, stop, wordless, out);
        } else {
            self.begin_work(now, &item, stop, calls, out);
        }
    }

    /// A message enters the transcript, unless it says nothing: providers do not take such a one back.
    fn keep(&mut self, message: Message) {
        if !is_empty(&message) {
            self.transcript.push(message);
        }
    }

    /// A call for an answer has ended, with what it used if that is known.
    fn answered(&mut self, usage: Option<Usage>, out: &mut Vec<Output>) {
        if let Some(usage) = usage {
            self.carried.measure(self.transcript.len(), usage);
        }
        self.spend.answered(usage, &self.model, out);
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
    fn said(&mut self, now: Timestamp, stop: StopReason, wordless: bool, out: &mut Vec<Output>) {
        self.pauses = if stop == StopReason::Pause { self.pauses.saturating_add(1) } else { 0 };
        let (outcome, reason) = match stop {
            StopReason::EndTurn | StopReason::ToolUse | StopReason::MaxTokens if !self.steers.is_empty() => {
                self.ask(now, out);
                return;
            }
            StopReason::Pause if self.pauses <= PAUSES => {
                self.ask(now, out);
                return;
            }
            StopReason::EndTurn | StopReason::ToolUse if wordless => {
                (Outcome::Failed, Some("the model said nothing: try again, or use another model"))
            }
            StopReason::EndTurn | StopReason::ToolUse => (Outcome::Completed, None),
            StopReason::Pause => (
                Outcome::Failed,
                Some("the provider paused its answer again and again: prompt again to go on"),
            ),
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
}
