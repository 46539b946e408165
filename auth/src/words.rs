//! A token as a person reads it. What it allows is asked of the token itself, command by command, and its conditions are
//! read back only where the policy is exactly what this crate writes, so that the words cannot claim what the check
//! would not do. Any other policy is shown as it is.

mod limits;
mod probe;
mod tree;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{Chain, Container, ContainerLimits, Delegation, Did, Profile, Verified};

pub use limits::money;
pub use tree::{LinkWords, tree, verdict};

use crate::{
    denial::Denial,
    gate::says,
    mint::RENEW_META,
    preset::Literals,
    vocab::{Command, all_tools},
};
use limits::limits;
use probe::Probe;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// CID of the last link.
    pub cid: CidDigest,
    /// The same as text.
    pub cid_text: String,
    /// The node whose rights it carries.
    pub subject: NodeId,
    /// Who signed the last link.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// What it allows, in words.
    pub grants: Vec<String>,
    /// Under which conditions, in words.
    pub limits: Vec<String>,
    /// Both in one line, such as `read-only on src/, at most $1.50`; not until when, and for whom.
    pub sentence: String,
    /// It is issued again when its audience connects.
    pub renew: bool,
    /// The id of the workspace that its policies speak of, when they speak of one.
    pub workspace: Option<String>,
    /// The container's bytes in their raw form.
    pub container: Vec<u8>,
}

/// A token's plain facts: all that can be told without asking what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// CID of the last link.
    pub cid: CidDigest,
    /// The same as text.
    pub cid_text: String,
    /// The node whose rights it carries.
    pub subject: NodeId,
    /// Who signed the last link.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// It is issued again when its audience connects.
    pub renew: bool,
    /// The container's bytes in their raw form.
    pub container: Vec<u8>,
}

/// Reads a token (text or raw form) and checks all that can be checked without a peer and a request: form,
/// order, subject, signatures. Not its time: an expired token can be read. It costs no more than showing the token
/// does: for tokens that strangers bring.
///
/// # Errors
/// [`Denial`] for what is wrong with it.
pub fn read(token: &[u8]) -> Result<Plain, Denial> {
    plain(token, &whole_chain(token)?)
}

fn plain(token: &[u8], chain: &Chain<Verified<Delegation>>) -> Result<Plain, Denial> {
    let container = Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?;
    Ok(Plain {
        cid: CidDigest(*chain.leaf().cid().digest()),
        cid_text: chain.leaf().cid().to_string(),
        subject: node(chain.root().payload().issuer()),
        issuer: node(chain.leaf().payload().issuer()),
        audience: node(chain.leaf().payload().audience()),
        not_before: millis(chain.not_before()),
        expires: millis(chain.expires()),
        renew: says(chain.root().payload(), RENEW_META),
        container: container.to_bytes()?,
    })
}

/// [`read`], and what the token allows in words. That is asked of it, a bounded number of times.
///
/// # Errors
/// [`Denial`] for what is wrong with it.
pub fn describe(token: &[u8]) -> Result<Described, Denial> {
    let chain = whole_chain(token)?;
    let plain = plain(token, &chain)?;
    let (grants, limits) = (grants(&chain), limits(&chain));
    Ok(Described {
        cid: plain.cid,
        cid_text: plain.cid_text,
        subject: plain.subject,
        issuer: plain.issuer,
        audience: plain.audience,
        not_before: plain.not_before,
        expires: plain.expires,
        sentence: limits::sentence(&chain, &grants, &limits),
        grants,
        limits,
        renew: plain.renew,
        workspace: Literals::of(chain.links().map(|link| link.policy())).workspaces.first().cloned(),
        container: plain.container,
    })
}

/// What this token lets its holder send without asking first (bytes), when it does and names a bound.
#[must_use]
pub fn dropped_at_most(token: &[u8]) -> Option<u64> {
    let chain = whole_chain(token).ok()?;
    let most = Literals::of(chain.links().map(|link| link.policy())).least(".size")?;
    Probe::new(&chain).allows(Command::FileDrop, None).then_some(most)
}

/// A chain that holds together and is signed, whoever shows it and whenever.
pub(crate) fn whole_chain(token: &[u8]) -> Result<Chain<Verified<Delegation>>, Denial> {
    let container = Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?;
    let chain = Chain::order(container.delegations(Profile::Strict)?)?;
    let subject = *chain.root().claims().issuer();
    chain.check_subject(&subject, Profile::Strict)?;
    let audience = *chain.leaf().claims().audience();
    chain.check_alignment(&audience)?;
    Ok(chain.verify_signatures(|_| false)?)
}

/// A token's text, whatever form it is in.
///
/// # Errors
/// [`Denial`] when it is no container.
pub fn text(token: &[u8]) -> Result<String, Denial> {
    Ok(Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?.to_text()?)
}

/// The text of a CID.
#[must_use]
pub fn cid_text(cid: &CidDigest) -> String {
    ucan::Cid::from_digest(cid.0).to_string()
}

/// The CID in a text.
#[must_use]
pub fn parse_cid(text: &str) -> Option<CidDigest> {
    text.parse::<ucan::Cid>().ok().map(|cid| CidDigest(*cid.digest()))
}

fn millis(at: Option<ucan::Timestamp>) -> Timestamp {
    Timestamp::from_secs(at.map_or(0, ucan::Timestamp::as_secs))
}

fn node(did: &Did) -> NodeId {
    NodeId((*did).into())
}

/// What is allowed in some session, path and workspace, with some model.
fn grants(chain: &Chain<Verified<Delegation>>) -> Vec<String> {
    let whole = chain.links().all(|link| link.command().as_str() == "/" && !limits::narrows(link.policy()));
    if whole {
        return vec!["everything, the shell included".to_owned()];
    }
    let probe = Probe::new(chain);
    let allowed: Vec<Command> = Command::ALL
        .iter()
        .copied()
        .filter(|c| !matches!(c, Command::ToolUse | Command::ShellExec) && probe.allows(*c, None))
        .collect();
    let tools: Vec<&str> =
        all_tools().filter(|tool| probe.allows(Command::for_tool(tool), Some(tool))).collect();
    if probe.is_exhausted() {
        // Half of what it allows would read like all of it.
        return vec![format!("(too complicated to put into words: {})", limits::policies(chain))];
    }
    let (served, later): (Vec<_>, Vec<_>) = allowed.into_iter().partition(|c| c.is_served());
    let mut words: Vec<String> = served.into_iter().map(|c| c.words().to_owned()).collect();
    if !tools.is_empty() {
        words.push(format!("use the tools {}", tools.join(", ")));
    }
    if !later.is_empty() {
        // Said all the same: the token allows it as soon as the node's version has it.
        let later: Vec<&str> = later.into_iter().map(Command::words).collect();
        words.push(format!("(not offered by this version yet: {})", later.join(", ")));
    }
    words
}
