//! The one writer of a session: takes prompts, writes them down, runs them one after the other.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use clankers_agent::Carried;
use clankers_protocol::{
    NodeId,
    conversation::Message,
    event::{Delta, DeltaKind, Durable, Event, Outcome, PromptEvent, SettledEvent, SteerEvent, StreamItem},
    frame,
    limits::FRAME_BYTES,
    message::Message as _,
    refusal::{Refusal, RefusalCode},
};
use clankers_store::{DiskKind, LogError, SessionLog};
use clankers_tools::Tools;
use tokio::sync::{mpsc, oneshot};

use super::{
    Command, Job, Past, Session, SubmitError, Submitted, interrupted,
    rights::Author,
    stamp,
    steering::{Now, Unheard},
    subscription::Start,
};
use crate::{
    context::Context,
    limits::{RING_IDLE, SESSION_IDLE},
};

/// A prompt that waits for its turn.
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) job: Job,
}

/// A session's actor. It ends when the node stops, when nothing happens for a while, and when its log fails.
pub(crate) struct Actor {
    pub(super) context: Arc<Context>,
    pub(super) session: Arc<Session>,
    log: Arc<Mutex<SessionLog>>,
    queue: VecDeque<Waiting>,
    pub(super) transcript: Vec<Message>,
    /// Whose words are in the live context; the owner's need no leave.
    authors: BTreeMap<NodeId, Author>,
    /// What the turns hand on to each other beside the transcript.
    pub(super) carried: Carried,
    /// Words that the running turn was given.
    pub(super) unheard: Vec<Unheard>,
    /// Notes that were said already.
    pub(super) told: BTreeSet<String>,
    /// Opened at the first use, kept for what it remembers.
    pub(super) tools: Option<Arc<Tools>>,
    inbox: mpsc::Receiver<Command>,
    /// Somebody killed the session.
    closing: bool,
}

/// A command that came while a prompt runs, as far as that prompt is concerned.
pub(super) enum Aside {
    /// It was for others.
    Handled,
    /// The running prompt is to be cancelled.
    CancelRunning,
    /// The running turn is to hear this.
    Steer(SteerEvent),
}

impl Actor {
    pub(super) fn new(
        context: Arc<Context>,
        session: Arc<Session>,
        log: SessionLog,
        past: Past,
        inbox: mpsc::Receiver<Command>,
    ) -> Self {
        let Past { transcript, carried, authors } = past;
        let log = Arc::new(Mutex::new(log));
        Self {
            context,
            session,
            log,
            queue: VecDeque::new(),
            transcript,
            authors,
            carried,
            unheard: Vec::new(),
            told: BTreeSet::new(),
            tools: None,
            inbox,
            closing: false,
        }
    }

    /// Runs until it ends; what is open then is closed in the log as far as the log can be written.
    pub(crate) async fn run(self) {
        // Locals are dropped in reverse: the log's lock goes before anybody hears that the actor has ended, on a
        // panic too.
        let _ended = self.session.ended.clone().drop_guard();
        let mut actor = self;
        if let Err(error) = actor.serve().await {
            tracing::error!(session = %actor.session.id.short(), %error, "the session's log failed");
            actor.fail_all(&error);
        }
        // Whoever was just about to submit loads the session anew: nothing runs after this.
        actor.inbox.close();
        while let Ok(command) = actor.inbox.try_recv() {
            if let Command::Submit(_, reply) = command {
                let killed = if actor.closing { SubmitError::Killed } else { SubmitError::Unloaded };
                let _gone = reply.send(Err(killed));
            }
        }
    }

    async fn serve(&mut self) -> Result<(), LogError> {
        loop {
            if self.context.draining.is_cancelled() {
                return self.settle_waiting(Outcome::Interrupted).await;
            }
            if self.closing {
                return self.settle_waiting(Outcome::Cancelled).await;
            }
            if let Some(next) = self.queue.pop_front() {
                self.run_prompt(next).await?;
                continue;
            }
            let (draining, unload) = (self.context.draining.clone(), self.session.unload.clone());
            let idle = async {
                tokio::time::sleep(RING_IDLE).await;
                // Nobody reads it; whoever comes reads the log.
                self.session.feed.trim();
                tokio::time::sleep(SESSION_IDLE).await;
                // A viewer keeps a session loaded.
                while self.session.listeners() > 0 {
                    tokio::time::sleep(SESSION_IDLE).await;
                }
            };
            let command = tokio::select! {
                command = self.inbox.recv() => command,
                () = draining.cancelled() => continue,
                () = unload.cancelled() => return Ok(()),
                () = idle => return Ok(()),
            };
            match command {
                Some(command) => {
                    self.take(command, None).await?;
                }
                None => return Ok(()),
            }
        }
    }

    async fn run_prompt(&mut self, next: Waiting) -> Result<(), LogError> {
        // As the log tells it after a restart, whatever becomes of it.
        self.carried.begin(next.job.model.full_name(), &mut self.transcript);
        if Instant::now() >= next.job.deadline {
            let settled = SettledEvent {
                outcome: Outcome::TimedOut,
                reason: Some("its time was up before its turn came".into()),
                ..interrupted(next.job.prompt_id, next.seq)
            };
            self.append(next.seq, vec![Event::Settled(settled)]).await?;
            self.status(|_| ());
            return Ok(());
        }
        let first = self.session.head_seq() + 1;
        self.session.lock_prompts().start(next.seq, first);
        self.status(|status| {
            status.running = true;
            status.model = next.job.model.full_name().to_owned();
        });
        let (seq, prompt_id) = (next.seq, next.job.prompt_id.clone());
        if !next.job.held.is_owner() {
            self.set_author(next.job.principal, Author::Known(next.job.held.clone()));
        }
        // Its peer has it back when the end is written.
        let _place = next.job.place.clone();
        let _counted = next.job.counted.clone();
        let settled = match clankers_tools::ToolCall::from_words(&next.job.text) {
            Some(call) => self.run_direct(next, call).await,
            None => self.run_turn(next).await,
        };
        let settled = settled?;
        debug_assert_eq!(settled.prompt_id, prompt_id);
        self.append(seq, vec![Event::Settled(settled)]).await?;
        self.status(|status| status.running = false);
        Ok(())
    }

    /// Whose words are in the live context besides this principal's. What these were allowed last is what counts.
    pub(super) fn other_authors(&self, prompter: NodeId) -> Vec<Author> {
        self.authors.iter().filter(|(who, _)| **who != prompter).map(|(_, author)| author.clone()).collect()
    }

    /// Handles one command; `running` is the prompt that runs.
    pub(super) async fn take(
        &mut self,
        command: Command,
        running: Option<Now<'_>>,
    ) -> Result<Aside, LogError> {
        match command {
            Command::Submit(job, reply) => Ok(self.come(*job, reply, running).await),
            Command::Close => {
                self.closing = true;
                Ok(if running.is_some() { Aside::CancelRunning } else { Aside::Handled })
            }
            Command::Cancel(wanted, reply) => {
                let hit = running.is_some_and(|now| wanted.means(now.principal, now.prompt_id));
                if hit {
                    let _gone = reply.send(true);
                    return Ok(Aside::CancelRunning);
                }
                let named = wanted.prompt_id.is_some();
                let means = |job: &Job| named && wanted.means(job.principal, &job.prompt_id);
                let hit = self.cancel_waiting(means, "cancelled before its turn came").await?;
                let _gone = reply.send(hit);
                Ok(Aside::Handled)
            }
        }
    }

    /// Settles the first prompt that waits and is meant; whether there is one.
    pub(super) async fn cancel_waiting(
        &mut self,
        means: impl Fn(&Job) -> bool,
        why: &str,
    ) -> Result<bool, LogError> {
        let place = self.queue.iter().position(|waiting| means(&waiting.job));
        let Some(waiting) = place.and_then(|at| self.queue.remove(at)) else { return Ok(false) };
        let settled = SettledEvent {
            outcome: Outcome::Cancelled,
            reason: Some(why.to_owned()),
            ..interrupted(waiting.job.prompt_id, waiting.seq)
        };
        self.append(waiting.seq, vec![Event::Settled(settled)]).await?;
        self.status(|_| ());
        Ok(true)
    }

    /// Writes a prompt down and queues it, unless it was sent before.
    pub(super) async fn accept(&mut self, job: Job, reply: oneshot::Sender<Result<Submitted, SubmitError>>) {
        let answer = self.write_down(job).await;
        let _gone = reply.send(answer);
    }

    /// Whether it was written down before, as a prompt or as words that a model heard.
    pub(super) fn knows(&self, job: &Job) -> bool {
        let prompts = self.session.lock_prompts();
        prompts.find(job.principal, &job.prompt_id).is_some()
            || prompts.find_steered(job.principal, &job.prompt_id).is_some()
    }

    /// Whether prompts are still taken.
    pub(super) fn takes_prompts(&self) -> bool {
        !self.closing && !self.context.draining.is_cancelled()
    }

    /// These words are in the live context from now on.
    pub(super) fn set_author(&mut self, who: NodeId, author: Author) {
        self.authors.insert(who, author);
    }

    pub(super) async fn write_down(&mut self, job: Job) -> Result<Submitted, SubmitError> {
        let known = self.session.lock_prompts().find(job.principal, &job.prompt_id).cloned();
        if let Some(entry) = known {
            let (index, next_seq) = self.session.feed.end();
            let seq = entry.started.unwrap_or(next_seq);
            let start = Start { seq, log_until: next_seq, index };
            return Ok(Submitted { prompt_seq: entry.seq, duplicate: true, start });
        }
        let steered = self.session.lock_prompts().find_steered(job.principal, &job.prompt_id);
        if let Some((prompt_seq, seq)) = steered {
            let (index, next_seq) = self.session.feed.end();
            let start = Start { seq, log_until: next_seq, index };
            return Ok(Submitted { prompt_seq, duplicate: true, start });
        }
        if self.closing {
            return Err(SubmitError::Killed);
        }
        if self.context.draining.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        if self.queue.len() >= self.context.limits.max_queue {
            return Err(SubmitError::Full(self.queue.len()));
        }
        let event = Event::Prompt(PromptEvent {
            prompt_id: job.prompt_id.clone(),
            principal: job.principal,
            leaf: job.leaf,
            text: job.text.clone(),
            model: job.model.full_name().to_owned(),
        });
        // A prompt's own event is nobody's stream: it is tagged with no prompt.
        let durables = self.append(0, vec![event]).await?;
        let seq = durables.first().map_or(0, |durable| durable.seq);
        self.session.lock_prompts().accept(job.principal, job.prompt_id.clone(), seq);
        let (index, next_seq) = self.session.feed.end();
        self.queue.push_back(Waiting { seq, job });
        self.status(|_| ());
        let start = Start { seq: next_seq, log_until: next_seq, index };
        Ok(Submitted { prompt_seq: seq, duplicate: false, start })
    }

    /// Appends, then announces: nobody hears of an event that is not on the disk.
    pub(super) async fn append(
        &mut self,
        prompt_seq: u64,
        events: Vec<Event>,
    ) -> Result<Vec<Durable>, LogError> {
        let log = Arc::clone(&self.log);
        let write = move || log.lock().unwrap_or_else(PoisonError::into_inner).append(&events, stamp());
        let written = tokio::task::spawn_blocking(write).await;
        let durables = match written {
            Ok(durables) => durables?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        if let Some(settled) = durables.iter().find(|d| matches!(d.event, Event::Settled(_))) {
            self.session.lock_prompts().settle(prompt_seq, settled.seq);
        }
        self.session.feed.publish(durables.iter().map(|d| (prompt_seq, StreamItem::Durable(d.clone()))));
        self.heard(prompt_seq, &durables);
        Ok(durables)
    }

    /// Announces live pieces.
    pub(super) fn announce(&self, prompt_seq: u64, kind: DeltaKind, delta: Delta) {
        self.session.feed.publish([(prompt_seq, StreamItem::Live(kind, delta))]);
    }

    /// The next command. Cancel-safe.
    pub(super) async fn command(&mut self) -> Option<Command> {
        self.inbox.recv().await
    }

    pub(super) fn status(&self, change: impl FnOnce(&mut super::Status)) {
        let mut status = self.session.lock_status();
        change(&mut status);
        // Words that nobody has heard wait as well.
        status.queued = self.queue.len() + self.unheard.len();
    }

    /// The node stops, or the session was killed: what waits is closed.
    async fn settle_waiting(&mut self, outcome: Outcome) -> Result<(), LogError> {
        while let Some(waiting) = self.queue.pop_front() {
            let mut settled = interrupted(waiting.job.prompt_id, waiting.seq);
            if outcome == Outcome::Cancelled {
                settled.outcome = outcome;
                settled.reason = Some("the session was killed".into());
            }
            self.append(waiting.seq, vec![Event::Settled(settled)]).await?;
        }
        Ok(())
    }

    /// The log cannot be written: whoever waits for an open prompt is told, and the next load closes them.
    fn fail_all(&mut self, error: &LogError) {
        let open: Vec<(u64, NodeId)> =
            self.session.lock_prompts().unsettled().map(|entry| (entry.seq, entry.principal)).collect();
        for (seq, principal) in open {
            // The error itself, with its paths, is in the node's log.
            let words = match error.disk_kind() {
                Some(_) => "the node's disk failed while the prompt ran",
                None => "the session's log failed while the prompt ran",
            };
            let refusal = Refusal::new(RefusalCode::NodeTrouble, words, principal)
                .hint(error.disk_kind().map_or("what was done until then stays done", DiskKind::hint))
                .hint("the whole reason is in the log of that node: 'clankers daemon logs'");
            let Ok(frame) = frame::encode(Refusal::KIND, &refusal.encode(), FRAME_BYTES) else { continue };
            self.session.feed.publish_last(seq, frame);
        }
        self.status(|status| status.running = false);
    }
}
