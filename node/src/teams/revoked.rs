//! Revocations about a team: taken from whoever has them, each judged by its own proof.

use std::sync::Arc;

use clankers_auth::{
    Denial,
    revoke::{self, Judged},
};
use clankers_client::ClientError;
use clankers_protocol::{
    CidDigest, TeamId,
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

/// Number of an `ext` value of `RevocationSync`: the link that the asker looks for, which comes before all others.
pub(crate) const EXT_FIRST: u16 = 1;

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

impl Hall {
    /// Takes a revocation about this team, whoever brought it. Gives what it revokes when it is good.
    pub(super) async fn take_revoked(
        self: &Arc<Self>,
        team: TeamId,
        bytes: &[u8],
    ) -> Result<Option<(Noted, Put)>, StoreError> {
        let judged = self.context.authority.standing(|standing| revoke::judge_team(standing, bytes));
        let judged = match judged {
            Ok(judged) if judged.subject == team.node() => judged,
            Ok(_) => return Ok(None),
            // A membership above it ended before: nothing is left to revoke.
            Err(Denial::Revoked(_)) => return Ok(None),
            Err(denial) => {
                tracing::debug!(team = %team.short(), %denial, "a revocation was refused");
                return Ok(None);
            }
        };
        let (row, noted) = (row(&judged), noted(&judged));
        let put = self.with_store(move |store| store.revocations().put(&row, clock::now())).await??;
        if put != Put::Known {
            self.context.authority.changed();
        }
        Ok(Some((noted, put)))
    }

    /// Compares what both know of a team's revocations; each is given what it lacks, the link that is looked for before
    /// all others. Gives what was new here.
    pub(super) async fn exchange_revoked(
        self: &Arc<Self>,
        team: TeamId,
        link: &Link,
        first: Option<CidDigest>,
    ) -> Result<Vec<Noted>, ExchangeFault> {
        let mut fresh = Vec::new();
        let ext = Ext(first.map(|cid| (EXT_FIRST, cid.0.to_vec())).into_iter().collect());
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
            let question = RevocationSync { subject, count, hash, have, ext: ext.clone() };
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
                if let Some((noted, put)) = self.take_revoked(team, bytes).await? {
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
