//! A session whose log can be read but not written now: the disk is full, or fails. It is watched and looked back into
//! as ever; a prompt finds out whether the disk works again, and is refused as long as it does not.

use std::sync::Arc;

use clankers_protocol::SessionId;
use clankers_store::{LogError, LogReader};
use tokio::sync::mpsc;

use super::{Command, Prompts, Session, SubmitError};
use crate::{context::Context, limits::SESSION_IDLE};

/// The session as it can be read, since it could not be opened for writing because of `error`; that, when it cannot be
/// read either. Blocks on the disk.
pub(super) fn open(context: &Arc<Context>, id: SessionId, error: LogError) -> Result<Arc<Session>, LogError> {
    if error.disk_kind().is_none() {
        return Err(error);
    }
    let Ok(reader) = LogReader::open(&context.home, id) else { return Err(error) };
    let mut prompts = Prompts::default();
    if reader.scan(0, |durable| prompts.replay(&durable)).is_err() {
        return Err(error);
    }
    tracing::warn!(session = %id.short(), %error, "a session's log cannot be written: it is read only");
    let (session, inbox) = Session::over(reader, prompts);
    context.tasks.spawn(serve(Arc::clone(context), Arc::clone(&session), inbox));
    Ok(session)
}

/// Answers until the log can be written again, or nobody is interested any more: then the session is loaded anew.
async fn serve(context: Arc<Context>, session: Arc<Session>, mut inbox: mpsc::Receiver<Command>) {
    let _ended = session.ended.clone().drop_guard();
    loop {
        let command = tokio::select! {
            command = inbox.recv() => command,
            () = context.draining.cancelled() => return,
            () = session.unload.cancelled() => return,
            () = tokio::time::sleep(SESSION_IDLE), if session.listeners() == 0 => return,
        };
        match command {
            Some(Command::Submit(_, reply)) => {
                let (context, id) = (Arc::clone(&context), session.id);
                let tried = move || Session::open_log(&context, id).map(drop);
                let failed = match tokio::task::spawn_blocking(tried).await {
                    Ok(Ok(())) => SubmitError::Unloaded,
                    Ok(Err(error)) => SubmitError::Log(error),
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                };
                let over = matches!(failed, SubmitError::Unloaded);
                if over {
                    // Nobody is told to load it anew before it can be.
                    inbox.close();
                }
                let _gone = reply.send(Err(failed));
                if over {
                    return;
                }
            }
            Some(Command::Cancel(_, reply)) => {
                let _gone = reply.send(false);
            }
            Some(Command::Close) | None => return,
        }
    }
}
