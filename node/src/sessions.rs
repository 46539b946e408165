//! All sessions of a node: which are loaded, and which lie on the disk.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_protocol::{
    NodeId, PromptId, SessionId,
    request::{
        node::Load,
        session::{SessionInfo, SessionState},
    },
};
use clankers_store::{LogError, NewSession, PromptPlace, Sessions as Index, SessionsError};

use crate::{context::Context, hall::Hall, limits::PROMPT_LOCKS, session::Session};

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// No such session.
    #[error("there is no session {}", .0.short())]
    NotFound(SessionId),
    /// As many as the settings allow are busy.
    #[error("{0} sessions are in use, which is all that this node's settings allow (limits.max_sessions)")]
    TooMany(usize),
    /// Another process writes its log: a `-p` run, for example.
    #[error("session {} is in use by another process; wait until it ends", .0.short())]
    Elsewhere(SessionId),
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
    /// Its log failed.
    #[error("{0}")]
    Log(LogError),
    /// The index failed.
    #[error("{0}")]
    Store(#[from] SessionsError),
    /// Something failed from within.
    #[error("the node failed from within; see its log")]
    Failed,
}

impl From<LogError> for SessionError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NotFound(id) => Self::NotFound(id),
            LogError::Busy(id) => Self::Elsewhere(id),
            other => Self::Log(other),
        }
    }
}

/// All sessions of a node.
#[derive(Debug)]
pub(crate) struct Sessions {
    context: Arc<Context>,
    loaded: Mutex<BTreeMap<SessionId, Arc<Session>>>,
    /// One load or creation at a time.
    loading: tokio::sync::Mutex<()>,
    index: Mutex<Option<Arc<Index>>>,
    /// The same prompt, sent twice at once, makes one session: its second sender waits for the first.
    prompt_locks: Vec<tokio::sync::Mutex<()>>,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| SessionError::Failed)
}

impl Sessions {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            loaded: Mutex::default(),
            loading: tokio::sync::Mutex::new(()),
            index: Mutex::new(None),
            prompt_locks: (0..PROMPT_LOCKS).map(|_| tokio::sync::Mutex::new(())).collect(),
        }
    }

    fn lock_loaded(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<Session>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index: with the store when it is open, else read from the logs themselves.
    async fn index(&self, hall: &Arc<Hall>) -> Result<Arc<Index>, SessionError> {
        let known = self.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(index) = known {
            return Ok(index);
        }
        let (home, store) = (self.context.home.clone(), hall.open_store_if_any());
        let kept = store.is_some();
        let index = blocking(move || match store {
            Some(store) => Index::open(&home, store),
            None => Ok(Index::without_store(&home)),
        })
        .await??;
        let index = Arc::new(index);
        if kept {
            *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&index));
        }
        Ok(index)
    }

    /// A loaded session.
    pub(crate) fn loaded(&self, id: SessionId) -> Option<Arc<Session>> {
        self.lock_loaded().get(&id).filter(|session| !session.is_over()).cloned()
    }

    /// The id of a session that is to be made: what may be done in it is judged before it is there.
    pub(crate) fn new_id() -> Result<SessionId, SessionError> {
        let mut id = [0; 32];
        getrandom::fill(&mut id).map_err(|_| SessionError::Failed)?;
        Ok(SessionId(id))
    }

    /// Makes a session.
    pub(crate) async fn create(
        &self,
        id: SessionId,
        principal: NodeId,
        cwd: String,
        model: String,
    ) -> Result<Arc<Session>, SessionError> {
        let _one = self.loading.lock().await;
        self.make_room()?;
        let context = Arc::clone(&self.context);
        let new = NewSession { id: Some(id), principal, cwd, model, title: None };
        let session = blocking(move || Session::create(&context, &new)).await??;
        self.lock_loaded().insert(session.id, Arc::clone(&session));
        Ok(session)
    }

    /// A session, loaded when it is not.
    pub(crate) async fn open(&self, id: SessionId) -> Result<Arc<Session>, SessionError> {
        loop {
            let known = self.lock_loaded().get(&id).cloned();
            match known {
                Some(session) if !session.is_over() => return Ok(session),
                // Nobody else waits for this one to end.
                Some(ending) => self.forget(&ending).await,
                None => {}
            }
            let _one = self.loading.lock().await;
            if self.lock_loaded().contains_key(&id) {
                continue;
            }
            self.make_room()?;
            let context = Arc::clone(&self.context);
            let session = blocking(move || Session::load(&context, id)).await??;
            self.lock_loaded().insert(id, Arc::clone(&session));
            return Ok(session);
        }
    }

    /// Waits until a session's actor has ended, then forgets it.
    async fn forget(&self, ending: &Arc<Session>) {
        ending.ended.cancelled().await;
        let mut loaded = self.lock_loaded();
        if loaded.get(&ending.id).is_some_and(|session| Arc::ptr_eq(session, ending)) {
            loaded.remove(&ending.id);
        }
    }

    fn make_room(&self) -> Result<(), SessionError> {
        if self.context.draining.is_cancelled() {
            return Err(SessionError::Stopping);
        }
        let mut loaded = self.lock_loaded();
        loaded.retain(|_, session| !session.ended.is_cancelled());
        let max = self.context.limits.max_sessions;
        if loaded.len() < max {
            return Ok(());
        }
        let idle = loaded.values().find(|session| session.is_idle()).cloned();
        idle.ok_or(SessionError::TooMany(max))?.unload();
        Ok(())
    }

    /// All sessions, the most recently active first.
    pub(crate) async fn list(
        &self,
        hall: &Arc<Hall>,
        archived: bool,
    ) -> Result<Vec<SessionInfo>, SessionError> {
        let index = self.index(hall).await?;
        let own: Vec<SessionId> = self.lock_loaded().keys().copied().collect();
        let entries = blocking(move || {
            let entries = index.list(archived)?;
            // A log that somebody else writes: a `-p` run, for example.
            let elsewhere = |id: SessionId| !own.contains(&id) && index.is_busy(id).unwrap_or(false);
            let busy: Vec<bool> = entries.iter().map(|entry| elsewhere(entry.id)).collect();
            Ok::<_, SessionsError>((entries, busy))
        })
        .await??;
        let (entries, busy) = entries;
        let loaded = self.lock_loaded();
        let info = entries.iter().zip(busy).map(|(entry, busy)| {
            let mut info = entry.info();
            if busy && info.state == SessionState::Idle {
                info.state = SessionState::Busy;
            }
            if let Some(session) = loaded.get(&entry.id).filter(|session| !session.is_over()) {
                let status = session.status();
                if status.running || status.queued > 0 {
                    info.state = SessionState::Running;
                }
                info.head_seq = session.head_seq();
                info.attached = u32::try_from(session.listeners()).unwrap_or(u32::MAX);
            }
            info
        });
        Ok(info.collect())
    }

    /// How many there are on the disk.
    pub(crate) async fn count(&self, hall: &Arc<Hall>) -> u64 {
        self.list(hall, false).await.map_or(0, |all| all.len() as u64)
    }

    /// What those in memory are at.
    pub(crate) fn load(&self) -> Load {
        let mut load = Load::default();
        self.lock_loaded()
            .values()
            .filter(|session| !session.is_over())
            .for_each(|session| session.weigh(&mut load));
        load
    }

    /// Prompts that run or wait.
    pub(crate) fn prompts(&self) -> u64 {
        let loaded = self.lock_loaded();
        let busy = loaded.values().map(|session| session.status());
        busy.map(|status| u64::from(status.running) + status.queued as u64).sum()
    }

    /// Holds up whoever sends the same prompt meanwhile.
    pub(crate) async fn lock_prompt(
        &self,
        principal: NodeId,
        prompt_id: &PromptId,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        (principal, prompt_id).hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % PROMPT_LOCKS as u64).unwrap_or_default();
        match self.prompt_locks.get(at) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// The session where this prompt was accepted before. A run for one command that has no database searches the
    /// logs, unless the id is `fresh`.
    pub(crate) async fn find_prompt(
        &self,
        hall: &Arc<Hall>,
        principal: NodeId,
        prompt_id: &PromptId,
        fresh: bool,
    ) -> Result<Option<Arc<Session>>, SessionError> {
        if fresh && hall.open_store_if_any().is_none() {
            return Ok(None);
        }
        let index = self.index(hall).await?;
        let wanted = prompt_id.clone();
        let place = blocking(move || index.find_prompt(principal, &wanted)).await??;
        match place {
            Some(place) => Ok(Some(self.open(place.session).await?)),
            None => Ok(None),
        }
    }

    /// Notes where a prompt was accepted, so that it is found again when it is sent again.
    pub(crate) async fn note_prompt(
        &self,
        hall: &Arc<Hall>,
        principal: NodeId,
        prompt_id: &PromptId,
        place: PromptPlace,
    ) -> Result<(), SessionError> {
        if hall.open_store_if_any().is_none() {
            return Ok(());
        }
        let index = self.index(hall).await?;
        let prompt_id = prompt_id.clone();
        blocking(move || index.note_prompt(principal, &prompt_id, place)).await??;
        Ok(())
    }

    /// Cancels what runs in a session and archives it; says whether something ran.
    pub(crate) async fn kill(&self, hall: &Arc<Hall>, id: SessionId) -> Result<bool, SessionError> {
        let loaded = self.lock_loaded().get(&id).cloned();
        let mut was_running = false;
        if let Some(session) = loaded {
            was_running = session.status().running;
            session.close().await;
            self.forget(&session).await;
        }
        let index = self.index(hall).await?;
        blocking(move || index.archive(id)).await??;
        Ok(was_running)
    }
}
