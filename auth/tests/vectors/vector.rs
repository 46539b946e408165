//! One vector: a token in a situation, and what is to come of it. Told in JSON, so that anybody can read it.

use std::collections::{BTreeMap, BTreeSet};

use clankers_auth::{
    Args, Asks, Command, Counters, Denial, Held, Revocations, Standing, Unreadable, Usage, VerifiedTokens,
    admit, invocation, revoke,
    step::Step,
    words::{cid_text, parse_cid},
};
use clankers_protocol::{CidDigest, NodeId, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use ucan::Did;

use crate::forge::{NOW, digest, id};

/// What is done with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Judge {
    /// A chain is shown.
    Chain,
    /// A request under a chain that was shown.
    Request,
    /// An effect of what was started under it.
    Effect,
    /// A signed request.
    Invocation,
    /// A revocation.
    Revocation,
}

/// What is to come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expect {
    /// It is allowed.
    Allowed,
    /// It is refused, for this reason.
    Refused {
        /// The step of the check that refuses.
        step: String,
        /// The variants of the denial, from the outside in.
        denial: String,
        /// What the peer is told.
        code: String,
    },
}

/// What was used of a link, or is asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amounts {
    pub(crate) spent_nano_usd: u64,
    pub(crate) tokens: u64,
    pub(crate) per_min: u64,
    pub(crate) concurrent: u64,
}

/// The arguments of a request.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Arguments {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) texts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asks: Option<Amounts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) judge: Judge,
    /// The node that judges.
    me: String,
    /// Whose connection it is.
    remote: String,
    /// When the chain was shown (milliseconds since 1970), for requests and effects.
    shown_ms: u64,
    now_ms: u64,
    epoch_ms: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    revoked: BTreeSet<String>,
    /// Issuers of so many revocations that all beneath them is denied.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    overflowed: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    used: BTreeMap<String, Amounts>,
    /// Stores that cannot be read: `revocations`, `counters`, `replay`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unreadable: BTreeSet<String>,
    /// Invocations that were carried out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    seen: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(default)]
    args: Arguments,
    pub(crate) expect: Expect,
    /// base64url without padding.
    pub(crate) bytes: String,
}

fn did(node: NodeId) -> String {
    Did::from(node.0).to_string()
}

fn node(did: &str) -> NodeId {
    NodeId(did.parse::<Did>().unwrap().into())
}

impl Vector {
    /// Bytes that peer 2 shows to node 1 now.
    pub(crate) fn new(judge: Judge, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.into(),
            judge,
            me: did(id(1)),
            remote: did(id(2)),
            shown_ms: NOW.0,
            now_ms: NOW.0,
            epoch_ms: 0,
            revoked: BTreeSet::new(),
            overflowed: BTreeSet::new(),
            used: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            seen: BTreeSet::new(),
            command: None,
            args: Arguments::default(),
            expect: Expect::Allowed,
            bytes: BASE64URL_NOPAD.encode(bytes.as_ref()),
        }
    }

    /// Another peer shows it.
    pub(crate) fn by(mut self, remote: u8) -> Self {
        self.remote = did(id(remote));
        self
    }

    /// Another node judges.
    pub(crate) fn at_node(mut self, me: u8) -> Self {
        self.me = did(id(me));
        self
    }

    /// So many milliseconds later, or earlier.
    pub(crate) fn after_ms(mut self, ms: i64) -> Self {
        self.now_ms = self.now_ms.checked_add_signed(ms).unwrap();
        self
    }

    /// All links from before so many seconds after now are withdrawn.
    pub(crate) fn epoch_in(mut self, secs: u64) -> Self {
        self.epoch_ms = NOW.plus_ms(secs * 1000).0;
        self
    }

    pub(crate) fn revoked(mut self, link: &[u8]) -> Self {
        self.revoked.insert(cid_text(&digest(link)));
        self
    }

    pub(crate) fn overflowed(mut self, issuer: u8) -> Self {
        self.overflowed.insert(did(id(issuer)));
        self
    }

    pub(crate) fn used(mut self, link: &[u8], amounts: Amounts) -> Self {
        self.used.insert(cid_text(&digest(link)), amounts);
        self
    }

    pub(crate) fn unreadable(mut self, store: &str) -> Self {
        self.unreadable.insert(store.to_owned());
        self
    }

    pub(crate) fn seen(mut self, token: &[u8]) -> Self {
        self.seen.insert(cid_text(&digest(token)));
        self
    }

    /// What is asked under the chain.
    pub(crate) fn asks(mut self, command: Command, texts: &[(&str, &str)]) -> Self {
        self.command = Some(command.path().to_owned());
        self.args.texts = texts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self
    }

    pub(crate) fn size(mut self, bytes: u64) -> Self {
        self.args.size = Some(bytes);
        self
    }

    pub(crate) fn asking(mut self, amounts: Amounts) -> Self {
        self.args.asks = Some(amounts);
        self
    }

    pub(crate) fn refused(mut self, step: Step, denial: &str, code: &str) -> Self {
        self.expect = Expect::Refused { step: step.name().into(), denial: denial.into(), code: code.into() };
        self
    }

    fn args(&self) -> Args {
        let text = |name: &str| self.args.texts.get(name).cloned();
        let known = ["session", "workspace", "path", "tool", "argv0", "model"];
        assert!(self.args.texts.keys().all(|name| known.contains(&name.as_str())), "{}", self.name);
        let asks = self.args.asks.unwrap_or_default();
        Args {
            session: text("session"),
            workspace: text("workspace"),
            path: text("path"),
            tool: text("tool"),
            argv0: text("argv0"),
            model: text("model"),
            size: self.args.size,
            asks: Asks {
                spend_nano_usd: asks.spent_nano_usd,
                tokens: asks.tokens,
                starts: asks.per_min,
                bytes: 0,
            },
        }
    }

    fn standing<'a>(&self, world: &'a World<'a>) -> Standing<'a> {
        Standing {
            now: Timestamp(self.now_ms),
            epoch: Timestamp(self.epoch_ms),
            revocations: world,
            counters: world,
        }
    }

    /// The token, as it is shown.
    pub(crate) fn token(&self) -> Vec<u8> {
        BASE64URL_NOPAD.decode(self.bytes.as_bytes()).unwrap()
    }

    /// Does what the vector says.
    pub(crate) fn judge(&self, token: &[u8]) -> Result<(), Denial> {
        let (me, remote) = (node(&self.me), node(&self.remote));
        let world = World(self);
        let standing = self.standing(&world);
        let shown = |standing: &Standing<'_>| -> Result<Held, Denial> {
            admit(standing, me, remote, token, &mut VerifiedTokens::default())
        };
        let before = Standing::offline(Timestamp(self.shown_ms), Timestamp(0));
        let command = || Command::from_path(self.command.as_deref().unwrap_or_default()).unwrap();
        match self.judge {
            Judge::Chain => shown(&standing).map(drop),
            Judge::Request => shown(&before)?.authorize(&standing, command(), &self.args()).map(drop),
            Judge::Effect => shown(&before)?.authorize_running(&standing, command(), &self.args()),
            Judge::Invocation => {
                let mut replay = |cid: CidDigest, _: Timestamp| match self.unreadable.contains("replay") {
                    true => Err(Unreadable("the disk is gone".into())),
                    false => Ok(!self.seen.contains(&cid_text(&cid))),
                };
                invocation::admit(&standing, me, token, &mut replay).map(drop)
            }
            Judge::Revocation => revoke::judge(token, standing.now).map(drop),
        }
    }
}

/// What the node knows in the situation of a vector.
struct World<'a>(&'a Vector);

impl Revocations for World<'_> {
    fn is_revoked(&self, cid: &CidDigest, above: &[NodeId]) -> Result<bool, Unreadable> {
        if self.0.unreadable.contains("revocations") {
            return Err(Unreadable("the disk is gone".into()));
        }
        let overflowed = |issuer: &NodeId| self.0.overflowed.contains(&did(*issuer));
        Ok(self.0.revoked.iter().any(|text| parse_cid(text) == Some(*cid)) || above.iter().any(overflowed))
    }
}

impl Counters for World<'_> {
    fn usage(&self, cid: &CidDigest) -> Result<Usage, Unreadable> {
        if self.0.unreadable.contains("counters") {
            return Err(Unreadable("the disk is gone".into()));
        }
        let used = self.0.used.get(&cid_text(cid)).copied().unwrap_or_default();
        Ok(Usage {
            spent_nano_usd: used.spent_nano_usd,
            tokens_used: used.tokens,
            per_min: used.per_min,
            concurrent: used.concurrent,
            received_bytes: 0,
        })
    }
}
