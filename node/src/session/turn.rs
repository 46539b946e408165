//! One prompt: the agent's machine says what is to be done, this does it and tells it what came of it.

mod effects;

use std::{sync::Arc, time::Duration};

use clankers_agent::{Failure, Finished, Input, Interrupt, Output as Todo, Turn, TurnConfig, TurnLimits};
use clankers_auth::{Args, Command, Denial};
use clankers_protocol::{
    conversation::{ModelRequest, ToolSpec},
    event::{Delta, DeltaKind, Event, Outcome, SettledEvent},
};
use clankers_store::LogError;
use clankers_tools::{Forbidden, Tools, Workspace};
use tokio::time::Instant;

use self::effects::{Effects, Next, next_effect};
use super::{
    Job,
    actor::{Actor, Aside, Waiting},
    bill,
    runner::{Leave, Output, Runner},
    stamp,
    steering::Now,
};
use crate::{
    authority::{audit, charge::Charge},
    limits::NOTES_TOLD,
    system_prompt,
};

impl Actor {
    /// Runs a prompt through the agent and says how it ended; its events are in the log by then.
    pub(super) async fn run_turn(&mut self, next: Waiting) -> Result<SettledEvent, LogError> {
        let runner = match self.runner(&next) {
            Ok(runner) => runner,
            Err(reason) => return Ok(unfinished(next, reason)),
        };
        let mut turn = Turn::new(self.turn_config(&next, &runner));
        let mut effects = Effects::new(runner);
        self.say_notes(&next, &mut effects);
        let (authority, held) = (Arc::clone(&self.context.authority), next.job.held.clone());
        let ended = authority.ended(&held, Some((self.session.id, next.seq)));
        tokio::pin!(ended);
        let mut input = Input::Start { prompt: next.job.text.clone() };
        let halt = self.context.halt.clone();
        let mut halted = false;
        loop {
            let mut todo = Vec::new();
            turn.handle(stamp(), input, &mut todo);
            if let Some(finished) = self.perform(&next, &mut effects, todo).await? {
                self.wind_up(&next, &mut effects, &finished).await?;
                self.carried = turn.carried().clone();
                self.transcript = turn.into_transcript();
                return Ok(settled(next, finished, effects.ended.take()));
            }
            if let Some((failure, message)) = effects.denied.take() {
                input = Input::ModelFailed { failure, message };
                continue;
            }
            input = loop {
                let wake = effects.wake;
                let what = tokio::select! {
                    Some(piece) = effects.pieces.recv() => Next::Piece(piece),
                    Some(leave) = effects.leaves.recv() => Next::Leave(leave),
                    Some(command) = self.command() => Next::Command(command),
                    () = halt.cancelled(), if !halted => {
                        halted = true;
                        Next::Input(Input::Interrupt(Interrupt::Shutdown))
                    }
                    denial = &mut ended, if effects.ended.is_none() => {
                        effects.ended = Some(format!("the prompter's token ended: {denial}"));
                        Next::Input(Input::Interrupt(Interrupt::Cancelled))
                    }
                    () = sleep_until(wake), if wake.is_some() => {
                        effects.wake = None;
                        Next::Input(Input::Tick)
                    }
                    next = next_effect(&mut effects.model, &mut effects.tools, &mut effects.calls) => next,
                    Some(_paid) = effects.paying.join_next() => Next::Nothing,
                };
                match what {
                    Next::Input(input) => break input,
                    Next::Piece(piece) => self.announce_output(next.seq, piece),
                    Next::Notice(text) => self.notice(&next, &mut effects, text),
                    Next::Leave(leave) => self.resolved(&next, leave).await?,
                    Next::Command(command) => {
                        let (principal, prompt_id) = (next.job.principal, &next.job.prompt_id);
                        let now = Now { principal, prompt_id, listens: effects.ended.is_none() };
                        match self.take(command, Some(now)).await? {
                            Aside::CancelRunning => break Input::Interrupt(Interrupt::Cancelled),
                            Aside::Steer(words) => break Input::Steer(words),
                            Aside::Handled => {}
                        }
                    }
                    Next::Pay(payment, input) => {
                        effects.paying.spawn(payment);
                        if let Some(input) = input {
                            break input;
                        }
                    }
                    Next::Nothing => {}
                }
            };
        }
    }

    /// The turn has finished: what it leaves open is closed.
    async fn wind_up(
        &mut self,
        next: &Waiting,
        effects: &mut Effects,
        finished: &Finished,
    ) -> Result<(), LogError> {
        // Somebody answered, and the turn ended before that was written.
        while let Ok(leave) = effects.leaves.try_recv() {
            self.resolved(next, leave).await?;
        }
        // Whoever stops a prompt does not mean that its words run alone.
        let stopped = matches!(finished.outcome, Outcome::Cancelled | Outcome::Denied);
        for steer in &finished.unheard {
            if stopped {
                self.cancel_unheard(steer).await?;
            } else {
                self.queue_unheard(steer).await;
            }
        }
        effects.model_is_over();
        while effects.paying.join_next().await.is_some() {}
        Ok(())
    }

    /// A request for leave is over: written down, and the call that waits for that goes on.
    async fn resolved(&mut self, next: &Waiting, leave: Leave) -> Result<(), LogError> {
        self.append(next.seq, vec![Event::Resolved(leave.resolved)]).await?;
        // The call was cancelled meanwhile.
        let _gone = leave.written.send(());
        Ok(())
    }

    /// Does what the machine wants, in order: what is durable is on the disk before anything after it happens.
    async fn perform(
        &mut self,
        next: &Waiting,
        effects: &mut Effects,
        todo: Vec<Todo>,
    ) -> Result<Option<Finished>, LogError> {
        let mut durable: Vec<Event> = Vec::new();
        let mut finished = None;
        for step in todo {
            if let Todo::Durable(event) = step {
                durable.push(event);
                continue;
            }
            self.write(next, effects, &mut durable).await?;
            match step {
                Todo::CallModel(request) => match self.reserve(next, effects, &request).await {
                    Ok(charge) => effects.call_model(next.job.model.clone(), request, charge),
                    Err(denial) => effects.denied = Some(not_asked(&denial, &next.job)),
                },
                Todo::CancelModel => effects.cancel_model(),
                Todo::CallTool { call, .. } => effects.call_tool(call),
                Todo::CancelTools => effects.cancel_tools(),
                Todo::Live(kind, delta) => self.announce(next.seq, kind, delta),
                Todo::WakeAt(at) => {
                    effects.wake = Some(Instant::now() + Duration::from_millis(at.since(stamp())));
                }
                Todo::Finished(end) => finished = Some(end),
                Todo::Notice { text } => self.notice(next, effects, text),
                Todo::SteerRefused(words) => self.queue_unheard(&words).await,
                Todo::Durable(_) => {}
            }
        }
        self.write(next, effects, &mut durable).await?;
        Ok(finished)
    }

    /// Asks whether the model may be called, and reserves what that may cost.
    async fn reserve(
        &self,
        next: &Waiting,
        effects: &mut Effects,
        request: &ModelRequest,
    ) -> Result<Option<Charge>, Denial> {
        let (authority, job) = (&self.context.authority, &next.job);
        authority.check_running(&job.held)?;
        if job.held.metered().is_empty() {
            return Ok(None);
        }
        // What the last call really took is in the books before the next one is judged.
        while effects.paying.join_next().await.is_some() {}
        let args = Args { asks: bill::asks(&job.model, request), ..job.args.clone() };
        let reserved = authority.reserve(&job.held, Command::PromptSend, args.clone()).await;
        if let Err(denial) = &reserved {
            let about = audit::About {
                session: Some(self.session.id),
                prompt_id: Some(job.prompt_id.clone()),
                ..audit::about(Some(&job.held), Command::PromptSend, &args)
            };
            authority.audit.note(job.principal, about, Some(denial));
        }
        reserved
    }

    /// Appends what is durable; a call's output is announced before its result.
    async fn write(
        &mut self,
        next: &Waiting,
        effects: &mut Effects,
        durable: &mut Vec<Event>,
    ) -> Result<(), LogError> {
        if durable.is_empty() {
            return Ok(());
        }
        while let Ok(piece) = effects.pieces.try_recv() {
            self.announce_output(next.seq, piece);
        }
        self.append(next.seq, std::mem::take(durable)).await.map(drop)
    }

    /// What was not used of the directory's files, said once in a session.
    fn say_notes(&mut self, next: &Waiting, effects: &mut Effects) {
        for note in &next.job.notes {
            if self.told.len() < NOTES_TOLD && self.told.insert(note.clone()) {
                self.notice(next, effects, note.clone());
            }
        }
    }

    /// Tells whoever watches; it is no part of the conversation.
    fn notice(&self, next: &Waiting, effects: &mut Effects, text: String) {
        tracing::info!(session = %self.session.id.short(), prompt = next.seq, "{text}");
        effects.notices = effects.notices.saturating_add(1);
        let item = format!("p{}-notice-{}", next.seq, effects.notices);
        self.announce(next.seq, DeltaKind::Notice, Delta { item, offset: 0, text });
    }

    fn announce_output(&self, prompt_seq: u64, piece: Output) {
        let delta = Delta { item: piece.call_id, offset: piece.chunk.offset, text: piece.chunk.text };
        self.announce(prompt_seq, DeltaKind::ToolOutput, delta);
    }

    fn turn_config(&mut self, next: &Waiting, runner: &Runner) -> TurnConfig {
        let job = &next.job;
        let mut tools: Vec<ToolSpec> = clankers_tools::specs()
            .iter()
            .filter(|spec| runner.offers(spec.name))
            .map(|spec| ToolSpec {
                name: spec.name.to_owned(),
                description: spec.description.to_owned(),
                parameters: spec.parameters.to_owned(),
                read_only: spec.read_only,
            })
            .collect();
        tools.extend(runner.skill_tool());
        let node_turns = self.context.limits.max_turns;
        let limit = job.deadline.saturating_duration_since(std::time::Instant::now());
        TurnConfig {
            prefix: format!("p{}", next.seq),
            model: job.model.full_name().to_owned(),
            price: job.model.price(),
            long_price: job.model.long_price(),
            system: system_prompt::build(runner.workspace().path(), &tools, &job.context),
            tools,
            limits: TurnLimits {
                max_model_calls: job.limits.max_turns.map_or(node_turns, |turns| turns.min(node_turns)),
                max_cost: job.limits.max_cost,
                deadline: Some(stamp().plus_ms(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))),
            },
            window: job.model.context_window(),
            transcript: std::mem::take(&mut self.transcript),
            carried: std::mem::take(&mut self.carried),
        }
    }

    /// The session's tools in this prompter's hands; opens the workspace at the first use.
    pub(super) fn runner(&mut self, next: &Waiting) -> Result<Runner, String> {
        let job = &next.job;
        let tools = match &self.tools {
            Some(tools) => Arc::clone(tools),
            None => {
                let home = &self.context.home;
                let forbidden = Forbidden::new([home.root().to_owned()]).except([home.inbox_dir()]);
                let workspace = Workspace::open(self.session.cwd.as_ref(), forbidden)
                    .map_err(|error| format!("cannot work in {}: {error}", self.session.cwd))?;
                let tools = Arc::new(Tools::new(Arc::new(workspace), None));
                self.tools = Some(Arc::clone(&tools));
                tools
            }
        };
        let authority = Arc::clone(&self.context.authority);
        let authors = self.other_authors(job.principal);
        Ok(Runner::new(tools, authority, Arc::clone(&self.session), next, authors))
    }
}

/// How a turn is told that the model may not be called.
fn not_asked(denial: &Denial, job: &Job) -> (Failure, String) {
    match denial {
        Denial::Budget(_) | Denial::Rate(_) if job.model.price().is_none() => {
            let model = job.model.full_name();
            let words = format!(
                "the price of {model} is not known, so the token's budget cannot be kept: its owner can set \
                 'models.openai.free' for a server that costs nothing, or make a token with '--max-cost none'"
            );
            (Failure::Limit, words)
        }
        Denial::Budget(_) | Denial::Rate(_) => (Failure::Limit, denial.to_string()),
        _ => (Failure::Denied, format!("the prompter's token ended: {denial}")),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn settled(next: Waiting, end: Finished, denied: Option<String>) -> SettledEvent {
    SettledEvent {
        prompt_id: next.job.prompt_id,
        prompt_seq: next.seq,
        outcome: if denied.is_some() { Outcome::Denied } else { end.outcome },
        reason: denied.or(end.reason),
        usage: end.usage,
        cost: end.cost,
    }
}

fn unfinished(next: Waiting, reason: String) -> SettledEvent {
    SettledEvent {
        outcome: Outcome::Failed,
        reason: Some(reason),
        cost: Some(clankers_protocol::NanoUsd(0)),
        ..super::interrupted(next.job.prompt_id, next.seq)
    }
}
