//! The one writer of a session's log.

use std::{
    cmp::Ordering,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Take},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use clankers_protocol::{
    NodeId, SessionId, Timestamp,
    event::{Durable, Event},
    text,
};

use super::{
    LOG_VERSION, LogEnd, LogError, LogHeader, LogReader,
    entry::{self, RawEvent},
    reader::{self, locate},
    survey::{End, Survey},
};
use crate::{DiskError, Home, limits, os};

/// What a session begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id; `None`: 32 fresh random bytes.
    pub id: Option<SessionId>,
    /// Who creates it.
    pub principal: NodeId,
    /// The directory it works in.
    pub cwd: String,
    /// Its model, as `provider/name`.
    pub model: String,
    /// Its title; `None`: the beginning of its first prompt.
    pub title: Option<String>,
}

/// The unfinished end of a log that was dropped when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedTail {
    /// How much (bytes).
    pub bytes: u64,
    /// Whether it was a finished line: then an acknowledged event may have been lost with it, the epoch has changed, and the
    /// bytes were kept beside the log.
    pub finished: bool,
}

/// A session's log, open for appending; the only one anywhere as long as it lives.
#[derive(Debug)]
pub struct SessionLog {
    reader: LogReader,
    /// Where the next line goes (bytes).
    end: u64,
    broken: bool,
    dropped: Option<DroppedTail>,
}

impl SessionLog {
    /// Makes a session's log: when this returns, it is on the disk, and locked.
    ///
    /// # Errors
    /// [`LogError::Exists`], [`LogError::TooLarge`], disk.
    pub fn create(home: &Home, new: &NewSession, now: Timestamp) -> Result<Self, LogError> {
        let dir = home.sessions_dir();
        bounded("a working directory", new.cwd.len(), limits::CWD_BYTES, "use a shorter path")?;
        bounded("a model's name", new.model.len(), limits::MODEL_BYTES, "use a shorter name")?;
        let fail = DiskError::at("make a session's log in", &dir);
        let session = match new.id {
            Some(id) => id,
            None => SessionId(os::random().map_err(fail)?),
        };
        let header = LogHeader {
            v: LOG_VERSION,
            session,
            epoch: now.0,
            created: now,
            principal: new.principal,
            cwd: new.cwd.clone(),
            model: new.model.clone(),
            title: new.title.as_ref().map(|title| text::line(title, limits::TITLE_CHARS)),
        };
        let path = dir.join(format!("{session}.jsonl"));
        if locate(home, session).is_some() {
            return Err(LogError::Exists(session));
        }
        let mut bytes = Vec::new();
        let seed = entry::seal_header(&header, &mut bytes)?;
        let staged = os::stage(&dir, &bytes).map_err(DiskError::at("make a session's log in", &dir))?;
        // Locked before anybody can find it.
        os::lock(staged.as_file()).map_err(DiskError::at("lock", &path))?;
        let file = os::publish_or_undo(staged, &path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => LogError::Exists(session),
            _ => DiskError::new("make", &path, error).into(),
        })?;
        let good_len = bytes.len() as u64;
        let (epoch, offsets) = (header.epoch, Vec::new());
        let survey = Survey { header, seed, epoch, base: 0, offsets, good_len, end: End::Clean };
        Ok(Self { reader: LogReader::new(path, file, survey), end: good_len, broken: false, dropped: None })
    }

    /// Opens a session's log for appending, archived or not, and takes its lock.
    ///
    /// # Errors
    /// [`LogError`]: not found, busy, newer, damaged, disk.
    pub fn open(home: &Home, session: SessionId, now: Timestamp) -> Result<Self, LogError> {
        Self::open_inner(home, session, now, &mut |_| true)
    }

    /// The same, and shows every event on the way, in order: what the hall needs to rebuild a transcript, in one pass.
    ///
    /// # Errors
    /// As [`SessionLog::open`], and [`LogError::UnknownEvent`].
    pub fn open_with(
        home: &Home,
        session: SessionId,
        now: Timestamp,
        mut visit: impl FnMut(Durable),
    ) -> Result<Self, LogError> {
        Self::open_inner(home, session, now, &mut |raw| raw.parse().map(&mut visit).is_some())
    }

    fn open_inner(
        home: &Home,
        session: SessionId,
        now: Timestamp,
        visit: &mut dyn FnMut(RawEvent<'_>) -> bool,
    ) -> Result<Self, LogError> {
        let path = locate(home, session).ok_or(LogError::NotFound(session))?;
        let file = os::open_writable(&path).map_err(DiskError::at("open", &path))?;
        if !os::lock(&file).map_err(DiskError::at("lock", &path))? {
            return Err(LogError::Busy(session));
        }
        let (survey, path) = reader::survey(file.try_clone(), path, session, visit)?;
        let (end, start) = (survey.end, survey.good_len);
        let reader = LogReader::new(path, file, survey);
        let mut log = Self { reader, end: start, broken: false, dropped: None };
        log.mend(end, now)?;
        Ok(log)
    }

    /// Makes the log end with a whole line, or refuses it.
    fn mend(&mut self, end: End, now: Timestamp) -> Result<(), LogError> {
        let shared = self.reader.shared();
        let fail = || DiskError::at("repair the end of", &shared.path);
        match end {
            End::Clean => return Ok(()),
            End::Damaged { .. } => {
                if let LogEnd::Damaged(damage) = self.reader.ending() {
                    return Err(LogError::Damaged { path: shared.path.clone(), damage });
                }
            }
            End::Unterminated { line } => {
                let at = self.end.saturating_add(line);
                cut(&shared.file, at).map_err(fail())?;
                write(&shared.file, b"\n", at).map_err(fail())?;
                self.end = at.saturating_add(1);
            }
            End::Torn { bytes } => {
                cut(&shared.file, self.end).map_err(fail())?;
                self.dropped = Some(DroppedTail { bytes, finished: false });
            }
            End::BadLine { bytes } => {
                keep_aside(&shared.file, self.end, &shared.path, now).map_err(fail())?;
                let (epoch, head) = (self.reader.epoch(), self.reader.head_seq());
                let epoch = now.0.max(epoch.saturating_add(1));
                let mut line = Vec::new();
                entry::seal_epoch(shared.seed, epoch, head, now, &mut line)?;
                cut(&shared.file, self.end).map_err(fail())?;
                write(&shared.file, &line, self.end).map_err(fail())?;
                self.end = self.end.saturating_add(line.len() as u64);
                shared.change(|index| index.epoch = epoch);
                self.dropped = Some(DroppedTail { bytes, finished: true });
            }
        }
        let end = self.end;
        shared.change(|index| {
            index.end = end;
            index.ending = LogEnd::Whole;
        });
        if let Some(dropped) = self.dropped {
            let path = shared.path.display();
            tracing::warn!(%path, bytes = dropped.bytes, finished = dropped.finished, "dropped a torn end");
        }
        Ok(())
    }

    /// Appends events: gives them their seqs, writes them at once and syncs, then returns them.
    ///
    /// # Errors
    /// [`LogError`]; then none of them is in the log. After [`LogError::Disk`] and [`LogError::Broken`] later appends work
    /// when the disk does; after [`LogError::Disturbed`] the log must be opened again.
    pub fn append(&mut self, events: &[Event], at: Timestamp) -> Result<Vec<Durable>, LogError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.undo()?;
        self.check()?;
        bounded("an append", events.len(), limits::BATCH_EVENTS, "append fewer events at once")?;
        let shared = self.reader.shared();
        let first = self.reader.head_seq().saturating_add(1);
        let (mut bytes, mut offsets) = (Vec::new(), Vec::with_capacity(events.len()));
        for (event, seq) in events.iter().zip(first..) {
            let start = bytes.len();
            let offset = self.end.saturating_add(start as u64);
            entry::seal_event(shared.seed, seq, at, event, &mut bytes)?;
            let line = bytes.len().saturating_sub(start);
            bounded("an event's line", line, limits::LINE_BYTES, "cut it shorter")?;
            bounded("an append", bytes.len(), limits::BATCH_BYTES, "append fewer events at once")?;
            offsets.push(u32::try_from(offset).map_err(|_| self.log_full(offset))?);
        }
        let end = self.end.saturating_add(bytes.len() as u64);
        if end > limits::LOG_BYTES {
            return Err(self.log_full(end));
        }
        if let Err(error) = write(&shared.file, &bytes, self.end) {
            // Nothing half-written may stay; if even that fails, nothing may be written behind it.
            let undone = cut(&shared.file, self.end);
            self.broken = undone.is_err();
            return Err(DiskError::new("write", &shared.path, error).into());
        }
        self.end = end;
        shared.change(|index| {
            index.offsets.extend_from_slice(&offsets);
            index.end = end;
        });
        Ok(events.iter().zip(first..).map(|(event, seq)| Durable { seq, at, event: event.clone() }).collect())
    }

    /// Cuts off what a failed write may have left, once the disk works again: nothing may be written behind it.
    fn undo(&mut self) -> Result<(), LogError> {
        let shared = self.reader.shared();
        if self.broken && cut(&shared.file, self.end).is_err() {
            return Err(LogError::Broken(shared.path.clone()));
        }
        self.broken = false;
        Ok(())
    }

    /// Whether the file still is what was left.
    fn check(&self) -> Result<(), LogError> {
        let shared = self.reader.shared();
        let disturbed = |what| Err(LogError::Disturbed { path: shared.path.clone(), what });
        let meta = shared.file.metadata().map_err(DiskError::at("look at", &shared.path))?;
        if meta.nlink() == 0 {
            return disturbed("deleted");
        }
        match meta.len().cmp(&self.end) {
            Ordering::Less => disturbed("cut shorter"),
            Ordering::Greater => disturbed("written to"),
            Ordering::Equal => Ok(()),
        }
    }

    fn log_full(&self, size: u64) -> LogError {
        LogError::TooLarge {
            what: "this session's log",
            size,
            limit: limits::LOG_BYTES,
            hint: "start a new session",
        }
    }

    /// A reader of this log that sees what is appended; it may outlive the writer.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// The end that was dropped when this log was opened, if any.
    #[must_use]
    pub fn dropped_tail(&self) -> Option<DroppedTail> {
        self.dropped
    }
}

impl std::ops::Deref for SessionLog {
    type Target = LogReader;

    fn deref(&self) -> &LogReader {
        &self.reader
    }
}

impl Drop for SessionLog {
    fn drop(&mut self) {
        // Readers share the file and may outlive the writer; its lock must not.
        let _ = self.reader.shared().file.unlock();
    }
}

fn bounded(what: &'static str, size: usize, limit: usize, hint: &'static str) -> Result<(), LogError> {
    if size <= limit {
        return Ok(());
    }
    Err(LogError::TooLarge { what, size: size as u64, limit: limit as u64, hint })
}

fn write(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)?;
    file.sync_data()
}

fn cut(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync_data()
}

/// Keeps what is about to be dropped in a file beside the log.
fn keep_aside(file: &File, from: u64, log: &Path, now: Timestamp) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(from))?;
    let mut tail: Take<&File> = Read::take(file, limits::LINE_BYTES as u64);
    tail.read_to_end(&mut bytes)?;
    os::replace(&log.with_extension(format!("dropped-{}", now.0)), &bytes)
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{conversation::StopReason, event::MessageEvent};

    use super::*;

    #[test]
    fn after_a_failure_that_cannot_be_undone_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let (principal, cwd, model) = (NodeId([7; 32]), "/w".into(), "m".into());
        let new = NewSession { id: None, principal, cwd, model, title: None };
        let mut log = SessionLog::create(&home, &new, Timestamp(1)).unwrap();
        let path = locate(&home, log.session()).unwrap();
        let before = std::fs::read(&path).unwrap();
        // Neither writing nor cutting works on a file that is open for reading alone.
        let file = os::open_plain(&path).unwrap();
        let (survey, path) = reader::survey(file.try_clone(), path, log.session(), &mut |_| true).unwrap();
        log.reader = LogReader::new(path.clone(), file, survey);
        let (item, thinking, text) = ("m".into(), Vec::new(), "x".into());
        let event = Event::Message(MessageEvent { item, thinking, text, stop: StopReason::EndTurn });
        let first = log.append(std::slice::from_ref(&event), Timestamp(2));
        assert!(matches!(first, Err(LogError::Disk(_))), "{first:?}");
        let second = log.append(std::slice::from_ref(&event), Timestamp(2));
        assert!(matches!(second, Err(LogError::Broken(_))), "{second:?}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        // The disk works again, and half a line stands there.
        let file = os::open_writable(&path).unwrap();
        let (survey, path) = reader::survey(file.try_clone(), path, log.session(), &mut |_| true).unwrap();
        log.reader = LogReader::new(path.clone(), file, survey);
        std::fs::write(&path, [&before[..], b"{\"half"].concat()).unwrap();
        assert_eq!(log.append(&[event], Timestamp(3)).unwrap()[0].seq, 1);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
    }
}
