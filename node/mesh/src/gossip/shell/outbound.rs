//! Connections of a team: made, used, given up, refused.

use std::time::Duration;

use bytes::Bytes;
use clankers_protocol::NodeId;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

use super::Shell;
use crate::{
    connection::Connection,
    dial::DialError,
    gossip::{
        GossipError, GossipEvent, WantDial,
        counters::add,
        link::{End, Link, LinkId, code},
        peers::Held,
        rate::Conduct,
    },
    limits::{
        GOSSIP_CONNECTIONS, GOSSIP_CUT_MS, GOSSIP_DIAL_AGAIN_MS, GOSSIP_DIAL_MS, GOSSIP_DIALS,
        GOSSIP_QUEUE_MESSAGES, GOSSIP_SHOWN, GOSSIP_WANTED,
    },
    peer::PeerAddress,
    transport::Room,
};

const AGAIN: Duration = Duration::from_millis(GOSSIP_DIAL_AGAIN_MS);

impl Shell {
    pub(super) fn allow(&mut self, now: Instant, address: PeerAddress) -> Result<(), GossipError> {
        let id = address.id;
        let known = self.peers.get(id).is_some_and(|p| p.shown.is_some());
        if !known && self.peers.shown() >= GOSSIP_SHOWN {
            return Err(GossipError::Full);
        }
        let peer = self.peers.entry(now, id);
        peer.shown = Some(address);
        (peer.asked, peer.shunned) = (None, None);
        if std::mem::take(&mut peer.forgotten) {
            // What was sent to it is lost, a request to become neighbours among it.
            self.core.join(now, vec![id], &mut self.effects);
        } else if !peer.waiting.is_empty() && peer.links.is_empty() {
            self.reach_for(now, id);
        }
        Ok(())
    }

    pub(super) fn deny(&mut self, now: Instant, id: NodeId) {
        if let Some(peer) = self.peers.get_mut(id) {
            (peer.shown, peer.asked) = (None, None);
            self.drop_links(now, id, code::NOT_SHOWN, "membership of this team has ended");
        }
    }

    /// A neighbour that behaves badly stays out for a while.
    pub(super) fn cut(&mut self, now: Instant, id: NodeId) {
        tracing::warn!(peer = %id.short(), "a member was cut from gossip for what it sent");
        add(&self.counters.cut_conduct, 1);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.cut = Some(now + Duration::from_millis(GOSSIP_CUT_MS));
            self.drop_links(now, id, code::CONDUCT, "too many messages, or none that an honest node sends");
        }
    }

    /// Closes every connection to a member at once.
    fn drop_links(&mut self, now: Instant, id: NodeId, code: u32, why: &str) {
        if let Some(peer) = self.peers.get_mut(id) {
            for held in peer.links.drain(..) {
                held.connection.close(code, why);
            }
            add(&self.counters.dropped_unreached, peer.waiting.len() as u64);
            peer.waiting.clear();
            peer.moved = false;
        }
        self.core.disconnected(now, id, &mut self.effects);
    }

    /// Our own addresses have changed: neighbours are dialed whose connection leads to where we were.
    pub(super) fn moved(&mut self, now: Instant) {
        for id in self.peers.callers() {
            self.reach_for(now, id);
            if let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.dialing) {
                (peer.moved, peer.shunned) = (true, None);
            }
        }
    }

    /// The core no longer needs a connection: what is queued is sent first.
    pub(super) fn release(&mut self, now: Instant, id: NodeId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.links.is_empty()
        {
            peer.links.clear();
            self.core.disconnected(now, id, &mut self.effects);
        }
    }

    pub(super) fn send(&mut self, now: Instant, to: NodeId, message: Bytes) {
        let peer = self.peers.entry(now, to);
        let Some(held) = peer.links.last().filter(|_| !peer.moved) else {
            return self.send_later(now, to, message);
        };
        peer.used = now;
        match held.queue.try_send(message) {
            Ok(()) => add(&self.counters.sent, 1),
            // The connection has just ended; its report is on the way.
            Err(TrySendError::Closed(_)) => add(&self.counters.dropped_unreached, 1),
            Err(TrySendError::Full(_)) => {
                add(&self.counters.cut_slow, 1);
                peer.shunned = Some(now + AGAIN);
                self.drop_links(now, to, code::SLOW, "messages are taken too slowly");
            }
        }
    }

    fn send_later(&mut self, now: Instant, to: NodeId, message: Bytes) {
        let peer = self.peers.entry(now, to);
        if peer.is_shunned(now) {
            add(&self.counters.dropped_unreached, 1);
            self.core.disconnected(now, to, &mut self.effects);
            return;
        }
        let gone = peer.wait(message);
        add(&self.counters.dropped_unreached, gone);
        self.reach_for(now, to);
    }

    /// Dials a member who may be dialed; asks the hall for any other.
    pub(super) fn reach_for(&mut self, now: Instant, id: NodeId) {
        let room_to_ask = self.peers.asked() < GOSSIP_WANTED;
        let peer = self.peers.entry(now, id);
        if peer.dialing || peer.asked.is_some() {
            return;
        }
        match peer.shown.clone().filter(|_| !peer.forgotten) {
            Some(address) => {
                if self.dials.len() < GOSSIP_DIALS {
                    peer.dialing = true;
                    add(&self.counters.dials, 1);
                    let (reach, alpn) = (self.reach.clone(), self.topic.alpn().to_vec());
                    self.dials.spawn(async move {
                        let limit = Duration::from_millis(GOSSIP_DIAL_MS);
                        let dialed = reach.dial(&address, &alpn, limit, Room::Team).await;
                        (id, dialed)
                    });
                }
            }
            None => {
                let why = if peer.forgotten { WantDial::Forgotten } else { WantDial::Unknown };
                peer.asked = Some(now);
                if !room_to_ask || !self.emit(GossipEvent::WantDial { id, why }) {
                    self.give_up(now, id, AGAIN);
                }
            }
        }
    }

    /// A member is not reached: what waits for it is dropped, and the core looks for another.
    pub(super) fn give_up(&mut self, now: Instant, id: NodeId, pause: Duration) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.asked = None;
            peer.shunned = Some(now + pause);
            add(&self.counters.dropped_unreached, peer.waiting.len() as u64);
            peer.waiting.clear();
            if peer.links.is_empty() {
                self.core.disconnected(now, id, &mut self.effects);
            }
        }
    }

    pub(super) fn dialed(&mut self, now: Instant, id: NodeId, dialed: Result<Connection, DialError>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.dialing = false;
        let welcome = peer.shown.is_some() && !peer.is_cut(now);
        match dialed {
            Ok(connection) if welcome => self.attach(now, connection, true),
            Ok(connection) => connection.close(code::RELEASED, ""),
            Err(e) => {
                tracing::debug!("a member was not reached: {e}");
                add(&self.counters.dials_failed, 1);
                // Meanwhile it may have dialed us.
                if self.peers.get(id).is_some_and(|p| p.links.is_empty()) {
                    self.give_up(now, id, AGAIN);
                }
                self.stay(now, id);
            }
        }
    }

    /// There is no better connection than the one that there was: it takes what has waited.
    fn stay(&mut self, now: Instant, id: NodeId) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.moved) else { return };
        peer.moved = false;
        for message in std::mem::take(&mut peer.waiting) {
            self.send(now, id, message);
        }
    }

    /// Somebody has dialed us on the team's protocol: only a member who has shown itself is let in.
    pub(super) fn accepted(&mut self, now: Instant, connection: Connection) {
        let id = connection.remote();
        let Some(peer) = self.peers.get_mut(id).filter(|p| p.shown.is_some()) else {
            add(&self.counters.refused_not_shown, 1);
            connection.close(code::NOT_SHOWN, "show your membership of this team first");
            return;
        };
        if peer.is_cut(now) {
            connection.close(code::CONDUCT, "cut a moment ago; try again in a minute");
        } else if peer.rate.connection(now) != Conduct::Fine {
            add(&self.counters.refused_busy, 1);
            connection.close(code::BUSY, "too many connections; try again in a few seconds");
        } else {
            connection.settle();
            peer.leave_behind(now, &connection);
            self.attach(now, connection, false);
        }
    }

    fn attach(&mut self, now: Instant, connection: Connection, dialed: bool) {
        if self.links.len() >= GOSSIP_CONNECTIONS {
            add(&self.counters.refused_busy, 1);
            let id = connection.remote();
            connection.close(code::BUSY, "too many connections; try again in a few seconds");
            if dialed {
                self.stay(now, id);
                self.give_up(now, id, AGAIN);
            }
            return;
        }
        let (queue, queued) = mpsc::channel(GOSSIP_QUEUE_MESSAGES);
        self.link_count += 1;
        let id = self.link_count;
        let peer = self.peers.entry(now, connection.remote());
        for message in peer.waiting.drain(..) {
            // There is room: fewer may wait than the queue holds.
            if queue.try_send(message).is_ok() {
                add(&self.counters.sent, 1);
            }
        }
        (peer.used, peer.asked, peer.moved) = (now, None, false);
        // It has dialed, so it knows us.
        peer.forgotten &= dialed;
        peer.links.push(Held { id, connection: connection.clone(), queue, since: now, dialed });
        if peer.links.len() > 2 {
            peer.links.remove(0);
        }
        let reports = self.reports.0.clone();
        self.links.spawn(Link { id, connection, dialed, queue: queued, reports }.run());
    }

    pub(super) fn link_ended(&mut self, now: Instant, id: NodeId, link: LinkId, end: End) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let before = peer.links.len();
        peer.links.retain(|held| held.id != link);
        // One that was given up already, or of which there is another.
        if before == peer.links.len() || !peer.links.is_empty() {
            return;
        }
        let shown = peer.shown.is_some();
        match end {
            End::Released => {}
            End::Forgotten => peer.forgotten = true,
            End::Slow => add(&self.counters.cut_slow, 1),
            End::Senseless => {
                add(&self.counters.dropped_odd, 1);
                if peer.rate.forged(now) == Conduct::Cut {
                    return self.cut(now, id);
                }
            }
            End::Lost => add(&self.counters.lost, 1),
        }
        self.core.disconnected(now, id, &mut self.effects);
        if shown && matches!(end, End::Lost | End::Slow) {
            self.emit(GossipEvent::Lost(id));
        }
        if shown && end == End::Forgotten {
            self.reach_for(now, id);
        }
    }
}
