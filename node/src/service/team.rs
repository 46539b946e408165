//! Teams, for the owner: make one, invite, join, look, leave, remove. What members ask each other is in [`members`],
//! what they are given in [`template`].

pub(super) mod members;
mod removal;
pub(super) mod show;
pub(super) mod template;

use clankers_auth::{
    Command, Denial,
    team::{Kind, NotMember, TeamError},
};
use clankers_protocol::{
    NodeId, TeamId,
    limits::BOOTSTRAPS,
    message::Ext,
    presence::Standing,
    refusal::{Refusal, RefusalCode},
    request::{
        invite::{Bootstrap, Invite, InviteError, check_name},
        team::{
            MemberNote, TeamCreate, TeamCreated, TeamInvite, TeamInvited, TeamJoin, TeamJoined, TeamLeave,
            TeamLeft, TeamList, TeamListReply, TeamMembers, TeamMembersReply, TeamRecord,
        },
    },
};
use clankers_store::{KeptTeam, Secret32, TeamKeys};

pub(super) use self::removal::remove;
use super::{Answer, page, tokens::with_store};
use crate::{
    clock,
    door::Caller,
    limits::JOIN_WAIT,
    select,
    teams::{
        Command as Tell, TeamFault,
        invite::{InviteFault, random},
    },
};

pub(super) async fn create(caller: &Caller, request: TeamCreate) -> Answer<TeamCreated> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    named_well(caller, &request.name)?;
    for team in all(caller).await? {
        if team.name == request.name {
            let words = format!("there is a team '{}' here already", team.name);
            let hint = "choose another name; 'clankers team list' shows which there are";
            return Err(Box::new(caller.refuse(RefusalCode::Invalid, &words).hint(hint)));
        }
    }
    let secret = random::<32>().map_err(|error| trouble(caller, &error))?;
    let secret = Secret32::new(secret);
    let hall = &caller.hall;
    let (now, nonce) = (clock::now(), random().map_err(|error| trouble(caller, &error))?);
    let lifetime = clankers_auth::limits::LIFETIME_MAX_SECS;
    let issued = clankers_auth::team::found(
        secret.expose(),
        hall.id,
        Kind { admin: true, renews: true, since: None },
        now,
        lifetime,
        nonce,
    )
    .map_err(|error| trouble(caller, &error))?;
    let id = clankers_auth::team::id_of(secret.expose());
    let kept = KeptTeam { id, name: request.name, chain: issued.chain, joined: now, template: None };
    let (keys, row) = (TeamKeys::of(&hall.context.home), kept.clone());
    with_store(caller, move |store| {
        // The key first: a team without it could never grow.
        keys.put(row.id, &secret)?;
        store.teams().put(&row)
    })
    .await?;
    start(caller, kept.clone()).await?;
    note(caller, "create", &kept, None);
    Ok(TeamCreated { team: record(caller, kept).await?, ext: Ext::default() })
}

pub(super) async fn invite(caller: &Caller, request: TeamInvite) -> Answer<TeamInvited> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let kept = choose(caller, request.team.as_deref()).await?;
    let member = select::peer(caller, &request.peer).await?;
    if member == caller.hall.id {
        let words = "that is this node, which belongs to the team already";
        let hint = "an invite is for another node: 'clankers rpc id' there says who it is";
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, words).hint(hint)));
    }
    let (hall, team) = (std::sync::Arc::clone(&caller.hall), kept.clone());
    let issued = tokio::task::spawn_blocking(move || {
        let kind = Kind { admin: request.admin, renews: request.renew, since: None };
        hall.issue_membership(&team, member, kind, request.expire_secs)
    })
    .await
    .map_err(|error| trouble(caller, &error))?
    .map_err(|error| {
        let refusal = caller.refuse(RefusalCode::Invalid, &error.to_string());
        Box::new(match error {
            InviteFault::Team(TeamError::Lifetime) => {
                refusal.hint("choose with --expire, such as --expire 90days")
            }
            _ => refusal,
        })
    })?;
    let invite = Invite {
        name: kept.name.clone(),
        chain: issued.chain.clone(),
        peers: bootstraps(caller, kept.id).await,
    };
    let chain = issued.chain;
    // Kept, so that it can be taken back. Whoever it is for is a member once it shows it.
    with_store(caller, move |store| store.teams().invite(kept.id, member, &chain)).await?;
    note(caller, "invite", &kept, Some(member));
    Ok(TeamInvited {
        invite: invite.to_text(),
        team: record(caller, kept).await?,
        member,
        cid: clankers_auth::words::cid_text(&issued.leaf),
        expires: issued.expires,
        ext: Ext::default(),
    })
}

/// Where to begin: this node, and some members that are there.
async fn bootstraps(caller: &Caller, team: TeamId) -> Vec<Bootstrap> {
    let hall = &caller.hall;
    let mut peers = Vec::new();
    if let Some(mesh) = hall.mesh.get() {
        let own = mesh.address();
        peers.push(Bootstrap { id: own.id, addrs: own.addrs, relay: own.relay });
    } else {
        peers.push(Bootstrap { id: hall.id, addrs: Vec::new(), relay: None });
    }
    if let Some(team) = hall.teams.get(team)
        && let Some(view) = team.ask(Tell::View).await
    {
        let live = view.members.into_iter().filter(|member| member.standing == Standing::Live);
        peers.extend(live.filter_map(|member| {
            let record = member.record?;
            Some(Bootstrap { id: member.id, addrs: record.addrs, relay: record.relay })
        }));
    }
    peers.truncate(BOOTSTRAPS);
    peers
}

pub(super) async fn join(caller: &Caller, request: TeamJoin) -> Answer<TeamJoined> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    let invite = Invite::parse(&request.invite).map_err(|error| no_invite(caller, &error))?;
    let hall = &caller.hall;
    let (id, audience) = clankers_auth::team::peek(&invite.chain).map_err(|denial| {
        Box::new(caller.refuse(RefusalCode::BadToken, &format!("the invite is of no use: {denial}")))
    })?;
    if audience != hall.id {
        let words = format!("this invite is for {}, not for this node", audience.short());
        let refusal = caller.refuse(RefusalCode::WrongAudience, &words);
        return Err(Box::new(refusal.hint("ask for one for this node: 'clankers rpc id' says who it is")));
    }
    hall.judge_kept(id, hall.id, &invite.chain)
        .await
        .map_err(|error| crate::trouble::store(caller, &error))?
        .map_err(|why| no_member(caller, &why))?;
    let old = with_store(caller, move |store| store.teams().get(id)).await?;
    let known = old.is_some();
    let (name, joined, template) = match old {
        Some(old) => (old.name, old.joined, old.template),
        None => (invite.name, clock::now(), None),
    };
    let kept = KeptTeam { id, name, chain: invite.chain, joined, template };
    let (row, me, peers) = (kept.clone(), hall.id, invite.peers);
    let ids: Vec<NodeId> = peers.iter().map(|peer| peer.id).filter(|peer| *peer != me).collect();
    with_store(caller, move |store| {
        store.teams().put(&row)?;
        for peer in peers.into_iter().filter(|peer| peer.id != me) {
            store.teams().remember(id, peer.id, |row| {
                row.addrs = peer.addrs.iter().map(ToString::to_string).collect();
                row.addrs.truncate(clankers_store::limits::PEER_ADDRESSES);
                row.relay = peer.relay.or(row.relay.take());
            })?;
        }
        Ok(())
    })
    .await?;
    let reached = match start(caller, kept.clone()).await? {
        Some(team) => {
            team.tell(Tell::Reach(ids));
            reached(&team).await
        }
        None => 0,
    };
    note(caller, "join", &kept, None);
    Ok(TeamJoined { team: record(caller, kept).await?, known, reached, ext: Ext::default() })
}

/// Waits a while until somebody is there.
async fn reached(team: &crate::teams::Team) -> u64 {
    let until = tokio::time::Instant::now() + JOIN_WAIT;
    loop {
        let live = team.ask(Tell::View).await.map_or(1, |view| view.live);
        if live > 1 || tokio::time::Instant::now() >= until {
            return live.saturating_sub(1) as u64;
        }
        tokio::time::sleep(JOIN_WAIT / 30).await;
    }
}

pub(super) async fn list(caller: &Caller, request: TeamList) -> Answer<TeamListReply> {
    caller.authorize_owner(request.leaf, Command::NodePeers)?;
    let mut teams = Vec::new();
    for kept in all(caller).await? {
        teams.push(record(caller, kept).await?);
    }
    teams.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    Ok(TeamListReply { teams, ext: Ext::default() })
}

pub(super) async fn members(caller: &Caller, request: TeamMembers) -> Answer<TeamMembersReply> {
    caller.authorize_owner(request.leaf, Command::NodePeers)?;
    let kept = choose(caller, request.team.as_deref()).await?;
    let members = show::members(caller, &kept).await?;
    let (members, more) = page(members, request.skip);
    let (members, notes): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let ext = MemberNote::write(&notes);
    Ok(TeamMembersReply { team: record(caller, kept).await?, members, more, ext })
}

pub(super) async fn leave(caller: &Caller, request: TeamLeave) -> Answer<TeamLeft> {
    caller.authorize_owner(request.leaf, Command::AdminConfig)?;
    let kept = choose(caller, request.team.as_deref()).await?;
    let team = record(caller, kept.clone()).await?;
    if team.keeper && !request.force {
        let words = "the team's key lies here, and would be lost";
        let refusal = caller.refuse(RefusalCode::Invalid, words);
        return Err(Box::new(
            refusal.hint("--force loses it: then only admins can invite, and only they can remove"),
        ));
    }
    let _nobody_is_given = caller.hall.teams.giving.lock().await;
    caller.hall.end_claims(kept.id, None).await.map_err(|error| crate::trouble::store(caller, &error))?;
    caller.hall.teams.leave(kept.id).await;
    let (id, keys) = (kept.id, TeamKeys::of(&caller.hall.context.home));
    with_store(caller, move |store| {
        store.teams().remove(id)?;
        Ok(keys.remove(id)?)
    })
    .await?;
    note(caller, "leave", &kept, None);
    Ok(TeamLeft { team, ext: Ext::default() })
}

async fn all(caller: &Caller) -> Answer<Vec<KeptTeam>> {
    with_store(caller, |store| store.teams().list()).await
}

/// The team that is meant: by name, or by the beginning of its id; the only one when none is named.
pub(super) async fn choose(caller: &Caller, name: Option<&str>) -> Answer<KeptTeam> {
    let mut teams = all(caller).await?;
    let none = |words: &str| {
        let refusal = caller.refuse(RefusalCode::NotFound, words);
        Err(Box::new(refusal.hint("'clankers team list' shows them; 'clankers team create NAME' makes one")))
    };
    let several = |words: &str| {
        let refusal = caller.refuse(RefusalCode::Ambiguous, words);
        let hint = "say which by its name, or by the beginning of its id ('clankers team list'): \
                    'invite' and 'remove' take --team NAME, 'members', 'leave' and 'grant' the NAME alone";
        Err(Box::new(refusal.hint(hint)))
    };
    let Some(name) = name else {
        return match (teams.pop(), teams.len()) {
            (Some(team), 0) => Ok(team),
            (None, _) => none("this node belongs to no team"),
            (Some(_), _) => several("this node belongs to several teams"),
        };
    };
    let named: Vec<&KeptTeam> = teams.iter().filter(|team| team.name == name).collect();
    let fits = |team: &&KeptTeam| {
        name.len() >= clankers_store::limits::PREFIX_DIGITS && team.id.to_string().starts_with(name)
            || team.id.did() == name
    };
    let fitting = if named.is_empty() { teams.iter().filter(fits).collect() } else { named };
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => none(&format!("this node belongs to no team '{}'", clankers_protocol::text::line(name, 80))),
        _ => several(&format!("several teams are called '{}'", clankers_protocol::text::line(name, 80))),
    }
}

pub(super) async fn record(caller: &Caller, kept: KeptTeam) -> Answer<TeamRecord> {
    show::record(caller, kept).await
}

async fn start(caller: &Caller, kept: KeptTeam) -> Answer<Option<std::sync::Arc<crate::teams::Team>>> {
    caller.hall.start_team(kept).await.map_err(|error| match error {
        TeamFault::NotMember(why) => no_member(caller, &why),
        TeamFault::Store(error) => crate::trouble::store(caller, &error),
        other => Box::new(caller.refuse(RefusalCode::NodeTrouble, &other.to_string())),
    })
}

fn named_well(caller: &Caller, name: &str) -> Answer<()> {
    check_name(name).map_err(|error| {
        let refusal = caller.refuse(RefusalCode::Invalid, &error.to_string());
        Box::new(refusal.hint("a short word, such as core or night-shift"))
    })
}

fn no_invite(caller: &Caller, error: &InviteError) -> Box<Refusal> {
    let refusal = caller.refuse(RefusalCode::Invalid, &error.to_string());
    Box::new(refusal.hint("'clankers team invite PEER', run by a member who may, prints one"))
}

fn no_member(caller: &Caller, why: &NotMember) -> Box<Refusal> {
    let refusal = caller.refuse(why.code(), &format!("the membership does not hold: {why}"));
    let refusal = match why.code() {
        // The words say what to do.
        _ if matches!(why, NotMember::Chain(Denial::Forgotten(..))) => refusal,
        RefusalCode::Expired | RefusalCode::NotYetValid => {
            refusal.hint("a membership has dates: compare this machine's clock with the inviter's")
        }
        _ => refusal,
    };
    Box::new(refusal.hint("ask a member who may for a new invite"))
}

fn trouble(caller: &Caller, error: &dyn std::error::Error) -> Box<Refusal> {
    Box::new(caller.refuse(RefusalCode::NodeTrouble, &error.to_string()))
}

/// What an owner does with teams is worth a line.
fn note(caller: &Caller, verb: &str, team: &KeptTeam, member: Option<NodeId>) {
    let texts = [("team", Some(team.id.to_string())), ("member", member.map(|member| member.to_string()))];
    let args = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
    let command = format!("team {verb}");
    let about = crate::authority::audit::About { command: &command, args, ..Default::default() };
    caller.authority().audit.note(caller.principal(), about, None);
}
