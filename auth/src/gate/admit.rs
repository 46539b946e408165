//! Steps 0 to 5, 7 and 8: a chain as it is shown.

use std::sync::Arc;

use clankers_protocol::NodeId;
use ucan::{
    Chain, Container, ContainerLimits, Delegation, Did, Profile, Shown, SignatureError, Verified, chain::Link,
};

use super::{
    Held, Links, check_time,
    facts::{Facts, is_own_run},
};
use crate::{
    denial::Denial,
    standing::Standing,
    step::{Step, left_out, step},
    verified::VerifiedTokens,
};

/// Judges a chain that `remote` shows to `me`: steps 0 to 5, 7 and 8. `verified` remembers checked signatures.
///
/// # Errors
/// [`Denial`] for the first step that fails.
pub fn admit(
    standing: &Standing<'_>,
    me: NodeId,
    remote: NodeId,
    container: &[u8],
    verified: &mut VerifiedTokens,
) -> Result<Held, Denial> {
    let container = Container::decode(container, &sizes(ContainerLimits::CHAIN), profile())?; // step 0
    let links = container.shown(profile(), |cid| verified.get(cid))?; // step 1
    judge_links(standing, me, remote, links, verified)
}

/// Steps 2 to 5, 7 and 8: links of which only the form was judged.
pub(crate) fn judge_links(
    standing: &Standing<'_>,
    me: NodeId,
    remote: NodeId,
    links: Vec<Shown>,
    verified: &mut VerifiedTokens,
) -> Result<Held, Denial> {
    let chain = order(links)?; // step 2
    step(Step::Anchor, || anchor(&chain, me))?; // step 3
    step(Step::Align, || chain.check_alignment(&Did::from(remote.0)))?; // step 4
    check_time(&chain, standing, is_own_run(&chain, me))?; // step 5
    let chain = signatures(chain)?; // step 7
    chain.links().for_each(|token| verified.remember(token));
    let facts = Facts::new(chain, me);
    facts.check_revoked(facts.chain.link_count(), standing)?; // step 8
    Ok(Held(Arc::new(facts)))
}

/// Step 0.
pub(crate) fn sizes(limits: ContainerLimits) -> ContainerLimits {
    if left_out(Step::Sizes) {
        return ContainerLimits { bytes: usize::MAX / 8, tokens: 1 << 10, token_bytes: usize::MAX / 8 };
    }
    limits
}

/// Step 1.
pub(crate) fn profile() -> Profile {
    if left_out(Step::Decode) { Profile::Spec } else { Profile::Strict }
}

/// Step 2.
fn order<L: Link>(links: Vec<L>) -> Result<Chain<L>, Denial> {
    if left_out(Step::Order) {
        return Ok(Chain::from_root_first(links)?);
    }
    Ok(Chain::order(links)?)
}

/// Step 3. A chain about another node is named as such: it is the mistake that honest people make.
fn anchor<L: Link>(chain: &Chain<L>, me: NodeId) -> Result<(), Denial> {
    let me = Did::from(me.0);
    match chain.root().delegation().subject() {
        Some(subject) if *subject != me => Err(Denial::WrongNode(subject.to_string())),
        _ => Ok(chain.check_subject(&me, Profile::Strict)?),
    }
}

/// Step 7.
fn signatures(chain: Chain<Shown>) -> Result<Links, Denial> {
    if !left_out(Step::Signatures) {
        return Ok(chain.verify_new()?);
    }
    let trusted = |link: Shown| -> Result<Arc<Verified<Delegation>>, SignatureError> {
        match link {
            Shown::Before(token) => Ok(token),
            Shown::New(token) => token.verify_unless(|_| true).map(Arc::new),
        }
    };
    let links = chain.into_links().into_iter().map(trusted).collect::<Result<Vec<_>, _>>()?;
    Ok(Chain::from_root_first(links)?)
}
