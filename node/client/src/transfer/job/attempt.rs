//! One attempt of a job to send, and what both ways share.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clankers_files::{Selection, Source};
use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{
    CidDigest, NodeId,
    limits::{FRAME_BYTES, TRANSFER_LANES},
    message::Ext,
    request::transfer::{FileReceipt, left_out::LeftOut},
    text,
    transfer::{Fault, manifest::Manifest, sender::OfferDraft},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{BadPath, Finished, PATH_CHARS, Us, conflict, id};
use crate::{
    client::Client,
    limits::FAR,
    transfer::{KeptReceipt, Looked, Progress, Record, Sending, TransferError},
};

/// Lists what is to be sent, until `stop`.
///
/// # Errors
/// [`TransferError::Files`] and those of [`Looked::of`].
pub async fn look(
    path: PathBuf,
    selection: Selection,
    stop: &CancellationToken,
) -> Result<Looked, TransferError> {
    let halt = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&halt);
    let mut looking =
        tokio::task::spawn_blocking(move || Looked::of(Source::walk(&path, &selection, &seen)?));
    let looked = tokio::select! {
        looked = &mut looking => looked,
        () = stop.cancelled() => {
            halt.store(true, Ordering::Relaxed);
            looking.await
        }
    };
    if stop.is_cancelled() {
        return Err(TransferError::Cancelled { by_peer: false });
    }
    looked.map_err(|error| TransferError::Within(error.to_string()))?
}

pub(super) async fn send(
    client: &Client,
    us: &Us,
    leaf: Option<CidDigest>,
    record: &Record,
    tell: &watch::Sender<Progress>,
    stop: &CancellationToken,
) -> Result<Finished, TransferError> {
    tell.send_replace(Progress::default());
    let selection = Selection {
        excludes: record.exclude.clone(),
        follow_links: record.follow_links,
        never: us.home.clone(),
    };
    let looked = Arc::new(look(PathBuf::from(&record.path), selection, stop).await?);
    let connection = client.connection();
    let draft = OfferDraft {
        leaf,
        transfer: id(record)?,
        source: looked.source().identity(),
        to: record.to.clone(),
        on_conflict: conflict(&record.on_conflict),
        lanes: if connection.rtt() >= FAR { TRANSFER_LANES } else { 1 },
        ext: Ext::default(),
    };
    let (mut writer, mut reader) = control(client).await?;
    let sending = Sending::new(Arc::clone(&looked), draft, record.subject, Some(connection.clone()))
        .limited(record.limit_rate);
    let never = std::future::pending();
    let sent = sending.run(&mut reader, &mut writer, (us.now)(), tell, stop, never).await?;
    let receipt = verified(&sent.receipt, us.id, record.subject)?;
    if sent.root.is_none() && record.root.as_ref().is_some_and(|root| *root != receipt.root) {
        // It answered the offer: what it is of was sent by an earlier attempt, or never.
        let why = "the receipt is of something else than what was sent before";
        return Err(TransferError::Broken(why.to_owned()));
    }
    Ok(Finished {
        receipt,
        bad: bad_paths(looked.manifest(), &sent.bad),
        skipped: looked.source().skipped().clone(),
        left_out: LeftOut::default(),
        left: None,
    })
}

/// A stream for the conversation.
pub(in crate::transfer) async fn control(
    client: &Client,
) -> Result<(FrameWriter, FrameReader), TransferError> {
    let (send, recv) = client.connection().open().await.map_err(crate::ClientError::from)?;
    let mut reader = FrameReader::new(recv);
    reader.set_limit(FRAME_BYTES);
    Ok((FrameWriter::new(send), reader))
}

/// Files that did not arrive, by their paths.
pub(in crate::transfer) fn bad_paths(manifest: &Manifest, bad: &[(u32, Fault)]) -> Vec<BadPath> {
    let path = |file| text::line(&manifest.path(file).unwrap_or_default(), PATH_CHARS);
    bad.iter().map(|(file, fault)| BadPath { path: path(*file), fault: *fault }).collect()
}

/// A receipt as it is kept, when its receiver has signed it.
pub(in crate::transfer) fn verified(
    said: &FileReceipt,
    sender: NodeId,
    receiver: NodeId,
) -> Result<KeptReceipt, TransferError> {
    if !clankers_auth::receipt::is_signed(&said.receipt, sender, receiver, &said.signature) {
        return Err(TransferError::Signature);
    }
    Ok(KeptReceipt {
        files: said.receipt.files.into(),
        bytes: said.receipt.bytes,
        sent_bytes: said.receipt.sent_bytes,
        root: said.receipt.root.to_string(),
        name: said.receipt.name.clone(),
        bad: said.receipt.bad.into(),
        declined: said.receipt.declined.into(),
        signed: data_encoding::HEXLOWER.encode(&said.receipt.signing_bytes(sender, receiver)),
        signature: data_encoding::HEXLOWER.encode(&said.signature),
    })
}
