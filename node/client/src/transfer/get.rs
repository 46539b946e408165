//! Getting files: asked for by their path in an export, received like everything else.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use clankers_files::{About, Place, Skips, Trouble};
use clankers_protocol::{
    CidDigest,
    refusal::{Refusal, RefusalCode},
    request::transfer::{FileFetch, left_out::LeftOut, with_limit_rate},
    transfer::manifest::ManifestLimits,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Direction, Finished, Judge, Progress, Receiving, Record, Taken, TransferError, Us, Verdict,
    job::{Left, bad_paths, conflict, control, id, verified},
};
use crate::{ClientError, client::Client};

/// One attempt to get what the record says.
pub(super) async fn run(
    client: &Client,
    us: &Us,
    leaf: Option<CidDigest>,
    record: &Record,
    tell: &watch::Sender<Progress>,
    stop: &CancellationToken,
) -> Result<Finished, TransferError> {
    tell.send_replace(Progress::default());
    let into = PathBuf::from(record.to.clone().unwrap_or_default());
    let place = tokio::task::spawn_blocking(move || Place::open(&into)).await;
    let place = place.map_err(|error| TransferError::Within(error.to_string()))??;
    let (mut writer, mut reader) = control(client).await?;
    let ext = with_limit_rate(record.limit_rate);
    let ask = FileFetch { leaf, transfer: id(record)?, path: record.path.clone(), ext };
    writer.send(&ask).await.map_err(ClientError::Stream)?;
    let left_out = Arc::default();
    let judge = take_all(place.clone(), record, client, Arc::clone(&left_out));
    let receiving = Receiving::new(
        us.seed.clone(),
        (record.subject, record.subject),
        ManifestLimits::default(),
        judge,
        None,
        Some(client.connection().clone()),
    );
    let never = std::future::pending();
    let received = receiving.run(&mut reader, &mut writer, (us.now)(), tell, stop, never).await;
    let received = received.map_err(here)?;
    let receipt = verified(&received.receipt, record.subject, us.id)?;
    let name = name(record).unwrap_or_else(|| received.manifest.root_name().to_owned());
    let source = &received.receipt.receipt.source;
    let left = Left { id: place.part_id(&record.subject.to_string(), "", &name, source), place };
    let bad = bad_paths(&received.manifest, &received.bad);
    let left_out = left_out.get().cloned().unwrap_or_default();
    Ok(Finished { receipt, bad, skipped: Skips::default(), left_out, left: Some(left) })
}

/// What arrived of something that was to be got and is not whole is removed. Blocks.
///
/// # Errors
/// The disk's, and [`TransferError::Files`] while it runs.
pub fn forget_parts(record: &Record) -> Result<(), TransferError> {
    let (Direction::Get, Some(into)) = (record.direction, &record.to) else { return Ok(()) };
    let place = match Place::open(std::path::Path::new(into)) {
        Ok(place) => place,
        // The directory is gone, and all that was in it.
        Err(error) if matches!(error.kind(), Trouble::Io | Trouble::BadPlace) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let is_meant =
        |about: &About| about.transfer_id == record.id && about.principal == record.subject.to_string();
    for part in place.partials()? {
        if part.about.as_ref().is_some_and(is_meant) {
            place.forget(&part.id)?;
        }
    }
    Ok(())
}

/// A name that is taken is taken on this side: the words for it are a sender's otherwise.
fn here(error: TransferError) -> TransferError {
    match error {
        TransferError::Client(ClientError::Refused(refusal)) if refusal.code() == RefusalCode::Conflict => {
            let mut refusal = Refusal { hints: Vec::new(), ..*refusal };
            refusal.message = "something has that name here already".to_owned();
            let hint = "get it with --on-conflict rename, overwrite or skip, or under another name with -o";
            TransferError::Client(ClientError::Refused(Box::new(refusal.hint(hint))))
        }
        error => error,
    }
}

/// The name is whoever asks's: what the peer calls it could be a `.bash_profile`.
fn name(record: &Record) -> Option<String> {
    let asked = || record.path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
    record.name.clone().or_else(asked)
}

/// What was asked for is taken, where and as it was asked for; something else is not.
fn take_all(place: Place, record: &Record, client: &Client, left_out: Arc<OnceLock<LeftOut>>) -> Judge {
    let wanted = id(record).ok();
    let (name, subject, peer) = (name(record), record.subject, client.connection().remote());
    let on_conflict = conflict(&record.on_conflict);
    Box::new(move |offer, _manifest, tell| {
        Box::pin(async move {
            let _once = left_out.set(LeftOut::read(&offer.ext));
            let verdict = if wanted == Some(offer.transfer) {
                Verdict::Take(Box::new(Taken {
                    place,
                    principal: subject.to_string(),
                    to: None,
                    name,
                    on_conflict,
                    declined: BTreeSet::new(),
                    note: serde_json::Value::Null,
                    meter: None,
                }))
            } else {
                let words = "something else was offered than was asked for";
                Verdict::Refuse(Box::new(Refusal::new(RefusalCode::Invalid, words, peer)))
            };
            let _over = tell.send(verdict).await;
        })
    })
}
