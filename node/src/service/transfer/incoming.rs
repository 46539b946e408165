//! What the owner sees and does about transfers that others began: those that run, those that broke off here, and those
//! that landed.

use clankers_auth::Command;
use clankers_files::{Inbox, PartId, Partial, Remembered};
use clankers_protocol::{
    Message, Timestamp,
    limits::PAGE_ENTRIES,
    message::Ext,
    refusal::RefusalCode,
    request::transfer::{
        FileReceipt,
        keeping::{
            Direction, TransferChange, TransferEdit, TransferEdited, TransferInfo, TransferList,
            TransferListReply, TransferState,
        },
        limit_rate,
    },
    text,
    transfer::TransferId,
};

use super::{
    Answer,
    keeping::{self, WORD_CHARS, blocking},
};
use crate::{clock, door::Caller, hall::Hall, limits::LANDED_LISTED, transfers::Running};

/// A transfer that does not run.
struct Resting {
    info: TransferInfo,
    /// What lies in the inbox of it: the name of the peer's directory, and which; nothing lies there of what was
    /// cancelled before it came that far, or was fetched.
    kept: Option<(String, PartId)>,
}

pub(in crate::service) async fn list(caller: &Caller, ask: TransferList) -> Answer<TransferListReply> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let mut all: Vec<TransferInfo> = caller.hall.transfers.running().iter().map(Running::info).collect();
    all.extend(resting(caller).await?.into_iter().map(|one| one.info));
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.transfer.cmp(&b.transfer)));
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(skip.saturating_add(PAGE_ENTRIES));
    let transfers = all.into_iter().skip(skip).take(PAGE_ENTRIES).collect();
    Ok(TransferListReply { transfers, more: u32::try_from(more).unwrap_or(u32::MAX), ext: Ext::default() })
}

fn open(hall: &Hall) -> Result<Inbox, String> {
    Inbox::open(&hall.settings.files.inbox(hall.context.home.inbox_dir())).map_err(|e| e.to_string())
}

/// What broke off here, what landed and what was cancelled, and does not run at this moment.
async fn resting(caller: &Caller) -> Answer<Vec<Resting>> {
    let mut found = blocking(caller, |hall| {
        let inbox = open(hall)?;
        let parts = inbox.partials().map_err(|e| e.to_string())?;
        let landed = inbox.remembered(LANDED_LISTED).map_err(|e| e.to_string())?;
        let cancelled = hall.transfers.cancelled.all();
        let parts = parts.into_iter().filter(|(_, part)| !part.running).filter_map(|(place, part)| {
            let info = broken_off(&part, &cancelled)?;
            Some(Resting { info, kept: Some((place, part.id)) })
        });
        let landed = landed.into_iter().filter_map(|(place, one)| {
            let info = whole(&place, &one)?;
            Some(Resting { info, kept: Some((place, one.id)) })
        });
        let mut found: Vec<Resting> = parts.chain(landed).collect();
        for info in &cancelled {
            if !found.iter().any(|one| is_same(&one.info, info)) {
                found.push(Resting { info: info.clone(), kept: None });
            }
        }
        Ok(found)
    })
    .await?;
    let running = caller.hall.transfers.running();
    found.retain(|one| !running.iter().any(|run| run.transfer == one.info.transfer));
    Ok(found)
}

fn is_same(one: &TransferInfo, other: &TransferInfo) -> bool {
    one.transfer == other.transfer && one.peer == other.peer
}

/// A transfer that broke off here.
fn broken_off(part: &Partial, cancelled: &[TransferInfo]) -> Option<TransferInfo> {
    let about = part.about.as_ref()?;
    let label = about.note.get("label").and_then(|label| label.as_str()).map(str::to_owned);
    let (transfer, peer) = (about.transfer_id.parse().ok()?, about.principal.parse().ok()?);
    let is_cancelled = cancelled.iter().any(|one| one.transfer == transfer && one.peer == peer);
    Some(TransferInfo {
        transfer,
        peer,
        label,
        direction: Direction::Receive,
        name: about.root_name.clone(),
        bytes: about.total_bytes,
        done_bytes: part.had_bytes,
        files: u32::try_from(about.files).unwrap_or(u32::MAX),
        state: if is_cancelled { TransferState::Cancelled } else { TransferState::Interrupted },
        error: None,
        at: Timestamp(about.started_ms),
    })
}

/// A transfer that landed here; nothing where an earlier version kept too little of it.
fn whole(place: &str, one: &Remembered) -> Option<TransferInfo> {
    let receipt = FileReceipt::decode(&one.note).ok()?.receipt;
    let peer: clankers_protocol::NodeId = one.principal.parse().ok()?;
    Some(TransferInfo {
        transfer: one.transfer_id.parse().ok()?,
        peer,
        label: (place != peer.short()).then(|| place.to_owned()),
        direction: Direction::Receive,
        name: one.name.clone(),
        bytes: receipt.bytes,
        done_bytes: receipt.bytes,
        files: receipt.files,
        state: if receipt.bad > 0 { TransferState::Failed } else { TransferState::Done },
        error: (receipt.bad > 0).then(|| format!("{} of its files did not arrive", receipt.bad)),
        at: receipt.at,
    })
}

pub(in crate::service) async fn edit(caller: &Caller, ask: TransferEdit) -> Answer<TransferEdited> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    if ask.change == TransferChange::Resume {
        return keeping::resume(caller, &ask.transfer, limit_rate(&ask.ext)).await;
    }
    let is_meant = |id: TransferId| !ask.transfer.is_empty() && id.to_string().starts_with(&ask.transfer);
    let mut running = caller.hall.transfers.running();
    running.retain(|one| is_meant(one.transfer));
    let mut resting = resting(caller).await?;
    resting.retain(|one| is_meant(one.info.transfer));
    let transfer = match (running.as_slice(), resting.as_slice(), ask.change) {
        ([], [], _) => return Err(keeping::no_such(caller, &ask.transfer)),
        ([one], [], TransferChange::Cancel) => {
            cancel(caller, &one.info(), &one.part).await?;
            one.stop.cancel();
            TransferInfo { state: TransferState::Cancelled, ..one.info() }
        }
        ([], [Resting { info, .. }], TransferChange::Cancel) if is_over(info) => {
            let words = format!("{} is over: it landed here as {}", info.transfer.short(), info.name);
            return Err(Box::new(caller.refuse(RefusalCode::Conflict, &words)));
        }
        ([], [Resting { info, kept }], TransferChange::Cancel) => {
            if let Some((_, part)) = kept {
                cancel(caller, info, part).await?;
            }
            TransferInfo { state: TransferState::Cancelled, ..info.clone() }
        }
        ([], [one], _) => {
            forget(caller, one).await?;
            TransferInfo { state: TransferState::Cancelled, done_bytes: 0, ..one.info.clone() }
        }
        ([_], [], _) => {
            let refusal = caller.refuse(RefusalCode::Busy, "this transfer runs");
            return Err(Box::new(refusal.hint("cancel it first: 'clankers rpc transfers cancel'")));
        }
        _ => {
            let shown = text::line(&ask.transfer, WORD_CHARS);
            let words = format!("several transfers begin with '{shown}'");
            return Err(Box::new(caller.refuse(RefusalCode::Ambiguous, &words).hint("write more of the id")));
        }
    };
    Ok(TransferEdited { transfer, ext: Ext::default() })
}

fn is_over(info: &TransferInfo) -> bool {
    matches!(info.state, TransferState::Done | TransferState::Failed)
}

/// From now on its sender does not go on with it. As an offer it waits no more: what the owner said of it is over too.
async fn cancel(caller: &Caller, info: &TransferInfo, part: &PartId) -> Answer<()> {
    let (info, part) = (info.clone(), part.clone());
    blocking(caller, move |hall| {
        hall.transfers.cancelled.add(&info, &part).map_err(|e| e.to_string())?;
        let offer = hall.transfers.offers.get(info.transfer, clock::now());
        if offer.is_some_and(|offer| offer.info.peer == info.peer) {
            hall.transfers.offers.done(info.transfer);
        }
        Ok(())
    })
    .await
}

async fn forget(caller: &Caller, one: &Resting) -> Answer<()> {
    let (kept, landed) = (one.kept.clone(), is_over(&one.info));
    let (transfer, peer) = (one.info.transfer, one.info.peer);
    blocking(caller, move |hall| {
        hall.transfers.cancelled.forget(transfer, peer);
        let Some((place, part)) = kept else { return Ok(()) };
        let place = open(hall)?.place(&place).map_err(|e| e.to_string())?;
        let forgotten = if landed { place.settle(&part) } else { place.forget(&part).map(|_| ()) };
        forgotten.map_err(|e| e.to_string())
    })
    .await
}

/// A transfer that others began and whose id begins so, if there is one.
pub(super) async fn find(caller: &Caller, id: &str) -> Answer<Option<TransferInfo>> {
    let is_meant = |info: &TransferInfo| !id.is_empty() && info.transfer.to_string().starts_with(id);
    let running = caller.hall.transfers.running().iter().map(Running::info).find(is_meant);
    if running.is_some() {
        return Ok(running);
    }
    Ok(resting(caller).await?.into_iter().map(|one| one.info).find(is_meant))
}
