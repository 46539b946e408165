//! `/grep TODO src`: a tool that the prompter named runs without a model, under the same judgement.

use clankers_agent::rebuild;
use clankers_protocol::{
    conversation::{ToolStatus, Usage},
    event::{Delta, DeltaKind, Event, Outcome, PromptEvent, SettledEvent, ToolCallEvent, ToolResultEvent},
    money::NanoUsd,
};
use clankers_store::LogError;
use clankers_tools::{ToolCall, ToolError};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    actor::{Actor, Aside, Waiting},
    runner::{Ended, Output},
    steering::Now,
};
use crate::limits::EFFECT_QUEUE;

/// Why a direct call was cut short.
#[derive(Clone, Copy)]
enum Cut {
    Cancelled,
    TimedOut,
    Stopped,
    /// The prompter's token ended.
    Ended,
}

impl Actor {
    pub(super) async fn run_direct(
        &mut self,
        next: Waiting,
        call: Result<ToolCall, ToolError>,
    ) -> Result<SettledEvent, LogError> {
        let (outcome, reason) = match call {
            Err(error) => (Outcome::Failed, Some(error.to_string())),
            Ok(call) => match self.runner(&next) {
                Err(reason) => (Outcome::Failed, Some(reason)),
                Ok(runner) => self.run_named(&next, call, runner).await?,
            },
        };
        let cost = Some(NanoUsd(0));
        let (prompt_id, prompt_seq) = (next.job.prompt_id, next.seq);
        Ok(SettledEvent { prompt_id, prompt_seq, outcome, reason, usage: Usage::default(), cost })
    }

    async fn run_named(
        &mut self,
        next: &Waiting,
        call: ToolCall,
        runner: super::runner::Runner,
    ) -> Result<(Outcome, Option<String>), LogError> {
        let asked = ToolCallEvent {
            item: format!("p{}-direct", next.seq),
            message: String::new(),
            name: call.name().to_owned(),
            arguments: call.arguments_json(),
        };
        self.append(next.seq, vec![Event::ToolCall(asked.clone())]).await?;
        let (ended, cut) = self.watch_call(next, &asked.item, &call, &runner).await?;
        let by_token = ended.by_token;
        let result = ToolResultEvent {
            item: asked.item.clone(),
            name: asked.name.clone(),
            status: ended.status,
            text: ended.text,
        };
        self.append(next.seq, vec![Event::ToolResult(result.clone())]).await?;
        self.remember(next, asked, &result);
        let (outcome, reason) = verdict(&result, cut);
        let reason = reason.map(|words| if by_token { advise(words, &result.name, next) } else { words });
        Ok((outcome, reason))
    }

    /// Runs the call while commands are served.
    async fn watch_call(
        &mut self,
        next: &Waiting,
        item: &str,
        call: &ToolCall,
        runner: &super::runner::Runner,
    ) -> Result<(Ended, Option<Cut>), LogError> {
        let cancel = CancellationToken::new();
        let halt = self.context.halt.clone();
        let (output, mut pieces) = mpsc::channel(EFFECT_QUEUE);
        let run = runner.run_parsed(item.to_owned(), call, output, cancel.clone());
        tokio::pin!(run);
        let deadline = Instant::from_std(next.job.deadline);
        let mut cut = None;
        let (authority, held) = (std::sync::Arc::clone(&self.context.authority), next.job.held.clone());
        let ended = authority.ended(&held, Some((self.session.id, next.seq)));
        tokio::pin!(ended);
        loop {
            tokio::select! {
                Some(Output { call_id, chunk }) = pieces.recv() => {
                    let delta = Delta { item: call_id, offset: chunk.offset, text: chunk.text };
                    self.announce(next.seq, DeltaKind::ToolOutput, delta);
                }
                ended = &mut run => {
                    while let Ok(Output { call_id, chunk }) = pieces.try_recv() {
                        let delta = Delta { item: call_id, offset: chunk.offset, text: chunk.text };
                        self.announce(next.seq, DeltaKind::ToolOutput, delta);
                    }
                    return Ok((ended, cut));
                }
                Some(command) = self.command() => {
                    let (principal, prompt_id) = (next.job.principal, &next.job.prompt_id);
                    let running = Now { principal, prompt_id, listens: false };
                    if matches!(self.take(command, Some(running)).await?, Aside::CancelRunning) {
                        cut.get_or_insert(Cut::Cancelled);
                        cancel.cancel();
                    }
                }
                () = tokio::time::sleep_until(deadline), if cut.is_none() => {
                    cut = Some(Cut::TimedOut);
                    cancel.cancel();
                }
                denial = &mut ended, if cut.is_none() => {
                    tracing::info!(%denial, "a token ended under a tool");
                    cut = Some(Cut::Ended);
                    cancel.cancel();
                }
                () = halt.cancelled(), if cut.is_none() => {
                    cut = Some(Cut::Stopped);
                    cancel.cancel();
                }
            }
        }
    }

    /// What a model is told of it later.
    fn remember(&mut self, next: &Waiting, call: ToolCallEvent, result: &ToolResultEvent) {
        let prompt = PromptEvent {
            prompt_id: next.job.prompt_id.clone(),
            principal: next.job.principal,
            leaf: next.job.leaf,
            text: next.job.text.clone(),
            model: next.job.model.full_name().to_owned(),
        };
        let events = [Event::Prompt(prompt), Event::ToolCall(call), Event::ToolResult(result.clone())];
        self.transcript.extend(rebuild(&events).messages);
    }
}

/// What the prompter's owner could ask for, on a line of its own.
fn advise(words: String, tool: &str, next: &Waiting) -> String {
    let principal = next.job.principal;
    format!("{words}\nthe node's owner can allow it: clankers token create --for {principal} --tools {tool}")
}

fn verdict(result: &ToolResultEvent, cut: Option<Cut>) -> (Outcome, Option<String>) {
    let text = || Some(result.text.clone());
    match (result.status, cut) {
        (ToolStatus::Ok, _) => (Outcome::Completed, None),
        (ToolStatus::Denied, _) => (Outcome::Denied, text()),
        (ToolStatus::Interrupted, Some(Cut::TimedOut)) => (Outcome::TimedOut, Some("its time was up".into())),
        (ToolStatus::Interrupted, Some(Cut::Ended)) => {
            (Outcome::Denied, Some("the prompter's token ended".into()))
        }
        (ToolStatus::Interrupted, Some(Cut::Stopped)) => {
            (Outcome::Interrupted, Some("the node stopped".into()))
        }
        (ToolStatus::Interrupted, _) => (Outcome::Cancelled, Some("cancelled".into())),
        (ToolStatus::Error, _) => (Outcome::Failed, text()),
    }
}
