//! Writing authority: grants to peers, and the link from a node to one run of a command line.

mod onward;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{
    Container, ContainerLimits, Delegation, DelegationBuilder, Did, Ipld, Profile, SigningKey, Verified,
};

pub use onward::{Delegated, delegate};

use crate::{
    denial::Denial,
    gate::{says, seconds},
    limits::{LIFETIME_MAX_SECS, NONCE_BYTES, RUN_LINK_SECS},
    preset::{GrantSpec, SpecError},
    standing::Standing,
    words::whole_chain,
};

/// The signed fact that marks a run link.
pub const RUN_LINK_META: &str = "run";

/// The signed fact that marks a grant as to be issued again when its audience connects.
pub const RENEW_META: &str = "renew";

/// Why authority could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// It would live too long, or not at all.
    #[error("a token lasts at most 400 days, and at least a second")]
    Lifetime,
    /// A grant to oneself says nothing.
    #[error("a token for this node itself would say nothing: it may do everything already")]
    ForMyself,
    /// It names nothing that is allowed.
    #[error("the token would allow nothing: say what for")]
    Nothing,
    /// A path means nothing without the directory that it is in.
    #[error("a path needs its workspace: this node offers none, so start it in a project's directory")]
    NoWorkspace,
    /// What is to be passed on was made for somebody else.
    #[error("this token is for {0}, so only that node can pass it on")]
    NotMine(Did),
    /// What is to be passed on is about the audience itself, or would go round in a circle.
    #[error("the token would lead back to {0}, who has it, or more, already")]
    Circle(Did),
    /// What is to be passed on may not be, or not any further.
    #[error("the token may not be passed on{}: {}", if *.below == 0 { "" } else { " any further" }, .why)]
    Depth {
        /// How far it was passed on already (links).
        below: usize,
        /// Which rule.
        why: &'static str,
    },
    /// What is to be passed on has ended, or was never any good.
    #[error("the token that is to be passed on is of no use: {0}")]
    Parent(#[from] Denial),
    /// It is not a grant of this node, from this node, that is to be issued again.
    #[error("this is not a token of this node that is to be issued again: {0}")]
    NotRenewable(&'static str),
    /// The grant cannot be written as a token.
    #[error("{0}")]
    Spec(#[from] SpecError),
    /// The command is malformed.
    #[error("{0}")]
    Command(#[from] ucan::CommandError),
    /// The delegation would be refused by its reader.
    #[error("the token would be refused: {0}")]
    Build(#[from] ucan::BuildError),
    /// The chain would be refused by its reader.
    #[error("the chain would be refused: {0}")]
    Container(#[from] ucan::ContainerError),
}

/// A nonce: fresh random bytes.
pub type Nonce = [u8; NONCE_BYTES];

/// A grant from the node with this `seed` to `audience`, as a container.
///
/// # Errors
/// [`MintError`] when the grant makes no sense.
pub fn grant(
    seed: &[u8; 32],
    audience: NodeId,
    spec: &GrantSpec,
    now: Timestamp,
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Container, MintError> {
    let key = SigningKey::from_bytes(seed);
    let (subject, audience) = (Did::from(&key), Did::from(audience.0));
    if subject == audience {
        return Err(MintError::ForMyself);
    }
    if spec.names_nothing() {
        return Err(MintError::Nothing);
    }
    if !spec.paths.is_empty() && spec.workspace.is_none() && spec.is_about_a_workspace() {
        return Err(MintError::NoWorkspace);
    }
    let (command, policy) = spec.compile()?;
    let draft = Delegation::build(subject, audience, ucan::Command::parse(command)?, &nonce).policy(policy);
    let draft = if spec.renew { draft.meta(RENEW_META, Ipld::Bool(true)) } else { draft };
    let delegation = lasting(draft, now, lifetime_secs)?.sign(&key, Profile::Strict)?;
    Ok(Container::new([delegation.bytes()], &ContainerLimits::CHAIN)?)
}

/// From now on, for so long.
fn lasting(
    draft: DelegationBuilder,
    now: Timestamp,
    lifetime_secs: u64,
) -> Result<DelegationBuilder, MintError> {
    if lifetime_secs == 0 || lifetime_secs > LIFETIME_MAX_SECS {
        return Err(MintError::Lifetime);
    }
    let from = seconds(now);
    Ok(draft.not_before(from).expires(from.saturating_add(lifetime_secs)))
}

/// A direct grant of the node with this `seed`, made to be issued again, from now on: the same audience, command,
/// policy and metadata; also one that has ended. What was revoked, or withdrawn by moving the epoch, stays so; for how
/// long after its end a revoked token is known to be one is for the caller to see to.
///
/// # Errors
/// [`MintError::NotRenewable`] for any other token, [`MintError::Parent`] for one that was taken back.
pub fn renew(
    standing: &Standing<'_>,
    seed: &[u8; 32],
    old: &[u8],
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Container, MintError> {
    let key = SigningKey::from_bytes(seed);
    let chain = whole_chain(old)?;
    let old = chain.root().payload();
    if *old.issuer() != Did::from(&key) || chain.link_count() != 1 {
        return Err(MintError::NotRenewable("this node did not issue it, or it was passed on"));
    }
    if !says(old, RENEW_META) {
        return Err(MintError::NotRenewable("it was not made with --renew"));
    }
    chain.check_epoch(seconds(standing.epoch)).map_err(Denial::from)?;
    let cid = CidDigest(*chain.root().cid().digest());
    let revoked = standing.revocations.is_revoked(&cid, &[id_of(seed)]).map_err(Denial::from)?;
    if revoked {
        return Err(Denial::Revoked(cid).into());
    }
    let command = old.command().clone();
    let draft =
        Delegation::build(*old.issuer(), *old.audience(), command, &nonce).policy(old.policy().clone());
    let facts = old.meta().into_iter().flatten();
    let draft = facts.fold(draft, |draft, (name, fact)| draft.meta(name, fact.clone()));
    let delegation = lasting(draft, standing.now, lifetime_secs)?.sign(&key, Profile::Strict)?;
    Ok(Container::new([delegation.bytes()], &ContainerLimits::CHAIN)?)
}

/// Whether [`renew`] would issue this token again for the node `me`: not whether it was revoked.
#[must_use]
pub fn is_renewable(me: NodeId, token: &[u8]) -> bool {
    whole_chain(token).is_ok_and(|chain| {
        let root = chain.root().payload();
        chain.link_count() == 1 && *root.issuer() == Did::from(me.0) && says(root, RENEW_META)
    })
}

/// The container that one run of a command line shows to `subject`: the chain that the node with this `seed`
/// holds there (none towards itself), and the link to the run's key.
///
/// # Errors
/// [`MintError`] when the chain is too long or malformed.
pub fn for_run(
    seed: &[u8; 32],
    held: Option<&[u8]>,
    subject: NodeId,
    run: NodeId,
    now: Timestamp,
    nonce: Nonce,
) -> Result<Container, MintError> {
    let link = run_link(seed, subject, run, now, nonce)?;
    let limits = ContainerLimits::CHAIN;
    let held = held.map(|bytes| Container::decode(bytes, &limits, Profile::Strict)).transpose()?;
    let above = held.as_ref().map(Container::tokens).into_iter().flatten();
    Ok(Container::new(above.chain([link.bytes()]), &limits)?)
}

fn run_link(
    seed: &[u8; 32],
    subject: NodeId,
    run: NodeId,
    now: Timestamp,
    nonce: Nonce,
) -> Result<Verified<Delegation>, MintError> {
    let key = SigningKey::from_bytes(seed);
    let from = seconds(now);
    Ok(Delegation::build(Did::from(subject.0), Did::from(run.0), ucan::Command::root(), &nonce)
        .not_before(from)
        .expires(from.saturating_add(RUN_LINK_SECS))
        .meta(RUN_LINK_META, Ipld::Bool(true))
        .sign(&key, Profile::Strict)?)
}

/// The node id of the key with this seed.
#[must_use]
pub fn id_of(seed: &[u8; 32]) -> NodeId {
    NodeId(SigningKey::from_bytes(seed).verifying_key().to_bytes())
}
