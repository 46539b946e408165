//! A member is removed: its memberships are revoked, and it is told.

use std::sync::Arc;

use clankers_auth::{Command, revoke::Judged};
use clankers_protocol::{
    NodeId, TeamId,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::{
        revocation::RevokedLink,
        team::{TeamRemove, TeamRemoved},
    },
};
use clankers_store::{KeptTeam, Parting, TAKEN_BACK};

use super::{
    super::{Answer, tokens::with_store},
    choose, note, record,
};
use crate::{
    clock,
    door::Caller,
    limits::TEAM_REMOVE_TOLD,
    select,
    teams::{Command as Tell, last_words, revoked},
    trouble,
};

/// `team remove`: every membership of somebody that this node may take back is revoked, and what it was given here ends.
pub(in crate::service) async fn remove(caller: &Caller, request: TeamRemove) -> Answer<TeamRemoved> {
    caller.authorize_owner(request.leaf, Command::AdminRevoke)?;
    let kept = choose(caller, request.team.as_deref()).await?;
    let id = kept.id;
    let member = match select::peer(caller, &request.peer).await {
        Err(refusal) if refusal.code() == RefusalCode::NotFound => {
            return Err(removed_before(caller, &kept, &request.peer).await?.unwrap_or(refusal));
        }
        found => found?,
    };
    if member == caller.hall.id {
        let refusal = caller.refuse(RefusalCode::Invalid, "that is this node itself");
        return Err(Box::new(refusal.hint("to leave the team: 'clankers team leave'")));
    }
    let (row, invited) = with_store(caller, move |store| {
        Ok((store.teams().member(id, member)?, store.teams().invited(id, member)?))
    })
    .await?;
    let removed = row.as_ref().is_some_and(|row| row.parting == Some(Parting::Removed));
    let mut chains = row.map(|row| row.chains).unwrap_or_default();
    let running = caller.hall.teams.get(id);
    let shown = running.as_ref().and_then(|team| team.roll.chain(member)).map(|chain| chain.to_vec());
    chains.extend(shown);
    chains.extend(invited);
    chains.sort();
    chains.dedup();
    let now = clock::now();
    let dated = chains.iter().map(|chain| (chain.clone(), now)).collect();
    let judged = caller.hall.revoke_memberships(id, dated).await;
    let judged = judged.map_err(|error| trouble::store(caller, &error))?;
    if judged.is_empty() && removed {
        return Err(is_removed(caller, &kept, member));
    }
    if judged.is_empty() {
        let words = format!("{} is no member of '{}' that this node could remove", member.short(), kept.name);
        let refusal = caller.refuse(RefusalCode::NotFound, &words);
        return Err(Box::new(refusal.hint("whoever invited it can, or whoever has the team's key")));
    }
    let hall = Arc::clone(&caller.hall);
    let seen = match &running {
        Some(team) => team.ask(Tell::View).await.map(|view| view.members).unwrap_or_default(),
        None => Vec::new(),
    };
    let seen = seen.into_iter().find(|seen| seen.id == member);
    let (judged, tokens) = with_store(caller, move |store| {
        // Counted here: from then on the team ends them as well.
        let given = store.teams().claims(id, Some(member), clock::now())?;
        let tokens = given.iter().filter(|(_, _, ends)| *ends != TAKEN_BACK).count() as u64;
        judged.iter().try_for_each(|one| hall.put_revoked(store, one).map(drop))?;
        store.teams().remember(id, member, |row| {
            row.parting = Some(Parting::Removed);
            let (heard, said) = seen.map(|seen| (seen.heard, seen.record)).unwrap_or_default();
            last_words(row, heard, said.as_ref());
        })?;
        Ok((judged, tokens))
    })
    .await?;
    let ended = caller.hall.end_claims(id, Some(member)).await;
    caller.authority().changed();
    let _ended = ended.map_err(|error| trouble::store(caller, &error))?;
    for judged in &judged {
        caller.hall.teams.revoked(caller.hall.id, revoked::noted(judged));
    }
    tell_removed(caller, member, judged.iter().map(|judged| judged.bytes.clone()).collect());
    note(caller, "remove", &kept, Some(member));
    gone(caller, id, member, &chains).await?;
    let links = judged.into_iter().map(taken_back).collect();
    Ok(TeamRemoved { team: record(caller, kept).await?, member, links, tokens, ext: Ext::default() })
}

/// Whoever was removed has no name here any more; the one of before says whom the owner means.
async fn removed_before(caller: &Caller, kept: &KeptTeam, name: &str) -> Answer<Option<Box<Refusal>>> {
    let team = kept.id;
    let rows = with_store(caller, move |store| store.teams().members(team)).await?;
    let called = |label: &String| label.to_lowercase() == name.to_lowercase();
    let mut gone = rows.into_iter().filter(|(id, row)| {
        let prefix = name.len() >= clankers_store::limits::PREFIX_DIGITS && id.to_string().starts_with(name);
        row.parting == Some(Parting::Removed) && (prefix || row.label.as_ref().is_some_and(called))
    });
    Ok(gone.next().map(|(member, _)| is_removed(caller, kept, member)))
}

fn is_removed(caller: &Caller, kept: &KeptTeam, member: NodeId) -> Box<Refusal> {
    let words = format!("{} is removed from '{}' already", member.short(), kept.name);
    let refusal = caller.refuse(RefusalCode::NotFound, &words);
    Box::new(refusal.hint("'clankers team members' shows who belongs to it"))
}

fn taken_back(judged: Judged) -> RevokedLink {
    RevokedLink {
        cid: clankers_auth::words::cid_text(&judged.cid),
        subject: judged.subject,
        audience: judged.audience,
        expires: judged.expires,
        revocation: judged.bytes,
    }
}

/// Whether nothing that is known makes this one a member any more: a removal in part is not to be taken for a whole one.
async fn gone(caller: &Caller, team: TeamId, member: NodeId, chains: &[Vec<u8>]) -> Answer<()> {
    let mut left = None;
    for chain in chains {
        let judged = caller.hall.judge_kept(team, member, chain).await;
        left = left.or(judged.map_err(|error| trouble::store(caller, &error))?.ok());
    }
    let Some(left) = left else { return Ok(()) };
    let words = format!(
        "{} is a member still: what this node may revoke was revoked, but {} invited it as well",
        member.short(),
        left.inviter.short()
    );
    let refusal = caller.refuse(RefusalCode::Invalid, &words);
    Err(Box::new(refusal.hint("that one can remove it, or whoever has the team's key")))
}

/// Whom it is about hears it too, when it is there.
fn tell_removed(caller: &Caller, member: NodeId, revocations: Vec<Vec<u8>>) {
    let hall = Arc::clone(&caller.hall);
    caller.hall.requests.spawn(async move {
        let Some(link) = hall.links.kept(member) else { return };
        let told = tokio::time::timeout(TEAM_REMOVE_TOLD, link.offer_revocations(revocations)).await;
        tracing::debug!(member = %member.short(), told = matches!(told, Ok(Ok(_))), "told of its removal");
    });
}
