//! The members that a team's task knows: who may be dialed and accepted, and what connects to them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use clankers_protocol::NodeId;
use tokio::{sync::mpsc, time::Instant};

use super::{Way, link::LinkId, rate::PeerRate};
use crate::{
    connection::Connection,
    limits::{GOSSIP_MOVED_MS, GOSSIP_SPARE_MS, GOSSIP_TWIN_MS, GOSSIP_WAITING_MESSAGES, GOSSIP_WANTED_MS},
    peer::PeerAddress,
};

/// A connection that is in use. Dropping it lets the rest be sent and gives the connection up.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: LinkId,
    pub(crate) connection: Connection,
    pub(crate) queue: mpsc::Sender<Bytes>,
    pub(crate) since: Instant,
    /// Whether we made it: such a one follows us when our address changes.
    pub(crate) dialed: bool,
}

/// One member, or somebody whom the core has heard of.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where it may be, once membership was shown on both sides.
    pub(crate) shown: Option<PeerAddress>,
    /// It refused a connection since it does not know that we are a member.
    pub(crate) forgotten: bool,
    pub(crate) neighbor: bool,
    /// The newest last; two when both sides dialed at once.
    pub(crate) links: Vec<Held>,
    /// Messages for when there is a connection.
    pub(crate) waiting: VecDeque<Bytes>,
    /// Since when the hall has been asked for it.
    pub(crate) asked: Option<Instant>,
    pub(crate) dialing: bool,
    /// The connection that there is leads to where we were: messages wait for the one that is being made.
    pub(crate) moved: bool,
    /// Until when it is not tried: the hall said no, a dial failed, it was cut.
    pub(crate) shunned: Option<Instant>,
    /// Until when it is not let in either.
    pub(crate) cut: Option<Instant>,
    /// When a message last went or came.
    pub(crate) used: Instant,
    pub(crate) rate: PeerRate,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self {
            shown: None,
            forgotten: false,
            neighbor: false,
            links: Vec::new(),
            waiting: VecDeque::new(),
            asked: None,
            dialing: false,
            moved: false,
            shunned: None,
            cut: None,
            used: now,
            rate: PeerRate::new(now),
        }
    }

    pub(crate) fn is_shunned(&self, now: Instant) -> bool {
        [self.shunned, self.cut].into_iter().flatten().any(|until| until > now)
    }

    pub(crate) fn is_cut(&self, now: Instant) -> bool {
        self.cut.is_some_and(|until| until > now)
    }

    /// Keeps a message for later; says how many had to go for it (0 or 1).
    pub(crate) fn wait(&mut self, message: Bytes) -> u64 {
        let mut gone = 0;
        if self.waiting.len() >= GOSSIP_WAITING_MESSAGES {
            self.waiting.pop_front();
            gone = 1;
        }
        self.waiting.push_back(message);
        gone
    }

    /// Whoever dials from another address has moved there. Connections that we made lead to where it was: nothing can be said by
    /// them, and while they last the endpoint dials it there. One that is young is no older than the move.
    pub(crate) fn leave_behind(&mut self, now: Instant, from: &Connection) {
        let limit = Duration::from_millis(GOSSIP_MOVED_MS);
        let Some(addr) = from.remote_addr() else { return };
        self.links.retain(|held| {
            let there = held.connection.remote_addr().is_none_or(|there| there.ip() == addr.ip());
            let young = now.saturating_duration_since(held.since) < limit;
            there || young || !held.dialed
        });
    }

    fn is_forgettable(&self, now: Instant) -> bool {
        self.shown.is_none()
            && !self.neighbor
            && self.links.is_empty()
            && self.waiting.is_empty()
            && self.asked.is_none()
            && !self.dialing
            && !self.is_shunned(now)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Peers(BTreeMap<NodeId, Peer>);

impl Peers {
    pub(crate) fn get(&self, id: NodeId) -> Option<&Peer> {
        self.0.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        self.0.get_mut(&id)
    }

    pub(crate) fn entry(&mut self, now: Instant, id: NodeId) -> &mut Peer {
        self.0.entry(id).or_insert_with(|| Peer::new(now))
    }

    pub(crate) fn neighbors(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().filter(|(_, p)| p.neighbor).map(|(id, _)| *id)
    }

    /// To whom there is a connection, and how.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> + '_ {
        self.0.iter().filter_map(|(id, peer)| {
            let newest = &peer.links.last()?.connection;
            Some((*id, newest.path(), newest.rtt()))
        })
    }

    /// Neighbours who have made the connection to us that is in use.
    pub(crate) fn callers(&self) -> Vec<NodeId> {
        let called = |p: &Peer| p.neighbor && p.shown.is_some() && p.links.last().is_some_and(|l| !l.dialed);
        self.0.iter().filter(|(_, p)| called(p)).map(|(id, _)| *id).collect()
    }

    /// How many have shown their membership.
    pub(crate) fn shown(&self) -> usize {
        self.0.values().filter(|p| p.shown.is_some()).count()
    }

    /// How many the hall is being asked for.
    pub(crate) fn asked(&self) -> usize {
        self.0.values().filter(|p| p.asked.is_some()).count()
    }

    /// Those whose messages wait while nothing is done about it.
    pub(crate) fn stuck(&self) -> Vec<NodeId> {
        let stuck = |p: &Peer| !p.waiting.is_empty() && p.links.is_empty() && p.asked.is_none() && !p.dialing;
        self.0.iter().filter(|(_, p)| stuck(p)).map(|(id, _)| *id).collect()
    }

    /// Those for whom the hall has not answered in time.
    pub(crate) fn unanswered(&self, now: Instant) -> Vec<NodeId> {
        let limit = Duration::from_millis(GOSSIP_WANTED_MS);
        let late = |p: &Peer| p.asked.is_some_and(|at| now.saturating_duration_since(at) >= limit);
        self.0.iter().filter(|(_, p)| late(p)).map(|(id, _)| *id).collect()
    }

    /// Those who are connected, no neighbours, and have been quiet for a while.
    pub(crate) fn spare(&self, now: Instant) -> Vec<NodeId> {
        let limit = Duration::from_millis(GOSSIP_SPARE_MS);
        let spare =
            |p: &Peer| !p.neighbor && !p.links.is_empty() && now.saturating_duration_since(p.used) >= limit;
        self.0.iter().filter(|(_, p)| spare(p)).map(|(id, _)| *id).collect()
    }

    /// Gives up one of two connections to the same member. One side decides, so that both do not give up
    /// different ones: the one with the smaller id.
    pub(crate) fn part_twins(&mut self, now: Instant, me: NodeId) {
        let limit = Duration::from_millis(GOSSIP_TWIN_MS);
        for (_, peer) in self.0.range_mut(me..) {
            let old = |held: &Held| now.saturating_duration_since(held.since) >= limit;
            if peer.links.len() > 1 && peer.links.iter().all(old) {
                peer.links.remove(0);
            }
        }
    }

    /// Forgets whom nothing is known of that matters.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.0.retain(|_, peer| !peer.is_forgettable(now));
    }

    /// Gives every connection up.
    pub(crate) fn release_all(&mut self) {
        for peer in self.0.values_mut() {
            peer.links.clear();
        }
    }
}
