//! Taking a link back: by whoever issued it, or issued a link above it; never by whom it is for.
//!
//! A revocation travels with its witness, the links from the root to the revoked one, in one container. So whoever
//! keeps revocations can tell those of strangers from good ones without knowing anything else.

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{
    AnyToken, Chain, Cid, Container, ContainerLimits, Delegation, Invocation, Profile, Revocation,
    RevocationError, SigningKey, Unverified, Verified,
};

use crate::{
    denial::Denial,
    gate::{profile, seconds, sizes},
    limits::{LIFETIME_MAX_SECS, REVOCATION_KEPT_SECS},
    mint::Nonce,
    standing::Standing,
    step::{Step, left_out, step},
    team::INVITE,
    words::whole_chain,
};

/// A revocation that was judged good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The link that is revoked.
    pub cid: CidDigest,
    /// The revocation's own CID.
    pub revocation: CidDigest,
    /// About whose node the link is.
    pub subject: NodeId,
    /// Who revoked it.
    pub revoker: NodeId,
    /// To whom the subject granted what the link comes from: the audience of the witness's first link. Fresh keys are
    /// free to make, grants are not: so this is who answers for the room that the revocation takes.
    pub grantee: NodeId,
    /// From whom the link was taken.
    pub audience: NodeId,
    /// When, by the revoker's own clock; 0 when it does not say.
    pub at: Timestamp,
    /// When the first link of the witness ends, and with it the revoked one: an hour later the revocation may be
    /// forgotten.
    pub expires: Timestamp,
    /// The revocation and its witness: a container in raw form.
    pub bytes: Vec<u8>,
}

impl Judged {
    /// Until when it is told on where it is about a membership: for as long as anything that was written before may last.
    /// What it revokes may end sooner.
    #[must_use]
    pub fn told_until(&self) -> Timestamp {
        let made = self.at.min(self.expires);
        made.plus_ms(LIFETIME_MAX_SECS * 1_000).max(self.expires)
    }
}

/// Why a link cannot be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The chain is of no use.
    #[error("the token that has the link is of no use: {0}")]
    Chain(#[from] Denial),
    /// Not a link of it, or not this node's to take back.
    #[error("{0}")]
    Revocation(#[from] RevocationError),
    /// Too large to be sent.
    #[error("the revocation would be refused: {0}")]
    Container(#[from] ucan::ContainerError),
}

/// Revokes the link `cid` of a chain, as the node with this `seed`. The chain may have expired, however long ago.
///
/// # Errors
/// [`RevokeError`] when the chain does not have the link, or this node has issued neither it nor one above it.
pub fn make(
    seed: &[u8; 32],
    chain: &[u8],
    cid: &CidDigest,
    now: Timestamp,
    nonce: Nonce,
) -> Result<Judged, RevokeError> {
    let key = SigningKey::from_bytes(seed);
    let target = Cid::from_digest(cid.0);
    let chain = whole_chain(chain)?;
    let revocation = Revocation::sign(&key, &target, &chain, &nonce, seconds(now), Profile::Strict)?;
    let witness = chain.up_to(&target).ok_or(RevocationError::TargetNotInWitness { target })?;
    let tokens = witness.links().map(|link| link.bytes()).chain([revocation.token().bytes()]);
    let container = Container::new(tokens, &ContainerLimits::WITH_INVOCATION)?;
    Ok(whole(&container.to_bytes()?)?.0)
}

/// Judges a revocation that came from anywhere: its form, both kinds of signatures, and that its issuer may. One whose
/// witness has a link that ended an hour ago is refused as expired: nothing is left to revoke.
///
/// # Errors
/// [`Denial`] for the first thing that is wrong.
pub fn judge(bytes: &[u8], now: Timestamp) -> Result<Judged, Denial> {
    let (judged, witness) = whole(bytes)?;
    in_time(&witness, now)?;
    Ok(judged)
}

/// What a revocation says, whether or not anything is left to revoke: its form, both kinds of signatures, and that its issuer
/// may.
///
/// # Errors
/// [`Denial`] for the first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<Judged, Denial> {
    Ok(whole(bytes)?.0)
}

/// The same at the node that it is about, which knows more: a witness that was taken back itself, or began before the
/// epoch, revokes nothing that is not refused already, and would only take room. What the node itself revoked is never
/// refused for that.
///
/// # Errors
/// [`Denial`] for the first thing that is wrong.
pub fn judge_with(standing: &Standing<'_>, bytes: &[u8]) -> Result<Judged, Denial> {
    let (judged, witness) = whole(bytes)?;
    in_time(&witness, standing.now)?;
    stands(standing, &judged, &witness)?;
    Ok(judged)
}

/// The same at a node of the team that it is about: only the team's key and admins take memberships back. A member may
/// sign links below its own and revoke those, without end; nobody is a member by them, and each node would keep them all.
/// It proves a removal, so it is good for as long as a membership of before may last ([`Judged::told_until`]).
///
/// # Errors
/// [`Denial`] for the first thing that is wrong.
pub fn judge_team(standing: &Standing<'_>, bytes: &[u8]) -> Result<Judged, Denial> {
    let (judged, witness) = whole(bytes)?;
    if standing.now > judged.told_until() {
        in_time(&witness, standing.now)?;
    }
    // The epoch withdraws what this node has issued, not what teams have.
    stands(&Standing { epoch: Timestamp(0), ..*standing }, &judged, &witness)?;
    if judged.revoker != judged.subject {
        let bring = ucan::Command::parse(INVITE).map_err(|_| Denial::NoProof)?;
        let above = witness.link_count().saturating_sub(1);
        if let Some(link) = witness.links().take(above).find(|link| !link.payload().command().covers(&bring))
        {
            return Err(Denial::NotAdmin(link.payload().audience().to_string()));
        }
    }
    Ok(judged)
}

fn stands(standing: &Standing<'_>, judged: &Judged, witness: &Witness) -> Result<(), Denial> {
    if judged.revoker == judged.subject {
        return Ok(());
    }
    step(Step::Epoch, || witness.check_epoch(seconds(standing.epoch)))?;
    let mut above = Vec::with_capacity(witness.link_count());
    for link in witness.links() {
        above.push(NodeId((*link.payload().issuer()).into()));
        let cid = CidDigest(*link.cid().digest());
        // Brought a second time: the store says so.
        if cid == judged.cid && standing.revocations.is_revoked(&cid, &[])? {
            break;
        }
        if standing.revocations.is_revoked(&cid, &above)? {
            return Err(Denial::Revoked(cid));
        }
    }
    Ok(())
}

/// The links from the root to the revoked one.
type Witness = Chain<Verified<Delegation>>;

fn whole(bytes: &[u8]) -> Result<(Judged, Witness), Denial> {
    let container = Container::decode(bytes, &sizes(ContainerLimits::WITH_INVOCATION), profile())?;
    let (token, links) = one_invocation(&container)?.ok_or(RevocationError::Command)?;
    let token = token.verify_unless(|_| left_out(Step::RevocationSignature))?;
    let revocation = Revocation::from_invocation(token)?;
    let witness = Chain::order(links)?.verify_signatures(|_| left_out(Step::Signatures))?;
    step(Step::Revoker, || revocation.check_witness(&witness, Profile::Strict))?;
    step(Step::Lifetime, || witness.check_lifetime(LIFETIME_MAX_SECS))?;
    // A link is worth nothing without those above it, whatever it says of its own end.
    let ends = witness.expires().unwrap_or(ucan::Timestamp::MAX);
    let node = |did: &ucan::Did| NodeId((*did).into());
    let judged = Judged {
        cid: CidDigest(*revocation.target().digest()),
        revocation: CidDigest(*revocation.token().cid().digest()),
        subject: node(revocation.subject()),
        revoker: node(revocation.revoker()),
        grantee: node(witness.root().payload().audience()),
        audience: node(witness.leaf().payload().audience()),
        at: revocation.token().issued_at().map_or(Timestamp(0), |at| Timestamp::from_secs(at.as_secs())),
        expires: Timestamp::from_secs(ends.as_secs()),
        bytes: container.to_bytes()?,
    };
    Ok((judged, witness))
}

fn in_time(witness: &Witness, now: Timestamp) -> Result<(), Denial> {
    for (link, token) in witness.links().enumerate() {
        let expired = token.payload().expires().unwrap_or(ucan::Timestamp::MAX);
        if seconds(now) > expired.saturating_add(REVOCATION_KEPT_SECS) {
            return Err(ucan::ChainError::Expired { link, expired }.into());
        }
    }
    Ok(())
}

/// An invocation and the delegations beside it.
pub(crate) type WithProofs = (Unverified<Invocation>, Vec<Unverified<Delegation>>);

/// A container's one invocation, and its delegations; `None` when there is no invocation, or more than one.
pub(crate) fn one_invocation(container: &Container) -> Result<Option<WithProofs>, Denial> {
    let mut found = None;
    let mut links = Vec::new();
    for token in container.any_tokens(profile())? {
        match token {
            AnyToken::Delegation(link) => links.push(link),
            AnyToken::Invocation(token) if found.is_none() => found = Some(token),
            AnyToken::Invocation(_) => return Ok(None),
        }
    }
    Ok(found.map(|token| (token, links)))
}
