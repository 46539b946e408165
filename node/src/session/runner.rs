//! One tool call: judged by the prompter's chain, then run. The gate is asked about the call before it runs,
//! and about the real path of everything that is opened.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clankers_auth::{Args, Denial};
use clankers_context::{Context as Surroundings, SKILL_TOOL};
use clankers_protocol::{
    NodeId,
    conversation::{ToolSpec, ToolStatus},
    event::ResolvedEvent,
};
use clankers_tools::{
    Facts, OutputChunk, OutputSink, PathGate, Status, ToolCall, ToolError, Tools, Workspace,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Session,
    actor::Waiting,
    asking::Asking,
    rights::{Author, Gate, NotAllowed, Rights, UNAUTHORIZED, denied_words},
};
use crate::{authority::Authority, limits::EFFECT_QUEUE};

/// The tools of a session in one prompter's hands.
#[derive(Debug)]
pub(super) struct Runner {
    tools: Arc<Tools>,
    rights: Rights,
    /// Only these tools, when the prompter or the agent said so.
    only: Option<Vec<String>>,
    /// Where leave is asked for; a tool that the prompter named needs none.
    asking: Asking,
    surroundings: Arc<Surroundings>,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call_id: String,
    pub(super) status: ToolStatus,
    pub(super) text: String,
    /// It was the prompter's token that did not allow it.
    pub(super) by_token: bool,
}

impl Ended {
    pub(super) fn new(call_id: String, status: ToolStatus, text: String) -> Self {
        Self { call_id, status, text, by_token: false }
    }
}

/// Why a call does not run.
struct Refused {
    status: ToolStatus,
    text: String,
    by_token: bool,
    /// Whose words stand in the way; everything else allows it, and what would be done is this.
    author: Option<(NodeId, Args)>,
}

impl Refused {
    fn new(status: ToolStatus, text: String) -> Box<Self> {
        Box::new(Self { status, text, by_token: false, author: None })
    }
}

/// What became of a request for leave. Nothing is done under it before it is in the log.
#[derive(Debug)]
pub(super) struct Leave {
    pub(super) resolved: ResolvedEvent,
    pub(super) written: oneshot::Sender<()>,
}

/// A piece of a running call's output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) call_id: String,
    pub(super) chunk: OutputChunk,
}

impl Runner {
    pub(super) fn new(
        tools: Arc<Tools>,
        authority: Arc<Authority>,
        session: Arc<Session>,
        next: &Waiting,
        authors: Vec<Author>,
    ) -> Self {
        let job = &next.job;
        let rights = Rights {
            authority,
            held: job.held.clone(),
            authors: authors.into(),
            session: session.id,
            workspace: tools.workspace().id().to_owned(),
            prompt_id: job.prompt_id.clone(),
        };
        let agents = job.context.agent.as_ref().and_then(|agent| agent.tools.clone());
        let only = match (job.limits.tools.clone(), agents) {
            (Some(said), Some(agents)) => Some(said.into_iter().filter(|t| agents.contains(t)).collect()),
            (said, agents) => said.or(agents),
        };
        let asking = Asking::new(session, next);
        Self { rights, tools, only, asking, surroundings: Arc::clone(&job.context) }
    }

    /// The directory that it works in.
    pub(super) fn workspace(&self) -> &Workspace {
        self.tools.workspace()
    }

    /// Whether a tool is worth offering to the model: it may be used somewhere in the workspace.
    pub(super) fn offers(&self, tool: &str) -> bool {
        let args = self.rights.args(tool, None, None);
        let authority = &self.rights.authority;
        self.chosen(tool)
            && authority.standing(|standing| self.rights.held.offers_tool(standing, tool, &args))
    }

    /// The tool that reads skills, where there are some. What it reads is a part of the prompt, so it needs no right;
    /// who wants no tools at all gets none.
    pub(super) fn skill_tool(&self) -> Option<ToolSpec> {
        if self.only.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        self.surroundings.skill_tool()
    }

    /// Reads a skill. Blocks on the disk, elsewhere.
    async fn read_skill(&self, call_id: String, arguments: String) -> Ended {
        let surroundings = Arc::clone(&self.surroundings);
        let read = tokio::task::spawn_blocking(move || surroundings.use_skill(&arguments)).await;
        let (status, text) = match read {
            Ok(Ok(text)) => (ToolStatus::Ok, text),
            Ok(Err(error)) => (ToolStatus::Error, error.to_string()),
            Err(_) => (ToolStatus::Error, "the skill could not be read; see the node's log".to_owned()),
        };
        Ended::new(call_id, status, text)
    }

    fn chosen(&self, tool: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|t| t == tool))
    }

    /// Parses, judges and runs a call. Never fails: what goes wrong is in the result, in words.
    pub(super) async fn run(
        &self,
        call_id: String,
        name: &str,
        arguments: &str,
        (output, leave): (mpsc::Sender<Output>, mpsc::Sender<Leave>),
        cancel: CancellationToken,
    ) -> Ended {
        if name == SKILL_TOOL && self.skill_tool().is_some() {
            return self.read_skill(call_id, arguments.to_owned()).await;
        }
        let call = match ToolCall::parse(name, arguments) {
            Ok(call) => call,
            Err(error) => return Ended::new(call_id, ToolStatus::Error, error.to_string()),
        };
        let judged = self.judge(&call);
        let asks = match &judged {
            Ok(args) => self.asking.wants(call.name()).then(|| (args.clone(), None)),
            Err(refused) => refused.author.as_ref().map(|(who, args)| (args.clone(), Some(*who))),
        };
        let Some((args, author)) = asks else {
            return match judged {
                Ok(args) => {
                    self.rights.note(call.name(), &args, Ok(()));
                    self.execute(call_id, &call, self.rights.clone(), output, cancel).await
                }
                Err(refused) => refused.ended(call_id),
            };
        };
        let asked = self.asking.ask(&call_id, &call, arguments, args.clone(), author, &cancel).await;
        let interrupted = "interrupted".to_owned();
        let Ok(resolved) = asked else { return Ended::new(call_id, ToolStatus::Interrupted, interrupted) };
        let (allowed, by) = (resolved.allowed, resolved.by);
        let said_no = self.asking.denied(&call, &resolved, author);
        if !on_record(resolved, &leave, &cancel).await {
            return Ended::new(call_id, ToolStatus::Interrupted, interrupted);
        }
        if !allowed {
            self.rights.note_answered(call.name(), &args, by, Err((UNAUTHORIZED, &said_no)));
            return Ended::new(call_id, ToolStatus::Denied, said_no);
        }
        // Much may have happened while somebody thought about it.
        let rights = self.rights.allowed();
        match rights.judge(call.name(), args.path.as_deref(), args.argv0.as_deref()) {
            Ok(()) => {
                self.rights.note_answered(call.name(), &args, by, Ok(()));
                self.execute(call_id, &call, rights, output, cancel).await
            }
            Err(NotAllowed { denial, .. }) => {
                let why = denial.to_string();
                self.rights.note_answered(call.name(), &args, by, Err((denial.code().name(), &why)));
                let text = denied_words(call.name(), args.path.as_deref(), &denial, None);
                Ended::new(call_id, ToolStatus::Denied, text)
            }
        }
    }

    /// [`Runner::run`] for a call that was parsed already, of somebody who asked for just this: nobody is asked.
    pub(super) async fn run_parsed(
        &self,
        call_id: String,
        call: &ToolCall,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Ended {
        match self.judge(call) {
            Ok(args) => {
                self.rights.note(call.name(), &args, Ok(()));
                self.execute(call_id, call, self.rights.clone(), output, cancel).await
            }
            Err(refused) => refused.ended(call_id),
        }
    }

    async fn execute(
        &self,
        call_id: String,
        call: &ToolCall,
        rights: Rights,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Ended {
        let gate = Arc::new(Gate { rights, tool: call.name(), noted: AtomicBool::new(false) });
        let (sink, mut pieces) = mpsc::channel(EFFECT_QUEUE);
        let run = self.tools.run(call, Arc::clone(&gate) as Arc<dyn PathGate>, OutputSink::new(sink), cancel);
        tokio::pin!(run);
        let outcome = loop {
            tokio::select! {
                biased;
                Some(chunk) = pieces.recv() => {
                    let piece = Output { call_id: call_id.clone(), chunk };
                    // Nobody listens any more: the result is complete without it.
                    let _gone = output.send(piece).await;
                }
                outcome = &mut run => break outcome,
            }
        };
        while let Ok(chunk) = pieces.try_recv() {
            let _gone = output.send(Output { call_id: call_id.clone(), chunk }).await;
        }
        let status = status(outcome.status);
        if status == ToolStatus::Denied && !gate.noted.swap(true, Ordering::Relaxed) {
            // What leads out of the workspace is found when it is opened, and no path of it is judged.
            let path = call.facts(self.workspace()).ok().and_then(|facts| facts.path);
            let args = gate.rights.args(call.name(), path.as_deref(), None);
            gate.rights.note(call.name(), &args, Err((UNAUTHORIZED, &outcome.text)));
        }
        Ended::new(call_id, status, outcome.text)
    }

    /// Whether a call may run; what it is about, as its right is judged.
    fn judge(&self, call: &ToolCall) -> Result<Args, Box<Refused>> {
        let Facts { tool, path, argv0, .. } = match call.facts(self.workspace()) {
            Ok(facts) => facts,
            Err(error) => {
                let (status, text) = (denial_or_error(&error), error.to_string());
                if status == ToolStatus::Denied {
                    let args = self.rights.args(call.name(), None, None);
                    self.rights.note(call.name(), &args, Err((UNAUTHORIZED, &text)));
                }
                return Err(Refused::new(status, text));
            }
        };
        let (path, argv0) = (path.as_deref(), argv0.as_deref());
        let args = self.rights.args(tool, path, argv0);
        if !self.chosen(tool) {
            let text = format!("the prompt does not allow the tool {tool}");
            self.rights.note(tool, &args, Err((UNAUTHORIZED, &text)));
            return Err(Refused::new(ToolStatus::Denied, text));
        }
        match self.rights.judge(tool, path, argv0) {
            Ok(()) => Ok(args),
            Err(NotAllowed { denial, author }) => {
                tracing::info!(tool, ?path, %denial, ?author, "a tool call was denied");
                if author.is_none() {
                    self.rights.note(tool, &args, Err((denial.code().name(), &denial.to_string())));
                }
                let elsewhere = author.is_none() && path.is_some() && self.offers(tool);
                let text = match (elsewhere, path) {
                    // No hint: what the owner would type would widen a grant that was kept to some paths.
                    (true, Some(path)) => {
                        format!("denied: {tool} on {path}: the prompter's token reaches other paths only")
                    }
                    _ => denied_words(tool, path, &denial, author),
                };
                let shell = matches!(*denial, Denial::ShellUnderPathScope);
                let (by_token, author) =
                    (author.is_none() && !elsewhere && !shell, author.map(|who| (who, args)));
                Err(Box::new(Refused { status: ToolStatus::Denied, text, by_token, author }))
            }
        }
    }
}

/// Waits until the answer is in the log; not when the call was cancelled meanwhile.
async fn on_record(resolved: ResolvedEvent, leave: &mpsc::Sender<Leave>, cancel: &CancellationToken) -> bool {
    let (written, is_written) = oneshot::channel();
    if leave.send(Leave { resolved, written }).await.is_err() {
        return false;
    }
    tokio::select! {
        written = is_written => written.is_ok(),
        () = cancel.cancelled() => false,
    }
}

impl Refused {
    fn ended(self, call_id: String) -> Ended {
        Ended { by_token: self.by_token, ..Ended::new(call_id, self.status, self.text) }
    }
}

fn denial_or_error(error: &ToolError) -> ToolStatus {
    if error.is_denial() { ToolStatus::Denied } else { ToolStatus::Error }
}

fn status(status: Status) -> ToolStatus {
    match status {
        Status::Ok => ToolStatus::Ok,
        Status::Error => ToolStatus::Error,
        Status::Denied => ToolStatus::Denied,
        Status::Interrupted => ToolStatus::Interrupted,
    }
}
