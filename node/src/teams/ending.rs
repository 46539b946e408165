//! What ends with a membership: the tokens that a member was given here by the team's template.

use std::{collections::BTreeSet, sync::Arc};

use clankers_auth::{
    revoke,
    words::{cid_text, parse_cid},
};
use clankers_protocol::{NodeId, TeamId};
use clankers_store::{FoundToken, Parting, Put, Store, StoreError, TAKEN_BACK};

use super::{Team, invite::random, revoked, work};
use crate::{authority::audit::About, clock, hall::Hall, limits::TEAM_ANSWER};

impl Hall {
    /// Ends the tokens that members have by this team's template: of one member, or of all. How many ended.
    pub(crate) async fn end_claims(
        self: &Arc<Self>,
        team: TeamId,
        of: Option<NodeId>,
    ) -> Result<u64, StoreError> {
        let hall = Arc::clone(self);
        let ended = self
            .with_store(move |store| {
                let mut ended = Vec::new();
                for (member, cid, _) in store.teams().claims(team, of, clock::now())? {
                    if hall.end_token(store, &cid)? {
                        ended.push((member, cid.clone()));
                    }
                    store.teams().drop_claim(team, member, &cid)?;
                }
                Ok::<_, StoreError>(ended)
            })
            .await??;
        if !ended.is_empty() {
            self.context.authority.changed();
            let count = ended.len() as u64;
            for (member, _) in &ended {
                self.tell_changed(team, *member);
            }
            let cids: Vec<_> = ended.into_iter().map(|(_, cid)| serde_json::Value::from(cid)).collect();
            let args = serde_json::Map::from_iter([("tokens".to_owned(), cids.into())]);
            let about = About { command: "token revoke", args, ..About::default() };
            self.context.authority.audit.note(self.id, about, None);
            return Ok(count);
        }
        Ok(0)
    }

    /// Ends the tokens of all who had some by this team's template and are no members any more: whatever was missed when they
    /// went, a restart included. The tokens of one whose membership is over by its date alone end at that date as well: they
    /// are left, for the clock may be wrong.
    pub(super) async fn end_claims_of_before(self: &Arc<Self>, team: &Arc<Team>) -> Result<(), StoreError> {
        let id = team.id;
        let claims = self.with_store(move |store| store.teams().claims(id, None, clock::now())).await??;
        let had = claims.into_iter().filter(|(_, _, ends)| *ends != TAKEN_BACK).map(|(member, _, _)| member);
        for member in had.collect::<BTreeSet<_>>() {
            if !team.roll.is_member(member) && !self.has_lapsed(team, member).await? {
                self.end_claims(id, Some(member)).await?;
            }
        }
        Ok(())
    }

    /// Whether somebody would be a member but for the date.
    async fn has_lapsed(self: &Arc<Self>, team: &Arc<Team>, member: NodeId) -> Result<bool, StoreError> {
        let (id, roll) = (team.id, Arc::clone(&team.roll));
        self.with_store(move |store| {
            let kept = store.teams().members(id)?.into_iter().find(|(one, _)| *one == member);
            let Some((_, kept)) = kept.filter(|(_, kept)| kept.parting != Some(Parting::Removed)) else {
                return Ok(false);
            };
            let judged = kept.chains.iter().map(|chain| roll.judge(member, chain));
            Ok(judged.into_iter().any(|judged| judged.is_err_and(|why| why.is_about_dates())))
        })
        .await?
    }

    /// Forgets what this node holds at a member by that one's template.
    pub(super) async fn forget_claimed(
        self: &Arc<Self>,
        team: TeamId,
        peer: NodeId,
    ) -> Result<(), StoreError> {
        self.with_store(move |store| {
            let now = clock::now();
            for (_, cid, _) in store.teams().claims(team, Some(peer), now)? {
                if store.tokens().get(&cid, now)?.is_some_and(|kept| !kept.record.issued) {
                    store.tokens().forget(&cid, now)?;
                    store.teams().drop_claim(team, peer, &cid)?;
                }
            }
            Ok(())
        })
        .await?
    }

    /// A member whose token has ended asks for another the next time it needs one, rather than showing that.
    fn tell_changed(self: &Arc<Self>, team: TeamId, member: NodeId) {
        let Some(team) = self.teams.get(team).filter(|team| team.roll.is_member(member)) else { return };
        let hall = Arc::clone(self);
        self.requests.spawn(async move {
            if let Err(error) = work::meet_saying(&hall, &team, member, TEAM_ANSWER, true).await {
                tracing::debug!(member = %member.short(), %error, "not told that its token has ended");
            }
        });
    }

    /// Revokes a token that this node issued, or drops one that it held; whether one that it issued was still worth
    /// something.
    fn end_token(&self, store: &Store, cid: &str) -> Result<bool, StoreError> {
        let now = clock::now();
        let FoundToken::One(kept) = store.tokens().find(cid, now)? else { return Ok(false) };
        if !kept.record.issued {
            store.tokens().forget(cid, now)?;
            return Ok(false);
        }
        let (Some(target), Ok(nonce)) = (parse_cid(&kept.record.cid), random()) else { return Ok(false) };
        match revoke::make(&self.seed, &kept.container, &target, now, nonce) {
            Ok(judged) => Ok(store.revocations().put(&revoked::row(&judged), now)? == Put::New),
            Err(error) => {
                tracing::warn!(cid = cid_text(&target), %error, "a member's token was not revoked");
                Ok(false)
            }
        }
    }
}
