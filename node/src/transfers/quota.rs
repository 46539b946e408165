//! Whether there is room for what is offered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use clankers_files::{FilesError, Inbox, PartId, Place, Usage};
use clankers_protocol::{
    NodeId,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileOffer,
    text::size,
    transfer::TransferId,
};

use crate::settings::Files;

/// What would not fit, and what the limit is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// Too many files and directories at a time.
    #[error("it has {got} files and directories, this node takes {limit} at a time")]
    Entries { got: u64, limit: u64 },
    /// The peer has as much here as it may.
    #[error("you have {} here, and with this you would have more than {}", size(*has), size(*limit))]
    Peer { has: u64, limit: u64 },
    /// The inbox holds as much as it may.
    #[error("this node's inbox takes {} in all, and it would be more", size(*limit))]
    Inbox { limit: u64 },
    /// More files of this peer than anybody counts.
    #[error("you have more files here than this node counts, so its owner has to tidy up")]
    Uncounted,
    /// The disk would have too little room left.
    #[error("this node's disk has no room for {} more", size(*bytes))]
    Disk { bytes: u64 },
}

impl Full {
    /// As the sender is told.
    pub(crate) fn refusal(&self, peer: NodeId) -> Box<Refusal> {
        let hint = match self {
            Self::Entries { .. } => "send it in parts, or as an archive",
            _ => "ask the node's owner to make room",
        };
        Box::new(Refusal::new(RefusalCode::Quota, &self.to_string(), peer).hint(hint))
    }
}

/// What counts in an offer before anything is looked at.
pub(crate) fn entries(settings: &Files, offer: &FileOffer) -> Result<(), Full> {
    let got = u64::from(offer.files).saturating_add(u64::from(offer.dirs));
    let limit = settings.max_files;
    if got > limit { Err(Full::Entries { got, limit }) } else { Ok(()) }
}

/// Room that transfers were promised: they are checked one after the other, and what one was promised is not there for
/// the next although nothing of it is on the disk yet.
#[derive(Debug, Default)]
pub(crate) struct Promises(Mutex<BTreeMap<u64, Promised>>);

#[derive(Debug)]
struct Promised {
    place: Place,
    principal: String,
    part: PartId,
    transfer: TransferId,
    bytes: u64,
    /// Whether one of that id had landed before: then that does not tell that this one has.
    again: bool,
}

/// Room for one transfer; dropping it gives back what was not used.
#[derive(Debug)]
pub(crate) struct Promise {
    all: Arc<Promises>,
    number: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// What is promised and not yet measured (bytes).
#[derive(Default)]
struct Coming {
    of_peer: u64,
    of_all: u64,
    on_disk: u64,
}

fn coming(table: &BTreeMap<u64, Promised>, principal: &str, part: &PartId) -> Result<Coming, FilesError> {
    let mut sum = Coming::default();
    for one in table.values() {
        // An attempt that is about to end has promised the same room.
        let own = one.part == *part;
        if own || (!one.again && one.place.has_landed(&one.part, &one.transfer)?) {
            continue;
        }
        let there = one.place.part_usage(&one.part)?;
        let more = one.bytes.saturating_sub(there.bytes);
        sum.of_all = sum.of_all.saturating_add(more);
        sum.of_peer = sum.of_peer.saturating_add(if one.principal == principal { more } else { 0 });
        sum.on_disk = sum.on_disk.saturating_add(one.bytes.saturating_sub(there.disk_bytes));
    }
    Ok(sum)
}

/// What the inbox holds, and what of it is in these directories and in this place.
fn usages(inbox: &Inbox, place: &Place, names: &BTreeSet<String>) -> Result<(Usage, Usage), FilesError> {
    let (mut all, mut own) = (Usage::default(), Usage::default());
    for (name, there) in inbox.places()? {
        let usage = there.usage()?;
        all.add(usage);
        if names.contains(&name) || there.path() == place.path() {
            own.add(usage);
        }
    }
    Ok((all, own))
}

/// Whether the offer fits beside all that is there and all that is promised. What the peer has is in all of its
/// directories, those of its earlier labels included. What is here of it from an earlier attempt
/// needs no room again: it is measured as the rest is. Blocks.
///
/// # Errors
/// [`FilesError`] when the disk cannot be measured.
pub(crate) fn room(
    settings: &Files,
    promises: &Arc<Promises>,
    (inbox, place): (&Inbox, &Place),
    (principal, names): (&str, &BTreeSet<String>),
    offer: &FileOffer,
) -> Result<Result<Promise, Full>, FilesError> {
    let to = offer.to.as_deref().unwrap_or_default();
    let part = place.part_id(principal, to, &offer.name, &offer.source);
    let mut table = promises.0.lock().unwrap_or_else(PoisonError::into_inner);
    let coming = coming(&table, principal, &part)?;
    let own = place.part_usage(&part)?;
    let more = offer.bytes.saturating_sub(own.disk_bytes);
    let free = place.free_bytes()?.saturating_sub(settings.keep_free_bytes);
    if free.saturating_sub(coming.on_disk) < more {
        return Ok(Err(Full::Disk { bytes: more }));
    }
    let (all, usage) = usages(inbox, place, names)?;
    let has = usage.bytes.saturating_sub(own.bytes).saturating_add(coming.of_peer);
    if has.saturating_add(offer.bytes) > settings.max_bytes_per_peer {
        return Ok(Err(Full::Peer { has, limit: settings.max_bytes_per_peer }));
    }
    // What others have is not for this one to tidy up: and they cannot add to what was not counted.
    if own.more || usage.more {
        return Ok(Err(Full::Uncounted));
    }
    let sum = all.bytes.saturating_sub(own.bytes).saturating_add(coming.of_all);
    if sum.saturating_add(offer.bytes) > settings.max_bytes {
        return Ok(Err(Full::Inbox { limit: settings.max_bytes }));
    }
    let number = table.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
    let again = place.has_landed(&part, &offer.transfer)?;
    let (place, principal) = (place.clone(), principal.to_owned());
    let (transfer, bytes) = (offer.transfer, offer.bytes);
    table.insert(number, Promised { place, principal, part, transfer, bytes, again });
    drop(table);
    Ok(Ok(Promise { all: Arc::clone(promises), number }))
}

#[cfg(test)]
mod tests;
