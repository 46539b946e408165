//! Another node: who is meant, how it is reached, what may be done there.

mod again;
mod errands;

use std::{
    net::SocketAddr,
    sync::Arc,
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

pub(crate) use self::again::Again;
use self::errands::{Agenda, Errands};
use crate::{
    error::CliError,
    local::{Local, Machine, part},
    output::ago,
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
    /// It belongs to a team of this machine's node.
    pub(crate) fellow: bool,
    local: Option<Local>,
    /// Shared with those who reach the same node again.
    mesh: Option<Arc<Mesh>>,
    /// Where it was dialed, unless it is this machine's own.
    address: Option<PeerAddress>,
    errands: Option<Errands>,
}

/// Whom a PEER argument means.
enum Target {
    /// This machine's own node.
    Own,
    /// Another one, with what is known of it, and this machine's node, which has more to say.
    Other(Box<PeerResolved>, Box<Local>),
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
                .hint("it may be slow to answer, or its address may have changed: allow more time")
                .hint("'clankers daemon status' says whether this machine's own node answers"))
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
                let (held, local) = (Vec::new(), Some(local));
                let (mesh, address, errands, fellow) = (None, None, None, false);
                Ok(Self { client, subject, held, fellow, local, mesh, address, errands })
            }
            Target::Other(known, local) => Self::other(machine, *known, *local, left().max(LAST_TRY)).await,
        }
    }

    /// Reaches another node; what this machine's node has to settle with it is settled beside the command.
    async fn other(
        machine: &Machine,
        known: PeerResolved,
        local: Local,
        limit: Duration,
    ) -> Result<Self, CliError> {
        let subject = known.peer.id;
        let fellow = known.peer.via.iter().any(|via| via == "gossip");
        let agenda = Agenda::new(&local.client, subject, &known.chains).await;
        // A hall in this process keeps other commands of this home waiting: not until the peer is reached.
        // Whom the network told of: anybody there may say for it that it is elsewhere.
        let told = known.peer.via.iter().any(|via| via == "mdns");
        let nothing = agenda.is_empty() && !told;
        let (stays, leaves) =
            if nothing || local.in_process() { (None, Some(local)) } else { (Some(local), None) };
        let mesh = match machine.dialer(known.peer.addrs.is_empty()).await {
            Ok(mesh) => mesh,
            Err(error) => {
                tokio::join!(leave(stays), leave(leaves));
                return Err(error);
            }
        };
        let address = address_of(&known.peer);
        let dial = dial(machine, &mesh, &address, &known.chains, limit);
        let client = match tokio::join!(dial, leave(leaves)) {
            (Ok(client), ()) => client,
            (Err(error), ()) => {
                tokio::join!(leave(stays), part(&mesh));
                return Err(last_seen(error, &known.peer));
            }
        };
        let local = match stays {
            None if !agenda.is_empty() => machine.node_or_hall().await.ok(),
            local => local,
        };
        let mut held = known.chains;
        let needed = agenda.is_needed(&held);
        let reached = client.connection().remote_addr().filter(|_| told);
        let mut errands = Errands::begin(local, client.clone(), machine.run.node(), agenda, reached);
        if needed {
            let renewed = errands.done().await;
            if !renewed.is_empty() {
                held = renewed;
                if let Err(error) = machine.renew(&client, subject, &held).await {
                    tracing::debug!(error = error.message, "a renewed grant was not shown");
                }
            }
        }
        let (mesh, address, errands) = (Some(Arc::new(mesh)), Some(address), Some(errands));
        Ok(Self { client, subject, held, fellow, local: None, mesh, address, errands })
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        if let Some(mut errands) = self.errands {
            errands.done().await;
        }
        self.client.close();
        leave(self.local).await;
        if let Some(mesh) = self.mesh {
            part_last(mesh).await;
        }
    }
}

/// Says of a node that was not reached when it was heard last; what the network says of it is of now, and no news.
fn last_seen(error: CliError, peer: &PeerRecord) -> CliError {
    let heard = peer.last_seen.filter(|_| !peer.via.iter().any(|via| via == "mdns"));
    match heard.filter(|_| error.kind == ExitKind::Unreachable) {
        Some(at) => error.hint(format!("it was last seen {}", ago(at, clankers_node::clock::now()))),
        None => error,
    }
}

/// Closes an endpoint if nobody else has it.
async fn part_last(mesh: Arc<Mesh>) {
    if let Some(mesh) = Arc::into_inner(mesh) {
        part(&mesh).await;
    }
}

async fn leave(local: Option<Local>) {
    if let Some(local) = local {
        local.close().await;
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
    let mut resolved: PeerResolved = match local.client.ask(&request).await {
        Ok(resolved) => resolved,
        Err(error) => {
            local.close().await;
            return Err(error.into());
        }
    };
    if resolved.peer.id == own {
        local.close().await;
        return Ok(Target::Own);
    }
    if let Some(ticket) = ticket {
        add_ticket(&mut resolved.peer, ticket);
    }
    Ok(Target::Other(Box::new(resolved), Box::new(local)))
}

/// A ticket's addresses come first: it was made for this.
fn add_ticket(peer: &mut PeerRecord, ticket: PeerAddress) {
    let known = std::mem::take(&mut peer.addrs);
    peer.addrs = ticket.addrs.iter().map(ToString::to_string).collect();
    peer.addrs.extend(known);
    peer.relay = ticket.relay.or(peer.relay.take());
}

fn address_of(peer: &PeerRecord) -> PeerAddress {
    let addrs: Vec<SocketAddr> = peer.addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
    PeerAddress { id: peer.id, addrs, relay: peer.relay.clone() }
}

async fn dial(
    machine: &Machine,
    mesh: &Mesh,
    address: &PeerAddress,
    chains: &[Vec<u8>],
    limit: Duration,
) -> Result<Client, CliError> {
    let connection = mesh.dial(address, ALPN, limit).await.map_err(clankers_client::ClientError::from)?;
    machine.greet(connection, address.id, chains).await
}
