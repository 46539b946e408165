//! Memberships that are to renew themselves do: from half of its life on, a member asks whoever invited it for another of the same kind and
//! length. It is asked for with the words by which members show that they belong together, so it costs no request of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clankers_auth::team::Member;
use clankers_client::ClientError;
use clankers_protocol::{
    NodeId, Timestamp,
    message::Ext,
    request::team::{TeamShow, TeamShown},
};
use clankers_store::StoreError;

use super::{Team, invite::InviteFault, work::MeetFault};
use crate::{
    authority::audit::About,
    clock,
    hall::Hall,
    limits::{TEAM_ANSWER, TEAM_MEET, TEAM_RENEW_MAX, TEAM_RENEW_MIN},
};

/// Number of an `ext` value of `TeamShow`: the membership is past half of its life; the asker would like another.
pub(crate) const EXT_RENEW: u16 = 2;

/// Number of an `ext` value of `TeamShown`: that other membership.
pub(crate) const EXT_RENEWED: u16 = 1;

/// Why there is no new membership.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewFault {
    #[error(transparent)]
    Meet(#[from] MeetFault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Invite(#[from] InviteFault),
    #[error("a membership was not written: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error("it does not give another one yet, or not to this node")]
    NotGiven,
    #[error("what it gives is not a longer membership of the same kind by the same inviter")]
    Other,
}

impl From<ClientError> for RenewFault {
    fn from(error: ClientError) -> Self {
        Self::Meet(error.into())
    }
}

/// How long a membership lasts in all, and how much of that is left (milliseconds).
fn life(member: &Member, now: Timestamp) -> (u64, u64) {
    let issued = member.links.last().map_or(Timestamp(0), |leaf| leaf.issued);
    (member.expires.since(issued), member.expires.since(now))
}

/// Whether it is past half of its life.
fn is_due(member: &Member, now: Timestamp) -> bool {
    let (length, left) = life(member, now);
    left <= length / 2
}

/// Whether it is to renew itself, and nobody has done that although there was time enough.
pub(crate) fn is_overdue(member: &Member, now: Timestamp) -> bool {
    let (length, left) = life(member, now);
    member.renews && left < length / 7
}

fn inviter(member: &Member) -> Option<NodeId> {
    member.links.last().map(|leaf| leaf.issuer)
}

/// When this node asks for another membership, and whom.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    own: Option<(Arc<Vec<u8>>, Member)>,
    /// Not before then.
    next: Option<Instant>,
    asked: Option<NodeId>,
    warned: bool,
}

impl Renewal {
    /// Whom to ask now, if anybody: the inviter, or one admin after the other, of whom one has the team's key. `there`: the
    /// admins that are. This node itself when it has what it takes.
    pub(super) fn due(
        &mut self,
        team: &Team,
        me: NodeId,
        there: impl FnOnce() -> Vec<NodeId>,
    ) -> Option<NodeId> {
        if self.next.is_some_and(|next| next > Instant::now()) {
            return None;
        }
        let chain = team.chain();
        if !self.own.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, &chain)) {
            self.own = team.roll.judge(me, &chain).ok().map(|own| (chain, own));
            self.warned = false;
        }
        let (_, own) = self.own.as_ref()?;
        let now = clock::now();
        let (length, left) = life(own, now);
        let pause = Duration::from_millis(left / 16).clamp(TEAM_RENEW_MIN, TEAM_RENEW_MAX);
        self.next = Some(Instant::now() + pause);
        if !is_due(own, now) {
            return None;
        }
        if left < length / 7 && !std::mem::replace(&mut self.warned, true) {
            let (team, ends) = (team.id.short(), own.expires.rfc3339());
            tracing::warn!(%team, ends, "this node's membership ends soon, and nobody renews it; ask for a new invite");
        }
        if !own.renews {
            return None;
        }
        let by = inviter(own)?;
        if team.roll.is_ours(by) {
            return Some(me);
        }
        let there = there();
        if by != own.team.node() {
            return there.contains(&by).then_some(by);
        }
        let after = there.iter().find(|id| self.asked.is_none_or(|asked| **id > asked));
        self.asked = after.or(there.first()).copied();
        self.asked
    }
}

impl Hall {
    /// Another membership for somebody whose own, which was judged good, is past half of its life and was written by this
    /// node, or by the team's key, which lies here. Nobody is given a second one for the same.
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        team: &Arc<Team>,
        member: NodeId,
        chain: &[u8],
    ) -> Option<Vec<u8>> {
        match self.write_again(team, member, chain).await {
            Ok(chain) => Some(chain),
            Err(error) => {
                tracing::debug!(member = %member.short(), team = %team.id.short(), %error, "no new membership");
                None
            }
        }
    }

    async fn write_again(
        self: &Arc<Self>,
        team: &Arc<Team>,
        member: NodeId,
        chain: &[u8],
    ) -> Result<Vec<u8>, RenewFault> {
        let _one_at_a_time = self.teams.giving.lock().await;
        let shown = team.roll.judge(member, chain).map_err(MeetFault::from)?;
        if let Some(given) = team.roll.member(member).filter(|known| known.expires > shown.expires)
            && inviter(&given) == inviter(&shown)
            && let Some(chain) = team.roll.chain(member)
        {
            return Ok(chain.to_vec());
        }
        let ours = inviter(&shown).is_some_and(|by| team.roll.is_ours(by));
        if !ours || !shown.renews || !is_due(&shown, clock::now()) {
            return Err(RenewFault::NotGiven);
        }
        let id = team.id;
        let kept = self.with_store(move |store| store.teams().get(id)).await??.ok_or(RenewFault::NotGiven)?;
        let (hall, kind) = (Arc::clone(self), shown.again());
        let secs = life(&shown, clock::now()).0 / 1_000;
        let issued = tokio::task::spawn_blocking(move || hall.issue_membership(&kept, member, kind, secs));
        let issued = issued.await??;
        // It ends with the inviter's own: then there is no use in another.
        if issued.expires <= shown.expires {
            return Err(RenewFault::NotGiven);
        }
        if member != self.id {
            team.roll.enter(member, &issued.chain).map_err(MeetFault::from)?;
            let chain = issued.chain.clone();
            self.with_store(move |store| store.teams().remember(id, member, |row| row.take_chain(&chain)))
                .await??;
        }
        let texts = [("team", team.id.to_string()), ("member", member.to_string())];
        let args = texts.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        let about = About { command: "team renew", args, ..About::default() };
        self.context.authority.audit.note(self.id, about, None);
        Ok(issued.chain)
    }

    /// Asks for another membership, and takes it.
    pub(super) async fn renew_at(self: &Arc<Self>, team: &Arc<Team>, peer: NodeId) -> Result<(), RenewFault> {
        let own = team.chain();
        let chain = if peer == self.id {
            self.write_again(team, peer, &own).await?
        } else {
            let link = self.link(peer, TEAM_MEET).await.map_err(MeetFault::from)?;
            let ext = Ext(vec![(EXT_RENEW, Vec::new())]);
            let show = TeamShow { team: team.id, chain: own.to_vec(), ext };
            let shown: TeamShown = link.ask_within(&show, TEAM_ANSWER).await?;
            team.roll.shown(peer, &shown.chain).map_err(MeetFault::from)?;
            shown.ext.get(EXT_RENEWED).ok_or(RenewFault::NotGiven)?.to_vec()
        };
        let old = team.roll.judge(self.id, &own).map_err(MeetFault::from)?;
        let new = team.roll.judge(self.id, &chain).map_err(MeetFault::from)?;
        let by_key = inviter(&new) == Some(team.id.node());
        let same = new.admin == old.admin && (by_key || inviter(&new) == inviter(&old));
        if !same || new.expires <= old.expires {
            return Err(RenewFault::Other);
        }
        let (id, row) = (team.id, chain.clone());
        self.with_store(move |store| match store.teams().get(id)? {
            Some(kept) => store.teams().put(&clankers_store::KeptTeam { chain: row, ..kept }),
            None => Ok(()),
        })
        .await??;
        team.set_chain(chain);
        tracing::info!(team = %team.id.short(), until = new.expires.rfc3339(), "the membership was renewed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clankers_auth::team::MemberLink;
    use clankers_protocol::{CidDigest, TeamId};

    use super::*;

    #[test]
    fn a_membership_is_renewed_from_half_of_its_life_on() {
        let (by, id) = (NodeId([1; 32]), NodeId([2; 32]));
        let (issued, expires) = (Timestamp(1_000_000), Timestamp(2_000_000));
        let member = Member {
            team: TeamId([3; 32]),
            id,
            admin: false,
            inviter: by,
            renews: true,
            leaf: CidDigest([0; 32]),
            cids: Vec::new(),
            links: vec![MemberLink { issuer: by, audience: id, issued, since: Timestamp(0) }],
            expires,
        };
        assert!(!is_due(&member, Timestamp(1_499_999)));
        assert!(is_due(&member, Timestamp(1_500_000)) && is_due(&member, expires));
        assert_eq!(life(&member, Timestamp(1_600_000)), (1_000_000, 400_000));
        assert!(!is_overdue(&member, Timestamp(1_850_000)) && is_overdue(&member, Timestamp(1_860_000)));
        assert!(!is_overdue(&Member { renews: false, ..member }, expires));
    }
}
