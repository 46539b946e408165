//! Getting files: asked for by their path in an export, received like everything else.

use std::{collections::BTreeSet, path::PathBuf};

use clankers_files::Place;
use clankers_protocol::{
    CidDigest,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileFetch,
    transfer::manifest::ManifestLimits,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Finished, Judge, Progress, Receiving, Record, Taken, TransferError, Us, Verdict,
    job::{bad_paths, conflict, control, id, verified},
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
    let ask = FileFetch { leaf, transfer: id(record)?, path: record.path.clone(), ext: Ext::default() };
    writer.send(&ask).await.map_err(ClientError::Stream)?;
    let judge = take_all(place, record, client);
    let receiving = Receiving::new(
        us.seed.clone(),
        (record.subject, record.subject),
        ManifestLimits::default(),
        judge,
        None,
        Some(client.connection().clone()),
    );
    let never = std::future::pending();
    let received = receiving.run(&mut reader, &mut writer, (us.now)(), tell, stop, never).await?;
    let receipt = verified(&received.receipt, record.subject, us.id)?;
    Ok(Finished { receipt, bad: bad_paths(&received.manifest, &received.bad), skipped: Vec::new() })
}

/// What was asked for is taken, where and as it was asked for; something else is not.
fn take_all(place: Place, record: &Record, client: &Client) -> Judge {
    let wanted = id(record).ok();
    // The name is whoever asks's: what the peer calls it could be a `.bash_profile`.
    let asked = record.path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
    let (name, subject, peer) = (record.name.clone().or(asked), record.subject, client.connection().remote());
    let on_conflict = conflict(&record.on_conflict);
    Box::new(move |offer, _manifest, tell| {
        Box::pin(async move {
            let verdict = if wanted == Some(offer.transfer) {
                Verdict::Take(Box::new(Taken {
                    place,
                    principal: subject.to_string(),
                    to: None,
                    name,
                    on_conflict,
                    declined: BTreeSet::new(),
                    note: serde_json::Value::Null,
                }))
            } else {
                let words = "something else was offered than was asked for";
                Verdict::Refuse(Box::new(Refusal::new(RefusalCode::Invalid, words, peer)))
            };
            let _over = tell.send(verdict).await;
        })
    })
}
