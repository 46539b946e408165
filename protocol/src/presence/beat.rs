//! This node's own side: what it says of itself, and when.
//!
//! On a change, on leaving, when it is thought lost, and every max(5 s, live members / 2 s): however many they are, each
//! member hears at most two beats a second.

use std::{net::SocketAddr, sync::Arc};

use super::payload::{Load, Record, Signed};
use crate::{
    NodeId, TeamId, Timestamp,
    limits::{
        GOSSIP_BYTES, LABEL_BYTES, PRESENCE_ADDRESSES, PRESENCE_BEAT_MS, PRESENCE_BEAT_MS_PER_MEMBER,
        PRESENCE_CHANGE_MS, PRESENCE_LEASE_BEATS, PRESENCE_LOAD_SHARE, PRESENCE_REFUTATIONS, SOFTWARE_BYTES,
    },
    message::Ext,
    presence::rate::Bucket,
    text,
    timing::Dice,
};

/// The longest relay address that fits in a record beside all else (bytes).
const RELAY_BYTES: usize = GOSSIP_BYTES / 4;

/// What a node says of itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Own {
    /// Where it is reached.
    pub addrs: Vec<SocketAddr>,
    /// The relay that it can be reached through.
    pub relay: Option<String>,
    /// What it calls itself.
    pub label: Option<String>,
    /// Its software.
    pub version: String,
    /// What it has to do.
    pub load: Load,
}

impl Own {
    /// As it may be said: what others would refuse is cut here.
    fn sayable(mut self) -> Self {
        let clean = |value: &str, most: usize| {
            let line = text::line(value.trim(), most);
            text::head(&line, most).trim().to_owned()
        };
        self.addrs.truncate(PRESENCE_ADDRESSES);
        self.relay = self.relay.filter(|relay| clean(relay, RELAY_BYTES) == *relay);
        self.label = self.label.map(|label| clean(&label, LABEL_BYTES)).filter(|label| !label.is_empty());
        self.version = clean(&self.version, SOFTWARE_BYTES);
        self
    }
}

/// Between two beats of a team with so many live members, at least (milliseconds).
#[must_use]
pub fn beat_ms(live: usize) -> u64 {
    let live = u64::try_from(live).unwrap_or(u64::MAX);
    live.saturating_mul(PRESENCE_BEAT_MS_PER_MEMBER).max(PRESENCE_BEAT_MS)
}

/// What beats vary by (milliseconds): a tenth, upwards.
fn jitter_ms(beat: u64) -> u64 {
    beat / 10
}

/// Where the numbers of payloads about others begin at this start: above those of every earlier start, so that what is
/// replayed from one is known by its number.
pub(crate) fn numbered_from(boot_id: u64) -> u64 {
    boot_id.saturating_mul(1 << 20)
}

#[derive(Debug)]
pub(super) struct Beat {
    own: Own,
    boot_id: u64,
    counter: u64,
    /// Numbers for what is said of others.
    said: u64,
    phase: Phase,
    /// When the last beat was, and the rule that it was given under (milliseconds).
    last: Option<(u64, u64)>,
    next: u64,
    /// Something new is to be said.
    soon: bool,
    /// Only the load is new.
    later: bool,
    refutations: Bucket,
    /// The last record, signed: what others are told.
    pub(super) sealed: Option<Arc<Signed<Record>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    There,
    Leaving,
    Gone,
}

impl Beat {
    pub(super) fn new(boot_id: u64, own: Own) -> Self {
        Self {
            own: own.sayable(),
            boot_id,
            counter: 0,
            said: numbered_from(boot_id),
            phase: Phase::Waiting,
            last: None,
            next: 0,
            soon: false,
            later: false,
            refutations: Bucket::new(PRESENCE_REFUTATIONS, PRESENCE_BEAT_MS),
            sealed: None,
        }
    }

    pub(super) fn start(&mut self, elapsed: u64) {
        if self.phase == Phase::Waiting {
            (self.phase, self.next) = (Phase::There, elapsed);
        }
    }

    pub(super) fn leave(&mut self) {
        if self.phase == Phase::There {
            self.phase = Phase::Leaving;
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.phase == Phase::There
    }

    pub(super) fn place(&self) -> (u64, u64) {
        (self.boot_id, self.counter)
    }

    pub(super) fn own(&mut self, own: Own) {
        let own = own.sayable();
        let rest = |own: &Own| Own { load: Load::default(), ..own.clone() };
        self.soon |= rest(&own) != rest(&self.own);
        self.later |= own.load != self.own.load;
        self.own = own;
    }

    /// There is somebody new to say it to.
    pub(super) fn announce(&mut self) {
        self.soon = true;
    }

    /// Somebody says that this node was lost.
    pub(super) fn refute(&mut self, elapsed: u64) {
        if self.phase == Phase::There && self.refutations.take(elapsed) {
            self.soon = true;
        }
    }

    /// Records of this node's key are around that it has not made in this life: of an earlier one under a clock that
    /// was ahead, or of a copy of its home. What it says from now on is newer than those.
    pub(super) fn overtake(&mut self, boot_id: u64, elapsed: u64) {
        if self.phase == Phase::There && self.refutations.take(elapsed) {
            (self.boot_id, self.counter, self.soon) = (boot_id.saturating_add(1), 0, true);
        }
    }

    /// A number for a payload about others.
    pub(super) fn number(&mut self) -> u64 {
        self.said = self.said.saturating_add(1);
        self.said
    }

    /// When something is to be said next (milliseconds elapsed).
    pub(super) fn due(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting | Phase::Gone => None,
            Phase::Leaving => Some(0),
            Phase::There => {
                let Some((last, rule)) = self.last else { return Some(self.next) };
                let soon = self.soon.then(|| last.saturating_add(PRESENCE_CHANGE_MS));
                let pause = (rule / PRESENCE_LOAD_SHARE).max(PRESENCE_CHANGE_MS);
                let later = self.later.then(|| last.saturating_add(pause));
                [Some(self.next), soon, later].into_iter().flatten().min()
            }
        }
    }

    /// The beat, when it is due.
    pub(super) fn take(
        &mut self,
        (now, elapsed): (Timestamp, u64),
        (team, author): (TeamId, NodeId),
        live: usize,
        dice: &mut Dice,
    ) -> Option<Record> {
        if self.due()? > elapsed {
            return None;
        }
        let leaving = self.phase == Phase::Leaving;
        if leaving {
            self.phase = Phase::Gone;
        }
        let rule = beat_ms(live);
        self.counter = self.counter.saturating_add(1);
        self.next = elapsed.saturating_add(rule).saturating_add(dice.up_to(jitter_ms(rule)));
        (self.last, self.soon, self.later) = (Some((elapsed, rule)), false, false);
        let own = self.own.clone();
        Some(Record {
            team,
            author,
            boot_id: self.boot_id,
            counter: self.counter,
            at: now,
            lease_ms: lease_ms(rule),
            addrs: own.addrs,
            relay: own.relay,
            label: own.label,
            version: own.version,
            load: own.load,
            leaving,
            ext: Ext::default(),
        })
    }
}

/// For how long a beat under this rule holds (milliseconds): three of the longest beats.
pub(super) fn lease_ms(rule: u64) -> u64 {
    rule.saturating_add(jitter_ms(rule)).saturating_mul(PRESENCE_LEASE_BEATS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for (live, ms) in [(0, 5_000), (1, 5_000), (10, 5_000), (11, 5_500), (1_000, 500_000)] {
            assert_eq!(beat_ms(live), ms, "{live}");
        }
        assert_eq!(lease_ms(5_000), 16_500);
    }

    #[test]
    fn what_others_would_refuse_is_not_said() {
        let own = Own {
            label: Some(" a\u{1b}[2J\u{202e}b ".into()),
            relay: Some("https://r\n".into()),
            version: "é".repeat(100),
            addrs: vec!["127.0.0.1:1".parse().unwrap(); 50],
            load: Load::default(),
        }
        .sayable();
        assert_eq!(own.label.as_deref(), Some("a\u{fffd}[2J\u{fffd}b"));
        assert_eq!((own.relay, own.addrs.len()), (None, PRESENCE_ADDRESSES));
        assert!(own.version.len() <= SOFTWARE_BYTES && own.version.starts_with("éé"));
    }
}
