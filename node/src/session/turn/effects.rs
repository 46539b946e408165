//! What is under way for one prompt: a call of the model, tools, bills; and what happens next of it.

use std::{collections::HashMap, sync::Arc};

use clankers_agent::{Failure, Input};
use clankers_models::{Model, ModelError, ModelErrorKind, Notice, Notify};
use clankers_protocol::conversation::{ModelEvent, ModelRequest, ToolCall, ToolStatus};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{
    Command,
    bill::{Bill, Ending, Payment},
    runner::{Ended, Leave, Output, Runner},
};
use crate::{
    authority::charge::Charge,
    limits::{EFFECT_QUEUE, NOTICE_QUEUE},
};

/// A call of the model that is under way.
pub(super) struct ModelCall {
    events: mpsc::Receiver<ModelEvent>,
    notices: mpsc::Receiver<String>,
    task: JoinHandle<Result<(), ModelError>>,
    cancel: DropGuard,
    bill: Bill,
}

/// Everything that is under way for one prompt.
pub(super) struct Effects {
    pub(super) model: Option<ModelCall>,
    pub(super) runner: Arc<Runner>,
    pub(super) tools: JoinSet<Ended>,
    /// Which call each task runs, so that a panic answers for it.
    pub(super) calls: HashMap<tokio::task::Id, String>,
    pub(super) cancel_tools: CancellationToken,
    output: mpsc::Sender<Output>,
    pub(super) pieces: mpsc::Receiver<Output>,
    leave: mpsc::Sender<Leave>,
    pub(super) leaves: mpsc::Receiver<Leave>,
    pub(super) wake: Option<Instant>,
    /// Bills that are being paid: the next call is reserved after them.
    pub(super) paying: JoinSet<()>,
    /// A call of the model was not allowed: why.
    pub(super) denied: Option<(Failure, String)>,
    /// The prompter's authority ended under the turn: why.
    pub(super) ended: Option<String>,
    /// Notices so far (count).
    pub(super) notices: u32,
}

/// What happened next.
pub(super) enum Next {
    Input(Input),
    /// A request for leave is over: a call waits until that is written.
    Leave(Leave),
    Command(Command),
    Piece(Output),
    /// For whoever watches.
    Notice(String),
    /// A bill is to be paid; and what the turn hears, if anything.
    Pay(Payment, Option<Input>),
    Nothing,
}

impl Effects {
    pub(super) fn new(runner: Runner) -> Self {
        let (output, pieces) = mpsc::channel(EFFECT_QUEUE);
        let (leave, leaves) = mpsc::channel(EFFECT_QUEUE);
        Self {
            model: None,
            runner: Arc::new(runner),
            tools: JoinSet::new(),
            calls: HashMap::new(),
            cancel_tools: CancellationToken::new(),
            output,
            pieces,
            leave,
            leaves,
            wake: None,
            paying: JoinSet::new(),
            denied: None,
            ended: None,
            notices: 0,
        }
    }

    /// The model has said all, and the turn does not wait until its stream ends too: it is paid all the same.
    pub(super) fn model_is_over(&mut self) {
        if let Some(call) = self.model.take() {
            self.pay(call.bill, Ending::Whole);
        }
    }

    pub(super) fn call_model(&mut self, model: Model, request: ModelRequest, charge: Option<Charge>) {
        self.model_is_over();
        let (send, events) = mpsc::channel(EFFECT_QUEUE);
        let (tell, notices) = mpsc::channel(NOTICE_QUEUE);
        let notify: Notify = Arc::new(move |notice: &Notice| {
            // More than the queue takes nobody reads either.
            let _full = tell.try_send(words(notice));
        });
        let token = CancellationToken::new();
        let cancel = token.clone().drop_guard();
        let bill = Bill::new(charge, model.clone());
        let task = tokio::spawn(async move { model.stream_with(request, send, token, notify).await });
        self.model = Some(ModelCall { events, notices, task, cancel, bill });
    }

    pub(super) fn cancel_model(&mut self) {
        if let Some(call) = self.model.take() {
            drop(call.cancel);
            self.pay(call.bill, Ending::Cut);
        }
    }

    fn pay(&mut self, bill: Bill, ending: Ending) {
        if let Some(payment) = bill.payment(ending) {
            self.paying.spawn(payment);
        }
    }

    pub(super) fn call_tool(&mut self, call: ToolCall) {
        let (runner, tell) = (Arc::clone(&self.runner), (self.output.clone(), self.leave.clone()));
        let cancel = self.cancel_tools.clone();
        let id = call.id.clone();
        let task = self
            .tools
            .spawn(async move { runner.run(call.id, &call.name, &call.arguments, tell, cancel).await });
        self.calls.insert(task.id(), id);
    }

    pub(super) fn cancel_tools(&mut self) {
        self.cancel_tools.cancel();
        self.cancel_tools = CancellationToken::new();
    }
}

fn words(notice: &Notice) -> String {
    let Notice::Retry { error, tries, pause } = notice;
    format!("{error}; try {} in {:.1} s", tries.saturating_add(1), pause.as_secs_f32())
}

/// The next thing that the model or a tool did, so that both can be waited for at once. Cancel-safe.
pub(super) async fn next_effect(
    model: &mut Option<ModelCall>,
    tools: &mut JoinSet<Ended>,
    calls: &mut HashMap<tokio::task::Id, String>,
) -> Next {
    tokio::select! {
        next = model_event(model) => next,
        next = tool_ended(tools, calls) => next,
    }
}

/// The next event of the model's call, or its end. Cancel-safe; waits for ever when none is under way.
async fn model_event(model: &mut Option<ModelCall>) -> Next {
    let Some(call) = model else { return std::future::pending().await };
    let event = tokio::select! {
        biased;
        Some(notice) = call.notices.recv() => return Next::Notice(notice),
        event = call.events.recv() => event,
    };
    if let Some(event) = event {
        call.bill.hear(&event);
        return Next::Input(Input::Model(event));
    }
    let ended = (&mut call.task).await;
    let bill = model.take().map(|call| call.bill);
    let ending = if matches!(ended, Ok(Ok(()))) { Ending::Whole } else { Ending::Failed };
    let input = after_model(ended);
    match bill.and_then(|bill| bill.payment(ending)) {
        Some(payment) => Next::Pay(Box::pin(payment), input),
        None => input.map_or(Next::Nothing, Next::Input),
    }
}

/// What the turn hears when the model's call is over.
fn after_model(ended: Result<Result<(), ModelError>, tokio::task::JoinError>) -> Option<Input> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) if error.kind == ModelErrorKind::Cancelled => None,
        Ok(Err(error)) => Some(failed(&error)),
        Err(error) => Some(Input::ModelFailed {
            failure: Failure::Other,
            message: format!("the model's adapter failed: {error}"),
        }),
    }
}

fn failed(error: &ModelError) -> Input {
    let failure = match error.kind {
        ModelErrorKind::Credentials => Failure::Credentials,
        ModelErrorKind::ContextTooLong => Failure::ContextTooLong,
        _ => Failure::Other,
    };
    Input::ModelFailed { failure, message: error.to_string() }
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
            let text = "the tool failed from within; see the node's log".to_owned();
            Ended::new(call_id, ToolStatus::Error, text)
        }
    };
    Next::Input(Input::ToolFinished { call_id: ended.call_id, status: ended.status, text: ended.text })
}
