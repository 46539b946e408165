//! Revocations about a team, and about this node: taken from whoever has them, each judged by its own proof.

use std::sync::Arc;

use clankers_auth::{
    Denial,
    revoke::{self, Judged},
};
use clankers_client::ClientError;
use clankers_protocol::{
    CidDigest, NodeId, TeamId,
    limits::{REVOCATION_DIGESTS, REVOCATIONS},
    message::Ext,
    presence::Noted,
    request::revocation::{RevocationSync, RevocationSynced},
};
use clankers_store::{Put, RevocationRow, StoreError};

use super::invite::random;
use crate::{clock, hall::Hall, limits::TEAM_EXCHANGES, links::Link};

/// Why an exchange broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeFault {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The row that a revocation is kept as.
pub(crate) fn row(judged: &Judged) -> RevocationRow {
    RevocationRow {
        cid: judged.cid,
        subject: judged.subject,
        revoker: judged.revoker,
        grantee: judged.grantee,
        expires: judged.expires,
        container: judged.bytes.clone(),
    }
}

/// Number of an `ext` value of `RevocationSync`: the only link whose revocation the asker looks for.
pub(crate) const EXT_ONLY: u16 = 1;

/// The same in another order, which begins at a place that nobody can tell: what does not fit this time, and what the
/// other does not take, does not stand in the way for ever.
pub(crate) fn from_anywhere(mut cids: Vec<CidDigest>) -> Vec<CidDigest> {
    if !cids.is_empty() {
        let place = usize::try_from(random().map_or(0, u32::from_le_bytes)).unwrap_or_default() % cids.len();
        cids.rotate_left(place);
    }
    cids
}

/// What others are told of it.
pub(crate) fn noted(judged: &Judged) -> Noted {
    Noted { cid: judged.cid, subject: judged.subject, expires: judged.expires }
}

/// A question about revocations.
fn question(subject: NodeId, only: Option<CidDigest>) -> RevocationSync {
    let ext = Ext(only.map(|cid| (EXT_ONLY, cid.0.to_vec())).into_iter().collect());
    RevocationSync { subject, count: 0, hash: [0; 32], have: Vec::new(), ext }
}

impl Hall {
    /// Takes a revocation about a team, or about this node, whoever brought it. Gives what it revokes when it is good.
    pub(super) async fn take_revoked(
        self: &Arc<Self>,
        subject: NodeId,
        bytes: &[u8],
    ) -> Result<Option<(Noted, Put)>, StoreError> {
        let judged = self.context.authority.standing(|standing| match subject == self.id {
            true => revoke::judge_with(standing, bytes),
            false => revoke::judge_team(standing, bytes),
        });
        let judged = match judged {
            Ok(judged) if judged.subject == subject => judged,
            Ok(_) => return Ok(None),
            // A link above it ended before: nothing is left to revoke.
            Err(Denial::Revoked(_)) => return Ok(None),
            Err(denial) => {
                tracing::debug!(subject = %subject.short(), %denial, "a revocation was refused");
                return Ok(None);
            }
        };
        let (noted, hall) = (noted(&judged), Arc::clone(self));
        let put = self.with_store(move |store| hall.put_revoked(store, &judged)).await??;
        if put != Put::Known {
            self.context.authority.changed();
        }
        Ok(Some((noted, put)))
    }

    /// Fetches the revocation of one link, and nothing else. Whether it came, and is good.
    pub(super) async fn fetch_revoked(
        self: &Arc<Self>,
        subject: NodeId,
        link: &Link,
        cid: CidDigest,
    ) -> Result<bool, ExchangeFault> {
        let synced: RevocationSynced = link.ask(&question(subject, Some(cid))).await?;
        let Some(bytes) = synced.missing.first() else { return Ok(false) };
        let taken = self.take_revoked(subject, bytes).await?;
        Ok(taken.is_some_and(|(noted, _)| noted.cid == cid))
    }

    /// Asks a member what it knows to be revoked of this node's: somebody may have passed its tokens on, and taken them back
    /// while this node was away. What this node knows itself is nobody's business.
    pub(super) async fn ask_about_me(self: &Arc<Self>, link: &Link) -> Result<(), ExchangeFault> {
        let synced: RevocationSynced = link.ask(&question(self.id, None)).await?;
        for bytes in synced.missing.iter().take(REVOCATIONS) {
            self.take_revoked(self.id, bytes).await?;
        }
        Ok(())
    }

    /// Compares what both know of a team's revocations; each is given what it lacks. Gives what was new here.
    pub(super) async fn exchange_revoked(
        self: &Arc<Self>,
        team: TeamId,
        link: &Link,
    ) -> Result<Vec<Noted>, ExchangeFault> {
        let mut fresh = Vec::new();
        let subject = team.node();
        for _ in 0..TEAM_EXCHANGES {
            let (count, hash, mut have) = self
                .with_store(move |store| {
                    let revocations = store.revocations();
                    let now = clock::now();
                    let (count, hash) = revocations.count_and_hash(subject, now)?;
                    Ok::<_, StoreError>((count, hash, revocations.cids(subject, now)?))
                })
                .await??;
            have.truncate(REVOCATION_DIGESTS);
            let question = RevocationSync { count, hash, have, ..question(subject, None) };
            let synced: RevocationSynced = link.ask(&question).await?;
            if synced.same {
                break;
            }
            let lacks = self.bodies(from_anywhere(synced.want)).await?;
            let mut gave = 0;
            if !lacks.is_empty() {
                let taken = link.offer_revocations(lacks).await?;
                tracing::debug!(team = %team.short(), ?taken, "revocations were handed on");
                gave = taken.stored;
            }
            let mut took = 0;
            for bytes in synced.missing.iter().take(REVOCATIONS) {
                if let Some((noted, put)) = self.take_revoked(subject, bytes).await? {
                    took += usize::from(put == Put::New);
                    fresh.extend((put == Put::New).then_some(noted));
                }
            }
            if gave == 0 && took == 0 {
                break;
            }
        }
        Ok(fresh)
    }

    async fn bodies(self: &Arc<Self>, cids: Vec<CidDigest>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with_store(move |store| {
            let row = |cid: CidDigest| store.revocations().get(&cid).transpose();
            let rows = cids.into_iter().take(REVOCATIONS).filter_map(row);
            rows.map(|row| row.map(|row| row.container)).collect()
        })
        .await?
    }
}
