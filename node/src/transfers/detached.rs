//! What the node itself sends: begun by its owner, and gone on with until it is whole, also after a restart.

use std::{sync::Arc, time::Duration};

use clankers_client::transfer::{Direction, Finished, Job, Progress, TransferError, Us};
use clankers_protocol::NodeId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    hall::Hall,
    limits::{RESEND_DIAL, RESEND_PAUSE, RESEND_PAUSE_MAX},
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
        if done.is_none() && job.is_cancelled() {
            match job.cancelled() {
                Ok(()) => tracing::info!(id, "a detached transfer was cancelled"),
                Err(error) => tracing::warn!(id, %error, "a cancelled transfer could not be noted"),
            }
        }
        match done {
            Some(Ok(done)) => tracing::info!(id, bytes = done.receipt.bytes, "a detached transfer is done"),
            Some(Err(error)) => tracing::warn!(id, %error, "a detached transfer ended"),
            None => {}
        }
    });
}

/// Tries until it is whole, refused or cancelled; `None` when the node stops before.
async fn go_on(
    hall: &Arc<Hall>,
    job: &mut Job,
    stop: &CancellationToken,
) -> Option<Result<Finished, TransferError>> {
    let mut pause = RESEND_PAUSE;
    loop {
        let place = tokio::select! {
            place = hall.transfers.places.acquire() => place.ok()?,
            () = cancelled(job) => return None,
            () = stop.cancelled() => return None,
        };
        let before = job.record().bytes;
        let attempt = attempt(hall, job, stop).await;
        drop(place);
        match attempt {
            Err(error) if error.may_retry() && !stop.is_cancelled() => {
                tracing::info!(id = job.record().id, %error, ?pause, "a detached transfer is tried again");
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
) -> Result<Finished, TransferError> {
    let subject: NodeId = job.record().subject;
    let link = tokio::select! {
        link = hall.link(subject, RESEND_DIAL) => link,
        () = cancelled(job) => return Err(TransferError::Cancelled { by_peer: false }),
    };
    let link = link.map_err(|error| job.unreached(&error.to_string()))?;
    let (tell, _progress) = watch::channel(Progress::default());
    job.run(&link, &us(hall), None, &tell, stop).await
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
