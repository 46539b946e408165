//! What is remembered of a team's members: for the next start, and for those who look while the team does not run.

use std::sync::Arc;

use clankers_auth::team;
use clankers_protocol::{
    NodeId, Timestamp, healer, peering,
    presence::{self, Noted},
    spread,
};
use clankers_store::{KeptMember, Parting, StoreError};

use super::{super::work::Done, Task, feed::Feed};
use crate::clock;

/// What the store has of a team.
type Remembered = (Vec<(NodeId, KeptMember)>, Vec<Noted>);

impl Task {
    pub(super) async fn remembered(&self) -> Result<Remembered, StoreError> {
        let team = self.team.id;
        self.hall
            .with_store(move |store| {
                let members = store.teams().members(team)?;
                let mut revoked = Vec::new();
                for cid in store.revocations().cids(team.node(), clock::now())? {
                    let row = store.revocations().get(&cid)?;
                    revoked.extend(row.map(|row| Noted { cid, subject: row.subject, expires: row.expires }));
                }
                Ok((members, revoked))
            })
            .await?
    }

    /// A member of before: whoever proves to be one still, and whom an invite named as a bootstrap.
    pub(super) async fn remember(&mut self, id: NodeId, kept: &KeptMember) {
        if kept.parting == Some(Parting::Removed) {
            return;
        }
        // All of them: the one that was written last is what it shows.
        let entered = kept.chains.iter().filter(|chain| self.team.roll.enter(id, chain).is_ok()).count() > 0;
        if kept.parting == Some(Parting::Left) {
            return;
        }
        if entered {
            self.meet_members(&[id]).await;
        } else if kept.chains.is_empty() {
            // A bootstrap, vouched for by whoever invited this node: it still has to show its membership.
            self.feed(Feed::Peering(peering::Input::Member(id))).await;
            self.feed(Feed::Healer(healer::Input::Remember(id))).await;
        }
    }

    /// What a member's place among the remembered is changed to.
    pub(super) fn note_news(&mut self) {
        let team = self.team.id;
        let mut news = Vec::new();
        for id in std::mem::take(&mut self.news) {
            let Some(seen) = self.presence.seen(id) else { continue };
            let record = seen.record.map(|record| self.usable(record));
            news.push((id, self.team.roll.chain(id), record, seen.heard, seen.standing));
        }
        if news.is_empty() {
            return;
        }
        let (hall, roll) = (Arc::clone(&self.hall), Arc::clone(&self.team.roll));
        self.jobs.spawn(async move {
            let done = hall.with_store(move |store| {
                for (id, chain, record, heard, standing) in news {
                    // Removed a moment ago: that stands, whatever it said before.
                    if !roll.is_member(id) {
                        continue;
                    }
                    store.teams().remember(team, id, |kept| {
                        chain.iter().for_each(|chain| kept.take_chain(chain));
                        kept.last_seen = heard.unwrap_or(Timestamp(kept.last_seen)).0;
                        let left = standing == presence::Standing::Left;
                        kept.parting = left.then_some(Parting::Left);
                        if let Some(record) = record.filter(|record| !record.leaving) {
                            kept.addrs = record.addrs.iter().map(ToString::to_string).collect();
                            kept.addrs.truncate(clankers_store::limits::PEER_ADDRESSES);
                            (kept.relay, kept.label) = (record.relay, record.label);
                            kept.version = Some(record.version);
                        }
                    })?;
                }
                Ok::<_, StoreError>(())
            });
            if let Ok(Err(error)) | Err(error) = done.await {
                tracing::warn!(%error, "what members say was not remembered");
            }
            Done::Nothing
        });
    }

    /// Somebody is no member any more.
    pub(super) async fn removed(&mut self, id: NodeId, why: &team::NotMember) {
        if id == self.hall.id {
            tracing::warn!(team = %self.team.id.short(), %why, "this node is no member of its team any more");
            self.over = true;
            if why.is_about_dates() {
                // By this clock. Should it be wrong, the team is begun again once it is right; tokens that members were given
                // here end with their memberships by themselves.
                return;
            }
            // What members gave this node is worth nothing any more, and what it gave them ends.
            if let Err(error) = self.hall.end_claims(self.team.id, None).await {
                tracing::error!(%error, "tokens of a team that is over were not ended");
            }
            return;
        }
        self.hall.links.close(id);
        tracing::info!(team = %self.team.id.short(), member = %id.short(), %why, "a member is none any more");
        self.fed.remove(&id);
        self.places.remove(&id);
        self.screen.forget(id);
        self.feed(Feed::Peering(peering::Input::Removed(id))).await;
        self.feed(Feed::Healer(healer::Input::Forget(id))).await;
        let last = self.presence.seen(id).map(|seen| (seen.heard, seen.record.map(|r| self.usable(r))));
        let (heard, said) = last.unwrap_or_default();
        self.feed(Feed::Presence(presence::Input::Removed(id))).await;
        self.feed(Feed::Spread(spread::Input::Removed(id))).await;
        self.news.remove(&id);
        let (team, hall, roll) = (self.team.id, Arc::clone(&self.hall), Arc::clone(&self.team.roll));
        // By this clock, which may be wrong: it is looked at again at the next start, or when it shows itself.
        let lapsed = why.is_about_dates();
        self.jobs.spawn(async move {
            let parted = hall.with_store(move |store| {
                store.teams().remember(team, id, |kept| {
                    // It may have come back by a new membership before this is written.
                    if !lapsed && !roll.is_member(id) {
                        kept.parting = Some(Parting::Removed);
                    }
                    last_words(kept, heard, said.as_ref());
                })
            });
            if let Ok(Err(error)) | Err(error) = parted.await {
                tracing::warn!(%error, "a removal was not remembered");
            }
            Done::Nothing
        });
    }
}

/// What is remembered of a member besides its membership: when it was heard last, and what it said of itself.
pub(crate) fn last_words(kept: &mut KeptMember, heard: Option<Timestamp>, said: Option<&presence::Record>) {
    kept.last_seen = heard.map_or(kept.last_seen, |heard| heard.0.max(kept.last_seen));
    if let Some(said) = said {
        kept.label = said.label.clone().or(kept.label.take());
        kept.version = Some(said.version.clone());
    }
}
