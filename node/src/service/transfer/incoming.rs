//! What the owner sees and does about transfers that others began: those that run, those that broke off here, and those
//! that landed.

use clankers_auth::Command;
use clankers_files::{Inbox, PartId, Partial, Remembered};
use clankers_protocol::{
    Message, Timestamp,
    limits::PAGE_ENTRIES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::{
        FileReceipt,
        keeping::{
            Direction, TransferChange, TransferEdit, TransferEdited, TransferInfo, TransferList,
            TransferListReply, TransferState,
        },
        limit_rate,
        moving::{self, Moving, Signed},
    },
    text,
    transfer::Root,
};

use super::{
    Answer,
    keeping::{self, WORD_CHARS, blocking},
};
use crate::{clock, door::Caller, hall::Hall, limits::LANDED_LISTED, transfers::Running};

/// A transfer that does not run.
struct Resting {
    info: TransferInfo,
    /// What it is of; not known any more of what was cancelled before it came that far.
    part: Option<PartId>,
    /// The peer's directory in the inbox, where something of it lies there.
    place: Option<String>,
    /// What was signed for: bytes that travelled, and the root.
    signed: Option<(u64, Root)>,
}

pub(in crate::service) async fn list(caller: &Caller, ask: TransferList) -> Answer<TransferListReply> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    let running = caller.hall.transfers.running();
    let mut all: Vec<Listed> = running.iter().map(|one| (one.info(), Some(one.pace()), None)).collect();
    all.extend(resting(caller).await?.into_iter().map(|one| (one.info, None, one.signed)));
    all.sort_by(|(a, ..), (b, ..)| b.at.cmp(&a.at).then_with(|| a.transfer.cmp(&b.transfer)));
    let skip = usize::try_from(ask.skip).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(skip.saturating_add(PAGE_ENTRIES));
    let page: Vec<Listed> = all.into_iter().skip(skip).take(PAGE_ENTRIES).collect();
    let moving: Vec<Moving> = (0..)
        .zip(&page)
        .filter_map(|(place, (_, pace, _))| pace.map(|(rate_bps, files)| Moving { place, rate_bps, files }))
        .collect();
    let signed: Vec<Signed> = (0..)
        .zip(&page)
        .filter_map(|(place, (.., said))| said.map(|(sent_bytes, root)| Signed { place, sent_bytes, root }))
        .collect();
    let ext = moving::notes(&moving, &signed);
    let transfers = page.into_iter().map(|(info, ..)| info).collect();
    Ok(TransferListReply { transfers, more: u32::try_from(more).unwrap_or(u32::MAX), ext })
}

/// One in the list: how fast it is while it runs, and what was signed for once it is whole.
type Listed = (TransferInfo, Option<(u64, u32)>, Option<(u64, Root)>);

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
            Some(Resting { info, part: Some(part.id), place: Some(place), signed: None })
        });
        let landed = landed.into_iter().filter_map(|(place, one)| {
            let (info, signed) = whole(&place, &one)?;
            Some(Resting { info, part: Some(one.id), place: Some(place), signed: Some(signed) })
        });
        let mut found: Vec<Resting> = parts.chain(landed).collect();
        for info in &cancelled {
            if !found.iter().any(|one| is_one(&one.info, info)) {
                found.push(Resting { info: info.clone(), part: None, place: None, signed: None });
            }
        }
        for (info, part) in hall.transfers.given() {
            if !found.iter().any(|one| is_one(&one.info, &info)) {
                found.push(Resting { info, part: Some(part), place: None, signed: None });
            }
        }
        Ok(found)
    })
    .await?;
    let running = caller.hall.transfers.running();
    found.retain(|one| {
        let is_its = |run: &Running| one.part.as_ref().is_none_or(|part| *part == run.part);
        !running.iter().any(|run| is_one(&run.info(), &one.info) && is_its(run))
    });
    Ok(found)
}

/// Whether they are of one peer, under one id of its choice.
fn is_same(one: &TransferInfo, other: &TransferInfo) -> bool {
    one.transfer == other.transfer && one.peer == other.peer
}

fn is_one(one: &TransferInfo, other: &TransferInfo) -> bool {
    is_same(one, other) && one.direction == other.direction
}

/// Which transfers the owner means: an id or its beginning, and `@` with the label or id of the peer where several peers
/// chose the same id.
struct Meant<'a> {
    id: &'a str,
    peer: Option<&'a str>,
}

impl<'a> Meant<'a> {
    fn of(words: &'a str) -> Self {
        match words.split_once('@') {
            Some((id, peer)) => Self { id, peer: Some(peer) },
            None => Self { id: words, peer: None },
        }
    }

    fn is(&self, info: &TransferInfo) -> bool {
        let is_peer = self.peer.is_none_or(|peer| {
            !peer.is_empty()
                && (info.label.as_deref() == Some(peer) || info.peer.to_string().starts_with(peer))
        });
        is_peer && !self.id.is_empty() && info.transfer.to_string().starts_with(self.id)
    }

    /// What to say when these are not one.
    fn several(&self, caller: &Caller, all: &[TransferInfo]) -> Box<Refusal> {
        let shown = text::line(self.id, WORD_CHARS);
        let refusal =
            caller.refuse(RefusalCode::Ambiguous, &format!("several transfers begin with '{shown}'"));
        let first = all.first().filter(|first| all.iter().all(|one| one.transfer == first.transfer));
        Box::new(match first {
            Some(first) => refusal.hint(&format!(
                "several peers chose this id; name the peer too: {}@{}",
                first.transfer.short(),
                first.peer.short()
            )),
            None => refusal.hint("write more of the id"),
        })
    }
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
fn whole(place: &str, one: &Remembered) -> Option<(TransferInfo, (u64, Root))> {
    let receipt = FileReceipt::decode(&one.note).ok()?.receipt;
    let peer: clankers_protocol::NodeId = one.principal.parse().ok()?;
    let info = TransferInfo {
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
    };
    Some((info, (receipt.sent_bytes, receipt.root)))
}

pub(in crate::service) async fn edit(caller: &Caller, ask: TransferEdit) -> Answer<TransferEdited> {
    caller.authorize_owner(ask.leaf, Command::AdminConfig)?;
    if ask.change == TransferChange::Resume {
        return keeping::resume(caller, &ask.transfer, limit_rate(&ask.ext)).await;
    }
    let meant = Meant::of(&ask.transfer);
    let mut running = caller.hall.transfers.running();
    running.retain(|one| meant.is(&one.info()));
    let mut resting = resting(caller).await?;
    resting.retain(|one| meant.is(&one.info));
    let all = running.iter().map(Running::info).chain(resting.iter().map(|one| one.info.clone()));
    let all: Vec<TransferInfo> = all.collect();
    let Some(first) = all.first() else { return Err(keeping::no_such(caller, &ask.transfer)) };
    // What one peer called the same is the same to its owner: else none of them could be named.
    if !all.iter().all(|one| is_same(one, first)) {
        return Err(meant.several(caller, &all));
    }
    let transfer = match ask.change {
        TransferChange::Forget if running.is_empty() => {
            for one in &resting {
                forget(caller, one).await?;
            }
            TransferInfo { state: TransferState::Cancelled, done_bytes: 0, ..first.clone() }
        }
        TransferChange::Forget => {
            let refusal = caller.refuse(RefusalCode::Busy, "this transfer runs");
            return Err(Box::new(refusal.hint("cancel it first: 'clankers rpc transfers cancel'")));
        }
        _ if running.is_empty() && resting.iter().all(|one| is_over(&one.info)) => {
            let how = match first.direction {
                Direction::Receive => "it landed here as",
                Direction::Send => "they have fetched",
            };
            let words = format!("{} is over: {how} {}", first.transfer.short(), first.name);
            return Err(Box::new(caller.refuse(RefusalCode::Conflict, &words)));
        }
        _ => {
            for one in &running {
                cancel(caller, &one.info(), &one.part).await?;
                one.stop.cancel();
            }
            for Resting { info, part, .. } in resting.iter().filter(|one| !is_over(&one.info)) {
                if let Some(part) = part {
                    cancel(caller, info, part).await?;
                }
            }
            TransferInfo { state: TransferState::Cancelled, ..first.clone() }
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
    let (kept, landed) = (one.place.clone().zip(one.part.clone()), is_over(&one.info));
    let (transfer, peer) = (one.info.transfer, one.info.peer);
    blocking(caller, move |hall| {
        hall.transfers.cancelled.forget(transfer, peer);
        hall.transfers.forget_given(transfer, peer);
        let Some((place, part)) = kept else { return Ok(()) };
        let place = open(hall)?.place(&place).map_err(|e| e.to_string())?;
        let forgotten = if landed { place.settle(&part) } else { place.forget(&part).map(|_| ()) };
        forgotten.map_err(|e| e.to_string())
    })
    .await
}

/// A transfer that others began and whose id begins so, if there is one.
pub(super) async fn find(caller: &Caller, id: &str) -> Answer<Option<TransferInfo>> {
    let meant = Meant::of(id);
    let is_meant = |info: &TransferInfo| meant.is(info);
    let running = caller.hall.transfers.running().iter().map(Running::info).find(is_meant);
    if running.is_some() {
        return Ok(running);
    }
    Ok(resting(caller).await?.into_iter().map(|one| one.info).find(is_meant))
}
