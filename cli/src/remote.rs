//! Another node: who is meant, how it is reached, what may be done there.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use clankers_client::Client;
use clankers_node::mesh::{Mesh, PeerAddress, parse_ticket};
use clankers_protocol::{
    ALPN, NodeId,
    message::Ext,
    refusal::ExitKind,
    request::peers::{PeerRecord, PeerResolve, PeerResolved},
};

use crate::{
    error::CliError,
    local::{Local, Machine, part},
};

/// How long a peer without a known address may take to be found on the local network (milliseconds).
const FIND_MS: u64 = 3_000;
/// How long a peer may take to be reached (time).
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// What is left for dialing at the least when finding took nearly all of the time (time).
const LAST_TRY: Duration = Duration::from_millis(200);

/// A node that was reached: this machine's own, or another.
pub(crate) struct Peer {
    pub(crate) client: Client,
    /// Its id, and the chains that this machine's node holds there.
    pub(crate) subject: NodeId,
    pub(crate) held: Vec<Vec<u8>>,
    local: Option<Local>,
    mesh: Option<Mesh>,
}

/// Whom a PEER argument means.
enum Target {
    /// This machine's own node.
    Own,
    /// Another one, with what is known of it.
    Other(Box<PeerResolved>),
}

impl Peer {
    /// Reaches the node that `peer` means: an id, a unique prefix, a label, a ticket, or `local`.
    ///
    /// All of it ends within `limit`, or with what was tried.
    pub(crate) async fn reach(machine: &Machine, peer: &str, limit: Duration) -> Result<Self, CliError> {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let looked = tokio::time::timeout(limit, target(machine, peer, limit)).await;
        let found = looked.unwrap_or_else(|_| {
            let words = format!("could not find out within {limit:?} who '{peer}' is");
            Err(CliError::new(ExitKind::Unreachable, words)
                .hint("this machine's node may be stuck: 'clankers daemon logs'"))
        });
        match found? {
            Target::Own => {
                let own = tokio::time::timeout(left().max(LAST_TRY), machine.node()).await;
                let local = own.unwrap_or_else(|_| {
                    let words = format!("this machine's node does not answer within {limit:?}");
                    Err(CliError::new(ExitKind::Unreachable, words)
                        .hint("look at it with 'clankers daemon logs'"))
                })?;
                let (client, subject) = (local.client.clone(), machine.run.node());
                Ok(Self { client, subject, held: Vec::new(), local: Some(local), mesh: None })
            }
            Target::Other(known) => {
                let mesh = machine.dialer(known.peer.addrs.is_empty()).await?;
                match dial(machine, &mesh, &known, left().max(LAST_TRY)).await {
                    Ok(client) => {
                        let (subject, held) = (known.peer.id, known.chains);
                        Ok(Self { client, subject, held, local: None, mesh: Some(mesh) })
                    }
                    Err(error) => {
                        part(&mesh).await;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.client.close();
        if let Some(local) = self.local {
            local.close().await;
        }
        if let Some(mesh) = self.mesh {
            part(&mesh).await;
        }
    }
}

async fn target(machine: &Machine, peer: &str, limit: Duration) -> Result<Target, CliError> {
    let own = machine.run.node();
    if peer == "local" || peer == own.to_string() || peer == own.did() {
        return Ok(Target::Own);
    }
    let ticket = match parse_ticket(peer) {
        Ok(ticket) if ticket.id == own => return Ok(Target::Own),
        Ok(ticket) => Some(ticket),
        // Only what looks like a ticket is judged as one.
        Err(error) if peer.starts_with("endpoint") && peer.len() > 64 => {
            return Err(CliError::usage(error).hint("'clankers rpc id' prints it there, whole"));
        }
        Err(_) => None,
    };
    let name = ticket.as_ref().map_or_else(|| peer.to_owned(), |ticket| ticket.id.to_string());
    let wait_ms = if ticket.is_some() {
        0
    } else {
        FIND_MS.min(u64::try_from(limit.as_millis() / 2).unwrap_or(FIND_MS))
    };
    let local = machine.node_or_hall().await?;
    let request = PeerResolve { leaf: None, peer: name, wait_ms, ext: Ext::default() };
    let resolved: Result<PeerResolved, _> = local.client.ask(&request).await;
    local.close().await;
    let mut resolved = resolved?;
    if resolved.peer.id == own {
        return Ok(Target::Own);
    }
    if let Some(ticket) = ticket {
        add_ticket(&mut resolved.peer, ticket);
    }
    Ok(Target::Other(Box::new(resolved)))
}

/// A ticket's addresses come first: it was made for this.
fn add_ticket(peer: &mut PeerRecord, ticket: PeerAddress) {
    let known = std::mem::take(&mut peer.addrs);
    peer.addrs = ticket.addrs.iter().map(ToString::to_string).collect();
    peer.addrs.extend(known);
    peer.relay = ticket.relay.or(peer.relay.take());
}

async fn dial(
    machine: &Machine,
    mesh: &Mesh,
    known: &PeerResolved,
    limit: Duration,
) -> Result<Client, CliError> {
    let addrs: Vec<SocketAddr> = known.peer.addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
    let address = PeerAddress { id: known.peer.id, addrs, relay: known.peer.relay.clone() };
    let connection = mesh.dial(&address, ALPN, limit).await.map_err(clankers_client::ClientError::from)?;
    machine.greet(connection, known.peer.id, &known.chains).await
}
