//! One prompt: the agent's machine says what is to be done, this does it and tells it what came of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clankers_agent::{Failure, Finished, Input, Interrupt, Output as Todo, Turn, TurnConfig, TurnLimits};
use clankers_models::{Model, ModelError, ModelErrorKind};
use clankers_protocol::{
    conversation::{ModelEvent, ModelRequest, ToolCall, ToolSpec, ToolStatus},
    event::{Delta, DeltaKind, Event, Outcome, SettledEvent},
};
use clankers_store::LogError;
use clankers_tools::{Forbidden, Tools, Workspace};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Job,
    actor::{Actor, Aside, Waiting},
    runner::{Ended, Output, Runner},
    stamp,
};
use crate::{limits::EFFECT_QUEUE, system_prompt};

/// A call of the model that is under way.
struct ModelCall {
    events: mpsc::Receiver<ModelEvent>,
    task: JoinHandle<Result<(), ModelError>>,
    cancel: DropGuard,
}

/// Everything that is under way for one prompt.
struct Effects {
    model: Option<ModelCall>,
    runner: Arc<Runner>,
    tools: JoinSet<Ended>,
    /// Which call each task runs, so that a panic answers for it.
    calls: HashMap<tokio::task::Id, String>,
    cancel_tools: CancellationToken,
    output: mpsc::Sender<Output>,
    pieces: mpsc::Receiver<Output>,
    wake: Option<Instant>,
    /// The prompter's authority ended: why.
    denied: Option<String>,
}

/// What happened next.
enum Next {
    Input(Input),
    Command(super::Command),
    Piece(Output),
    Nothing,
}

impl Effects {
    fn new(runner: Runner) -> Self {
        let (output, pieces) = mpsc::channel(EFFECT_QUEUE);
        Self {
            model: None,
            runner: Arc::new(runner),
            tools: JoinSet::new(),
            calls: HashMap::new(),
            cancel_tools: CancellationToken::new(),
            output,
            pieces,
            wake: None,
            denied: None,
        }
    }

    fn call_model(&mut self, model: Model, request: ModelRequest) {
        let (send, events) = mpsc::channel(EFFECT_QUEUE);
        let token = CancellationToken::new();
        let cancel = token.clone().drop_guard();
        let task = tokio::spawn(async move { model.stream(request, send, token).await });
        self.model = Some(ModelCall { events, task, cancel });
    }

    fn cancel_model(&mut self) {
        if let Some(call) = self.model.take() {
            drop(call.cancel);
        }
    }

    fn call_tool(&mut self, call: ToolCall) {
        let (runner, output) = (Arc::clone(&self.runner), self.output.clone());
        let cancel = self.cancel_tools.clone();
        let id = call.id.clone();
        let task = self
            .tools
            .spawn(async move { runner.run(call.id, &call.name, &call.arguments, output, cancel).await });
        self.calls.insert(task.id(), id);
    }
}

fn failed(error: &ModelError) -> Input {
    let credentials = error.kind == ModelErrorKind::Credentials;
    let failure = if credentials { Failure::Credentials } else { Failure::Other };
    Input::ModelFailed { failure, message: error.to_string() }
}

impl Actor {
    /// Runs a prompt through the agent and says how it ended; its events are in the log by then.
    pub(super) async fn run_turn(&mut self, next: Waiting) -> Result<SettledEvent, LogError> {
        let runner = match self.runner(&next.job) {
            Ok(runner) => runner,
            Err(reason) => return Ok(unfinished(next, reason)),
        };
        let mut turn = Turn::new(self.turn_config(&next, &runner));
        let mut effects = Effects::new(runner);
        let mut input = Input::Start { prompt: next.job.text.clone() };
        let halt = self.context.halt.clone();
        let mut halted = false;
        loop {
            let mut todo = Vec::new();
            turn.handle(stamp(), input, &mut todo);
            if let Some(finished) = self.perform(&next, &mut effects, todo).await? {
                self.transcript = turn.into_transcript();
                let denied = effects.denied.take();
                return Ok(settled(next, finished, denied));
            }
            if let Some(reason) = &effects.denied {
                input = Input::ModelFailed { failure: Failure::Other, message: reason.clone() };
                continue;
            }
            input = loop {
                let wake = effects.wake;
                let what = tokio::select! {
                    Some(piece) = effects.pieces.recv() => Next::Piece(piece),
                    Some(command) = self.command() => Next::Command(command),
                    () = halt.cancelled(), if !halted => {
                        halted = true;
                        Next::Input(Input::Interrupt(Interrupt::Shutdown))
                    }
                    () = sleep_until(wake), if wake.is_some() => {
                        effects.wake = None;
                        Next::Input(Input::Tick)
                    }
                    next = next_effect(&mut effects.model, &mut effects.tools, &mut effects.calls) => next,
                };
                match what {
                    Next::Input(input) => break input,
                    Next::Piece(piece) => self.announce_output(next.seq, piece),
                    Next::Command(command) => {
                        let running = (next.job.principal, &next.job.prompt_id);
                        if matches!(self.take(command, Some(running)).await?, Aside::CancelRunning) {
                            break Input::Interrupt(Interrupt::Cancelled);
                        }
                    }
                    Next::Nothing => {}
                }
            };
        }
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
                Todo::CallModel(request) => match next.job.held.check_running(stamp()) {
                    Ok(()) => effects.call_model(next.job.model.clone(), request),
                    Err(denial) => effects.denied = Some(format!("the prompter's token ended: {denial}")),
                },
                Todo::CancelModel => effects.cancel_model(),
                Todo::CallTool { call, .. } => effects.call_tool(call),
                Todo::CancelTools => {
                    effects.cancel_tools.cancel();
                    effects.cancel_tools = CancellationToken::new();
                }
                Todo::Live(kind, delta) => self.announce(next.seq, kind, delta),
                Todo::WakeAt(at) => {
                    effects.wake = Some(Instant::now() + Duration::from_millis(at.since(stamp())));
                }
                Todo::Finished(end) => finished = Some(end),
                Todo::Durable(_) | Todo::Steered { .. } | Todo::SteerRefused { .. } => {}
            }
        }
        self.write(next, effects, &mut durable).await?;
        Ok(finished)
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

    fn announce_output(&self, prompt_seq: u64, piece: Output) {
        let delta = Delta { item: piece.call_id, offset: piece.chunk.offset, text: piece.chunk.text };
        self.announce(prompt_seq, DeltaKind::ToolOutput, delta);
    }

    fn turn_config(&mut self, next: &Waiting, runner: &Runner) -> TurnConfig {
        let job = &next.job;
        let tools: Vec<ToolSpec> = clankers_tools::specs()
            .iter()
            .filter(|spec| runner.offers(spec.name))
            .map(|spec| ToolSpec {
                name: spec.name.to_owned(),
                description: spec.description.to_owned(),
                parameters: spec.parameters.to_owned(),
                read_only: spec.read_only,
            })
            .collect();
        let node_turns = self.context.limits.max_turns;
        let limit = job.deadline.saturating_duration_since(std::time::Instant::now());
        TurnConfig {
            prefix: format!("p{}", next.seq),
            model: job.model.full_name().to_owned(),
            price: job.model.price(),
            system: system_prompt::build(runner.workspace().path(), &tools),
            tools,
            limits: TurnLimits {
                max_model_calls: job.limits.max_turns.map_or(node_turns, |turns| turns.min(node_turns)),
                max_cost: job.limits.max_cost,
                deadline: Some(stamp().plus_ms(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))),
            },
            transcript: std::mem::take(&mut self.transcript),
        }
    }

    /// The session's tools in this prompter's hands; opens the workspace at the first use.
    pub(super) fn runner(&mut self, job: &Job) -> Result<Runner, String> {
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
        Ok(Runner::new(tools, job.held.clone(), self.session.id, job.limits.tools.clone()))
    }
}

/// The next event of the model's call, or its end. Cancel-safe; waits for ever when none is under way.
async fn model_event(model: &mut Option<ModelCall>) -> Next {
    let Some(call) = model else { return std::future::pending().await };
    if let Some(event) = call.events.recv().await {
        return Next::Input(Input::Model(event));
    }
    let ended = (&mut call.task).await;
    *model = None;
    match ended {
        Ok(Ok(())) => Next::Nothing,
        Ok(Err(error)) if error.kind == ModelErrorKind::Cancelled => Next::Nothing,
        Ok(Err(error)) => Next::Input(failed(&error)),
        Err(error) => Next::Input(Input::ModelFailed {
            failure: Failure::Other,
            message: format!("the model's adapter failed: {error}"),
        }),
    }
}

/// The next tool call that ended. Cancel-safe; waits for ever when none is under way.
async fn tool_ended(tools: &mut JoinSet<Ended>, calls: &mut HashMap<tokio::task::Id, String>) -> Next {
    let ended = match tools.join_next_with_id().await {
        None => return std::future::pending().await,
        Some(Ok((id, ended))) => {
            calls.remove(&id);
            ended
        }
        Some(Err(error)) => {
            let Some(call_id) = calls.remove(&error.id()) else { return Next::Nothing };
            tracing::error!(%error, "a tool failed from within");
            Ended {
                call_id,
                status: ToolStatus::Error,
                text: "the tool failed from within; see the node's log".into(),
                by_token: false,
            }
        }
    };
    Next::Input(Input::ToolFinished { call_id: ended.call_id, status: ended.status, text: ended.text })
}

/// The next thing that the model or a tool did, so that both can be waited for at once.
async fn next_effect(
    model: &mut Option<ModelCall>,
    tools: &mut JoinSet<Ended>,
    calls: &mut HashMap<tokio::task::Id, String>,
) -> Next {
    tokio::select! {
        next = model_event(model) => next,
        next = tool_ended(tools, calls) => next,
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
