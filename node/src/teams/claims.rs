//! Tokens by another node's template: asked for when this node wants something there and has nothing to show, and looked
//! after while they are used.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clankers_auth::words;
use clankers_client::ClientError;
use clankers_protocol::{
    NodeId, TeamId,
    message::Ext,
    refusal::RefusalCode,
    request::{
        team::{TeamClaim, TeamClaimed},
        tokens::TokenRecord,
    },
};
use clankers_store::{KeptToken, StoreError};

use super::work::{self, MeetFault};
use crate::{
    clock,
    hall::Hall,
    limits::{CLAIM_PAUSE, CLAIM_RETRY, CLAIMS_TRIED},
};

/// Until when peers are not asked again.
#[derive(Debug, Default)]
pub(crate) struct Tried(Mutex<BTreeMap<NodeId, Instant>>);

impl Tried {
    fn lately(&self, peer: NodeId) -> bool {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tried.retain(|_, until| *until > now);
        tried.contains_key(&peer)
    }

    /// A team was joined, or is over: whatever was found out before may be otherwise now.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// It has something else to give: it is asked the next time.
    pub(crate) fn forget(&self, peer: NodeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }

    fn note(&self, peer: NodeId, pause: Duration) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.len() >= CLAIMS_TRIED {
            tried.pop_first();
        }
        tried.insert(peer, Instant::now() + pause);
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum ClaimFault {
    #[error(transparent)]
    Meet(#[from] MeetFault),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("what came is no token of that peer for this node: {0}")]
    Token(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hall {
    /// Asks a fellow member for what it gives to members, and keeps it, unless the owner chose tokens for that peer. Whether
    /// there may be something new; never longer than `limit`.
    pub(crate) async fn claim(self: &Arc<Self>, peer: NodeId, chains: &[Vec<u8>], limit: Duration) -> bool {
        let teams = self.teams.shared_with(peer);
        if teams.is_empty() || self.teams.claims.lately(peer) {
            return false;
        }
        let now = clock::now();
        let valid = |chain: &[u8]| words::read(chain).ok().filter(|said| said.expires > now);
        let held: Vec<String> =
            chains.iter().filter_map(|chain| valid(chain)).map(|said| said.cid_text).collect();
        if !self.are_claimed(peer, &teams, held).await {
            return false;
        }
        self.teams.claims.note(peer, CLAIM_RETRY);
        for team in teams {
            let claimed = tokio::time::timeout(limit, self.claim_in(&team, peer, limit)).await;
            match claimed {
                Ok(Ok(())) => {
                    self.teams.claims.note(peer, CLAIM_PAUSE);
                    return true;
                }
                // It gives nothing (any more): what it gave is worth nothing either.
                Ok(Err(ClaimFault::Client(ClientError::Refused(refusal))))
                    if refusal.code() == RefusalCode::NotFound =>
                {
                    if let Err(error) = self.forget_claimed(team.id, peer).await {
                        tracing::warn!(%error, "a token that is given no more was not forgotten");
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(peer = %peer.short(), team = %team.id.short(), %error, "no token by the template");
                }
                Err(_) => {
                    // The next command does not wait for it as well.
                    self.teams.claims.note(peer, CLAIM_PAUSE);
                    tracing::debug!(peer = %peer.short(), "no answer to a claim in time");
                    break;
                }
            }
        }
        true
    }

    /// Whether all of these tokens came by a template: then that is what is asked about.
    async fn are_claimed(
        self: &Arc<Self>,
        peer: NodeId,
        teams: &[Arc<super::Team>],
        held: Vec<String>,
    ) -> bool {
        let teams: Vec<TeamId> = teams.iter().map(|team| team.id).collect();
        let looked = self
            .with_store(move |store| {
                let mut claimed = Vec::new();
                for team in teams {
                    claimed.extend(store.teams().claims(team, Some(peer), clock::now())?);
                }
                let all = held.iter().all(|cid| claimed.iter().any(|(_, known, _)| known == cid));
                Ok::<_, StoreError>(all)
            })
            .await;
        matches!(looked, Ok(Ok(true)))
    }

    async fn claim_in(
        self: &Arc<Self>,
        team: &Arc<super::Team>,
        peer: NodeId,
        limit: Duration,
    ) -> Result<(), ClaimFault> {
        let link = work::meet(self, team, peer, limit).await?;
        let claimed: TeamClaimed = link.ask(&TeamClaim { team: team.id, ext: Ext::default() }).await?;
        let wrong = |words: &str| ClaimFault::Token(words.to_owned());
        let said = words::describe(claimed.token.trim().as_bytes())
            .map_err(|denial| ClaimFault::Token(denial.to_string()))?;
        if said.subject != peer || said.issuer != peer {
            return Err(wrong("it is about another node"));
        }
        if said.audience != self.id {
            return Err(wrong("it is for somebody else"));
        }
        let record = TokenRecord {
            cid: said.cid_text.clone(),
            subject: said.subject,
            issuer: said.issuer,
            audience: said.audience,
            not_before: said.not_before,
            expires: said.expires,
            grants: said.grants.iter().chain(&said.limits).cloned().collect(),
            issued: false,
        };
        let id = team.id;
        self.with_store(move |store| {
            let now = clock::now();
            // One at a time: what came before is worth less.
            for (_, cid, _) in store.teams().claims(id, Some(peer), now)? {
                let held = |kept: &KeptToken| !kept.record.issued && kept.record.cid != record.cid;
                if store.tokens().get(&cid, now)?.is_some_and(|kept| held(&kept)) {
                    store.tokens().forget(&cid, now)?;
                    store.teams().drop_claim(id, peer, &cid)?;
                }
            }
            store.tokens().put_held(&record, &said.container, now)?;
            store.teams().put_claim(id, peer, &record.cid, record.expires, now)
        })
        .await??;
        Ok(())
    }
}
