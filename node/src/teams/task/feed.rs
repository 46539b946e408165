//! What goes into the machines, what they want done, and what comes of it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use clankers_auth::team;
use clankers_mesh::PeerAddress;
use clankers_protocol::{
    NodeId, Timestamp, healer, peering,
    presence::{self, Change, Gossiped, Record, Say, Standing},
    request::presence::PresenceSynced,
    spread::{self, How},
};
use tokio::{task::JoinError, time::Instant};

use super::{
    super::{
        Asked, Command, MemberView, View,
        places::{in_turn, usable},
        screen::{EXT_CHAIN, EXT_GOODBYE},
        told::{Heard, Telling},
    },
    Task,
    work::{Done, Job},
};
use crate::{
    clock,
    limits::{TEAM_PAGES, TEAM_STEPS},
};

/// Something for one of the machines.
#[derive(Debug)]
pub(super) enum Feed {
    Presence(presence::Input),
    Healer(healer::Input),
    Peering(peering::Input),
    Spread(spread::Input),
}

fn at(wake: Timestamp) -> Instant {
    Instant::now() + Duration::from_millis(wake.since(clock::now()))
}

impl Task {
    /// One step, and all that follows from it.
    pub(super) async fn feed(&mut self, first: Feed) {
        let mut queue = VecDeque::from([first]);
        let mut steps = 0;
        while let Some(feed) = queue.pop_front() {
            steps += 1;
            if steps > TEAM_STEPS {
                tracing::error!(team = %self.team.id.short(), left = queue.len(), "a step has no end");
                self.dropped += queue.len() as u64;
                return;
            }
            let now = clock::now();
            match feed {
                Feed::Presence(input) => {
                    let mut out = Vec::new();
                    self.presence.handle(now, input, &mut out);
                    for output in out {
                        self.presence_wants(output, &mut queue).await;
                    }
                }
                Feed::Healer(input) => {
                    let mut out = Vec::new();
                    self.healer.handle(now, input, &mut out);
                    for output in out {
                        match output {
                            healer::Output::Dial(id) => {
                                queue.push_back(Feed::Peering(peering::Input::Dial(id)));
                            }
                            healer::Output::WakeAt(wake) => self.wakes[1] = Some(at(wake)),
                        }
                    }
                }
                Feed::Peering(input) => {
                    let mut out = Vec::new();
                    self.peering.handle(now, input, &mut out);
                    for output in out {
                        self.peering_wants(output).await;
                    }
                }
                Feed::Spread(input) => {
                    let mut out = Vec::new();
                    self.spread.handle(now, input, &mut out);
                    for output in out {
                        match output {
                            spread::Output::Broadcast(say) => self.say(say).await,
                            spread::Output::Pull { cid, from, subject } => {
                                self.job(Job::Pull(cid, from, subject));
                            }
                            spread::Output::WakeAt(wake) => self.wakes[3] = Some(at(wake)),
                        }
                    }
                }
            }
        }
    }

    async fn presence_wants(&mut self, output: presence::Output, queue: &mut VecDeque<Feed>) {
        match output {
            presence::Output::Broadcast(say) => self.say(say).await,
            presence::Output::Changed(id, change) => {
                self.news.insert(id);
                if change == Change::Updated {
                    self.look_after(id);
                }
                if change == Change::Gone {
                    // It made room for somebody: should it be heard of, the machines are told of it anew.
                    self.fed.remove(&id);
                }
                let input = match change {
                    Change::Came | Change::Updated => healer::Input::Heard(id),
                    Change::Silent => healer::Input::Silent(id),
                    Change::Left => healer::Input::Left(id),
                    Change::Gone => healer::Input::Forget(id),
                    Change::Suspect => return,
                };
                queue.push_back(Feed::Healer(input));
            }
            presence::Output::Sync(id) => {
                let have = self.presence.digests();
                self.job(Job::Sync(id, have, TEAM_PAGES));
            }
            presence::Output::Ask { from, member } => self.job(Job::Ask(from, vec![member])),
            presence::Output::WakeAt(wake) => self.wakes[0] = Some(at(wake)),
        }
    }

    async fn peering_wants(&mut self, output: peering::Output) {
        match output {
            peering::Output::Ask(id) => {
                self.asked = in_turn(&self.neighbors, self.asked);
                match self.asked {
                    Some(neighbor) => self.job(Job::Ask(neighbor, vec![id])),
                    None => self.dropped += 1,
                }
            }
            peering::Output::Connect(id) => self.job(Job::Meet(id)),
            peering::Output::Allow(id) => self.allow(id).await,
            peering::Output::Deny(id) => {
                let _ended = self.gossip.deny(id).await;
            }
            peering::Output::Join(id) => {
                let _ended = self.gossip.join(vec![id]).await;
            }
            peering::Output::Unreachable(id) => {
                let _ended = self.gossip.unreachable(id).await;
            }
            // Links are shared, and closed when nobody uses them.
            peering::Output::Close(id) => {
                self.places.remove(&id);
            }
            peering::Output::WakeAt(wake) => self.wakes[2] = Some(at(wake)),
        }
    }

    /// Where a member was met, and where it says that it is.
    pub(super) fn place(&self, id: NodeId) -> PeerAddress {
        let mut address = self.places.get(&id).cloned().unwrap_or_else(|| PeerAddress::from(id));
        if let Some(record) = self.presence.seen(id).and_then(|seen| seen.record) {
            let record = self.usable(record);
            let more = record.addrs.iter().filter(|addr| !address.addrs.contains(addr));
            let more: Vec<_> = more.copied().collect();
            address.addrs.extend(more);
            address.relay = address.relay.or(record.relay);
        }
        address
    }

    /// A member whose link leads to where it says that it is not (any more) is asked whether it is there.
    fn look_after(&mut self, id: NodeId) {
        let Some(record) = self.presence.seen(id).and_then(|seen| seen.record) else { return };
        let there = |addr: std::net::SocketAddr| record.addrs.iter().any(|said| said.ip() == addr.ip());
        let kept = self.hall.links.kept(id).and_then(|link| link.connection().remote_addr());
        if kept.is_some_and(|addr| !there(addr)) {
            self.job(Job::Probe(id));
        }
    }

    /// What a member says, with those addresses only that mean it also from here.
    pub(super) fn usable(&self, record: &Record) -> Record {
        Record { addrs: usable(&self.addrs, &record.addrs), ..record.clone() }
    }

    /// Lets gossip talk to a member.
    pub(super) async fn allow(&mut self, id: NodeId) {
        if let Err(error) = self.gossip.allow(self.place(id)).await {
            tracing::warn!(member = %id.short(), %error, "gossip does not talk to a member");
            self.dropped += 1;
        }
    }

    /// Signs and gossips. A presence record takes this node's membership along.
    async fn say(&mut self, say: Say) {
        let seed = &self.hall.seed;
        let sealed = match say {
            Say::Presence(mut record) => {
                if record.leaving {
                    let stays = self.hall.context.draining.is_cancelled();
                    record.ext.0.push((EXT_GOODBYE, vec![u8::from(!stays)]));
                }
                let bare = record.clone();
                record.ext.0.push((EXT_CHAIN, self.team.chain().to_vec()));
                let whole = team::seal(seed, Say::Presence(record));
                // One that is too long is known to those only who have met this node.
                if whole.encode().is_ok() { whole } else { team::seal(seed, Say::Presence(bare)) }
            }
            other => team::seal(seed, other),
        };
        if let Gossiped::Presence(signed) = &sealed {
            self.presence.sealed(Arc::new(signed.clone()));
        }
        let sent = match sealed.encode() {
            Ok(payload) => self.gossip.broadcast(Bytes::from(payload)).await.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::warn!(team = %self.team.id.short(), error, "something was not said");
            self.dropped += 1;
        }
    }

    /// Tells the machines of members that they have not heard of.
    pub(super) async fn meet_members(&mut self, ids: &[NodeId]) {
        for id in ids {
            if *id != self.hall.id && !self.fed.contains(id) && self.team.roll.is_member(*id) {
                self.fed.insert(*id);
                self.feed(Feed::Presence(presence::Input::Member(*id))).await;
                self.feed(Feed::Spread(spread::Input::Member(*id))).await;
                self.feed(Feed::Healer(healer::Input::Remember(*id))).await;
                self.feed(Feed::Peering(peering::Input::Member(*id))).await;
                self.news.insert(*id);
                self.urgent = true;
            }
        }
    }

    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::Shown(address) => self.shown(address).await,
            Command::Reach(ids) => {
                for id in ids {
                    self.meet_members(&[id]).await;
                    self.feed(Feed::Peering(peering::Input::Member(id))).await;
                    self.feed(Feed::Healer(healer::Input::Remember(id))).await;
                    self.feed(Feed::Peering(peering::Input::Dial(id))).await;
                }
            }
            Command::Sync { from, asked, answer } => {
                let told = self.answer(from, *asked).await;
                let _gone = answer.send(told);
            }
            Command::Revoked(noted) => {
                let known = spread::Input::Known { noted, how: How::Own };
                self.feed(Feed::Spread(known)).await;
            }
            Command::View(answer) => {
                let _gone = answer.send(self.view().await);
            }
            Command::Where(id, answer) => {
                let _gone = answer.send(self.place(id));
            }
            // Taken before it comes here.
            Command::Leave(_) => {}
        }
    }

    /// Both have shown their membership.
    async fn shown(&mut self, address: PeerAddress) {
        let id = address.id;
        self.meet_members(&[id]).await;
        self.places.insert(id, address);
        self.reached(id).await;
        self.feed(Feed::Peering(peering::Input::Shown(id))).await;
    }

    /// One that has said goodbye is back when it says so, and not because it is met: the healer may not remember it.
    pub(super) async fn reached(&mut self, id: NodeId) {
        let left = self.presence.seen(id).is_some_and(|seen| seen.standing == presence::Standing::Left);
        if !left {
            self.feed(Feed::Healer(healer::Input::Reached(id))).await;
        }
    }

    /// A member compares what it knows with what is known here.
    async fn answer(&mut self, from: NodeId, asked: Asked) -> PresenceSynced {
        self.heard(from, asked.heard).await;
        let compared = asked.have.as_ref().map(|have| self.presence.compare(have)).unwrap_or_default();
        let known: std::collections::BTreeSet<NodeId> =
            asked.have.iter().flatten().map(|digest| digest.member).collect();
        let mut telling = Telling::default();
        for id in &asked.ask {
            telling.chain(&self.team.roll, *id);
        }
        let wanted: Vec<NodeId> = asked.ask.iter().chain(&compared.send).copied().collect();
        for told in self.presence.tell(clock::now(), &wanted) {
            let author = told.record.body.author;
            telling.record(told);
            if !known.contains(&author) && author != self.hall.id {
                telling.chain(&self.team.roll, author);
            }
        }
        let ext = clankers_protocol::message::Ext::default();
        PresenceSynced { records: telling.records, chains: telling.chains, want: compared.want, ext }
    }

    async fn heard(&mut self, from: NodeId, heard: Vec<Heard>) {
        for Heard { age_ms, record, verified } in heard {
            self.meet_members(&[from, record.body.author]).await;
            let input = presence::Input::Record { from, age_ms, record, verified };
            self.feed(Feed::Presence(input)).await;
        }
    }

    pub(super) async fn done(&mut self, done: Result<Done, JoinError>) {
        self.next_jobs();
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => {
                tracing::error!(team = %self.team.id.short(), %error, "work for a team failed from within");
                return;
            }
            Err(_) => return,
        };
        match done {
            Done::Met(address) => self.shown(address).await,
            Done::NotMet(id) => self.feed(Feed::Peering(peering::Input::Failed(id))).await,
            Done::Synced { from, heard, want, revoked, more } => {
                self.known(revoked, How::Synced).await;
                self.heard(from, heard).await;
                let members = self.team.roll.ids();
                self.meet_members(&members).await;
                if !want.is_empty() {
                    let mut telling = Telling::default();
                    for told in self.presence.tell(clock::now(), &want) {
                        let author = told.record.body.author;
                        telling.record(told);
                        telling.chain(&self.team.roll, author);
                    }
                    if !telling.records.is_empty() {
                        self.job(Job::Tell(from, telling));
                    }
                }
                if more > 0 {
                    let have = self.presence.digests();
                    self.job(Job::Sync(from, have, more - 1));
                }
            }
            Done::Pulled { cid, from, got } => {
                self.feed(Feed::Spread(spread::Input::Pulled { cid, from, got })).await;
            }
            Done::Own(own) => {
                self.addrs.clone_from(&own.addrs);
                self.feed(Feed::Presence(presence::Input::Own(own))).await;
            }
            Done::Rechecked(over) => {
                let some = !over.is_empty();
                for (id, why) in over {
                    self.removed(id, &why).await;
                }
                if some {
                    // Their connections look at what they have left.
                    self.hall.context.authority.changed();
                }
                self.ends.want();
            }
            Done::Nothing => {}
        }
    }

    async fn known(&mut self, revoked: Vec<presence::Noted>, how: How) {
        for noted in revoked {
            self.feed(Feed::Spread(spread::Input::Known { noted, how })).await;
        }
    }

    async fn view(&self) -> View {
        let now = clock::now();
        // The shell waits for nobody.
        let ways = self.gossip.ways().await.unwrap_or_default();
        let members = self.presence.members().map(|seen| {
            let live = self.presence.is_live(now, seen.id);
            let standing = match seen.standing {
                Standing::Live if !live => Standing::Silent,
                standing => standing,
            };
            let record = seen.record.map(|record| self.usable(record));
            let way = ways.iter().find(|(id, ..)| *id == seen.id).map(|(_, path, rtt)| (*path, *rtt));
            MemberView { id: seen.id, standing, record, heard: seen.heard, way }
        });
        let members: Vec<MemberView> = members.collect();
        let gossip = self.gossip.counters();
        let dropped = self.presence.dropped();
        let machine = dropped.other_team
            + dropped.unknown
            + dropped.stale
            + dropped.forged
            + dropped.late
            + dropped.refuted
            + dropped.full
            + dropped.myself;
        let gossiped: u64 =
            gossip.list().iter().filter(|(name, _)| name.starts_with("dropped")).map(|(_, n)| n).sum();
        View { live: self.presence.live(), members, dropped: self.dropped + machine + gossiped }
    }
}
