//! One host's gossip: the sans-IO core that ships, and what this host saw of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clankers_protocol::id::NodeId;
use iroh_gossip::proto::{
    Config, HyparviewConfig, Scope,
    state::MessageKind,
    topic::{Command, Event, InEvent, Message, OutEvent, State, Timer},
};
use rand_pcg::Pcg64Mcg;

use crate::{names, queue::Micros};

/// What gossip wants done.
#[derive(Debug)]
pub enum Wish {
    /// Send it, dialing when there is no connection.
    Send(u32, Message<NodeId>),
    /// Wake it with this after so long.
    Timer(Micros, Timer<NodeId>),
    /// Close the connection.
    Close(u32),
    /// A new neighbour.
    Up(u32),
    /// A neighbour no more.
    Down(u32),
    /// The payload that the message carries is new; from this neighbour.
    Payload(u32),
}

/// Gossip of one host.
#[derive(Debug)]
pub struct Gossip {
    state: State<NodeId, Pcg64Mcg>,
    neighbors: BTreeSet<u32>,
}

/// As the shipping shell has it: the crate's own values, but a neighbour's answer may take a dial and showing
/// membership.
fn config() -> Config {
    let membership =
        HyparviewConfig { neighbor_request_timeout: Duration::from_secs(2), ..Default::default() };
    Config { membership, ..Default::default() }
}

impl Gossip {
    /// Gossip of `host`, which has joined nobody yet.
    #[must_use]
    pub fn new(host: u32, dice: Pcg64Mcg) -> Self {
        Self { state: State::with_rng(names::id(host), None, config(), dice), neighbors: BTreeSet::new() }
    }

    /// Neighbours now.
    #[must_use]
    pub fn neighbors(&self) -> &BTreeSet<u32> {
        &self.neighbors
    }

    /// Join through these members; with none, only listen.
    pub fn join(&mut self, now: Instant, hosts: &[u32], out: &mut Vec<Wish>) {
        let hosts = hosts.iter().map(|host| names::id(*host)).collect();
        self.handle(now, InEvent::Command(Command::Join(hosts)), out);
    }

    /// Tell everyone.
    pub fn broadcast(&mut self, now: Instant, payload: Bytes, out: &mut Vec<Wish>) {
        self.handle(now, InEvent::Command(Command::Broadcast(payload, Scope::Swarm)), out);
    }

    /// Say goodbye to the neighbours.
    pub fn quit(&mut self, now: Instant, out: &mut Vec<Wish>) {
        self.handle(now, InEvent::Command(Command::Quit), out);
        self.neighbors.clear();
    }

    /// A message came.
    pub fn message(&mut self, now: Instant, from: u32, message: Message<NodeId>, out: &mut Vec<Wish>) {
        self.handle(now, InEvent::RecvMessage(names::id(from), message), out);
    }

    /// A connection is gone, or a dial failed.
    pub fn lost(&mut self, now: Instant, peer: u32, out: &mut Vec<Wish>) {
        self.handle(now, InEvent::PeerDisconnected(names::id(peer)), out);
    }

    /// A timer is over.
    pub fn timer(&mut self, now: Instant, timer: Timer<NodeId>, out: &mut Vec<Wish>) {
        self.handle(now, InEvent::TimerExpired(timer), out);
    }

    fn handle(&mut self, now: Instant, event: InEvent<NodeId>, out: &mut Vec<Wish>) {
        for wish in self.state.handle(event, now.into()) {
            match wish {
                OutEvent::SendMessage(to, message) => out.push(Wish::Send(names::host(&to), message)),
                OutEvent::ScheduleTimer(after, timer) => {
                    out.push(Wish::Timer(u64::try_from(after.as_micros()).unwrap_or(u64::MAX), timer));
                }
                OutEvent::DisconnectPeer(peer) => out.push(Wish::Close(names::host(&peer))),
                OutEvent::EmitEvent(Event::NeighborUp(peer)) => {
                    self.neighbors.insert(names::host(&peer));
                    out.push(Wish::Up(names::host(&peer)));
                }
                OutEvent::EmitEvent(Event::NeighborDown(peer)) => {
                    self.neighbors.remove(&names::host(&peer));
                    out.push(Wish::Down(names::host(&peer)));
                }
                OutEvent::EmitEvent(Event::Received(event)) => {
                    out.push(Wish::Payload(names::host(&event.delivered_from)));
                }
                // Addresses of peers: every host of a world knows them.
                OutEvent::PeerData(..) => {}
            }
        }
    }
}

/// Reads the payload that a message carries: its id and its bytes; `None` for gossip's own talk. The core's fields are
/// private: this reads what goes over the wire.
pub fn payload<T>(message: &Message<NodeId>, read: impl FnOnce([u8; 32], &[u8]) -> T) -> Option<T> {
    if !matches!(message.kind(), MessageKind::Data) {
        return None;
    }
    let bytes = postcard::to_stdvec(message).ok()?;
    // Gossip's half of the messages, and of these the payload; each one byte.
    let (_, rest) = bytes.split_at_checked(2)?;
    let (id, content): ([u8; 32], &[u8]) = postcard::take_from_bytes(rest).ok()?.0;
    Some(read(id, content))
}

/// Bytes of a message on the wire, with its length before it.
#[must_use]
pub fn size(message: &Message<NodeId>) -> usize {
    postcard::experimental::serialized_size(message).map_or(usize::MAX, |size| size + 2)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Gossip, Wish, payload, size};
    use crate::dice::Dice;

    /// What two hosts say to each other until nobody has anything to say.
    fn talk(two: &mut [Gossip; 2], mut wishes: Vec<(usize, Wish)>) -> Vec<(usize, Wish)> {
        let mut seen = Vec::new();
        let now = Instant::now();
        while let Some((who, wish)) = wishes.pop() {
            let mut out = Vec::new();
            if let Wish::Send(to, message) = &wish {
                let to = usize::try_from(*to).unwrap();
                two[to].message(now, u32::try_from(who).unwrap(), message.clone(), &mut out);
                wishes.extend(out.into_iter().map(|wish| (to, wish)));
            }
            seen.push((who, wish));
        }
        seen
    }

    #[test]
    fn a_payload_is_read_from_the_message_that_carries_it() {
        let mut dice = Dice::new(1, 1);
        let mut two = [Gossip::new(0, dice.split()), Gossip::new(1, dice.split())];
        let (now, mut out) = (Instant::now(), Vec::new());
        two[0].join(now, &[1], &mut out);
        let seen = talk(&mut two, out.into_iter().map(|wish| (0, wish)).collect());
        assert!(seen.iter().any(|(who, wish)| *who == 1 && matches!(wish, Wish::Up(0))));
        for (_, wish) in &seen {
            if let Wish::Send(_, message) = wish {
                assert!(payload(message, |_, _| ()).is_none() && size(message) > 2);
            }
        }
        let (words, mut out) = (vec![7_u8; 300], Vec::new());
        two[1].broadcast(now, words.clone().into(), &mut out);
        let seen = talk(&mut two, out.into_iter().map(|wish| (1, wish)).collect());
        let read = seen.iter().find_map(|(_, wish)| match wish {
            Wish::Send(0, message) => payload(message, |id, content| (id, content.to_vec())),
            _ => None,
        });
        let (id, content) = read.unwrap();
        assert_eq!(content, words);
        assert_ne!(id, [0; 32]);
        assert!(seen.iter().any(|(who, wish)| *who == 0 && matches!(wish, Wish::Payload(1))));
    }
}
