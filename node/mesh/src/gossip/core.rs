//! The gossip core of one team: HyParView and PlumTree as iroh-gossip implements them, without IO.
//!
//! This holds its timers and turns its outputs into bytes to send. One team is one
//! [`topic::State`](iroh_gossip::proto::topic::State); the core's own table of topics, and with it the connections
//! that it never gives back, is not used.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use clankers_protocol::NodeId;
use iroh_gossip::proto::{
    Config, Scope,
    topic::{self, Command, Event, InEvent, OutEvent, Timer},
};
use rand::{SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::wire::{self, CoreMessage};
use crate::limits::{GOSSIP_MESSAGE_BYTES, GOSSIP_NEIGHBOR_MS};

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send this, with its length, dialing if need be.
    Send(NodeId, Bytes),
    /// The connection to this member is no longer needed once everything is sent.
    Release(NodeId),
    /// A new neighbour.
    Up(NodeId),
    /// A neighbour less.
    Down(NodeId),
    /// A payload, and who forwarded it.
    Received(Bytes, NodeId),
}

/// The core.
#[derive(Debug)]
pub(crate) struct Core {
    me: NodeId,
    state: topic::State<NodeId, StdRng>,
    /// By time, then in order of arrival.
    timers: BTreeMap<(Instant, u64), Timer<NodeId>>,
    timer_count: u64,
}

impl Core {
    pub(crate) fn new(me: NodeId, seed: [u8; 32]) -> Self {
        let mut config = Config { max_message_size: GOSSIP_MESSAGE_BYTES, ..Config::default() };
        config.membership.neighbor_request_timeout = Duration::from_millis(GOSSIP_NEIGHBOR_MS);
        let state = topic::State::with_rng(me, None, config, StdRng::from_seed(seed));
        Self { me, state, timers: BTreeMap::new(), timer_count: 0 }
    }

    pub(crate) fn join(&mut self, now: Instant, peers: Vec<NodeId>, out: &mut VecDeque<Effect>) {
        self.handle(now, InEvent::Command(Command::Join(peers)), out);
    }

    pub(crate) fn broadcast(&mut self, now: Instant, payload: Bytes, out: &mut VecDeque<Effect>) {
        self.handle(now, InEvent::Command(Command::Broadcast(payload, Scope::Swarm)), out);
    }

    pub(crate) fn quit(&mut self, now: Instant, out: &mut VecDeque<Effect>) {
        self.handle(now, InEvent::Command(Command::Quit), out);
    }

    /// A message that has passed [`wire::look`]; says whether it was one.
    pub(crate) fn message(
        &mut self,
        now: Instant,
        from: NodeId,
        bytes: &[u8],
        out: &mut VecDeque<Effect>,
    ) -> bool {
        let Ok(message) = postcard::from_bytes::<CoreMessage>(bytes) else { return false };
        self.handle(now, InEvent::RecvMessage(from, message), out);
        true
    }

    /// The last connection to a member is gone, or could not be made.
    pub(crate) fn disconnected(&mut self, now: Instant, peer: NodeId, out: &mut VecDeque<Effect>) {
        self.handle(now, InEvent::PeerDisconnected(peer), out);
    }

    /// Drops announcements that nobody made good: the core forgets those of lost peers, and with them all that
    /// are empty. It is told of the loss of a peer that never was.
    pub(crate) fn sweep(&mut self, now: Instant, out: &mut VecDeque<Effect>) {
        self.disconnected(now, self.me, out);
    }

    /// When [`Core::fire`] has something to do.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Timers under way (count).
    pub(crate) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Lets the timers run that are due.
    pub(crate) fn fire(&mut self, now: Instant, out: &mut VecDeque<Effect>) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let timer = entry.remove();
            self.handle(now, InEvent::TimerExpired(timer), out);
        }
    }

    fn handle(&mut self, now: Instant, event: InEvent<NodeId>, out: &mut VecDeque<Effect>) {
        for event in self.state.handle(event, now) {
            match event {
                // A made-up introduction of ourselves leads here.
                OutEvent::SendMessage(to, _) if to == self.me => {}
                OutEvent::SendMessage(to, message) => match wire::encode(&message) {
                    Some(bytes) => out.push_back(Effect::Send(to, bytes)),
                    None => tracing::warn!("a gossip message over the limit was not sent"),
                },
                OutEvent::EmitEvent(Event::NeighborUp(peer)) => out.push_back(Effect::Up(peer)),
                OutEvent::EmitEvent(Event::NeighborDown(peer)) => out.push_back(Effect::Down(peer)),
                OutEvent::EmitEvent(Event::Received(payload)) => {
                    out.push_back(Effect::Received(payload.content, payload.delivered_from));
                }
                OutEvent::ScheduleTimer(after, timer) => {
                    self.timer_count += 1;
                    self.timers.insert((now + after, self.timer_count), timer);
                }
                OutEvent::DisconnectPeer(peer) => out.push_back(Effect::Release(peer)),
                // Nobody here sends any, and `wire::look` lets none in.
                OutEvent::PeerData(..) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
