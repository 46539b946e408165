//! Which protocols are accepted at this moment, and where their connections go.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iroh::{Endpoint, endpoint::ServerConfig};
use tokio::sync::mpsc;

use crate::{
    connection::Connection,
    gossip::{GossipError, link::code},
    limits::{GOSSIP_ACCEPTED_WAITING, GOSSIP_TEAMS},
    transport::{self, Room},
};

/// The protocols of the node itself, and those of the teams that it gossips in. Clones share one table.
#[derive(Clone)]
pub(crate) struct Routes(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    own: Vec<Vec<u8>>,
    table: Mutex<Table>,
}

struct Table {
    /// For handshakes that begin now.
    config: Arc<ServerConfig>,
    /// None when the mesh is closed.
    teams: Option<BTreeMap<Vec<u8>, mpsc::Sender<Connection>>>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let teams = self.table().teams.as_ref().map(BTreeMap::len);
        f.debug_struct("Routes").field("own", &self.0.own).field("teams", &teams).finish_non_exhaustive()
    }
}

impl Routes {
    pub(crate) fn new(endpoint: &Endpoint, own: &[Vec<u8>]) -> Self {
        let table = Table { config: config(endpoint, own.to_vec()), teams: Some(BTreeMap::new()) };
        Self(Arc::new(Shared { endpoint: endpoint.clone(), own: own.to_vec(), table: Mutex::new(table) }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What handshakes that begin now are accepted with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.table().config)
    }

    /// Accepts a team's protocol from now on, until the route is dropped.
    pub(crate) fn team(&self, alpn: &[u8]) -> Result<Route, GossipError> {
        if self.0.own.is_empty() {
            return Err(GossipError::DialsOnly);
        }
        let (sender, accepted) = mpsc::channel(GOSSIP_ACCEPTED_WAITING);
        let mut table = self.table();
        let Some(teams) = &mut table.teams else { return Err(GossipError::Closed) };
        if teams.contains_key(alpn) || self.0.own.iter().any(|own| own == alpn) {
            return Err(GossipError::Taken);
        }
        if teams.len() >= GOSSIP_TEAMS {
            return Err(GossipError::Teams);
        }
        teams.insert(alpn.to_vec(), sender);
        table.renew(&self.0);
        Ok(Route { alpn: alpn.to_vec(), routes: self.clone(), accepted })
    }

    /// Hands a connection to its team; gives it back when it belongs to the node itself.
    pub(crate) fn hand_over(&self, connection: Connection) -> Option<Connection> {
        let table = self.table();
        let team = table.teams.as_ref().and_then(|teams| teams.get(connection.alpn())).cloned();
        drop(table);
        let Some(team) = team else {
            if self.0.own.iter().any(|own| own == connection.alpn()) {
                return Some(connection);
            }
            // The team was left while its peer was shaking hands.
            connection.close(code::NOT_SHOWN, "this team's gossip has ended here");
            return None;
        };
        if let Err(refused) = team.try_send(connection) {
            let connection = match refused {
                mpsc::error::TrySendError::Full(c) | mpsc::error::TrySendError::Closed(c) => c,
            };
            connection.close(code::BUSY, "too many connections; try again in a few seconds");
        }
        None
    }

    /// Ends every team's gossip.
    pub(crate) fn close(&self) {
        self.table().teams = None;
    }
}

impl Table {
    fn renew(&mut self, shared: &Shared) {
        let teams = self.teams.iter().flat_map(BTreeMap::keys).cloned();
        self.config = config(&shared.endpoint, shared.own.iter().cloned().chain(teams).collect());
    }
}

fn config(endpoint: &Endpoint, alpns: Vec<Vec<u8>>) -> Arc<ServerConfig> {
    let config = endpoint
        .create_server_config_builder(alpns)
        .set_transport_config(transport::config(Room::Unadmitted))
        .build();
    Arc::new(config)
}

/// A team's protocol is accepted as long as this exists.
pub(crate) struct Route {
    alpn: Vec<u8>,
    routes: Routes,
    accepted: mpsc::Receiver<Connection>,
}

impl Route {
    /// The next connection on this protocol; `None` when the mesh is closed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Connection> {
        self.accepted.recv().await
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let mut table = self.routes.table();
        if let Some(teams) = &mut table.teams {
            teams.remove(&self.alpn);
            table.renew(&self.routes.0);
        }
    }
}
