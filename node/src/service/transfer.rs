//! Files: taken from peers, given to peers, and their data streams.
//!
//! - [`offer`]: a peer has something for this node
//! - [`fetch`]: a peer wants something from it
//! - [`keeping`]: what the owner sees and does about both

mod fetch;
pub(crate) mod keeping;
mod offer;

use clankers_auth::{Command, Held};
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    NodeId,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileData,
    transfer::name::SafePath,
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
        Some(door) => door.serve(connection, reader, writer).await,
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
            let shown = clankers_protocol::text::line(asked, 80);
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
