//! Pieces of work of one team: a bounded number at a time, few of them about the same member, and the rest waits its turn.
//! So a member that answers slowly, or makes work, holds up what is about itself and nothing else.

use std::collections::{BTreeMap, HashMap, VecDeque};

use clankers_protocol::NodeId;
use tokio::task::{Id, JoinError, JoinSet};

use super::super::work::{Done, Job};
use crate::limits::{TEAM_JOBS, TEAM_JOBS_PEER, TEAM_JOBS_WAITING};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: JoinSet<Done>,
    /// Whose doing the running ones are.
    with: HashMap<Id, NodeId>,
    waiting: VecDeque<Job>,
    /// A look at this node itself is under way.
    own: Option<Id>,
}

impl Job {
    /// Whose doing it is: a member can make work of these kinds, and hold it up by not answering.
    pub(super) fn with(&self) -> Option<NodeId> {
        match self {
            Self::Sync(peer, ..) | Self::Ask(peer, _) | Self::Tell(peer, _) => Some(*peer),
            _ => None,
        }
    }

    /// Whether others wait for what it finds out: a way that broke, or a new one.
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Call(_) | Self::Probe(_))
    }
}

impl Jobs {
    /// Lets a piece wait; gives how many others were given up for it (count): of the member about which most waits, the
    /// oldest.
    pub(super) fn add(&mut self, job: Job) -> u64 {
        let own = |job: &Job| matches!(job, Job::Own);
        if own(&job) && (self.own.is_some() || self.waiting.iter().any(own)) {
            return 0;
        }
        self.waiting.push_back(job);
        if self.waiting.len() <= TEAM_JOBS_WAITING {
            return 0;
        }
        let mut each: BTreeMap<Option<NodeId>, usize> = BTreeMap::new();
        for job in &self.waiting {
            *each.entry(job.with()).or_default() += 1;
        }
        let most = each.into_iter().max_by_key(|(_, count)| *count).map(|(with, _)| with);
        let place = self.waiting.iter().position(|job| Some(job.with()) == most);
        place.map_or(0, |place| self.waiting.remove(place).map_or(0, |_| 1))
    }

    /// The next one for which there is room.
    pub(super) fn next(&mut self) -> Option<Job> {
        if self.running.len() < 2 * TEAM_JOBS
            && let Some(place) = self.waiting.iter().position(Job::is_urgent)
        {
            return self.waiting.remove(place);
        }
        if self.running.len() >= TEAM_JOBS {
            return None;
        }
        let busy = |peer: NodeId| self.with.values().filter(|with| **with == peer).count() >= TEAM_JOBS_PEER;
        let place = self.waiting.iter().position(|job| !job.with().is_some_and(busy))?;
        self.waiting.remove(place)
    }

    /// Begins one that [`Jobs::next`] gave, as this.
    pub(super) fn begin(
        &mut self,
        with: Option<NodeId>,
        own: bool,
        work: impl Future<Output = Done> + Send + 'static,
    ) {
        let id = self.running.spawn(work).id();
        self.with.extend(with.map(|peer| (id, peer)));
        if own {
            self.own = Some(id);
        }
    }

    /// Begins something that has to do with nobody else, at once.
    pub(super) fn spawn(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.running.spawn(work);
    }

    /// What came of one; never, while none runs. Nothing is lost when this is dropped.
    pub(super) async fn ended(&mut self) -> Result<Done, JoinError> {
        let Some(ended) = self.running.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.with.remove(&id);
        self.own = self.own.filter(|own| *own != id);
        ended.map(|(_, done)| done)
    }

    /// Ends all of it.
    pub(super) async fn stop(&mut self) {
        self.waiting.clear();
        self.running.shutdown().await;
        self.with.clear();
        self.own = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn begin_all(jobs: &mut Jobs) -> Vec<Option<NodeId>> {
        let mut begun = Vec::new();
        while let Some(job) = jobs.next() {
            begun.push(job.with());
            jobs.begin(job.with(), matches!(job, Job::Own), pending());
        }
        begun
    }

    /// Whoever makes work and never answers: others are met at once, and what they wait for is not given up.
    #[tokio::test]
    async fn one_member_takes_few_places_and_little_of_the_queue() {
        let mut jobs = Jobs::default();
        let mut given_up = 0;
        for _ in 0..TEAM_JOBS_WAITING * 2 {
            given_up += jobs.add(Job::Ask(id(1), vec![id(9)]));
        }
        assert_eq!(given_up, TEAM_JOBS_WAITING as u64);
        let begun = begin_all(&mut jobs);
        assert_eq!(begun, vec![Some(id(1)); TEAM_JOBS_PEER]);
        jobs.add(Job::Ask(id(2), Vec::new()));
        assert_eq!(begin_all(&mut jobs), [Some(id(2))]);
        // Its own is given up when there is no room, and not what waits for others.
        for n in 3..60 {
            jobs.add(Job::Ask(id(n), Vec::new()));
        }
        assert_eq!(jobs.waiting.iter().filter(|job| job.with() != Some(id(1))).count(), 57);
        assert_eq!(begin_all(&mut jobs).len(), TEAM_JOBS - TEAM_JOBS_PEER - 1);
        // What broke is looked at however much there is to do.
        jobs.add(Job::Meet(id(1)));
        jobs.add(Job::Probe(id(1)));
        assert!(matches!(jobs.next(), Some(Job::Probe(_))) && jobs.next().is_none());
        jobs.stop().await;
        assert!(jobs.next().is_none());
    }

    #[tokio::test]
    async fn what_has_ended_makes_room_and_this_node_is_looked_at_once_at_a_time() {
        let mut jobs = Jobs::default();
        for _ in 0..3 {
            jobs.add(Job::Own);
        }
        assert_eq!(jobs.waiting.len(), 1);
        let own = jobs.next().unwrap();
        jobs.begin(own.with(), true, async { Done::Nothing });
        jobs.add(Job::Own);
        assert!(jobs.waiting.is_empty(), "it is under way");
        assert!(matches!(jobs.ended().await, Ok(Done::Nothing)));
        jobs.add(Job::Own);
        assert!(matches!(jobs.next(), Some(Job::Own)));
        for _ in 0..=TEAM_JOBS_PEER {
            jobs.add(Job::Ask(id(1), Vec::new()));
        }
        for _ in 0..TEAM_JOBS_PEER {
            let job = jobs.next().unwrap();
            jobs.begin(job.with(), false, async { Done::Nothing });
        }
        assert!(jobs.next().is_none(), "it has its share");
        assert!(jobs.ended().await.is_ok());
        assert!(jobs.next().is_some());
    }
}
