//! This machine's node: the one that runs, or the same hall in this process for one command.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use clankers_client::{Client, Introduction, RunIdentity, transfer::Us};
use clankers_node::{
    Hall, SOFTWARE,
    daemon::{hall_config, relay_named},
    mesh::{Bind, Connection, MDNS_PORT, Mdns, Mesh, MeshConfig, PeerAddress},
    models::{OpenAiSettings, Secret},
    settings::Settings,
    store::{self, Home, RunInfo, identity},
};
use clankers_protocol::{ALPN, NodeId, Timestamp, hello::PeerKind, refusal::ExitKind};
use zeroize::Zeroizing;

use crate::error::CliError;

/// How long this machine's own node may take to answer (time).
const LOCAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the goodbye of an endpoint that reached nobody may take (time).
const GOODBYE: Duration = Duration::from_millis(50);

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| CliError::machine(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}

/// A home, its key, and this run's own identity.
pub(crate) struct Machine {
    pub(crate) home: Home,
    pub(crate) run: RunIdentity,
    seed: Zeroizing<[u8; 32]>,
}

/// Whoever answers for this machine.
pub(crate) struct Local {
    pub(crate) client: Client,
    /// The endpoint that reaches the running node.
    mesh: Option<Mesh>,
    /// The hall in this process, when no node runs.
    hall: Option<Arc<Hall>>,
}

impl Machine {
    /// Opens the home and its key, made at the first use.
    pub(crate) fn open(home: &Home) -> Result<Self, CliError> {
        let key = identity::load_or_create(home).map_err(CliError::key)?;
        let seed = Zeroizing::new(*key.expose());
        let run = RunIdentity::new(*seed, random()?);
        Ok(Self { home: home.clone(), run, seed })
    }

    /// This machine's node, which signs receipts of what is got.
    pub(crate) fn us(&self) -> Us {
        let home = Some(self.home.root().to_owned());
        Us { id: self.run.node(), seed: self.seed.clone(), home, now: clankers_node::clock::now }
    }

    /// The running node's note, if a node runs.
    pub(crate) fn running(&self) -> Result<Option<RunInfo>, CliError> {
        running(&self.home)
    }

    /// The running node, or an error that says how to start one.
    pub(crate) async fn node(&self) -> Result<Local, CliError> {
        match self.running()? {
            Some(info) => self.reach(&info).await,
            None => Err(no_node(&self.home)),
        }
    }

    /// The running node, or the same hall in this process.
    pub(crate) async fn node_or_hall(&self) -> Result<Local, CliError> {
        match self.running()? {
            Some(info) => self.reach(&info).await,
            None => self.in_process(None).await,
        }
    }

    async fn reach(&self, info: &RunInfo) -> Result<Local, CliError> {
        if info.id != self.run.node() {
            let error = CliError::machine("the running node has another key than this home's identity.key");
            return Err(error.hint("the key file was changed under a running node: restart it"));
        }
        let addrs: Vec<SocketAddr> = info.addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
        let mut config = MeshConfig::dial_only(self.run.seed());
        // A node that listens on IPv6 alone hears nothing from 127.0.0.1.
        if !addrs.is_empty() && addrs.iter().all(SocketAddr::is_ipv6) {
            config.bind = Bind::Exact(vec![SocketAddr::from((Ipv6Addr::LOCALHOST, 0))]);
        }
        let mesh = Mesh::start(config).await.map_err(CliError::machine)?;
        let address = PeerAddress { id: info.id, addrs, relay: None };
        let connection = match mesh.dial(&address, ALPN, LOCAL_TIMEOUT).await {
            Ok(connection) => connection,
            Err(error) => {
                part(&mesh).await;
                return Err(CliError::new(
                    ExitKind::Unreachable,
                    format!("this machine's node does not answer: {error}"),
                )
                .hint("look at it with 'clankers daemon logs', or stop it: 'clankers daemon stop'"));
            }
        };
        let client = self.greet(connection, info.id, &[]).await?;
        Ok(Local { client, mesh: Some(mesh), hall: None })
    }

    /// The hall in this process, whether a node runs or not; with the OpenAI-compatible server at `api_base`.
    pub(crate) async fn in_process(&self, api_base: Option<&str>) -> Result<Local, CliError> {
        let settings = Settings::load(&self.home.settings()).map_err(CliError::settings)?;
        let mut config =
            hall_config(self.home.clone(), self.seed.clone(), settings).map_err(CliError::machine)?;
        // Whoever runs this may read this machine's files anyway.
        config.models.scripted_paths = true;
        if let Some(base) = api_base {
            let openai = config.models.openai.take().unwrap_or_default();
            // The key that is kept is for the server of the settings; the variable's is of whoever runs this.
            let api_key = std::env::var("OPENAI_API_KEY").ok().and_then(|key| Secret::new(key.trim()));
            config.models.openai = Some(OpenAiSettings { api_base: base.to_owned(), api_key, ..openai });
            config.models.anthropic = None;
            config.models.default = None;
        }
        let hall = Hall::open(config).map_err(|error| match api_base {
            // What stands in the command is the command's fault.
            Some(_) => CliError::usage(error),
            None => CliError::machine(error),
        })?;
        let (ours, halls) = Connection::memory_pair(self.run.id(), self.run.node());
        hall.serve(halls);
        let client = self.greet(ours, self.run.node(), &[]).await?;
        Ok(Local { client, mesh: None, hall: Some(hall) })
    }

    /// Shows a fresh link of this run to a node that was greeted long ago.
    pub(crate) async fn renew(
        &self,
        client: &Client,
        subject: NodeId,
        held: &[Vec<u8>],
    ) -> Result<(), CliError> {
        let chains = self.run.chains(subject, held, clankers_node::clock::now(), random()?)?;
        client.present(chains).await?;
        Ok(())
    }

    /// Says Hello to `subject` with the chains that this run has there.
    pub(crate) async fn greet(
        &self,
        connection: Connection,
        subject: NodeId,
        held: &[Vec<u8>],
    ) -> Result<Client, CliError> {
        let now = clankers_node::clock::now();
        let chains = self.run.chains(subject, held, now, random()?)?;
        let client = Client::greet(connection, introduction(chains, now)?).await?;
        crate::skew::watch(&client, subject);
        Ok(client)
    }

    /// An endpoint for other machines, with the relay that the running node uses, or else of the settings; with
    /// `find`, one that looks for peers on the local network when no node here has done so.
    pub(crate) async fn dialer(&self, find: bool) -> Result<Mesh, CliError> {
        let settings = Settings::load(&self.home.settings()).map_err(CliError::settings)?;
        let network = &settings.network;
        let node = self.running()?;
        let relay = match &node {
            Some(node) => relay_named(Some(node.relay.as_deref().unwrap_or("off"))),
            None => relay_named(network.relay.as_deref()),
        };
        let look = find && node.is_none() && network.mdns.unwrap_or(true);
        let port = network.mdns_port.unwrap_or(MDNS_PORT);
        let mdns = look.then(|| Mdns { port, advertise: false, ..Mdns::default() });
        let config =
            MeshConfig { bind: Bind::Any { port: 0 }, relay, mdns, ..MeshConfig::dial_only(self.run.seed()) };
        Mesh::start(config).await.map_err(CliError::machine)
    }
}

/// Closes an endpoint. Its goodbye leaves at once; what else there is to wait for (an answer to it, a relay that is
/// not there) is not worth the time of whoever waits for the command to end.
pub(crate) async fn part(mesh: &Mesh) {
    let _unheard = tokio::time::timeout(GOODBYE, mesh.close()).await;
}

fn introduction(chains: Vec<Vec<u8>>, now: Timestamp) -> Result<Introduction, CliError> {
    Ok(Introduction {
        software: SOFTWARE.to_owned(),
        kind: PeerKind::Cli,
        label: None,
        boot_id: u64::from_le_bytes(random()?),
        now,
        chains,
    })
}

/// The note of the node that runs in this home; a note that a killed node left is of nobody.
pub(crate) fn running(home: &Home) -> Result<Option<RunInfo>, CliError> {
    let Some(holder) = store::holder(home).map_err(CliError::machine)? else { return Ok(None) };
    let note = RunInfo::read(home).map_err(CliError::machine)?;
    // A node that is starting has the lock; the note may still be that of one that was killed.
    Ok(note.filter(|note| holder.pid.is_none_or(|pid| pid == note.pid)))
}

/// No node runs, and one is needed.
pub(crate) fn no_node(home: &Home) -> CliError {
    CliError::new(ExitKind::Unreachable, format!("no node runs in {}", home.root().display()))
        .hint("start one: clankers daemon start -d")
}

impl Local {
    /// Whether it is the hall in this process, which keeps others of this home waiting while it is open.
    pub(crate) fn in_process(&self) -> bool {
        self.hall.is_some()
    }

    /// Says goodbye, and lets a hall in this process write what it has.
    pub(crate) async fn close(self) {
        self.client.close();
        if let Some(mesh) = self.mesh {
            part(&mesh).await;
        }
        if let Some(hall) = self.hall {
            hall.shut_down(Duration::from_secs(1)).await;
        }
    }
}
