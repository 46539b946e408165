//! Members who were removed, and what they may come back with: a membership of before that the remover had never seen.
//! Everybody who knows of the removal refuses it; who removed takes it back as well, so that everybody comes to know.

use std::{collections::BTreeSet, sync::Arc};

use clankers_auth::{
    revoke::{self, Judged},
    team::{self, Member, NotMember, Removal, Removals},
    words,
};
use clankers_protocol::{CidDigest, NodeId, TeamId, Timestamp, limits::REVOCATIONS};
use clankers_store::{KeptRemoval, Put, RevocationRow, Store, StoreError};

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

/// Finds the removals that kept revocations are, and nobody noted: this node knew them before it belonged to the team, or
/// they came as it left. Nobody tells it again what it knows.
pub(crate) fn note_kept(store: &Store, team: TeamId) -> Result<(), StoreError> {
    let now = clock::now();
    let noted: BTreeSet<CidDigest> = store.teams().removals(team)?.iter().map(|it| it.cid).collect();
    for cid in store.revocations().cids(team.node(), now)? {
        if noted.contains(&cid) {
            continue;
        }
        let Some(row) = store.revocations().get(&cid)? else { continue };
        match revoke::read(&row.container) {
            Ok(judged) => drop(note(store, team, Removal::of(&judged, now), now)?),
            Err(error) => tracing::warn!(%error, "a revocation that is kept is of no use"),
        }
    }
    Ok(())
}

/// Keeps a removal; whether it was news.
fn note(store: &Store, team: TeamId, removal: Removal, now: Timestamp) -> Result<bool, StoreError> {
    let Removal { member, by, at, cid } = removal;
    store.teams().put_removal(team, &KeptRemoval { member, by, at, cid }, now)
}

impl Hall {
    /// Stores a revocation that was judged good. One that takes a membership of a team of this node back is a removal, which
    /// is kept first: a crash between the two loses nothing but what others tell again.
    pub(crate) fn put_revoked(&self, store: &Store, judged: &Judged) -> Result<Put, StoreError> {
        let (team, now) = (TeamId(judged.subject.0), clock::now());
        if store.teams().get(team)?.is_some() {
            let removal = Removal::of(judged, now);
            let news = note(store, team, removal, now)?;
            if let Some(team) = self.teams.get(team) {
                team.roll.note(removal);
            }
            // For as long as the removal counts: who joins later has to be told of it too.
            let row = RevocationRow { expires: judged.told_until(), ..revoked::row(judged) };
            let put = store.revocations().put(&row, now);
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

    /// Revokes the last links of these memberships, each as of a time, as far as this node may: with the team's key where it
    /// lies here. None is stored yet.
    pub(crate) async fn revoke_memberships(
        self: &Arc<Self>,
        id: TeamId,
        chains: Vec<(Vec<u8>, Timestamp)>,
    ) -> Result<Vec<Judged>, StoreError> {
        let hall = Arc::clone(self);
        self.with_store(move |store| {
            let key = hall.team_key(id).ok().flatten();
            let seed = key.as_ref().map_or(&*hall.seed, |key| key.expose());
            let by = clankers_auth::mint::id_of(seed);
            let mut judged = Vec::new();
            for (chain, at) in chains.into_iter().filter(|(chain, _)| team::may_remove(chain, by)) {
                let Ok(said) = words::read(&chain) else { continue };
                let known = store.revocations().is_revoked(&said.cid)?;
                let Ok(nonce) = random() else { continue };
                match revoke::make(seed, &chain, &said.cid, at, nonce) {
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

    /// Takes back what came up of members whom this node had removed before: as of then, so that nobody who was let in again
    /// meanwhile is removed once more.
    pub(super) async fn take_back(
        self: &Arc<Self>,
        team: &Arc<Team>,
        chains: Vec<(Vec<u8>, Timestamp)>,
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
