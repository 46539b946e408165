//! The check: the steps of the design, pure and synchronous. Each runs through one function, in [`crate::step`].
//!
//! | step | what | where |
//! |---|---|---|
//! | 0 | sizes | [`admit`] |
//! | 1 | strict decoding | [`admit`] |
//! | 2 | one path, every token used once | [`admit`] |
//! | 3 | anchored at this node, subject never switched | [`admit`] |
//! | 4 | links align, audience is the caller | [`admit`] |
//! | 5 | time, lifetime, epoch | [`admit`] and every request and effect |
//! | 6 | command and policy of every link, no shell under a path scope | every request and effect |
//! | 7 | signatures, strictly | [`admit`] |
//! | 8 | revocations of every link | [`admit`] and every request and effect |
//! | 9 | what was used up, for the policies that ask | every request and effect |

mod admit;
mod context;
mod facts;

use std::sync::Arc;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{Chain, ChainError, Delegation, Ipld, Verified, chain::Link};

pub use admit::admit;
pub(crate) use admit::{judge_links, profile, sizes};
pub(crate) use context::{RECEIVED_SELECTOR, ipld, unused};
use facts::Facts;
pub(crate) use facts::is_run_link;

use crate::{
    denial::Denial,
    limits::{CLOCK_LEEWAY_SECS, LIFETIME_MAX_SECS},
    preset::Literals,
    standing::Standing,
    step::{Step, step},
    vocab::{Args, Command, SHELL_TOOL},
};

/// Links whose signatures were checked.
pub(crate) type Links = Chain<Arc<Verified<Delegation>>>;

/// A chain that was judged good when it was shown. What it allows is asked at each use.
#[derive(Debug, Clone)]
pub struct Held(Arc<Facts>);

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

/// A link that is charged for what is done under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// The link.
    pub cid: CidDigest,
    /// When it ends: an hour later its counters may be dropped.
    pub expires: Timestamp,
}

/// How much a link lets come to the node in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The link.
    pub cid: CidDigest,
    /// The node itself made it.
    pub root: bool,
    /// Who made it.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// Over its whole life (bytes).
    pub most: u64,
}

impl Held {
    /// The CID of the last link: what requests name.
    #[must_use]
    pub fn leaf(&self) -> CidDigest {
        CidDigest(*self.0.chain.leaf().cid().digest())
    }

    /// The CIDs of all links, root first, the run link included.
    #[must_use]
    pub fn cids(&self) -> &[CidDigest] {
        &self.0.cids
    }

    /// On whose authority requests under this chain are made.
    #[must_use]
    pub fn principal(&self) -> NodeId {
        self.0.principal
    }

    /// To whom the node itself granted: the audience of the first link. Whatever was delegated onward from there
    /// shares in what this peer may use; fresh keys are free to make, the node's own grants are not.
    #[must_use]
    pub fn grantee(&self) -> NodeId {
        NodeId((*self.0.chain.root().payload().audience()).into())
    }

    /// Whether the principal is the node's owner. A grant to somebody else never makes them one, whatever it
    /// allows: only a run link that the node's own key signed does.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.0.owner
    }

    /// When the whole chain ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.chain.expires().map(|at| Timestamp::from_secs(at.as_secs()))
    }

    /// When what runs under this chain must end: the run link does not count. `None` for the owner's own run.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        let ends = self.0.lasting.as_ref().and_then(Chain::expires);
        ends.map(|at| Timestamp::from_secs(at.as_secs()))
    }

    /// The largest transfer of files that the chain speaks of (bytes): for words, not for a judgement.
    #[must_use]
    pub fn size_limit(&self) -> Option<u64> {
        Literals::of(self.0.chain.links().map(|link| link.policy())).least(".size")
    }

    /// Whether some link's policy asks how much came to the node, so that it has to be counted.
    #[must_use]
    pub fn counts_files(&self) -> bool {
        self.0.counts_files
    }

    /// The totals of files that come under this chain, root first: for words; the judgement is [`Held::authorize`]'s.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        let node = |did: &ucan::Did| NodeId((*did).into());
        let links = self.0.chain.links().zip(&self.0.cids).enumerate();
        let total = |(place, (link, cid)): (usize, (&Arc<Verified<Delegation>>, &CidDigest))| {
            let link = link.payload();
            let most = Literals::of([link.policy()]).least(RECEIVED_SELECTOR)?;
            let (issuer, audience) = (node(link.issuer()), node(link.audience()));
            Some(Total { cid: *cid, root: place == 0, issuer, audience, most })
        };
        links.filter_map(total).collect()
    }

    /// The links whose policies ask what was used: each of them is charged in full for what is done under this
    /// chain, so that passing on multiplies nothing.
    #[must_use]
    pub fn metered(&self) -> &[Metered] {
        &self.0.metered
    }

    /// Whether the link that the node itself signed names this session, whoever made it. A policy that does not
    /// speak of sessions names none, and what the links below say does not matter: their issuers are not the node.
    #[must_use]
    pub fn reaches(&self, session: &str) -> bool {
        self.0.names_session(session)
    }

    /// Judges a request now: steps 5, 6, 8 and 9.
    ///
    /// # Errors
    /// [`Denial`] for the first step that fails.
    pub fn authorize(&self, standing: &Standing<'_>, command: Command, args: &Args) -> Result<Grant, Denial> {
        check_time(&self.0.chain, standing, self.0.owner)?;
        self.0.check_revoked(self.0.chain.link_count(), standing)?;
        self.check_request(standing, command, args)?;
        Ok(self.grant())
    }

    /// Judges an effect of what was started under this chain: steps 5, 6, 8 and 9, without the run link's time and
    /// revocation. A run link bounds when a request may start; what was started is judged by the rest.
    ///
    /// # Errors
    /// [`Denial`] for the first step that fails.
    pub fn authorize_running(
        &self,
        standing: &Standing<'_>,
        command: Command,
        args: &Args,
    ) -> Result<(), Denial> {
        self.check_running(standing)?;
        self.check_request(standing, command, args)
    }

    /// Whether what was started under this chain may go on: steps 5 and 8 without the run link.
    ///
    /// # Errors
    /// [`Denial`] when a link that outlives the request has ended or was revoked.
    pub fn check_running(&self, standing: &Standing<'_>) -> Result<(), Denial> {
        let Some(lasting) = &self.0.lasting else { return Ok(()) };
        check_time(lasting, standing, false)?;
        self.0.check_revoked(lasting.link_count(), standing)
    }

    /// Whether some use of a tool would be allowed: on the whole workspace, or on a path that the chain itself
    /// names. `args` has the session and the workspace.
    #[must_use]
    pub fn offers_tool(&self, standing: &Standing<'_>, tool: &str, args: &Args) -> bool {
        let asks = |path: Option<&str>| {
            let args = Args {
                tool: Some(tool.to_owned()),
                path: path.map(str::to_owned),
                argv0: path.is_none().then(|| tool.to_owned()),
                ..args.clone()
            };
            self.authorize_running(standing, Command::for_tool(tool), &args).is_ok()
        };
        if tool == SHELL_TOOL {
            return asks(None);
        }
        asks(Some(".")) || self.0.paths.iter().any(|path| asks(Some(path)))
    }

    /// Steps 6 and 9.
    fn check_request(&self, standing: &Standing<'_>, command: Command, args: &Args) -> Result<(), Denial> {
        step(Step::Command, || check_command(&self.0.chain, command.path()))?;
        let shell = command == Command::ShellExec || args.tool.as_deref() == Some(SHELL_TOOL);
        step(Step::ShellScope, || match shell && self.0.path_scoped {
            true => Err(Denial::ShellUnderPathScope),
            false => Ok(()),
        })?;
        step(Step::Policy, || self.0.check_policies(standing, command, args))
    }

    /// The links, root first.
    pub(crate) fn links(&self) -> &Links {
        &self.0.chain
    }

    pub(crate) fn grant(&self) -> Grant {
        Grant {
            principal: self.principal(),
            owner: self.is_owner(),
            cids: self.0.cids.clone(),
            expires: self.ends(),
            held: self.clone(),
        }
    }
}

/// Step 6, the commands.
fn check_command<L: Link>(chain: &Chain<L>, path: &str) -> Result<(), Denial> {
    // The table's paths parse: a test goes through all of them.
    let command = ucan::Command::parse(path).map_err(|_| Denial::NoProof)?;
    Ok(chain.check_command(&command)?)
}

/// Step 5. The owner's own run is not asked when it began: the epoch withdraws grants, and one that lies in the future,
/// because a clock did, must not lock out who alone can move it.
pub(crate) fn check_time<L: Link>(
    chain: &Chain<L>,
    standing: &Standing<'_>,
    owner: bool,
) -> Result<(), ChainError> {
    step(Step::Time, || chain.check_time(seconds(standing.now), CLOCK_LEEWAY_SECS))?;
    step(Step::Lifetime, || chain.check_lifetime(LIFETIME_MAX_SECS))?;
    if owner {
        return Ok(());
    }
    step(Step::Epoch, || chain.check_epoch(seconds(standing.epoch)))
}

/// Whether the signed metadata of a delegation say that `fact` is so.
pub(crate) fn says(link: &Delegation, fact: &str) -> bool {
    link.meta().is_some_and(|meta| meta.get(fact) == Some(&Ipld::Bool(true)))
}

pub(crate) fn seconds(at: Timestamp) -> ucan::Timestamp {
    ucan::Timestamp::from_secs(at.as_secs()).unwrap_or(ucan::Timestamp::MAX)
}
