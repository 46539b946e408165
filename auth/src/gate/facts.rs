//! What is found out about a chain once, when it is shown, and asked at every use.

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{Chain, Delegation, Policy, Profile, chain::Link};

use super::{Links, Metered, check_command, context, says};
use crate::{
    denial::Denial,
    limits::{CLOCK_LEEWAY_SECS, RUN_LINK_SECS},
    mint::RUN_LINK_META,
    preset::named_paths,
    standing::Standing,
    step::{Step, step},
    vocab::{Args, Command},
};

/// A chain, and what follows from its bytes alone.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) chain: Links,
    /// The links that outlive a request: all but a run link. None for the owner's own run.
    pub(super) lasting: Option<Links>,
    pub(super) principal: NodeId,
    pub(super) owner: bool,
    pub(super) cids: Vec<CidDigest>,
    /// The issuers, root first.
    issuers: Vec<NodeId>,
    /// What each link's policy asks, root first.
    asks: Vec<PolicyAsks>,
    pub(super) metered: Vec<Metered>,
    /// Some link's policy asks what came here, in whatever way.
    pub(super) counts_files: bool,
    /// Some link's policy speaks of paths.
    pub(super) path_scoped: bool,
    /// Paths that policies name.
    pub(super) paths: Vec<String>,
    /// The root's policy speaks of sessions.
    root_speaks_of_sessions: bool,
}

/// What one link's policy asks beyond the arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct PolicyAsks {
    pub(super) context: bool,
    pub(super) depth: bool,
    pub(super) usage: bool,
}

/// The parts of `ctx` that are counted.
const COUNTED: &[&str] = &["spent_nano_usd", "tokens_used", "per_min", "concurrent", "received_bytes"];

impl PolicyAsks {
    fn of(policy: &Policy) -> Self {
        let context = policy.speaks_of(&["ctx"]);
        Self {
            context,
            depth: context && policy.speaks_of(&["ctx", "depth"]),
            usage: context && COUNTED.iter().any(|name| policy.speaks_of(&["ctx", name])),
        }
    }
}

impl Facts {
    pub(super) fn new(chain: Links, me: NodeId) -> Self {
        let node = |did: &ucan::Did| NodeId((*did).into());
        let leaf = chain.leaf().payload();
        let run = is_run_link(leaf);
        let principal = node(if run { leaf.issuer() } else { leaf.audience() });
        let owner = is_own_run(&chain, me);
        let keep = chain.link_count().saturating_sub(usize::from(run));
        let asks: Vec<_> = chain.links().map(|link| PolicyAsks::of(link.policy())).collect();
        let cids: Vec<_> = chain.cids().map(|cid| CidDigest(*cid.digest())).collect();
        let metered = chain.links().zip(&cids).zip(&asks).take(keep).filter(|(_, asks)| asks.usage);
        let metered = metered.map(|((link, cid), _)| Metered {
            cid: *cid,
            expires: Timestamp::from_secs(link.expires().map_or(u64::MAX, ucan::Timestamp::as_secs)),
        });
        let metered = metered.collect();
        let counts_files =
            chain.links().take(keep).any(|link| link.policy().speaks_of(&["ctx", "received_bytes"]));
        let path_scoped = chain.links().any(|link| link.policy().speaks_of(&["path"]));
        Self {
            metered,
            counts_files,
            lasting: Chain::from_root_first(chain.links().take(keep).cloned().collect()).ok(),
            issuers: chain.links().map(|link| node(link.issuer())).collect(),
            path_scoped,
            paths: named_paths(chain.links().map(|link| link.policy())),
            root_speaks_of_sessions: chain.root().policy().speaks_of(&["session"]),
            principal,
            owner,
            cids,
            asks,
            chain,
        }
    }

    /// Step 8, of the first `count` links. The owner's own run is not asked about: there is nobody above it who
    /// could revoke it, and the owner must be able to mend a node that cannot read its records.
    pub(super) fn check_revoked(&self, count: usize, standing: &Standing<'_>) -> Result<(), Denial> {
        if self.owner {
            return Ok(());
        }
        step(Step::Revocations, || {
            for ((place, cid), token) in self.cids.iter().enumerate().zip(self.chain.links()).take(count) {
                let expired = token.expires().unwrap_or(ucan::Timestamp::MAX);
                let end = Timestamp::from_secs(expired.as_secs());
                if standing.revocations.is_forgotten(end)? {
                    return Err(Denial::Forgotten(place, end.rfc3339()));
                }
                let above = self.issuers.get(..=place).unwrap_or(&self.issuers);
                if standing.revocations.is_revoked(cid, above)? {
                    return Err(Denial::Revoked(*cid));
                }
            }
            Ok(())
        })
    }

    /// Steps 6 and 9: every link's policy, with what that link asks of the context.
    pub(super) fn check_policies(
        &self,
        standing: &Standing<'_>,
        command: Command,
        args: &Args,
    ) -> Result<(), Denial> {
        let plain = context::ipld(command, args);
        let lasting = self.lasting.as_ref().map_or(0, Chain::link_count);
        for (link, ((token, asks), cid)) in self.chain.links().zip(&self.asks).zip(&self.cids).enumerate() {
            let policy = token.policy();
            if asks.context {
                // Links below this one, the run link aside.
                let below = lasting.saturating_sub(link.saturating_add(1));
                let place = context::Place { link, cid: *cid, below, asks: *asks };
                context::judge(policy, &plain, &place, standing, args.asks)?;
            } else {
                let judged = policy.evaluate(&plain, Profile::Strict);
                judged.map_err(|denial| ucan::ChainError::Policy { link, denial })?;
            }
        }
        Ok(())
    }

    pub(super) fn names_session(&self, session: &str) -> bool {
        if !self.root_speaks_of_sessions {
            return false;
        }
        let root = self.chain.root();
        let Ok(root) = Chain::from_root_first(vec![root]) else { return false };
        let accepts = |session: Option<&str>| {
            let args = Args { session: session.map(str::to_owned), ..Args::default() };
            let args = context::unused(context::ipld(Command::Observe, &args));
            root.check_policy(&args, Profile::Strict).is_ok()
        };
        check_command(&root, Command::Observe.path()).is_ok() && accepts(Some(session)) && !accepts(None)
    }
}

/// Whether this is the owner: a single run link that the node's own key signed.
pub(super) fn is_own_run<L: Link>(chain: &Chain<L>, me: NodeId) -> bool {
    let root = chain.root().delegation();
    chain.link_count() == 1 && is_run_link(root) && *root.issuer() == ucan::Did::from(me.0)
}

/// A run link lives at most ten minutes, says that it is one, and narrows nothing. The mark is signed by the
/// issuer, who thereby lends their own name to the run: it can give away nothing but the signer's.
pub(crate) fn is_run_link(link: &Delegation) -> bool {
    let short = match (link.not_before(), link.expires()) {
        (Some(from), Some(to)) => to.seconds_since(from) <= RUN_LINK_SECS + CLOCK_LEEWAY_SECS,
        _ => false,
    };
    short && says(link, RUN_LINK_META) && link.policy().is_empty()
}
