//! What there is to be got, told by name to who may read it, and nothing of it to anybody else.

use clankers_auth::{Args, Command};
use clankers_client::transfer::TransferError;
use clankers_mesh::{Connection, FrameWriter};
use clankers_protocol::{
    limits::LISTED_ENTRIES,
    refusal::RefusalCode,
    request::transfer::{Entry, EntryKind, FileFetch, FileOffer, listed},
    transfer::FileIdentity,
};

use super::{
    Answer, ended,
    fetch::{Opened, holds_home, look, not_there, open},
    place,
};
use crate::{door::Caller, select};

/// What stands for the list of exports, which has no name.
const EXPORTS: &str = "exports";

pub(super) async fn run(
    caller: &Caller,
    connection: &Connection,
    ask: &FileFetch,
    after: &str,
    writer: &mut FrameWriter,
) {
    let answer = if ask.path.is_empty() {
        exports(caller, ask, after).await
    } else {
        within(caller, connection, ask, after).await
    };
    match answer {
        Ok(answer) => {
            let _gone = writer.send(&answer).await;
            let _finished = writer.finish();
        }
        Err(refusal) => crate::service::refuse(writer, &refusal).await,
    }
}

/// The exports that may be read as a whole. Who may read a part of one has been told of it with the token.
async fn exports(caller: &Caller, ask: &FileFetch, after: &str) -> Answer<FileOffer> {
    let shown = caller.held(ask.leaf);
    let mut found = vec![directory(EXPORTS)];
    let mut asked = Args { path: Some(".".to_owned()), size: Some(0), ..Args::default() };
    // Without a token there is nothing to look for.
    let named = caller.hall.settings.files.exports.iter().filter(|_| !shown.is_empty());
    for (name, root) in named.filter(|(name, _)| name.as_str() > after) {
        if found.len() > LISTED_ENTRIES.saturating_add(1) {
            break;
        }
        let Some(workspace) = select::workspace_id(Some(root)).await else { continue };
        let args = Args { workspace: Some(workspace), ..asked.clone() };
        let may =
            shown.iter().any(|held| caller.authority().authorize(held, Command::FileRead, &args).is_ok());
        let (root, home) = (root.clone(), caller.hall.context.home.root().to_owned());
        if may && !tokio::task::spawn_blocking(move || holds_home(&root, &home)).await.unwrap_or(true) {
            if found.len() == 1 {
                asked = args;
            }
            found.push(directory(name));
        }
    }
    // The answer is one decision: by what is told first, or by a right to read where nothing is.
    let grant = caller.authorize(ask.leaf, Command::FileRead, &asked)?;
    let _place = place(caller, &grant.held)?;
    let more = found.len() > LISTED_ENTRIES.saturating_add(1);
    found.truncate(LISTED_ENTRIES.saturating_add(1));
    Ok(listed::answer(ask.transfer, found, more))
}

/// What is at a path of an export.
async fn within(caller: &Caller, connection: &Connection, ask: &FileFetch, after: &str) -> Answer<FileOffer> {
    let opened = open(caller, ask).await?;
    let Opened { first, args, root, rest, shown, .. } = &opened;
    let (held, authority) = (first.held.clone(), caller.authority().clone());
    let (args, path, after) = (args.clone(), rest.clone(), after.to_owned());
    let see = move |export: &clankers_files::Export, stop: &_| {
        let may = |below: &str| {
            let args = Args { path: Some(below.to_owned()), ..args.clone() };
            authority.authorize(&held, Command::FileRead, &args).is_ok()
        };
        export.shelf(&path, (&after, LISTED_ENTRIES), may, stop).map_err(TransferError::from)
    };
    let seen = tokio::select! {
        seen = look(caller, root.clone(), see) => seen?,
        refusal = ended(caller, &first.held, Command::FileRead) => return Err(refusal),
        _over = connection.closed() => {
            return Err(Box::new(caller.refuse(RefusalCode::Busy, "the connection is over")));
        }
    };
    let shelf = seen.map_err(|error| not_there(caller, shown, &error))?;
    Ok(listed::answer(ask.transfer, shelf.entries, shelf.more))
}

fn directory(name: &str) -> Entry {
    Entry {
        parent: 0,
        name: name.to_owned(),
        kind: EntryKind::Dir,
        size: 0,
        mode: 0,
        mtime_ns: 0,
        id: FileIdentity([0; 16]),
    }
}
