//! The peer book.

use std::time::Duration;

use clankers_auth::{Args, Command, words};
use clankers_protocol::{
    Timestamp,
    limits::ADDRESSES,
    message::Ext,
    presence::Standing,
    refusal::RefusalCode,
    request::peers::{
        EXT_REACHED, PeerChange, PeerEdit, PeerEdited, PeerList, PeerListReply, PeerRecord, PeerResolve,
        PeerResolved,
    },
};
use clankers_store::{Parting, PeerError, StoreError};

use super::{Answer, page, team::show::hear};
use crate::{
    clock,
    door::Caller,
    limits::{CLAIM_AGAIN_WAIT, CLAIM_WAIT, RESOLVE_WAIT},
    select,
    teams::Command as Tell,
    trouble,
};

pub(super) async fn list(caller: &Caller, request: PeerList) -> Answer<PeerListReply> {
    let owner = caller.authorize(request.leaf, Command::NodePeers, &Args::default())?.owner;
    let mut peers = everybody(caller).await?;
    // Who belongs to a team is for its members.
    let teams = caller.hall.teams.all();
    for team in teams.into_iter().filter(|team| owner || caller.in_team(team.id).is_some()) {
        for member in team.ask(Tell::View).await.map(|view| view.members).unwrap_or_default() {
            match peers.iter_mut().find(|peer| peer.id == member.id) {
                Some(peer) => hear(peer, member),
                None if member.heard.is_some() => {
                    let mut peer = stranger(member.id);
                    hear(&mut peer, member);
                    peers.push(peer);
                }
                None => {}
            }
        }
    }
    peers.sort_by(|a, b| (a.label.is_none(), &a.label, a.id).cmp(&(b.label.is_none(), &b.label, b.id)));
    let (peers, more) = page(peers, request.skip);
    Ok(PeerListReply { peers, more, ext: Ext::default() })
}

/// Everybody in the book, and on the local network.
pub(super) async fn everybody(caller: &Caller) -> Answer<Vec<PeerRecord>> {
    let listed = caller.hall.with_store(|store| store.peers().list()).await;
    let mut peers = store_answer(caller, listed)?.map_err(|error| trouble::peer(caller, &error))?;
    for found in discovered(caller) {
        match peers.iter_mut().find(|peer| peer.id == found.id) {
            Some(peer) => merge(peer, found),
            None => peers.push(found),
        }
    }
    Ok(peers)
}

pub(super) async fn resolve(caller: &Caller, request: PeerResolve) -> Answer<PeerResolved> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    let text = request.ext.get(EXT_REACHED).and_then(|value| std::str::from_utf8(value).ok());
    if let (Some(addr), Ok(id)) = (text.and_then(|text| text.parse().ok()), request.peer.parse()) {
        caller.hall.reached(id, addr).await;
        return Ok(PeerResolved { peer: stranger(id), chains: Vec::new(), ext: Ext::default() });
    }
    let mut peer = match select::known_peer(caller, &request.peer).await? {
        Ok(peer) => peer,
        Err(error @ PeerError::NotFound(_)) => match seen(caller, &request.peer) {
            Some(found) => found,
            None => match request.peer.parse() {
                Ok(id) => stranger(id),
                Err(_) if select::is_self(caller, &request.peer) => stranger(caller.hall.id),
                Err(_) => return Err(select::unknown(caller, &request.peer, &error).await),
            },
        },
        Err(error) => return Err(trouble::peer(caller, &error)),
    };
    let mut there = false;
    for team in caller.hall.teams.shared_with(peer.id) {
        let members = team.ask(Tell::View).await.map(|view| view.members).unwrap_or_default();
        if let Some(member) = members.into_iter().find(|member| member.id == peer.id) {
            there |= matches!(member.standing, Standing::Live | Standing::Suspect);
            hear(&mut peer, member);
        }
    }
    let unheard = peer.addrs.is_empty();
    remember(caller, &mut peer).await?;
    let wait = Duration::from_millis(request.wait_ms).min(RESOLVE_WAIT);
    if let Some(discovery) = caller.hall.mesh.get().and_then(|mesh| mesh.discovery()) {
        let wait = if unheard { wait } else { Duration::ZERO };
        if let Some(found) = discovery.wait_for(peer.id, wait).await {
            merge(&mut peer, record(found));
        }
    }
    let mut chains = held(caller, peer.id).await?;
    // A fellow member may give something to members: that is asked for before anything can be done there, and looked at
    // again now and then.
    let good = |chain: &Vec<u8>| words::read(chain).is_ok_and(|said| said.expires > clock::now());
    let patience = if chains.iter().any(good) { CLAIM_AGAIN_WAIT } else { CLAIM_WAIT };
    if there && caller.hall.claim(peer.id, &chains, patience).await {
        chains = held(caller, peer.id).await?;
    }
    Ok(PeerResolved { peer, chains, ext: Ext::default() })
}

/// What a peer said of itself as a member of this node's teams when it was heard last.
async fn remember(caller: &Caller, peer: &mut PeerRecord) -> Answer<()> {
    let id = peer.id;
    let rows = caller
        .hall
        .with_store(move |store| {
            let mut rows = Vec::new();
            for team in store.teams().list()? {
                rows.extend(store.teams().member(team.id, id)?);
            }
            Ok::<_, StoreError>(rows)
        })
        .await;
    let rows = store_answer(caller, rows)?.map_err(|error| trouble::store(caller, &error))?;
    for row in rows {
        // Of who was removed the name is left, so that its owner knows whom the book speaks of.
        if row.parting != Some(Parting::Removed) {
            for addr in row.addrs {
                if !peer.addrs.contains(&addr) && peer.addrs.len() < ADDRESSES {
                    peer.addrs.push(addr);
                }
            }
            peer.relay = peer.relay.take().or(row.relay);
        }
        peer.claimed = peer.claimed.take().or(row.label);
        peer.version = peer.version.take().or(row.version);
        peer.last_seen = peer.last_seen.max((row.last_seen != 0).then_some(Timestamp(row.last_seen)));
    }
    Ok(())
}

/// The chains that this node holds at a peer.
async fn held(caller: &Caller, subject: clankers_protocol::NodeId) -> Answer<Vec<Vec<u8>>> {
    let held = caller
        .hall
        .with_store(move |store| {
            let held = |from, most| store.tokens().held_for_subject(subject, from, most);
            let good = held(clock::now(), clankers_protocol::limits::CHAINS)?;
            // Where there is nothing else, what has expired is shown: "expired" says more than "no token".
            if good.is_empty() { held(Timestamp(0), 1) } else { Ok(good) }
        })
        .await;
    store_answer(caller, held)?.map_err(|error| trouble::store(caller, &error))
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
    // A label that a member claims is looked for where it is known, and who was found on the network has no label yet.
    let mut change = request.change;
    let mut met = None;
    if let PeerChange::Label { peer, .. } | PeerChange::Trust { peer, .. } | PeerChange::Remove(peer) =
        &mut change
    {
        let id = match select::known_peer(caller, peer).await? {
            Ok(known) => known.id,
            Err(error @ PeerError::NotFound(_)) => match seen(caller, peer) {
                Some(found) => found.id,
                None => return Err(select::unknown(caller, peer, &error).await),
            },
            Err(error) => return Err(trouble::peer(caller, &error)),
        };
        *peer = id.to_string();
        met = Some(id);
    }
    let met = match met {
        Some(id) if !matches!(change, PeerChange::Remove(_)) => Some(now_of(caller, stranger(id)).await),
        _ => None,
    };
    let done = caller
        .hall
        .with_store(move |store| {
            let book = store.peers();
            if let Some(met) = met {
                note_met(&book, &met, now)?;
            }
            match change {
                PeerChange::Add { id, addrs, relay, label } => {
                    book.add(id, &addrs, relay.as_deref(), label.as_deref(), now)
                }
                PeerChange::Remove(peer) => book.remove(book.resolve(&peer)?.id),
                PeerChange::Label { peer, label } => {
                    book.set_label(book.resolve(&peer)?.id, label.as_deref())
                }
                PeerChange::Trust { peer, trusted } => book.set_trusted(book.resolve(&peer)?.id, trusted),
            }
        })
        .await;
    let peer = store_answer(caller, done)?.map_err(|error| trouble::peer(caller, &error))?;
    Ok(PeerEdited { peer: now_of(caller, peer).await, ext: Ext::default() })
}

/// The same with what teams and the network say of it now.
async fn now_of(caller: &Caller, mut peer: PeerRecord) -> PeerRecord {
    for team in caller.hall.teams.shared_with(peer.id) {
        let members = team.ask(Tell::View).await.map(|view| view.members).unwrap_or_default();
        if let Some(member) = members.into_iter().find(|member| member.id == peer.id) {
            hear(&mut peer, member);
        }
    }
    if let Some(found) = discovered(caller).into_iter().find(|found| found.id == peer.id) {
        merge(&mut peer, found);
    }
    peer
}

/// Puts one into the book who was only heard of until now, so that the owner can call it something.
fn note_met(book: &clankers_store::PeerBook<'_>, met: &PeerRecord, now: Timestamp) -> Result<(), PeerError> {
    if met.via.is_empty() || book.get(met.id)?.is_some() {
        return Ok(());
    }
    let heard = clankers_store::Heard {
        via: met.via.first().map_or("book", String::as_str),
        addrs: &met.addrs,
        relay: met.relay.as_deref(),
        claimed: met.claimed.as_deref(),
        version: met.version.as_deref(),
    };
    book.heard(met.id, heard, now).map(drop)
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

pub(super) fn stranger(id: clankers_protocol::NodeId) -> PeerRecord {
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

/// What announces itself as clankers says its number only.
fn software(version: &str) -> String {
    if version.contains('/') { version.to_owned() } else { format!("clankers/{version}") }
}

fn record(found: clankers_mesh::Discovered) -> PeerRecord {
    PeerRecord {
        claimed: found.label,
        addrs: found.addrs.iter().map(ToString::to_string).collect(),
        via: vec!["mdns".to_owned()],
        version: Some(software(&found.version)),
        last_seen: Some(found.last_seen),
        ..stranger(found.id)
    }
}

/// What the network says now comes before what the book remembers. There is room for both: anybody may speak on the network,
/// for anybody.
fn merge(peer: &mut PeerRecord, mut found: PeerRecord) {
    found.addrs.truncate(ADDRESSES.saturating_sub(peer.addrs.len()).max(ADDRESSES / 2));
    let old = std::mem::replace(&mut peer.addrs, found.addrs);
    for addr in old {
        if !peer.addrs.contains(&addr) && peer.addrs.len() < ADDRESSES {
            peer.addrs.push(addr);
        }
    }
    peer.claimed = found.claimed.or(peer.claimed.take());
    peer.version = found.version.or(peer.version.take());
    peer.last_seen = peer.last_seen.max(found.last_seen);
    if !peer.via.iter().any(|via| via == "mdns") {
        peer.via.push("mdns".to_owned());
    }
}

fn store_answer<T>(caller: &Caller, answer: Result<T, StoreError>) -> Answer<T> {
    answer.map_err(|error| trouble::store(caller, &error))
}
