//! What the node itself sends: begun by its owner, and gone on with until it is whole, also after a restart.

use std::{convert::Infallible, sync::Arc, time::Duration};

use clankers_client::transfer::{Direction, Finished, Job, Phase, Progress, TransferError, Us, beside};
use clankers_mesh::{PeerAddress, parse_ticket};
use clankers_protocol::{NodeId, limits::ADDRESSES};
use clankers_store::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    hall::Hall,
    limits::{DETACHED_LIGHT_BYTES, RESEND_DIAL, RESEND_PAUSE, RESEND_PAUSE_MAX},
};

/// This node, as receipts name it.
pub(crate) fn us(hall: &Hall) -> Us {
    let home = Some(hall.context.home.root().to_owned());
    Us { id: hall.id, seed: hall.seed.clone(), home, now: clock::now }
}

/// Sends what the job says, in a task of its own; returns at once.
pub(crate) fn spawn(hall: &Arc<Hall>, job: Job) {
    let hall = Arc::clone(hall);
    let tasks = hall.transfers.tasks.clone();
    tasks.spawn(async move {
        let stop = hall.context.draining.child_token();
        let mut job = job;
        let id = job.record().id.clone();
        let done = go_on(&hall, &mut job, &stop).await;
        let by_us = matches!(done, None | Some(Err(TransferError::Cancelled { by_peer: false })));
        if by_us && job.is_cancelled() {
            match job.cancelled() {
                Ok(()) => tracing::info!(id, "a detached transfer was cancelled"),
                Err(error) => tracing::warn!(id, %error, "a cancelled transfer could not be noted"),
            }
        }
        if stop.is_cancelled() && !job.is_cancelled() && !job.record().state.is_over() {
            rests(&mut job, "the node was stopped; it goes on when the node is started again");
        }
        match done {
            Some(Ok(done)) => tracing::info!(id, bytes = done.receipt.bytes, "a detached transfer is done"),
            Some(Err(error)) => tracing::warn!(id, %error, "a detached transfer ended"),
            None => {}
        }
    });
}

/// Notes why it rests.
fn rests(job: &mut Job, why: &str) {
    if let Err(error) = job.rests(why) {
        tracing::warn!(%error, "a record does not say why its transfer rests");
    }
}

/// Tries until it is whole, refused or cancelled; `None` when the node stops before.
async fn go_on(
    hall: &Arc<Hall>,
    job: &mut Job,
    stop: &CancellationToken,
) -> Option<Result<Finished, TransferError>> {
    let mut pause = RESEND_PAUSE;
    let places = if is_light(job).await { &hall.transfers.light } else { &hall.transfers.places };
    loop {
        let place = turn(places, job, stop).await?;
        let before = job.record().bytes;
        let attempt = attempt(hall, job, stop, (places, place)).await;
        match attempt {
            Err(error) if error.may_retry() && !stop.is_cancelled() => {
                tracing::info!(id = job.record().id, %error, ?pause, "a detached transfer is tried again");
                // What was not reached is told there already, in more words.
                let why = job.record().error.clone().unwrap_or_else(|| error.to_string());
                rests(job, &format!("{why}; this node tries again by itself"));
            }
            done => return if stop.is_cancelled() { None } else { Some(done) },
        }
        if job.record().bytes > before {
            // It moves: what broke it off was of the moment.
            pause = RESEND_PAUSE;
        }
        if !waited(job, pause, stop).await {
            return None;
        }
        pause = (pause * 2).min(RESEND_PAUSE_MAX);
    }
}

/// Whether it takes little: of memory, and of what others wait for.
async fn is_light(job: &Job) -> bool {
    let record = job.record();
    let is_slow = record.limit_rate.is_some_and(|rate| rate < clankers_client::limits::LIMIT_ONE_LANE);
    let found = tokio::fs::metadata(&record.path).await;
    is_slow || found.is_ok_and(|found| found.is_file() && found.len() <= DETACHED_LIGHT_BYTES)
}

/// Waits for a place, and says so; `None` when it is to end meanwhile.
async fn turn<'a>(
    places: &'a Semaphore,
    job: &mut Job,
    stop: &CancellationToken,
) -> Option<SemaphorePermit<'a>> {
    if let Ok(place) = places.try_acquire() {
        return Some(place);
    }
    let noted = |noted: Result<(), TransferError>| {
        if let Err(error) = noted {
            tracing::warn!(%error, "a record does not say that its transfer waits for its turn");
        }
    };
    noted(job.queued(true));
    let place = tokio::select! {
        place = places.acquire() => place.ok(),
        () = cancelled(job) => None,
        () = stop.cancelled() => None,
    };
    noted(job.queued(false));
    place
}

/// Waits before the next try; false when it is to end meanwhile.
async fn waited(job: &Job, pause: Duration, stop: &CancellationToken) -> bool {
    let deadline = tokio::time::Instant::now() + pause;
    loop {
        if job.is_cancelled() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return true,
            () = tokio::time::sleep(clankers_client::limits::TELL_EVERY) => {}
            () = stop.cancelled() => return false,
        }
    }
}

/// Waits until somebody asks for its end: a running attempt looks itself, this is for while it waits.
async fn cancelled(job: &Job) {
    while !job.is_cancelled() {
        tokio::time::sleep(clankers_client::limits::TELL_EVERY).await;
    }
}

async fn attempt(
    hall: &Arc<Hall>,
    job: &mut Job,
    stop: &CancellationToken,
    (places, place): (&Semaphore, SemaphorePermit<'_>),
) -> Result<Finished, TransferError> {
    let subject: NodeId = job.record().subject;
    let address = address(hall, job, subject).await.map_err(|error| job.unreached(&error.to_string()))?;
    let link = tokio::select! {
        link = hall.link_at(&address, RESEND_DIAL) => link,
        () = cancelled(job) => return Err(TransferError::Cancelled { by_peer: false }),
    };
    let link = link.map_err(|error| job.unreached(&error.to_string()))?;
    let boot = link.welcome().await?.boot_id;
    let (tell, progress) = watch::channel(Progress::default());
    let anew = || {
        let (hall, address) = (Arc::clone(hall), address.clone());
        async move { Some((hall.boot_of(&address, RESEND_DIAL).await?, ())) }
    };
    let us = us(hall);
    let run = Box::pin(job.run(&link, &us, None, &tell, stop));
    let places = keep_place(places, place, progress.clone());
    // The link that leads nowhere is closed by this: the next attempt makes a fresh one.
    let run = beside(run, (link.connection(), boot), progress, anew);
    tokio::select! {
        (done, _fresh) = run => done,
        never = places => match never {},
    }
}

/// Has a place while there is something to send: an offer whose owner sleeps keeps nobody else waiting.
async fn keep_place<'a>(
    places: &'a Semaphore,
    mut place: SemaphorePermit<'a>,
    mut progress: watch::Receiver<Progress>,
) -> Infallible {
    let waits = |now: &Progress| matches!(now.phase, Phase::Waiting { .. });
    loop {
        if progress.wait_for(waits).await.is_err() {
            break;
        }
        drop(place);
        if progress.wait_for(|now| !waits(now)).await.is_err() {
            break;
        }
        // It goes on meanwhile: who begins after it waits.
        let Ok(again) = places.acquire().await else { break };
        place = again;
    }
    std::future::pending().await
}

/// Where the peer may be: where the ticket said by which it was named, and where else it is known to be.
async fn address(hall: &Arc<Hall>, job: &Job, subject: NodeId) -> Result<PeerAddress, StoreError> {
    let known = hall.address_of(subject).await?;
    let Some(ticket) = parse_ticket(&job.record().peer).ok().filter(|ticket| ticket.id == subject) else {
        return Ok(known);
    };
    let PeerAddress { id, mut addrs, relay } = ticket;
    addrs.extend(known.addrs);
    addrs.truncate(ADDRESSES);
    Ok(PeerAddress { id, addrs, relay: relay.or(known.relay) })
}

/// Goes on with what an earlier run of the node did not finish. Blocks.
pub(crate) fn take_up(hall: &Arc<Hall>) {
    let records = &hall.transfers.records;
    let open = match records.list() {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "transfers that broke off cannot be gone on with");
            return;
        }
    };
    let ours = open
        .into_iter()
        .filter(|one| one.detached && one.direction == Direction::Send && !one.state.is_over());
    for record in ours {
        match Job::resume(records, &record.id) {
            Ok(job) => spawn(hall, job),
            Err(error) => tracing::warn!(id = record.id, %error, "a transfer cannot be gone on with"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::Timestamp;

    use super::*;

    #[tokio::test]
    async fn an_offer_that_waits_has_no_place() {
        let places = Semaphore::new(1);
        let (tell, progress) = watch::channel(Progress::default());
        let is = |phase| tell.send_replace(Progress { phase, ..Progress::default() });
        let place = places.acquire().await.unwrap();
        let others = async {
            assert_eq!(places.available_permits(), 0, "what is listed and sent has one");
            is(Phase::Waiting { until: Timestamp(1) });
            let other = places.acquire().await.unwrap();
            is(Phase::Running);
            tokio::task::yield_now().await;
            drop(other);
            // It is taken again: who asks after it waits.
            while places.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let both = async {
            tokio::select! {
                () = others => {}
                never = keep_place(&places, place, progress) => match never {},
            }
        };
        tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    }
}
