//! What nodes do for each other's authority when they meet: revocations exchanged, grants issued again, tokens
//! handed over.
//!
//! Nothing here is trusted for having been said: a revocation carries its own proof and is judged by whoever takes
//! it, a token is judged where it is kept and again where it is shown.

use std::collections::BTreeMap;

use clankers_auth::{revoke, words};
use clankers_protocol::{
    CidDigest, NodeId, Timestamp, limits,
    message::Ext,
    request::{
        revocation::{
            RevocationOffer, RevocationSync, RevocationSynced, RevocationTaken, TokenOffer, TokenOffered,
            TokenRenew, TokenRenewed,
        },
        tokens::{TokenImport, TokenImported},
    },
};
use sha2::{Digest, Sha256};

use crate::{
    client::Client,
    error::ClientError,
    limits::{EXCHANGE_ROUNDS, OFFER_BYTES},
};

/// Signed revocations, by what they revoke.
pub type Revocations = BTreeMap<CidDigest, Vec<u8>>;

/// What an exchange of revocations came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Exchanged {
    /// New to the peer (count).
    pub given: u64,
    /// New to this machine's node (count).
    pub taken: u64,
}

/// A held grant that is to be issued again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The chain, in raw form.
    pub chain: Vec<u8>,
    /// It has ended already: nothing can be asked under it.
    pub late: bool,
}

/// A grant that was issued again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The new token's text.
    pub token: String,
    /// The same in raw form.
    pub chain: Vec<u8>,
}

/// SHA-256 over digests in order of bytes: whether two nodes know the same revocations.
#[must_use]
pub fn fingerprint<'a>(targets: impl IntoIterator<Item = &'a CidDigest>) -> [u8; 32] {
    let mut sorted: Vec<&CidDigest> = targets.into_iter().collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    sorted.iter().for_each(|cid| hash.update(cid.0));
    hash.finalize().into()
}

/// Whether a held chain is to be issued again: its issuer marked it so, granted it to this node itself, and more than
/// half of its life is over.
#[must_use]
pub fn renewal(chain: &[u8], now: Timestamp) -> Option<Renewal> {
    let said = words::describe(chain).ok()?;
    let half = Timestamp(said.not_before.0.midpoint(said.expires.0));
    let direct = said.issuer == said.subject;
    (said.renew && direct && now > half).then(|| Renewal { chain: said.container, late: now > said.expires })
}

impl Client {
    /// Hands a token to the node that it is for.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn offer_token(&self, token: String) -> Result<TokenOffered, ClientError> {
        self.ask(&TokenOffer { token, ext: Ext::default() }).await
    }

    /// Asks for a grant to be issued again. The answer is for `audience` on `subject`, or it is an error.
    ///
    /// # Errors
    /// As [`Client::ask`], and [`ClientError::Authority`] when what came is something else.
    pub async fn renew(
        &self,
        chain: Vec<u8>,
        subject: NodeId,
        audience: NodeId,
    ) -> Result<Renewed, ClientError> {
        let answer: TokenRenewed = self.ask(&TokenRenew { chain, ext: Ext::default() }).await?;
        let said = words::describe(answer.token.as_bytes())
            .map_err(|denial| ClientError::Authority(format!("the renewed token is none: {denial}")))?;
        if said.subject != subject || said.issuer != subject || said.audience != audience {
            return Err(ClientError::Authority("the renewed token is about somebody else".into()));
        }
        Ok(Renewed { token: answer.token, chain: said.container })
    }

    /// Lets this machine's own node keep a token.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn import(&self, token: String) -> Result<TokenImported, ClientError> {
        self.ask(&TokenImport { leaf: None, token, ext: Ext::default() }).await
    }

    /// Hands revocations over, in as many messages as they need: each fits into a stranger's frame.
    ///
    /// # Errors
    /// As [`Client::ask`]; what was taken until then stays taken.
    pub async fn offer_revocations(&self, revocations: Vec<Vec<u8>>) -> Result<RevocationTaken, ClientError> {
        let mut sum = RevocationTaken { stored: 0, known: 0, refused: Vec::new(), ext: Ext::default() };
        for revocations in batches(revocations) {
            let offer = RevocationOffer { revocations, ext: Ext::default() };
            let taken: RevocationTaken = self.ask(&offer).await?;
            sum.stored = sum.stored.saturating_add(taken.stored);
            sum.known = sum.known.saturating_add(taken.known);
            sum.refused.extend(taken.refused);
        }
        Ok(sum)
    }

    /// The revocations about `subject` that this machine's own node knows. Where it knows none this is one question.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn known_revocations(
        &self,
        subject: NodeId,
        now: Timestamp,
    ) -> Result<Revocations, ClientError> {
        let mut known = Revocations::new();
        for _ in 0..EXCHANGE_ROUNDS {
            let synced: RevocationSynced = self.ask(&question(subject, &known)).await?;
            let before = known.len();
            known.extend(synced.missing.into_iter().filter_map(|bytes| {
                let judged = revoke::judge(&bytes, now).ok().filter(|judged| judged.subject == subject)?;
                Some((judged.cid, bytes))
            }));
            if synced.same || known.len() == before {
                break;
            }
        }
        Ok(known)
    }

    /// Compares what this machine's own node knows with what the peer `subject` knows about itself: each is given
    /// what it lacks.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn exchange_revocations(
        &self,
        own: &Client,
        subject: NodeId,
        known: Revocations,
    ) -> Result<Exchanged, ClientError> {
        let asked = self.ask(&question(subject, &known)).await;
        let (offer, missing) = match asked {
            Ok(RevocationSynced { same: true, .. }) => return Ok(Exchanged::default()),
            Ok(RevocationSynced { want, missing, .. }) => {
                let offer = want.iter().filter_map(|cid| known.get(cid).cloned()).collect();
                (offer, missing)
            }
            // It compares only with whom it trusts; a revocation it takes from anybody.
            Err(ClientError::Refused(_)) => (known.into_values().collect(), Vec::new()),
            Err(error) => return Err(error),
        };
        let given = self.offer_revocations(offer).await?.stored;
        let taken = own.offer_revocations(missing).await?.stored;
        Ok(Exchanged { given, taken })
    }
}

fn question(subject: NodeId, known: &Revocations) -> RevocationSync {
    RevocationSync {
        subject,
        count: known.len() as u64,
        hash: fingerprint(known.keys()),
        have: known.keys().copied().collect(),
        ext: Ext::default(),
    }
}

/// Groups of revocations that fit into one message each. Pure.
fn batches(revocations: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut bytes = 0;
    for revocation in revocations {
        bytes += revocation.len();
        match all.last_mut() {
            Some(batch) if bytes <= OFFER_BYTES && batch.len() < limits::REVOCATIONS => {
                batch.push(revocation)
            }
            _ => {
                bytes = revocation.len();
                all.push(vec![revocation]);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
