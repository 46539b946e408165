//! How a revocation comes to all whom it concerns.
//!
//! Gossip carries a notice: which links, whose rights they carry, until when. Whoever is concerned and lacks one fetches
//! it, with its witness, from the member that handed the notice on; the shell judges it and stores it before this machine
//! counts it as known. What is learnt by an exchange on connecting, or made here, is announced once. Notices are claims: one
//! that nobody can show is forgotten after a few tries, and whoever announces many such is soon not listened to.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    CidDigest, NodeId, TeamId, Timestamp,
    limits::{
        NOTICE_LINKS, PRESENCE_MEMBERS, SPREAD_ANNOUNCED, SPREAD_CREDIT, SPREAD_CREDIT_MS, SPREAD_KEPT_MS,
        SPREAD_KNOWN, SPREAD_NOTICE_MS, SPREAD_NOTICES, SPREAD_PULL_MS, SPREAD_PULLS, SPREAD_RETRY_MAX_MS,
        SPREAD_RETRY_MS, SPREAD_SOURCES, SPREAD_TRIES, SPREAD_TRIES_NEAR, SPREAD_UNSHOWN, SPREAD_WANTED,
    },
    presence::{Noted, Notice, Say, beat::numbered_from, rate::Bucket},
    timing::{Alarm, Elapsed},
};

/// How a revocation became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was stored already when the node started.
    Loaded,
    /// It was made here, or handed to this node.
    Own,
    /// It came by an exchange on connecting.
    Synced,
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// It was judged good and is stored, or was already.
    Stored,
    /// The other does not have it, or not yet.
    Missing,
    /// What came does not revoke it.
    Bad,
    /// The other was not reached, or did not answer.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Its membership is known and good.
    Member(NodeId),
    /// It is no member any more.
    Removed(NodeId),
    /// This was judged good and is stored.
    Known {
        /// What.
        noted: Noted,
        /// How it became known.
        how: How,
    },
    /// A notice came, signed by its author.
    Notice {
        /// Who handed it on.
        from: NodeId,
        /// What it says.
        notice: Notice,
    },
    /// A fetch is over.
    Pulled {
        /// Of what.
        cid: CidDigest,
        /// From whom.
        from: NodeId,
        /// What came of it.
        got: Got,
    },
    /// It is time.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Sign this and gossip it.
    Broadcast(Say),
    /// Fetch the revocation of this link, judge it, store it; then say what came of it.
    Pull {
        /// Of what.
        cid: CidDigest,
        /// From whom.
        from: NodeId,
        /// Whose rights the link carries: this node's, or the team's.
        subject: NodeId,
    },
    /// Call again with [`Input::Tick`] at this time; it takes the place of any time said before.
    WakeAt(Timestamp),
}

/// What came and was without effect (counts).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Notices of another team.
    pub other_team: u64,
    /// Notices by or from somebody whose membership is not known.
    pub unknown: u64,
    /// Links that end so long ago that nothing is left to revoke.
    pub over: u64,
    /// Links for which there was no room.
    pub full: u64,
    /// Links whose revocation nobody could show.
    pub unshown: u64,
    /// Bodies that do not revoke what they should.
    pub bad: u64,
}

#[derive(Debug)]
struct Wanted {
    noted: Noted,
    author: NodeId,
    /// Who is said to have it; the first is asked next.
    sources: VecDeque<NodeId>,
    tries: u32,
    /// When it is asked for next, or the fetch that is under way is given up (milliseconds elapsed).
    due: u64,
    /// From whom it is being fetched.
    pulling: Option<NodeId>,
}

/// See the module.
#[derive(Debug)]
pub struct Spread {
    team: TeamId,
    me: NodeId,
    clock: Elapsed,
    alarm: Alarm,
    members: BTreeSet<NodeId>,
    known: BTreeMap<CidDigest, Timestamp>,
    wanted: BTreeMap<CidDigest, Wanted>,
    /// Of authors whose revocations were not shown, or not yet.
    credit: BTreeMap<NodeId, Bucket>,
    pulls: usize,
    news: VecDeque<Noted>,
    notices: Bucket,
    counter: u64,
    dropped: Dropped,
}

impl Spread {
    /// The revocations of one team, at `me`.
    #[must_use]
    pub fn new(team: TeamId, me: NodeId) -> Self {
        Self {
            team,
            me,
            clock: Elapsed::default(),
            alarm: Alarm::default(),
            members: BTreeSet::new(),
            known: BTreeMap::new(),
            wanted: BTreeMap::new(),
            credit: BTreeMap::new(),
            pulls: 0,
            news: VecDeque::new(),
            notices: Bucket::new(SPREAD_NOTICES, SPREAD_NOTICE_MS),
            counter: 0,
            dropped: Dropped::default(),
        }
    }

    /// The same with notices that are numbered above those of every earlier start of this node.
    #[must_use]
    pub fn started(self, boot_id: u64) -> Self {
        Self { counter: numbered_from(boot_id), ..self }
    }

    /// Whether the revocation of this link is known to be stored.
    #[must_use]
    pub fn is_known(&self, cid: &CidDigest) -> bool {
        self.known.contains_key(cid)
    }

    /// Revocations known and being fetched (counts).
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.known.len(), self.wanted.len())
    }

    /// What came and was without effect.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// One step.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        let elapsed = self.clock.advance(now);
        match input {
            Input::Member(id) => {
                if id != self.me && self.members.len() < PRESENCE_MEMBERS {
                    self.members.insert(id);
                }
            }
            Input::Removed(id) => self.removed(id),
            Input::Known { noted, how } => self.known(now, noted, how != How::Loaded),
            Input::Notice { from, notice } => self.notice((now, elapsed), from, &notice),
            Input::Pulled { cid, from, got } => self.pulled((now, elapsed), cid, from, got),
            Input::Tick => self.alarm.rang(),
        }
        self.pull(elapsed, out);
        self.announce(now, elapsed, out);
        out.extend(self.alarm.set(now, elapsed, self.due()).map(Output::WakeAt));
    }

    /// Who is removed is asked no more, and what only it announced is not fetched.
    fn removed(&mut self, id: NodeId) {
        self.members.remove(&id);
        self.credit.remove(&id);
        for wanted in self.wanted.values_mut() {
            wanted.sources.retain(|source| *source != id);
            if wanted.pulling == Some(id) {
                (wanted.pulling, wanted.due) = (None, 0);
                self.pulls = self.pulls.saturating_sub(1);
            }
        }
        self.wanted.retain(|_, wanted| wanted.pulling.is_some() || !wanted.sources.is_empty());
    }

    fn concerns(&self, noted: &Noted) -> bool {
        noted.subject == self.me || noted.subject == self.team.node()
    }

    fn is_over(noted: &Noted, now: Timestamp) -> bool {
        noted.expires.plus_ms(SPREAD_KEPT_MS) < now
    }

    fn known(&mut self, now: Timestamp, noted: Noted, news: bool) {
        self.unwant(&noted.cid);
        if self.known.contains_key(&noted.cid) || Self::is_over(&noted, now) {
            return;
        }
        if self.known.len() >= SPREAD_KNOWN {
            // What ends first is of least use. It is only fetched once more should somebody announce it.
            let first = self.known.iter().min_by_key(|(_, expires)| **expires).map(|(cid, _)| *cid);
            first.map(|cid| self.known.remove(&cid));
        }
        self.known.insert(noted.cid, noted.expires);
        if news {
            if self.news.len() >= SPREAD_ANNOUNCED {
                self.dropped.full += 1;
                self.news.pop_front();
            }
            self.news.push_back(noted);
        }
    }

    fn notice(&mut self, (now, elapsed): (Timestamp, u64), from: NodeId, notice: &Notice) {
        let member = |id: &NodeId| self.members.contains(id);
        if notice.team != self.team {
            self.dropped.other_team += 1;
            return;
        }
        if notice.author == self.me {
            return;
        }
        if !member(&from) || !member(&notice.author) {
            self.dropped.unknown += 1;
            return;
        }
        for noted in notice.revoked.iter().take(NOTICE_LINKS) {
            if Self::is_over(noted, now) {
                self.dropped.over += 1;
            } else if self.concerns(noted) && !self.known.contains_key(&noted.cid) {
                self.want(elapsed, from, notice.author, noted);
            }
        }
    }

    fn want(&mut self, elapsed: u64, from: NodeId, author: NodeId, noted: &Noted) {
        if let Some(wanted) = self.wanted.get_mut(&noted.cid) {
            if wanted.sources.len() < SPREAD_SOURCES && !wanted.sources.contains(&from) {
                wanted.sources.push_back(from);
            }
            return;
        }
        let fresh = || Bucket::new(SPREAD_CREDIT, SPREAD_CREDIT_MS);
        if self.wanted.len() >= SPREAD_WANTED
            || !self.credit.entry(author).or_insert_with(fresh).take(elapsed)
        {
            self.dropped.full += 1;
            return;
        }
        // Nobody on the way needs what is about this node alone.
        let mine = noted.subject == self.me && from != author;
        let sources = if mine { VecDeque::from([author, from]) } else { VecDeque::from([from]) };
        let wanted = Wanted { noted: *noted, author, sources, tries: 0, due: elapsed, pulling: None };
        self.wanted.insert(noted.cid, wanted);
    }

    /// It is there, so its author was right.
    fn unwant(&mut self, cid: &CidDigest) {
        let Some(wanted) = self.wanted.remove(cid) else { return };
        self.pulls = self.pulls.saturating_sub(usize::from(wanted.pulling.is_some()));
        if let Some(credit) = self.credit.get_mut(&wanted.author) {
            credit.give();
        }
    }

    fn pulled(&mut self, (now, elapsed): (Timestamp, u64), cid: CidDigest, from: NodeId, got: Got) {
        let Some(wanted) = self.wanted.get_mut(&cid) else { return };
        if got == Got::Stored {
            // Gossip has told everybody: it is no news.
            let noted = wanted.noted;
            self.known(now, noted, false);
            return;
        }
        if wanted.pulling == Some(from) {
            self.ended(elapsed, &cid, got);
        }
    }

    /// A fetch came to nothing: the next source is asked, a little later each time.
    fn ended(&mut self, elapsed: u64, cid: &CidDigest, got: Got) {
        let Some(wanted) = self.wanted.get_mut(cid) else { return };
        self.pulls = self.pulls.saturating_sub(usize::from(wanted.pulling.is_some()));
        let Some(from) = wanted.pulling.take() else { return };
        let rest = SPREAD_RETRY_MS.saturating_mul(1 << wanted.tries.saturating_sub(1).min(16));
        wanted.due = elapsed.saturating_add(rest.min(SPREAD_RETRY_MAX_MS));
        if got == Got::Bad {
            self.dropped.bad += 1;
        } else {
            wanted.sources.push_back(from);
        }
        let far = wanted.tries == SPREAD_TRIES_NEAR || (got == Got::Bad && wanted.sources.is_empty());
        let author = wanted.author;
        if far && from != author && self.members.contains(&author) && !wanted.sources.contains(&author) {
            wanted.sources.push_front(author);
        }
        if wanted.sources.is_empty() || wanted.tries >= SPREAD_TRIES {
            self.dropped.unshown += 1;
            self.wanted.remove(cid);
            // Honest members lost a dozen questions over it: its author is believed the less.
            if let Some(credit) = self.credit.get_mut(&author) {
                for _ in 0..SPREAD_UNSHOWN {
                    let _left = credit.take(elapsed);
                }
            }
        }
    }

    fn due_now(&self, elapsed: u64, pulling: bool) -> Vec<CidDigest> {
        let due = |it: &Wanted| it.due <= elapsed && it.pulling.is_some() == pulling;
        self.wanted.iter().filter(|(_, it)| due(it)).map(|(cid, _)| *cid).collect()
    }

    fn pull(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        for cid in self.due_now(elapsed, true) {
            self.ended(elapsed, &cid, Got::Failed);
        }
        for cid in self.due_now(elapsed, false) {
            if self.pulls >= SPREAD_PULLS {
                return;
            }
            let Some(wanted) = self.wanted.get_mut(&cid) else { continue };
            let Some(from) = wanted.sources.pop_front() else { continue };
            wanted.pulling = Some(from);
            wanted.tries = wanted.tries.saturating_add(1);
            wanted.due = elapsed.saturating_add(SPREAD_PULL_MS);
            self.pulls = self.pulls.saturating_add(1);
            out.push(Output::Pull { cid, from, subject: wanted.noted.subject });
        }
    }

    fn announce(&mut self, now: Timestamp, elapsed: u64, out: &mut Vec<Output>) {
        self.news.retain(|noted| !Self::is_over(noted, now));
        while !self.news.is_empty() && self.notices.take(elapsed) {
            let count = self.news.len().min(NOTICE_LINKS);
            let revoked = self.news.drain(..count).collect();
            self.counter = self.counter.saturating_add(1);
            let (team, author, counter) = (self.team, self.me, self.counter);
            out.push(Output::Broadcast(Say::Revoked(Notice { team, author, counter, revoked })));
        }
    }

    fn due(&self) -> Option<u64> {
        let free = self.pulls < SPREAD_PULLS;
        let wanted = self.wanted.values().filter(|it| free || it.pulling.is_some()).map(|it| it.due);
        wanted.chain((!self.news.is_empty()).then(|| self.notices.next())).min()
    }
}
