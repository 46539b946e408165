//! Requests on `clankers/1`: showing membership, presence and revocations on meeting, bodies of revocations.

use std::sync::Arc;

use clankers_protocol::{
    CidDigest, NodeId, peering,
    presence::{self, Noted, Told},
    request::presence::PresenceDigest,
    spread::{self, Got, How},
};

use super::{World, at};
use crate::{
    event::{Ask, EXT_CHAIN},
    host::TEAM,
    limits::{PAGE, PAGES},
    names,
};

impl World {
    pub(super) fn talk(&mut self, host: u32, from: u32, ask: &Arc<Ask>) {
        let id = names::id(from);
        match &**ask {
            Ask::Show => {
                let good = self.learn(host, from);
                self.ask(host, from, Ask::Shown(good));
                if good {
                    self.shown(host, id);
                }
            }
            Ask::Shown(good) => {
                if *good && self.learn(host, from) {
                    self.shown(host, id);
                } else {
                    self.peering(host, peering::Input::Failed(id));
                }
            }
            _ if !self.trusts(host, from) => self.tally.refused += 1,
            Ask::Sync { have, ask, revoked } => {
                self.answer_sync(host, from, have.as_deref(), ask, revoked);
            }
            Ask::Synced { told, chains, want, revoked, lacks } => {
                self.take(host, from, told, chains, revoked);
                self.tell(host, from, want, lacks);
                // A full page: there may be more.
                let full = told.len() >= PAGE || want.len() >= PAGE;
                let left = self.host_mut(host).and_then(|one| one.pages.remove(&from)).unwrap_or(0);
                if full && left > 0 {
                    self.sync_pages(host, from, left - 1);
                }
            }
            Ask::Tell { told, chains, revoked } => self.take(host, from, told, chains, revoked),
            Ask::Pull(cid) => {
                let body = self.disks.get(at(host)).and_then(|disk| disk.revoked.get(cid)).cloned();
                let body = body.filter(|noted| concerns(noted, id));
                self.ask(host, from, Ask::Body(*cid, body));
            }
            Ask::Body(cid, body) => self.pulled(host, from, *cid, body.as_ref()),
        }
    }

    fn shown(&mut self, host: u32, id: NodeId) {
        self.peering(host, peering::Input::Shown(id));
        self.reached(host, id);
    }

    /// Whether requests of members are answered: membership was seen and not taken back.
    fn trusts(&self, host: u32, from: u32) -> bool {
        self.disks.get(at(host)).is_some_and(|disk| disk.members.contains(&from))
    }

    /// Ask a neighbour what it knows.
    pub(super) fn sync(&mut self, host: u32, to: u32) {
        self.sync_pages(host, to, PAGES);
    }

    /// The same; so many pages more may be asked for then.
    fn sync_pages(&mut self, host: u32, to: u32, pages: u32) {
        let Some(one) = self.host_mut(host) else { return };
        one.pages.insert(to, pages);
        let have = one.presence.digests();
        let known = self.disks.get(at(host)).into_iter().flat_map(|disk| disk.revoked.values());
        let revoked = known.filter(|noted| noted.subject == TEAM.node()).map(|noted| noted.cid).collect();
        let ask = Ask::Sync { have: Some(have), ask: Vec::new(), revoked };
        self.ask(host, to, ask);
    }

    fn answer_sync(
        &mut self,
        host: u32,
        from: u32,
        have: Option<&[PresenceDigest]>,
        ask: &[NodeId],
        revoked: &[CidDigest],
    ) {
        let clock = self.clock(host);
        let (Some(one), Some(disk)) = (self.host(host), self.disks.get(at(host))) else { return };
        let compared = have.map(|have| one.presence.compare(have));
        let (mut send, want) = compared.map(|all| (all.send, all.want)).unwrap_or_default();
        send.truncate(PAGE);
        let mut chains: Vec<NodeId> =
            ask.iter().filter(|id| disk.members.contains(&names::host(id))).copied().collect();
        let asked = one.presence.tell(clock, &chains);
        let told: Vec<Told> = one.presence.tell(clock, &send).into_iter().chain(asked).collect();
        if let Some(have) = have {
            let named: std::collections::BTreeSet<NodeId> = have.iter().map(|digest| digest.member).collect();
            chains.extend(send.into_iter().filter(|member| !named.contains(member)));
        }
        let known: std::collections::BTreeSet<&CidDigest> = revoked.iter().collect();
        let answer = Ask::Synced {
            told,
            chains,
            want,
            revoked: match have {
                Some(_) => disk
                    .revoked
                    .values()
                    .filter(|noted| concerns(noted, names::id(from)) && !known.contains(&noted.cid))
                    .copied()
                    .collect(),
                None => Vec::new(),
            },
            lacks: revoked.iter().filter(|cid| !disk.revoked.contains_key(cid)).copied().collect(),
        };
        self.ask(host, from, answer);
    }

    /// Revocations first: what they take back is not to be learned anew.
    fn take(&mut self, host: u32, from: u32, told: &[Told], chains: &[NodeId], revoked: &[Noted]) {
        for noted in revoked {
            self.adopt(host, noted, How::Synced);
        }
        for member in chains {
            self.learn(host, names::host(member));
        }
        for Told { age_ms, record } in told {
            let verified = crate::payload::genuine(&record.signature);
            if verified && record.body.ext.get(EXT_CHAIN).is_some() {
                self.learn(host, names::host(&record.body.author));
            }
            let (age_ms, record) = (*age_ms, Arc::clone(record));
            let from = names::id(from);
            self.presence(host, presence::Input::Record { from, age_ms, record, verified });
        }
    }

    /// Tell what was wanted.
    fn tell(&mut self, host: u32, to: u32, want: &[NodeId], lacks: &[CidDigest]) {
        let clock = self.clock(host);
        let (Some(one), Some(disk)) = (self.host(host), self.disks.get(at(host))) else { return };
        let revoked: Vec<Noted> = lacks.iter().filter_map(|cid| disk.revoked.get(cid)).cloned().collect();
        // One page; what is left is wanted again with the next comparison.
        let page: Vec<NodeId> = want.iter().copied().take(PAGE).collect();
        if !page.is_empty() || !revoked.is_empty() {
            let told = one.presence.tell(clock, &page);
            self.ask(host, to, Ask::Tell { told, chains: page, revoked });
        }
    }

    /// Fetch the body of a revocation.
    pub(super) fn pull(&mut self, host: u32, from: u32, cid: CidDigest) {
        if let Some(one) = self.host_mut(host) {
            one.pulls.insert(cid, from);
        }
        self.ask(host, from, Ask::Pull(cid));
    }

    fn pulled(&mut self, host: u32, from: u32, cid: CidDigest, body: Option<&Noted>) {
        let asked = self.host_mut(host).is_some_and(|one| one.pulls.remove(&cid) == Some(from));
        if !asked {
            return;
        }
        let from = names::id(from);
        let got = match body {
            Some(noted) => {
                self.store(host, noted);
                Got::Stored
            }
            None => Got::Missing,
        };
        self.spread(host, spread::Input::Pulled { cid, from, got });
        if body.is_some() {
            self.want_recheck(host);
        }
    }

    /// The connection is gone: nothing comes on it any more.
    pub(super) fn unpulled(&mut self, host: u32, from: u32) {
        let Some(one) = self.host_mut(host) else { return };
        let lost: Vec<CidDigest> =
            one.pulls.iter().filter(|(_, peer)| **peer == from).map(|(cid, _)| *cid).collect();
        for cid in lost {
            if let Some(one) = self.host_mut(host) {
                one.pulls.remove(&cid);
            }
            let from = names::id(from);
            self.spread(host, spread::Input::Pulled { cid, from, got: Got::Failed });
        }
    }
}

/// Whether somebody has to know of it, and is told: what is the team's, or takes rights on its own node back.
fn concerns(noted: &Noted, who: NodeId) -> bool {
    noted.subject == TEAM.node() || noted.subject == who
}
