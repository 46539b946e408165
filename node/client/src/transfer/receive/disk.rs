//! What a receiver does on the disk: each of these blocks, and says what came of it.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use clankers_files::{Begun, FilesError, HadFrom, Landing, Plan, Small, Trouble, Wanted, Wish};
use clankers_protocol::{
    Message, NodeId,
    limits::TRANSFER_BLOCK_BYTES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::{EntryKind, FileBlock, FileOffer, FileReceipt, OnConflict},
    transfer::{
        manifest::Manifest,
        receipt::Receipt,
        receiver::Input,
        tree::{self, EMPTY_ROOT},
    },
};

use super::{Meter, Taken};
use crate::transfer::{error::fault, pool::Buffer};

/// A receipt and its signature.
pub(super) type Sealed = (Box<Receipt>, Vec<u8>);

/// Something was done.
#[derive(Debug)]
pub(super) enum Done {
    /// The machine is told this; and the disk failed for all of it, not for one file.
    Inputs(Vec<Input>, Option<Refused>),
    /// A transfer begins, or does not.
    Begun(Box<Result<Scanned, Refused>>),
    /// So many bytes are durable.
    Synced(Result<u64, FilesError>),
    /// All has its final name.
    Sealed(Box<Result<Sealed, Refused>>),
}

/// A transfer that begins.
#[derive(Debug)]
pub(super) enum Scanned {
    /// All of it landed before.
    Landed(Box<Receipt>),
    /// It is received.
    Landing {
        landing: Arc<Landing>,
        /// What is here from before, and what is not wanted.
        before: Vec<Input>,
        /// What the machine is told once it is accepted.
        after: Vec<Input>,
        /// Files that are the same under their final names, if their roots are.
        same: BTreeSet<u32>,
        /// What may come, where that is counted (bytes).
        admitted: u64,
    },
}

/// How far the reading of what is there from before is, and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) halt: AtomicBool,
    pub(super) bytes: AtomicU64,
}

/// Why the disk refuses.
#[derive(Debug)]
pub(super) struct Refused {
    code: RefusalCode,
    message: Box<str>,
    hint: &'static str,
    /// What failed on this disk, as it is told on this side.
    pub(super) here: Option<FilesError>,
    /// The whole of it, when it was worded elsewhere.
    said: Option<Box<Refusal>>,
}

impl Refused {
    pub(super) fn for_peer(self, peer: NodeId) -> Refusal {
        match self.said {
            Some(said) => *said,
            None => Refusal::new(self.code, &self.message, peer).hint(self.hint),
        }
    }
}

/// What a peer is told when the disk here fails: not where.
pub(super) fn refused(error: &FilesError) -> Refused {
    tracing::info!(%error, "a transfer is not received");
    let (code, message, hint) = match error.kind() {
        Trouble::Busy => {
            (RefusalCode::Busy, "the same transfer is running already", "wait for it, or cancel it")
        }
        Trouble::Conflict => {
            (RefusalCode::Conflict, "something has that name there already", "send with --on-conflict rename")
        }
        Trouble::NoSpace => {
            (RefusalCode::Quota, "the receiver's disk is full", "what has arrived is kept there")
        }
        Trouble::TooMany => (
            RefusalCode::Quota,
            "the receiver has as many unfinished transfers as it takes",
            "finish some first",
        ),
        Trouble::BadPlace => {
            (RefusalCode::Invalid, "that directory cannot be written to there", "choose another with --to")
        }
        _ => (
            RefusalCode::NodeTrouble,
            "the receiver's disk failed",
            "its owner finds the reason in the node's log",
        ),
    };
    // What has a name, or runs, is no trouble of the disk's: both sides are told the same.
    let here = !matches!(error.kind(), Trouble::Busy | Trouble::Conflict);
    Refused { code, message: message.into(), hint, here: here.then(|| error.clone()), said: None }
}

/// Begins a transfer where it is taken, and reads what is there from before.
pub(super) fn begin(
    taken: Taken,
    offer: &FileOffer,
    manifest: &Arc<Manifest>,
    scan: &Scan,
) -> Result<Scanned, Refused> {
    let (conflict, meter) = (taken.on_conflict, taken.meter);
    let wanted = manifest.files().filter(|(file, _)| !taken.declined.contains(file));
    let wanted = wanted.fold(0_u64, |sum, (_, entry)| sum.saturating_add(entry.size));
    let declined: Vec<Input> = manifest
        .files()
        .filter(|(file, _)| taken.declined.contains(file))
        .map(|(file, _)| Input::Decline { file })
        .collect();
    let wish = Wish {
        principal: taken.principal,
        to: taken.to,
        root_name: taken.name.unwrap_or_else(|| offer.name.clone()),
        source: offer.source,
        transfer_id: offer.transfer,
        conflict,
        listing: Arc::new(Wanted::new(Arc::clone(manifest), taken.declined)),
        note: taken.note,
    };
    let landing = match taken.place.begin(wish).map_err(|error| refused(&error))? {
        Begun::Landing(landing) => landing,
        Begun::Done { name, note } => {
            let kept = FileReceipt::decode(&note).map_err(|_| Refused {
                code: RefusalCode::NodeTrouble,
                message: "this transfer has landed already, and its receipt is damaged".into(),
                hint: "send it anew: 'clankers rpc transfers forget ID' first",
                here: None,
                said: None,
            })?;
            // Nothing of it travels in this conversation.
            return Ok(Scanned::Landed(Box::new(Receipt { name, sent_bytes: 0, ..kept.receipt })));
        }
    };
    let note = |bytes: u64| {
        scan.bytes.fetch_add(bytes, Ordering::Relaxed);
    };
    let plan = landing.scan(&scan.halt, &note).map_err(|error| refused(&error))?;
    let admitted = match meter.map(|meter| admit(&*meter, wanted, conflict, &plan, manifest)).transpose() {
        Ok(admitted) => admitted.unwrap_or_default(),
        Err(said) => return Err(spurned(*landing, said)),
    };
    let (mut before, mut same) = (declined, BTreeSet::new());
    for had in plan.had {
        let root = had.root.unwrap_or(EMPTY_ROOT);
        before.push(match had.from {
            HadFrom::Target if conflict == OnConflict::Skip => {
                same.insert(had.file);
                Input::Same { file: had.file, root }
            }
            _ => Input::Held { file: had.file, blocks: had.blocks },
        });
    }
    let is_file = |file: u32| manifest.get(file).is_some_and(|entry| entry.kind == EntryKind::File);
    let bad = plan.bad.into_iter().filter(|(file, _)| is_file(*file));
    let after = bad.map(|(file, error)| Input::Unfit { file, fault: fault(&error) }).collect();
    Ok(Scanned::Landing { landing: Arc::from(landing), before, after, same, admitted })
}

/// Asks whether so much may come: all that is wanted, but for what is here from an earlier attempt, and for what stays
/// because its name is taken. What is to be replaced may be another, and come whole.
fn admit(
    meter: &dyn Meter,
    wanted: u64,
    conflict: OnConflict,
    plan: &Plan,
    manifest: &Manifest,
) -> Result<u64, Box<Refusal>> {
    let bytes = |of: HadFrom| {
        let blocks = plan.had.iter().filter(|had| had.from == of).flat_map(|had| {
            let size = manifest.get(had.file).map_or(0, |entry| entry.size);
            had.blocks.iter().filter_map(move |(block, _)| tree::block_span(size, *block))
        });
        blocks.fold(0_u64, |sum, (_, len)| sum.saturating_add(len.into()))
    };
    let stays = if conflict == OnConflict::Skip { bytes(HadFrom::Target) } else { 0 };
    let had = bytes(HadFrom::Part);
    let coming = wanted.saturating_sub(had).saturating_sub(stays);
    if coming > 0 {
        meter.admit(coming, had)?;
    }
    Ok(coming)
}

/// What is refused before anything came leaves nothing.
fn spurned(landing: Landing, said: Box<Refusal>) -> Refused {
    if !landing.resumes()
        && let Err(error) = landing.forget()
    {
        tracing::warn!(%error, "the parts of a refused transfer cannot be removed");
    }
    let (code, message) = (RefusalCode::Quota, said.message.as_str().into());
    Refused { code, message, hint: "", here: None, said: Some(said) }
}

/// Writes blocks of one buffer, and counts what is written.
pub(super) fn write(
    landing: &Landing,
    buffer: &Buffer,
    blocks: Vec<(FileBlock, Range<usize>)>,
    meter: Option<&dyn Meter>,
) -> Done {
    let count = |block: &FileBlock| {
        if let Some(meter) = meter {
            meter.came(block.len.into());
        }
    };
    let bytes = |range: &Range<usize>| buffer.as_ref().get(range.clone()).unwrap_or_default();
    // A block that is shorter than blocks are, and the first, is a whole file.
    let is_small = |block: &FileBlock| {
        block.block == 0 && usize::try_from(block.len).unwrap_or(usize::MAX) < TRANSFER_BLOCK_BYTES
    };
    let (small, large): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(block, _)| is_small(block));
    let files: Vec<Small<'_>> = small
        .iter()
        .map(|(block, range)| Small { file: block.file, cv: &block.cv, bytes: bytes(range) })
        .collect();
    let of_small = landing.write_small(&files).into_iter().zip(small.iter().map(|(block, _)| *block));
    let mut failed = None;
    let mut inputs: Vec<Input> =
        of_small.filter_map(|(done, block)| written(done, block, &count, &mut failed)).collect();
    for (block, range) in &large {
        let done = landing.write_block(block.file, block.block, &block.cv, bytes(range));
        inputs.extend(written(done.map(|_| ()), *block, &count, &mut failed));
    }
    Done::Inputs(inputs, failed)
}

/// What the machine is told of one block; nothing when the disk is full or fails: then it is over, and all that arrived
/// stays.
fn written(
    done: Result<(), FilesError>,
    whole: FileBlock,
    count: &impl Fn(&FileBlock),
    failed: &mut Option<Refused>,
) -> Option<Input> {
    let FileBlock { file, block, .. } = whole;
    Some(match done {
        Ok(()) => {
            count(&whole);
            Input::Stored { file, block }
        }
        Err(error) if matches!(error.kind(), Trouble::NoSpace | Trouble::Io) => {
            failed.get_or_insert_with(|| refused(&error));
            return None;
        }
        Err(error) if error.kind() == Trouble::Corrupt => {
            tracing::warn!(%error, "a block is not what its hash says");
            Input::Damaged { file, block }
        }
        Err(error) => {
            tracing::warn!(%error, "a block cannot be written");
            Input::StoreFailed { file, block, fault: fault(&error) }
        }
    })
}

/// Files whose roots are their senders' get their modes and times.
pub(super) fn place(landing: &Landing, files: Vec<u32>) -> Done {
    let place = |file: u32| match landing.file_done(file) {
        Ok(()) => Input::Placed { file },
        Err(error) => {
            tracing::warn!(%error, "a file cannot be finished");
            Input::PlaceFailed { file, fault: fault(&error) }
        }
    };
    Done::Inputs(files.into_iter().map(place).collect(), None)
}

/// Gives everything its final name; the receipt with the name that it got.
pub(super) fn seal(
    landing: &Landing,
    receipt: Receipt,
    missing: &BTreeSet<u32>,
    same: &[u32],
) -> Result<Receipt, Refused> {
    same.iter().try_for_each(|file| landing.file_done(*file)).map_err(|error| refused(&error))?;
    let kept = FileReceipt { receipt, signature: Vec::new(), ext: Ext::default() };
    let landed = landing.commit(missing, &kept.encode()).map_err(|error| refused(&error))?;
    if !landed.conflicts.is_empty() {
        // The receipt would claim files that are not there.
        return Err(Refused {
            code: RefusalCode::Conflict,
            message: format!(
                "{} names were taken at the last moment; the rest is there",
                landed.conflicts.len()
            )
            .into(),
            hint: "send it again with --on-conflict skip or overwrite",
            here: None,
            said: None,
        });
    }
    Ok(Receipt { name: landed.name, ..kept.receipt })
}
