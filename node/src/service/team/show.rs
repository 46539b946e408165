//! Teams and members as they are shown, and memberships taken back.

use std::{collections::BTreeMap, sync::Arc};

use clankers_auth::team::Member;
use clankers_mesh::Path;
use clankers_protocol::{
    NodeId, TeamId, Timestamp,
    presence::{Record, Standing},
    request::{
        peers::PeerRecord,
        team::{MemberLoad, MemberNote, MemberRecord, MemberState, TeamRecord, TemplateRecord},
    },
};
use clankers_store::{KeptMember, KeptTeam, Parting};

use super::super::{Answer, tokens::with_store};
use crate::{
    clock,
    door::Caller,
    hall::{Hall, SOFTWARE},
    teams::{Command as Tell, MemberView, View, renewal::is_overdue, screen::goodbye},
};

/// A team, as its owner sees it.
pub(super) async fn record(caller: &Caller, kept: KeptTeam) -> Answer<TeamRecord> {
    let (hall, id) = (Arc::clone(&caller.hall), kept.id);
    let (keeper, given, remembered) = with_store(caller, move |store| {
        let keeper = matches!(hall.team_key(id), Ok(Some(_)));
        let claims = store.teams().claims(id, None, clock::now())?;
        let mut given = std::collections::BTreeSet::new();
        for (member, cid, _) in claims {
            if store.tokens().get(&cid, clock::now())?.is_some_and(|kept| kept.record.issued) {
                given.insert(member);
            }
        }
        let there =
            |(_, member): &(NodeId, KeptMember)| member.parting.is_none() && !member.chains.is_empty();
        let remembered = store.teams().members(id)?.into_iter().filter(there).count();
        Ok((keeper, given.len() as u64, remembered as u64))
    })
    .await?;
    let judged = caller.hall.judge_kept(id, caller.hall.id, &kept.chain).await;
    let judged = judged.map_err(|error| crate::trouble::store(caller, &error))?;
    let view = view(caller, id).await;
    let said = clankers_auth::words::read(&kept.chain).ok();
    let template = kept.template.map(|template| TemplateRecord {
        grants: template.grants,
        expire_secs: template.expire_secs,
        given,
    });
    Ok(TeamRecord {
        id,
        name: kept.name,
        admin: judged.as_ref().is_ok_and(|member| member.admin),
        keeper,
        joined: kept.joined,
        expires: said.map_or(Timestamp(0), |said| said.expires),
        members: view.as_ref().map_or(remembered, |view| view.members.len() as u64).saturating_add(1),
        alive: view.as_ref().map_or(0, |view| view.live as u64),
        ended: judged.err().map(|why| why.code().number()),
        dropped: view.map_or(0, |view| view.dropped),
        template,
    })
}

async fn view(caller: &Caller, id: TeamId) -> Option<View> {
    caller.hall.teams.get(id)?.ask(Tell::View).await
}

/// A member as it is shown, with what its record has no place for.
type Noted = (MemberRecord, MemberNote);

/// All members of a team, this node first.
pub(in crate::service) async fn members(caller: &Caller, kept: &KeptTeam) -> Answer<Vec<Noted>> {
    let id = kept.id;
    let (remembered, invited, labels) = with_store(caller, move |store| {
        let book = store.peers().list().unwrap_or_default();
        let labels: BTreeMap<NodeId, String> =
            book.into_iter().filter_map(|peer| Some((peer.id, peer.label?))).collect();
        Ok((store.teams().members(id)?, store.teams().all_invited(id)?, labels))
    })
    .await?;
    let hall = &caller.hall;
    let roll = hall.teams.get(id);
    let view = view(caller, id).await.unwrap_or_default();
    let mut seen: BTreeMap<NodeId, MemberView> =
        view.members.into_iter().map(|member| (member.id, member)).collect();
    let mut all: BTreeMap<NodeId, Noted> = BTreeMap::new();
    for (member, row) in remembered {
        let chain = row.chains.first().cloned();
        let judged = chain.and_then(|chain| hall.judge_member(id, member, &chain).ok());
        // Who was only named by an invite, and never shown to be a member, is none yet.
        if row.chains.is_empty() && row.parting.is_none() && !seen.contains_key(&member) {
            continue;
        }
        let mut noted = (of_row(member, row), MemberNote::default());
        if let Some(judged) = judged {
            belongs(&mut noted, &judged);
        }
        all.insert(member, noted);
    }
    while let Some((member, view)) = seen.pop_first() {
        let row = || (of_row(member, KeptMember::default()), MemberNote::default());
        let noted = all.entry(member).or_insert_with(row);
        of_view(noted, view);
        if let Some(entered) = roll.as_ref().and_then(|team| team.roll.member(member)) {
            belongs(noted, &entered);
        }
    }
    for (member, chains) in invited {
        let row = || (of_row(member, KeptMember::default()), MemberNote::default());
        let is_member = all.get(&member).is_some_and(|(it, _)| it.state != MemberState::Removed);
        let judged = chains.iter().find_map(|chain| hall.judge_member(id, member, chain).ok());
        if let Some(judged) = judged.filter(|_| !is_member && member != hall.id) {
            let noted = all.entry(member).or_insert_with(row);
            belongs(noted, &judged);
            noted.1.invited = true;
        }
    }
    for (member, (record, _)) in &mut all {
        record.label = labels.get(member).cloned();
        if let (Some(path), rtt) = way(hall, *member) {
            (record.path, record.rtt_us) = (Some(path), rtt);
        }
    }
    let mut all: Vec<Noted> = all.into_values().collect();
    all.push(own(caller, kept).await);
    all.sort_by(|(a, _), (b, _)| {
        let key = |it: &MemberRecord| {
            (!it.me, it.label.is_none(), it.label.clone(), it.claimed.is_none(), it.claimed.clone(), it.id)
        };
        key(a).cmp(&key(b))
    });
    Ok(all)
}

/// What its membership says.
fn belongs((record, note): &mut Noted, member: &Member) {
    (record.admin, record.expires) = (member.admin, Some(member.expires));
    (note.renews, note.overdue) = (Some(member.renews), is_overdue(member, clock::now()));
}

/// Path and round trip of the connection that there is to a peer.
pub(in crate::service) fn way(hall: &Hall, peer: NodeId) -> (Option<String>, Option<u64>) {
    let Some(link) = hall.links.kept(peer) else { return (None, None) };
    let connection = link.connection();
    let rtt = u64::try_from(connection.rtt().as_micros()).ok();
    said(connection.path(), rtt)
}

/// The same as a team's gossip knows it.
pub(in crate::service) fn gossip_way(member: &MemberView) -> (Option<String>, Option<u64>) {
    let Some((path, rtt)) = member.way else { return (None, None) };
    said(path, u64::try_from(rtt.as_micros()).ok())
}

fn said(path: Path, rtt: Option<u64>) -> (Option<String>, Option<u64>) {
    match path {
        // Nothing is said of the way while there is none.
        Path::Local | Path::Unknown => (None, None),
        path => (Some(path.word().to_owned()), rtt),
    }
}

fn of_row(id: NodeId, row: KeptMember) -> MemberRecord {
    MemberRecord {
        id,
        label: None,
        claimed: row.label,
        me: false,
        admin: false,
        state: match row.parting {
            Some(Parting::Left) => MemberState::Left,
            Some(Parting::Removed) => MemberState::Removed,
            None => MemberState::Unknown,
        },
        addrs: row.addrs,
        relay: row.relay,
        path: None,
        rtt_us: None,
        version: row.version,
        last_seen: (row.last_seen != 0).then_some(Timestamp(row.last_seen)),
        load: None,
        expires: None,
    }
}

/// How a member is, in the words of the wire.
pub(in crate::service) fn state(standing: Standing) -> MemberState {
    match standing {
        Standing::Unheard => MemberState::Unknown,
        Standing::Live | Standing::Suspect => MemberState::Alive,
        Standing::Silent => MemberState::Lost,
        Standing::Left => MemberState::Left,
    }
}

/// What a record says that a member has to do.
pub(in crate::service) fn load(record: &Record) -> MemberLoad {
    MemberLoad { sessions: record.load.sessions, running: record.load.running }
}

fn of_view((record, note): &mut Noted, view: MemberView) {
    record.state = match (view.standing, record.state) {
        // Silent since this start, and known to have left before: it has not come back.
        (Standing::Unheard, before) => before,
        (standing, _) => state(standing),
    };
    record.last_seen = view.heard.or(record.last_seen);
    (record.path, record.rtt_us) = gossip_way(&view);
    let Some(said) = view.record else { return };
    note.goodbye = goodbye(&said).filter(|_| record.state == MemberState::Left);
    record.load = (record.state == MemberState::Alive).then(|| load(&said));
    record.addrs = said.addrs.iter().map(ToString::to_string).collect();
    record.relay = said.relay;
    record.claimed = said.label;
    record.version = Some(said.version);
}

async fn own(caller: &Caller, kept: &KeptTeam) -> Noted {
    let hall = &caller.hall;
    let judged = hall.judge_kept(kept.id, hall.id, &kept.chain).await.ok().and_then(Result::ok);
    let mesh = hall.mesh.get();
    let running = hall.sessions.load();
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let record = MemberRecord {
        id: hall.id,
        label: hall.settings.label.clone(),
        claimed: None,
        me: true,
        admin: judged.as_ref().is_some_and(|judged| judged.admin),
        state: match (&judged, mesh) {
            (None, _) => MemberState::Removed,
            (Some(_), Some(_)) => MemberState::Alive,
            (Some(_), None) => MemberState::Unknown,
        },
        addrs: mesh.map(|mesh| mesh.addrs().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        relay: mesh.and_then(|mesh| mesh.relay_url()),
        path: None,
        rtt_us: None,
        version: Some(SOFTWARE.to_owned()),
        last_seen: None,
        load: Some(MemberLoad {
            sessions: count(hall.sessions.count(hall).await),
            running: count(running.running.saturating_add(running.queued)),
        }),
        expires: None,
    };
    let mut noted = (record, MemberNote::default());
    if let Some(judged) = &judged {
        belongs(&mut noted, judged);
    }
    noted
}

/// A peer of the book, or one that only teams know.
pub(in crate::service) fn hear(peer: &mut PeerRecord, view: MemberView) {
    if view.standing == Standing::Unheard {
        return;
    }
    peer.last_seen = peer.last_seen.max(view.heard);
    if !peer.via.iter().any(|via| via == "gossip") {
        peer.via.push("gossip".to_owned());
    }
    let Some(said) = view.record else { return };
    let mut addrs: Vec<String> = said.addrs.iter().map(ToString::to_string).collect();
    for addr in std::mem::take(&mut peer.addrs) {
        if !addrs.contains(&addr) && addrs.len() < clankers_protocol::limits::ADDRESSES {
            addrs.push(addr);
        }
    }
    peer.addrs = addrs;
    peer.relay = said.relay.or(peer.relay.take());
    peer.claimed = said.label.or(peer.claimed.take());
    peer.version = Some(said.version);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was shown as "relay 0.0 ms".
    #[test]
    fn nothing_is_said_of_a_way_that_is_not_there_yet() {
        assert_eq!(said(Path::Unknown, Some(0)), (None, None));
        assert_eq!(said(Path::Relay, Some(7)), (Some("relay".to_owned()), Some(7)));
    }
}
