//! A chain link by link, and its verdict, away from its node.

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{Chain, Container, ContainerLimits, Delegation, Did, Profile, Unverified, chain::Link};

use super::{limits, millis, node, whole_chain};
use crate::{
    denial::Denial,
    gate::{admit, is_run_link, seconds},
    limits::{CLOCK_LEEWAY_SECS, LIFETIME_MAX_SECS},
    preset::GrantSpec,
    standing::Standing,
    verified::VerifiedTokens,
    vocab::{Args, Command},
};

/// One link, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkWords {
    /// Its CID.
    pub cid: CidDigest,
    /// The same as text.
    pub cid_text: String,
    /// Who signed it.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// It is for one run of a command line.
    pub run: bool,
    /// What it allows, of what the link above it does, and its conditions.
    pub words: Vec<String>,
    /// What is wrong with it, at the time that was given.
    pub problems: Vec<String>,
}

/// Reads a token link by link, root first, also one whose links do not fit together or are not signed: what is wrong is
/// told with each. `now` is for the time of each link.
///
/// # Errors
/// [`Denial`] when it is not a container of delegations at all, or they are in no order.
pub fn tree(token: &[u8], now: Timestamp) -> Result<Vec<LinkWords>, Denial> {
    let container = Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?;
    let chain = Chain::order(container.delegations(Profile::Strict)?)?;
    let subject = chain.root().claims().subject().copied();
    let mut above: Option<&Delegation> = None;
    let mut words = Vec::with_capacity(chain.link_count());
    for link in chain.links() {
        words.push(link_words(link, above, subject, now));
        above = Some(link.claims());
    }
    Ok(words)
}

fn link_words(
    link: &Unverified<Delegation>,
    above: Option<&Delegation>,
    subject: Option<Did>,
    now: Timestamp,
) -> LinkWords {
    let says = link.claims();
    let run = is_run_link(says);
    LinkWords {
        cid: CidDigest(*Link::cid(link).digest()),
        cid_text: Link::cid(link).to_string(),
        issuer: node(says.issuer()),
        audience: node(says.audience()),
        from: millis(says.not_before()),
        until: millis(says.expires()),
        run,
        words: what(says, above.is_some(), run),
        problems: problems(link, above, subject, now),
    }
}

fn what(says: &Delegation, below: bool, run: bool) -> Vec<String> {
    let known = GrantSpec::read(says.command().as_str(), says.policy());
    let mut words = Vec::new();
    match &known {
        _ if run => words.push("one run of a command line".to_owned()),
        Some(spec) if spec.everything || spec.names_nothing() => {
            words.push(if below { "all of the above" } else { "everything, the shell included" }.to_owned());
        }
        Some(spec) => {
            words.extend(spec.commands.iter().map(|command| command.words().to_owned()));
            if !spec.tools.is_empty() {
                words.push(format!("use the tools {}", spec.tools.join(", ")));
            }
        }
        None => {}
    }
    words.extend(limits::of_link(says));
    words.into_iter().map(|word| clankers_protocol::text::line(&word, super::limits::POLICY_CHARS)).collect()
}

fn problems(
    link: &Unverified<Delegation>,
    above: Option<&Delegation>,
    subject: Option<Did>,
    now: Timestamp,
) -> Vec<String> {
    let says = link.claims();
    let mut problems = Vec::new();
    match above {
        None if says.subject() != Some(says.issuer()) => {
            problems.push("it is not issued by the node that it is about".to_owned());
        }
        Some(above) if above.audience() != says.issuer() => {
            problems.push("it is not issued by the one that the link above is for".to_owned());
        }
        _ => {}
    }
    if says.subject().copied() != subject {
        problems.push("it is about another node than the first link".to_owned());
    }
    if let Err(error) = link.clone().verify() {
        problems.push(error.to_string());
    }
    let now = seconds(now);
    if says.not_before().is_some_and(|from| now.saturating_add(CLOCK_LEEWAY_SECS) < from) {
        problems.push("it is not valid yet".to_owned());
    }
    if says.expires().is_some_and(|until| now > until) {
        problems.push("it has expired".to_owned());
    }
    match (says.not_before(), says.expires()) {
        (Some(from), Some(until)) if until.seconds_since(from) > LIFETIME_MAX_SECS => {
            problems.push("it lives too long".to_owned());
        }
        _ => {}
    }
    problems
}

/// What the node `me` would say to a request under this token, shown by `remote`; by the one that it is for when there
/// is no `remote`. Away from the node, what was revoked and used is unknown: see [`Standing::offline`].
///
/// # Errors
/// [`Denial`], as the node would give it.
pub fn verdict(
    token: &[u8],
    standing: &Standing<'_>,
    me: NodeId,
    remote: Option<NodeId>,
    command: Command,
    args: &Args,
) -> Result<(), Denial> {
    let remote = match remote {
        Some(remote) => remote,
        None => node(whole_chain(token)?.leaf().payload().audience()),
    };
    // The node is shown the raw form; a person may have given the text.
    let raw = Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?.to_bytes()?;
    let held = admit(standing, me, remote, &raw, &mut VerifiedTokens::default())?;
    held.authorize(standing, command, args).map(|_| ())
}
