//! What the owner sees and does: offers that wait, transfers that run or rest, and sending from the node.

use std::{path::PathBuf, sync::Arc};

use clankers_auth::Command;
use clankers_client::transfer::{Job, RecordError, SendWish, TransferError};
use clankers_files::{FilesError, Inbox, Partial, Trouble};
use clankers_protocol::{
    NodeId, Timestamp,
    limits::PAGE_ENTRIES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::keeping::{
        Direction, FileSend, FileSent, InboxAnswer, InboxAnswered, InboxList, InboxListReply, OfferInfo,
        TransferChange, TransferEdit, TransferEdited, TransferInfo, TransferList, TransferListReply,
        TransferState,
    },
    text,
    transfer::TransferId,
};

use super::Answer;
use crate::{
    clock,
    door::Caller,
    hall::Hall,
    select,
    transfers::{Running, detached, offers::Answer as Said},
};

/// Characters of an id that are said back.
const WORD_CHARS: usize = 40;

pub(in crate::service) async fn inbox(caller: &Caller, ask: InboxList) -> Answer<InboxListReply> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let offers = offers(caller).await?;
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    let more = offers.len().saturating_sub(skip.saturating_add(PAGE_ENTRIES));
    let offers = offers.into_iter().skip(skip).take(PAGE_ENTRIES).collect();
    Ok(InboxListReply { offers, more: u32::try_from(more).unwrap_or(u32::MAX), ext: Ext::default() })
}

async fn offers(caller: &Caller) -> Answer<Vec<OfferInfo>> {
    blocking(caller, |hall| Ok(hall.transfers.offers.list(clock::now()))).await
}

pub(in crate::service) async fn answer(caller: &Caller, ask: InboxAnswer) -> Answer<InboxAnswered> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let offers = offers(caller).await?;
    let mut found = offers.iter().filter(|offer| offer.transfer.to_string().starts_with(&ask.offer));
    let shown = text::line(&ask.offer, WORD_CHARS);
    let id = match (found.next(), found.next()) {
        (Some(offer), None) if !ask.offer.is_empty() => offer.transfer,
        (Some(_), Some(_)) => {
            let words = format!("several offers begin with '{shown}'");
            return Err(Box::new(caller.refuse(RefusalCode::Ambiguous, &words).hint("write more of the id")));
        }
        _ => {
            let refusal = caller.refuse(RefusalCode::NotFound, &format!("no offer '{shown}' waits here"));
            return Err(Box::new(refusal.hint("'clankers inbox list' shows those that do")));
        }
    };
    let said = if ask.accept { Said::Accept(ask.only) } else { Said::Reject };
    let answered =
        blocking(caller, move |hall| hall.transfers.offers.answer(id, said).map_err(|e| e.to_string()));
    let offer = answered
        .await?
        .ok_or_else(|| Box::new(caller.refuse(RefusalCode::NotFound, "this offer does not wait any more")))?;
    Ok(InboxAnswered { offer, ext: Ext::default() })
}

pub(in crate::service) async fn list(caller: &Caller, ask: TransferList) -> Answer<TransferListReply> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let mut all: Vec<TransferInfo> = caller.hall.transfers.running().iter().map(Running::info).collect();
    all.extend(
        partials(caller)
            .await?
            .into_iter()
            .filter(|(_, part)| !part.running)
            .filter_map(|(_, part)| resting(&part)),
    );
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.transfer.cmp(&b.transfer)));
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(skip.saturating_add(PAGE_ENTRIES));
    let transfers = all.into_iter().skip(skip).take(PAGE_ENTRIES).collect();
    Ok(TransferListReply { transfers, more: u32::try_from(more).unwrap_or(u32::MAX), ext: Ext::default() })
}

/// What is unfinished in the inbox, with the names of the peers' directories.
async fn partials(caller: &Caller) -> Answer<Vec<(String, Partial)>> {
    blocking(caller, |hall| {
        let dir = hall.settings.files.inbox(hall.context.home.inbox_dir());
        Inbox::open(&dir).and_then(|inbox| inbox.partials()).map_err(|e| e.to_string())
    })
    .await
}

/// A transfer that broke off here.
fn resting(part: &Partial) -> Option<TransferInfo> {
    let about = part.about.as_ref()?;
    let label = about.note.get("label").and_then(|label| label.as_str()).map(str::to_owned);
    Some(TransferInfo {
        transfer: about.transfer_id.parse().ok()?,
        peer: about.principal.parse().ok()?,
        label,
        direction: Direction::Receive,
        name: about.root_name.clone(),
        bytes: about.total_bytes,
        done_bytes: part.had_bytes,
        files: u32::try_from(about.files).unwrap_or(u32::MAX),
        state: TransferState::Interrupted,
        error: None,
        at: Timestamp(about.started_ms),
    })
}

pub(in crate::service) async fn edit(caller: &Caller, ask: TransferEdit) -> Answer<TransferEdited> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    if ask.change == TransferChange::Resume {
        return resume(caller, &ask.transfer).await;
    }
    let is_meant = |id: TransferId| !ask.transfer.is_empty() && id.to_string().starts_with(&ask.transfer);
    let running: Vec<Running> =
        caller.hall.transfers.running().into_iter().filter(|one| is_meant(one.transfer)).collect();
    let parts = partials(caller).await?;
    let resting: Vec<_> = parts
        .into_iter()
        .filter(|(_, part)| !part.running)
        .filter_map(|(place, part)| {
            Some((place, resting(&part).filter(|info| is_meant(info.transfer))?, part))
        })
        .collect();
    let shown = text::line(&ask.transfer, WORD_CHARS);
    let transfer = match (running.as_slice(), resting.as_slice(), ask.change) {
        ([], [], _) => {
            let refusal = caller.refuse(RefusalCode::NotFound, &format!("no transfer '{shown}' is here"));
            return Err(Box::new(refusal.hint("'clankers rpc transfers list' shows them")));
        }
        ([one], [], TransferChange::Cancel) => {
            one.stop.cancel();
            TransferInfo { state: TransferState::Cancelled, ..one.info() }
        }
        ([], [(_, info, _)], TransferChange::Cancel) => info.clone(),
        ([], [(place, info, part)], _) => {
            let (place, id) = (place.clone(), part.id.clone());
            blocking(caller, move |hall| {
                let dir = hall.settings.files.inbox(hall.context.home.inbox_dir());
                let forgotten = Inbox::open(&dir).and_then(|inbox| inbox.place(&place)?.forget(&id));
                forgotten.map_err(|e| e.to_string())
            })
            .await?;
            TransferInfo { state: TransferState::Cancelled, done_bytes: 0, ..info.clone() }
        }
        ([_], [], _) => {
            let refusal = caller.refuse(RefusalCode::Busy, "this transfer runs");
            return Err(Box::new(refusal.hint("cancel it first: 'clankers rpc transfers cancel'")));
        }
        _ => {
            let words = format!("several transfers begin with '{shown}'");
            return Err(Box::new(caller.refuse(RefusalCode::Ambiguous, &words).hint("write more of the id")));
        }
    };
    Ok(TransferEdited { transfer, ext: Ext::default() })
}

/// Goes on with one that is sent from here, without a command line.
async fn resume(caller: &Caller, id: &str) -> Answer<TransferEdited> {
    has_network(caller)?;
    let id = id.to_owned();
    let resumed = tokio::task::spawn_blocking({
        let hall = Arc::clone(&caller.hall);
        move || Job::resume(&hall.transfers.records, &id)
    });
    let mut job =
        resumed.await.map_err(|error| failed(caller, &error))?.map_err(|error| told(caller, &error))?;
    job.detach();
    let record = job.record().clone();
    detached::spawn(&caller.hall, job);
    let transfer = TransferInfo {
        transfer: record.id.parse().map_err(|error| failed(caller, &error))?,
        peer: record.subject,
        label: None,
        direction: Direction::Send,
        name: record.path.rsplit('/').next().unwrap_or_default().to_owned(),
        bytes: record.total,
        done_bytes: record.bytes,
        files: u32::try_from(record.files).unwrap_or(u32::MAX),
        state: TransferState::Running,
        error: None,
        at: record.started,
    };
    Ok(TransferEdited { transfer, ext: Ext::default() })
}

pub(in crate::service) async fn send(caller: &Caller, ask: FileSend) -> Answer<FileSent> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    has_network(caller)?;
    let subject = select::peer(caller, &ask.peer).await?;
    if subject == caller.hall.id {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "this is this node itself")));
    }
    let mut transfers = Vec::new();
    for path in ask.paths {
        let wish = SendWish {
            peer: ask.peer.clone(),
            path: PathBuf::from(path),
            to: ask.options.to.clone(),
            on_conflict: ask.options.on_conflict,
            follow_links: ask.options.follow_links,
            exclude: ask.options.exclude.clone(),
            detached: true,
        };
        let job = job(caller, subject, wish).await?;
        transfers.extend(job.record().id.parse::<TransferId>().ok());
        detached::spawn(&caller.hall, job);
    }
    Ok(FileSent { transfers, ext: Ext::default() })
}

async fn job(caller: &Caller, subject: NodeId, wish: SendWish) -> Answer<Job> {
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh).map_err(|error| failed(caller, &error))?;
    let hall = Arc::clone(&caller.hall);
    let made = tokio::task::spawn_blocking(move || {
        // What cannot be seen now is said now.
        std::fs::symlink_metadata(&wish.path).map_err(|error| (wish.path.display().to_string(), error))?;
        Ok(Job::send(&hall.transfers.records, subject, wish, TransferId(fresh), clock::now()))
    });
    let made: Result<_, (String, std::io::Error)> = made.await.map_err(|error| failed(caller, &error))?;
    match made {
        Ok(made) => made.map_err(|error| told(caller, &error)),
        Err((path, error)) => {
            let words = format!("cannot read '{}': {error}", text::line(&path, 200));
            Err(Box::new(caller.refuse(RefusalCode::NotFound, &words)))
        }
    }
}

/// A hall for one command ends with it: it can go on with nothing.
fn has_network(caller: &Caller) -> Answer<()> {
    match caller.hall.mesh.get() {
        Some(_) => Ok(()),
        None => {
            let refusal = caller.refuse(RefusalCode::NotFound, "no node runs here that could go on with it");
            Err(Box::new(refusal.hint("start one: clankers daemon start -d")))
        }
    }
}

fn told(caller: &Caller, error: &TransferError) -> Box<Refusal> {
    let code = match error {
        TransferError::Record(RecordError::Running) => RefusalCode::Busy,
        TransferError::Record(RecordError::None(_)) => RefusalCode::NotFound,
        TransferError::Record(RecordError::Several(_)) => RefusalCode::Ambiguous,
        TransferError::Path(_) => RefusalCode::Invalid,
        _ => RefusalCode::NodeTrouble,
    };
    Box::new(caller.refuse(code, &error.to_string()))
}

fn failed(caller: &Caller, error: &dyn std::error::Error) -> Box<Refusal> {
    tracing::error!(%error, "a request about transfers failed");
    Box::new(caller.refuse(RefusalCode::NodeTrouble, &error.to_string()))
}

/// Runs something that blocks on the disk. It is the owner who asks: told all.
async fn blocking<T: Send + 'static>(
    caller: &Caller,
    work: impl FnOnce(&Hall) -> Result<T, String> + Send + 'static,
) -> Answer<T> {
    let hall = Arc::clone(&caller.hall);
    let done =
        tokio::task::spawn_blocking(move || work(&hall)).await.map_err(|error| failed(caller, &error))?;
    done.map_err(|words| Box::new(caller.refuse(RefusalCode::NodeTrouble, &words)))
}

/// Removes the parts of transfers that broke off long ago. Blocks.
pub(crate) fn sweep(hall: &Hall) {
    let files = &hall.settings.files;
    let dir = files.inbox(hall.context.home.inbox_dir());
    match Inbox::open(&dir).and_then(|inbox| inbox.sweep(files.keep_parts())) {
        Ok(gone) => {
            for (peer, part) in gone {
                tracing::info!(peer, part = %part.id, "the parts of a transfer that broke off are removed");
            }
        }
        Err(error) if error.kind() == Trouble::Busy => {}
        Err(error) => complain(&error),
    }
}

fn complain(error: &FilesError) {
    tracing::warn!(%error, "old parts of transfers cannot be removed");
}
