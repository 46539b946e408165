//! The peer book.

use std::time::Duration;

use clankers_auth::{Args, Command};
use clankers_protocol::{
    Timestamp,
    message::Ext,
    refusal::RefusalCode,
    request::peers::{
        PeerChange, PeerEdit, PeerEdited, PeerList, PeerListReply, PeerRecord, PeerResolve, PeerResolved,
    },
};
use clankers_store::{PeerError, StoreError};

use super::{Answer, page};
use crate::{clock, door::Caller, limits::RESOLVE_WAIT, trouble};

pub(super) async fn list(caller: &Caller, request: PeerList) -> Answer<PeerListReply> {
    caller.authorize(request.leaf, Command::NodePeers, &Args::default())?;
    let listed = caller.hall.with_store(|store| store.peers().list()).await;
    let mut peers = store_answer(caller, listed)?.map_err(|error| trouble::peer(caller, &error))?;
    for found in discovered(caller) {
        match peers.iter_mut().find(|peer| peer.id == found.id) {
            Some(peer) => merge(peer, found),
            None => peers.push(found),
        }
    }
    peers.sort_by(|a, b| (a.label.is_none(), &a.label, a.id).cmp(&(b.label.is_none(), &b.label, b.id)));
    let (peers, more) = page(peers, request.skip);
    Ok(PeerListReply { peers, more, ext: Ext::default() })
}

pub(super) async fn resolve(caller: &Caller, request: PeerResolve) -> Answer<PeerResolved> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    let name = request.peer.clone();
    let resolved = caller.hall.with_store(move |store| store.peers().resolve(&name)).await;
    let known = store_answer(caller, resolved)?;
    let mut peer = match known {
        Ok(peer) => peer,
        Err(error @ PeerError::NotFound(_)) => match seen(caller, &request.peer) {
            Some(found) => found,
            None => match request.peer.parse() {
                Ok(id) => stranger(id),
                Err(_) => return Err(trouble::peer(caller, &error)),
            },
        },
        Err(error) => return Err(trouble::peer(caller, &error)),
    };
    let wait = Duration::from_millis(request.wait_ms).min(RESOLVE_WAIT);
    if let Some(discovery) = caller.hall.mesh.get().and_then(|mesh| mesh.discovery()) {
        let known = peer.addrs.is_empty();
        let wait = if known { wait } else { Duration::ZERO };
        if let Some(found) = discovery.wait_for(peer.id, wait).await {
            merge(&mut peer, record(found));
        }
    }
    let subject = peer.id;
    let held = caller
        .hall
        .with_store(move |store| {
            let held = |from, most| store.tokens().held_for_subject(subject, from, most);
            let good = held(clock::now(), clankers_protocol::limits::CHAINS)?;
            // Where there is nothing else, what has expired is shown: "expired" says more than "no token".
            if good.is_empty() { held(Timestamp(0), 1) } else { Ok(good) }
        })
        .await;
    let chains = store_answer(caller, held)?.map_err(|e| trouble::store(caller, &e))?;
    Ok(PeerResolved { peer, chains, ext: Ext::default() })
}

pub(super) async fn edit(caller: &Caller, request: PeerEdit) -> Answer<PeerEdited> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    if let PeerChange::Add { label: Some(label), .. } | PeerChange::Label { label: Some(label), .. } =
        &request.change
    {
        clankers_protocol::hello::check_label(label).map_err(|error| {
            let refusal = caller.refuse(RefusalCode::Invalid, &error.to_string());
            Box::new(refusal.hint("a label is yours alone: a short name, such as desk or anna.laptop"))
        })?;
    }
    let now = clock::now();
    let done = caller
        .hall
        .with_store(move |store| {
            let book = store.peers();
            match request.change {
                PeerChange::Add { id, addrs, relay, label } => {
                    book.add(id, &addrs, relay.as_deref(), label.as_deref(), now)
                }
                PeerChange::Remove(peer) => book.remove(book.resolve(&peer)?.id),
                PeerChange::Label { peer, label } => {
                    book.set_label(book.resolve(&peer)?.id, label.as_deref())
                }
            }
        })
        .await;
    let peer = store_answer(caller, done)?.map_err(|error| trouble::peer(caller, &error))?;
    Ok(PeerEdited { peer, ext: Ext::default() })
}

/// Who was found on the local network.
fn discovered(caller: &Caller) -> Vec<PeerRecord> {
    let discovery = caller.hall.mesh.get().and_then(|mesh| mesh.discovery());
    discovery.map(|d| d.list().into_iter().map(record).collect()).unwrap_or_default()
}

/// A peer that only the network knows, by id or prefix. A label that it claims resolves nothing.
fn seen(caller: &Caller, name: &str) -> Option<PeerRecord> {
    let discovery = caller.hall.mesh.get().and_then(|mesh| mesh.discovery())?;
    discovery.resolve(name).ok().map(record)
}

fn stranger(id: clankers_protocol::NodeId) -> PeerRecord {
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

fn record(found: clankers_mesh::Discovered) -> PeerRecord {
    PeerRecord {
        claimed: found.label,
        addrs: found.addrs.iter().map(ToString::to_string).collect(),
        via: vec!["mdns".to_owned()],
        version: Some(found.version),
        last_seen: Some(clock::now()),
        ..stranger(found.id)
    }
}

/// What the network says now comes before what the book remembers.
fn merge(peer: &mut PeerRecord, found: PeerRecord) {
    let old = std::mem::replace(&mut peer.addrs, found.addrs);
    for addr in old {
        if !peer.addrs.contains(&addr) && peer.addrs.len() < clankers_protocol::limits::ADDRESSES {
            peer.addrs.push(addr);
        }
    }
    peer.claimed = found.claimed.or(peer.claimed.take());
    peer.version = found.version.or(peer.version.take());
    peer.last_seen = found.last_seen.or(peer.last_seen);
    if !peer.via.iter().any(|via| via == "mdns") {
        peer.via.push("mdns".to_owned());
    }
}

fn store_answer<T>(caller: &Caller, answer: Result<T, StoreError>) -> Answer<T> {
    answer.map_err(|error| trouble::store(caller, &error))
}
