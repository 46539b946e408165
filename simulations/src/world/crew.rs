//! The machines of a host: inputs in, and what they say done.

use std::{ops::Bound, sync::Arc, time::Instant};

use bytes::Bytes;
use clankers_protocol::{
    NodeId, Timestamp, healer, peering,
    presence::{self, Change, Gossiped, Say},
    spread,
};
use iroh_gossip::proto::topic::Message;

use super::{Defect, World, at};
use crate::{
    event::{Ask, CHAIN_BYTES, Carried, EXT_CHAIN, Event, Machine, Packet},
    gossip::{Gossip, Wish},
    limits::LINK_IDLE,
    names,
    payload::Payload,
    wire::Lane,
};

impl World {
    /// A host's own clock.
    pub(super) fn clock(&self, host: u32) -> Timestamp {
        self.disks.get(at(host)).map_or(Timestamp(0), |disk| disk.clock(self.now))
    }

    fn wake_at(&mut self, host: u32, machine: Machine, when: Timestamp) {
        let after = when.since(self.clock(host)).saturating_mul(1_000);
        let life = self.wire.life(host);
        let Some(one) = self.host_mut(host) else { return };
        let number = one.wake(machine);
        self.queue.push(self.now.saturating_add(after), Event::Wake { host, life, machine, number });
    }

    pub(super) fn woken(&mut self, host: u32, machine: Machine) {
        match machine {
            Machine::Presence if self.defect == Some(Defect::Asleep) => {}
            Machine::Presence => self.presence(host, presence::Input::Tick),
            Machine::Healer => self.healer(host, healer::Input::Tick),
            Machine::Peering => self.peering(host, peering::Input::Tick),
            Machine::Spread => self.spread(host, spread::Input::Tick),
        }
    }

    pub(super) fn presence(&mut self, host: u32, input: presence::Input) {
        let clock = self.clock(host);
        let mut out = Vec::new();
        let Some(one) = self.host_mut(host) else { return };
        one.presence.handle(clock, input, &mut out);
        for output in out {
            match output {
                presence::Output::Broadcast(say) => self.say(host, say),
                presence::Output::Changed(member, change) => self.changed(host, names::host(&member), change),
                presence::Output::Sync(member) => self.sync(host, names::host(&member)),
                presence::Output::Ask { from, member } => {
                    let ask = Ask::Sync { have: None, ask: vec![member], revoked: Vec::new() };
                    self.ask(host, names::host(&from), ask);
                }
                presence::Output::WakeAt(when) => self.wake_at(host, Machine::Presence, when),
            }
        }
    }

    fn changed(&mut self, host: u32, member: u32, change: Change) {
        let id = names::id(member);
        if let (Some(Some(one)), Some(disk)) = (self.hosts.get_mut(at(host)), self.disks.get(at(host))) {
            self.judge.changed(self.now, host, one, disk, member, change);
            match change {
                Change::Left => one.left.insert(member),
                _ => one.left.remove(&member),
            };
            if change == Change::Gone {
                one.gone.insert(member);
            }
        }
        match change {
            Change::Came | Change::Updated => self.healer(host, healer::Input::Heard(id)),
            Change::Silent => self.healer(host, healer::Input::Silent(id)),
            Change::Left if self.defect == Some(Defect::Clinging) => {
                self.healer(host, healer::Input::Silent(id));
            }
            Change::Left => self.healer(host, healer::Input::Left(id)),
            Change::Gone if self.defect == Some(Defect::Haunted) => {}
            Change::Gone => self.healer(host, healer::Input::Forget(id)),
            Change::Suspect => {}
        }
    }

    pub(super) fn healer(&mut self, host: u32, input: healer::Input) {
        if !self.healing {
            return;
        }
        let clock = self.clock(host);
        let mut out = Vec::new();
        let Some(one) = self.host_mut(host) else { return };
        one.healer.handle(clock, input, &mut out);
        for output in out {
            match output {
                healer::Output::Dial(member) => {
                    self.tally.heals += 1;
                    let to = names::host(&member);
                    if let (Some(Some(one)), Some(disk)) =
                        (self.hosts.get(at(host)), self.disks.get(at(host)))
                    {
                        self.judge.heals(self.now, host, one, disk, to);
                    }
                    self.peering(host, peering::Input::Dial(member));
                }
                healer::Output::WakeAt(when) => self.wake_at(host, Machine::Healer, when),
            }
        }
    }

    pub(super) fn peering(&mut self, host: u32, input: peering::Input) {
        let clock = self.clock(host);
        let mut out = Vec::new();
        let Some(one) = self.host_mut(host) else { return };
        one.peering.handle(clock, input, &mut out);
        for output in out {
            match output {
                peering::Output::Connect(member) => {
                    let to = names::host(&member);
                    if let Some(disk) = self.disks.get(at(host)) {
                        self.judge.connects(self.now, host, disk, to);
                    }
                    self.ask(host, to, Ask::Show);
                }
                peering::Output::Ask(member) if self.defect == Some(Defect::Open) => {
                    let to = names::host(&member);
                    if let Some(disk) = self.disks.get(at(host)) {
                        self.judge.connects(self.now, host, disk, to);
                    }
                    self.ask(host, to, Ask::Show);
                }
                peering::Output::Ask(member) => self.ask_neighbor(host, member),
                peering::Output::Allow(member) => self.allowed(host, names::host(&member)),
                peering::Output::Deny(_) if self.defect == Some(Defect::Hoarding) => {}
                peering::Output::Deny(member) => {
                    self.close(host, names::host(&member), Lane::Team);
                    self.unreachable(host, names::host(&member));
                }
                peering::Output::Join(member) => {
                    let to = names::host(&member);
                    self.gossip(host, false, |gossip, now, out| gossip.join(now, &[to], out));
                }
                peering::Output::Unreachable(member) => self.unreachable(host, names::host(&member)),
                peering::Output::Close(member) => self.close(host, names::host(&member), Lane::Hall),
                peering::Output::WakeAt(when) => self.wake_at(host, Machine::Peering, when),
            }
        }
    }

    /// Gossip heard of somebody whose membership was not seen: a neighbour may have it. They are asked in turn.
    fn ask_neighbor(&mut self, host: u32, member: NodeId) {
        let Some(one) = self.host_mut(host) else { return };
        let neighbors = one.gossip.neighbors();
        let after = one.asked.map_or(Bound::Unbounded, Bound::Excluded);
        let next = neighbors.range((after, Bound::Unbounded)).next();
        one.asked = next.or(neighbors.first()).copied();
        if let Some(neighbor) = one.asked {
            let ask = Ask::Sync { have: None, ask: vec![member], revoked: Vec::new() };
            self.ask(host, neighbor, ask);
        }
    }

    pub(super) fn spread(&mut self, host: u32, input: spread::Input) {
        let clock = self.clock(host);
        let mut out = Vec::new();
        let Some(one) = self.host_mut(host) else { return };
        one.spread.handle(clock, input, &mut out);
        for output in out {
            match output {
                spread::Output::Broadcast(say) => self.say(host, say),
                spread::Output::Pull { .. } if self.defect == Some(Defect::Deaf) => {}
                spread::Output::Pull { cid, from, .. } => self.pull(host, names::host(&from), cid),
                spread::Output::WakeAt(when) => self.wake_at(host, Machine::Spread, when),
            }
        }
    }

    /// Seal, encode, broadcast.
    fn say(&mut self, host: u32, mut say: Say) {
        if let Say::Presence(record) = &mut say {
            record.ext.0.push((EXT_CHAIN, vec![0; CHAIN_BYTES]));
        }
        let gossiped = Gossiped::unsigned(say);
        let bytes = match gossiped.encode() {
            Ok(bytes) => bytes,
            Err(why) => return self.fault(format!("host {host} says what does not fit: {why}")),
        };
        self.judge.says(self.now, host, bytes.len());
        if let Gossiped::Presence(record) = &gossiped {
            self.judge.beats(host, &record.body);
        }
        if let (Gossiped::Presence(record), Some(one)) = (gossiped, self.host_mut(host)) {
            one.presence.sealed(Arc::new(record));
        }
        self.tally.broadcasts += 1;
        self.broadcast(host, bytes.into());
    }

    /// Put bytes on gossip, whatever they are.
    pub fn broadcast(&mut self, host: u32, payload: Bytes) {
        self.gossip(host, false, |gossip, now, out| gossip.broadcast(now, payload, out));
    }

    /// Let a host's gossip do something, and do what it wishes then. `broken`: a connection was just lost without a
    /// word.
    pub(super) fn gossip(
        &mut self,
        host: u32,
        broken: bool,
        act: impl FnOnce(&mut Gossip, Instant, &mut Vec<Wish>),
    ) {
        let now = self.instant();
        let mut wishes = Vec::new();
        if let Some(one) = self.host_mut(host) {
            act(&mut one.gossip, now, &mut wishes);
        }
        for wish in wishes {
            self.grant(host, wish, broken);
        }
    }

    fn grant(&mut self, host: u32, wish: Wish, broken: bool) {
        match wish {
            Wish::Send(to, message) => self.gossip_sends(host, to, message),
            Wish::Timer(after, timer) => {
                let life = self.wire.life(host);
                self.queue.push(self.now + after, Event::Timer { host, life, timer });
            }
            Wish::Close(peer) => self.release(host, peer),
            Wish::Up(peer) => {
                let member = names::id(peer);
                self.peering(host, peering::Input::Up(member));
                self.reached(host, member);
                self.presence(host, presence::Input::Up(member));
                self.neighbors(host);
            }
            Wish::Down(peer) => {
                let member = names::id(peer);
                self.peering(host, peering::Input::Down(member));
                self.presence(host, presence::Input::Down { member, broken });
                if !broken {
                    self.healer(host, healer::Input::Evicted(member));
                }
                self.neighbors(host);
            }
            Wish::Payload(from) => self.payload(host, from),
        }
    }

    /// One that has said goodbye is back when it says so, and not because it is met: the healer may not remember it.
    pub(super) fn reached(&mut self, host: u32, member: NodeId) {
        let seen = self.host(host).and_then(|one| one.presence.seen(member).map(|seen| seen.standing));
        if seen != Some(presence::Standing::Left) {
            self.healer(host, healer::Input::Reached(member));
        }
    }

    fn neighbors(&mut self, host: u32) {
        let count = self.host(host).map_or(0, |one| one.gossip.neighbors().len());
        self.healer(host, healer::Input::Neighbors(count));
    }

    /// A message of gossip comes. As in the shipping shell, the core sees a payload only when it is worth it: signed by
    /// a member, and news.
    pub(super) fn gossiped(
        &mut self,
        host: u32,
        from: u32,
        message: Message<NodeId>,
        carried: Option<Carried>,
    ) {
        let now = self.now;
        let mut coming = None;
        if let Some(Carried { id, payload }) = carried {
            let Some(one) = self.host_mut(host) else { return };
            // A copy of what was let through: the answer to it shapes gossip's tree.
            if !one.passed.contains(now, &id) {
                let payload = payload.map(|payload| self.credulous(payload));
                let Some(payload) = payload.filter(|payload| self.screen(host, payload)) else {
                    self.tally.dropped += 1;
                    return;
                };
                if let Some(one) = self.host_mut(host) {
                    one.passed.insert(now, id);
                }
                coming = Some(payload);
            }
        }
        self.coming = coming;
        self.gossip(host, false, |gossip, now, out| gossip.message(now, from, message, out));
        self.coming = None;
    }

    /// Whether a payload is let through.
    fn screen(&mut self, host: u32, payload: &Payload) -> bool {
        let Some(disk) = self.disks.get(at(host)) else { return false };
        let author = names::host(&payload.author());
        let knows = disk.members.contains(&author) || author == host;
        let genuine = payload.is_genuine() || self.defect == Some(Defect::Gullible);
        if !genuine || disk.removed.contains(&author) || !(knows || payload.has_chain()) {
            return false;
        }
        let (Payload::Presence(record), Some(one)) = (payload, self.host_mut(host)) else { return true };
        if author == host {
            return true;
        }
        let place = (record.body.boot_id, record.body.counter);
        let news = one.newest.get(author) < place;
        if news {
            one.newest.set(author, place);
        }
        news
    }

    fn payload(&mut self, host: u32, from: u32) {
        let Some(payload) = self.coming.take() else { return };
        self.tally.payloads += 1;
        if payload.has_chain() {
            self.learn(host, names::host(&payload.author()));
        }
        let from = names::id(from);
        let verified = true;
        match payload {
            Payload::Presence(record) => {
                self.presence(host, presence::Input::Record { from, age_ms: 0, record, verified });
            }
            Payload::Lost(lost) => {
                let lost = (*lost).clone();
                self.presence(host, presence::Input::Lost { from, lost, verified });
            }
            Payload::Revoked(notice) => {
                self.spread(host, spread::Input::Notice { from, notice: notice.body.clone() });
            }
        }
    }

    /// A planted mistake: what was heard before is made into news.
    fn credulous(&self, payload: Payload) -> Payload {
        match payload {
            Payload::Presence(record) if self.defect == Some(Defect::Credulous) => {
                let mut record = (*record).clone();
                record.body.counter = record.body.counter.saturating_add(self.now);
                Payload::Presence(Arc::new(record))
            }
            other => other,
        }
    }

    /// Ask on `clankers/1`. Connections there that carry nothing are closed when another one is made.
    pub(super) fn ask(&mut self, host: u32, to: u32, ask: Ask) {
        if !self.wire.known(host, to, Lane::Hall) {
            for idle in self.wire.idle(host, Lane::Hall, self.now.saturating_sub(LINK_IDLE)) {
                self.close(host, idle, Lane::Hall);
            }
        }
        self.send(host, to, Lane::Hall, Packet::Ask(Arc::new(ask)));
    }
}
