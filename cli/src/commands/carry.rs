//! Carries a transfer to its end: over as many connections as it takes, with what is seen of it, and a way to leave.

mod skipped;

use std::time::{Duration, Instant};

use clankers_client::{
    limits::RENEW_EVERY,
    transfer::{Direction, Finished, Job, Progress, Record, Records, TransferError, beside},
};
use clankers_protocol::{jsonl::transfer as jsonl, refusal::ExitKind, text, transfer::Fault};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::skipped::{counted_json, left_out_json, report_left_out};
pub(crate) use self::skipped::{report_skipped, skipped_json};
use super::progress::{Display, size};
use crate::{
    error::{CliError, Outcome},
    local::Machine,
    output,
    remote::{Again, DIAL_TIMEOUT, Peer},
    signals::Interrupts,
};

/// How long a peer that was lost is tried to be reached again before the transfer is left to be resumed (time).
const RETRY_FOR: Duration = Duration::from_secs(60);
/// The first pause between two tries (time); each is twice the last.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two tries (time).
const RETRY_PAUSE_MOST: Duration = Duration::from_secs(8);
/// How long one try may take to reach a peer that says nothing any more (time).
const REDIAL: Duration = Duration::from_millis(1_500);
/// How long a transfer that is left may take to say goodbye (time).
const LEAVE: Duration = Duration::from_secs(3);
/// Signals that come within this are one (time).
const SAME_SIGNAL: Duration = Duration::from_millis(500);
/// Files named in a report, at most (count).
const NAMED: usize = 20;
/// Characters of a path in a report.
const PATH_CHARS: usize = 200;

/// Where this home's transfers are recorded.
pub(crate) fn records(machine: &Machine) -> Records {
    Records::new(machine.home.root().join("transfers"))
}

/// Which peer, and where all is told.
pub(crate) struct Carrier<'a> {
    pub(crate) machine: &'a Machine,
    /// The peer as it was named.
    pub(crate) name: String,
    pub(crate) peer: Option<Peer>,
    /// The peer reached anew, while a transfer ran on a connection that led nowhere any more.
    fresh: Option<Peer>,
    pub(crate) json: bool,
    pub(crate) stop: CancellationToken,
}

impl<'a> Carrier<'a> {
    /// Reaches the peer.
    pub(crate) async fn to(machine: &'a Machine, name: &str, json: bool) -> Result<Self, CliError> {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        let peer = tokio::select! {
            peer = Box::pin(Peer::reach(machine, name, DIAL_TIMEOUT)) => peer?,
            () = stop.cancelled() => return Err(CliError::new(ExitKind::Interrupted, "interrupted")),
        };
        Ok(Self { machine, name: name.to_owned(), peer: Some(peer), fresh: None, json, stop })
    }

    /// Whose node it is.
    pub(crate) fn subject(&self) -> Option<clankers_protocol::NodeId> {
        self.peer.as_ref().map(|peer| peer.subject)
    }

    /// Carries one transfer to its end, and reports it.
    pub(crate) async fn carry(&mut self, job: &mut Job) -> Outcome {
        let name = shown_name(job.record());
        let mut display = Display::new(&name, &job.record().id, self.json);
        if job.resumes() && !self.json {
            display.say(&format!("! it goes on where it broke off ({})", short(job.record())));
        }
        let (tell, mut told) = watch::channel(Progress::default());
        let done = self.attempts(job, &tell, &mut told, &mut display).await;
        let ended = display.end(&tell.borrow());
        match done {
            Ok(finished) => {
                let told = ended.and_then(|()| self.report(job.record(), &finished));
                told.map_err(|error| untold(error, job.record()))
            }
            Err(error) => Err(self.failed(error, job.record())),
        }
    }

    /// One attempt after the other, until it is done or there is no sense in another.
    async fn attempts(
        &mut self,
        job: &mut Job,
        tell: &watch::Sender<Progress>,
        told: &mut watch::Receiver<Progress>,
        display: &mut Display,
    ) -> Result<Finished, TransferError> {
        let (mut pause, mut lost_at, mut before) = (RETRY_PAUSE, None::<Instant>, job.record().bytes);
        loop {
            let error = match self.attempt(job, tell, told, display).await {
                Ok(finished) => return Ok(finished),
                Err(error) => error,
            };
            let there = job.record().bytes;
            if there > before {
                // It came further, and did not only send: the next loss is another one.
                (pause, lost_at, before) = (RETRY_PAUSE, None, there);
            }
            let since = *lost_at.get_or_insert_with(Instant::now);
            if !error.may_retry() || error.waits() || self.stop.is_cancelled() || since.elapsed() >= RETRY_FOR
            {
                return Err(error);
            }
            display.say(&format!("! {error}; trying again"));
            if let Some(peer) = self.peer.take() {
                peer.close().await;
            }
            if self.fresh.is_some() {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Err(TransferError::Cancelled { by_peer: false }),
            }
            pause = (pause * 2).min(RETRY_PAUSE_MOST);
        }
    }

    /// One attempt, on the connection that there is or a fresh one.
    async fn attempt(
        &mut self,
        job: &mut Job,
        tell: &watch::Sender<Progress>,
        told: &mut watch::Receiver<Progress>,
        display: &mut Display,
    ) -> Result<Finished, TransferError> {
        if let Some(fresh) = self.fresh.take() {
            self.peer = Some(fresh);
        }
        if self.peer.is_none() {
            let reached = tokio::select! {
                reached = Box::pin(Peer::reach(self.machine, &self.name, DIAL_TIMEOUT)) => reached,
                () = self.stop.cancelled() => return Err(TransferError::Cancelled { by_peer: false }),
            };
            match reached {
                Ok(peer) if peer.subject == job.record().subject => self.peer = Some(peer),
                Ok(peer) => {
                    peer.close().await;
                    return Err(TransferError::Broken(format!("'{}' is another node now", self.name)));
                }
                Err(error) => return Err(job.unreached(&error.message)),
            }
        }
        let Some(peer) = &self.peer else { return Err(TransferError::Lost) };
        display.bound = bound(&peer.held);
        let us = self.machine.us();
        let again = peer.again();
        // Large, and once for each connection.
        let run = Box::pin(job.run(&peer.client, &us, None, tell, &self.stop));
        let boot = peer.client.welcome().await?.boot_id;
        let anew = || dial_anew(self.machine, again.clone());
        let mut run = Box::pin(beside(run, (peer.client.connection(), boot), tell.subscribe(), anew));
        let mut renew = tokio::time::interval(RENEW_EVERY);
        renew.tick().await;
        let mut left = None;
        loop {
            let leaving = async {
                match left {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => self.stop.cancelled().await,
                }
            };
            tokio::select! {
                (done, fresh) = &mut run => {
                    drop(run);
                    self.fresh = fresh;
                    return done;
                }
                changed = told.changed() => {
                    let now = *told.borrow_and_update();
                    // A terminal that is gone does not stop a transfer.
                    let _shown = changed.is_ok() && display.update(&now).is_ok();
                }
                _ = renew.tick() => {
                    if let Err(error) = self.machine.renew(&peer.client, peer.subject, &peer.held).await {
                        tracing::debug!(error = error.message, "this run's link was not shown anew");
                    }
                }
                () = leaving => match left {
                    // It hears of it by itself, and says goodbye.
                    None => left = Some(tokio::time::Instant::now() + LEAVE),
                    Some(_) => return Err(TransferError::Cancelled { by_peer: false }),
                },
            }
        }
    }

    /// What arrived, and what did not.
    fn report(&self, record: &Record, finished: &Finished) -> Outcome {
        let receipt = &finished.receipt;
        if self.json {
            for bad in &finished.bad {
                output::json(&serde_json::json!({
                    "type": "failed", "path": bad.path, "fault": bad.fault.name(), "message": bad.fault.words(),
                }))?;
            }
            skipped_json(&finished.skipped)?;
            counted_json(finished.skipped.count(), finished.skipped.missed())?;
            left_out_json(&finished.left_out)?;
            output::json(&jsonl::receipt(&jsonl::Receipt {
                files: receipt.files,
                bytes: receipt.bytes,
                sent_bytes: receipt.sent_bytes,
                root: &receipt.root,
                name: &receipt.name,
            }))?;
        } else {
            report_skipped(&finished.skipped);
            report_left_out(&finished.left_out);
            for bad in finished.bad.iter().take(NAMED) {
                let path = text::line(&bad.path, PATH_CHARS);
                anstream::eprintln!("✗ {path}: {}", bad.fault.words());
            }
            if finished.bad.len() > NAMED {
                anstream::eprintln!("✗ and {} more", finished.bad.len() - NAMED);
            }
            let glyph = if finished.is_whole() { "✓" } else { "!" };
            let files = if receipt.files == 1 { "1 file" } else { &format!("{} files", receipt.files) };
            let verb = match record.direction {
                Direction::Send => "sent as",
                Direction::Get => "got as",
            };
            let name = text::line(&receipt.name, PATH_CHARS);
            let (bytes, moved) = (size(receipt.bytes), size(receipt.sent_bytes));
            let line = format!(
                "{glyph} {verb} {name}: {files}, {bytes} ({moved} travelled), BLAKE3 {}",
                receipt.root
            );
            output::lines([line.as_str()])?;
            if receipt.declined > 0 {
                let files = if receipt.declined == 1 {
                    "1 file was"
                } else {
                    &format!("{} files were", receipt.declined)
                };
                anstream::eprintln!("! {files} left out: the owner there did not want all of it");
            }
        }
        if finished.is_whole() { Ok(()) } else { Err(self.incomplete(finished)) }
    }

    fn incomplete(&self, finished: &Finished) -> CliError {
        let missed = usize::try_from(finished.skipped.missed()).unwrap_or(usize::MAX);
        let bad = finished.bad.len().max(usize::try_from(finished.receipt.bad).unwrap_or(usize::MAX));
        let left_out = usize::try_from(finished.left_out.missed).unwrap_or(usize::MAX);
        let all = bad.saturating_add(missed).saturating_add(left_out);
        let mut error = CliError::new(ExitKind::Failed, format!("{all} of its files did not arrive"));
        let conflict = finished.bad.iter().any(|bad| bad.fault == Fault::Conflict);
        if conflict {
            error = error
                .hint("where something else has the name: rename it, or send with --on-conflict overwrite");
        }
        if bad > 0 && !(conflict && finished.bad.iter().all(|bad| bad.fault == Fault::Conflict)) {
            error = error.hint(
                "once the cause is gone: the same command with --on-conflict skip sends what is missing",
            );
        }
        if missed > 0 {
            error =
                error.hint("what cannot travel as it is can be renamed, or packed into one file with tar");
        }
        if left_out > 0 {
            error = error.hint("what that node cannot send as it is, its owner can rename, or pack with tar");
        }
        error
    }

    fn failed(&self, error: TransferError, record: &Record) -> CliError {
        let id = short(record);
        let is_mine = matches!(error, TransferError::Cancelled { by_peer: false });
        let may_go_on = is_mine || error.may_retry();
        let is_theirs = matches!(error, TransferError::Cancelled { by_peer: true });
        let mut out = CliError::from(error);
        if is_mine && record.state == clankers_client::transfer::State::Interrupted {
            out.message = match record.bytes {
                0 => "interrupted; what arrived before stays".to_owned(),
                bytes => {
                    format!("interrupted; {} of {} are there, and stay", size(bytes), size(record.total))
                }
            };
        }
        if may_go_on {
            out = out.hint(format!("go on with: clankers rpc transfers resume {id} (or the same command)"));
        }
        if is_theirs {
            out = out.hint(format!(
                "its owner there lifts that: 'clankers rpc transfers forget {id}'; then the same command starts it anew"
            ));
        }
        out.about(self.machine)
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        if let Some(peer) = self.peer {
            peer.close().await;
        }
    }
}

/// What may be sent there without its owner being asked (bytes), where some token that says so has a bound.
fn bound(held: &[Vec<u8>]) -> Option<u64> {
    held.iter().filter_map(|token| clankers_auth::words::dropped_at_most(token)).max()
}

/// The same node on a fresh connection, and its boot.
async fn dial_anew(machine: &Machine, again: Option<Again>) -> Option<(u64, Peer)> {
    let mut again = again?;
    let mesh = again.endpoint(machine).await.ok()?;
    let peer = again.reach(machine, mesh, REDIAL).await.ok()?;
    let boot = peer.client.welcome().await.ok()?.boot_id;
    Some((boot, peer))
}

/// The first signal ends a transfer in order; what is kept is kept.
fn stop_on_signals(stop: CancellationToken) -> Result<(), CliError> {
    let mut interrupts = Interrupts::and_ends()?;
    tokio::spawn(async move {
        interrupts.next().await;
        stop.cancel();
        // Whoever cannot wait says it again; what comes at once is the same one (a shell and a wrapper both pass it on).
        let first = Instant::now();
        while first.elapsed() < SAME_SIGNAL {
            interrupts.next().await;
        }
        std::process::exit(ExitKind::Interrupted as i32);
    });
    Ok(())
}

/// The transfer is done, and only whoever reads this command's output has not heard of it.
fn untold(error: CliError, record: &Record) -> CliError {
    if error.kind != ExitKind::Machine {
        return error;
    }
    error.hint(format!(
        "the transfer itself is over: 'clankers rpc transfers' has its end ({})",
        short(record)
    ))
}

/// The first digits of a record's id: enough to name it.
pub(crate) fn short(record: &Record) -> String {
    text::head(&record.id, 10).to_owned()
}

/// A transfer's name: what it is to be called, or else the last part of what is sent or got.
pub(crate) fn shown_name(record: &Record) -> String {
    if let Some(name) = &record.name {
        return name.clone();
    }
    let path = record.path.trim_end_matches('/');
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path).to_owned()
}

impl From<TransferError> for CliError {
    fn from(error: TransferError) -> Self {
        let kind = error.exit();
        match error {
            TransferError::Client(error) => Self { kind, ..error.into() },
            TransferError::Record(clankers_client::transfer::RecordError::Running(_)) => {
                Self::new(kind, error.to_string()).hint("see it with 'clankers rpc transfers'")
            }
            TransferError::Record(clankers_client::transfer::RecordError::None(_)) => {
                Self::new(kind, error.to_string()).hint("'clankers rpc transfers list' shows them")
            }
            TransferError::Name { .. } => Self::new(kind, error.to_string())
                .hint("give it a name that every system takes, and send it under that"),
            TransferError::Signature => Self::new(kind, error.to_string())
                .hint("compare what is there, with b3sum, before you remove it here"),
            TransferError::Broken(_) => {
                Self::new(kind, error.to_string()).hint("update the older side, and restart its node")
            }
            _ => Self::new(kind, error.to_string()),
        }
    }
}
