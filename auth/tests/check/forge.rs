//! Chains and worlds for tests: keys are numbers.

use std::collections::{BTreeMap, BTreeSet};

use clankers_auth::{
    Args, Command, Counters, Denial, GrantSpec, Held, Revocations, Standing, Unreadable, Usage,
    VerifiedTokens, admit, mint,
};
use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::{
    Container, ContainerLimits, Delegation, DelegationBuilder, Did, Draft, Policy, Profile, SigningKey,
};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const DAY: u64 = 24 * 3600;
pub(crate) const WORKSPACE: &str = "w1";

pub(crate) fn seed(n: u8) -> [u8; 32] {
    [n; 32]
}

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&seed(n))
}

pub(crate) fn id(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

pub(crate) fn did(n: u8) -> Did {
    Did::from(&key(n))
}

pub(crate) fn later(secs: u64) -> Timestamp {
    NOW.plus_ms(secs * 1000)
}

pub(crate) fn secs(at: Timestamp) -> ucan::Timestamp {
    ucan::Timestamp::from_secs(at.as_secs()).unwrap()
}

/// What a node knows, in memory.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) revoked: BTreeSet<CidDigest>,
    /// Everything beneath these issuers.
    pub(crate) overflowed: BTreeSet<NodeId>,
    pub(crate) usage: BTreeMap<CidDigest, Usage>,
    pub(crate) revocations_unreadable: bool,
    pub(crate) counters_unreadable: bool,
}

impl Revocations for World {
    fn is_revoked(&self, cid: &CidDigest, above: &[NodeId]) -> Result<bool, Unreadable> {
        if self.revocations_unreadable {
            return Err(Unreadable("the disk is gone".into()));
        }
        Ok(self.revoked.contains(cid) || above.iter().any(|issuer| self.overflowed.contains(issuer)))
    }
}

impl Counters for World {
    fn usage(&self, cid: &CidDigest) -> Result<Usage, Unreadable> {
        if self.counters_unreadable {
            return Err(Unreadable("the disk is gone".into()));
        }
        Ok(self.usage.get(cid).copied().unwrap_or_default())
    }
}

impl World {
    pub(crate) fn at(&self, now: Timestamp) -> Standing<'_> {
        Standing { now, epoch: Timestamp(0), revocations: self, counters: self }
    }

    pub(crate) fn now(&self) -> Standing<'_> {
        self.at(NOW)
    }
}

/// Nothing revoked, nothing used.
pub(crate) fn calm() -> Standing<'static> {
    Standing::offline(NOW, Timestamp(0))
}

pub(crate) fn draft(subject: u8, to: u8, cmd: &str, nonce: u8) -> DelegationBuilder {
    Delegation::build(did(subject), did(to), ucan::Command::parse(cmd).unwrap(), &[nonce; 16])
        .not_before(secs(NOW))
        .expires(secs(later(DAY)))
}

pub(crate) fn signed(draft: DelegationBuilder, by: u8) -> Vec<u8> {
    draft.sign(&key(by), Profile::Strict).unwrap().bytes().to_vec()
}

/// A link about node 1, for a day.
pub(crate) fn link(from: u8, to: u8, policy: impl IntoIterator<Item = Draft>) -> Vec<u8> {
    let policy = Policy::build(policy, Profile::Strict).unwrap();
    signed(draft(1, to, "/", from ^ to.rotate_left(4)).policy(policy), from)
}

pub(crate) fn chain(links: &[Vec<u8>]) -> Vec<u8> {
    Container::new(links, &ContainerLimits::CHAIN).unwrap().to_bytes().unwrap()
}

pub(crate) fn digest(link: &[u8]) -> CidDigest {
    CidDigest(*ucan::Cid::of(link).digest())
}

/// Shown to node 1 by `remote`.
pub(crate) fn shown(standing: &Standing<'_>, remote: u8, token: &[u8]) -> Result<Held, Denial> {
    admit(standing, id(1), id(remote), token, &mut VerifiedTokens::default())
}

pub(crate) fn held(remote: u8, token: &[u8]) -> Held {
    shown(&calm(), remote, token).unwrap()
}

/// A grant from node 1 to node 2, for a day.
pub(crate) fn granted(spec: &GrantSpec) -> Vec<u8> {
    mint::grant(&seed(1), id(2), spec, NOW, DAY, [9; 16]).unwrap().to_bytes().unwrap()
}

/// All arguments of a command, filled in as an executor would.
pub(crate) fn full(command: Command) -> Args {
    use clankers_auth::Arg;
    let has = |arg| command.args().contains(&arg);
    let text = |arg, value: &str| has(arg).then(|| value.to_owned());
    Args {
        session: text(Arg::Session, "s1"),
        workspace: text(Arg::Workspace, WORKSPACE),
        path: text(Arg::Path, "src/main.rs"),
        tool: text(Arg::Tool, if command == Command::ShellExec { "bash" } else { "read" }),
        argv0: text(Arg::Argv0, "ls"),
        model: text(Arg::Model, "openai/small"),
        size: has(Arg::Size).then_some(10),
        ..Args::default()
    }
}

pub(crate) fn tool(name: &str, path: &str) -> Args {
    Args { tool: Some(name.into()), path: Some(path.into()), ..full(Command::ToolUse) }
}

/// Whether a grant allows this.
pub(crate) fn allows(spec: &GrantSpec, command: Command, args: &Args) -> bool {
    held(2, &granted(spec)).authorize(&calm(), command, args).is_ok()
}

/// So many cases. Seeds of failures are kept, but not of those that a step left out has brought about.
pub(crate) fn config(cases: u32) -> proptest::prelude::ProptestConfig {
    let mut config = proptest::prelude::ProptestConfig::with_cases(cases);
    if cfg!(clankers_mutation) {
        config.failure_persistence = None;
    }
    config
}
