//! Who is attached to a session, as what, since when.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clankers_protocol::{
    NodeId,
    limits::ROSTER,
    message::Ext,
    request::attach::{Attendee, OpenItem, Presence, Role, State},
};
use tokio::sync::watch;

use super::{Session, open_items::OpenText, stamp};
use crate::limits::{OWNER_SEATS, VIEWERS};

/// Everybody who is attached.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: Mutex<Seats>,
    /// Whether somebody is there who may answer approvals; changed under the lock of the seats.
    answerable: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: BTreeMap<u64, Seated>,
    last: u64,
}

#[derive(Debug)]
struct Seated {
    who: Attendee,
    /// Approvals may be put to them.
    approves: bool,
}

/// A viewer's place in the roster. Dropping it leaves, and everybody else hears of it.
#[derive(Debug)]
pub(crate) struct Seat {
    session: Arc<Session>,
    pub(crate) who: Attendee,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are there.
    pub(crate) fn count(&self) -> usize {
        self.lock().taken.len()
    }

    /// Whether somebody is there who may answer approvals.
    pub(crate) fn has_approver(&self) -> bool {
        *self.answerable.borrow()
    }

    /// Somebody came or left.
    fn changed(&self, seats: &Seats) {
        let there = seats.taken.values().any(|seated| seated.approves);
        self.answerable.send_if_modified(|known| std::mem::replace(known, there) != there);
    }

    /// Waits until nobody has been there for `time` who may answer approvals. Cancel-safe.
    pub(crate) async fn deserted(&self, time: Duration) {
        let mut answerable = self.answerable.subscribe();
        loop {
            // The sender lives as long as this: neither wait ends for want of it.
            let _left = answerable.wait_for(|there| !there).await.is_ok();
            if tokio::time::timeout(time, answerable.wait_for(|there| *there)).await.is_err() {
                return;
            }
        }
    }
}

impl Session {
    /// Takes a place in the roster, and tells everybody. `None` when all places are taken.
    pub(crate) fn sit(
        self: &Arc<Self>,
        principal: NodeId,
        owner: bool,
        role: Role,
        approves: bool,
    ) -> Option<Seat> {
        let mut seats = self.roster.lock();
        // The owner gets in when others fill the room.
        let room = if owner { VIEWERS + OWNER_SEATS } else { VIEWERS };
        if seats.taken.len() >= room {
            return None;
        }
        seats.last += 1;
        let who = Attendee { attach_id: seats.last, principal, role, since: stamp() };
        seats.taken.insert(who.attach_id, Seated { who, approves });
        self.roster.changed(&seats);
        drop(seats);
        self.feed.publish_message(&Presence { who, joined: true, ext: Ext::default() });
        Some(Seat { session: Arc::clone(self), who })
    }

    /// How the session is now, beside its events.
    pub(crate) fn state(&self, open: &[OpenText]) -> State {
        let status = self.status();
        let seats = self.roster.lock();
        let open_items = open.iter().map(|open| OpenItem {
            item: open.item.clone(),
            kind: open.kind,
            from: open.from,
            to: open.from + open.text.len() as u64,
        });
        State {
            roster: seats.taken.values().take(ROSTER).map(|seated| seated.who).collect(),
            attached: seats.taken.len() as u64,
            pending: self.approvals.pending(),
            open_items: open_items.collect(),
            model: status.model,
            running: status.running,
            queued: status.queued as u64,
            ext: Ext::default(),
        }
    }
}

impl Seat {
    /// Nobody sits there any more who could answer an approval; it watches, and may come back as another.
    pub(crate) fn answers_no_more(&self) {
        let mut seats = self.session.roster.lock();
        if let Some(seated) = seats.taken.get_mut(&self.who.attach_id) {
            seated.approves = false;
        }
        self.session.roster.changed(&seats);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.session.roster.lock();
        seats.taken.remove(&self.who.attach_id);
        self.session.roster.changed(&seats);
        drop(seats);
        self.session.feed.publish_message(&Presence { who: self.who, joined: false, ext: Ext::default() });
    }
}
