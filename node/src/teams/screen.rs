//! What of a team's gossip is taken at all: what a member signed.
//!
//! A record carries its author's membership, so that those who never met the author can tell. Who it is that hands a
//! payload on does not matter here: gossip itself talks to members only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_auth::team;
use clankers_mesh::{Screen, Screened};
use clankers_protocol::{
    NodeId, TeamId,
    presence::{Gossiped, PayloadError, Record},
    request::team::Goodbye,
};

use super::roll::Roll;

/// Number of an `ext` value of a presence record: its author's membership.
pub(super) const EXT_CHAIN: u16 = 1;

/// Number of an `ext` value of a presence record that says goodbye, one byte: 0 when the node was stopped, 1 when it has
/// left the team.
pub(super) const EXT_GOODBYE: u16 = 2;

/// What a member's goodbye meant; older nodes do not say it.
pub(crate) fn goodbye(record: &Record) -> Option<Goodbye> {
    match record.ext.get(EXT_GOODBYE).filter(|_| record.leaving)? {
        [0] => Some(Goodbye::Stopped),
        [1] => Some(Goodbye::Left),
        _ => None,
    }
}

/// Judges payloads of one team.
pub(super) struct TeamScreen {
    pub(super) team: TeamId,
    pub(super) me: NodeId,
    pub(super) roll: Arc<Roll>,
    /// What of each member was let through: nothing is passed on again.
    pub(super) newest: Mutex<BTreeMap<NodeId, Newest>>,
}

/// What was let through of one author.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// The place of the last record: older ones are of no use.
    record: Option<(u64, u64)>,
    lost: Window,
    revoked: Window,
}

impl Newest {
    fn has(&self, said: &Gossiped) -> bool {
        match said {
            Gossiped::Presence(signed) => self.record.is_some_and(|last| last >= signed.body.place()),
            Gossiped::Lost(signed) => self.lost.has(signed.body.counter),
            Gossiped::Revoked(signed) => self.revoked.has(signed.body.counter),
        }
    }

    fn add(&mut self, said: &Gossiped) {
        match said {
            Gossiped::Presence(signed) => self.record = self.record.max(Some(signed.body.place())),
            Gossiped::Lost(signed) => self.lost.add(signed.body.counter),
            Gossiped::Revoked(signed) => self.revoked.add(signed.body.counter),
        }
    }
}

/// Numbers that have come: the highest, and which of the 64 up to it. Each notice says something of its own, and gossip
/// does not keep their order: one that was overtaken is still news.
#[derive(Debug, Default)]
struct Window {
    top: u64,
    seen: u64,
}

impl Window {
    /// Whether this one has come, or is too far back to tell.
    fn has(&self, number: u64) -> bool {
        let bit = |back: u64| u32::try_from(back).ok().and_then(|back| 1_u64.checked_shl(back));
        match self.top.checked_sub(number) {
            None => false,
            Some(_) if self.seen == 0 => false,
            Some(back) => bit(back).is_none_or(|bit| self.seen & bit != 0),
        }
    }

    fn add(&mut self, number: u64) {
        let shift =
            |value: u64, by: u64| u32::try_from(by).ok().and_then(|by| value.checked_shl(by)).unwrap_or(0);
        if number >= self.top {
            self.seen = shift(self.seen, number - self.top) | 1;
            self.top = number;
        } else {
            self.seen |= shift(1, self.top - number);
        }
    }
}

impl Screen for TeamScreen {
    fn judge(&self, _from: NodeId, payload: &[u8]) -> Screened {
        let said = match Gossiped::decode(payload) {
            Ok(said) => said,
            // Honest neighbours of a later version pass on what they know.
            Err(PayloadError::Unknown(_)) => return Screened::Drop,
            Err(_) => return Screened::Forged,
        };
        let author = said.author();
        if said.team() != self.team {
            return Screened::Forged;
        }
        if author == self.me {
            // Its own, come round; a stranger's signature in its name is nobody's honest mistake.
            return if verified(&said) { Screened::Pass { author } } else { Screened::Forged };
        }
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(&author).is_some_and(|newest| newest.has(&said)) {
            return Screened::Drop;
        }
        drop(newest);
        if !verified(&said) {
            return Screened::Forged;
        }
        // A newcomer's first words, or another membership of somebody known.
        if let Gossiped::Presence(signed) = &said
            && let Some(chain) = signed.body.ext.get(EXT_CHAIN)
            && let Err(error) = self.roll.enter(author, chain)
        {
            // Whoever passed it on may not have heard yet that it was revoked.
            tracing::debug!(author = %author.short(), %error, "a record with a membership that does not hold");
        }
        if !self.roll.is_member(author) {
            return Screened::Drop;
        }
        Screened::Pass { author }
    }

    fn passed(&self, payload: &[u8]) {
        if let Ok(said) = Gossiped::decode(payload) {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest.entry(said.author()).or_default().add(&said);
        }
    }
}

impl TeamScreen {
    /// Somebody is no member any more.
    pub(super) fn forget(&self, id: NodeId) {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Whether its author signed it.
pub(super) fn verified(said: &Gossiped) -> bool {
    match said {
        Gossiped::Presence(signed) => team::verify(signed),
        Gossiped::Lost(signed) => team::verify(signed),
        Gossiped::Revoked(signed) => team::verify(signed),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_number_passes_twice_and_a_late_one_passes_once(numbers in prop::collection::vec(0_u64..200, 0..200)) {
            let mut window = Window::default();
            let mut come = BTreeSet::new();
            for number in numbers {
                let far_back = come.last().is_some_and(|top| top - number.min(*top) >= 64);
                prop_assert_eq!(window.has(number), far_back || come.contains(&number));
                if !window.has(number) {
                    window.add(number);
                    come.insert(number);
                }
            }
        }
    }

    #[test]
    fn a_new_start_of_the_author_is_heard_and_the_old_one_is_over() {
        let mut window = Window::default();
        window.add(7);
        window.add(u64::MAX);
        assert!(!Window::default().has(0));
        assert!(window.has(u64::MAX) && window.has(7) && window.has(8));
        assert!(!window.has(u64::MAX - 1));
    }
}
