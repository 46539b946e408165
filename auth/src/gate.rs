//! The check: steps 0 to 7 of the design, pure and synchronous.
//!
//! | step | what | where |
//! |---|---|---|
//! | 0 | sizes | [`admit`] |
//! | 1 | strict decoding | [`admit`] |
//! | 2 | one path, every token used once | [`admit`] |
//! | 3 | anchored at this node, subject never switched | [`admit`] |
//! | 4 | links align, audience is the caller | [`admit`] |
//! | 5 | time, lifetime, epoch | [`admit`] and every request and effect |
//! | 6 | command and policy of every link | every request and effect |
//! | 7 | signatures, strictly | [`admit`] |

use std::{collections::BTreeMap, sync::Arc};

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{
    Chain, ChainError, Container, ContainerLimits, Delegation, Did, Ipld, Profile, Verified, chain::Link,
};

use crate::{
    denial::Denial,
    limits::{CLOCK_LEEWAY_SECS, LIFETIME_MAX_SECS, RUN_LINK_SECS},
    mint::RUN_LINK_META,
    verified::VerifiedTokens,
    vocab::{Args, Command},
};

/// A chain that was judged good when it was shown. What it allows is asked at each use.
#[derive(Debug, Clone)]
pub struct Held {
    chain: Arc<Chain<Arc<Verified<Delegation>>>>,
    me: NodeId,
    epoch: Timestamp,
    /// The last link is one run of a command line.
    run: bool,
}

/// Leave to do one thing.
#[derive(Debug, Clone)]
pub struct Grant {
    /// On whose authority: the audience of the last link, or the issuer of a run link.
    pub principal: NodeId,
    /// The principal is the node itself: its owner.
    pub owner: bool,
    /// The chain, root first.
    pub cids: Vec<CidDigest>,
    /// When the chain that outlives the request ends; `None` for the owner.
    pub expires: Option<Timestamp>,
    /// The chain, for the effects of what was started.
    pub held: Held,
}

/// Judges a chain that `remote` shows to `me`: steps 0 to 5 and 7.
///
/// `epoch` is the time before which every grant was withdrawn; `verified` remembers checked signatures.
///
/// # Errors
/// [`Denial`] for the first step that fails.
pub fn admit(
    now: Timestamp,
    me: NodeId,
    remote: NodeId,
    epoch: Timestamp,
    container: &[u8],
    verified: &mut VerifiedTokens,
) -> Result<Held, Denial> {
    let container = Container::decode(container, &ContainerLimits::CHAIN, Profile::Strict)?; // step 0
    let links = container.shown(Profile::Strict, |cid| verified.get(cid))?; // step 1
    let chain = Chain::order(links)?; // step 2
    check_anchor(&chain, me)?; // step 3
    chain.check_alignment(&Did::from(remote.0))?; // step 4
    check_time(&chain, now, epoch)?; // step 5
    let chain = chain.verify_new()?; // step 7
    chain.links().for_each(|token| verified.remember(token));
    let run = is_run_link(chain.leaf().payload());
    Ok(Held { chain: Arc::new(chain), me, epoch, run })
}

/// Step 3. A chain about another node is named as such: it is the mistake that honest people make.
fn check_anchor<L: Link>(chain: &Chain<L>, me: NodeId) -> Result<(), Denial> {
    let me = Did::from(me.0);
    match chain.root().delegation().subject() {
        Some(subject) if *subject != me => Err(Denial::WrongNode(subject.to_string())),
        _ => Ok(chain.check_subject(&me, Profile::Strict)?),
    }
}

/// Step 5.
fn check_time<L: Link>(chain: &Chain<L>, now: Timestamp, epoch: Timestamp) -> Result<(), ChainError> {
    chain.check_time(seconds(now), CLOCK_LEEWAY_SECS)?;
    chain.check_lifetime(LIFETIME_MAX_SECS)?;
    chain.check_epoch(seconds(epoch))
}

/// Step 6.
fn check_request<L: Link>(chain: &Chain<L>, command: Command, args: &Ipld) -> Result<(), Denial> {
    // The table's paths parse: a test goes through all of them.
    let command = ucan::Command::parse(command.path()).map_err(|_| Denial::NoProof)?;
    chain.check_command(&command)?;
    Ok(chain.check_policy(args, Profile::Strict)?)
}

impl Held {
    /// The CID of the last link: what requests name.
    #[must_use]
    pub fn leaf(&self) -> CidDigest {
        CidDigest(*self.chain.leaf().cid().digest())
    }

    /// On whose authority requests under this chain are made.
    #[must_use]
    pub fn principal(&self) -> NodeId {
        let leaf = self.chain.leaf().payload();
        NodeId((*if self.run { leaf.issuer() } else { leaf.audience() }).into())
    }

    /// To whom the node itself granted: the audience of the first link. Whatever was delegated onward from there
    /// shares in what this peer may use; fresh keys are free to make, the node's own grants are not.
    #[must_use]
    pub fn grantee(&self) -> NodeId {
        NodeId((*self.chain.root().payload().audience()).into())
    }

    /// Whether the principal is the node's owner. A grant to somebody else never makes them one, whatever it
    /// allows: only a run link that the node's own key signed does.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.run && self.chain.link_count() == 1 && self.principal() == self.me
    }

    /// When the whole chain ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.chain.expires().map(|at| Timestamp::from_secs(at.as_secs()))
    }

    /// Judges a request now: steps 5 and 6.
    ///
    /// # Errors
    /// [`Denial`] for the first step that fails.
    pub fn authorize(&self, now: Timestamp, command: Command, args: &Args) -> Result<Grant, Denial> {
        check_time(&*self.chain, now, self.epoch)?;
        check_request(&*self.chain, command, &ipld(command, args))?;
        Ok(self.grant())
    }

    /// Judges an effect of what was started under this chain: steps 5 and 6, without the run link's time. A
    /// run link bounds when a request may start; what was started is judged by the rest.
    ///
    /// # Errors
    /// [`Denial`] for the first step that fails.
    pub fn authorize_running(&self, now: Timestamp, command: Command, args: &Args) -> Result<(), Denial> {
        check_request(&*self.chain, command, &ipld(command, args))?;
        self.check_running(now)
    }

    /// Whether what was started under this chain may go on: step 5 without the run link.
    ///
    /// # Errors
    /// [`Denial`] when a link that outlives the request has ended.
    pub fn check_running(&self, now: Timestamp) -> Result<(), Denial> {
        match self.lasting() {
            Some(chain) => Ok(check_time(&chain, now, self.epoch)?),
            None => Ok(()),
        }
    }

    fn grant(&self) -> Grant {
        Grant {
            principal: self.principal(),
            owner: self.is_owner(),
            cids: self.chain.cids().map(|cid| CidDigest(*cid.digest())).collect(),
            expires: self
                .lasting()
                .and_then(|chain| chain.expires())
                .map(|at| Timestamp::from_secs(at.as_secs())),
            held: self.clone(),
        }
    }

    /// The links that outlive a request: all but a run link. None for the owner's own run.
    fn lasting(&self) -> Option<Chain<&Arc<Verified<Delegation>>>> {
        let keep = self.chain.link_count() - usize::from(self.run);
        let last = *self.chain.cids().take(keep).last()?;
        self.chain.up_to(&last)
    }
}

/// A run link lives at most ten minutes, says that it is one, and narrows nothing. The mark is signed by the
/// issuer, who thereby lends their own name to the run: it can give away nothing but the signer's.
fn is_run_link(link: &Delegation) -> bool {
    let short = match (link.not_before(), link.expires()) {
        (Some(from), Some(to)) => to.seconds_since(from) <= RUN_LINK_SECS + CLOCK_LEEWAY_SECS,
        _ => false,
    };
    let marked = link.meta().is_some_and(|meta| meta.get(RUN_LINK_META) == Some(&Ipld::Bool(true)));
    short && marked && link.policy().is_empty()
}

pub(crate) fn seconds(at: Timestamp) -> ucan::Timestamp {
    ucan::Timestamp::from_secs(at.as_secs()).unwrap_or(ucan::Timestamp::MAX)
}

/// The arguments as policies see them; what is not there is not there.
pub(crate) fn ipld(command: Command, args: &Args) -> Ipld {
    let mut map = BTreeMap::from([("cmd".to_owned(), Ipld::String(command.path().to_owned()))]);
    for (name, value) in [
        ("session", &args.session),
        ("workspace", &args.workspace),
        ("path", &args.path),
        ("tool", &args.tool),
        ("argv0", &args.argv0),
        ("model", &args.model),
    ] {
        if let Some(value) = value {
            map.insert(name.to_owned(), Ipld::String(value.clone()));
        }
    }
    if let Some(size) = args.size {
        map.insert("size".to_owned(), Ipld::Integer(size.into()));
    }
    Ipld::Map(map)
}
