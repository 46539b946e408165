//! Teams: a team is a key, and a member is whom a chain of delegations leads to from it.
//!
//! | command | who has it |
//! |---|---|
//! | `/team/member` | a member |
//! | `/team` | an admin, who may invite as well |
//!
//! A right that one has can be passed on, so membership is more than its chain: every link above the last must be an
//! admin's. Without that, each member could bring in whomever they like. The node's own epoch says nothing about teams,
//! and a run of a command line is no member, whoever lends it their name.
//!
//! The chain is judged by the same steps as any other ([`crate::gate`]), with the team's key as its root. A member is
//! removed by revoking its link ([`crate::revoke`]).

mod removal;
mod sealed;

use clankers_protocol::{CidDigest, NodeId, TeamId, Timestamp, refusal::RefusalCode};
use ucan::{
    Chain, ChainError, Cid, Container, ContainerLimits, Delegation, Did, Ipld, Profile, SigningKey, Verified,
    chain::Link,
};

pub use removal::{Removal, Removals};
pub use sealed::{seal, sign, verify};

use crate::{
    denial::Denial,
    gate::{admit, check_time, is_run_link, says, seconds},
    limits::LIFETIME_MAX_SECS,
    mint::{self, Nonce, RENEW_META},
    standing::Standing,
    verified::VerifiedTokens,
    words::whole_chain,
};

/// What a member may: be one.
pub const MEMBER: &str = "/team/member";
/// What an admin may besides.
pub const INVITE: &str = "/team/invite";
/// What an admin is given: both.
const ADMIN: &str = "/team";

/// The signed fact of a membership that renews another: when the first of the line was written (Unix seconds).
pub const SINCE_META: &str = "since";

/// A membership that was judged good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Of which team.
    pub team: TeamId,
    /// Who.
    pub id: NodeId,
    /// It may invite others.
    pub admin: bool,
    /// Who invited it: the team's key, or an admin.
    pub inviter: NodeId,
    /// The link that makes it a member.
    pub leaf: CidDigest,
    /// Whoever wrote the last link writes it again, for as long, while this member is one.
    pub renews: bool,
    /// All links, root first: revoking any of them ends the membership.
    pub cids: Vec<CidDigest>,
    /// From whom to whom each link goes, and when it was written: root first.
    pub links: Vec<MemberLink>,
    /// When it ends.
    pub expires: Timestamp,
}

impl Member {
    /// What its renewal is: the same, and no newer.
    #[must_use]
    pub fn again(&self) -> Kind {
        let since = self.links.last().map_or(Timestamp(0), |leaf| leaf.since);
        Kind { admin: self.admin, renews: true, since: Some(since) }
    }
}

/// One link of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLink {
    /// Who wrote it.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when on it holds: when it was written, as its issuer's clock said; 0 when it does not say.
    pub issued: Timestamp,
    /// When the first of its line was written: the same, unless it renews another. What a removal is compared with: a renewal
    /// is written by a machine, which may not know what was removed meanwhile.
    pub since: Timestamp,
}

/// Why somebody is no member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMember {
    /// The chain is of no use.
    #[error("{0}")]
    Chain(#[from] Denial),
    /// A member who is no admin brought somebody in.
    #[error("it was invited by {0}, who may not invite: only admins of the team can")]
    Inviter(NodeId),
    /// Not a node but one run of a command line.
    #[error("a run of a command line is no member of a team")]
    Run,
    /// It is older than a removal by somebody who could have taken it back as well.
    #[error("{} was removed by {} at {}, and what was written before holds no longer", .0.member.short(), .0.by.short(), .0.at.rfc3339())]
    Removed(Removal),
}

impl NotMember {
    /// Whether it is a matter of dates alone: when the clock is another, it may well be a member.
    #[must_use]
    pub fn is_about_dates(&self) -> bool {
        matches!(self.code(), RefusalCode::Expired | RefusalCode::NotYetValid)
    }

    /// What the peer is told.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Chain(denial) => denial.code(),
            Self::Inviter(_) | Self::Run => RefusalCode::Unauthorized,
            Self::Removed(_) => RefusalCode::Revoked,
        }
    }
}

/// Why a membership cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TeamError {
    /// Nobody lives so long.
    #[error("a membership lasts at most 400 days, and at least a second")]
    Lifetime,
    /// It was given to somebody else.
    #[error("this membership is {0}'s, so only that node can invite with it")]
    NotMine(Did),
    /// A member who is no admin cannot invite.
    #[error("only an admin of the team can invite; ask one for an invite with --admin")]
    NotAdmin,
    /// It has what it would be given, or more.
    #[error("{0} is above you in this team already")]
    Circle(Did),
    /// Too many stand between.
    #[error(
        "the team's key is too far away: a membership has at most {0} links; let an admin nearer to it invite"
    )]
    Depth(usize),
    /// The own membership is of no use.
    #[error("this node's own membership is of no use: {0}")]
    Own(#[from] Denial),
    /// The delegation would be refused by its reader.
    #[error("the membership would be refused: {0}")]
    Build(#[from] ucan::BuildError),
    /// The chain would be refused by its reader.
    #[error("the chain would be refused: {0}")]
    Container(#[from] ucan::ContainerError),
    /// A command is malformed; does not occur.
    #[error("{0}")]
    Command(#[from] ucan::CommandError),
}

/// What kind of membership is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kind {
    /// It may invite others.
    pub admin: bool,
    /// It is written again, for as long, until its member is removed.
    pub renews: bool,
    /// It renews one that stands since then; none is what a person writes.
    pub since: Option<Timestamp>,
}

impl From<bool> for Kind {
    /// An admin's, or not; either ends when it says.
    fn from(admin: bool) -> Self {
        Self { admin, ..Self::default() }
    }
}

/// A membership that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The whole chain, a container in raw form.
    pub chain: Vec<u8>,
    /// The new link.
    pub leaf: CidDigest,
    /// When it ends.
    pub expires: Timestamp,
    /// It ends earlier than was asked, because the inviter's membership does.
    pub shortened: bool,
}

/// The team whose key has this seed.
#[must_use]
pub fn id_of(seed: &[u8; 32]) -> TeamId {
    TeamId(mint::id_of(seed).0)
}

/// A membership by the team's key itself: of the creator, or of whom the node that has the key invites.
///
/// # Errors
/// [`TeamError`] when it makes no sense.
pub fn found(
    team_seed: &[u8; 32],
    member: NodeId,
    kind: impl Into<Kind>,
    now: Timestamp,
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Issued, TeamError> {
    issue(team_seed, None, member, kind.into(), (now, lifetime_secs), nonce)
}

/// A membership by an admin: `seed` is its node's, `chain` its own membership. It lasts no longer than that.
///
/// # Errors
/// [`TeamError`] when the inviter may not, or it makes no sense.
pub fn invite(
    seed: &[u8; 32],
    chain: &[u8],
    member: NodeId,
    kind: impl Into<Kind>,
    now: Timestamp,
    lifetime_secs: u64,
    nonce: Nonce,
) -> Result<Issued, TeamError> {
    let chain = whole_chain(chain)?;
    let holder = *chain.leaf().payload().audience();
    if holder != Did::from(mint::id_of(seed).0) {
        return Err(TeamError::NotMine(holder));
    }
    chain.check_command(&ucan::Command::parse(INVITE)?).map_err(|_| TeamError::NotAdmin)?;
    check_time(&chain, &Standing::offline(now, Timestamp(0)), false).map_err(Denial::from)?;
    if chain.link_count() >= ucan::limits::CHAIN_LINKS {
        return Err(TeamError::Depth(ucan::limits::CHAIN_LINKS));
    }
    issue(seed, Some(&chain), member, kind.into(), (now, lifetime_secs), nonce)
}

fn issue(
    seed: &[u8; 32],
    above: Option<&Chain<Verified<Delegation>>>,
    member: NodeId,
    kind: Kind,
    (now, lifetime_secs): (Timestamp, u64),
    nonce: Nonce,
) -> Result<Issued, TeamError> {
    let key = SigningKey::from_bytes(seed);
    let (issuer, audience) = (Did::from(&key), Did::from(member.0));
    let links = || above.into_iter().flat_map(Chain::links);
    if issuer == audience || links().any(|link| *link.issuer() == audience) {
        return Err(TeamError::Circle(audience));
    }
    if lifetime_secs == 0 || lifetime_secs > LIFETIME_MAX_SECS {
        return Err(TeamError::Lifetime);
    }
    let ends = above.and_then(Chain::expires).unwrap_or(ucan::Timestamp::MAX);
    let left = ends.seconds_since(seconds(now)).max(1);
    let subject = above.map_or(issuer, |chain| *chain.root().payload().issuer());
    let command = ucan::Command::parse(if kind.admin { ADMIN } else { MEMBER })?;
    let expires = seconds(now).saturating_add(lifetime_secs.min(left));
    let draft = Delegation::build(subject, audience, command, &nonce);
    let draft = if kind.renews { draft.meta(RENEW_META, Ipld::Bool(true)) } else { draft };
    let draft = match kind.since {
        Some(since) => draft.meta(SINCE_META, Ipld::Integer(since.as_secs().into())),
        None => draft,
    };
    let link = draft.not_before(seconds(now)).expires(expires).sign(&key, Profile::Strict)?;
    let tokens = links().map(Link::bytes).chain([link.bytes()]);
    Ok(Issued {
        chain: Container::new(tokens, &ContainerLimits::CHAIN)?.to_bytes()?,
        leaf: CidDigest(*link.cid().digest()),
        expires: Timestamp::from_secs(expires.min(ends).as_secs()),
        shortened: lifetime_secs > left,
    })
}

/// Judges a membership: that this chain makes `member` one of `team`, now.
///
/// # Errors
/// [`NotMember`] for the first thing that is wrong.
pub fn judge(
    standing: &Standing<'_>,
    team: TeamId,
    member: NodeId,
    container: &[u8],
    verified: &mut VerifiedTokens,
) -> Result<Member, NotMember> {
    // The epoch withdraws what this node has issued, not what teams have.
    let standing = Standing { epoch: Timestamp(0), ..*standing };
    let held = admit(&standing, team.node(), member, container, verified)?;
    let chain = held.links();
    if chain.links().any(|link| is_run_link(link)) {
        return Err(NotMember::Run);
    }
    let command = |path| ucan::Command::parse(path).map_err(|_| Denial::NoProof);
    let (be, bring) = (command(MEMBER)?, command(INVITE)?);
    chain.check_command(&be).map_err(Denial::from)?;
    // Membership has no arguments: a link that asks for some allows nothing.
    chain.check_policy(&Ipld::Map(Default::default()), Profile::Strict).map_err(Denial::from)?;
    let above = chain.link_count().saturating_sub(1);
    if let Some(link) = chain.links().take(above).find(|link| !link.command().covers(&bring)) {
        return Err(NotMember::Inviter(node(link.audience())));
    }
    let leaf = chain.leaf().payload();
    Ok(Member {
        team,
        id: member,
        admin: leaf.command().covers(&bring),
        inviter: node(leaf.issuer()),
        renews: says(leaf, RENEW_META),
        leaf: held.leaf(),
        cids: held.cids().to_vec(),
        links: chain.links().map(|link| of_link(link)).collect(),
        expires: held.expires().unwrap_or(Timestamp(0)),
    })
}

/// Whose membership of which team a chain claims to be: before it is judged. Its form and signatures hold.
///
/// # Errors
/// [`Denial`] when it is no chain.
pub fn peek(container: &[u8]) -> Result<(TeamId, NodeId), Denial> {
    let chain = whole_chain(container)?;
    let team = node(chain.root().payload().issuer());
    Ok((TeamId(team.0), node(chain.leaf().payload().audience())))
}

/// Whether this one may end a membership by revoking its last link: who issued it, or a link above it.
#[must_use]
pub fn may_remove(container: &[u8], by: NodeId) -> bool {
    whole_chain(container).is_ok_and(|chain| {
        let leaf: Cid = *chain.leaf().cid();
        chain.may_revoke(&leaf, &Did::from(by.0))
    })
}

fn of_link(link: &Delegation) -> MemberLink {
    let issued = link.not_before().map_or(Timestamp(0), |from| Timestamp::from_secs(from.as_secs()));
    let since = match link.meta().and_then(|facts| facts.get(SINCE_META)) {
        None => issued,
        Some(Ipld::Integer(secs)) => {
            u64::try_from(*secs).map_or(Timestamp(0), Timestamp::from_secs).min(issued)
        }
        // Nobody can tell: then every removal ends it.
        Some(_) => Timestamp(0),
    };
    MemberLink { issuer: node(link.issuer()), audience: node(link.audience()), issued, since }
}

fn node(did: &Did) -> NodeId {
    NodeId((*did).into())
}

impl From<ChainError> for NotMember {
    fn from(error: ChainError) -> Self {
        Self::Chain(error.into())
    }
}
