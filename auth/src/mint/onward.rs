//! Passing a token on: one more link under it, made without asking anybody.

use clankers_protocol::{NodeId, Timestamp};
use ucan::{Chain, Container, ContainerLimits, Delegation, Did, Profile, SigningKey, Verified, chain::Link};

use super::{MintError, Nonce, lasting};
use crate::{
    gate::{check_time, seconds},
    limits::LIFETIME_MAX_SECS,
    preset::{GrantSpec, Literals},
    standing::Standing,
    words::whole_chain,
};

/// A token that was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// The whole chain.
    pub container: Container,
    /// When it ends.
    pub expires: Timestamp,
    /// It ends earlier than was asked, because what is above it does.
    pub shortened: bool,
}

/// Passes on the chain `from`, which ends at the node with this `seed`, to `audience`, with less or the same rights:
/// nothing in a link can give more than what is above it. It lasts no longer than what is above.
///
/// # Errors
/// [`MintError`] when it is not this node's to pass on, may not be passed on (which the peer would refuse later), or
/// the narrowing makes no sense.
pub fn delegate(
    seed: &[u8; 32],
    from: &[u8],
    audience: NodeId,
    narrowing: &GrantSpec,
    now: Timestamp,
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Delegated, MintError> {
    let key = SigningKey::from_bytes(seed);
    let chain = whole_chain(from)?;
    let holder = *chain.leaf().payload().audience();
    if holder != Did::from(&key) {
        return Err(MintError::NotMine(holder));
    }
    let audience = Did::from(audience.0);
    if chain.links().any(|link| *link.issuer() == audience) || audience == holder {
        return Err(MintError::Circle(audience));
    }
    check_time(&chain, &Standing::offline(now, Timestamp(0)), false).map_err(crate::Denial::from)?;
    check_room(&chain)?;
    if lifetime_secs == 0 || lifetime_secs > LIFETIME_MAX_SECS {
        return Err(MintError::Lifetime);
    }
    let ends = chain.expires().unwrap_or(ucan::Timestamp::MAX);
    let left = ends.seconds_since(seconds(now)).max(1);
    let (command, policy) = in_its_workspace(narrowing, &chain).compile()?;
    let draft =
        Delegation::build(*chain.root().payload().issuer(), audience, ucan::Command::parse(command)?, &nonce);
    let link = lasting(draft.policy(policy), now, lifetime_secs.min(left))?.sign(&key, Profile::Strict)?;
    let expires = link.expires().map_or(ends, |own| own.min(ends));
    let tokens = chain.links().map(Link::bytes).chain([link.bytes()]);
    Ok(Delegated {
        container: Container::new(tokens, &ContainerLimits::CHAIN)?,
        expires: Timestamp::from_secs(expires.as_secs()),
        shortened: lifetime_secs > left,
    })
}

/// Whether one more link may follow, and a run link after it: what the peer would say later is said now.
fn check_room(chain: &Chain<Verified<Delegation>>) -> Result<(), MintError> {
    let below = chain.link_count().saturating_sub(1);
    // The link that is made, and a run link.
    if chain.link_count().saturating_add(2) > ucan::limits::CHAIN_LINKS {
        return Err(MintError::Depth { below, why: "its chain has as many links as are read" });
    }
    for (place, link) in chain.links().enumerate() {
        // After this there are so many links below it.
        let depth = chain.link_count().saturating_sub(place);
        let depth = u64::try_from(depth).unwrap_or(u64::MAX);
        let most = Literals::of([link.policy()]).at_most;
        // Any such bound of our own presets is a condition of the whole; in another's policy it may be one of
        // several ways, and the peer decides.
        let ours = GrantSpec::read(link.command().as_str(), link.policy()).is_some();
        if ours && most.iter().any(|(selector, most)| selector == ".ctx.depth" && depth > *most) {
            return Err(MintError::Depth { below, why: "whoever made it has set a limit (--max-depth)" });
        }
    }
    Ok(())
}

/// A path is bound to the workspace that the chain speaks of, when it speaks of one.
fn in_its_workspace(narrowing: &GrantSpec, chain: &Chain<Verified<Delegation>>) -> GrantSpec {
    let mut spec = narrowing.clone();
    if !spec.paths.is_empty() && spec.workspace.is_none() {
        spec.workspace = Literals::of(chain.links().map(|link| link.policy())).workspaces.into_iter().next();
    }
    spec
}
