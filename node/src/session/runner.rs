//! One tool call: judged by the prompter's chain, then run. The gate is asked about the call before it runs,
//! and about the real path of everything that is opened.

use std::sync::Arc;

use clankers_auth::{Args, Command, Denial, Held};
use clankers_protocol::{SessionId, conversation::ToolStatus};
use clankers_tools::{
    Facts, OutputChunk, OutputSink, PathGate, Status, ToolCall, ToolError, Tools, Workspace,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{clock, limits::EFFECT_QUEUE};

/// The tools of a session in one prompter's hands.
#[derive(Debug)]
pub(super) struct Runner {
    tools: Arc<Tools>,
    authority: Authority,
    /// Only these tools, when the prompter said so.
    only: Option<Vec<String>>,
}

/// A prompter's chain in one session.
#[derive(Debug, Clone)]
struct Authority {
    held: Held,
    session: String,
    workspace: String,
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

/// Why a call does not run.
struct Refused {
    status: ToolStatus,
    text: String,
    by_token: bool,
}

/// A piece of a running call's output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) call_id: String,
    pub(super) chunk: OutputChunk,
}

impl Authority {
    /// Judges a use of a tool, of `path` where it names one.
    fn judge(&self, tool: &str, path: Option<&str>, argv0: Option<&str>) -> Result<(), Denial> {
        let args = Args {
            session: Some(self.session.clone()),
            workspace: Some(self.workspace.clone()),
            path: path.map(str::to_owned),
            tool: Some(tool.to_owned()),
            argv0: argv0.map(str::to_owned),
            ..Args::default()
        };
        self.held.authorize_running(clock::now(), Command::for_tool(tool), &args)
    }
}

/// The same question, asked about each path that is really opened.
struct Gate {
    authority: Authority,
    tool: &'static str,
}

impl PathGate for Gate {
    fn allow(&self, path: &str) -> bool {
        self.authority.judge(self.tool, Some(path), None).is_ok()
    }
}

impl Runner {
    pub(super) fn new(tools: Arc<Tools>, held: Held, session: SessionId, only: Option<Vec<String>>) -> Self {
        let workspace = tools.workspace().id().to_owned();
        Self { authority: Authority { held, session: session.to_string(), workspace }, tools, only }
    }

    /// The directory that it works in.
    pub(super) fn workspace(&self) -> &Workspace {
        self.tools.workspace()
    }

    /// Whether a tool is worth offering to the model: it may be used somewhere in the workspace.
    pub(super) fn offers(&self, tool: &str) -> bool {
        let argv0 = (tool == clankers_auth::vocab::SHELL_TOOL).then_some("bash");
        let path = argv0.is_none().then_some(".");
        self.chosen(tool) && self.authority.judge(tool, path, argv0).is_ok()
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
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Ended {
        let call = match ToolCall::parse(name, arguments) {
            Ok(call) => call,
            Err(error) => {
                let text = error.to_string();
                return Ended { call_id, status: ToolStatus::Error, text, by_token: false };
            }
        };
        self.run_parsed(call_id, &call, output, cancel).await
    }

    /// [`Runner::run`] for a call that was parsed already.
    pub(super) async fn run_parsed(
        &self,
        call_id: String,
        call: &ToolCall,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Ended {
        if let Err(Refused { status, text, by_token }) = self.judge(call) {
            return Ended { call_id, status, text, by_token };
        }
        let gate = Gate { authority: self.authority.clone(), tool: call.name() };
        let (sink, mut pieces) = mpsc::channel(EFFECT_QUEUE);
        let run = self.tools.run(call, Arc::new(gate), OutputSink::new(sink), cancel);
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
        Ended { call_id, status: status(outcome.status), text: outcome.text, by_token: false }
    }

    fn judge(&self, call: &ToolCall) -> Result<(), Refused> {
        let Facts { tool, path, argv0, .. } = match call.facts(self.workspace()) {
            Ok(facts) => facts,
            Err(error) => {
                let (status, text) = (denial_or_error(&error), error.to_string());
                return Err(Refused { status, text, by_token: false });
            }
        };
        if !self.chosen(tool) {
            let text = format!("the prompt does not allow the tool {tool}");
            return Err(Refused { status: ToolStatus::Denied, text, by_token: false });
        }
        match self.authority.judge(tool, path.as_deref(), argv0.as_deref()) {
            Ok(()) => Ok(()),
            Err(denial) => {
                tracing::info!(tool, ?path, %denial, "a tool call was denied");
                let text = denied_words(tool, path.as_deref(), &denial);
                Err(Refused { status: ToolStatus::Denied, text, by_token: true })
            }
        }
    }
}

fn denied_words(tool: &str, path: Option<&str>, denial: &Denial) -> String {
    let on = path.filter(|path| *path != ".").map(|path| format!(" on {path}")).unwrap_or_default();
    let why = match denial.code() {
        clankers_protocol::refusal::RefusalCode::Unauthorized => "the prompter's token does not allow it",
        code => code.meaning(),
    };
    format!("denied: {tool}{on}: {why}")
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
