//! Files for a peer, from the directories that the owner exports.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clankers_auth::{Args, Command, Grant};
use clankers_client::transfer::{Looked, Progress, Sending, SkipReason, TransferError};
use clankers_files::{Export, PartId, Selection, Trouble};
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    NodeId,
    limits::TRANSFER_LANES,
    refusal::RefusalCode,
    request::transfer::{
        FileFetch, OnConflict,
        keeping::{Direction, TransferInfo, TransferState},
        left_out::{LeftOut, LeftOutPath},
        limit_rate,
        listed::list_after,
    },
    text,
    transfer::sender::OfferDraft,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, ended, label, names,
    offer::{log, share},
    path, place, refuse_cancelled, too_large,
};
use crate::{
    clock,
    crowd::Place,
    door::Caller,
    select,
    transfers::{Begins, shares::Share},
};

/// Characters of a path that are said back.
const PATH_CHARS: usize = 80;
/// Characters of why it ended.
const ERROR_CHARS: usize = 400;

/// What is given to a peer.
struct Given {
    grant: Grant,
    looked: Arc<Looked>,
    label: Option<String>,
    _place: Option<Place>,
    _share: Share,
}

/// Stops a listing when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(in crate::service) async fn run(
    caller: &Caller,
    connection: &Connection,
    ask: FileFetch,
    mut reader: FrameReader,
    writer: &mut FrameWriter,
) {
    if let Some(after) = list_after(&ask.ext) {
        return names::run(caller, connection, &ask, after, writer).await;
    }
    let given = match prepare(caller, connection, &ask).await {
        Ok(given) => given,
        Err(refusal) => return crate::service::refuse(writer, &refusal).await,
    };
    let principal = given.grant.principal;
    let (tell, progress) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let draft = OfferDraft {
        leaf: None,
        transfer: ask.transfer,
        source: given.looked.source().identity(),
        to: None,
        on_conflict: OnConflict::default(),
        lanes: TRANSFER_LANES,
        ext: left_out(&given.looked).ext(),
    };
    let sending =
        Sending::new(Arc::clone(&given.looked), draft, caller.remote, None).limited(limit_rate(&ask.ext));
    let begins = Begins {
        transfer: ask.transfer,
        peer: principal,
        label: given.label.clone(),
        direction: Direction::Send,
        name: given.looked.source().name().to_owned(),
        began: clock::now(),
        progress: progress.clone(),
        stop: stop.clone(),
        part: part(&given.looked, principal),
        door: sending.door(),
    };
    let Some(_entry) = caller.hall.transfers.enter(connection, begins) else {
        let refusal = caller.refuse(RefusalCode::Busy, "this transfer runs on this connection already");
        return crate::service::refuse(writer, &refusal).await;
    };
    let over = ended(caller, &given.grant.held, Command::FileRead);
    let done = sending.run(&mut reader, writer, clock::now(), &tell, &stop, over).await;
    let done = done.and_then(|sent| {
        let said = &sent.receipt;
        let signed =
            clankers_auth::receipt::is_signed(&said.receipt, caller.hall.id, principal, &said.signature);
        if signed { Ok((said.receipt.files, said.receipt.bytes)) } else { Err(TransferError::Signature) }
    });
    // What its owner cancelled is remembered as that.
    if !stop.is_cancelled() {
        let far = *progress.borrow();
        caller.hall.transfers.gave(gave(&ask, &given, far, &done), part(&given.looked, principal));
    }
    log(principal, &done);
}

/// How it ended, as its owner sees it from then on.
fn gave<T>(ask: &FileFetch, given: &Given, far: Progress, done: &Result<T, TransferError>) -> TransferInfo {
    TransferInfo {
        transfer: ask.transfer,
        peer: given.grant.principal,
        label: given.label.clone(),
        direction: Direction::Send,
        name: given.looked.source().name().to_owned(),
        bytes: far.total,
        done_bytes: far.bytes,
        files: u32::try_from(far.all_files).unwrap_or(u32::MAX),
        state: how(done),
        error: done.as_ref().err().map(|error| text::line(&error.to_string(), ERROR_CHARS)),
        at: clock::now(),
    }
}

fn how<T>(done: &Result<T, TransferError>) -> TransferState {
    match done {
        Ok(_) => TransferState::Done,
        Err(TransferError::Cancelled { .. }) => TransferState::Interrupted,
        Err(error) if error.may_retry() => TransferState::Interrupted,
        Err(_) => TransferState::Failed,
    }
}

/// What is given, whichever the transfer's id: no directory is named so, and nothing that comes in is the same.
fn part(looked: &Looked, principal: NodeId) -> PartId {
    let source = looked.source();
    PartId::of(&principal.to_string(), "/", source.name(), &source.identity())
}

/// What a peer asked for, and may have something of.
pub(super) struct Opened {
    pub(super) first: Grant,
    /// What leave was asked for: nothing but the path.
    pub(super) args: Args,
    pub(super) root: PathBuf,
    /// The path beneath the root.
    pub(super) rest: String,
    /// The whole path, as it is said back.
    pub(super) shown: String,
    place: Option<Place>,
}

/// Asks for leave for anything there at all.
pub(super) async fn open(caller: &Caller, ask: &FileFetch) -> Answer<Opened> {
    let files = &caller.hall.settings.files;
    let export = files.export(&ask.path).map(|(root, rest)| (root.to_owned(), rest.to_owned()));
    let rest = export.as_ref().map_or("", |(_, rest)| rest.as_str());
    let below = path(caller, rest)?;
    let workspace = select::workspace_id(export.as_ref().map(|(root, _)| root.as_path())).await;
    let args = Args { workspace, path: Some(below), size: Some(0), ..Args::default() };
    let first = caller.authorize(ask.leaf, Command::FileRead, &args)?;
    let place = place(caller, &first.held)?;
    let shown = text::line(&ask.path, PATH_CHARS);
    let Some((root, rest)) = export else {
        let refusal = caller.refuse(RefusalCode::NotFound, &format!("this node exports no '{shown}'"));
        return Err(Box::new(refusal.hint("see with 'clankers rpc get-file PEER --list' what it exports")));
    };
    Ok(Opened { first, args, root, rest, shown, place })
}

/// Asks for leave, first for anything there at all, then for all that is there.
async fn prepare(caller: &Caller, connection: &Connection, ask: &FileFetch) -> Answer<Given> {
    let Opened { first, args, root, rest, shown, place } = open(caller, ask).await?;
    // Nobody waits for the listing of one who has hung up.
    let looked = tokio::select! {
        looked = look(caller, root, move |export, stop| {
            Looked::of(export.source(&rest, &Selection::default(), stop)?)
        }) => looked?,
        refusal = ended(caller, &first.held, Command::FileRead) => return Err(refusal),
        _over = connection.closed() => {
            return Err(Box::new(caller.refuse(RefusalCode::Busy, "the connection is over")));
        }
    };
    let looked = looked.map_err(|error| not_there(caller, &shown, &error))?;
    let args = Args { size: Some(looked.source().total_bytes()), ..args };
    let grant = caller.authorize(Some(first.held.leaf()), Command::FileRead, &args).map_err(|refusal| {
        let shown = std::slice::from_ref(&first.held);
        too_large(caller, refusal, (Command::FileRead, &args), shown)
    })?;
    let part = part(&looked, grant.principal);
    refuse_cancelled(caller, (ask.transfer, grant.principal), part, "get").await?;
    let source = looked.source();
    let share = share(caller, grant.principal, u64::from(source.len()))?;
    let label = label(caller, grant.principal).await?;
    Ok(Given { grant, looked: Arc::new(looked), label, _place: place, _share: share })
}

/// What is there and is not sent, in words for who asked.
fn left_out(looked: &Looked) -> LeftOut {
    let words = |why: &SkipReason| match why {
        // Whoever asks cannot have links followed.
        SkipReason::Link => "it is a symbolic link".to_owned(),
        why => why.to_string(),
    };
    let skips = looked.source().skipped();
    let named = skips.named().map(|one| LeftOutPath {
        path: one.path.clone(),
        why: words(&one.why),
        missed: one.why.is_missed(),
    });
    LeftOut::of(named, skips.missed(), skips.others())
}

/// Looks at what is there, a few such looks at a time. Dropped, it stops.
pub(super) async fn look<T: Send + 'static>(
    caller: &Caller,
    root: PathBuf,
    see: impl FnOnce(&Export, &AtomicBool) -> Result<T, TransferError> + Send + 'static,
) -> Answer<Result<T, TransferError>> {
    let trouble = |error: &dyn std::error::Error| {
        tracing::error!(%error, "an export cannot be read");
        Box::new(caller.refuse(RefusalCode::NodeTrouble, "the node's disk failed"))
    };
    let walks = Arc::clone(&caller.hall.transfers.walks);
    let turn = walks.acquire_owned().await.map_err(|error| trouble(&error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = Stop(Arc::clone(&stop));
    let home = caller.hall.context.home.root().to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        if holds_home(&root, &home) {
            return Err(TransferError::Path(root.display().to_string()));
        }
        let looked = see(&Export::open(&root)?, &stop);
        drop(turn);
        looked
    });
    looked.await.map_err(|error| trouble(&error))
}

/// Whether the node's own directory, with its key, lies in this one, or this one in it.
pub(super) fn holds_home(root: &Path, home: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (root, home) = (real(root), real(home));
    home.starts_with(&root) || root.starts_with(&home)
}

pub(super) fn not_there(
    caller: &Caller,
    shown: &str,
    error: &TransferError,
) -> Box<clankers_protocol::refusal::Refusal> {
    tracing::info!(peer = %caller.remote, %error, "a file was asked for and cannot be sent");
    let too_much = || (RefusalCode::TooLarge, format!("'{shown}' has too much in it for one transfer"));
    let (code, words) = match error {
        // A link on the way is not followed: what is behind it is not there.
        TransferError::Files(error) if matches!(error.kind(), Trouble::Vanished | Trouble::Changed) => {
            (RefusalCode::NotFound, format!("there is no '{shown}' on that node"))
        }
        TransferError::Files(error) if error.kind() == Trouble::NotSendable => {
            (RefusalCode::NotFound, format!("'{shown}' is neither a file nor a directory that can be sent"))
        }
        TransferError::Files(error) if error.kind() == Trouble::Ambiguous => {
            (RefusalCode::Ambiguous, format!("several names on that node read as '{shown}'"))
        }
        TransferError::Path(root) => {
            tracing::warn!(root, "this export holds the node's own directory: nothing of it is given away");
            (RefusalCode::NotFound, format!("this node exports no '{shown}'"))
        }
        TransferError::Files(error) if error.kind() == Trouble::TooMany => too_much(),
        TransferError::Manifest(_) => too_much(),
        _ => (RefusalCode::NodeTrouble, format!("'{shown}' cannot be read")),
    };
    let refusal = caller.refuse(code, &words);
    Box::new(match code {
        RefusalCode::NotFound => {
            refusal.hint("see with 'clankers rpc get-file PEER --list PATH' what is there")
        }
        RefusalCode::Ambiguous => {
            refusal.hint("get the directory in which they are, or ask its owner to rename one")
        }
        RefusalCode::TooLarge => refusal.hint("get it in parts"),
        _ => refusal.hint("its owner finds the reason in the node's log"),
    })
}
