//! Offers that wait for the owner. They are kept as small files, so that an answer finds its offer although the sender
//! left, and the sender finds the answer when it comes again; of what is offered only its description is kept, and the
//! names that are in it.

mod kept;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use clankers_client::transfer::declined;
use clankers_protocol::{
    NodeId, Timestamp,
    limits::{OFFER_SAMPLE, TRANSFER_PAGE_ENTRIES},
    request::transfer::{
        EntryKind, FileOffer,
        keeping::OfferInfo,
        shown::{ShownEntry, ShownOffer},
    },
    transfer::{TransferId, manifest::Manifest},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::limits::{OFFER_FILE_BYTES, OFFERS, OFFERS_PER_PEER};

/// What the owner said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Nothing yet.
    None,
    /// Yes, to these paths; to all when there are none.
    Accept(Vec<String>),
    /// No.
    Reject,
}

/// One offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) info: OfferInfo,
    /// Digest of the names and sizes that were offered: what the owner has accepted is this and nothing else.
    what: String,
    pub(crate) answer: Answer,
}

/// All that wait.
#[derive(Debug)]
pub(crate) struct Offers {
    dir: PathBuf,
    known: Mutex<Option<BTreeMap<TransferId, Offer>>>,
    changed: watch::Sender<u64>,
    /// What is offered, while whoever offers it is here.
    here: Mutex<BTreeMap<TransferId, Weak<Manifest>>>,
}

/// An offer is not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error("{0} offers wait here already")]
    TooMany(usize),
    #[error("offers cannot be kept: {0}")]
    Disk(#[from] io::Error),
}

/// A digest of what is offered: whose source it is, what becomes of files that are there, and every path with its kind,
/// size and mode.
pub(crate) fn what(offer: &FileOffer, manifest: &Manifest) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{} {:?}\n", offer.source, offer.on_conflict));
    for (index, entry) in manifest.iter() {
        let kind = if entry.kind == EntryKind::Dir { 'd' } else { 'f' };
        hasher.update(format!(
            "{kind} {:o} {} {}\n",
            entry.mode,
            entry.size,
            manifest.path(index).unwrap_or_default()
        ));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this path is in an offer, by what is kept of it; a yes where not all of it is.
fn may_have(info: &OfferInfo, path: &str) -> bool {
    let path = path.strip_prefix(&format!("{}/", info.name)).unwrap_or(path);
    // Directories without a file are not kept, and no file beyond the first.
    let dirs: BTreeSet<&str> = info
        .sample
        .iter()
        .flat_map(|(file, _)| file.match_indices('/').filter_map(|(at, _)| file.get(..at)))
        .collect();
    let all_files = usize::try_from(info.files).is_ok_and(|files| files == info.sample.len());
    let all_dirs = usize::try_from(info.dirs).is_ok_and(|known| known <= dirs.len() + 1);
    let named = path == info.name || dirs.contains(path) || info.sample.iter().any(|(file, _)| file == path);
    named || !all_files || !all_dirs
}

impl Offers {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::default(), changed: watch::Sender::new(0), here: Mutex::default() }
    }

    /// The known ones, read from the disk at the first use.
    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<TransferId, Offer>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.read());
        known
    }

    fn read(&self) -> BTreeMap<TransferId, Offer> {
        let all = fs::read_dir(&self.dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let is_offer = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "json");
        let (entries, others): (Vec<PathBuf>, Vec<PathBuf>) = all.partition(is_offer);
        let read = |path: &PathBuf| -> Option<Offer> {
            let small = fs::metadata(path).ok()?.len() <= OFFER_FILE_BYTES;
            serde_json::from_slice(&fs::read(path).ok().filter(|_| small)?).ok()
        };
        // The names of an offer that a kill kept from being noted.
        for lost in others.iter().filter(|path| !entries.contains(&path.with_extension("json"))) {
            let _gone = fs::remove_file(lost);
        }
        entries.iter().filter_map(read).map(|offer| (offer.info.transfer, offer)).collect()
    }

    fn path(&self, id: TransferId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn write(&self, offer: &Offer) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(offer.info.transfer);
        let new = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        io::Write::write_all(&mut file, &serde_json::to_vec(offer)?)?;
        // What the owner said survives a loss of power.
        file.sync_data()?;
        fs::rename(&new, &path)?;
        fs::File::open(&self.dir)?.sync_all()
    }

    /// Where all that is in it is kept.
    fn list_path(&self, id: TransferId) -> PathBuf {
        self.path(id).with_extension("list")
    }

    fn drop_file(&self, id: TransferId) {
        let _gone = fs::remove_file(self.list_path(id));
        // One that stays is past its time, and is dropped when it is read.
        let _gone = fs::remove_file(self.path(id));
    }

    /// The answer to an offer, when it is the same offer by the same peer: else it is a new one, and waits. Blocks.
    ///
    /// # Errors
    /// [`OfferError`] when there is no room for it.
    pub(crate) fn ask(
        &self,
        peer: NodeId,
        label: Option<String>,
        offer: &FileOffer,
        manifest: &Manifest,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Offer, OfferError> {
        let what = what(offer, manifest);
        let mut known = self.lock();
        let Some(known) = known.as_mut() else { return Err(OfferError::TooMany(0)) };
        self.drop_old(known, now);
        let same = |one: &&mut Offer| {
            one.info.peer == peer
                // One yes is for one transfer: a sender that comes again has the same id.
                && one.info.transfer == offer.transfer
                && one.info.to == offer.to
                && one.info.name == offer.name
                && one.what == what
        };
        if let Some(one) = known.values_mut().find(same) {
            return Ok(one.clone());
        }
        // The source has changed since: what was said of it is about something else.
        if known.get(&offer.transfer).is_some_and(|one| one.info.peer == peer) {
            known.remove(&offer.transfer);
            self.drop_file(offer.transfer);
        }
        // What was rejected waits for its sender alone, and keeps no place from others.
        let open = || known.values().filter(|one| one.answer != Answer::Reject);
        let of_peer = open().filter(|one| one.info.peer == peer).count();
        if of_peer >= OFFERS_PER_PEER || open().count() >= OFFERS || known.contains_key(&offer.transfer) {
            return Err(OfferError::TooMany(of_peer));
        }
        self.drop_rejected(known, peer);
        let files = manifest.files().take(OFFER_SAMPLE);
        let sample =
            files.map(|(index, entry)| (manifest.below(index).unwrap_or_default(), entry.size)).collect();
        let info = OfferInfo {
            transfer: offer.transfer,
            peer,
            label,
            name: offer.name.clone(),
            to: offer.to.clone(),
            bytes: offer.bytes,
            files: offer.files,
            dirs: offer.dirs,
            sample,
            asked: now,
            until,
            accepted: false,
        };
        let one = Offer { info, what, answer: Answer::None };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let kept = kept::write(&self.list_path(offer.transfer), kept::entries(manifest));
        if let Err(error) = kept.map_err(OfferError::from).and_then(|()| Ok(self.write(&one)?)) {
            self.drop_file(offer.transfer);
            return Err(error);
        }
        known.insert(offer.transfer, one.clone());
        Ok(one)
    }

    /// Makes room among those that were rejected and whose senders have not come to hear it, the oldest first.
    fn drop_rejected(&self, known: &mut BTreeMap<TransferId, Offer>, peer: NodeId) {
        let rejected = known.values().filter(|one| one.answer == Answer::Reject).map(|one| &one.info);
        let mut all: Vec<(Timestamp, TransferId, bool)> =
            rejected.map(|info| (info.asked, info.transfer, info.peer == peer)).collect();
        all.sort();
        let of_peer = all.iter().filter(|(_, _, own)| *own).count();
        let own = all.iter().filter(|(_, _, own)| *own).take((of_peer + 1).saturating_sub(OFFERS_PER_PEER));
        let any = all.iter().take((all.len() + 1).saturating_sub(OFFERS));
        for (_, id, _) in own.chain(any) {
            known.remove(id);
            self.drop_file(*id);
        }
    }

    fn drop_old(&self, known: &mut BTreeMap<TransferId, Offer>, now: Timestamp) {
        let old: Vec<TransferId> =
            known.values().filter(|one| one.info.until <= now).map(|one| one.info.transfer).collect();
        for id in old {
            known.remove(&id);
            self.drop_file(id);
        }
    }

    /// Those that wait, the oldest first. Blocks.
    pub(crate) fn list(&self, now: Timestamp) -> Vec<OfferInfo> {
        let mut known = self.lock();
        let Some(known) = known.as_mut() else { return Vec::new() };
        self.drop_old(known, now);
        let mut open: Vec<OfferInfo> =
            known.values().filter(|one| one.answer != Answer::Reject).map(|one| one.info.clone()).collect();
        open.sort_by_key(|info| (info.asked, info.transfer));
        open
    }

    /// What is known of an offer now; `None` when it is past its time, or is done.
    pub(crate) fn get(&self, id: TransferId, now: Timestamp) -> Option<Offer> {
        let mut known = self.lock();
        let known = known.as_mut()?;
        self.drop_old(known, now);
        known.get(&id).cloned()
    }

    /// Notes the owner's answer. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn answer(&self, id: TransferId, answer: Answer) -> io::Result<Option<OfferInfo>> {
        let mut known = self.lock();
        let Some(one) = known.as_mut().and_then(|known| known.get_mut(&id)) else { return Ok(None) };
        let accepted = matches!(answer, Answer::Accept(_));
        let answered = Offer { info: OfferInfo { accepted, ..one.info.clone() }, answer, ..one.clone() };
        self.write(&answered)?;
        *one = answered;
        let info = one.info.clone();
        drop(known);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        Ok(Some(info))
    }

    /// Its sender is here: what the owner answers is held against all that it offers.
    pub(crate) fn came(&self, id: TransferId, manifest: &Arc<Manifest>) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.retain(|_, manifest| manifest.strong_count() > 0);
        here.insert(id, Arc::downgrade(manifest));
    }

    /// Those of the paths that are not in the offer, as far as can be told: all is known while its sender is here, else
    /// what was kept of it.
    pub(crate) fn missing(&self, info: &OfferInfo, only: &[String]) -> Vec<String> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = here.get(&info.transfer).and_then(Weak::upgrade);
        drop(here);
        match manifest {
            Some(manifest) => declined(&manifest, only).err().unwrap_or_default(),
            None => only.iter().filter(|path| !may_have(info, path)).cloned().collect(),
        }
    }

    /// What is in an offer, from the entry `skip` on, and how many entries there are after that: all while its sender is
    /// here, else what was kept of it. Blocks.
    pub(crate) fn show(&self, info: &OfferInfo, skip: usize) -> (ShownOffer, usize) {
        let all = usize::try_from(info.files.saturating_add(info.dirs)).unwrap_or(usize::MAX);
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = here.get(&info.transfer).and_then(Weak::upgrade);
        drop(here);
        if let Some(manifest) = manifest {
            let some: Vec<ShownEntry> =
                kept::entries(&manifest).skip(skip).take(TRANSFER_PAGE_ENTRIES).collect();
            let (page, taken) = ShownOffer::page(&some, 0);
            return (page, all.saturating_sub(skip.saturating_add(taken)));
        }
        let (some, kept) = kept::read(&self.list_path(info.transfer), skip, TRANSFER_PAGE_ENTRIES);
        let lost = u32::try_from(all.saturating_sub(kept)).unwrap_or(u32::MAX);
        let (page, taken) = ShownOffer::page(&some, lost);
        (page, kept.saturating_sub(skip.saturating_add(taken)))
    }

    /// The owner's answer names what is not in it: it waits for another answer. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn reopen(&self, id: TransferId) -> io::Result<Option<OfferInfo>> {
        self.answer(id, Answer::None)
    }

    /// It landed, or was told its no: nothing waits any more. Blocks.
    pub(crate) fn done(&self, id: TransferId) {
        if let Some(known) = self.lock().as_mut() {
            known.remove(&id);
        }
        self.drop_file(id);
    }

    /// Grows with each answer.
    pub(crate) fn answers(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
