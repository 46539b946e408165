//! What members are given: one kind of token for all, each member's its own.

use clankers_auth::{Command, GrantSpec, Sessions, mint, words};
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::{
        team::{TeamClaim, TeamClaimed, TeamGrant, TeamGranted},
        tokens::{max_total, with_max_total},
    },
};
use clankers_store::{FoundToken, KeptTeam, TAKEN_BACK, Template};

use super::{
    super::{
        Answer,
        tokens::{
            keep_issued, nonce,
            rights::{self, Files},
            with_store,
        },
    },
    choose, members, record,
};
use crate::{clock, door::Caller};

pub(in crate::service) async fn grant(caller: &Caller, request: TeamGrant) -> Answer<TeamGranted> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let mut kept = choose(caller, request.team.as_deref()).await?;
    let mut warnings = Vec::new();
    let files = Files::of(&request.ext);
    let Files { drop, offer, max_total: most } = files;
    kept.template = match request.rights {
        None => None,
        Some(rights) => {
            let spec = rights::spec(caller, &rights, files, &mut warnings).await?;
            let mut rights = rights;
            if let Sessions::These(ids) = &spec.sessions {
                rights.sessions.clone_from(ids);
            }
            let text = mint(caller, &spec, kept.id.node(), request.expire_secs);
            // Nobody is given this one: it is only put into words.
            let grants = match text {
                Ok(text) => words::describe(text.as_bytes())
                    .map(|said| said.grants.into_iter().chain(said.limits).collect())
                    .unwrap_or_default(),
                Err(refusal) => return Err(refusal),
            };
            Some(Template { rights, drop, offer, expire_secs: request.expire_secs, grants, max_total: most })
        }
    };
    let row = kept.clone();
    let _one_at_a_time = caller.hall.teams.giving.lock().await;
    with_store(caller, move |store| store.teams().put(&row)).await?;
    // What was given by an earlier one was not meant any more.
    let ended = caller.hall.end_claims(kept.id, None).await;
    let ended = ended.map_err(|error| crate::trouble::store(caller, &error))?;
    super::note(caller, "grant", &kept, None);
    let ext = with_max_total(Ext::default(), max_total(&request.ext));
    Ok(TeamGranted { team: record(caller, kept).await?, ended, warnings, ext })
}

fn mint(caller: &Caller, spec: &GrantSpec, audience: clankers_protocol::NodeId, secs: u64) -> Answer<String> {
    let invalid =
        |error: &dyn std::error::Error| Box::new(caller.refuse(RefusalCode::Invalid, &error.to_string()));
    let made = mint::grant(&caller.hall.seed, audience, spec, clock::now(), secs, nonce(caller)?)
        .map_err(|error| invalid(&error))?;
    made.to_text().map_err(|error| invalid(&error))
}

/// A member asks for what members are given.
pub(in crate::service) async fn claim(caller: &Caller, request: TeamClaim) -> Answer<TeamClaimed> {
    let Some(team) = caller.in_team(request.team) else { return Err(members::not_shown(caller)) };
    let (id, member) = (team.id, caller.remote);
    // Looking, minting and noting are one: two claims at once would be two budgets.
    let _one_at_a_time = caller.hall.teams.giving.lock().await;
    let kept = with_store(caller, move |store| store.teams().get(id)).await?;
    let Some(KeptTeam { template: Some(template), .. }) = kept else {
        return Err(Box::new(caller.refuse(RefusalCode::NotFound, "members are given nothing here")));
    };
    match given(caller, id, member).await? {
        Given::Has(token) => return Ok(TeamClaimed { token, ext: Ext::default() }),
        Given::TakenBack => {
            let words = "what this member was given here was taken back";
            return Err(Box::new(caller.refuse(RefusalCode::NotFound, words)));
        }
        Given::Nothing => {}
    }
    // It lasts no longer than the membership itself.
    let now = clock::now();
    let ends = team.roll.member(member).map_or(now, |member| member.expires);
    let secs = template.expire_secs.min(ends.since(now) / 1000).max(1);
    let mut unsaid = Vec::new();
    let files = Files { drop: template.drop, offer: template.offer, max_total: template.max_total };
    let spec = rights::spec(caller, &template.rights, files, &mut unsaid).await?;
    let text = mint(caller, &spec, member, secs)?;
    let record = keep_issued(caller, &text, None, "claim").await?;
    with_store(caller, move |store| store.teams().put_claim(id, member, &record.cid, record.expires, now))
        .await?;
    // Removed meanwhile: what ends with the membership was looked for before this was there.
    if !team.roll.is_member(member) {
        let ended = caller.hall.end_claims(id, Some(member)).await;
        ended.map_err(|error| crate::trouble::store(caller, &error))?;
        return Err(members::not_shown(caller));
    }
    Ok(TeamClaimed { token: text, ext: Ext::default() })
}

/// What a member was given before.
enum Given {
    /// It holds still.
    Has(String),
    /// The owner has revoked it: there is no other until the owner gives anew.
    TakenBack,
    Nothing,
}

/// The token that this member has already.
async fn given(
    caller: &Caller,
    team: clankers_protocol::TeamId,
    member: clankers_protocol::NodeId,
) -> Answer<Given> {
    with_store(caller, move |store| {
        let now = clock::now();
        let mut has = Given::Nothing;
        for (_, cid, expires) in store.teams().claims(team, Some(member), now)? {
            if expires == TAKEN_BACK {
                return Ok(Given::TakenBack);
            }
            let FoundToken::One(kept) = store.tokens().find(&cid, now)? else { continue };
            if !kept.record.issued {
                continue;
            }
            let revoked =
                words::parse_cid(&cid).map(|cid| store.revocations().is_revoked(&cid)).transpose()?;
            if revoked == Some(true) {
                store.teams().put_claim(team, member, &cid, TAKEN_BACK, now)?;
                return Ok(Given::TakenBack);
            }
            // The same one until it has ended, however little of it is left: another one would be another budget.
            if let Ok(text) = words::text(&kept.container) {
                has = Given::Has(text);
            }
        }
        Ok(has)
    })
    .await
}
