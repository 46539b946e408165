//! Signed requests, for what does not come over the asker's own connection: relayed, or stored for later.
//!
//! On a connection TLS proves who asks, and a chain's last link names that key. An invocation proves it by a signature
//! instead. It names who is to carry it out, ends within minutes, and its CID is remembered until then, so it works once.

use clankers_protocol::{CidDigest, NodeId};
use ucan::{
    Cid, Container, ContainerLimits, Did, Invocation, InvocationError, Ipld, Profile, Shown, SigningKey,
};

use crate::{
    denial::Denial,
    gate::{Grant, judge_links, profile, seconds, sizes},
    limits::INVOCATION_SECS,
    mint::{MintError, Nonce},
    revoke::one_invocation,
    standing::{Standing, Unreadable},
    step::{Step, left_out, step},
    verified::VerifiedTokens,
    vocab::{Args, Command},
    words::whole_chain,
};

use clankers_protocol::Timestamp;

/// A request that may be carried out, once.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// The leave, and the chain for the effects.
    pub grant: Grant,
    /// What is asked.
    pub command: Command,
    /// With which arguments, as the asker says: whoever carries it out finds out its own and asks the chain again.
    pub args: Args,
    /// The invocation's own CID.
    pub cid: CidDigest,
}

/// Keeps an invocation's CID until its end; `true` when it was new.
pub type Replay<'a> = dyn FnMut(CidDigest, Timestamp) -> Result<bool, Unreadable> + 'a;

/// Signs a request as the node, or the run, with this `seed`, for `executor`; `proofs` is the chain that ends at it.
///
/// # Errors
/// [`MintError`] when the chain is of no use, or the lifetime is over [`INVOCATION_SECS`].
pub fn make(
    seed: &[u8; 32],
    executor: NodeId,
    proofs: &[u8],
    (command, args): (Command, &Args),
    now: Timestamp,
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Vec<u8>, MintError> {
    if lifetime_secs == 0 || lifetime_secs > INVOCATION_SECS {
        return Err(MintError::Lifetime);
    }
    let key = SigningKey::from_bytes(seed);
    let chain = whole_chain(proofs)?;
    let holder = *chain.leaf().payload().audience();
    if holder != Did::from(&key) {
        return Err(MintError::NotMine(holder));
    }
    let subject = *chain.root().payload().issuer();
    let mut draft = Invocation::build(subject, ucan::Command::parse(command.path())?, &nonce)
        .audience(Did::from(executor.0))
        .proofs(chain.cids().copied())
        .expires(seconds(now).saturating_add(lifetime_secs));
    if let Ipld::Map(map) = crate::gate::ipld(command, args) {
        // The command stands in its own field.
        let said = map.into_iter().filter(|(name, _)| name != "cmd");
        draft = said.fold(draft, |draft, (name, value)| draft.arg(&name, value));
    }
    let token = draft.sign(&key, Profile::Strict)?;
    let tokens = chain.links().map(|link| link.bytes()).chain([token.bytes()]);
    Ok(Container::new(tokens, &ContainerLimits::WITH_INVOCATION)?.to_bytes()?)
}

/// Judges a signed request to the node `me`: its signature, executor, time, its chain as if its issuer showed it, the
/// request under the chain, and last, so that nothing else uses it up, that it is new.
///
/// # Errors
/// [`Denial`] for the first step that fails.
pub fn admit(
    standing: &Standing<'_>,
    me: NodeId,
    bytes: &[u8],
    replay: &mut Replay<'_>,
) -> Result<Invoked, Denial> {
    let container = Container::decode(bytes, &sizes(ContainerLimits::WITH_INVOCATION), profile())?;
    let one = one_invocation(&container)?;
    let (token, links) = one.ok_or(Denial::InvocationForm("must be exactly one, with its chain"))?;
    let token = token.verify_unless(|_| left_out(Step::InvocationSignature))?;
    if *token.subject() != Did::from(me.0) {
        return Err(Denial::WrongNode(token.subject().to_string()));
    }
    step(Step::InvocationExecutor, || token.check_executor(&Did::from(me.0)))?;
    let ends = token.expires().unwrap_or(ucan::Timestamp::MAX);
    step(Step::InvocationTime, || check_end(ends, seconds(standing.now)))?;
    if links.is_empty() {
        return Err(InvocationError::NoProof { issuer: *token.issuer() }.into());
    }
    let links = links.into_iter().map(|link| Shown::New(Box::new(link))).collect();
    let issuer = NodeId((*token.issuer()).into());
    let held = judge_links(standing, me, issuer, links, &mut VerifiedTokens::default())?;
    let proofs = token.proofs().iter().map(Cid::digest);
    if !held.cids().iter().map(|cid| &cid.0).eq(proofs) {
        return Err(Denial::InvocationForm("names other proofs than it brings"));
    }
    let path = token.command().as_str();
    let command = Command::from_path(path).ok_or(Denial::InvocationForm("asks for an unknown command"))?;
    let args = read_args(token.args())?;
    let grant = held.authorize(standing, command, &args)?;
    let cid = CidDigest(*token.cid().digest());
    step(Step::Replay, || match replay(cid, Timestamp::from_secs(ends.as_secs()))? {
        true => Ok(()),
        false => Err(Denial::Replayed),
    })?;
    Ok(Invoked { grant, command, args, cid })
}

fn check_end(ends: ucan::Timestamp, now: ucan::Timestamp) -> Result<(), Denial> {
    if now > ends {
        return Err(InvocationError::Expired { expired: ends }.into());
    }
    match ends.seconds_since(now) > INVOCATION_SECS {
        true => Err(Denial::InvocationForm("ends too late: five minutes are the most")),
        false => Ok(()),
    }
}

/// The closed set of arguments; what only the node itself may say (`cmd`, `ctx`) is none of them.
fn read_args(said: &Ipld) -> Result<Args, Denial> {
    let unknown = Denial::InvocationForm("has an argument that is not known");
    let Ipld::Map(map) = said else { return Err(unknown) };
    let mut args = Args::default();
    for (name, value) in map {
        if let ("size", Ipld::Integer(size)) = (name.as_str(), value) {
            args.size = Some(u64::try_from(*size).map_err(|_| unknown.clone())?);
            continue;
        }
        let place = match name.as_str() {
            "session" => &mut args.session,
            "workspace" => &mut args.workspace,
            "path" => &mut args.path,
            "tool" => &mut args.tool,
            "argv0" => &mut args.argv0,
            "model" => &mut args.model,
            _ => return Err(unknown),
        };
        let Ipld::String(text) = value else { return Err(unknown) };
        *place = Some(text.clone());
    }
    Ok(args)
}
