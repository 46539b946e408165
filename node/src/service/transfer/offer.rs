//! Files from a peer: into the inbox at once under a token to drop, after the owner's yes under one to offer, and not at
//! all under neither.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use clankers_auth::{Args, Asks, Command, Grant, Held};
use clankers_client::transfer::{Judge, Progress, Receiving, Taken, TransferError, Verdict, declined};
use clankers_files::{Inbox, PartId, There};
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    NodeId,
    refusal::{Refusal, RefusalCode},
    request::transfer::{FileOffer, OnConflict, keeping::Direction},
    transfer::{
        TransferId,
        manifest::{Manifest, ManifestLimits},
    },
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Answer, ended, label, path, place, refuse_cancelled, too_large};
use crate::{
    clock,
    door::Caller,
    hall::Hall,
    limits::{ENTRIES_WAITING, OFFER_GRACE_MS},
    transfers::{
        Begins,
        offers::{Answer as Said, Offer},
        quota::{self, Promise},
        shares::Share,
        totals::Counted,
    },
};

/// How an offer may be taken.
struct Leave {
    grant: Grant,
    /// [`Command::FileDrop`], or [`Command::FileOffer`].
    command: Command,
    /// What leave was asked for.
    args: Args,
    label: Option<String>,
}

pub(in crate::service) async fn run(
    caller: &Caller,
    connection: &Connection,
    offer: FileOffer,
    mut reader: FrameReader,
    writer: &mut FrameWriter,
) {
    let prepared = prepare(caller, &offer).await;
    let (leave, _place, _room) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => return crate::service::refuse(writer, &refusal).await,
    };
    let (tell, progress) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let settings = &caller.hall.settings.files;
    let most = ManifestLimits::default();
    let limits = ManifestLimits {
        entries: u32::try_from(settings.max_files).unwrap_or(u32::MAX).min(most.entries),
        depth: usize::try_from(settings.max_depth).unwrap_or(usize::MAX).min(most.depth),
        ..most
    };
    let (transfer, name) = (offer.transfer, offer.name.clone());
    let principal = leave.grant.principal;
    let part = part(&offer, principal);
    let answered = Arc::new(OnceLock::new());
    // Room is promised for as long as the conversation lasts.
    let promise = Arc::new(OnceLock::new());
    let judge = judge(caller, &leave, (&answered, &promise));
    let receiving = Receiving::new(
        caller.hall.seed.clone(),
        (principal, caller.remote),
        limits,
        judge,
        Some(offer),
        None,
    );
    let begins = Begins {
        transfer,
        peer: principal,
        label: leave.label.clone(),
        direction: Direction::Receive,
        name,
        began: clock::now(),
        progress,
        stop: stop.clone(),
        part,
        door: receiving.door(),
    };
    let Some(_entry) = caller.hall.transfers.enter(connection, begins) else {
        let refusal = caller.refuse(RefusalCode::Busy, "this transfer runs on this connection already");
        return crate::service::refuse(writer, &refusal).await;
    };
    let over = ended(caller, &leave.grant.held, leave.command);
    let done = receiving.run(&mut reader, writer, clock::now(), &tell, &stop, over).await;
    if let (Ok(_), Some(id)) = (&done, answered.get().copied()) {
        // The offer is done with.
        let transfers = Arc::clone(&caller.hall.transfers);
        let _gone = tokio::task::spawn_blocking(move || transfers.offers.done(id)).await;
    }
    log(principal, &done.map(|done| (done.receipt.receipt.files, done.receipt.receipt.bytes)));
}

/// What is offered, whichever the transfer's id.
fn part(offer: &FileOffer, principal: NodeId) -> PartId {
    let to = offer.to.as_deref().unwrap_or_default();
    PartId::of(&principal.to_string(), to, &offer.name, &offer.source)
}

pub(super) fn log(peer: NodeId, done: &Result<(u32, u64), TransferError>) {
    match done {
        Ok((files, bytes)) => tracing::info!(%peer, files, bytes, "a transfer is done"),
        Err(error) => tracing::info!(%peer, %error, "a transfer ended"),
    }
}

/// Asks for leave, for what the offer claims: what comes is held to it.
async fn prepare(caller: &Caller, offer: &FileOffer) -> Answer<(Leave, Option<crate::crowd::Place>, Share)> {
    let to = path(caller, offer.to.as_deref().unwrap_or_default())?;
    let args = Args { path: Some(to), size: Some(offer.bytes), ..Args::default() };
    let (grant, command) = leave(caller, offer, &args).await?;
    quota::entries(&caller.hall.settings.files, offer).map_err(|full| full.refusal(caller.remote))?;
    let place = place(caller, &grant.held)?;
    // Manifests of all transfers together fit into memory, whoever sends them.
    let entries = u64::from(offer.files).saturating_add(u64::from(offer.dirs));
    let room = share(caller, grant.principal, entries)?;
    refuse_cancelled(caller, (offer.transfer, grant.principal), part(offer, grant.principal), "send").await?;
    let label = label(caller, grant.principal).await?;
    Ok((Leave { grant, command, args, label }, place, room))
}

/// A peer's share of the memory for manifests.
pub(super) fn share(caller: &Caller, peer: NodeId, entries: u64) -> Answer<Share> {
    caller.hall.transfers.entries.take(peer, entries).ok_or_else(|| {
        let words = "this node has as many files in transfers as it can, in all or of yours";
        Box::new(caller.refuse(RefusalCode::Busy, words).hint("try again in a while"))
    })
}

/// The first chain under which it may be dropped; else the first under which it may be offered. Where no total is enough for
/// all of it, but not all of it may have to come, dropping is tried first: what was begun is gone on with, not asked about.
async fn leave(caller: &Caller, offer: &FileOffer, args: &Args) -> Answer<(Grant, Command)> {
    let shown = caller.held(offer.leaf);
    let may = |command, bytes| {
        let asked = Args { asks: Asks { bytes, ..Asks::default() }, ..args.clone() };
        let may = |held: &&Held| caller.authority().authorize(held, command, &asked).is_ok();
        shown.iter().find(may).map(|held| (held.leaf(), held.principal(), command))
    };
    let (drop_some, offer_all) = (may(Command::FileDrop, 0), may(Command::FileOffer, offer.bytes));
    let mut chosen = may(Command::FileDrop, offer.bytes);
    if let (None, Some((_, peer, _))) = (chosen, drop_some)
        && (offer_all.is_none() || comes_in_part(caller, offer, peer).await)
    {
        chosen = drop_some;
    }
    if let Some((leaf, _, command)) = chosen.or(offer_all).or_else(|| may(Command::FileOffer, 0)) {
        return Ok((caller.authorize(Some(leaf), command, args)?, command));
    }
    // Where only the wish to offer is hindered, what hinders it is what is told.
    let offers = shown.iter().any(|held| {
        let nothing = Args { size: Some(0), ..args.clone() };
        caller.authority().authorize(held, Command::FileOffer, &nothing).is_ok()
    });
    let command = if offers { Command::FileOffer } else { Command::FileDrop };
    let denied = caller.authorize(offer.leaf, command, args).map(|grant| (grant, command));
    denied.map_err(|refusal| too_large(caller, refusal, (command, args), &shown))
}

/// Whether some of it is here, or may be.
async fn comes_in_part(caller: &Caller, offer: &FileOffer, peer: NodeId) -> bool {
    if offer.on_conflict == OnConflict::Skip {
        return true;
    }
    let (hall, part, transfer) = (Arc::clone(&caller.hall), part(offer, peer), offer.transfer);
    let there = tokio::task::spawn_blocking(move || {
        let inbox = Inbox::open(&hall.settings.files.inbox(hall.context.home.inbox_dir()))?;
        inbox.there(&part, &transfer)
    });
    !matches!(there.await, Ok(Ok(There::Nothing)) | Ok(Err(_)) | Err(_))
}

/// Decides about an offer that may come.
fn judge(
    caller: &Caller,
    leave: &Leave,
    (answered, promise): (&Arc<OnceLock<TransferId>>, &Arc<OnceLock<Promise>>),
) -> Judge {
    let asked = Asked {
        hall: Arc::clone(&caller.hall),
        remote: caller.remote,
        principal: leave.grant.principal,
        held: leave.grant.held.clone(),
        asked: (leave.command, leave.args.clone()),
        label: leave.label.clone(),
        answered: Arc::clone(answered),
        promise: Arc::clone(promise),
    };
    let waits = leave.command == Command::FileOffer;
    Box::new(move |offer, manifest, tell| {
        Box::pin(async move { asked.decide(offer, manifest, waits, tell).await })
    })
}

/// Who asks.
struct Asked {
    hall: Arc<Hall>,
    remote: NodeId,
    principal: NodeId,
    /// The chain, and what leave was given for.
    held: Held,
    asked: (Command, Args),
    label: Option<String>,
    /// The offer that its owner answered.
    answered: Arc<OnceLock<TransferId>>,
    /// Where the room that it was promised is kept.
    promise: Arc<OnceLock<Promise>>,
}

impl Asked {
    async fn decide(
        self,
        offer: Arc<FileOffer>,
        manifest: Arc<Manifest>,
        waits: bool,
        tell: mpsc::Sender<Verdict>,
    ) {
        let verdict = match self.chosen(&offer, &manifest, waits, &tell).await {
            Ok(declined) => self.take(&offer, declined).await,
            Err(refusal) => Err(refusal),
        };
        let verdict = match verdict {
            Ok(taken) => Verdict::Take(Box::new(taken)),
            Err(refusal) => Verdict::Refuse(refusal),
        };
        let _over = tell.send(verdict).await;
    }

    /// What of it is not wanted, once the owner has said yes where that is needed.
    async fn chosen(
        &self,
        offer: &Arc<FileOffer>,
        manifest: &Arc<Manifest>,
        waits: bool,
        tell: &mpsc::Sender<Verdict>,
    ) -> Answer<BTreeSet<u32>> {
        if !waits {
            return Ok(BTreeSet::new());
        }
        let mut answers = self.hall.transfers.offers.answers();
        let mut known = self.ask(offer, manifest).await?;
        let id = known.info.transfer;
        self.hall.transfers.offers.came(id, manifest);
        let _once = self.answered.set(id);
        let mut told = false;
        loop {
            match &known.answer {
                Said::Accept(only) => {
                    match declined(manifest, only) {
                        Ok(declined) => return Ok(declined),
                        // The owner's slip, which could not be told when it was made.
                        Err(missing) => {
                            tracing::warn!(offer = %id.short(), ?missing,
                                "what was accepted of an offer is not in it: it waits for another answer");
                            self.reopen(id).await?;
                        }
                    }
                }
                Said::Reject => {
                    self.hall.transfers.offers.done(id);
                    let refusal = self.refuse(RefusalCode::Unauthorized, "the node's owner does not want it");
                    return Err(Box::new(
                        refusal.hint("ask them why: what is sent again is asked about anew"),
                    ));
                }
                Said::None if manifest.len() > ENTRIES_WAITING => {
                    return Err(self.too_large_to_wait(&known, manifest.len()));
                }
                Said::None if !told => {
                    told = true;
                    // The conversation itself ends a moment later: what ends it is told here.
                    let _over = tell.send(Verdict::Wait(known.info.until.plus_ms(OFFER_GRACE_MS))).await;
                }
                Said::None => {}
            }
            let left = std::time::Duration::from_millis(known.info.until.since(clock::now()));
            let _answered = tokio::time::timeout(left, answers.changed()).await;
            known = self.known(id).await.ok_or_else(|| {
                let refusal =
                    self.refuse(RefusalCode::Unauthorized, "the node's owner did not answer in time");
                Box::new(refusal.hint("send it again when they are there: it is asked about anew"))
            })?;
        }
    }

    /// The offer stands, and its sender comes again.
    fn too_large_to_wait(&self, known: &Offer, entries: u32) -> Box<Refusal> {
        let id = known.info.transfer.short();
        let words = format!(
            "the offer {id} waits for the node's owner; with {entries} files and directories it is too large to be \
             kept open meanwhile (the limit is {ENTRIES_WAITING})"
        );
        let hint = format!("ask the owner to accept it there: clankers inbox accept {id}");
        let refusal = self.refuse(RefusalCode::Waits, &words).hint(&hint);
        Box::new(
            refusal.hint("once it is accepted, send the same again: it is not asked about a second time"),
        )
    }

    async fn ask(&self, offer: &Arc<FileOffer>, manifest: &Arc<Manifest>) -> Answer<Offer> {
        let (hall, offer, manifest) = (Arc::clone(&self.hall), Arc::clone(offer), Arc::clone(manifest));
        let (peer, label) = (self.principal, self.label.clone());
        let now = clock::now();
        let wait = u64::try_from(hall.settings.files.offer_wait().as_millis()).unwrap_or(u64::MAX);
        let asked = tokio::task::spawn_blocking(move || {
            hall.transfers.offers.ask(peer, label, &offer, &manifest, (now, now.plus_ms(wait)))
        });
        let asked = asked.await.map_err(|error| self.trouble(&error))?;
        asked.map_err(|error| match error {
            crate::transfers::offers::OfferError::TooMany(_) => {
                self.refuse(RefusalCode::Busy, "too many offers wait here already")
            }
            error => self.trouble(&error),
        })
    }

    async fn reopen(&self, id: TransferId) -> Answer<()> {
        let hall = Arc::clone(&self.hall);
        let done = tokio::task::spawn_blocking(move || hall.transfers.offers.reopen(id)).await;
        let done = done.map_err(|error| self.trouble(&error))?;
        done.map(|_| ()).map_err(|error| self.trouble(&error))
    }

    async fn known(&self, id: TransferId) -> Option<Offer> {
        let hall = Arc::clone(&self.hall);
        tokio::task::spawn_blocking(move || hall.transfers.offers.get(id, clock::now())).await.ok().flatten()
    }

    /// Where it goes, when there is room.
    async fn take(&self, offer: &Arc<FileOffer>, declined: BTreeSet<u32>) -> Answer<Taken> {
        let (hall, offer) = (Arc::clone(&self.hall), Arc::clone(offer));
        let principal = self.principal.to_string();
        let name = self.label.clone().unwrap_or_else(|| self.principal.short());
        let part = part(&offer, self.principal);
        let (remote, label, promise) = (self.remote, self.label.clone(), Arc::clone(&self.promise));
        let (command, args) = (self.asked.0, &self.asked.1);
        let of = (part.clone(), offer.transfer);
        let meter = Counted::under(&hall.context.authority, &self.held, (command, args), of, remote);
        let taken = tokio::task::spawn_blocking(move || {
            let files = &hall.settings.files;
            let inbox = Inbox::open(&files.inbox(hall.context.home.inbox_dir()))?;
            let place = inbox.place_of(&name, &part, &offer.transfer)?;
            let names = hall.transfers.places_known.of(&inbox, &principal, &name);
            let whose = (principal.as_str(), &names);
            let room = quota::room(files, &hall.transfers.promises, (&inbox, &place), whose, &offer)?;
            Ok(room.map(|promised| {
                let _once = promise.set(promised);
                Taken {
                    place,
                    principal,
                    to: offer.to.clone(),
                    name: None,
                    on_conflict: offer.on_conflict,
                    declined,
                    note: serde_json::json!({ "label": label }),
                    meter,
                }
            }))
        });
        let taken: Result<_, clankers_files::FilesError> =
            taken.await.map_err(|error| self.trouble(&error))?;
        taken.map_err(|error| self.trouble(&error))?.map_err(|full| full.refusal(remote))
    }

    fn refuse(&self, code: RefusalCode, words: &str) -> Box<Refusal> {
        Box::new(Refusal::new(code, words, self.remote))
    }

    fn trouble(&self, error: &dyn std::error::Error) -> Box<Refusal> {
        tracing::error!(peer = %self.remote, %error, "an offer cannot be taken");
        let refusal = Refusal::new(RefusalCode::NodeTrouble, "the node's disk failed", self.remote);
        Box::new(refusal.hint("its owner finds the reason in the node's log"))
    }
}
