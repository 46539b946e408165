//! A token as a person reads it. What it allows is asked of the token itself, command by command, so that the
//! words cannot claim what the check would not do.

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{Chain, Container, ContainerLimits, Delegation, Did, Profile, Verified};

use crate::{
    denial::Denial,
    gate::ipld,
    vocab::{Args, Command, all_tools},
};

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
    /// The container's bytes in their raw form.
    pub container: Vec<u8>,
}

/// Reads a token (text or raw form) and checks all that can be checked without a peer and a request: form,
/// order, subject, signatures. Not its time: an expired token can be read.
///
/// # Errors
/// [`Denial`] for what is wrong with it.
pub fn describe(token: &[u8]) -> Result<Described, Denial> {
    let container = Container::decode(token, &ContainerLimits::CHAIN, Profile::Strict)?;
    let chain = Chain::order(container.delegations(Profile::Strict)?)?;
    let subject = *chain.root().claims().issuer();
    chain.check_subject(&subject, Profile::Strict)?;
    let audience = *chain.leaf().claims().audience();
    chain.check_alignment(&audience)?;
    let chain = chain.verify_signatures(|_| false)?;
    let millis = |at: Option<ucan::Timestamp>| Timestamp::from_secs(at.map_or(0, ucan::Timestamp::as_secs));
    Ok(Described {
        cid: CidDigest(*chain.leaf().cid().digest()),
        cid_text: chain.leaf().cid().to_string(),
        subject: node(&subject),
        issuer: node(chain.leaf().payload().issuer()),
        audience: node(&audience),
        not_before: millis(chain.not_before()),
        expires: millis(chain.expires()),
        grants: grants(&chain),
        container: container.to_bytes()?,
    })
}

fn node(did: &Did) -> NodeId {
    NodeId((*did).into())
}

fn grants(chain: &Chain<Verified<Delegation>>) -> Vec<String> {
    let allows = |command: Command, args: &Args| {
        ucan::Command::parse(command.path()).is_ok_and(|path| chain.check_command(&path).is_ok())
            && chain.check_policy(&ipld(command, args), Profile::Strict).is_ok()
    };
    let whole = chain.links().all(|link| link.command().as_str() == "/" && link.policy().is_empty());
    if whole {
        return vec!["everything, the shell included".to_owned()];
    }
    let allowed: Vec<Command> = Command::ALL
        .iter()
        .copied()
        .filter(|c| !matches!(c, Command::ToolUse | Command::ShellExec) && allows(*c, &Args::default()))
        .collect();
    let (served, later): (Vec<_>, Vec<_>) = allowed.into_iter().partition(|c| c.is_served());
    let mut words: Vec<String> = served.into_iter().map(|c| c.words().to_owned()).collect();
    let tools: Vec<&str> = all_tools()
        .filter(|tool| {
            let args = Args { tool: Some((*tool).to_owned()), ..Args::default() };
            allows(Command::for_tool(tool), &args)
        })
        .collect();
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
