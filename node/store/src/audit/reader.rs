//! Reading the log, from the oldest row to the newest, and on as it grows.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use clankers_protocol::Timestamp;

use super::{AuditError, AuditRow, files::list, row::DroppedRow};
use crate::{DiskError, Home, limits, os};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLine {
    /// A decision.
    Row(Box<AuditRow>),
    /// Decisions that were not written, because too many came at once or the disk failed.
    Dropped {
        /// When this was said.
        at: Timestamp,
        /// How many (count).
        count: u64,
    },
    /// A line that is none of these: torn by a crash, or changed.
    Damaged,
}

/// The file being read.
#[derive(Debug)]
struct Current {
    input: BufReader<File>,
    /// Device and inode.
    id: (u64, u64),
}

/// Reads the log. Beside a writer it sees whole lines only.
#[derive(Debug)]
pub struct AuditReader {
    home: Home,
    current: Option<Current>,
    /// When the last file that was read to its end had been finished (milliseconds since 1970).
    done: u64,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
    /// The line is too long: what follows of it is left out.
    skipping: bool,
}

impl AuditReader {
    /// Reads the home's log from its oldest row on. That there is none yet is no error.
    ///
    /// # Errors
    /// [`AuditError::Disk`].
    pub fn open(home: &Home) -> Result<Self, AuditError> {
        let mut reader =
            Self { home: home.clone(), current: None, done: 0, partial: Vec::new(), skipping: false };
        reader.current = reader.next_file()?;
        Ok(reader)
    }

    /// The next line; `None` at the end, for now.
    ///
    /// # Errors
    /// [`AuditError::Disk`].
    pub fn next_line(&mut self) -> Result<Option<AuditLine>, AuditError> {
        loop {
            if let Some(line) = self.line()? {
                return Ok(Some(line));
            }
            // Is it the end of the log, or of one of its files?
            let Some(current) = &self.current else {
                self.current = self.next_file()?;
                if self.current.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let id = current.id;
            if id_of(&self.home.audit_log()) == Some(id) {
                return Ok(None);
            }
            // Finished. Its writer may have added to it after our last look.
            if let Some(line) = self.line()? {
                return Ok(Some(line));
            }
            let finished = list(&self.home)?;
            let own = finished.iter().find(|(_, path)| id_of(path) == Some(id));
            self.done = own.map_or(self.done, |(stamp, _)| *stamp);
            self.current = self.next_file()?;
            let torn = !std::mem::take(&mut self.partial).is_empty() || std::mem::take(&mut self.skipping);
            if torn {
                return Ok(Some(AuditLine::Damaged));
            }
        }
    }

    /// The next line, waiting for it so long if need be.
    ///
    /// # Errors
    /// [`AuditError::Disk`].
    pub fn wait_line(&mut self, wait: Duration) -> Result<Option<AuditLine>, AuditError> {
        let end = Instant::now().checked_add(wait);
        loop {
            if let Some(line) = self.next_line()? {
                return Ok(Some(line));
            }
            let left = end.map_or(wait, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(left.min(Duration::from_millis(limits::AUDIT_POLL_MS)));
        }
    }

    /// The oldest file that was not read yet.
    fn next_file(&self) -> Result<Option<Current>, AuditError> {
        let finished = list(&self.home)?.into_iter().filter(|(stamp, _)| *stamp > self.done);
        for path in finished.map(|(_, path)| path).chain([self.home.audit_log()]) {
            let file = match os::open_plain(&path) {
                Ok(file) => file,
                // Removed for its age, or finished just now; the next look finds it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(DiskError::new("open", &path, error).into()),
            };
            let meta = file.metadata().map_err(DiskError::at("look at", &path))?;
            let input = BufReader::with_capacity(limits::AUDIT_READ_BYTES, file);
            return Ok(Some(Current { input, id: (meta.dev(), meta.ino()) }));
        }
        Ok(None)
    }

    /// The next whole line of the file being read.
    fn line(&mut self) -> Result<Option<AuditLine>, AuditError> {
        let Some(current) = &mut self.current else { return Ok(None) };
        loop {
            let room = limits::AUDIT_LINE_BYTES.saturating_sub(self.partial.len()).saturating_add(1) as u64;
            let read = current.input.by_ref().take(room).read_until(b'\n', &mut self.partial);
            let read = read.map_err(DiskError::at("read", &self.home.audit_log()))?;
            if self.partial.last() == Some(&b'\n') {
                let text = std::mem::take(&mut self.partial);
                let whole = !std::mem::take(&mut self.skipping);
                return Ok(Some(if whole { parse(&text) } else { AuditLine::Damaged }));
            }
            if self.partial.len() > limits::AUDIT_LINE_BYTES {
                self.partial.clear();
                self.skipping = true;
            } else if read == 0 {
                return Ok(None);
            }
        }
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

fn parse(text: &[u8]) -> AuditLine {
    if let Ok(row) = serde_json::from_slice::<AuditRow>(text) {
        return AuditLine::Row(Box::new(row));
    }
    serde_json::from_slice::<DroppedRow>(text)
        .map_or(AuditLine::Damaged, |DroppedRow { at, dropped }| AuditLine::Dropped { at, count: dropped })
}
