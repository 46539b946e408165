//! A session: one log, one writer, any number of listeners.
//!
//! - [`actor`]: the one writer: takes prompts, writes them down, runs them one after the other
//! - [`turn`]: runs one prompt: the agent's machine in, models and tools out
//! - [`bill`]: what each call of the model is charged
//! - [`direct`]: runs a tool that the prompter named, without a model
//! - [`runner`]: one tool call, judged by the prompter's chain ([`rights`]), then run
//! - [`asking`]: a call that somebody has to allow first
//! - [`feed`]: fan-out; [`subscription`]: one listener's place in it; [`viewer`]: the same for the whole session
//! - [`open_items`]: the text so far of what is unfinished
//! - [`roster`]: who is attached; [`approvals`]: what waits for an answer of theirs
//! - [`steering`]: words for the prompt that runs
//! - [`prompts`]: which event belongs to which prompt
//! - [`unwritable`]: a session while its log cannot be written

pub(crate) mod actor;
pub(crate) mod approvals;
mod asking;
mod bill;
mod direct;
pub(crate) mod feed;
mod open_items;
pub(crate) mod prompts;
mod rights;
pub(crate) mod roster;
mod runner;
mod steering;
pub(crate) mod subscription;
mod turn;
mod unwritable;
pub(crate) mod viewer;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use clankers_agent::{Carried, rebuild};
use clankers_auth::{Args, Held};
use clankers_context::Context as Surroundings;
use clankers_models::Model;
use clankers_protocol::{
    CidDigest, NodeId, PromptId, SessionId, Timestamp,
    conversation::Message,
    event::{Durable, Event, Outcome, SettledEvent},
    request::{
        node::Load,
        prompt::{Ask, PromptLimits},
    },
};
use clankers_store::{LogError, LogReader, NewSession, Running, SessionLog};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::{
    actor::Actor, approvals::Approvals, feed::Feed, prompts::Prompts, rights::Author, roster::Roster,
    subscription::Start,
};
use crate::{clock, context::Context, crowd::Place, limits::ACTOR_QUEUE};

/// A prompt that was allowed and is to run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) prompt_id: PromptId,
    pub(crate) principal: NodeId,
    pub(crate) leaf: Option<CidDigest>,
    pub(crate) text: String,
    pub(crate) model: Model,
    pub(crate) limits: PromptLimits,
    /// The prompter's chain: every tool call and every call of the model is judged by it.
    pub(crate) held: Held,
    /// What the prompt was allowed with: its session, workspace and model.
    pub(crate) args: Args,
    /// Its place among its peer's prompts; none for the owner.
    pub(crate) place: Option<Arc<Place>>,
    /// Its place among those that links of its chain count as running.
    pub(crate) counted: Option<Arc<Running>>,
    /// Words for the running prompt, if one runs that hears them.
    pub(crate) steer: bool,
    /// Which calls somebody has to allow first.
    pub(crate) ask: Ask,
    /// The directory's instructions, skills and agent.
    pub(crate) context: Arc<Surroundings>,
    /// What the prompter should know before it runs.
    pub(crate) notes: Vec<String>,
    /// When the prompter's time limit ends, counted from when the node took the prompt.
    pub(crate) deadline: Instant,
}

/// A prompt that was written down, or had been before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submitted {
    pub(crate) prompt_seq: u64,
    pub(crate) duplicate: bool,
    /// Where its events begin.
    pub(crate) start: Start,
}

/// Why a prompt is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// Too many wait already.
    #[error("{0} prompts wait in this session already; wait, or use another session")]
    Full(usize),
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
    /// The session was killed meanwhile.
    #[error("the session was killed")]
    Killed,
    /// The session was unloaded meanwhile: load it and submit again.
    #[error("the session was unloaded; send the prompt again")]
    Unloaded,
    /// The log cannot be written.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// What a session brings from before it was loaded.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) transcript: Vec<Message>,
    pub(crate) carried: Carried,
    /// Whose words are in it; the owner's need no leave.
    authors: BTreeMap<NodeId, Author>,
}

/// What a session's actor is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run this.
    Submit(Box<Job>, oneshot::Sender<Result<Submitted, SubmitError>>),
    /// Cancel a prompt; answers whether there was one.
    Cancel(Which, oneshot::Sender<bool>),
    /// Cancel everything and end.
    Close,
}

/// Which prompt is meant, by whom.
#[derive(Debug, Clone)]
pub(crate) struct Which {
    /// Only a prompt of this principal; the owner means anybody's.
    pub(crate) principal: Option<NodeId>,
    /// The prompt with this id, or the running one.
    pub(crate) prompt_id: Option<PromptId>,
}

impl Which {
    fn means(&self, principal: NodeId, prompt_id: &PromptId) -> bool {
        self.principal.is_none_or(|own| own == principal)
            && self.prompt_id.as_ref().is_none_or(|id| id == prompt_id)
    }
}

/// What a session is doing, for listings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) running: bool,
    pub(crate) queued: usize,
    pub(crate) model: String,
}

/// A loaded session, as everybody but its actor sees it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) cwd: String,
    reader: LogReader,
    feed: Feed,
    pub(crate) roster: Roster,
    pub(crate) approvals: Approvals,
    prompts: Mutex<Prompts>,
    status: Mutex<Status>,
    commands: mpsc::Sender<Command>,
    /// Cancelled when the actor has ended and the log is closed.
    pub(crate) ended: CancellationToken,
    /// Ask an idle actor to end.
    unload: CancellationToken,
}

impl Session {
    /// Makes a session and starts its actor. Blocks on the disk.
    pub(crate) fn create(context: &Arc<Context>, new: &NewSession) -> Result<Arc<Self>, LogError> {
        let log = SessionLog::create(&context.home, new, clock::now())?;
        Ok(Self::run(context, log, Prompts::default(), Past::default()))
    }

    /// Loads a session, closes what a crash left open, and starts its actor. When the disk takes nothing now, it is
    /// there to be read. Blocks on the disk.
    pub(crate) fn load(context: &Arc<Context>, id: SessionId) -> Result<Arc<Self>, LogError> {
        let (log, prompts, events) = match Self::open_log(context, id) {
            Ok(opened) => opened,
            Err(error) => return unwritable::open(context, id, error),
        };
        let rebuilt = rebuild(&events);
        let me = context.authority.me();
        let authors = events.iter().filter_map(author).filter(|who| *who != me);
        let authors = authors.map(|who| (who, Author::Unknown(who))).collect();
        let past = Past { transcript: rebuilt.messages, carried: rebuilt.carried, authors };
        Ok(Self::run(context, log, prompts, past))
    }

    /// Opens a log and closes what a crash left open in it.
    fn open_log(
        context: &Arc<Context>,
        id: SessionId,
    ) -> Result<(SessionLog, Prompts, Vec<Event>), LogError> {
        let mut events = Vec::new();
        let mut prompts = Prompts::default();
        let mut log = SessionLog::open_with(&context.home, id, clock::now(), |durable: Durable| {
            prompts.replay(&durable);
            events.push(durable.event);
        })?;
        let closing = closing_events(&events, &prompts);
        if !closing.is_empty() {
            for durable in log.append(&closing, clock::now())? {
                prompts.replay(&durable);
                events.push(durable.event);
            }
        }
        Ok((log, prompts, events))
    }

    fn run(context: &Arc<Context>, log: SessionLog, prompts: Prompts, past: Past) -> Arc<Self> {
        let (session, inbox) = Self::over(log.reader(), prompts);
        let actor = Actor::new(Arc::clone(context), Arc::clone(&session), log, past, inbox);
        context.tasks.spawn(actor.run());
        session
    }

    /// A session that is seen through this reader, and what it is told.
    fn over(reader: LogReader, prompts: Prompts) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let header = reader.header().clone();
        let (commands, inbox) = mpsc::channel(ACTOR_QUEUE);
        let session = Arc::new(Self {
            id: header.session,
            cwd: header.cwd,
            feed: Feed::new(reader.head_seq() + 1),
            roster: Roster::default(),
            approvals: Approvals::default(),
            reader,
            prompts: Mutex::new(prompts),
            status: Mutex::new(Status { model: header.model, ..Status::default() }),
            commands,
            ended: CancellationToken::new(),
            unload: CancellationToken::new(),
        });
        (session, inbox)
    }

    /// Asks the actor to run a prompt; answered when it is on the disk. `sent` is told when the actor has it.
    pub(crate) async fn submit(
        &self,
        job: Job,
        sent: &mut Option<oneshot::Sender<()>>,
    ) -> Result<Submitted, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let handed = self.commands.send(Command::Submit(Box::new(job), reply)).await;
        handed.map_err(|_| SubmitError::Unloaded)?;
        if let Some(sent) = sent.take() {
            let _gone = sent.send(());
        }
        answer.await.unwrap_or(Err(SubmitError::Unloaded))
    }

    /// Cancels a prompt, or the running one; says whether there was one.
    pub(crate) async fn cancel(&self, which: Which) -> bool {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Cancel(which, reply)).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// Cancels a prompt when the returned guard is dropped, unless it is disarmed before.
    pub(crate) fn cancel_on_drop(self: &Arc<Self>, which: Which) -> CancelOnDrop {
        CancelOnDrop(Some((Arc::clone(self), which)))
    }

    /// What it is doing.
    pub(crate) fn status(&self) -> Status {
        self.lock_status().clone()
    }

    /// Seq of its last durable event.
    pub(crate) fn head_seq(&self) -> u64 {
        self.feed.end().1 - 1
    }

    /// Adds what it is at to what others are at.
    pub(crate) fn weigh(&self, load: &mut Load) {
        let status = self.status();
        let (events, frames, bytes) = self.feed.depth();
        load.loaded += 1;
        load.viewers += self.roster.count() as u64;
        load.running += u64::from(status.running);
        load.queued += status.queued as u64;
        load.pending += self.approvals.pending().len() as u64;
        load.events += events;
        load.ring_frames += frames as u64;
        load.ring_bytes += bytes as u64;
    }

    /// Who listens.
    pub(crate) fn listeners(&self) -> usize {
        self.feed.subscribers()
    }

    /// Whether its actor has ended: it is to be loaded anew.
    pub(crate) fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    /// Whether nothing runs, waits or listens.
    pub(crate) fn is_idle(&self) -> bool {
        let status = self.lock_status();
        !status.running && status.queued == 0 && self.listeners() == 0
    }

    /// Asks an idle actor to end, to make room.
    pub(crate) fn unload(&self) {
        self.unload.cancel();
    }

    /// Cancels everything and ends the actor.
    pub(crate) async fn close(&self) {
        // An actor that is gone has closed already.
        let _gone = self.commands.send(Command::Close).await;
    }

    fn lock_status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_prompts(&self) -> MutexGuard<'_, Prompts> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Session::cancel_on_drop`].
#[derive(Debug)]
pub(crate) struct CancelOnDrop(Option<(Arc<Session>, Which)>);

impl CancelOnDrop {
    /// The prompt has ended: nothing is to be cancelled.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some((session, which)) = self.0.take() {
            // The runtime's own task: whoever drops this may be ending himself.
            let cancel = async move { session.cancel(which).await };
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(cancel);
            }
        }
    }
}

/// Whose words an event brings into the conversation.
fn author(event: &Event) -> Option<NodeId> {
    match event {
        Event::Prompt(prompt) => Some(prompt.principal),
        Event::Steered(steer) => Some(steer.principal),
        _ => None,
    }
}

/// What closes the prompts and calls that a crash left open: results that say that nobody knows, and an end
/// for each prompt. Nothing of them is run again.
fn closing_events(events: &[Event], prompts: &Prompts) -> Vec<Event> {
    let lost = rebuild(events).lost.into_iter().map(Event::ToolResult);
    let settle =
        prompts.unsettled().map(|entry| Event::Settled(interrupted(entry.prompt_id.clone(), entry.seq)));
    lost.chain(settle).collect()
}

fn interrupted(prompt_id: PromptId, prompt_seq: u64) -> SettledEvent {
    SettledEvent {
        prompt_id,
        prompt_seq,
        outcome: Outcome::Interrupted,
        reason: Some("the node stopped while this prompt was open; what it did until then was done".into()),
        usage: clankers_protocol::conversation::Usage::default(),
        cost: None,
    }
}

/// When an event happened, for whoever makes a log entry.
pub(crate) fn stamp() -> Timestamp {
    clock::now()
}
