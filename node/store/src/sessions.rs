//! All sessions of a home, whoever made them: the listing, finding one by name, and where a prompt was accepted.
//!
//! The logs are the truth. Beside a [`Store`] what they said is remembered with each log's size and time, so that only what
//! changed is read again, and only what was appended of that; without a store (a one-shot run, which must not wait
//! for the node's database) they are simply read.

mod find;
mod index;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_protocol::{
    NodeId, PromptId, SessionId, Timestamp,
    request::session::{SessionInfo, SessionState},
};
pub use find::Found;

use crate::{
    DiskError, Home, Store, StoreError, limits,
    log::reader::locate,
    os,
    store::{Keep, tables::PROMPTS},
};

/// Whether a session's log can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Whole,
    /// It is damaged: it can be read up to the damage, and takes no more events.
    Damaged,
    /// It was written by a later version.
    Newer,
    /// It cannot be read at all just now.
    Unreadable,
}

/// A session in the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// Its id.
    pub id: SessionId,
    /// Its title: given, or the beginning of its first prompt; safe to show.
    pub title: String,
    /// The model of its last prompt, or the one it was created with.
    pub model: String,
    /// Its last event's seq.
    pub head_seq: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When something last happened in it.
    pub active: Timestamp,
    /// Who created it; `None` when its log does not say.
    pub principal: Option<NodeId>,
    /// The directory it works in.
    pub cwd: String,
    /// Whether it was archived.
    pub archived: bool,
    /// The log's size (bytes).
    pub bytes: u64,
    /// Whether its log can be used.
    pub condition: Condition,
}

impl SessionEntry {
    /// As peers are told; the hall adds who is attached and what runs. A session of unknown principal is nobody's (all
    /// zeros), so that it is shown to the owner alone.
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        let state = match self.condition {
            Condition::Whole => SessionState::Idle,
            Condition::Damaged | Condition::Newer | Condition::Unreadable => SessionState::Damaged,
        };
        SessionInfo {
            id: self.id,
            title: self.title.clone(),
            state,
            model: self.model.clone(),
            head_seq: self.head_seq,
            attached: 0,
            created: self.created,
            principal: self.principal.unwrap_or(NodeId([0; 32])),
            cwd: self.cwd.clone(),
            archived: self.archived,
        }
    }
}

/// Where a prompt was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptPlace {
    /// In which session.
    pub session: SessionId,
    /// At which seq.
    pub seq: u64,
}

/// Why sessions cannot be listed, found or moved.
#[derive(Debug, thiserror::Error)]
pub enum SessionsError {
    /// No such session.
    #[error("there is no session {0}; `clankers session list` names them")]
    NotFound(SessionId),
    /// Trouble with the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Trouble with the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// All sessions of a home.
#[derive(Debug)]
pub struct Sessions {
    home: Home,
    store: Option<Arc<Store>>,
    /// Held while logs are read into the index: one reader of many logs is enough.
    reading: Mutex<()>,
}

impl Sessions {
    /// The sessions of the node that has the store. Reads what changed while it was away: from here on a prompt that was
    /// accepted before is found.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn open(home: &Home, store: Arc<Store>) -> Result<Self, SessionsError> {
        let sessions = Self { home: home.clone(), store: Some(store), reading: Mutex::new(()) };
        sessions.list(true)?;
        Ok(sessions)
    }

    /// The sessions without the database: everything is read from the logs each time.
    #[must_use]
    pub fn without_store(home: &Home) -> Self {
        Self { home: home.clone(), store: None, reading: Mutex::new(()) }
    }

    /// All sessions, the most recently active first; with the archived ones or without.
    ///
    /// # Errors
    /// [`SessionsError`]. A log that cannot be used is an entry that says so, not an error.
    pub fn list(&self, archived: bool) -> Result<Vec<SessionEntry>, SessionsError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let files = index::files(&self.home)?;
        let mut entries = match &self.store {
            Some(store) => index::read_through(store, &files)?,
            None => files.iter().map(index::read).collect(),
        };
        entries.retain(|entry| archived || !entry.archived);
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.active, entry.created, entry.id)));
        Ok(entries)
    }

    /// Where this prompt was accepted, in whatever session.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn find_prompt(
        &self,
        principal: NodeId,
        prompt_id: &PromptId,
    ) -> Result<Option<PromptPlace>, SessionsError> {
        let Some(store) = &self.store else {
            let files = index::files(&self.home)?;
            return Ok(files.iter().find_map(|file| index::prompt_in(file, principal, prompt_id)));
        };
        Ok(store.read(|transaction| {
            let table = transaction.open_table(PROMPTS)?;
            let place = table.get((principal.0, prompt_id.as_str()))?.map(|value| value.value());
            Ok(place.map(|(session, seq)| PromptPlace { session: SessionId(session), seq }))
        })?)
    }

    /// Notes where a prompt was accepted: after its event is in the log, before it runs. Gives the earlier place when the same
    /// prompt was noted before; that one stays.
    ///
    /// A crash may undo the note, but not the event: the next [`Sessions::open`] finds it there.
    ///
    /// # Errors
    /// [`StoreError::Full`] and others. Without a store nothing is noted: the log is enough.
    pub fn note_prompt(
        &self,
        principal: NodeId,
        prompt_id: &PromptId,
        place: PromptPlace,
    ) -> Result<Option<PromptPlace>, SessionsError> {
        let Some(store) = &self.store else { return Ok(None) };
        Ok(store.write(Keep::Soon, |transaction| {
            index::note(&mut transaction.open_table(PROMPTS)?, principal, prompt_id, place)
        })?)
    }

    /// Whether a process, this one included, has the session's log open for writing.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn is_busy(&self, session: SessionId) -> Result<bool, SessionsError> {
        let path = self.path(session)?;
        let file = os::open_plain(&path).map_err(DiskError::at("open", &path))?;
        Ok(os::is_locked(&file).map_err(DiskError::at("look at", &path))?)
    }

    /// Archives a session; gives whether it was not archived yet. A log that is open goes on.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn archive(&self, session: SessionId) -> Result<bool, SessionsError> {
        self.relocate(session, self.home.archive_dir())
    }

    /// Takes a session out of the archive; gives whether it was there.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn unarchive(&self, session: SessionId) -> Result<bool, SessionsError> {
        self.relocate(session, self.home.sessions_dir())
    }

    /// Removes a session's log for good, archived or not; `false` when some process has it open.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn delete(&self, session: SessionId) -> Result<bool, SessionsError> {
        if self.is_busy(session)? {
            return Ok(false);
        }
        let path = self.path(session)?;
        let removed = std::fs::remove_file(&path).and_then(|()| os::sync_parent(&path));
        removed.map_err(DiskError::at("remove", &path))?;
        Ok(true)
    }

    /// Forgets all that is remembered of the logs and reads them anew; gives how many there are. Needs a store.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn rebuild(&self) -> Result<usize, SessionsError> {
        if let Some(store) = &self.store {
            index::forget(store)?;
        }
        Ok(self.list(true)?.len())
    }

    /// That a session is archived is where its log lies: no database can lose it.
    fn relocate(&self, session: SessionId, dir: PathBuf) -> Result<bool, SessionsError> {
        let from = self.path(session)?;
        let to = dir.join(format!("{session}.jsonl"));
        if from == to {
            return Ok(false);
        }
        let moved: io::Result<()> = std::fs::rename(&from, &to)
            .and_then(|()| os::sync_dir(&dir))
            .and_then(|()| os::sync_parent(&from));
        moved.map_err(DiskError::at("move", &from))?;
        Ok(true)
    }

    fn path(&self, session: SessionId) -> Result<PathBuf, SessionsError> {
        locate(&self.home, session).ok_or(SessionsError::NotFound(session))
    }
}

/// As many sessions as are listed.
const MOST: usize = limits::SESSIONS;

#[cfg(test)]
mod tests;
