//! Chains of delegations, from the root that the subject issued to the leaf.
//!
//! An authorizer asks the questions in an order of its choice; each is one method. A sensible
//! order is the one from cheap to dear: [`Chain::order`], [`Chain::check_subject`],
//! [`Chain::check_alignment`], [`Chain::check_time`], [`Chain::check_command`],
//! [`Chain::check_policy`], [`Chain::verify_signatures`]. Each costs time linear in the number of
//! links ([`Chain::order`]: n log n).
//!
//! Until [`Chain::verify_signatures`] has succeeded, all other answers are about claims that
//! nobody vouched for.

mod check;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use error::ChainError;

use crate::cid::Cid;
use crate::did::Did;
use crate::limits::CHAIN_LINKS;
use crate::token::delegation::Delegation;
use crate::token::{SignatureError, Unverified, Verified};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unverified<super::Delegation> {}
    impl Sealed for super::Verified<super::Delegation> {}
    impl<L: Sealed> Sealed for &L {}
    impl<L: Sealed> Sealed for std::sync::Arc<L> {}
    impl Sealed for super::Shown {}
}

/// A delegation as a link of a chain, verified or not yet.
pub trait Link: sealed::Sealed {
    /// What the link says.
    fn delegation(&self) -> &Delegation;
    /// The token's name.
    fn cid(&self) -> &Cid;
    /// The encoded token.
    fn bytes(&self) -> &[u8];
}

impl Link for Unverified<Delegation> {
    fn delegation(&self) -> &Delegation {
        self.claims()
    }
    fn cid(&self) -> &Cid {
        self.cid()
    }
    fn bytes(&self) -> &[u8] {
        self.bytes()
    }
}

impl Link for Verified<Delegation> {
    fn delegation(&self) -> &Delegation {
        self.payload()
    }
    fn cid(&self) -> &Cid {
        self.cid()
    }
    fn bytes(&self) -> &[u8] {
        self.bytes()
    }
}

impl<L: Link> Link for &L {
    fn delegation(&self) -> &Delegation {
        (**self).delegation()
    }
    fn cid(&self) -> &Cid {
        (**self).cid()
    }
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
}

impl<L: Link> Link for Arc<L> {
    fn delegation(&self) -> &Delegation {
        (**self).delegation()
    }
    fn cid(&self) -> &Cid {
        (**self).cid()
    }
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
}

/// A token as it was shown: one whose very bytes were decoded and verified before, or a new one.
///
/// A CID covers every byte of a token, signature included, so what these bytes decode to and that their
/// issuer signed them may be remembered by it. Nothing else may.
#[derive(Debug, Clone)]
pub enum Shown {
    /// Verified before.
    Before(Arc<Verified<Delegation>>),
    /// Decoded just now; nobody vouched for it yet.
    New(Box<Unverified<Delegation>>),
}

impl Link for Shown {
    fn delegation(&self) -> &Delegation {
        match self {
            Self::Before(token) => token.delegation(),
            Self::New(token) => token.claims(),
        }
    }
    fn cid(&self) -> &Cid {
        match self {
            Self::Before(token) => token.cid(),
            Self::New(token) => token.cid(),
        }
    }
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Before(token) => token.bytes(),
            Self::New(token) => token.bytes(),
        }
    }
}

impl Chain<Shown> {
    /// Checks the signatures of the tokens that are new.
    ///
    /// # Errors
    /// [`SignatureError`] for the first link, from the root, that its issuer did not sign.
    pub fn verify_new(self) -> Result<Chain<Arc<Verified<Delegation>>>, SignatureError> {
        let verify = |link: Shown| match link {
            Shown::Before(token) => Ok(token),
            Shown::New(token) => token.verify().map(Arc::new),
        };
        let root = verify(self.root)?;
        let below = self.below.into_iter().map(verify).collect::<Result<Vec<_>, _>>()?;
        Ok(Chain { root, below })
    }
}

/// Delegations in order from root to leaf, at least one and at most
/// [`CHAIN_LINKS`]. The order alone proves nothing: see the `check_*` methods.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain<L> {
    root: L,
    below: Vec<L>,
}

impl<L> Chain<L> {
    /// The number of links, at least one.
    pub const fn link_count(&self) -> usize {
        self.below.len().saturating_add(1)
    }

    /// The links from root to leaf.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = &L> {
        std::iter::once(&self.root).chain(&self.below)
    }

    /// The link that the subject issued.
    pub const fn root(&self) -> &L {
        &self.root
    }

    /// The last link.
    pub fn leaf(&self) -> &L {
        self.below.last().unwrap_or(&self.root)
    }

    /// The links from root to leaf, by value.
    pub fn into_links(self) -> Vec<L> {
        let mut links = vec![self.root];
        links.extend(self.below);
        links
    }

    fn from_vec(links: Vec<L>) -> Result<Self, ChainError> {
        if links.len() > CHAIN_LINKS {
            return Err(ChainError::TooLong { found: links.len(), limit: CHAIN_LINKS });
        }
        let mut links = links.into_iter();
        let root = links.next().ok_or(ChainError::Empty)?;
        Ok(Self { root, below: links.collect() })
    }
}

impl<L: Link> Chain<L> {
    /// Takes links that are in order already, root first, as an invocation lists them.
    ///
    /// # Errors
    /// [`ChainError::Empty`], [`ChainError::TooLong`], [`ChainError::Duplicate`].
    pub fn from_root_first(links: Vec<L>) -> Result<Self, ChainError> {
        let chain = Self::from_vec(links)?;
        chain.refuse_duplicates()?;
        Ok(chain)
    }

    /// Puts a set of delegations in order, root to leaf, by issuer and audience.
    ///
    /// There must be exactly one order, and it must use every delegation once: nothing missing,
    /// surplus or twice, no fork, no loop.
    ///
    /// # Errors
    /// [`ChainError`] with what stands in the way.
    pub fn order(links: Vec<L>) -> Result<Self, ChainError> {
        let unordered = Self::from_vec(links)?;
        unordered.refuse_duplicates()?;
        let mut audiences = BTreeSet::new();
        let mut by_issuer = BTreeMap::new();
        let mut issuers = Vec::with_capacity(unordered.link_count());
        for link in unordered.into_links() {
            let (issuer, audience) = (*link.delegation().issuer(), *link.delegation().audience());
            if !audiences.insert(audience) {
                return Err(ChainError::Fork { principal: audience });
            }
            if by_issuer.insert(issuer, link).is_some() {
                return Err(ChainError::Fork { principal: issuer });
            }
            issuers.push(issuer);
        }
        let mut tops = issuers.iter().filter(|issuer| !audiences.contains(issuer));
        let mut next = match (tops.next(), tops.next()) {
            (Some(top), None) => *top,
            (Some(_), Some(second)) => return Err(ChainError::Disconnected { principal: *second }),
            (None, _) => {
                return Err(issuers
                    .first()
                    .map_or(ChainError::Empty, |did| ChainError::Loop { principal: *did }));
            }
        };
        let mut ordered = Vec::with_capacity(issuers.len());
        while let Some(link) = by_issuer.remove(&next) {
            next = *link.delegation().audience();
            ordered.push(link);
        }
        match by_issuer.into_keys().next() {
            // One top and something left over: what is left runs in a circle.
            Some(principal) => Err(ChainError::Loop { principal }),
            None => Self::from_vec(ordered),
        }
    }

    /// The names of the links, root first.
    pub fn cids(&self) -> impl DoubleEndedIterator<Item = &Cid> {
        self.links().map(Link::cid)
    }

    /// Who may revoke the link `cid` of this chain: its issuer and every issuer above it.
    pub fn may_revoke(&self, cid: &Cid, revoker: &Did) -> bool {
        let mut seen = false;
        for link in self.links() {
            seen |= link.delegation().issuer() == revoker;
            if link.cid() == cid {
                return seen;
            }
        }
        false
    }

    /// The part of the chain from the root to the link `cid`, when it has it.
    pub fn up_to(&self, cid: &Cid) -> Option<Chain<&L>> {
        let position = self.cids().position(|found| found == cid)?;
        Chain::from_vec(self.links().take(position.saturating_add(1)).collect()).ok()
    }

    fn refuse_duplicates(&self) -> Result<(), ChainError> {
        let mut seen = BTreeSet::new();
        match self.cids().find(|cid| !seen.insert(**cid)) {
            Some(cid) => Err(ChainError::Duplicate { cid: *cid }),
            None => Ok(()),
        }
    }
}

impl Chain<Unverified<Delegation>> {
    /// Checks every link's signature, but of those of which `already_verified` knows that it was
    /// checked before (see [`Unverified::verify_unless`] for what may be remembered).
    ///
    /// # Errors
    /// [`SignatureError`] for the first link, from the root, that its issuer did not sign.
    pub fn verify_signatures(
        self,
        mut already_verified: impl FnMut(&Cid) -> bool,
    ) -> Result<Chain<Verified<Delegation>>, SignatureError> {
        let root = self.root.verify_unless(&mut already_verified)?;
        let below = self
            .below
            .into_iter()
            .map(|link| link.verify_unless(&mut already_verified))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Chain { root, below })
    }
}
