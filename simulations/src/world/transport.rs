//! Packets, dials and their ends.

use iroh_gossip::proto::topic::Message;

use clankers_protocol::{NodeId, healer, peering};

use super::World;
use crate::{
    event::{Carried, Event, Packet},
    host::Waiting,
    limits::{HELD, SPARE, WANT_TIMEOUT},
    names,
    wire::{Lane, Transport, Way},
};

impl World {
    pub(super) fn transport(&mut self, transport: Transport) {
        let now = self.now;
        let (kind, way) = match &transport {
            Transport::Arrive(way, _) => (2, *way),
            Transport::Dialed(way, _) => (3, *way),
            Transport::Undialed(way) => (4, *way),
            Transport::Hangup(way) => (5, *way),
            Transport::Silent(way) => (6, *way),
        };
        let pair = (u64::from(way.from) << 32) | u64::from(way.to);
        self.digest.event(now, kind, [pair, u64::from(way.lane == Lane::Team), way.conn]);
        match transport {
            Transport::Arrive(way, packet) => {
                if self.wire.takes(now, way, &mut self.queue) {
                    self.arrive(way.from, way.to, packet);
                }
            }
            Transport::Dialed(way, since) => {
                if self.wire.answered(now, way, since, &mut self.queue) {
                    self.answer(way);
                }
            }
            Transport::Undialed(way) => {
                if self.wire.drop_end(way).is_some() {
                    self.lost(way.from, way.to, way.lane, false);
                }
            }
            Transport::Hangup(way) => {
                let mine = Way { from: way.to, to: way.from, ..way };
                if self.wire.drop_end(mine).is_some() {
                    self.lost(way.to, way.from, way.lane, false);
                }
            }
            Transport::Silent(way) => {
                if self.wire.given_up(way) {
                    self.lost(way.from, way.to, way.lane, true);
                }
            }
        }
    }

    /// A dial arrived. Anyone may speak to the hall; the team's connection is for those who have shown membership.
    fn answer(&mut self, way: Way) {
        let shown = self.host(way.to).is_some_and(|host| host.peering.is_shown(names::id(way.from)));
        if way.lane == Lane::Hall || shown {
            self.wire.accept(self.now, way, &mut self.queue);
            if let Some(host) = self.host_mut(way.from) {
                host.again.remove(&way.to);
            }
            return;
        }
        self.tally.refused += 1;
        let Some(held) = self.wire.drop_end(way) else { return };
        // It has forgotten us: show membership again, once.
        let first = self.host_mut(way.from).is_some_and(|host| host.again.insert(way.to));
        if first {
            for packet in held {
                if let Packet::Gossip(message, _) = packet {
                    self.want(way.from, way.to, message);
                }
            }
        } else {
            self.lost(way.from, way.to, Lane::Team, false);
        }
    }

    fn arrive(&mut self, from: u32, to: u32, packet: Packet) {
        match packet {
            Packet::Gossip(message, carried) => self.gossiped(to, from, message, carried),
            Packet::Ask(ask) => self.talk(to, from, &ask),
        }
    }

    /// A connection ended, or did not come to be. Broken: without a word.
    pub(super) fn lost(&mut self, host: u32, peer: u32, lane: Lane, broken: bool) {
        match lane {
            Lane::Hall => {
                self.unpulled(host, peer);
                self.peering(host, peering::Input::Failed(names::id(peer)));
            }
            Lane::Team => {
                self.gossip(host, broken, |gossip, now, out| gossip.lost(now, peer, out));
                if broken {
                    self.healer(host, healer::Input::Broken(names::id(peer)));
                }
            }
        }
    }

    /// Gossip sends: where membership has been shown, or after it was.
    pub(super) fn gossip_sends(&mut self, host: u32, to: u32, message: Message<NodeId>) {
        if self.host(host).is_some_and(|host| host.peering.is_shown(names::id(to))) {
            self.send_gossip(host, to, message);
        } else {
            self.want(host, to, message);
        }
    }

    fn want(&mut self, host: u32, to: u32, message: Message<NodeId>) {
        let life = self.wire.life(host);
        let then = self.now + WANT_TIMEOUT;
        let Some(one) = self.host_mut(host) else { return };
        if let Some(waiting) = one.waiting.get_mut(&to) {
            if waiting.messages.len() < HELD {
                waiting.messages.push(message);
            }
            return;
        }
        let number = one.wait();
        one.waiting.insert(to, Waiting { number, messages: vec![message] });
        self.queue.push(then, Event::WantOver { host, life, peer: to, number });
        self.peering(host, peering::Input::Want(names::id(to)));
    }

    /// Nobody said in time whether gossip may talk to it.
    pub(super) fn want_over(&mut self, host: u32, peer: u32, number: u64) {
        let Some(one) = self.host_mut(host) else { return };
        if one.waiting.get(&peer).is_some_and(|waiting| waiting.number == number) {
            self.unreachable(host, peer);
        }
    }

    /// Gossip may not, or cannot, talk to it.
    pub(super) fn unreachable(&mut self, host: u32, peer: u32) {
        if let Some(one) = self.host_mut(host) {
            one.waiting.remove(&peer);
        }
        self.gossip(host, false, |gossip, now, out| gossip.lost(now, peer, out));
    }

    /// Gossip may talk to it: what waited goes out.
    pub(super) fn allowed(&mut self, host: u32, peer: u32) {
        let waiting = self.host_mut(host).and_then(|one| one.waiting.remove(&peer));
        for message in waiting.into_iter().flat_map(|waiting| waiting.messages) {
            self.send_gossip(host, peer, message);
        }
    }

    /// Gossip needs the connection no more. As in the shipping shell what was sent goes out first and the core is told
    /// that the connection is gone: else it would wait for this neighbour's answer, and keep its place, for ever. A dial
    /// under way is let be, since something waits for it.
    pub(super) fn release(&mut self, host: u32, peer: u32) {
        if self.wire.is_open(host, peer, Lane::Team) {
            self.close(host, peer, Lane::Team);
            self.gossip(host, false, |gossip, now, out| gossip.lost(now, peer, out));
        } else if self.wire.known(host, peer, Lane::Team)
            || self.host(host).is_some_and(|one| one.waiting.contains_key(&peer))
        {
            self.spare_later(host, peer);
        }
    }

    fn spare_later(&mut self, host: u32, peer: u32) {
        let life = self.wire.life(host);
        self.queue.push(self.now + SPARE, Event::Spare { host, life, peer });
    }

    /// Gives up a connection with one that is no neighbour, unless it carried something lately.
    pub(super) fn spare(&mut self, host: u32, peer: u32) {
        let neighbor = self.host(host).is_none_or(|one| one.gossip.neighbors().contains(&peer));
        if neighbor || !self.wire.is_open(host, peer, Lane::Team) {
            return;
        }
        if self.wire.idle(host, Lane::Team, (self.now + 1).saturating_sub(SPARE)).contains(&peer) {
            self.release(host, peer);
        } else {
            self.spare_later(host, peer);
        }
    }

    /// Payloads are read once, where they leave: what is read depends on the bytes alone.
    fn send_gossip(&mut self, host: u32, to: u32, message: Message<NodeId>) {
        let payloads = &mut self.payloads;
        let carried =
            crate::gossip::payload(&message, |id, bytes| Carried { id, payload: payloads.decode(id, bytes) });
        self.send(host, to, Lane::Team, Packet::Gossip(message, carried));
    }

    pub(super) fn send(&mut self, from: u32, to: u32, lane: Lane, packet: Packet) {
        self.tally.sent(from, &packet);
        if !self.wire.send(self.now, (from, to, lane), packet, &mut self.queue) {
            self.tally.overflows += 1;
            self.wire.hangup(self.now, (from, to, lane), &mut self.queue);
            self.lost(from, to, lane, true);
        }
    }

    pub(super) fn close(&mut self, host: u32, peer: u32, lane: Lane) {
        self.wire.hangup(self.now, (host, peer, lane), &mut self.queue);
    }
}
