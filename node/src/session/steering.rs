//! Words for a prompt that runs: they wait in the turn until the model hears them, and are acknowledged then, when
//! they are in the log. What nobody heard becomes a prompt of its own.

use clankers_protocol::{
    NodeId, PromptId,
    event::{Durable, Event, SteerEvent},
};
use clankers_store::LogError;
use tokio::sync::oneshot;

use super::{
    Job, SubmitError, Submitted,
    actor::{Actor, Aside},
    rights::Author,
    subscription::Start,
};

/// Who waits to hear that words were taken.
pub(super) type Reply = oneshot::Sender<Result<Submitted, SubmitError>>;

/// Words that the running turn was given, and that no model has heard yet.
pub(super) struct Unheard {
    job: Job,
    /// Whoever sent them, again and again if need be.
    replies: Vec<Reply>,
}

/// The prompt that runs.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) principal: NodeId,
    pub(super) prompt_id: &'a PromptId,
    /// A model answers it: a tool that was named directly hears no words.
    pub(super) listens: bool,
}

impl Now<'_> {
    /// Whether these words go into it. The running prompt's rights and money are its prompter's: only they and the
    /// owner go on in it; anybody else's words are a prompt of their own.
    fn hears(&self, job: &Job) -> bool {
        self.listens && job.steer && (job.held.is_owner() || job.principal == self.principal)
    }
}

impl Actor {
    /// A prompt came. Words for the running one are handed to it; everything else is written down and waits.
    pub(super) async fn come(&mut self, job: Job, reply: Reply, running: Option<Now<'_>>) -> Aside {
        let hears = running.is_some_and(|now| now.hears(&job)) && self.takes_prompts();
        if !hears || self.knows(&job) {
            self.accept(job, reply).await;
            return Aside::Handled;
        }
        let same = |unheard: &&mut Unheard| {
            unheard.job.principal == job.principal && unheard.job.prompt_id == job.prompt_id
        };
        if let Some(unheard) = self.unheard.iter_mut().find(same) {
            unheard.replies.retain(|reply| !reply.is_closed());
            unheard.replies.push(reply);
            return Aside::Handled;
        }
        let event = SteerEvent {
            prompt_id: job.prompt_id.clone(),
            principal: job.principal,
            leaf: job.leaf,
            text: job.text.clone(),
        };
        self.unheard.push(Unheard { job, replies: vec![reply] });
        self.status(|_| ());
        Aside::Steer(event)
    }

    /// Events were written: the authors of words that a model now hears are told.
    pub(super) fn heard(&mut self, prompt_seq: u64, durables: &[Durable]) {
        for durable in durables {
            let Event::Steered(steer) = &durable.event else { continue };
            let (principal, id) = (steer.principal, steer.prompt_id.clone());
            self.session.lock_prompts().steered(principal, id, prompt_seq, durable.seq);
            let Some(Unheard { job, replies }) = self.take_unheard(steer) else { continue };
            if !job.held.is_owner() {
                self.set_author(job.principal, Author::Known(job.held));
            }
            let (index, next_seq) = self.session.feed.end();
            let start = Start { seq: durable.seq, log_until: next_seq, index };
            answer(replies, Submitted { prompt_seq, duplicate: false, start });
        }
    }

    /// Nobody heard these words: they are a prompt now.
    pub(super) async fn queue_unheard(&mut self, steer: &SteerEvent) {
        let Some(Unheard { job, replies }) = self.take_unheard(steer) else { return };
        match self.write_down(job).await {
            Ok(submitted) => answer(replies, submitted),
            Err(error) => {
                // The first is told why, the others that they should ask again.
                if let Some(reply) = replies.into_iter().next() {
                    let _gone = reply.send(Err(error));
                }
            }
        }
    }

    /// Nobody heard these words, and the prompt that they were for was stopped: they are written down, and do not run.
    pub(super) async fn cancel_unheard(&mut self, steer: &SteerEvent) -> Result<(), LogError> {
        self.queue_unheard(steer).await;
        let means = |job: &Job| job.principal == steer.principal && job.prompt_id == steer.prompt_id;
        self.cancel_waiting(means, "the prompt that they were for was stopped before it heard them")
            .await
            .map(drop)
    }

    fn take_unheard(&mut self, steer: &SteerEvent) -> Option<Unheard> {
        let means = |unheard: &Unheard| {
            unheard.job.principal == steer.principal && unheard.job.prompt_id == steer.prompt_id
        };
        let place = self.unheard.iter().position(means)?;
        let unheard = self.unheard.remove(place);
        self.status(|_| ());
        Some(unheard)
    }
}

fn answer(replies: Vec<Reply>, submitted: Submitted) {
    for (nth, reply) in replies.into_iter().enumerate() {
        let _gone = reply.send(Ok(Submitted { duplicate: submitted.duplicate || nth > 0, ..submitted }));
    }
}
