//! The thread that writes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Receiver,
    },
};

use clankers_protocol::Timestamp;

use super::{
    AuditSettings, Job,
    files::{day, finish, remove_old},
    row::{DroppedRow, line},
};
use crate::{DiskError, Home, limits, os};

/// The file being written.
struct Current {
    file: File,
    /// Device and inode: another process may have finished the file.
    id: (u64, u64),
    /// How long it is (bytes).
    end: u64,
    /// The day of its rows (days since 1970).
    day: u64,
}

pub(super) struct Writer {
    home: Home,
    settings: AuditSettings,
    current: Option<Current>,
    dropped: Arc<AtomicU64>,
    /// Trouble was said already.
    troubled: bool,
}

impl Writer {
    pub(super) fn open(
        home: &Home,
        settings: AuditSettings,
        now: Timestamp,
        dropped: Arc<AtomicU64>,
    ) -> Result<Self, DiskError> {
        let dir = home.audit_dir();
        os::make_dir(&dir).map_err(DiskError::at("make the directory", &dir))?;
        let mut writer = Self { home: home.clone(), settings, current: None, dropped, troubled: false };
        remove_old(home, settings, now)?;
        writer.ready(now)?;
        Ok(writer)
    }

    /// Writes until nobody can send any more.
    pub(super) fn run(&mut self, queue: &Receiver<Job>) {
        let mut last = Timestamp(0);
        while let Ok(job) = queue.recv() {
            let mut batch = vec![job];
            batch.extend(queue.try_iter().take(limits::AUDIT_BATCH));
            self.batch(batch, &mut last);
        }
        self.say_dropped(last);
    }

    fn batch(&mut self, batch: Vec<Job>, last: &mut Timestamp) {
        for job in batch {
            match job {
                Job::Line { at, line, waits } => {
                    drop(waits);
                    *last = at;
                    self.say_dropped(at);
                    if !self.write(at, &line) {
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Job::Flush(done) => {
                    self.say_dropped(*last);
                    let synced = self.current.as_ref().is_some_and(|now| now.file.sync_data().is_ok());
                    // Who asked may have gone.
                    let _ = done.try_send(synced && self.dropped.load(Ordering::Relaxed) == 0);
                }
            }
        }
    }

    fn say_dropped(&mut self, at: Timestamp) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && !self.write(at, &line(&DroppedRow { at, dropped })) {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    /// Whether the line was written, whole.
    fn write(&mut self, at: Timestamp, line: &[u8]) -> bool {
        let path = self.home.audit_log();
        let written = self.ready(at).and_then(|current| {
            let result = current.file.write_all(line);
            if result.is_err() {
                // A torn line is cut off, or else ended when the file is opened again.
                let _ = current.file.set_len(current.end);
            }
            result.map_err(DiskError::at("write", &path))?;
            current.end = current.end.saturating_add(line.len() as u64);
            Ok(())
        });
        match written {
            Ok(()) => self.troubled = false,
            Err(error) => {
                self.current = None;
                if !self.troubled {
                    tracing::warn!(%error, "the audit log cannot be written; rows are counted, and said when it can");
                }
                self.troubled = true;
                return false;
            }
        }
        true
    }

    /// The file to write to at this moment.
    fn ready(&mut self, at: Timestamp) -> Result<&mut Current, DiskError> {
        let path = self.home.audit_log();
        let there = path.symlink_metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        if self.current.as_ref().is_some_and(|current| Some(current.id) != there) {
            self.current = None;
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => open(&self.home)?,
        };
        let full = current.end >= self.settings.max_bytes_per_file.max(1);
        if current.end > 0 && (full || current.day < day(at)) {
            current.file.sync_data().map_err(DiskError::at("write", &path))?;
            finish(&self.home, at)?;
            remove_old(&self.home, self.settings, at)?;
            current = open(&self.home)?;
        }
        if current.end == 0 {
            current.day = day(at);
        }
        Ok(self.current.insert(current))
    }
}

/// Opens the file being written; a line that was torn is ended.
fn open(home: &Home) -> Result<Current, DiskError> {
    let path = home.audit_log();
    let opened = || -> io::Result<Current> {
        let mut file = os::open_append(&path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut end = meta.len();
        if end > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                end = end.saturating_add(1);
            }
        }
        let written = meta.modified().map_or(Timestamp(0), Timestamp::from);
        Ok(Current { file, id: (meta.dev(), meta.ino()), end, day: day(written) })
    };
    opened().map_err(DiskError::at("open", &path))
}
