//! Members who were removed, and what they may come back with: a membership of before that the remover had never seen.
//! Everybody who knows of the removal refuses it; who removed takes it back as well, so that everybody comes to know.

use std::sync::Arc;

use clankers_auth::{
    revoke::{self, Judged},
    team::{self, Member, NotMember, Removal, Removals},
    words,
};
use clankers_protocol::{NodeId, TeamId, limits::REVOCATIONS};
use clankers_store::{KeptRemoval, Put, Store, StoreError};

use super::{Team, invite::random, revoked};
use crate::{clock, hall::Hall};

/// What is known of a team's removals.
pub(crate) fn known(store: &Store, team: TeamId) -> Result<Removals, StoreError> {
    let mut known = Removals::default();
    for KeptRemoval { member, by, at, cid } in store.teams().removals(team)? {
        known.note(Removal { member, by, at, cid });
    }
    Ok(known)
}

impl Hall {
    /// Stores a revocation that was judged good. One that takes a membership of a team of this node back is a removal, which
    /// is kept first: a crash between the two loses nothing but what others tell again.
    pub(crate) fn put_revoked(&self, store: &Store, judged: &Judged) -> Result<Put, StoreError> {
        let (team, now) = (TeamId(judged.subject.0), clock::now());
        if store.teams().get(team)?.is_some() {
            let removal = Removal::of(judged, now);
            let Removal { member, by, at, cid } = removal;
            let news = store.teams().put_removal(team, &KeptRemoval { member, by, at, cid }, now)?;
            if let Some(team) = self.teams.get(team) {
                team.roll.note(removal);
            }
            let put = store.revocations().put(&revoked::row(judged), now);
            if news {
                // Also when the revocation was known: memberships are looked at anew.
                self.context.authority.changed();
            }
            return put;
        }
        store.revocations().put(&revoked::row(judged), now)
    }

    /// Whether a chain makes this one a member, by all that the store has.
    pub(crate) async fn judge_kept(
        self: &Arc<Self>,
        team: TeamId,
        member: NodeId,
        chain: &[u8],
    ) -> Result<Result<Member, NotMember>, StoreError> {
        let known = self.with_store(move |store| known(store, team)).await??;
        Ok(self.judge_member(team, member, chain).and_then(|member| match known.ending(&member) {
            Some(removal) => Err(NotMember::Removed(removal)),
            None => Ok(member),
        }))
    }

    /// Revokes the last links of these memberships, as far as this node may: with the team's key where it lies here. None
    /// is stored yet.
    pub(crate) async fn revoke_memberships(
        self: &Arc<Self>,
        id: TeamId,
        chains: Vec<Vec<u8>>,
    ) -> Result<Vec<Judged>, StoreError> {
        let hall = Arc::clone(self);
        self.with_store(move |store| {
            let key = hall.team_key(id).ok().flatten();
            let seed = key.as_ref().map_or(&*hall.seed, |key| key.expose());
            let by = clankers_auth::mint::id_of(seed);
            let now = clock::now();
            let mut judged = Vec::new();
            for chain in chains.into_iter().filter(|chain| team::may_remove(chain, by)) {
                let Ok(said) = words::read(&chain) else { continue };
                let known = store.revocations().is_revoked(&said.cid)?;
                let Ok(nonce) = random() else { continue };
                match revoke::make(seed, &chain, &said.cid, now, nonce) {
                    Ok(made) if !known => judged.push(made),
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "a membership was not revoked"),
                }
            }
            judged.truncate(REVOCATIONS);
            Ok(judged)
        })
        .await?
    }

    /// Takes back what came up of members whom this node had removed before.
    pub(super) async fn take_back(
        self: &Arc<Self>,
        team: &Arc<Team>,
        chains: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let judged = self.revoke_memberships(team.id, chains).await?;
        let hall = Arc::clone(self);
        let judged = self
            .with_store(move |store| {
                judged.iter().try_for_each(|one| hall.put_revoked(store, one).map(drop))?;
                Ok::<_, StoreError>(judged)
            })
            .await??;
        if !judged.is_empty() {
            self.context.authority.changed();
        }
        for one in &judged {
            let (team, member) = (team.id.short(), one.audience.short());
            tracing::info!(%team, %member, "a membership of before the removal was taken back as well");
            self.teams.revoked(self.id, revoked::noted(one));
        }
        Ok(())
    }
}
