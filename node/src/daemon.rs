//! A hall with a network and a store: what `clankers daemon start` runs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use clankers_mesh::{Bind, MDNS_PORT, Mdns, Mesh, MeshConfig, MeshError, Relay};
use clankers_models::{ModelError, ModelInfo, ModelSettings, Registry, Secret};
use clankers_protocol::ALPN;
use clankers_store::{
    Credentials, DiskError, Home, IdentityError, LockError, NodeLock, RunInfo, StoreError, identity,
    remember_port, remembered_port,
};
use zeroize::Zeroizing;

use crate::{
    clock,
    hall::{Hall, HallConfig, HallError},
    limits::{LINK_SWEEP, PARTS_SWEEP, STORE_FLUSH},
    settings::{Settings, SettingsError},
    workspace,
};

/// What the command line said; it wins over the settings.
#[derive(Debug, Default, Clone)]
pub struct Overrides {
    /// Address to listen on.
    pub bind: Option<SocketAddr>,
    /// `off`, `n0`, or a URL.
    pub relay: Option<String>,
    /// Advertise and listen on the local network.
    pub mdns: Option<bool>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another node runs in this home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The hall.
    #[error(transparent)]
    Hall(#[from] HallError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The directory where it was started is gone.
    #[error("cannot see the directory where the node was started: {0}")]
    Directory(std::io::Error),
}

/// A running node. Dropping it without [`Daemon::run`] closes nothing gracefully.
#[derive(Debug)]
pub struct Daemon {
    hall: Arc<Hall>,
    mesh: Arc<Mesh>,
    home: Home,
    /// As it was asked for: `n0` or a URL; `None` is off.
    relay: Option<String>,
    _lock: NodeLock,
}

impl Daemon {
    /// Starts the node of a home: when this returns, peers and the command line reach it.
    ///
    /// # Errors
    /// [`StartError`] with what stands in the way; nothing is left running then.
    pub async fn start(home: Home, overrides: Overrides) -> Result<Self, StartError> {
        let lock = NodeLock::acquire(&home)?;
        // Whatever stands there is of a node that was killed.
        RunInfo::remove(&home)?;
        let settings = Settings::load(&home.settings())?;
        let seed = Zeroizing::new(*identity::load_or_create(&home)?.expose());
        let bind = bind(&overrides, &settings, remembered_port(&home));
        let mesh_config = MeshConfig {
            secret: seed.clone(),
            relay: relay(&overrides, &settings),
            mdns: mdns(&overrides, &settings, &bind.first),
            bind: bind.first.clone(),
            alpns: vec![ALPN.to_vec()],
        };
        let relay = match &mesh_config.relay {
            Relay::Off => None,
            Relay::N0 => Some("n0".to_owned()),
            Relay::Url(url) => Some(url.clone()),
        };
        let hall = Hall::open(hall_config(home.clone(), seed, settings)?)?;
        hall.open_store()?;
        hall.catch_up().await;
        let mesh = Arc::new(start_mesh(mesh_config, bind.instead).await?);
        hall.connect(Arc::clone(&mesh));
        hall.keep_teams().await;
        let daemon = Self { hall, mesh, home, relay, _lock: lock };
        if let Err(error) = daemon.announce() {
            daemon.mesh.close().await;
            return Err(error.into());
        }
        Ok(daemon)
    }

    /// Writes where the node is found, and remembers its port.
    fn announce(&self) -> Result<(), DiskError> {
        self.run_info().write(&self.home)?;
        let port = self.mesh.local_addrs().iter().find(|addr| addr.is_ipv4()).map(SocketAddr::port);
        port.map_or(Ok(()), |port| remember_port(&self.home, port))
    }

    /// How the command line finds it.
    #[must_use]
    pub fn run_info(&self) -> RunInfo {
        let text = |addrs: Vec<SocketAddr>| addrs.iter().map(ToString::to_string).collect();
        RunInfo {
            id: self.hall.id(),
            pid: std::process::id(),
            addrs: text(self.mesh.local_addrs()),
            ticket: self.mesh.ticket(),
            relay: self.relay.clone(),
            mdns: Some(self.mesh.discovery().is_some()),
            started: clock::now(),
        }
    }

    /// Ends the draining of a node that stops: running turns are interrupted at once.
    pub fn halter(&self) -> impl FnOnce() + Send + 'static {
        let halt = self.hall.context.halt.clone();
        move || halt.cancel()
    }

    /// What the owner should know about a node that runs all the same.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let models = &self.hall.context.models;
        if let Err(error) = models.resolve(&models.default_name()) {
            warnings.push(format!("the default model cannot answer: {error}"));
        }
        if let Some(why) = self.hall.context.authority.trouble() {
            warnings.push(format!(
                "peers are refused: the records of revoked tokens are lost ({why}); 'clankers token revoke --all' begins anew"
            ));
        }
        if self.hall.workspace.is_none() {
            let words =
                "peers are offered no workspace: start the node in a project's directory, or set 'workspace'";
            warnings.push(words.to_owned());
        }
        warnings
    }

    /// Sessions on the disk.
    pub async fn sessions(&self) -> u64 {
        self.hall.sessions.count(&self.hall).await
    }

    /// Serves until `interrupted` or somebody who may asks it to stop; then drains, writes and closes.
    pub async fn run(self, interrupted: impl Future<Output = &'static str>) {
        tokio::pin!(interrupted);
        let mut sweep = tokio::time::interval(LINK_SWEEP);
        let mut parts = tokio::time::interval(PARTS_SWEEP);
        let mut flush = tokio::time::interval(STORE_FLUSH);
        let hall = Arc::clone(&self.hall);
        // Before anything comes under the same tokens.
        let settled = tokio::task::spawn_blocking(move || crate::transfers::totals::settle_left(&hall)).await;
        if let Err(error) = settled {
            tracing::error!(%error, "what broke off could not be settled");
        }
        let hall = Arc::clone(&self.hall);
        tokio::task::spawn_blocking(move || crate::transfers::detached::take_up(&hall));
        let drain = loop {
            tokio::select! {
                _ = sweep.tick() => self.hall.links.sweep(),
                _ = flush.tick() => {
                    let hall = Arc::clone(&self.hall);
                    tokio::spawn(async move {
                        let flushed = hall.with_store(|store| store.flush()).await;
                        if let Ok(Err(error)) | Err(error) = flushed {
                            tracing::warn!(%error, "what was found out lately is not on the disk");
                        }
                    });
                }
                _ = parts.tick() => {
                    let hall = Arc::clone(&self.hall);
                    tokio::task::spawn_blocking(move || crate::service::transfer::keeping::sweep(&hall));
                }
                connection = self.mesh.accept() => match connection {
                    Some(connection) => self.hall.serve(connection),
                    None => break Duration::ZERO,
                },
                signal = &mut interrupted => {
                    tracing::info!(signal, "stopping");
                    break crate::limits::DRAIN;
                }
                () = self.hall.stop_asked() => {
                    break *self.hall.drain.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        self.drain(drain).await;
        self.mesh.close().await;
        if let Err(error) = RunInfo::remove(&self.home) {
            tracing::warn!(%error, "could not remove the note about this run");
        }
    }

    /// Stops the hall. Who comes meanwhile is told so, rather than left waiting; running prompts can be looked at
    /// and cancelled.
    async fn drain(&self, limit: Duration) {
        let down = self.hall.shut_down(limit);
        tokio::pin!(down);
        let mut open = true;
        loop {
            tokio::select! {
                () = &mut down => break,
                connection = self.mesh.accept(), if open => match connection {
                    Some(connection) => self.hall.serve(connection),
                    None => open = false,
                },
            }
        }
    }
}

/// The configuration of a hall in this home, started in the current directory.
///
/// # Errors
/// [`StartError::Directory`] when that directory is gone.
pub fn hall_config(
    home: Home,
    seed: Zeroizing<[u8; 32]>,
    settings: Settings,
) -> Result<HallConfig, StartError> {
    let started_in = std::env::current_dir().map_err(StartError::Directory)?;
    let user_home = std::env::var_os("HOME").map(PathBuf::from);
    let workspace =
        workspace::offered(settings.workspace.as_deref(), &started_in, user_home.as_deref(), home.root());
    let models = model_settings(&home, &settings);
    Ok(HallConfig { home, seed, settings, models, workspace })
}

/// Every model of a home, why the rest cannot be used, and the name of the default one. Asks servers on this machine.
///
/// # Errors
/// [`ModelError`] when the settings make no sense.
pub async fn models(home: &Home, settings: &Settings) -> Result<(Vec<ModelInfo>, String), ModelError> {
    let registry = Registry::new(model_settings(home, settings), crate::hall::parse_words)?;
    let (list, default) = tokio::join!(registry.survey(), registry.default_name_asking());
    let default = registry.resolve(&default).map_or(default, |model| model.full_name().to_owned());
    Ok((list, default))
}

/// The environment's models, with what the settings say on top, and the keys that the home keeps for those that have
/// none. Blocks on the disk.
#[must_use]
pub fn model_settings(home: &Home, settings: &Settings) -> ModelSettings {
    let mut models = ModelSettings::from_env();
    let set = &settings.models;
    if let Some(set) = &set.openai {
        let openai = models.openai.get_or_insert_default();
        openai.api_base = set.api_base.clone().unwrap_or_else(|| std::mem::take(&mut openai.api_base));
        openai.models.clone_from(&set.models);
        openai.free = set.free;
        openai.max_output = set.max_output;
    }
    if let Some(set) = &set.anthropic {
        let anthropic = models.anthropic.get_or_insert_default();
        anthropic.api_base = set.api_base.clone().unwrap_or_else(|| std::mem::take(&mut anthropic.api_base));
        anthropic.models.clone_from(&set.models);
        anthropic.max_output = set.max_output;
    }
    if let Some(set) = &set.local {
        let local = &mut models.local;
        local.ollama = set.ollama.clone().unwrap_or_else(|| std::mem::take(&mut local.ollama));
        local.lmstudio = set.lmstudio.clone().unwrap_or_else(|| std::mem::take(&mut local.lmstudio));
    }
    if let Some(scripted) = &settings.models.scripted {
        models.scripted = Some(scripted.path.clone());
    }
    models.default =
        std::env::var("CLANKERS_MODEL").ok().filter(|m| !m.is_empty()).or(settings.model.clone());
    let credentials = Credentials::of(home);
    models.fill_keys(&|provider: &str| match credentials.get(provider) {
        Ok(key) => key.and_then(|key| Secret::new(key.expose())),
        Err(error) => {
            tracing::warn!(%error, "the kept keys cannot be read");
            None
        }
    });
    models
}

/// Where to listen, and where instead when a remembered port is taken.
struct Binds {
    first: Bind,
    instead: Option<Bind>,
}

fn bind(overrides: &Overrides, settings: &Settings, remembered: Option<u16>) -> Binds {
    let Some(asked) = overrides.bind.or(settings.network.bind) else {
        let port = remembered.unwrap_or(0);
        return Binds { first: Bind::Any { port }, instead: (port != 0).then_some(Bind::Any { port: 0 }) };
    };
    let remembered = remembered.filter(|_| asked.port() == 0);
    let at = |port: u16| Bind::Exact(vec![SocketAddr::new(asked.ip(), port)]);
    match remembered {
        Some(port) => Binds { first: at(port), instead: Some(at(0)) },
        None => Binds { first: at(asked.port()), instead: None },
    }
}

/// A port that somebody named must be had; one that was merely remembered is given up.
async fn start_mesh(config: MeshConfig, instead: Option<Bind>) -> Result<Mesh, MeshError> {
    let mut config = config;
    let mut first = Mesh::start(config.clone()).await;
    if let Err(MeshError::Mdns(error)) = &first {
        tracing::warn!(%error, "no discovery on the local network");
        config.mdns = None;
        first = Mesh::start(config.clone()).await;
    }
    match (first, instead) {
        (Err(MeshError::PortTaken(taken)), Some(bind)) => {
            tracing::warn!(%taken, "the remembered port is taken; tickets with it no longer work here");
            Mesh::start(MeshConfig { bind, ..config }).await
        }
        (started, _) => started,
    }
}

fn relay(overrides: &Overrides, settings: &Settings) -> Relay {
    relay_named(overrides.relay.as_deref().or(settings.network.relay.as_deref()))
}

/// A relay setting's meaning; n0's public relays when nothing is said.
#[must_use]
pub fn relay_named(name: Option<&str>) -> Relay {
    match name.unwrap_or("n0") {
        "off" => Relay::Off,
        "n0" => Relay::N0,
        url => Relay::Url(url.to_owned()),
    }
}

fn mdns(overrides: &Overrides, settings: &Settings, bind: &Bind) -> Option<Mdns> {
    overrides.mdns.or(settings.network.mdns).unwrap_or(true).then(|| Mdns {
        port: settings.network.mdns_port.unwrap_or(MDNS_PORT),
        loopback: bind.is_loopback(),
        label: settings.label.clone(),
        advertise: true,
        browse: true,
    })
}

/// Where the default home is: `~/.clankers`.
#[must_use]
pub fn default_home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".clankers"))
}
