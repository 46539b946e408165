//! Tokens for hostile and honest peers: whatever a key can sign, sensible or not.

use clankers_auth::{GrantSpec, mint};
use clankers_protocol::{NodeId, Timestamp};
use ucan::{Command, Container, ContainerLimits, Delegation, Did, Ipld, Policy, Profile, SigningKey};

/// A day (seconds).
pub const DAY: u64 = 24 * 3600;

/// The present time.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Fresh random bytes.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

/// The node id of the key with this seed.
#[must_use]
pub fn id_of(seed: &[u8; 32]) -> NodeId {
    mint::id_of(seed)
}

/// One link of a chain, to be bent at will. A day long, everything allowed, well signed, unless said otherwise.
#[derive(Debug, Clone)]
#[must_use]
pub struct Link {
    issuer: [u8; 32],
    subject: NodeId,
    audience: NodeId,
    command: String,
    policy: Policy,
    from_secs: u64,
    to_secs: u64,
    meta: Vec<(String, Ipld)>,
}

impl Link {
    /// The key with the seed `issuer` lets `audience` act for `subject`.
    pub fn new(issuer: [u8; 32], subject: NodeId, audience: NodeId) -> Self {
        let now = now().as_secs();
        Self {
            issuer,
            subject,
            audience,
            command: "/".into(),
            policy: Policy::any_args(),
            from_secs: now.saturating_sub(60),
            to_secs: now + DAY,
            meta: Vec::new(),
        }
    }

    /// Only this command and those beneath it.
    pub fn command(mut self, path: &str) -> Self {
        path.clone_into(&mut self.command);
        self
    }

    /// Only with arguments that fit this policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Valid from and to these times (seconds since 1970).
    pub fn valid(mut self, from_secs: u64, to_secs: u64) -> Self {
        (self.from_secs, self.to_secs) = (from_secs, to_secs);
        self
    }

    /// One more signed fact.
    pub fn meta(mut self, key: &str, value: Ipld) -> Self {
        self.meta.push((key.to_owned(), value));
        self
    }

    /// Its bytes: an envelope with a good signature of the issuer.
    ///
    /// # Panics
    /// When the specification forbids even to write it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let at = |secs| ucan::Timestamp::from_secs(secs).expect("a time that UCAN can say");
        let command = Command::parse(&self.command).expect("a command path");
        let (subject, audience) = (Did::from(self.subject.0), Did::from(self.audience.0));
        let mut link = Delegation::build(subject, audience, command, &random::<16>())
            .policy(self.policy.clone())
            .not_before(at(self.from_secs))
            .expires(at(self.to_secs));
        for (key, value) in &self.meta {
            link = link.meta(key, value.clone());
        }
        let signed = link.sign(&SigningKey::from_bytes(&self.issuer), Profile::Spec).expect("a signed link");
        signed.bytes().to_vec()
    }
}

/// A container with these tokens, in whatever order and number the container allows.
///
/// # Panics
/// When the container does not allow it.
#[must_use]
pub fn container<B: AsRef<[u8]>>(tokens: impl IntoIterator<Item = B>) -> Vec<u8> {
    let container = Container::new(tokens, &ContainerLimits::CHAIN).expect("a container of that many tokens");
    container.to_bytes().expect("a container of that many bytes")
}

/// A chain of honest links from `subject`'s seed through `seeds` to `audience`.
#[must_use]
pub fn chain(subject: [u8; 32], through: &[[u8; 32]], audience: NodeId) -> Vec<u8> {
    let root = id_of(&subject);
    let issuers: Vec<_> = std::iter::once(&subject).chain(through).collect();
    let audiences = through.iter().map(id_of).chain([audience]);
    container(issuers.iter().zip(audiences).map(|(issuer, to)| Link::new(**issuer, root, to).bytes()))
}

/// What the owner of the node with this seed shows when `run` is the key of their command line.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn owner_run(node_seed: &[u8; 32], run: NodeId) -> Vec<u8> {
    let chain = mint::for_run(node_seed, None, id_of(node_seed), run, now(), random()).expect("a run link");
    chain.to_bytes().expect("a chain")
}

/// A grant of the node with this seed, for a day.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn grant(node_seed: &[u8; 32], audience: NodeId, spec: &GrantSpec) -> Vec<u8> {
    let token = mint::grant(node_seed, audience, spec, now(), DAY, random()).expect("a grant");
    token.to_bytes().expect("a token")
}

#[cfg(test)]
mod tests {
    use clankers_auth::{Args, Standing, VerifiedTokens, admit};

    use super::*;

    #[test]
    fn honest_chains_pass_and_bent_ones_do_not() {
        let (node, a, b) = (random(), random(), random());
        let (me, guest) = (id_of(&node), id_of(&b));
        let judge = |chain: &[u8], remote| {
            let standing = Standing::offline(now(), Timestamp(0));
            admit(&standing, me, remote, chain, &mut VerifiedTokens::default())
        };
        let honest = chain(node, &[a], guest);
        let held = judge(&honest, guest).unwrap();
        let standing = Standing::offline(now(), Timestamp(0));
        assert!(held.authorize(&standing, clankers_auth::Command::NodeInfo, &Args::default()).is_ok());
        assert!(judge(&honest, id_of(&a)).is_err(), "shown by another");
        assert!(judge(&chain(a, &[], guest), guest).is_err(), "about another node");
        let forged = container([Link::new(a, me, guest).bytes()]);
        assert!(judge(&forged, guest).is_err(), "signed by a stranger");
        let old = container([Link::new(node, me, guest).valid(1000, 2000).bytes()]);
        assert!(judge(&old, guest).is_err(), "expired");
        assert!(judge(&owner_run(&node, guest), guest).unwrap().is_owner());
        assert!(judge(&grant(&node, guest, &GrantSpec::root()), guest).is_ok());
    }
}
