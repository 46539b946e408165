//! What the owner sees and does: offers that wait, and sending from the node.

use std::{path::PathBuf, sync::Arc};

use clankers_auth::Command;
use clankers_client::transfer::{Job, RecordError, SendWish, TransferError};
use clankers_files::{FilesError, Inbox, Trouble};
use clankers_protocol::{
    NodeId,
    limits::PAGE_ENTRIES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::keeping::{
        Direction, FileSend, FileSent, InboxAnswer, InboxAnswered, InboxList, InboxListReply, NotBegun,
        OfferInfo, TransferEdited, TransferInfo, TransferState, with_not_begun,
    },
    request::transfer::{limit_rate, shown::EXT_SHOW},
    text,
    transfer::TransferId,
};

pub(in crate::service) use super::incoming::{edit, list};
use super::{Answer, incoming};
use crate::{
    clock,
    door::Caller,
    hall::Hall,
    select,
    transfers::{detached, offers::Answer as Said},
};

/// Characters of an id that are said back.
pub(super) const WORD_CHARS: usize = 40;
/// Characters of paths that are said back.
const PATH_CHARS: usize = 400;
/// Paths of an offer that are named in a hint (count).
const NAMED: usize = 8;

pub(in crate::service) async fn inbox(caller: &Caller, ask: InboxList) -> Answer<InboxListReply> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let offers = offers(caller).await?;
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    if let Some(which) = ask.ext.get(EXT_SHOW) {
        let offer = find(caller, &offers, &String::from_utf8_lossy(which))?.clone();
        let (shown, more, offer) = blocking(caller, move |hall| {
            let (shown, more) = hall.transfers.offers.show(&offer, skip);
            Ok((shown, more, offer))
        })
        .await?;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        return Ok(InboxListReply { offers: vec![offer], more, ext: shown.ext() });
    }
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
    let offer = find(caller, &offers, &ask.offer)?;
    let id = offer.transfer;
    if ask.accept {
        let missing = caller.hall.transfers.offers.missing(offer, &ask.only);
        if !missing.is_empty() {
            let words = text::line(&missing.join("', '"), PATH_CHARS);
            let refusal =
                caller.refuse(RefusalCode::NotFound, &format!("there is no '{words}' in this offer"));
            return Err(Box::new(refusal.hint(&in_it(offer)).hint("it waits still")));
        }
    }
    let said = if ask.accept { Said::Accept(ask.only) } else { Said::Reject };
    let answered =
        blocking(caller, move |hall| hall.transfers.offers.answer(id, said).map_err(|e| e.to_string()));
    let offer = answered
        .await?
        .ok_or_else(|| Box::new(caller.refuse(RefusalCode::NotFound, "this offer does not wait any more")))?;
    Ok(InboxAnswered { offer, ext: Ext::default() })
}

/// The offer whose id begins so.
fn find<'o>(caller: &Caller, offers: &'o [OfferInfo], which: &str) -> Answer<&'o OfferInfo> {
    let mut found = offers.iter().filter(|offer| offer.transfer.to_string().starts_with(which));
    let shown = text::line(which, WORD_CHARS);
    match (found.next(), found.next()) {
        (Some(offer), None) if !which.is_empty() => Ok(offer),
        (Some(_), Some(_)) => {
            let words = format!("several offers begin with '{shown}'");
            Err(Box::new(caller.refuse(RefusalCode::Ambiguous, &words).hint("write more of the id")))
        }
        _ => {
            let refusal = caller.refuse(RefusalCode::NotFound, &format!("no offer '{shown}' waits here"));
            Err(Box::new(refusal.hint("'clankers inbox list' shows those that do")))
        }
    }
}

/// Some of what is in an offer, as a hint.
fn in_it(offer: &OfferInfo) -> String {
    let named: Vec<&str> = offer.sample.iter().map(|(path, _)| path.as_str()).take(NAMED).collect();
    let more = usize::try_from(offer.files).unwrap_or(usize::MAX).saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    text::line(&format!("in it: {}{more}", named.join(", ")), PATH_CHARS)
}

/// Goes on with one that is sent from here, without a command line.
pub(super) async fn resume(caller: &Caller, id: &str, limit: Option<u64>) -> Answer<TransferEdited> {
    let (known, prefix) = (caller.hall.transfers.records.clone(), id.to_owned());
    let known = tokio::task::spawn_blocking(move || known.find(&prefix)).await;
    match known.map_err(|error| failed(caller, &error))? {
        Ok(_) => {}
        Err(RecordError::None(_)) => return Err(not_ours(caller, id).await?),
        Err(error) => return Err(told(caller, &error.into())),
    }
    has_network(caller)?;
    let id = id.to_owned();
    let resumed = tokio::task::spawn_blocking({
        let hall = Arc::clone(&caller.hall);
        move || Job::resume(&hall.transfers.records, &id)
    });
    let mut job =
        resumed.await.map_err(|error| failed(caller, &error))?.map_err(|error| told(caller, &error))?;
    job.detach().map_err(|error| told(caller, &error))?;
    if limit.is_some() {
        job.limit(limit).map_err(|error| told(caller, &error))?;
    }
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

/// Why a transfer cannot be gone on with that was not begun here.
async fn not_ours(caller: &Caller, id: &str) -> Answer<Box<Refusal>> {
    let Some(info) = incoming::find(caller, id).await? else { return Ok(no_such(caller, id)) };
    let short = info.transfer.short();
    let from = info.label.unwrap_or_else(|| info.peer.short());
    let words =
        format!("{short} was begun by {}: only they can go on with it", text::line(&from, WORD_CHARS));
    let refusal = caller.refuse(RefusalCode::Invalid, &words);
    let refusal = refusal.hint(&format!("there: clankers rpc transfers resume {short}"));
    Ok(Box::new(match info.state {
        TransferState::Cancelled => refusal.hint(&format!(
            "it was cancelled here: to let them, 'clankers rpc transfers forget {short}' first"
        )),
        _ => refusal,
    }))
}

pub(super) fn no_such(caller: &Caller, id: &str) -> Box<Refusal> {
    let shown = text::line(id, WORD_CHARS);
    let refusal = caller.refuse(RefusalCode::NotFound, &format!("no transfer '{shown}' is here"));
    Box::new(refusal.hint("'clankers rpc transfers list' shows them"))
}

pub(in crate::service) async fn send(caller: &Caller, ask: FileSend) -> Answer<FileSent> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    has_network(caller)?;
    let subject = select::peer(caller, &ask.peer).await?;
    if subject == caller.hall.id {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "this is this node itself")));
    }
    let (mut transfers, mut not_begun, limit) = (Vec::new(), Vec::new(), limit_rate(&ask.ext));
    for path in ask.paths {
        let wish = SendWish {
            peer: ask.peer.clone(),
            path: PathBuf::from(&path),
            to: ask.options.to.clone(),
            on_conflict: ask.options.on_conflict,
            follow_links: ask.options.follow_links,
            exclude: ask.options.exclude.clone(),
            detached: true,
        };
        match job(caller, subject, wish, limit).await {
            Ok(job) => {
                transfers.extend(job.record().id.parse::<TransferId>().ok());
                detached::spawn(&caller.hall, job);
            }
            // The others are not to suffer for it.
            Err(refusal) => not_begun.push((path, refusal)),
        }
    }
    match not_begun.into_iter().next() {
        Some((_, refusal)) if transfers.is_empty() => Err(refusal),
        first => {
            let first = first.map(|(path, refusal)| NotBegun { path, why: refusal.message.clone() });
            Ok(FileSent { transfers, ext: with_not_begun(first) })
        }
    }
}

async fn job(caller: &Caller, subject: NodeId, wish: SendWish, limit: Option<u64>) -> Answer<Job> {
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh).map_err(|error| failed(caller, &error))?;
    let hall = Arc::clone(&caller.hall);
    let made = tokio::task::spawn_blocking(move || {
        // What cannot be seen now is said now.
        std::fs::symlink_metadata(&wish.path).map_err(|error| (wish.path.display().to_string(), error))?;
        let made = Job::send(&hall.transfers.records, subject, wish, TransferId(fresh), clock::now());
        Ok(made.and_then(|mut job| job.limit(limit).map(|()| job)))
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
        TransferError::Record(RecordError::Running(_)) => RefusalCode::Busy,
        TransferError::Record(RecordError::None(_)) => RefusalCode::NotFound,
        TransferError::Record(RecordError::Several(_)) => RefusalCode::Ambiguous,
        TransferError::Path(_) => RefusalCode::Invalid,
        _ => RefusalCode::NodeTrouble,
    };
    let refusal = caller.refuse(code, &error.to_string());
    Box::new(match code {
        RefusalCode::Busy => refusal.hint("see it with 'clankers rpc transfers'"),
        RefusalCode::NotFound => refusal.hint("'clankers rpc transfers list' shows them"),
        _ => refusal,
    })
}

fn failed(caller: &Caller, error: &dyn std::error::Error) -> Box<Refusal> {
    tracing::error!(%error, "a request about transfers failed");
    Box::new(caller.refuse(RefusalCode::NodeTrouble, &error.to_string()))
}

/// Runs something that blocks on the disk. It is the owner who asks: told all.
pub(super) async fn blocking<T: Send + 'static>(
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
