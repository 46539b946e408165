//! Prompts: taken, written down, run, and their events sent to whoever asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clankers_auth::{Args, Asks, Command, Grant, Held};
use clankers_mesh::{FrameReader, FrameWriter};
use clankers_models::Model;
use clankers_protocol::{
    SessionId,
    message::Ext,
    refusal::{CloseCode, Refusal, RefusalCode},
    request::prompt::{
        Accepted, Ask, EXT_ASK, EXT_FRESH_ID, Prompt, PromptCancel, PromptCancelled, SessionChoice, When,
    },
};
use clankers_store::{PromptPlace, Running};
use tokio::sync::oneshot;

use super::Answer;
use crate::{
    crowd,
    door::Caller,
    hall::Hall,
    limits::{GOODBYE, LAST_WORDS, PROMPT_TIME_MAX, PROMPTS_PER_PEER, SUBMIT_TRIES},
    select,
    session::{CancelOnDrop, Job, Session, SubmitError, Submitted, Which},
    sessions::{SessionError, Sessions},
    settings::Settings,
    surroundings::{self, Found},
    trouble,
};

/// A prompt that was taken, and its session.
struct Taken {
    session: Arc<Session>,
    submitted: Submitted,
    /// The chain that the prompt was taken under.
    held: Held,
    /// Cancels the prompt when its listener goes, where it asked for that.
    guard: Option<CancelOnDrop>,
}

pub(super) async fn run(caller: &Caller, prompt: Prompt, reader: FrameReader, writer: &mut FrameWriter) {
    let cancel_on_close = prompt.cancel_on_close;
    // A client that goes away now must not leave a prompt that is half taken.
    let own = caller.clone();
    let mut taken = match caller.to_the_end(async move { take(&own, prompt, None).await }).await {
        Ok(taken) => taken,
        Err(refusal) => return super::refuse(writer, &refusal).await,
    };
    let guard = taken.guard.take();
    let (end, ending) = oneshot::channel();
    let over = async {
        let prompt = Some((taken.session.id, taken.submitted.prompt_seq));
        let refusal = caller.ended_of(&taken.held, Command::PromptSend, prompt).await;
        // The prompt's own end, which the same token's end brings about, says more: it has a moment to come first.
        tokio::time::sleep(LAST_WORDS).await;
        let _gone = end.send(refusal);
        tokio::time::sleep(GOODBYE).await;
    };
    let delivered = tokio::select! {
        delivered = deliver(caller, &taken, ending, writer) => delivered,
        () = closed(reader), if cancel_on_close => None,
        // Who does not read is cut off.
        () = over => {
            writer.stream().reset(u32::from(CloseCode::AuthorityEnded.number()));
            None
        }
    };
    if let (Some(guard), Some(())) = (guard, delivered) {
        guard.disarm();
    }
}

/// Takes what an attached viewer typed, as its prompt: seq of its event, and whether it was there before.
/// `sent` is told when the session has it.
pub(super) async fn take_input(
    caller: &Caller,
    prompt: Prompt,
    sent: Option<oneshot::Sender<()>>,
) -> Answer<(u64, bool)> {
    let taken = take(caller, prompt, sent).await?;
    Ok((taken.submitted.prompt_seq, taken.submitted.duplicate))
}

/// Sends the prompt's events until it is settled; `None` when the stream broke before.
async fn deliver(
    caller: &Caller,
    taken: &Taken,
    mut ending: oneshot::Receiver<Box<Refusal>>,
    writer: &mut FrameWriter,
) -> Option<()> {
    let accepted = Accepted {
        session: taken.session.id,
        prompt_seq: taken.submitted.prompt_seq,
        duplicate: taken.submitted.duplicate,
        ext: Ext::default(),
    };
    let mut listener = taken.session.subscribe(taken.submitted.prompt_seq, taken.submitted.start);
    writer.send(&accepted).await.ok()?;
    loop {
        let next = tokio::select! {
            biased;
            Ok(refusal) = &mut ending => {
                writer.send(&*refusal).await.ok()?;
                break;
            }
            next = listener.next() => next,
        };
        match next {
            Ok(Some(frames)) => {
                for frame in frames {
                    writer.send_encoded(frame).await.ok()?;
                }
            }
            Ok(None) => break,
            Err(error) => {
                writer.send(&*trouble::log(caller, &error)).await.ok()?;
                break;
            }
        }
    }
    writer.finish().ok()
}

/// Waits until the client ends its side of the stream.
async fn closed(mut reader: FrameReader) {
    while let Ok(Some(_)) = reader.next().await {}
}

async fn take(caller: &Caller, prompt: Prompt, sent: Option<oneshot::Sender<()>>) -> Answer<Taken> {
    check(caller, &prompt)?;
    let hall = &caller.hall;
    let accepted_at = Instant::now();
    // One chain judges all of it: what is asked, where it runs, and every tool call later.
    let mut refusal = None;
    for held in candidates(caller, &prompt).await {
        // Until it is noted where this prompt was accepted, the same one waits.
        let same = hall.sessions.lock_prompt(held.principal(), &prompt.prompt_id).await;
        match target(caller, &held, &prompt).await {
            Ok(target) => {
                if prompt.when == When::Steer && matches!(target.place, Place::Session(_)) {
                    // The session itself knows its words, and may take its time with them.
                    drop(same);
                    return submit(caller, target, prompt, accepted_at, sent).await;
                }
                let submitted = submit(caller, target, prompt, accepted_at, sent).await;
                drop(same);
                return submitted;
            }
            // What the best chain says is what the prompter is told.
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Err(match caller.authorize(prompt.leaf, Command::PromptSend, &Args::default()) {
            Err(refusal) => refusal,
            Ok(_) => Box::new(caller.refuse(RefusalCode::Unauthorized, "show the token again")),
        }),
    }
}

/// The chains that a prompt may rely on, the likeliest first.
async fn candidates(caller: &Caller, prompt: &Prompt) -> Vec<Held> {
    if prompt.leaf.is_some() {
        return caller.held(prompt.leaf);
    }
    // A direct prompt needs the chain that allows its tool.
    let direct = clankers_tools::ToolCall::from_words(&prompt.text).and_then(Result::ok);
    let tools: Vec<&str> = match (&direct, &prompt.limits.tools) {
        (Some(call), _) => vec![call.name()],
        (None, Some(tools)) => tools.iter().map(String::as_str).collect(),
        (None, None) => clankers_auth::vocab::all_tools().collect(),
    };
    let workspace = select::workspace_id(caller.hall.workspace.as_deref()).await;
    caller.held_for_prompt(&tools, &Args { workspace, ..Args::default() })
}

/// Where a prompt goes, and on whose leave.
struct Target {
    grant: Grant,
    args: Args,
    model: Model,
    /// The session, or what a new one is made with.
    place: Place,
    /// What lies in its directory.
    found: Found,
    /// The prompt was accepted there before.
    known: bool,
}

enum Place {
    Session(SessionId),
    New { id: SessionId, cwd: String },
}

/// Finds out where a prompt would go under this chain, and asks leave for it.
async fn target(caller: &Caller, held: &Held, prompt: &Prompt) -> Answer<Target> {
    let sessions = &caller.hall.sessions;
    let told = |error| trouble::session(caller, &error);
    // An id runs once, wherever it is sent again.
    let fresh = prompt.ext.get(EXT_FRESH_ID).is_some();
    let known = sessions.find_prompt(&caller.hall, held.principal(), &prompt.prompt_id, fresh).await;
    let known = known.map_err(told)?;
    let mut creator = held.principal();
    let place = match (&known, &prompt.session) {
        (Some(session), _) => Place::Session(session.id),
        (None, SessionChoice::Existing(selector)) => {
            let found = select::session(caller, held, selector).await?;
            creator = found.principal;
            Place::Session(found.id)
        }
        (None, SessionChoice::New { cwd }) => {
            let id = Sessions::new_id().map_err(told)?;
            Place::New { id, cwd: select::directory(caller, held, id, cwd.as_deref()).await? }
        }
    };
    let (id, cwd, last_model) = match &place {
        Place::Session(id) => {
            let session = sessions.open(*id).await.map_err(told)?;
            (*id, session.cwd.clone(), Some(session.status().model).filter(|model| !model.is_empty()))
        }
        Place::New { id, cwd } => (*id, cwd.clone(), None),
    };
    let direct = clankers_tools::ToolCall::from_words(&prompt.text).is_some();
    if matches!(place, Place::Session(_)) {
        select::still_offered(caller, held, id, &cwd).await?;
    }
    let mut args = Args {
        session: Some(id.to_string()),
        workspace: select::workspace_id(Some(cwd.as_ref())).await,
        ..Args::default()
    };
    let mut found = match direct || known.is_some() {
        // It runs without a model, or has run already.
        true => Found::default(),
        false => surroundings::find(caller, held, &cwd, &args, &prompt.ext).await?,
    };
    let model = model(caller, held, prompt, last_model, &mut found, direct).await?;
    args.model = Some(model.full_name().to_owned());
    let grant = caller.authorize(Some(held.leaf()), Command::PromptSend, &args)?;
    if !grant.owner && creator != grant.principal {
        // Somebody else's session: to type into it is to see it and to drive it.
        let there = Args { session: Some(id.to_string()), ..Args::default() };
        caller.authorize(Some(held.leaf()), Command::Observe, &there)?;
        caller.authorize(Some(held.leaf()), Command::Drive, &there)?;
    }
    Ok(Target { grant, args, model, place, found, known: known.is_some() })
}

/// The model that the prompt names, else the one that its agent wants and the prompter may use, else the session's.
async fn model(
    caller: &Caller,
    held: &Held,
    prompt: &Prompt,
    last: Option<String>,
    found: &mut Found,
    direct: bool,
) -> Answer<Model> {
    let agents = found.context.agent.as_ref().and_then(|agent| agent.model.clone());
    if let (None, Some(wanted)) = (&prompt.model, agents) {
        match select::model(caller, held, Some(&wanted), direct).await {
            Ok(model) => return Ok(model),
            Err(why) => found.notes.push(format!("the agent's model is not used: {}", why.message)),
        }
    }
    select::model(caller, held, prompt.model.as_deref().or(last.as_deref()), direct).await
}

/// Has a prompt written down where it goes.
async fn submit(
    caller: &Caller,
    target: Target,
    prompt: Prompt,
    accepted_at: Instant,
    mut sent: Option<oneshot::Sender<()>>,
) -> Answer<Taken> {
    let hall = &caller.hall;
    let told = |error| trouble::session(caller, &error);
    let principal = target.grant.principal;
    let place = place(caller, &target.grant)?;
    let counted = if target.known { None } else { start(caller, &target).await? };
    let mut made = None;
    let mut tries = 0;
    let (session, submitted) = loop {
        let session = match (&target.place, made) {
            (Place::Session(id), _) | (Place::New { .. }, Some(id)) => {
                sessions_open(hall, id).await.map_err(told)?
            }
            (Place::New { id, cwd }, None) => {
                let model = target.model.full_name().to_owned();
                made = Some(id);
                hall.sessions.create(*id, principal, cwd.clone(), model).await.map_err(told)?
            }
        };
        let job = job(&target, &prompt, &hall.settings, accepted_at);
        tries += 1;
        let job = Job { place: place.clone(), counted: counted.clone(), ..job };
        match session.submit(job, &mut sent).await {
            Ok(submitted) => break (session, submitted),
            // It was idle and has just ended: it is loaded anew.
            Err(SubmitError::Unloaded) if tries < SUBMIT_TRIES => {}
            Err(error) => return Err(trouble::submit(caller, &error)),
        }
    };
    if !submitted.duplicate {
        let place = PromptPlace { session: session.id, seq: submitted.prompt_seq };
        let noted = hall.sessions.note_prompt(hall, principal, &prompt.prompt_id, place).await;
        if let Err(error) = noted {
            // The log has it: it is found there at the next start.
            tracing::warn!(%error, "could not note where a prompt was accepted");
        }
    }
    let which = Which { principal: Some(principal), prompt_id: Some(prompt.prompt_id) };
    let guard = prompt.cancel_on_close.then(|| session.cancel_on_drop(which));
    Ok(Taken { session, submitted, held: target.grant.held, guard })
}

async fn sessions_open(hall: &Hall, id: &SessionId) -> Result<Arc<Session>, SessionError> {
    hall.sessions.open(*id).await
}

/// Counts the prompt under every link that counts prompts.
async fn start(caller: &Caller, target: &Target) -> Answer<Option<Arc<Running>>> {
    let asks = Asks { starts: 1, ..Asks::default() };
    let args = Args { asks, ..target.args.clone() };
    let started = caller.authority().start(&target.grant.held, Command::PromptSend, args.clone()).await;
    match started {
        Ok(running) => Ok(running.map(Arc::new)),
        Err(denial) => {
            caller.note(Some(&target.grant.held), Command::PromptSend, &args, Some(&denial));
            Err(caller.refuse_denied(&denial, Command::PromptSend, &args))
        }
    }
}

/// A place among the prompts of the caller's peer; the owner needs none.
fn place(caller: &Caller, grant: &Grant) -> Answer<Option<Arc<crowd::Place>>> {
    if grant.owner {
        return Ok(None);
    }
    let place = caller.hall.busy.enter(grant.held.grantee()).ok_or_else(|| {
        let words = format!("{PROMPTS_PER_PEER} of your prompts run or wait here already");
        Box::new(caller.refuse(RefusalCode::Busy, &words).hint("wait until one ends, or cancel one"))
    })?;
    Ok(Some(Arc::new(place)))
}

fn job(target: &Target, prompt: &Prompt, settings: &Settings, accepted_at: Instant) -> Job {
    let node = Duration::from_secs(settings.limits.prompt_timeout_secs);
    let ask =
        prompt.ext.get(EXT_ASK).and_then(|value| value.first()).map_or(Ask::Never, |b| Ask::from_byte(*b));
    let asked = prompt.limits.timeout_ms.map_or(node, Duration::from_millis);
    let limit = asked.min(node).min(PROMPT_TIME_MAX);
    let grant = &target.grant;
    Job {
        prompt_id: prompt.prompt_id.clone(),
        principal: grant.principal,
        leaf: grant.cids.last().copied(),
        text: prompt.text.clone(),
        model: target.model.clone(),
        limits: prompt.limits.clone(),
        held: grant.held.clone(),
        args: target.args.clone(),
        place: None,
        counted: None,
        steer: prompt.when == When::Steer && clankers_tools::ToolCall::from_words(&prompt.text).is_none(),
        ask: ask.max(settings.agent.ask()),
        context: Arc::clone(&target.found.context),
        notes: target.found.notes.clone(),
        deadline: accepted_at.checked_add(limit).unwrap_or(accepted_at),
    }
}

fn check(caller: &Caller, prompt: &Prompt) -> Answer<()> {
    if prompt.text.trim().is_empty() {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "the prompt is empty")));
    }
    let limits = &prompt.limits;
    let bounded = limits.tools.is_some() || limits.max_cost.is_some() || limits.max_turns.is_some();
    if prompt.when == When::Steer && bounded {
        let words = "words for a running prompt have no limits of their own: it has its prompter's";
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, words)));
    }
    match prompt.limits.tools.iter().flatten().find(|tool| !clankers_tools::is_tool(tool)) {
        Some(tool) => Err(select::unknown_tool(caller, tool)),
        None => Ok(()),
    }
}

pub(super) async fn cancel(caller: &Caller, request: PromptCancel) -> Answer<PromptCancelled> {
    let (grant, id) =
        select::session_under(caller, request.leaf, Command::PromptCancel, &request.session).await?;
    let which = Which { principal: (!grant.owner).then_some(grant.principal), prompt_id: request.prompt_id };
    let was_running = match caller.hall.sessions.loaded(id) {
        Some(session) => session.cancel(which).await,
        None => false,
    };
    Ok(PromptCancelled { was_running, ext: Ext::default() })
}
