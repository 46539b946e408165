//! A whole transfer as a person means it: looked at, sent or got, its record kept, resumed until it is whole.

mod attempt;
mod wish;

use std::path::Path;

use clankers_protocol::{
    CidDigest, NodeId, Timestamp, request::transfer::OnConflict, text, transfer::TransferId,
};
use tokio::{sync::watch, time::interval};
use tokio_util::sync::CancellationToken;

pub use self::{
    attempt::look,
    wish::{BadPath, Finished, GetWish, SendWish, Us},
};
pub(super) use self::{
    attempt::{bad_paths, control, verified},
    wish::Left,
};
use super::{Direction, Hold, Phase, Progress, Record, Records, State, TransferError, get};
use crate::{
    client::Client,
    limits::{RECORD_EVERY, TELL_EVERY},
};

/// Characters of a path that a record or a report keeps.
const PATH_CHARS: usize = 4096;

/// A transfer that this process runs.
#[derive(Debug)]
pub struct Job {
    hold: Hold,
    record: Record,
    resumes: bool,
}

impl Job {
    /// A transfer to a peer: the one of the same wish that broke off, else a new one with this id.
    ///
    /// # Errors
    /// [`TransferError::Record`].
    pub fn send(
        records: &Records,
        subject: NodeId,
        wish: SendWish,
        fresh: TransferId,
        now: Timestamp,
    ) -> Result<Self, TransferError> {
        let record = Record {
            direction: Direction::Send,
            peer: wish.peer,
            path: path_text(&wish.path)?,
            to: wish.to,
            on_conflict: conflict_word(wish.on_conflict).to_owned(),
            follow_links: wish.follow_links,
            exclude: wish.exclude,
            detached: wish.detached,
            ..blank(fresh, subject, now)
        };
        Self::begin(records, record)
    }

    /// A transfer from a peer, as [`Job::send`].
    ///
    /// # Errors
    /// [`TransferError::Record`].
    pub fn get(
        records: &Records,
        subject: NodeId,
        wish: GetWish,
        fresh: TransferId,
        now: Timestamp,
    ) -> Result<Self, TransferError> {
        let record = Record {
            direction: Direction::Get,
            peer: wish.peer,
            path: wish.path,
            to: Some(path_text(&wish.into)?),
            name: wish.name,
            on_conflict: conflict_word(wish.on_conflict).to_owned(),
            ..blank(fresh, subject, now)
        };
        Self::begin(records, record)
    }

    fn begin(records: &Records, wish: Record) -> Result<Self, TransferError> {
        let old = records.same_wish(&wish)?;
        let resumes = old.is_some();
        let record = match old {
            Some(old) => Record { peer: wish.peer, detached: wish.detached, ..old },
            None => wish,
        };
        Self::take(records, record, resumes)
    }

    /// A transfer whose record there is.
    ///
    /// # Errors
    /// [`TransferError::Record`].
    pub fn resume(records: &Records, id: &str) -> Result<Self, TransferError> {
        let record = records.find(id)?;
        Self::take(records, record, true)
    }

    fn take(records: &Records, mut record: Record, resumes: bool) -> Result<Self, TransferError> {
        let hold = records.hold(&record.id)?;
        // What hindered an earlier attempt does not hinder this one.
        (record.state, record.error, record.rate_bps) = (State::Running, None, 0);
        hold.begin(&record)?;
        Ok(Self { hold, record, resumes })
    }

    /// Its record as it is now.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether it goes on with one that broke off.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.resumes
    }

    /// Whether somebody asked for its end, by its record.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.hold.is_cancelled()
    }

    /// From now on the node goes on with it by itself.
    ///
    /// # Errors
    /// The disk's.
    pub fn detach(&mut self) -> Result<(), TransferError> {
        self.record.detached = true;
        Ok(self.hold.write(&self.record)?)
    }

    /// No more bytes in a second than this, from the next attempt on; none takes an earlier limit away.
    ///
    /// # Errors
    /// The disk's.
    pub fn limit(&mut self, rate: Option<u64>) -> Result<(), TransferError> {
        if self.record.limit_rate == rate {
            return Ok(());
        }
        self.record.limit_rate = rate;
        Ok(self.hold.write(&self.record)?)
    }

    /// Notes whether it waits for its turn.
    ///
    /// # Errors
    /// The disk's.
    pub fn queued(&mut self, is: bool) -> Result<(), TransferError> {
        self.record.state = if is { State::Queued } else { State::Running };
        Ok(self.hold.write(&self.record)?)
    }

    /// Notes that it rests and will be gone on with, and what for: the end of the last attempt is not its own.
    ///
    /// # Errors
    /// The disk's.
    pub fn rests(&mut self, why: &str) -> Result<(), TransferError> {
        self.record.state = State::Interrupted;
        self.record.error = Some(text::line(why, PATH_CHARS));
        Ok(self.hold.write(&self.record)?)
    }

    /// Notes that somebody asked for its end, so that nobody goes on with it.
    ///
    /// # Errors
    /// The disk's.
    pub fn cancelled(&mut self) -> Result<(), TransferError> {
        self.record.state = State::Cancelled;
        Ok(self.hold.write(&self.record)?)
    }

    /// Notes that the peer was not reached, so that its record says so; the error to go on with.
    pub fn unreached(&mut self, why: &str) -> TransferError {
        self.record.state = State::Interrupted;
        self.record.error = Some(text::line(why, PATH_CHARS));
        match self.hold.write(&self.record) {
            Ok(()) => TransferError::Lost,
            Err(error) => error.into(),
        }
    }

    /// One attempt, on a connection to the peer that said Hello. After an error that [`TransferError::may_retry`] another
    /// one on a fresh connection goes on where this one ended.
    ///
    /// # Errors
    /// [`TransferError`]; the record says the same.
    pub async fn run(
        &mut self,
        client: &Client,
        us: &Us,
        leaf: Option<CidDigest>,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Finished, TransferError> {
        let before = self.record.sent_bytes;
        self.record.error = None;
        let halt = stop.child_token();
        let _ends = halt.clone().drop_guard();
        let record = self.record.clone();
        let (done, last) = {
            let attempt = async {
                match record.direction {
                    Direction::Send => attempt::send(client, us, leaf, &record, tell, &halt).await,
                    Direction::Get => get::run(client, us, leaf, &record, tell, &halt).await,
                }
            };
            self.watched(attempt, tell, &halt, us).await
        };
        self.record.updated = (us.now)();
        self.record.sent_bytes = before.saturating_add(last.sent_bytes);
        self.note(last);
        self.settle(&done);
        self.hold.write(&self.record)?;
        // The record has the receipt: it is kept once, and not in the user's directory.
        if let Some(Left { place, id }) = done.as_ref().ok().and_then(|done| done.left.clone()) {
            let settled = tokio::task::spawn_blocking(move || place.settle(&id)).await;
            if let Ok(Err(error)) = settled {
                tracing::warn!(%error, "what helped to resume stays beside what landed");
            }
        }
        done
    }

    /// Runs an attempt with the record written now and then, until it ends; a cancellation by the record ends it.
    async fn watched(
        &mut self,
        attempt: impl Future<Output = Result<Finished, TransferError>>,
        tell: &watch::Sender<Progress>,
        halt: &CancellationToken,
        us: &Us,
    ) -> (Result<Finished, TransferError>, Progress) {
        let mut attempt = std::pin::pin!(attempt);
        let (mut looks, mut writes) = (interval(TELL_EVERY), interval(RECORD_EVERY));
        loop {
            tokio::select! {
                done = &mut attempt => return (done, *tell.borrow()),
                _ = looks.tick() => {
                    if self.hold.is_cancelled() {
                        halt.cancel();
                    }
                }
                _ = writes.tick() => {
                    let now = *tell.borrow();
                    self.note(now);
                    self.record.updated = (us.now)();
                    // A record that cannot be written now is written at the end, or its error is told there.
                    let _later = self.hold.write(&self.record);
                }
            }
        }
    }

    fn note(&mut self, progress: Progress) {
        let record = &mut self.record;
        if let Some(root) = progress.root {
            record.root = Some(root.to_string());
        }
        record.state = match progress.phase {
            Phase::Waiting { .. } => State::Waiting,
            _ => State::Running,
        };
        if progress.total > 0 {
            (record.bytes, record.total, record.files) = (progress.bytes, progress.total, progress.all_files);
            (record.files_done, record.rate_bps) = (progress.files, progress.rate_bps);
        }
    }

    fn settle(&mut self, done: &Result<Finished, TransferError>) {
        let is_cancelled = self.hold.is_cancelled();
        let record = &mut self.record;
        (record.error, record.rate_bps) = (None, 0);
        record.state = match done {
            Ok(finished) => {
                record.receipt = Some(finished.receipt.clone());
                record.bytes = finished.receipt.bytes;
                if finished.is_whole() { State::Done } else { State::Partial }
            }
            Err(error) => {
                let is_left = matches!(error, TransferError::Cancelled { by_peer: false }) && !is_cancelled;
                // Nothing went wrong with what somebody interrupted.
                record.error = (!is_left).then(|| text::line(&error.to_string(), PATH_CHARS));
                match error {
                    // Whoever interrupts a command may go on later; whoever cancels a transfer does not mean to.
                    TransferError::Cancelled { by_peer: false } if !is_cancelled => State::Interrupted,
                    TransferError::Cancelled { .. } => State::Cancelled,
                    error if error.waits() => State::Waiting,
                    error if error.may_retry() => State::Interrupted,
                    _ => State::Failed,
                }
            }
        };
    }
}

fn blank(id: TransferId, subject: NodeId, now: Timestamp) -> Record {
    Record {
        id: id.to_string(),
        direction: Direction::Send,
        peer: String::new(),
        subject,
        path: String::new(),
        to: None,
        name: None,
        on_conflict: String::new(),
        follow_links: false,
        exclude: Vec::new(),
        limit_rate: None,
        detached: false,
        state: State::Running,
        bytes: 0,
        total: 0,
        sent_bytes: 0,
        files: 0,
        files_done: 0,
        rate_bps: 0,
        root: None,
        error: None,
        receipt: None,
        started: now,
        updated: now,
    }
}

fn path_text(path: &Path) -> Result<String, TransferError> {
    let text = path.to_str().filter(|_| path.is_absolute());
    text.map(str::to_owned)
        .ok_or_else(|| TransferError::Path(text::line(&path.to_string_lossy(), PATH_CHARS)))
}

/// The word that flags and records have for it.
#[must_use]
pub fn conflict_word(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::Rename => "rename",
        OnConflict::Refuse => "refuse",
        OnConflict::Overwrite => "overwrite",
        OnConflict::Skip => "skip",
    }
}

pub(super) fn conflict(word: &str) -> OnConflict {
    match word {
        "refuse" => OnConflict::Refuse,
        "overwrite" => OnConflict::Overwrite,
        "skip" => OnConflict::Skip,
        _ => OnConflict::Rename,
    }
}

pub(super) fn id(record: &Record) -> Result<TransferId, TransferError> {
    record.id.parse().map_err(|_| TransferError::Within("the record's id is no transfer's".into()))
}
