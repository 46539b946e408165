//! Prompts: taken, written down, run, and their events sent to whoever asked.

use std::{path::Path, sync::Arc};

use clankers_auth::{Args, Command, Grant};
use clankers_mesh::{FrameReader, FrameWriter};
use clankers_models::Model;
use clankers_protocol::{
    CidDigest, limits,
    message::Ext,
    refusal::RefusalCode,
    request::prompt::{Accepted, Prompt, PromptCancel, PromptCancelled, SessionChoice},
    text,
};

use super::{
    Answer,
    session::{find, trouble},
};
use clankers_store::PromptPlace;

use crate::{
    door::Caller,
    nearest::nearest,
    session::{Job, Session, SubmitError, Submitted},
};

/// A prompt that was taken, and its session.
struct Taken {
    session: Arc<Session>,
    submitted: Submitted,
}

pub(super) async fn run(caller: &Caller, prompt: Prompt, reader: FrameReader, writer: &mut FrameWriter) {
    let cancel_on_close = prompt.cancel_on_close;
    let prompt_id = prompt.prompt_id.clone();
    let taken = match take(caller, prompt).await {
        Ok(taken) => taken,
        Err(refusal) => return super::refuse(writer, &refusal).await,
    };
    let accepted = Accepted {
        session: taken.session.id,
        prompt_seq: taken.submitted.prompt_seq,
        duplicate: taken.submitted.duplicate,
        ext: Ext::default(),
    };
    let mut listener = taken.session.subscribe(taken.submitted.prompt_seq, taken.submitted.start);
    let stream = async {
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
                    let refusal = caller.refuse(RefusalCode::NodeTrouble, &error.to_string());
                    writer.send(&refusal).await.ok()?;
                    break;
                }
            }
        }
        writer.finish().ok()
    };
    let delivered = if cancel_on_close {
        tokio::select! {
            delivered = stream => delivered,
            () = closed(reader) => None,
        }
    } else {
        stream.await
    };
    if delivered.is_none() && cancel_on_close {
        taken.session.cancel(Some(prompt_id)).await;
    }
}

/// Waits until the client ends its side of the stream.
async fn closed(mut reader: FrameReader) {
    while let Ok(Some(_)) = reader.next().await {}
}

async fn take(caller: &Caller, prompt: Prompt) -> Answer<Taken> {
    check(caller, &prompt)?;
    let hall = &caller.hall;
    let leaf = prompt.leaf.or_else(|| best_leaf(caller, &prompt));
    // Until it is noted where this prompt was accepted, the same one waits.
    let principal = caller.authorize(leaf, Command::PromptSend, &Args::default())?.principal;
    let _same = hall.sessions.lock_prompt(principal, &prompt.prompt_id).await;
    let (grant, session) = match &prompt.session {
        SessionChoice::New { cwd } => {
            let (grant, cwd) = place(caller, leaf, cwd.as_deref(), Command::PromptSend)?;
            let model = model(caller, &grant, prompt.model.as_deref())?;
            let known = hall.sessions.find_prompt(hall, grant.principal, &prompt.prompt_id).await;
            let session = match known.map_err(|error| trouble(caller, &error))? {
                Some(known) => known,
                None => {
                    let made = hall.sessions.create(grant.principal, cwd, model.full_name().to_owned()).await;
                    made.map_err(|error| trouble(caller, &error))?
                }
            };
            (grant, session)
        }
        SessionChoice::Existing(selector) => {
            let grant = caller.authorize(leaf, Command::PromptSend, &Args::default())?;
            let known = hall.sessions.find_prompt(hall, grant.principal, &prompt.prompt_id).await;
            // An id runs once, wherever it is sent again.
            let session = match known.map_err(|error| trouble(caller, &error))? {
                Some(known) => known,
                None => {
                    let id = find(caller, &grant, selector).await?;
                    hall.sessions.open(id).await.map_err(|error| trouble(caller, &error))?
                }
            };
            (grant, session)
        }
    };
    let wanted = prompt.model.clone().or_else(|| Some(session.status().model)).filter(|m| !m.is_empty());
    let model = model(caller, &grant, wanted.as_deref())?;
    let job = Job {
        prompt_id: prompt.prompt_id.clone(),
        principal: grant.principal,
        leaf: grant.cids.last().copied(),
        text: prompt.text,
        model,
        limits: prompt.limits,
        held: grant.held,
    };
    let submitted = session.submit(job).await.map_err(|error| {
        let code = match error {
            SubmitError::Full(_) => RefusalCode::Busy,
            SubmitError::Stopping => RefusalCode::Stopping,
            SubmitError::Log(_) => RefusalCode::NodeTrouble,
        };
        Box::new(caller.refuse(code, &error.to_string()))
    })?;
    if !submitted.duplicate {
        let place = PromptPlace { session: session.id, seq: submitted.prompt_seq };
        let noted = hall.sessions.note_prompt(hall, principal, &prompt.prompt_id, place).await;
        if let Err(error) = noted {
            // The log has it: it is found there at the next start.
            tracing::warn!(%error, "could not note where a prompt was accepted");
        }
    }
    Ok(Taken { session, submitted })
}

/// Which of several chains a prompt needs when it names none: a direct prompt the one that allows its tool.
fn best_leaf(caller: &Caller, prompt: &Prompt) -> Option<CidDigest> {
    let direct = clankers_tools::ToolCall::from_words(&prompt.text).and_then(Result::ok);
    match (direct, &prompt.limits.tools) {
        (Some(call), _) => caller.leaf_for_prompt(std::iter::once(call.name())),
        (None, Some(tools)) => caller.leaf_for_prompt(tools.iter().map(String::as_str)),
        (None, None) => caller.leaf_for_prompt(clankers_auth::vocab::all_tools()),
    }
}

fn check(caller: &Caller, prompt: &Prompt) -> Answer<()> {
    if prompt.text.trim().is_empty() {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "the prompt is empty")));
    }
    for tool in prompt.limits.tools.iter().flatten() {
        if !clankers_tools::is_tool(tool) {
            return Err(Box::new(unknown_tool(caller, tool)));
        }
    }
    Ok(())
}

/// A refusal that names the nearest tool.
pub(super) fn unknown_tool(caller: &Caller, tool: &str) -> clankers_protocol::refusal::Refusal {
    let names: Vec<&str> = clankers_tools::specs().iter().map(|spec| spec.name).collect();
    let words = format!("there is no tool '{}'", text::line(tool, 40));
    let refusal = caller.refuse(RefusalCode::Invalid, &words);
    match nearest(tool, names.iter().copied()) {
        Some(near) => refusal.hint(&format!("did you mean '{near}'?")),
        None => refusal.hint(&format!("the tools are: {}", names.join(", "))),
    }
}

/// Leave to work in a directory, and which one: the node's workspace unless the caller chose another. Only the
/// owner chooses freely; others need a chain that lets them create sessions there, beneath the workspace.
pub(super) fn place(
    caller: &Caller,
    leaf: Option<CidDigest>,
    cwd: Option<&str>,
    command: Command,
) -> Answer<(Grant, String)> {
    let workspace = caller.hall.workspace.as_deref();
    let Some(cwd) = cwd else {
        let grant = caller.authorize(leaf, command, &Args::default())?;
        let Some(workspace) = workspace else {
            let refusal = caller.refuse(RefusalCode::NoWorkspace, "this node offers no workspace");
            let hint = "start it in a project's directory, or set 'workspace' in its settings";
            return Err(Box::new(refusal.hint(hint)));
        };
        return Ok((grant, workspace.display().to_string()));
    };
    let grant = caller.authorize(leaf, command, &Args::default())?;
    let path = Path::new(cwd);
    let real = path.canonicalize();
    if grant.owner {
        if !path.is_absolute() || !real.as_ref().is_ok_and(|real| real.is_dir()) {
            let words = format!("'{}' is not a directory here", text::line(cwd, limits::SELECTOR_BYTES));
            return Err(Box::new(caller.refuse(RefusalCode::Invalid, &words)));
        }
        return Ok((grant, cwd.to_owned()));
    }
    // To everybody else, what is outside of the workspace is not there at all.
    let inside = workspace.and_then(|workspace| {
        let workspace = workspace.canonicalize().ok()?;
        let real = real.ok().filter(|real| real.is_dir())?;
        let relative = real.strip_prefix(&workspace).ok()?.to_str()?.to_owned();
        Some((relative, real))
    });
    let relative = inside.as_ref().map_or("", |(relative, _)| relative.as_str());
    let named = if relative.is_empty() { "." } else { relative };
    let args = Args { path: Some(named.to_owned()), ..Args::default() };
    let grant = caller.authorize(leaf, Command::SessionCreate, &args)?;
    match inside {
        Some((_, real)) => Ok((grant, real.display().to_string())),
        None => {
            Err(Box::new(caller.refuse(
                RefusalCode::NoWorkspace,
                "sessions of peers work beneath this node's workspace only",
            )))
        }
    }
}

/// The model that was asked for, or the default. Only the owner names a model by a file's path.
pub(super) fn model(caller: &Caller, grant: &Grant, wanted: Option<&str>) -> Answer<Model> {
    let models = &caller.hall.context.models;
    let default = models.default_name();
    let name = wanted.unwrap_or(&default);
    if name.contains('/') && name.starts_with("scripted") && !grant.owner && name != default {
        let words = "only the node's owner names a script by its path";
        return Err(Box::new(caller.refuse(RefusalCode::NoModel, words)));
    }
    models.resolve(name).map_err(|error| Box::new(caller.refuse(RefusalCode::NoModel, &error.to_string())))
}

pub(super) async fn cancel(caller: &Caller, request: PromptCancel) -> Answer<PromptCancelled> {
    let grant = caller.authorize(request.leaf, Command::PromptCancel, &Args::default())?;
    let id = find(caller, &grant, &request.session).await?;
    let was_running = match caller.hall.sessions.loaded(id) {
        Some(session) => session.cancel(request.prompt_id).await,
        None => false,
    };
    Ok(PromptCancelled { was_running, ext: Ext::default() })
}
