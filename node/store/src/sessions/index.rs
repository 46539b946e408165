//! What the logs say, remembered.

use std::{collections::BTreeSet, fs, io::Read, os::unix::fs::MetadataExt, path::PathBuf};

use clankers_protocol::{NodeId, PromptId, SessionId, Timestamp};
use redb::{ReadableTable, ReadableTableMetadata, Table};
use serde::{Deserialize, Serialize};

use super::{Condition, MOST, PromptPlace, SessionEntry};
use crate::{
    Digest, DiskError, Home, LogHeader, Store, StoreError, limits, line,
    log::survey::{End, NoSurvey, Resume, Survey},
    os,
    store::{
        Keep,
        tables::{PROMPTS, SESSIONS, pack, unpack},
    },
};

/// By what a changed log is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    len: u64,
    seconds: i64,
    nanos: i64,
    inode: u64,
}

impl Stamp {
    pub(super) fn modified(self) -> (i64, i64) {
        (self.seconds, self.nanos)
    }
}

/// A session's log in its directory.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) id: SessionId,
    path: PathBuf,
    pub(super) archived: bool,
    pub(super) stamp: Stamp,
}

/// What is remembered of a log; a stored form: frozen with the schema's version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    stamp: Stamp,
    /// 0 whole, 1 damaged, 2 newer.
    condition: u8,
    /// Of a log whose beginning could be read.
    known: Option<Known>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    header: LogHeader,
    seed: u32,
    epoch: u64,
    head_seq: u64,
    /// Where reading can go on (bytes); 0: it cannot.
    good_len: u64,
    title: Option<String>,
    model: Option<String>,
    last_at: Option<Timestamp>,
}

/// The logs in both directories.
pub(super) fn files(home: &Home) -> Result<Vec<LogFile>, DiskError> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for (dir, archived) in [(home.sessions_dir(), false), (home.archive_dir(), true)] {
        let fail = || DiskError::at("list the sessions in", &dir);
        for entry in fs::read_dir(&dir).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            let name = entry.file_name();
            let Some(id) =
                name.to_str().and_then(|n| n.strip_suffix(".jsonl")).and_then(|id| id.parse().ok())
            else {
                continue;
            };
            // Gone in between, or not a plain file: no session.
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() || !seen.insert(id) {
                continue;
            }
            if files.len() == MOST {
                tracing::warn!(limit = MOST, "more sessions than are listed; archive or delete some");
                return Ok(files);
            }
            let stamp =
                Stamp { len: meta.len(), seconds: meta.mtime(), nanos: meta.mtime_nsec(), inode: meta.ino() };
            files.push(LogFile { id, path: entry.path(), archived, stamp });
        }
    }
    Ok(files)
}

/// Only the first line of a log, when it is a header.
pub(super) fn header(file: &LogFile) -> Option<LogHeader> {
    let mut bytes = Vec::new();
    os::open_plain(&file.path).ok()?.take(limits::HEADER_BYTES as u64).read_to_end(&mut bytes).ok()?;
    let first = bytes.split(|b| *b == b'\n').next()?;
    let header: LogHeader = serde_json::from_str(&line::object(line::unseal(0, first)?.body)).ok()?;
    (header.session == file.id).then_some(header)
}

/// A log's entry, read from the log.
pub(super) fn read(file: &LogFile) -> SessionEntry {
    match look(file, None) {
        Ok((row, _)) => entry(file, Some(&row)),
        Err(_) => entry(file, None),
    }
}

/// Where a log has this prompt.
pub(super) fn prompt_in(file: &LogFile, principal: NodeId, prompt_id: &PromptId) -> Option<PromptPlace> {
    let (_, digest) = look(file, None).ok()?;
    let mark = digest.prompts.iter().find(|p| p.principal == principal && p.prompt_id == *prompt_id)?;
    Some(PromptPlace { session: file.id, seq: mark.seq })
}

/// All entries: remembered ones where nothing changed, the others read and remembered, with their prompts.
pub(super) fn read_through(store: &Store, files: &[LogFile]) -> Result<Vec<SessionEntry>, StoreError> {
    let rows: Vec<Option<Row>> = store.read(|transaction| {
        let table = transaction.open_table(SESSIONS)?;
        let row = |file: &LogFile| table.get(file.id.0)?.map(|v| unpack(v.value())).transpose();
        files.iter().map(row).collect()
    })?;
    let mut entries = Vec::with_capacity(files.len());
    let mut changed = Vec::new();
    for (file, old) in files.iter().zip(rows) {
        if let Some(old) = old.as_ref().filter(|old| old.stamp == file.stamp) {
            entries.push(entry(file, Some(old)));
            continue;
        }
        match look(file, old) {
            Ok((row, digest)) => {
                entries.push(entry(file, Some(&row)));
                changed.push((file.id, row, digest));
            }
            Err(error) => {
                tracing::warn!(path = %file.path.display(), %error, "a session's log cannot be read");
                entries.push(entry(file, None));
            }
        }
    }
    if !changed.is_empty() {
        store.write(Keep::Soon, |transaction| {
            let mut sessions = transaction.open_table(SESSIONS)?;
            let mut prompts = transaction.open_table(PROMPTS)?;
            for (id, row, digest) in &changed {
                for mark in &digest.prompts {
                    let place = PromptPlace { session: *id, seq: mark.seq };
                    match note(&mut prompts, mark.principal, &mark.prompt_id, place) {
                        // The listing must work all the same; new prompts are refused where they are noted.
                        Err(error @ StoreError::Full { .. }) => {
                            tracing::error!(%error, "a prompt is not indexed")
                        }
                        other => drop(other?),
                    }
                }
                sessions.insert(id.0, pack(row)?.as_slice())?;
            }
            Ok(())
        })?;
    }
    Ok(entries)
}

/// Forgets everything: the next listing reads all logs.
pub(super) fn forget(store: &Store) -> Result<(), StoreError> {
    store.write(Keep::Soon, |transaction| {
        transaction.open_table(SESSIONS)?.retain(|_, _| false)?;
        transaction.open_table(PROMPTS)?.retain(|_, _| false)?;
        Ok(())
    })
}

type Prompts<'t> = Table<'t, ([u8; 32], &'static str), ([u8; 32], u64)>;

/// Notes a prompt's place unless it has one; gives the one it had.
pub(super) fn note(
    table: &mut Prompts<'_>,
    principal: NodeId,
    prompt_id: &PromptId,
    place: PromptPlace,
) -> Result<Option<PromptPlace>, StoreError> {
    let key = (principal.0, prompt_id.as_str());
    if let Some((session, seq)) = table.get(key)?.map(|value| value.value()) {
        return Ok(Some(PromptPlace { session: SessionId(session), seq }));
    }
    if table.len()? >= limits::PROMPTS {
        let hint = "delete old sessions' logs and store.redb with the node stopped";
        return Err(StoreError::Full { what: "prompts", limit: limits::PROMPTS, hint });
    }
    table.insert(key, (place.session.0, place.seq))?;
    Ok(None)
}

/// Reads a log, going on from what was known of it where that is possible.
fn look(file: &LogFile, old: Option<Row>) -> Result<(Row, Digest), DiskError> {
    let fail = || DiskError::at("read", &file.path);
    let opened = os::open_plain(&file.path).map_err(fail())?;
    if let Some(known) = old.and_then(|old| resumable(old, file)) {
        let mut digest =
            Digest { title: known.title, model: known.model, last_at: known.last_at, ..Digest::default() };
        let (seed, epoch, head_seq, good_len) = (known.seed, known.epoch, known.head_seq, known.good_len);
        let earlier = Resume { header: known.header, seed, epoch, head_seq, good_len };
        let survey = Survey::resume(&opened, earlier, &mut |raw| digest.see_raw(raw));
        if let Ok(survey) = survey
            && matches!(survey.end, End::Clean | End::Torn { .. })
        {
            return Ok((row(file, survey, &digest), digest));
        }
    }
    let mut digest = Digest::default();
    let bare = |condition| Row { stamp: file.stamp, condition, known: None };
    match Survey::of(&opened, &mut |raw| digest.see_raw(raw)) {
        Ok(survey) if survey.header.session == file.id => Ok((row(file, survey, &digest), digest)),
        Ok(_) | Err(NoSurvey::Header { .. }) => Ok((bare(1), Digest::default())),
        Err(NoSurvey::Newer(_) | NoSurvey::Unknown(_)) => Ok((bare(2), digest)),
        Err(NoSurvey::Disk(error)) => Err(fail()(error)),
    }
}

/// Reading goes on only in a log that has grown: one that changed otherwise is read anew.
fn resumable(old: Row, file: &LogFile) -> Option<Known> {
    let grew = old.condition == 0 && old.stamp.inode == file.stamp.inode && old.stamp.len < file.stamp.len;
    old.known.filter(|known| grew && known.good_len != 0)
}

fn row(file: &LogFile, survey: Survey, digest: &Digest) -> Row {
    let (condition, resume) = match survey.end {
        End::Clean | End::Torn { .. } => (0, true),
        End::Unterminated { .. } => (0, false),
        End::BadLine { .. } | End::Damaged { .. } => (1, false),
    };
    let known = Known {
        seed: survey.seed,
        epoch: survey.epoch,
        head_seq: survey.head_seq(),
        good_len: if resume { survey.good_len } else { 0 },
        header: survey.header,
        title: digest.title.clone(),
        model: digest.model.clone(),
        last_at: digest.last_at,
    };
    Row { stamp: file.stamp, condition, known: Some(known) }
}

fn entry(file: &LogFile, row: Option<&Row>) -> SessionEntry {
    let condition = match row.map(|row| row.condition) {
        Some(0) => Condition::Whole,
        Some(1) => Condition::Damaged,
        Some(_) => Condition::Newer,
        None => Condition::Unreadable,
    };
    let millis = u64::try_from(file.stamp.seconds).unwrap_or(0).saturating_mul(1000);
    let millis = millis.saturating_add(u64::try_from(file.stamp.nanos / 1_000_000).unwrap_or(0));
    let (id, archived, bytes) = (file.id, file.archived, file.stamp.len);
    let Some(known) = row.and_then(|row| row.known.as_ref()) else {
        let touched = Timestamp(millis);
        let (title, model, cwd) = (String::new(), String::new(), String::new());
        let (created, active, principal, head_seq) = (touched, touched, None, 0);
        return SessionEntry {
            id,
            title,
            model,
            head_seq,
            created,
            active,
            principal,
            cwd,
            archived,
            bytes,
            condition,
        };
    };
    let header = &known.header;
    SessionEntry {
        id,
        title: header.title.clone().or_else(|| known.title.clone()).unwrap_or_default(),
        model: known.model.clone().unwrap_or_else(|| header.model.clone()),
        head_seq: known.head_seq,
        created: header.created,
        active: known.last_at.unwrap_or(header.created),
        principal: Some(header.principal),
        cwd: header.cwd.clone(),
        archived,
        bytes,
        condition,
    }
}
