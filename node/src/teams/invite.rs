//! Memberships written: by the team's key where it lies here, else by this node as an admin.

use std::sync::Arc;

use clankers_auth::team::{self, Issued, TeamError};
use clankers_protocol::{NodeId, TeamId};
use clankers_store::{IdentityError, KeptTeam, Secret32, StoreError, TeamKeys};

use super::removal;
use crate::{clock, hall::Hall};

/// Why no membership was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InviteFault {
    #[error(transparent)]
    Team(#[from] TeamError),
    #[error(transparent)]
    Key(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

impl Hall {
    /// The team's key, if it lies here. Blocks on the disk.
    pub(crate) fn team_key(&self, id: TeamId) -> Result<Option<Secret32>, IdentityError> {
        TeamKeys::of(&self.context.home).get(id)
    }

    /// A membership for somebody. Blocks on the disk.
    pub(crate) fn issue_membership(
        self: &Arc<Self>,
        kept: &KeptTeam,
        member: NodeId,
        kind: team::Kind,
        lifetime_secs: u64,
    ) -> Result<Issued, InviteFault> {
        // Who was removed and is let in again: so that nobody takes it for a membership of before.
        let now = removal::known(&*self.store()?, kept.id)?.written(member, clock::now());
        let nonce = random()?;
        Ok(match self.team_key(kept.id)? {
            Some(key) => team::found(key.expose(), member, kind, now, lifetime_secs, nonce)?,
            None => team::invite(&self.seed, &kept.chain, member, kind, now, lifetime_secs, nonce)?,
        })
    }
}
