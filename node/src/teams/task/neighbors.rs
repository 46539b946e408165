//! Gossip's neighbours, as the machines are told of them.

use std::collections::BTreeSet;

use clankers_protocol::{NodeId, healer, peering, presence};
use tokio::time::Instant;

use super::{super::work::Job, Task, feed::Feed};
use crate::limits::{MOVED_CALLS, TEAM_PAGES};

impl Task {
    pub(super) async fn neighbor_up(&mut self, id: NodeId) {
        self.neighbors.insert(id);
        self.feed(Feed::Presence(presence::Input::Up(id))).await;
        self.feed(Feed::Peering(peering::Input::Up(id))).await;
        self.reached(id).await;
        self.feed(Feed::Healer(healer::Input::Neighbors(self.neighbors.len()))).await;
    }

    pub(super) async fn neighbor_down(&mut self, id: NodeId) {
        self.neighbors.remove(&id);
        self.feed(Feed::Presence(presence::Input::Down { member: id, broken: false })).await;
        self.feed(Feed::Peering(peering::Input::Down(id))).await;
        self.feed(Feed::Healer(healer::Input::Evicted(id))).await;
        self.feed(Feed::Healer(healer::Input::Neighbors(self.neighbors.len()))).await;
    }

    /// So much news of gossip was lost. What was said is asked for; who came and went, it knows itself. News from before that
    /// answer may still wait here: once it was taken too, things stand as that answer said.
    pub(super) async fn lagged(&mut self, count: u64) {
        tracing::warn!(team = %self.team.id.short(), count, "news of gossip was lost");
        self.dropped += count;
        // An error: gossip has ended, which is noticed by itself.
        if let Ok(there) = self.gossip.neighbors().await {
            let (gone, new) = apart(&self.neighbors, &there);
            for id in gone {
                self.neighbor_down(id).await;
            }
            for id in new {
                self.neighbor_up(id).await;
            }
        }
        for id in self.neighbors.iter().copied().collect::<Vec<_>>() {
            let have = self.presence.digests();
            self.job(Job::Sync(id, have, TEAM_PAGES));
        }
    }

    /// Once they have let go of connections to where this node was: an endpoint dials a peer where it has one, and looks for a
    /// better way when another is made.
    pub(super) fn call_neighbors(&mut self) {
        let Some((at, calls)) = self.moved else { return };
        self.moved = match MOVED_CALLS.get(calls) {
            Some(pause) if at.elapsed() < *pause => return,
            Some(_) => Some((at, calls + 1)),
            None => return self.moved = None,
        };
        for id in self.neighbors.iter().copied().collect::<Vec<_>>() {
            self.job(Job::Call(self.place(id)));
        }
    }

    /// This node's own addresses have changed: its neighbours are called, from there.
    pub(super) fn call_from_now_on(&mut self) {
        self.moved = Some((Instant::now(), 0));
    }
}

/// Who of those that were thought to be there is not, and who else is.
fn apart(thought: &BTreeSet<NodeId>, there: &[NodeId]) -> (Vec<NodeId>, Vec<NodeId>) {
    let gone = thought.iter().filter(|id| !there.contains(id)).copied().collect();
    let new = there.iter().filter(|id| !thought.contains(id)).copied().collect();
    (gone, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_who_went_and_who_came() {
        let id = |n| NodeId([n; 32]);
        let thought = BTreeSet::from([id(1), id(2)]);
        assert_eq!(apart(&thought, &[id(2), id(3)]), (vec![id(1)], vec![id(3)]));
        assert_eq!(apart(&thought, &[id(1), id(2)]), (vec![], vec![]));
        assert_eq!(apart(&BTreeSet::new(), &[]), (vec![], vec![]));
    }
}
