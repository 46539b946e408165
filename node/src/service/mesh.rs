//! The whole mesh, and whether somebody is there.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use clankers_auth::{Args, Command};
use clankers_protocol::{
    NodeId,
    limits::MESH_SESSIONS,
    message::Ext,
    presence::Standing,
    refusal::RefusalCode,
    request::{
        peers::PeerRecord,
        presence::{MeshNode, MeshView, MeshViewReply, PeerProbe, PeerProbed},
        session::{SessionInfo, SessionList, SessionListReply},
        team::{Goodbye, MemberLoad, MemberNote, MemberState},
    },
};
use clankers_store::KeptTeam;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Answer, page,
    peers::{everybody, stranger},
    team::show,
    tokens::with_store,
};
use crate::{
    door::Caller,
    hall::{Hall, SOFTWARE},
    limits::{MESH_ASK_MAX, MESH_ASKS, PROBE_MAX, TEAM_VIEW},
    select,
    teams::{Command as Tell, MemberView, screen::goodbye},
};

pub(super) async fn view(caller: &Caller, request: MeshView) -> Answer<MeshViewReply> {
    let owner = caller.authorize(request.leaf, Command::NodePeers, &Args::default())?.owner;
    let mut nodes: BTreeMap<NodeId, MeshNode> =
        everybody(caller).await?.into_iter().map(|peer| (peer.id, node(peer))).collect();
    let mut teams = with_store(caller, |store| store.teams().list()).await?;
    // Who belongs to a team, and that this node does, is for its members, whatever else somebody may see here.
    teams.retain(|team| owner || caller.in_team(team.id).is_some());
    let mut goodbyes = BTreeMap::new();
    for team in &teams {
        add_team(caller, team, &mut nodes, &mut goodbyes).await;
    }
    for (id, node) in &mut nodes {
        if let (Some(path), rtt) = show::way(&caller.hall, *id) {
            (node.path, node.rtt_us) = (Some(path), rtt);
        }
    }
    let limit = Duration::from_millis(request.ask_ms).min(MESH_ASK_MAX);
    let mut nodes: Vec<MeshNode> = nodes.into_values().collect();
    nodes.push(own(caller, &teams, owner).await);
    nodes.sort_by(|a, b| {
        let key = |it: &MeshNode| {
            let peer = &it.peer;
            (!it.me, peer.label.is_none(), peer.label.clone(), peer.claimed.is_none(), peer.claimed.clone())
        };
        (key(a), a.peer.id).cmp(&(key(b), b.peer.id))
    });
    let (mut nodes, more) = page(nodes, request.skip);
    // What others let this node see is for its owner: who asks otherwise asks them in its own name.
    if owner && !limit.is_zero() {
        ask_sessions(&caller.hall, &mut nodes, limit).await;
    }
    let note = |node: &MeshNode| {
        let gone = node.state == Some(MemberState::Left);
        let goodbye = goodbyes.get(&node.peer.id).copied().filter(|_| gone);
        MemberNote { goodbye, ..MemberNote::default() }
    };
    let ext = MemberNote::write(&nodes.iter().map(note).collect::<Vec<_>>());
    Ok(MeshViewReply { nodes, more, ext })
}

fn node(peer: PeerRecord) -> MeshNode {
    MeshNode {
        peer,
        me: false,
        teams: Vec::new(),
        state: None,
        path: None,
        rtt_us: None,
        load: None,
        sessions: None,
    }
}

/// What a team knows of its members: what those say who were heard since the start, and what is remembered of the others.
async fn add_team(
    caller: &Caller,
    kept: &KeptTeam,
    nodes: &mut BTreeMap<NodeId, MeshNode>,
    goodbyes: &mut BTreeMap<NodeId, Goodbye>,
) {
    let mut heard = match caller.hall.teams.get(kept.id) {
        Some(team) => team.ask(Tell::View).await.unwrap_or_default().members,
        None => Vec::new(),
    };
    heard.retain(|member| member.standing != Standing::Unheard);
    remembered(caller, kept, nodes, &heard).await;
    for member in heard {
        let id = member.id;
        let entry = nodes.entry(id).or_insert_with(|| node(stranger(id)));
        entry.teams.push(kept.name.clone());
        let state = show::state(member.standing);
        let better = |old: MemberState| old != MemberState::Alive;
        if entry.state.is_none_or(better) {
            entry.state = Some(state);
            goodbyes.extend(member.record.as_ref().and_then(goodbye).map(|said| (id, said)));
        }
        if state == MemberState::Alive {
            entry.load = member.record.as_ref().map(show::load).or(entry.load);
        }
        if let (Some(path), rtt) = show::gossip_way(&member) {
            (entry.path, entry.rtt_us) = (Some(path), rtt);
        }
        show::hear(&mut entry.peer, member);
    }
}

/// Who is remembered as a member, and was not heard by a node that runs here.
async fn remembered(
    caller: &Caller,
    kept: &KeptTeam,
    nodes: &mut BTreeMap<NodeId, MeshNode>,
    heard: &[MemberView],
) {
    let Ok(members) = show::members(caller, kept).await else { return };
    let members = members.into_iter().filter(|(_, note)| !note.invited).map(|(member, _)| member);
    let members = members.filter(|member| !heard.iter().any(|known| known.id == member.id));
    for member in members.filter(|member| !member.me) {
        if member.state == MemberState::Removed {
            // It is none any more; should the book know it, this is its name.
            if let Some(entry) = nodes.get_mut(&member.id) {
                entry.peer.claimed = entry.peer.claimed.take().or(member.claimed);
                entry.peer.version = entry.peer.version.take().or(member.version);
            }
            continue;
        }
        let entry = nodes.entry(member.id).or_insert_with(|| node(stranger(member.id)));
        entry.teams.push(kept.name.clone());
        entry.state = entry.state.or(Some(member.state));
        if member.path.is_some() {
            (entry.path, entry.rtt_us) = (member.path, member.rtt_us);
        }
        let peer = &mut entry.peer;
        peer.label = peer.label.take().or(member.label);
        peer.claimed = member.claimed.or(peer.claimed.take());
        peer.version = member.version.or(peer.version.take());
        peer.last_seen = peer.last_seen.max(member.last_seen);
        if peer.addrs.is_empty() {
            peer.addrs = member.addrs;
        }
        peer.relay = peer.relay.take().or(member.relay);
        if !peer.via.iter().any(|via| via == "team") {
            peer.via.push("team".to_owned());
        }
    }
}

async fn own(caller: &Caller, teams: &[KeptTeam], owner: bool) -> MeshNode {
    let hall = &caller.hall;
    let mesh = hall.mesh.get();
    let load = hall.sessions.load();
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let peer = PeerRecord {
        label: hall.settings.label.clone(),
        addrs: mesh.map(|mesh| mesh.addrs().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        relay: mesh.and_then(|mesh| mesh.relay_url()),
        version: Some(SOFTWARE.to_owned()),
        trusted: true,
        ..stranger(hall.id)
    };
    let sessions = match owner {
        true => hall.sessions.list(hall, false).await.ok().map(newest),
        false => None,
    };
    MeshNode {
        me: true,
        teams: teams.iter().map(|team| team.name.clone()).collect(),
        state: Some(if mesh.is_some() { MemberState::Alive } else { MemberState::Unknown }),
        load: Some(MemberLoad {
            sessions: count(hall.sessions.count(hall).await),
            running: count(load.running.saturating_add(load.queued)),
        }),
        sessions,
        ..node(peer)
    }
}

/// The newest few; directories are left out, which nobody looks for here.
fn newest(mut sessions: Vec<SessionInfo>) -> Vec<SessionInfo> {
    sessions.sort_by_key(|info| std::cmp::Reverse((info.created, info.id)));
    sessions.truncate(MESH_SESSIONS);
    for session in &mut sessions {
        session.cwd.clear();
    }
    sessions
}

/// Asks every member that is there, and where this node holds a token, which of its sessions this node may see.
async fn ask_sessions(hall: &Arc<Hall>, nodes: &mut [MeshNode], limit: Duration) {
    let turns = Arc::new(Semaphore::new(MESH_ASKS));
    let mut asking = JoinSet::new();
    for (place, node) in nodes.iter().enumerate() {
        if node.me || node.state != Some(MemberState::Alive) {
            continue;
        }
        let (hall, id, turns) = (Arc::clone(hall), node.peer.id, Arc::clone(&turns));
        asking.spawn(async move {
            let _turn = turns.acquire().await.ok()?;
            Some((place, sessions_at(&hall, id, limit).await?))
        });
    }
    let all = async {
        while let Some(answered) = asking.join_next().await {
            if let Ok(Some((place, sessions))) = answered
                && let Some(node) = nodes.get_mut(place)
            {
                node.sessions = Some(sessions);
                if let (Some(path), rtt) = show::way(hall, node.peer.id) {
                    (node.path, node.rtt_us) = (Some(path), rtt);
                }
            }
        }
    };
    let _late = tokio::time::timeout(limit, all).await;
}

async fn sessions_at(hall: &Arc<Hall>, id: NodeId, limit: Duration) -> Option<Vec<SessionInfo>> {
    // Without a token there is nothing to be seen; asking for one is what a prompt does.
    if hall.chains_at(id).await.ok()?.is_empty() {
        return None;
    }
    let link = hall.link(id, limit).await.ok()?;
    let question = SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };
    let reply: SessionListReply = link.ask_within(&question, limit).await.ok()?;
    Some(newest(reply.sessions))
}

/// Dials one peer, because the owner asked.
pub(super) async fn probe(caller: &Caller, request: PeerProbe) -> Answer<PeerProbed> {
    caller.authorize_owner(request.leaf, Command::NodePeers)?;
    let id = select::peer(caller, &request.peer).await?;
    let limit = Duration::from_millis(request.limit_ms).min(PROBE_MAX);
    let until = Instant::now() + limit;
    let gone = |error: &dyn std::error::Error| {
        let refusal = caller.refuse(RefusalCode::NotThere, &error.to_string());
        Box::new(refusal.hint("is its node running? 'clankers rpc id' there prints a ticket that says where"))
    };
    let link = caller.hall.link(id, limit).await.map_err(|error| gone(&error))?;
    let left = until.saturating_duration_since(Instant::now()).max(TEAM_VIEW);
    let rtt = link.ping(1, left).await.map_err(|error| gone(&error))?;
    let said = link.welcome().await.map_err(|error| gone(&error))?;
    let address = link.connection().remote_addr().map(|addr| addr.to_string());
    let (label, version) = (said.label.clone(), said.software.clone());
    let peer = with_store(caller, move |store| {
        let addrs: Vec<String> = address.into_iter().collect();
        let heard = clankers_store::Heard {
            via: "dial",
            addrs: &addrs,
            relay: None,
            claimed: label.as_deref(),
            version: Some(&version),
        };
        match store.peers().heard(id, heard, crate::clock::now()).and_then(|_| store.peers().get(id)) {
            Ok(peer) => Ok(peer.unwrap_or_else(|| stranger(id))),
            Err(clankers_store::PeerError::Store(error)) => Err(error),
            Err(_) => Ok(stranger(id)),
        }
    })
    .await?;
    let path = link.connection().path().word().to_owned();
    let rtt_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
    Ok(PeerProbed { peer, path, rtt_us, ext: Ext::default() })
}
