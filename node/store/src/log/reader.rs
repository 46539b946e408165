//! Reading a session log: bounded, checked again at every read, from any thread, beside the one writer.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use clankers_protocol::{SessionId, event::Durable};

use super::{
    Damage, LogError, LogHeader,
    entry::{self, Entry, RawEvent},
    survey::{End, NoSurvey, Survey, Visit},
};
use crate::{DiskError, Home, limits, line, os};

/// How a log ends, for whoever only reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEnd {
    /// With a whole event.
    Whole,
    /// With the beginning of one: somebody is writing it now, or was cut short.
    Torn,
    /// With damage: what stands before it can be read.
    Damaged(Damage),
}

/// How much one read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many events (count).
    pub events: usize,
    /// Stop when their lines have reached this size (bytes); the first event comes whatever its size.
    pub bytes: usize,
}

/// A log to read from. Cheap to clone; reads do not disturb each other or the writer.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) header: LogHeader,
    pub(super) seed: u32,
    index: RwLock<Index>,
}

/// What grows when events are appended.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) epoch: u64,
    /// Where event `n` begins is at place `n - 1`.
    pub(super) offsets: Vec<u32>,
    /// Where the last line ends (bytes).
    pub(super) end: u64,
    pub(super) ending: LogEnd,
}

impl Shared {
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        // The index is changed in single steps: a panic elsewhere leaves it whole.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Index)) {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where a session's log lies, archived or not.
pub(crate) fn locate(home: &Home, session: SessionId) -> Option<PathBuf> {
    let name = format!("{session}.jsonl");
    [home.sessions_dir(), home.archive_dir()]
        .into_iter()
        .map(|dir| dir.join(&name))
        .find(|path| path.exists())
}

impl LogReader {
    /// Opens a session's log for reading alone: no lock is taken, nothing is repaired.
    ///
    /// What another process appends later is seen when it is opened again.
    ///
    /// # Errors
    /// [`LogError`]: not found, newer, its header damaged, disk. Damage further on is told by [`LogReader::ending`].
    pub fn open(home: &Home, session: SessionId) -> Result<Self, LogError> {
        let path = locate(home, session).ok_or(LogError::NotFound(session))?;
        let file = os::open_plain(&path).map_err(DiskError::at("open", &path))?;
        let (survey, path) = survey(file.try_clone(), path, session, &mut |_| true)?;
        Ok(Self::new(path, file, survey))
    }

    pub(super) fn new(path: PathBuf, file: File, survey: Survey) -> Self {
        let Survey { header, seed, epoch, base: _, offsets, good_len, end } = survey;
        let readable_to = offsets.len() as u64;
        let (end, ending) = match end {
            End::Clean => (good_len, LogEnd::Whole),
            End::Unterminated { line } => (good_len.saturating_add(line), LogEnd::Whole),
            End::Torn { .. } => (good_len, LogEnd::Torn),
            End::BadLine { bytes } => {
                let what = "its last line does not match its checksum";
                (good_len, LogEnd::Damaged(Damage { readable_to, offset: good_len, bytes, what }))
            }
            End::Damaged { bytes, what } => {
                (good_len, LogEnd::Damaged(Damage { readable_to, offset: good_len, bytes, what }))
            }
        };
        let index = RwLock::new(Index { epoch, offsets, end, ending });
        Self { shared: Arc::new(Shared { path, file, header, seed, index }) }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The log's first line.
    #[must_use]
    pub fn header(&self) -> &LogHeader {
        &self.shared.header
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.shared.header.session
    }

    /// The current epoch: a cursor of another one is void.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.index().epoch
    }

    /// The last event's seq; 0 when there is none.
    #[must_use]
    pub fn head_seq(&self) -> u64 {
        self.shared.index().offsets.len() as u64
    }

    /// How the log ended when it was opened.
    #[must_use]
    pub fn ending(&self) -> LogEnd {
        self.shared.index().ending.clone()
    }

    /// Events from `from_seq` (0 counts as 1) on, in order, without a gap; none when it is beyond the head.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a line no longer matches its checksum, [`LogError::UnknownEvent`], disk.
    pub fn read(&self, from_seq: u64, page: Page) -> Result<Vec<Durable>, LogError> {
        let mut events = Vec::new();
        let mut seq = from_seq.max(1);
        let mut bytes = 0_usize;
        let mut buffer = Vec::new();
        while events.len() < page.events && (bytes < page.bytes || events.is_empty()) {
            let Some((start, end)) = self.span(seq) else { break };
            let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            bytes = bytes.saturating_add(len);
            if bytes > page.bytes && !events.is_empty() {
                break;
            }
            events.push(self.read_one(seq, start, len, &mut buffer)?);
            seq = seq.saturating_add(1);
        }
        Ok(events)
    }

    /// All events from `from_seq` (0 counts as 1) to the head, one at a time.
    ///
    /// # Errors
    /// As [`LogReader::read`]; what `visit` was given before stands.
    pub fn scan(&self, from_seq: u64, mut visit: impl FnMut(Durable)) -> Result<(), LogError> {
        let mut seq = from_seq.max(1);
        let mut buffer = Vec::new();
        while let Some((start, end)) = self.span(seq) {
            let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            visit(self.read_one(seq, start, len, &mut buffer)?);
            seq = seq.saturating_add(1);
        }
        Ok(())
    }

    /// Where an event's line begins, and where the next event's or the log ends.
    fn span(&self, seq: u64) -> Option<(u64, u64)> {
        let index = self.shared.index();
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        let start = u64::from(*index.offsets.get(place)?);
        let end = index.offsets.get(place.saturating_add(1)).map_or(index.end, |next| u64::from(*next));
        Some((start, end))
    }

    fn read_one(&self, seq: u64, start: u64, len: usize, buffer: &mut Vec<u8>) -> Result<Durable, LogError> {
        let shared = self.shared();
        // An epoch's line may stand between two events; it is short.
        buffer.resize(len.min(limits::LINE_BYTES.saturating_mul(2)), 0);
        let damaged = |what| LogError::Damaged {
            path: shared.path.clone(),
            damage: Damage { readable_to: seq.saturating_sub(1), offset: start, bytes: len as u64, what },
        };
        match shared.file.read_exact_at(buffer, start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("the file has become shorter"));
            }
            other => other.map_err(DiskError::at("read", &shared.path))?,
        }
        let text = buffer.split(|b| *b == b'\n').next().unwrap_or_default();
        let unsealed = line::unseal(shared.seed, text)
            .ok_or_else(|| damaged("a line no longer matches its checksum"))?;
        match entry::entry(unsealed.body) {
            Some(Entry::Event(raw)) if raw.seq == seq => self.parse(raw),
            _ => Err(damaged("another line stands in an event's place")),
        }
    }

    fn parse(&self, raw: RawEvent<'_>) -> Result<Durable, LogError> {
        raw.parse().ok_or_else(|| LogError::UnknownEvent { path: self.shared.path.clone(), seq: raw.seq })
    }
}

/// Surveys a log that should be this session's.
pub(crate) fn survey(
    file: io::Result<File>,
    path: PathBuf,
    session: SessionId,
    visit: &mut Visit<'_>,
) -> Result<(Survey, PathBuf), LogError> {
    let damaged = |path: &Path, bytes, what| LogError::Damaged {
        path: path.to_owned(),
        damage: Damage { readable_to: 0, offset: 0, bytes, what },
    };
    let file = file.map_err(DiskError::at("open", &path))?;
    match file.metadata() {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(damaged(&path, 0, "it is not a regular file")),
        Err(error) => return Err(DiskError::new("look at", &path, error).into()),
    }
    let survey = Survey::of(&file, visit).map_err(|why| match why {
        NoSurvey::Disk(error) => DiskError::new("read", &path, error).into(),
        NoSurvey::Newer(found) => LogError::Newer { path: path.clone(), found },
        NoSurvey::Header { bytes, what } => damaged(&path, bytes, what),
        NoSurvey::Unknown(seq) => LogError::UnknownEvent { path: path.clone(), seq },
    })?;
    if survey.header.session != session {
        return Err(damaged(&path, survey.good_len, "it is the log of another session"));
    }
    Ok((survey, path))
}
