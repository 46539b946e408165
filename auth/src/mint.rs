//! Writing authority: grants to peers, and the link from a node to one run of a command line.

use clankers_protocol::{NodeId, Timestamp};
use ucan::{Container, ContainerLimits, Delegation, Did, Ipld, Profile, SigningKey, Verified};

use crate::{
    gate::seconds,
    limits::{LIFETIME_MAX_SECS, NONCE_BYTES, RUN_LINK_SECS},
    preset::GrantSpec,
};

/// The signed fact that marks a run link.
pub const RUN_LINK_META: &str = "run";

/// Why authority could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// It would live too long, or not at all.
    #[error("a token lasts at most 400 days, and at least a second")]
    Lifetime,
    /// A grant to oneself says nothing.
    #[error("a token for this node itself would say nothing: it may do everything already")]
    ForMyself,
    /// The policy is over the limits.
    #[error("the grant is too complicated for one token: {0}")]
    Policy(#[from] ucan::PolicyError),
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
    if lifetime_secs == 0 || lifetime_secs > LIFETIME_MAX_SECS {
        return Err(MintError::Lifetime);
    }
    let key = SigningKey::from_bytes(seed);
    let (subject, audience) = (Did::from(&key), Did::from(audience.0));
    if subject == audience {
        return Err(MintError::ForMyself);
    }
    let (command, policy) = spec.compile()?;
    let from = seconds(now);
    let delegation = Delegation::build(subject, audience, ucan::Command::parse(command)?, &nonce)
        .policy(policy)
        .not_before(from)
        .expires(from.saturating_add(lifetime_secs))
        .sign(&key, Profile::Strict)?;
    Ok(Container::new([delegation.bytes()], &ContainerLimits::CHAIN)?)
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
