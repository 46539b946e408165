//! `rpc peers`: whom this node knows.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use clankers_client::Client;
use clankers_node::mesh::parse_ticket;
use clankers_protocol::{
    NodeId,
    message::Ext,
    request::{
        peers::{PeerChange, PeerEdit, PeerEdited, PeerList, PeerListReply, PeerRecord},
        presence::{PeerProbe, PeerProbed},
    },
    text,
};
use serde_json::{Value, json};

use super::{
    mesh,
    team::show::{label, way},
    token::known_as,
};
use crate::{
    args::PeersCommand,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, ago, rfc3339},
};

/// How much longer than the peer the own node may take to answer (time).
const PATIENCE: Duration = Duration::from_secs(2);
/// Characters of a line with a peer's words.
const WORDS_CHARS: usize = 200;

pub(crate) async fn run(machine: &Machine, command: PeersCommand, json: bool) -> Outcome {
    let change = match command {
        PeersCommand::List => None,
        PeersCommand::Probe { peer, timeout } => return probe(machine, &peer, timeout, json).await,
        PeersCommand::Trust { peer, no } => Some(PeerChange::Trust { peer, trusted: !no }),
        PeersCommand::Add { peer, addr, label } => Some(added(machine, &peer, &addr, label)?),
        PeersCommand::Remove { peer } => Some(PeerChange::Remove(peer)),
        PeersCommand::Label { peer, label: Some(label) } if label.is_empty() => {
            return Err(CliError::usage("a label cannot be empty")
                .hint(format!("to take it away leave it out: clankers rpc peers label {peer}")));
        }
        PeersCommand::Label { peer, label } => Some(PeerChange::Label { peer, label }),
    };
    let local = machine.node_or_hall().await?;
    let done = match change {
        None => list(&local.client, json).await,
        Some(change) => edit(&local.client, change, json).await,
    };
    local.close().await;
    done
}

fn added(
    machine: &Machine,
    peer: &str,
    addrs: &[SocketAddr],
    label: Option<String>,
) -> Result<PeerChange, CliError> {
    let mut addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    let (id, relay) = match (peer.parse(), parse_ticket(peer)) {
        (Ok(id), _) => (id, None),
        (Err(_), Ok(ticket)) => {
            addrs.extend(ticket.addrs.iter().map(ToString::to_string));
            (ticket.id, ticket.relay)
        }
        (Err(id_error), Err(_)) => {
            return Err(CliError::usage(format!("'{peer}' is neither a ticket nor a node id ({id_error})"))
                .hint("the other machine prints both with 'clankers rpc id'"));
        }
    };
    if id == machine.run.node() {
        return Err(CliError::usage("that is this machine's own node, which is always known as 'local'")
            .hint("add another machine's: 'clankers rpc id' there prints its ticket"));
    }
    Ok(PeerChange::Add { id, addrs, relay, label })
}

async fn list(client: &Client, json: bool) -> Outcome {
    let peers = all(client).await?;
    if json {
        let seen = mesh::view(client, Duration::ZERO).await?;
        let ways: BTreeMap<NodeId, _> =
            seen.into_iter().map(|node| (node.peer.id, (node.path, node.rtt_us))).collect();
        let values = peers.iter().map(|peer| {
            let (path, rtt_us) = ways.get(&peer.id).cloned().unwrap_or_default();
            on_way(value(peer), path.as_deref(), rtt_us)
        });
        return Ok(output::json(&Value::Array(values.collect()))?);
    }
    if peers.is_empty() {
        anstream::eprintln!("nobody yet: add a peer with 'clankers rpc peers add TICKET --label NAME'");
        return Ok(());
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 5]> = peers
        .iter()
        .map(|peer| {
            let label = peer.label.clone().or_else(|| peer.claimed.as_ref().map(|l| format!("({l}?)")));
            let seen = peer.last_seen.map(|at| ago(at, now)).unwrap_or_default();
            let addr = peer.addrs.first().cloned().unwrap_or_default();
            [label.unwrap_or_default(), peer.id.short(), peer.via.join(","), addr, seen]
        })
        .collect();
    Ok(output::table(["LABEL", "ID", "VIA", "ADDRESS", "SEEN"], &rows)?)
}

/// Everybody in the book and on the network, page by page.
async fn all(client: &Client) -> Result<Vec<PeerRecord>, CliError> {
    let mut peers = Vec::new();
    loop {
        let request = PeerList { leaf: None, skip: peers.len() as u64, ext: Ext::default() };
        let reply: PeerListReply = client.ask(&request).await?;
        let ended = reply.more == 0 || reply.peers.is_empty();
        peers.extend(reply.peers);
        if ended {
            return Ok(peers);
        }
    }
}

/// Dials a peer from the running node.
async fn probe(machine: &Machine, peer: &str, limit: Duration, json: bool) -> Outcome {
    let local = machine.node().await?;
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let request = PeerProbe { leaf: None, peer: known_as(peer), limit_ms, ext: Ext::default() };
    let patience = limit + PATIENCE;
    let probed: Result<PeerProbed, _> = local.client.ask_within(&request, patience).await;
    local.close().await;
    let probed = probed?;
    if json {
        let value = on_way(value(&probed.peer), Some(&probed.path), Some(probed.rtt_us));
        return Ok(output::json(&value)?);
    }
    let label = label(probed.peer.label.as_deref(), probed.peer.claimed.as_deref());
    let way = way(Some(&probed.path), Some(probed.rtt_us));
    let line = format!("✓ {} {label} answers: {way}", probed.peer.id.short());
    Ok(output::lines([text::line(&line, WORDS_CHARS).as_str()])?)
}

/// A peer's value with the path to it and its round trip.
pub(super) fn on_way(mut value: Value, path: Option<&str>, rtt_us: Option<u64>) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("path".into(), path.into());
        object.insert("rtt_us".into(), rtt_us.into());
    }
    value
}

pub(super) fn value(peer: &PeerRecord) -> Value {
    json!({
        "id": peer.id,
        "label": peer.label,
        "claimed": peer.claimed,
        "via": peer.via,
        "addrs": peer.addrs,
        "relay": peer.relay,
        "version": peer.version,
        "last_seen": peer.last_seen.map(rfc3339),
        "trusted": peer.trusted,
    })
}

async fn edit(client: &Client, change: PeerChange, json: bool) -> Outcome {
    let done = match &change {
        PeerChange::Add { .. } => "added",
        PeerChange::Remove(_) => "removed",
        PeerChange::Label { label: None, .. } => "no longer labelled:",
        PeerChange::Label { .. } => "labelled",
        PeerChange::Trust { trusted: true, .. } => "trusted",
        PeerChange::Trust { trusted: false, .. } => "no longer trusted:",
    };
    let reply: PeerEdited = client.ask(&PeerEdit { leaf: None, change, ext: Ext::default() }).await?;
    if json {
        return Ok(output::json(&value(&reply.peer))?);
    }
    let name = reply.peer.label.as_ref().map_or_else(String::new, |label| format!(" as {label}"));
    output::lines([format!("✓ {done} {}{name}", reply.peer.id).as_str()])?;
    if done == "trusted"
        && let PeerRecord { label: Some(label), claimed: Some(claimed), .. } = &reply.peer
        && label != claimed
    {
        let claimed = text::line(claimed, WORDS_CHARS);
        anstream::eprintln!("  you call it '{label}', so '{claimed}', which it claims, does not name it");
        anstream::eprintln!("  to go by what it claims: clankers rpc peers label {label}");
    }
    Ok(())
}

/// A peer of whom only the id is known.
pub(super) fn stranger(id: NodeId) -> PeerRecord {
    PeerRecord {
        id,
        label: None,
        claimed: None,
        addrs: Vec::new(),
        relay: None,
        via: Vec::new(),
        version: None,
        last_seen: None,
        trusted: false,
    }
}
