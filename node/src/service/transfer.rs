//! Files: taken from peers, given to peers, and their data streams.
//!
//! - [`offer`]: a peer has something for this node
//! - [`fetch`]: a peer wants something from it; [`names`]: it asks first what there is
//! - [`keeping`]: what the owner sees and does about both
//! - [`incoming`]: of that, transfers that others began

mod fetch;
mod incoming;
pub(crate) mod keeping;
mod names;
mod offer;

use clankers_auth::{Args, Command, Held};
use clankers_files::PartId;
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    NodeId,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileData,
    text,
    transfer::{TransferId, name::SafePath},
};

pub(super) use self::{fetch::run as fetch, offer::run as offer};
use super::Answer;
use crate::{crowd::Place, door::Caller, limits::TRANSFERS_PER_PEER};

/// A data stream: it belongs to a transfer that runs on the same connection.
pub(super) async fn data(
    caller: &Caller,
    connection: &Connection,
    ask: FileData,
    reader: FrameReader,
    writer: &mut FrameWriter,
) {
    match caller.hall.transfers.door(connection, ask.transfer) {
        Some(door) => door.serve(connection, &ask, reader, writer).await,
        None => {
            let refusal = caller.refuse(RefusalCode::NotFound, "no such transfer runs on this connection");
            super::refuse(writer, &refusal).await;
        }
    }
}

/// A path that a peer named, as policies see it: canonical, `.` for nothing.
fn path(caller: &Caller, asked: &str) -> Answer<String> {
    if asked.is_empty() || asked == "." {
        return Ok(".".to_owned());
    }
    match SafePath::parse(asked) {
        Ok(path) => Ok(path.as_str().to_owned()),
        Err(error) => {
            let shown = text::line(asked, 80);
            let words = format!("'{shown}' cannot be a path here: {error}");
            Err(Box::new(caller.refuse(RefusalCode::Invalid, &words)))
        }
    }
}

/// A place among the transfers of the caller's peer; the owner needs none.
fn place(caller: &Caller, held: &Held) -> Answer<Option<Place>> {
    if held.is_owner() {
        return Ok(None);
    }
    caller.hall.transfers.crowd.enter(held.grantee()).map(Some).ok_or_else(|| {
        let words = format!("{TRANSFERS_PER_PEER} of your transfers run or wait here already");
        Box::new(caller.refuse(RefusalCode::Busy, &words).hint("wait until one ends"))
    })
}

/// What is too much for the tokens that were shown is told with its size and their bound; all else as it was refused.
fn too_large(
    caller: &Caller,
    refusal: Box<Refusal>,
    (command, args): (Command, &Args),
    shown: &[Held],
) -> Box<Refusal> {
    let small = Args { size: Some(0), ..args.clone() };
    let may = |held: &&Held| caller.authority().authorize(held, command, &small).is_ok();
    let bound = shown.iter().filter(may).filter_map(Held::size_limit).max();
    let (Some(bound), Some(size)) = (bound.filter(|bound| args.size > Some(*bound)), args.size) else {
        return refusal;
    };
    let flag = match command {
        Command::FileRead => "--read-only",
        Command::FileOffer => "--offer",
        _ => "--drop",
    };
    let wider = format!("clankers token create --for {} {flag} --max-size {size}", caller.principal());
    let (size, bound) = (text::size(size), text::size(bound));
    let words = format!("not allowed to {} of {size}: the token allows {bound} at most", command.words());
    let told = caller.refuse(RefusalCode::Unauthorized, &words);
    Box::new(told.hint("send less at a time").hint(&format!("or its owner allows more: {wider}")))
}

/// What the owner cancelled here is not gone on with.
async fn refuse_cancelled(
    caller: &Caller,
    (transfer, peer): (TransferId, NodeId),
    part: PartId,
    again: &str,
) -> Answer<()> {
    let hall = std::sync::Arc::clone(&caller.hall);
    let looked = tokio::task::spawn_blocking(move || {
        hall.transfers.cancelled.has((transfer, peer), &part, hall.settings.files.keep_parts())
    });
    let Some(transfer) = looked.await.unwrap_or_default() else { return Ok(()) };
    let refusal = caller.refuse(RefusalCode::Unauthorized, "the owner of that node cancelled this transfer");
    let hint = format!(
        "there 'clankers rpc transfers forget {}' lifts that: then {again} it anew",
        transfer.short()
    );
    Err(Box::new(refusal.hint(&hint)))
}

/// Waits until a transfer has to end: its authority is over, or the node stops.
async fn ended(caller: &Caller, held: &Held, command: Command) -> Box<Refusal> {
    tokio::select! {
        refusal = caller.ended(held, command) => refusal,
        () = caller.hall.context.draining.cancelled() => {
            let refusal = caller.refuse(RefusalCode::Stopping, "the node is stopping");
            Box::new(refusal.hint("send it again later: what has arrived is kept"))
        }
    }
}

/// What the owner calls a peer, if the book has a name that the owner gave.
async fn label(caller: &Caller, peer: NodeId) -> Answer<Option<String>> {
    let found = caller.hall.with_store(move |store| store.peers().get(peer)).await;
    let found = found.map_err(|error| crate::trouble::store(caller, &error))?;
    Ok(found.ok().flatten().and_then(|record| record.label))
}
