//! Connections between hosts, as QUIC gives them: dialed, ordered, kept alive, given up after silence.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    event::{Event, Packet},
    limits::{DIAL_TIMEOUT, HELD},
    links::Links,
    queue::{Micros, Queue},
};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// `clankers/1`: requests.
    Hall,
    /// The team's own: gossip.
    Team,
}

/// One direction of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Who sends, dials, closes or looks.
    pub from: u32,
    /// The other host.
    pub to: u32,
    /// What it is for.
    pub lane: Lane,
    /// Which connection, counted in the order of dialing.
    pub conn: u64,
}

/// What the transport lets happen.
#[derive(Debug)]
pub enum Transport {
    /// A packet reaches `to`.
    Arrive(Way, Packet),
    /// `from`'s dial, begun then, reaches its end: `to` may accept or refuse it now.
    Dialed(Way, Micros),
    /// `from`'s dial failed.
    Undialed(Way),
    /// `to` hears that `from` closed.
    Hangup(Way),
    /// `from` looks whether it still hears `to`.
    Silent(Way),
}

/// One host's end of a connection.
#[derive(Debug)]
struct End {
    conn: u64,
    open: bool,
    /// This host dialed.
    dialed: bool,
    /// The peer's life when it opened: a restarted process does not know the connection.
    life: u32,
    /// When the latest packet arrives that was sent on it.
    last: Micros,
    /// Waiting for the handshake, or for the end of a cut.
    held: Vec<Packet>,
}

/// All connections of a world.
#[derive(Debug)]
pub struct Wire {
    /// Delays and cuts.
    pub links: Links,
    ends: Vec<BTreeMap<(u32, Lane), End>>,
    /// Every host's life: counted at each start and end. Odd while it runs.
    life: Vec<u32>,
    count: u64,
}

fn at<T>(all: &[T], host: u32) -> Option<&T> {
    all.get(usize::try_from(host).ok()?)
}

fn at_mut<T>(all: &mut [T], host: u32) -> Option<&mut T> {
    all.get_mut(usize::try_from(host).ok()?)
}

impl Wire {
    /// No connections between `hosts` hosts, all of them down.
    #[must_use]
    pub fn new(links: Links, hosts: usize) -> Self {
        Self { links, ends: (0..hosts).map(|_| BTreeMap::new()).collect(), life: vec![0; hosts], count: 0 }
    }

    /// Which life a host lives: odd while it runs.
    #[must_use]
    pub fn life(&self, host: u32) -> u32 {
        at(&self.life, host).copied().unwrap_or(0)
    }

    /// Whether a host runs.
    #[must_use]
    pub fn runs(&self, host: u32) -> bool {
        self.life(host) % 2 == 1
    }

    /// A host starts.
    pub fn start(&mut self, host: u32) {
        if !self.runs(host) {
            self.turn(host);
        }
    }

    fn turn(&mut self, host: u32) {
        if let Some(life) = at_mut(&mut self.life, host) {
            *life += 1;
        }
    }

    /// A host's process ends without a word: its peers hear silence.
    pub fn kill(&mut self, now: Micros, host: u32, queue: &mut Queue<Event>) {
        if !self.runs(host) {
            return;
        }
        self.turn(host);
        let Some(ends) = at_mut(&mut self.ends, host) else { return };
        for ((peer, lane), end) in std::mem::take(ends) {
            let then = now + self.links.silence();
            queue.push(then, Transport::Silent(Way { from: peer, to: host, lane, conn: end.conn }));
        }
    }

    fn end(&self, from: u32, to: u32, lane: Lane) -> Option<&End> {
        at(&self.ends, from)?.get(&(to, lane))
    }

    fn end_mut(&mut self, from: u32, to: u32, lane: Lane) -> Option<&mut End> {
        at_mut(&mut self.ends, from)?.get_mut(&(to, lane))
    }

    /// How many connections of this kind a host has, open or dialed.
    #[must_use]
    pub fn count(&self, host: u32, kind: Lane) -> usize {
        at(&self.ends, host).map_or(0, |ends| ends.keys().filter(|(_, lane)| *lane == kind).count())
    }

    /// How many of them it dialed itself.
    #[must_use]
    pub fn dialed(&self, host: u32, kind: Lane) -> usize {
        let ends = at(&self.ends, host).into_iter().flatten();
        ends.filter(|((_, lane), end)| *lane == kind && end.dialed).count()
    }

    /// Whom a host has connections with, and of which kind.
    #[must_use]
    pub fn peers(&self, host: u32) -> Vec<(u32, Lane)> {
        at(&self.ends, host).into_iter().flat_map(|ends| ends.keys().copied()).collect()
    }

    /// Whether a host has a connection with a peer or dials it.
    #[must_use]
    pub fn known(&self, host: u32, peer: u32, lane: Lane) -> bool {
        self.end(host, peer, lane).is_some()
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, host: u32, peer: u32, lane: Lane) -> bool {
        self.end(host, peer, lane).is_some_and(|end| end.open)
    }

    /// Send, dialing when there is no connection. False when too much waits already: the connection is to be given
    /// up.
    pub fn send(
        &mut self,
        now: Micros,
        (from, to, lane): (u32, u32, Lane),
        packet: Packet,
        queue: &mut Queue<Event>,
    ) -> bool {
        self.dial(now, (from, to, lane), queue);
        let cut = self.links.cut(from, to);
        let took = self.links.transit(from, to);
        let Some(end) = self.end_mut(from, to, lane) else { return true };
        if end.open && !cut && end.held.is_empty() {
            end.last = end.last.max(now + took);
            let (then, conn) = (end.last, end.conn);
            queue.push(then, Transport::Arrive(Way { from, to, lane, conn }, packet));
        } else if end.held.len() < HELD {
            end.held.push(packet);
        } else {
            return false;
        }
        true
    }

    /// Begin a connection; nothing happens when there is one.
    pub fn dial(&mut self, now: Micros, (from, to, lane): (u32, u32, Lane), queue: &mut Queue<Event>) {
        if from == to || self.known(from, to, lane) {
            return;
        }
        self.count += 1;
        let (conn, life) = (self.count, self.life(to));
        let then = now + self.links.round_trip(from, to);
        if let Some(ends) = at_mut(&mut self.ends, from) {
            ends.insert((to, lane), End { conn, open: false, dialed: true, life, last: 0, held: Vec::new() });
            queue.push(then, Transport::Dialed(Way { from, to, lane, conn }, now));
        }
    }

    /// Whether a dial that reaches its end now finds anyone; a lost one fails when its time is over.
    pub fn answered(&mut self, now: Micros, way: Way, since: Micros, queue: &mut Queue<Event>) -> bool {
        let waits = self.end(way.from, way.to, way.lane).is_some_and(|end| end.conn == way.conn && !end.open);
        if !waits {
            return false;
        }
        if self.links.cut(way.from, way.to) || !self.runs(way.to) {
            queue.push(now.max(since + DIAL_TIMEOUT), Transport::Undialed(way));
            return false;
        }
        true
    }

    /// Open both ends of a dial that was accepted, and send what waited for it. Two dials that met become one.
    pub fn accept(&mut self, now: Micros, way: Way, queue: &mut Queue<Event>) {
        for (here, there) in [(way.from, way.to), (way.to, way.from)] {
            let life = self.life(there);
            let Some(ends) = at_mut(&mut self.ends, here) else { continue };
            let end = ends.entry((there, way.lane)).or_insert_with(|| End {
                conn: way.conn,
                open: true,
                dialed: false,
                life,
                last: now,
                held: Vec::new(),
            });
            (end.conn, end.open, end.life, end.last) = (way.conn, true, life, end.last.max(now));
            for packet in std::mem::take(&mut end.held) {
                self.send(now, (here, there, way.lane), packet, queue);
            }
        }
    }

    /// Peers with whom an open connection of this kind has carried nothing since then.
    #[must_use]
    pub fn idle(&self, host: u32, kind: Lane, since: Micros) -> Vec<u32> {
        let ends = at(&self.ends, host).into_iter().flatten();
        let idle = ends.filter(|((_, lane), end)| *lane == kind && end.open && end.last < since);
        idle.map(|((peer, _), _)| *peer).collect()
    }

    /// Forget an end when it is of this connection, and give what waited on it.
    pub fn drop_end(&mut self, way: Way) -> Option<Vec<Packet>> {
        let ends = at_mut(&mut self.ends, way.from)?;
        let same = ends.get(&(way.to, way.lane)).is_some_and(|end| end.conn == way.conn);
        same.then(|| ends.remove(&(way.to, way.lane)).map(|end| end.held)).flatten()
    }

    /// Close in order; the peer hears it after what was sent before. What still waited for a handshake is dropped.
    pub fn hangup(&mut self, now: Micros, (from, to, lane): (u32, u32, Lane), queue: &mut Queue<Event>) {
        let Some(end) = at_mut(&mut self.ends, from).and_then(|ends| ends.remove(&(to, lane))) else {
            return;
        };
        if end.open && !self.links.cut(from, to) {
            let then = end.last.max(now + self.links.transit(from, to));
            queue.push(then, Transport::Hangup(Way { from, to, lane, conn: end.conn }));
        }
    }

    /// Whether a packet on this connection is taken by `to`: otherwise the sender is told that there is none, unless
    /// `to` is a process that never knew it.
    pub fn takes(&mut self, now: Micros, way: Way, queue: &mut Queue<Event>) -> bool {
        let Way { from, to, lane, conn } = way;
        if let Some(end) = self.end_mut(to, from, lane)
            && (end.conn, end.open) == (conn, true)
        {
            end.last = end.last.max(now);
            return true;
        }
        let life = self.life(to);
        let told = self.end(from, to, lane).is_some_and(|end| end.conn == conn && end.life == life);
        if told && self.runs(to) && !self.links.cut(from, to) {
            let then = now + self.links.transit(to, from);
            queue.push(then, Transport::Hangup(Way { from: to, to: from, lane, conn }));
        }
        false
    }

    /// Whether a connection is to be given up for silence; when so, it is gone.
    pub fn given_up(&mut self, way: Way) -> bool {
        let (life, cut) = (self.life(way.to), self.links.cut(way.from, way.to));
        let dead = self
            .end(way.from, way.to, way.lane)
            .is_some_and(|end| end.conn == way.conn && (cut || end.life != life));
        dead && self.drop_end(way).is_some()
    }

    /// Put hosts on their sides. New cuts fall silent; where one ends, what was held goes out.
    pub fn cut(&mut self, now: Micros, sides: &[(u32, u8)], queue: &mut Queue<Event>) {
        let before = self.crossing();
        for (host, side) in sides {
            self.links.place(*host, *side);
        }
        let after = self.crossing();
        for way in after.difference(&before) {
            queue.push(now + self.links.silence(), Transport::Silent(*way));
        }
        for way in before.difference(&after) {
            // A probe finds out: they come at most a keep-alive apart.
            let then = now + self.links.transit(way.from, way.to) + self.links.probe();
            self.flush(then, *way, queue);
        }
    }

    fn flush(&mut self, then: Micros, way: Way, queue: &mut Queue<Event>) {
        let Some(end) = self.end_mut(way.from, way.to, way.lane) else { return };
        end.last = end.last.max(then);
        for packet in std::mem::take(&mut end.held) {
            queue.push(end.last, Transport::Arrive(way, packet));
        }
    }

    /// Open ends with a cut between them, in order.
    fn crossing(&self) -> BTreeSet<Way> {
        (0_u32..)
            .zip(&self.ends)
            .flat_map(|(from, ends)| ends.iter().map(move |((to, lane), end)| (from, *to, *lane, end)))
            .filter(|(from, to, _, end)| end.open && self.links.cut(*from, *to))
            .map(|(from, to, lane, end)| Way { from, to, lane, conn: end.conn })
            .collect()
    }
}

#[cfg(test)]
mod tests;
