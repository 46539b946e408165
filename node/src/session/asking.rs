//! Calls that somebody who is attached has to allow first: because the prompter or the owner wants it so, or because
//! the words of one who may not do it stand in the session.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clankers_auth::{Args, Command};
use clankers_protocol::{
    NodeId,
    event::ResolvedEvent,
    message::Ext,
    request::{attach::Pending, prompt::Ask},
    text,
};
use clankers_tools::ToolCall;
use tokio_util::sync::CancellationToken;

use super::{Session, actor::Waiting, stamp};
use crate::limits::{ASK_WAIT, ASK_WHAT_BYTES};

/// What one prompt has to ask for.
#[derive(Debug)]
pub(super) struct Asking {
    session: Arc<Session>,
    ask: Ask,
    prompt_seq: u64,
    principal: NodeId,
    deadline: Instant,
}

impl Asking {
    pub(super) fn new(session: Arc<Session>, next: &Waiting) -> Self {
        let (prompt_seq, principal) = (next.seq, next.job.principal);
        Self { session, ask: next.job.ask, prompt_seq, principal, deadline: next.job.deadline }
    }

    /// Whether calls of this tool wait for leave.
    pub(super) fn wants(&self, tool: &str) -> bool {
        let shell = Command::for_tool(tool) == Command::ShellExec;
        match self.ask {
            Ask::Never => false,
            Ask::Shell => shell,
            Ask::Writes => shell || clankers_tools::specs().iter().any(|s| s.name == tool && !s.read_only),
        }
    }

    /// Asks, and waits for the answer; an error when the call was cancelled meanwhile, which withdraws the question.
    pub(super) async fn ask(
        &self,
        call_id: &str,
        call: &ToolCall,
        arguments: &str,
        args: Args,
        author: Option<NodeId>,
        cancel: &CancellationToken,
    ) -> Result<ResolvedEvent, ()> {
        let left = self.deadline.saturating_duration_since(Instant::now()).min(ASK_WAIT);
        let why = author.map_or_else(String::new, |who| {
            format!(" (words of {} are in this session, who may not do this)", who.short())
        });
        let pending = Pending {
            request: call_id.to_owned(),
            prompt_seq: self.prompt_seq,
            tool: call.name().to_owned(),
            what: format!("{}{why}", text::line(arguments, ASK_WHAT_BYTES)),
            principal: self.principal,
            until: stamp().plus_ms(millis(left)),
            ext: Ext::default(),
        };
        tokio::select! {
            answered = self.session.ask(pending, args) => Ok(ResolvedEvent {
                request: call_id.to_owned(),
                by: answered.by,
                allowed: answered.allowed,
                reason: answered.reason,
            }),
            () = cancel.cancelled() => Err(()),
        }
    }

    /// What the model is told when nobody allowed it.
    pub(super) fn denied(&self, call: &ToolCall, resolved: &ResolvedEvent, author: Option<NodeId>) -> String {
        let tool = call.name();
        let why = match (&resolved.by, &resolved.reason) {
            (Some(by), _) => format!("{} said no", by.short()),
            (None, Some(reason)) => reason.clone(),
            (None, None) => "nobody allowed it".to_owned(),
        };
        match author {
            Some(who) => format!(
                "denied: {tool}: words of {} are in this session, and they may not do this; {why}; use another session",
                who.short()
            ),
            None => format!("denied: {tool} needs leave here, and {why}"),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
