//! The audit log: who asked for what with which chain, and what was said; one JSON line for each decision worth keeping.
//!
//! ```text
//! {"at":1764,"peer":"ab..","principal":"ab..","chain":["bafy.."],"command":"/clankers/tool/use","args":{"tool":"read"},"verdict":"allow"}
//! {"at":1765,"dropped":12}
//! ```
//!
//! Rows are written by a thread of its own from a bounded queue, so that a slow disk never holds up a request; what did not
//! fit is counted, and a line says how many. Whoever asks for much cannot push out what matters: of each peer a part of the
//! queue may wait, and the last quarter of the queue is for refusals, tool calls and changes of tokens. Lines are not synced one by one: a crash of the machine may lose the last
//! seconds, a crash of the process loses what was queued.
//!
//! `audit/audit.jsonl` is the file being written. When it is large or its day is over it becomes
//! `audit/audit-<time>.jsonl`, named so that the names sort by age, and the oldest files are removed.

mod files;
mod queue;
mod reader;
mod row;
mod writer;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use clankers_protocol::Timestamp;
use queue::{Queue, Waiting};
pub use reader::{AuditLine, AuditReader};
pub use row::{AuditRow, Verdict};
use writer::Writer;

use crate::{DiskError, Home, limits};

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// Files whose last row is older are removed (days).
    pub keep_days: u32,
    /// A file that is larger gives way to a new one (bytes).
    pub max_bytes_per_file: u64,
    /// Files that are kept, the one being written included (count).
    pub max_files: usize,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            keep_days: limits::AUDIT_KEEP_DAYS,
            max_bytes_per_file: limits::AUDIT_FILE_BYTES,
            max_files: limits::AUDIT_FILES,
        }
    }
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Trouble with the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The system gives no thread to write with.
    #[error("the audit log cannot be written: no thread: {0}; close some programs and try again")]
    Thread(io::Error),
}

/// What the writing thread is given.
enum Job {
    Line {
        at: Timestamp,
        line: Vec<u8>,
        /// It waits for as long as this lives.
        waits: Waiting,
    },
    /// Answer when all that came before is on the disk.
    Flush(SyncSender<bool>),
}

/// The audit log, open for appending. Dropping it writes what is queued.
#[derive(Debug)]
pub struct AuditLog {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    dropped: Arc<AtomicU64>,
    queue: Arc<Queue>,
}

impl AuditLog {
    /// Opens the home's audit log, making it when there is none, and removes what is too old. A failure leaves nothing
    /// behind and took a few looks at the disk: try again later.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(home: &Home, settings: AuditSettings, now: Timestamp) -> Result<Self, AuditError> {
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writer = Writer::open(home, settings, now, Arc::clone(&dropped))?;
        let (jobs, queue) = sync_channel(limits::AUDIT_QUEUE);
        let thread = thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(&queue))
            .map_err(AuditError::Thread)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), dropped, queue: Arc::default() })
    }

    /// Queues a row. Never waits: when there is no room the row is dropped, and a line says so later. Room runs out first
    /// for who has much waiting, then for requests that were allowed, last for the rest.
    pub fn append(&self, row: &AuditRow) {
        let Some(jobs) = &self.jobs else { return };
        let Some(waits) = self.queue.enter(row) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let job = Job::Line { at: row.at, line: row::encode(row), waits };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = jobs.try_send(job) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was appended is on the disk, or the time is up; `false` when it is not.
    #[must_use]
    pub fn flush(&self, wait: Duration) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        let (done, answer) = sync_channel(1);
        let end = std::time::Instant::now().checked_add(wait);
        let mut job = Job::Flush(done);
        loop {
            match jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) if end.is_some_and(|end| std::time::Instant::now() < end) => {
                    job = back;
                    thread::sleep(Duration::from_millis(1));
                }
                Err(TrySendError::Full(_)) => return false,
            }
        }
        answer.recv_timeout(wait).unwrap_or(false)
    }

    /// Rows that were dropped and that no line in the log tells of yet (count).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ends when the queue is empty; had it panicked, there were nothing to be done about it here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
