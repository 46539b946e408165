//! What comes from neighbours, judged before the core sees it.

use bytes::Bytes;
use clankers_protocol::NodeId;
use tokio::time::Instant;

use super::Shell;
use crate::gossip::{
    Screened,
    counters::add,
    rate::Conduct,
    wire::{Look, look},
};

/// Whether the core may see a message.
enum Verdict {
    Pass,
    Drop,
    Cut,
}

impl From<Conduct> for Verdict {
    fn from(conduct: Conduct) -> Self {
        match conduct {
            Conduct::Fine => Self::Pass,
            Conduct::Excess => Self::Drop,
            Conduct::Cut => Self::Cut,
        }
    }
}

impl Shell {
    /// A message from somebody who was let in.
    pub(super) fn message(&mut self, now: Instant, from: NodeId, message: &Bytes) {
        add(&self.counters.received, 1);
        match self.judge(now, from, message) {
            Verdict::Pass => {
                if !self.core.message(now, from, message, &mut self.effects) {
                    // `look` is stricter than the core; a test holds the two together.
                    add(&self.counters.dropped_odd, 1);
                }
            }
            Verdict::Drop => {}
            Verdict::Cut => self.cut(now, from),
        }
    }

    fn judge(&mut self, now: Instant, from: NodeId, message: &Bytes) -> Verdict {
        let Some(peer) = self.peers.get_mut(from) else { return Verdict::Drop };
        if peer.shown.is_none() || peer.is_cut(now) {
            return Verdict::Drop;
        }
        let given_up = peer.links.is_empty();
        peer.used = now;
        let conduct = peer.rate.message(now, message.len(), 1);
        if conduct != Conduct::Fine {
            add(&self.counters.dropped_peer_rate, 1);
            return conduct.into();
        }
        match look(message) {
            Ok(Look::Payload { id, content }) => {
                // The core knows it: it is delivered no more, but the answer to it shapes the tree.
                if self.seen.contains(now, &id) {
                    return if given_up { Verdict::Drop } else { Verdict::Pass };
                }
                self.judge_payload(now, from, id, &content)
            }
            // What was under way when the connection was given up: a payload is still news, and there may be no
            // other way to it. Any other message calls for an answer; the peer learns of the end, and asks again.
            Ok(_) if given_up => Verdict::Drop,
            Ok(Look::Tired) => {
                add(&self.counters.dropped_tired, 1);
                Verdict::Drop
            }
            Ok(Look::Join) => self.limited(peer_join(now), from),
            Ok(Look::Other { as_many: 1 }) => Verdict::Pass,
            Ok(Look::Other { as_many }) => {
                self.limited(|rate| rate.message(now, 0, as_many.saturating_sub(1)), from)
            }
            Err(odd) => {
                tracing::debug!(from = %from.short(), "an odd gossip message: {odd}");
                add(&self.counters.dropped_odd, 1);
                self.blame(now, from)
            }
        }
    }

    fn limited(
        &mut self,
        count: impl FnOnce(&mut crate::gossip::rate::PeerRate) -> Conduct,
        from: NodeId,
    ) -> Verdict {
        let Some(peer) = self.peers.get_mut(from) else { return Verdict::Drop };
        let conduct = count(&mut peer.rate);
        if conduct != Conduct::Fine {
            add(&self.counters.dropped_peer_rate, 1);
        }
        conduct.into()
    }

    fn judge_payload(&mut self, now: Instant, from: NodeId, id: [u8; 32], content: &Bytes) -> Verdict {
        match self.screen.judge(from, content) {
            Screened::Pass { author } => {
                if !self.authors.take(now, author) {
                    add(&self.counters.dropped_author_rate, 1);
                    return Verdict::Drop;
                }
                self.screen.passed(content);
                self.seen.insert(now, id);
                self.author = Some(author);
                Verdict::Pass
            }
            Screened::Drop => {
                add(&self.counters.dropped_judged, 1);
                Verdict::Drop
            }
            Screened::Forged => {
                add(&self.counters.dropped_forged, 1);
                self.blame(now, from)
            }
        }
    }

    fn blame(&mut self, now: Instant, from: NodeId) -> Verdict {
        match self.peers.get_mut(from).map(|peer| peer.rate.forged(now)) {
            Some(Conduct::Cut) => Verdict::Cut,
            _ => Verdict::Drop,
        }
    }
}

fn peer_join(now: Instant) -> impl FnOnce(&mut crate::gossip::rate::PeerRate) -> Conduct {
    move |rate| rate.join(now)
}
