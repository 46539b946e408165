//! Prompts: taken, written down, run, and their events sent to whoever asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clankers_auth::{Args, Command, Grant};
use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{
    CidDigest,
    message::Ext,
    refusal::RefusalCode,
    request::prompt::{Accepted, EXT_FRESH_ID, Prompt, PromptCancel, PromptCancelled, SessionChoice, When},
};
use clankers_store::PromptPlace;

use super::Answer;
use crate::{
    crowd::Place,
    door::Caller,
    limits::{PROMPT_TIME_MAX, PROMPTS_PER_PEER, SUBMIT_TRIES},
    select,
    session::{CancelOnDrop, Job, Session, SubmitError, Submitted, Which},
    trouble,
};

/// A prompt that was taken, and its session.
struct Taken {
    session: Arc<Session>,
    submitted: Submitted,
    /// Cancels the prompt when its listener goes, where it asked for that.
    guard: Option<CancelOnDrop>,
}

pub(super) async fn run(caller: &Caller, prompt: Prompt, reader: FrameReader, writer: &mut FrameWriter) {
    let cancel_on_close = prompt.cancel_on_close;
    // A client that goes away now must not leave a prompt that is half taken.
    let own = caller.clone();
    let mut taken = match caller.to_the_end(async move { take(&own, prompt).await }).await {
        Ok(taken) => taken,
        Err(refusal) => return super::refuse(writer, &refusal).await,
    };
    let guard = taken.guard.take();
    let stream = deliver(caller, &taken, writer);
    let delivered = if cancel_on_close {
        tokio::select! {
            delivered = stream => delivered,
            () = closed(reader) => None,
        }
    } else {
        stream.await
    };
    if let (Some(guard), Some(())) = (guard, delivered) {
        guard.disarm();
    }
}

/// Sends the prompt's events until it is settled; `None` when the stream broke before.
async fn deliver(caller: &Caller, taken: &Taken, writer: &mut FrameWriter) -> Option<()> {
    let accepted = Accepted {
        session: taken.session.id,
        prompt_seq: taken.submitted.prompt_seq,
        duplicate: taken.submitted.duplicate,
        ext: Ext::default(),
    };
    let mut listener = taken.session.subscribe(taken.submitted.prompt_seq, taken.submitted.start);
    writer.send(&accepted).await.ok()?;
    loop {
        match listener.next().await {
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

async fn take(caller: &Caller, prompt: Prompt) -> Answer<Taken> {
    check(caller, &prompt)?;
    let hall = &caller.hall;
    let leaf = prompt.leaf.or_else(|| best_leaf(caller, &prompt));
    // One chain judges all of it: what is asked, where it runs, and every tool call later.
    let grant = caller.authorize(leaf, Command::PromptSend, &Args::default())?;
    let principal = grant.principal;
    let place = place(caller, &grant)?;
    // Until it is noted where this prompt was accepted, the same one waits.
    let _same = hall.sessions.lock_prompt(principal, &prompt.prompt_id).await;
    let accepted_at = Instant::now();
    let mut tries = 0;
    let (session, submitted) = loop {
        let session = session_for(caller, &grant, &prompt).await?;
        let job = Job { place: place.clone(), ..job(caller, &grant, &prompt, &session, accepted_at)? };
        tries += 1;
        match session.submit(job).await {
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
    Ok(Taken { session, submitted, guard })
}

/// A place among the prompts of the caller's peer; the owner needs none.
fn place(caller: &Caller, grant: &Grant) -> Answer<Option<Arc<Place>>> {
    if grant.owner {
        return Ok(None);
    }
    let place = caller.hall.busy.enter(grant.held.grantee()).ok_or_else(|| {
        let words = format!("{PROMPTS_PER_PEER} of your prompts run or wait here already");
        Box::new(caller.refuse(RefusalCode::Busy, &words).hint("wait until one ends, or cancel one"))
    })?;
    Ok(Some(Arc::new(place)))
}

/// The session that a prompt goes to: where it was accepted before, or the one that it names, or a new one.
async fn session_for(caller: &Caller, grant: &Grant, prompt: &Prompt) -> Answer<Arc<Session>> {
    let sessions = &caller.hall.sessions;
    let told = |error| trouble::session(caller, &error);
    // An id runs once, wherever it is sent again.
    let fresh = prompt.ext.get(EXT_FRESH_ID).is_some();
    let known = sessions.find_prompt(&caller.hall, grant.principal, &prompt.prompt_id, fresh).await;
    if let Some(known) = known.map_err(told)? {
        return Ok(known);
    }
    match &prompt.session {
        SessionChoice::Existing(selector) => {
            let id = select::session(caller, grant, selector).await?;
            sessions.open(id).await.map_err(told)
        }
        SessionChoice::New { cwd } => {
            let cwd = select::directory(caller, grant, cwd.as_deref()).await?;
            let model = select::model(caller, grant, prompt.model.as_deref())?;
            sessions.create(grant.principal, cwd, model.full_name().to_owned()).await.map_err(told)
        }
    }
}

fn job(
    caller: &Caller,
    grant: &Grant,
    prompt: &Prompt,
    session: &Session,
    accepted_at: Instant,
) -> Answer<Job> {
    let wanted = prompt.model.clone().or_else(|| Some(session.status().model)).filter(|m| !m.is_empty());
    let node = Duration::from_secs(caller.hall.settings.limits.prompt_timeout_secs);
    let asked = prompt.limits.timeout_ms.map_or(node, Duration::from_millis);
    let limit = asked.min(node).min(PROMPT_TIME_MAX);
    Ok(Job {
        prompt_id: prompt.prompt_id.clone(),
        principal: grant.principal,
        leaf: grant.cids.last().copied(),
        text: prompt.text.clone(),
        model: select::model(caller, grant, wanted.as_deref())?,
        limits: prompt.limits.clone(),
        held: grant.held.clone(),
        place: None,
        deadline: accepted_at.checked_add(limit).unwrap_or(accepted_at),
    })
}

/// Which of several chains a prompt needs when it names none: a direct prompt the one that allows its tool.
fn best_leaf(caller: &Caller, prompt: &Prompt) -> Option<CidDigest> {
    let direct = clankers_tools::ToolCall::from_words(&prompt.text).and_then(Result::ok);
    let tools: Vec<&str> = match (&direct, &prompt.limits.tools) {
        (Some(call), _) => vec![call.name()],
        (None, Some(tools)) => tools.iter().map(String::as_str).collect(),
        (None, None) => clankers_auth::vocab::all_tools().collect(),
    };
    caller.leaf_for_prompt(&tools)
}

fn check(caller: &Caller, prompt: &Prompt) -> Answer<()> {
    if prompt.text.trim().is_empty() {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "the prompt is empty")));
    }
    if prompt.when == When::Steer {
        let words = "this version queues prompts; it cannot steer a turn that runs";
        return Err(Box::new(caller.refuse(RefusalCode::Unsupported, words)));
    }
    match prompt.limits.tools.iter().flatten().find(|tool| !clankers_tools::is_tool(tool)) {
        Some(tool) => Err(select::unknown_tool(caller, tool)),
        None => Ok(()),
    }
}

pub(super) async fn cancel(caller: &Caller, request: PromptCancel) -> Answer<PromptCancelled> {
    let grant = caller.authorize(request.leaf, Command::PromptCancel, &Args::default())?;
    let id = select::session(caller, &grant, &request.session).await?;
    let which = Which { principal: (!grant.owner).then_some(grant.principal), prompt_id: request.prompt_id };
    let was_running = match caller.hall.sessions.loaded(id) {
        Some(session) => session.cancel(which).await,
        None => false,
    };
    Ok(PromptCancelled { was_running, ext: Ext::default() })
}
