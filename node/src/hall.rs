//! The hall: what a node is, whether it runs as a daemon or for one command.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clankers_mesh::{Connection, Mesh, Path};
use clankers_models::{ModelError, ModelSettings, Registry};
use clankers_protocol::NodeId;
use clankers_store::{Home, Store, StoreError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use zeroize::Zeroizing;

use crate::{
    authority::Authority,
    clock, connection,
    context::Context,
    crowd::Crowd,
    denials::DenialLimiter,
    limits::{
        CONNECTIONS, CONNECTIONS_PER_PEER, LOOPBACK_RESERVE, PROMPTS_PER_PEER, STORE_WAIT, VIEWERS_PER_PEER,
    },
    links::Links,
    sessions::Sessions,
    settings::Settings,
    teams::Teams,
    transfers::Transfers,
};

/// Name and version of this software, as peers see it.
pub const SOFTWARE: &str = concat!("clankers/", env!("CARGO_PKG_VERSION"));

/// What a hall is opened with.
#[derive(Debug)]
pub struct HallConfig {
    /// Where everything is kept.
    pub home: Home,
    /// The seed of the node's key.
    pub seed: Zeroizing<[u8; 32]>,
    /// The settings.
    pub settings: Settings,
    /// Which models there are.
    pub models: ModelSettings,
    /// Where sessions of peers work; `None`: nowhere.
    pub workspace: Option<PathBuf>,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) refusals: AtomicU64,
    /// The same by the number of their code: there are only so many codes.
    pub(crate) by_code: Mutex<BTreeMap<u16, u64>>,
}

/// A node's inside. Everything enters by [`Hall::serve`].
#[derive(Debug)]
pub struct Hall {
    pub(crate) id: NodeId,
    pub(crate) seed: Zeroizing<[u8; 32]>,
    pub(crate) settings: Settings,
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) boot_id: u64,
    pub(crate) sessions: Sessions,
    pub(crate) context: Arc<Context>,
    pub(crate) counters: Counters,
    pub(crate) denials: Mutex<DenialLimiter>,
    /// Connections by peer.
    pub(crate) crowd: Crowd,
    /// Prompts that run or wait, by peer.
    pub(crate) busy: Crowd,
    /// Attachments, by peer.
    pub(crate) viewers: Crowd,
    /// The way to the network; none when the hall serves one command in process.
    pub(crate) mesh: OnceLock<Arc<Mesh>>,
    /// Kept connections to other nodes.
    pub(crate) links: Links,
    /// Teams that run.
    pub(crate) teams: Teams,
    /// Files that are sent and received.
    pub(crate) transfers: Arc<Transfers>,
    /// Cancelled when somebody who may asked the node to stop, with the time that turns are given.
    pub(crate) stop: CancellationToken,
    pub(crate) drain: Mutex<Duration>,
    store: Mutex<Option<Arc<Store>>>,
    started: Instant,
    connections: TaskTracker,
    /// Requests being answered, on all connections.
    pub(crate) requests: TaskTracker,
    live: Mutex<BTreeMap<u64, Connection>>,
}

/// Why a hall cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum HallError {
    /// The models' settings make no sense.
    #[error("{0}")]
    Models(#[from] ModelError),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl Hall {
    /// Opens a hall. Touches neither network nor store.
    ///
    /// # Errors
    /// [`HallError`] when the configuration makes no sense.
    pub fn open(config: HallConfig) -> Result<Arc<Self>, HallError> {
        let models = Registry::new(config.models, parse_words)?;
        let id = clankers_auth::mint::id_of(&config.seed);
        let epoch = config.settings.authority.epoch();
        let authority = Authority::new(id, epoch, config.home.clone(), config.settings.audit.settings());
        let transfers = Transfers::new(config.home.root());
        let context = Arc::new(Context {
            authority: Arc::new(authority),
            home: config.home,
            models,
            limits: config.settings.limits.clone(),
            draining: CancellationToken::new(),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut boot = [0; 8];
        getrandom::fill(&mut boot)?;
        Ok(Arc::new(Self {
            id,
            seed: config.seed,
            settings: config.settings,
            workspace: config.workspace,
            boot_id: u64::from_le_bytes(boot),
            sessions: Sessions::new(Arc::clone(&context)),
            context,
            counters: Counters::default(),
            denials: Mutex::default(),
            crowd: Crowd::new(CONNECTIONS_PER_PEER),
            busy: Crowd::new(PROMPTS_PER_PEER),
            viewers: Crowd::new(VIEWERS_PER_PEER),
            mesh: OnceLock::new(),
            links: Links::default(),
            teams: Teams::default(),
            transfers,
            stop: CancellationToken::new(),
            drain: Mutex::new(crate::limits::DRAIN),
            store: Mutex::new(None),
            started: Instant::now(),
            connections: TaskTracker::new(),
            requests: TaskTracker::new(),
            live: Mutex::default(),
        }))
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Serves one connection until it ends; returns at once.
    pub fn serve(self: &Arc<Self>, connection: Connection) {
        let number = self.counters.connections.fetch_add(1, Ordering::Relaxed);
        {
            let mut live = self.lock_live();
            let here = match connection.path() {
                Path::Direct(addr) => addr.ip().to_canonical().is_loopback(),
                Path::Local => true,
                Path::Relay | Path::Unknown => false,
            };
            if live.len() >= CONNECTIONS + if here { LOOPBACK_RESERVE } else { 0 } {
                let code = clankers_protocol::refusal::CloseCode::RateLimited;
                connection.close(u32::from(code.number()), "the node serves as many connections as it can");
                return;
            }
            live.insert(number, connection.clone());
        }
        let hall = Arc::clone(self);
        self.connections.spawn(async move {
            connection::serve(&hall, connection).await;
            hall.lock_live().remove(&number);
        });
    }

    /// Connections open now.
    pub(crate) fn live_connections(&self) -> usize {
        self.lock_live().len()
    }

    fn lock_live(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has begun to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled() || self.context.draining.is_cancelled()
    }

    /// Waits until somebody who may has asked the node to stop.
    pub async fn stop_asked(&self) {
        self.stop.cancelled().await;
    }

    /// Stops: nothing new is begun, running turns get their time, then they are interrupted; says goodbye to
    /// everybody when all is written.
    pub async fn shut_down(&self, drain: Duration) {
        self.context.draining.cancel();
        self.context.tasks.close();
        let drained = tokio::select! {
            waited = tokio::time::timeout(drain, self.context.tasks.wait()) => waited.is_ok(),
            () = self.context.halt.cancelled() => false,
        };
        if !drained {
            self.context.halt.cancel();
            let grace = crate::limits::HALT;
            if tokio::time::timeout(grace, self.context.tasks.wait()).await.is_err() {
                tracing::warn!("some turns did not end in time; they are closed at the next start");
            }
        }
        // Listeners get the last events before the goodbye.
        self.requests.close();
        let _stalled = tokio::time::timeout(crate::limits::GOODBYE, self.requests.wait()).await;
        self.transfers.tasks.close();
        let _late = tokio::time::timeout(crate::limits::GOODBYE, self.transfers.tasks.wait()).await;
        self.teams.leave_all().await;
        self.links.close_all();
        let code = u32::from(clankers_protocol::refusal::CloseCode::Stopping.number());
        for connection in self.lock_live().values() {
            connection.close(code, "the node is stopping");
        }
        self.connections.close();
        let _late = tokio::time::timeout(crate::limits::CLOSE, self.connections.wait()).await;
        let authority = Arc::clone(&self.context.authority);
        let _failed = tokio::task::spawn_blocking(move || authority.audit.flush(crate::limits::CLOSE)).await;
    }

    /// How long it has been open.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Opens the store for good: what a daemon does at its start.
    ///
    /// # Errors
    /// [`StoreError`] when it is held by another process, damaged, newer, or the disk fails.
    pub fn open_store(&self) -> Result<(), StoreError> {
        self.store().map(drop)
    }

    /// Reads what changed in the sessions while the node was away, so that a prompt that was accepted before is
    /// found when it is sent again.
    pub async fn catch_up(self: &Arc<Self>) {
        self.sessions.count(self).await;
    }

    /// The store; a hall for one command opens it at its first use. Blocks.
    pub(crate) fn store(&self) -> Result<Arc<Store>, StoreError> {
        let mut slot = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*slot {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(Store::open_with_deadline(&self.context.home, clock::now(), STORE_WAIT)?);
        *slot = Some(Arc::clone(&store));
        self.context.authority.rest_on(Arc::clone(&store));
        Ok(store)
    }

    /// The store, if it is open: a one-shot prompt never opens it.
    pub(crate) fn open_store_if_any(&self) -> Option<Arc<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs something that blocks on the store.
    pub(crate) async fn with_store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let hall = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || hall.store().map(|store| work(&store))).await;
        match done {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Gives the hall its way to the network; once.
    pub fn connect(&self, mesh: Arc<Mesh>) {
        self.context.authority.open_to_peers();
        let _again = self.mesh.set(mesh);
    }
}

/// What the offline model understands: a tool's name and its words.
pub(crate) fn parse_words(text: &str) -> Option<(String, String)> {
    let call = clankers_tools::ToolCall::from_plain_words(text)?;
    // "write me a poem" is English: what changes something is asked for by its name, `/write ...`.
    if !clankers_auth::vocab::READ_TOOLS.contains(&call.name()) {
        return None;
    }
    Some((call.name().to_owned(), call.arguments_json()))
}

#[cfg(test)]
mod tests {
    use super::parse_words;

    #[test]
    fn plain_words_only_read() {
        assert!(parse_words("grep TODO src").is_some());
        assert!(parse_words("read README.md").is_some());
        for english in ["write README.md in French please", "write me a haiku", "bash is what I use; explain"]
        {
            assert_eq!(parse_words(english), None, "{english}");
        }
    }
}
