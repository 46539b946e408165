//! The task of one team: hands what happens to the machines, and does what they want done.

mod feed;
mod single;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use clankers_auth::team::Member;
use clankers_mesh::{Gossip, GossipConfig, GossipEvent, GossipEvents, Mesh, TeamTopic};
use clankers_protocol::{
    NodeId, Timestamp,
    healer::{self, Healer},
    peering::{self, Peering},
    presence::{self, Gossiped, Noted, Presence},
    spread::{self, How, Spread},
};
use clankers_store::{KeptMember, Parting, StoreError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::{feed::Feed, single::Single};
use super::{
    Command, Team, TeamFault,
    invite::random,
    screen::TeamScreen,
    work::{self, Done, Job},
};
use crate::{
    clock,
    hall::Hall,
    limits::{TEAM_JOBS, TEAM_JOBS_WAITING, TEAM_LOOK, TEAM_PAGES, TEAM_RECHECK},
};

/// When the machines want to be called again: presence, healer, peering, spread.
type Wakes = [Option<Instant>; 4];

/// See the module.
pub(super) struct Task {
    hall: Arc<Hall>,
    mesh: Arc<Mesh>,
    team: Arc<Team>,
    screen: Arc<TeamScreen>,
    gossip: Gossip,
    events: GossipEvents,
    presence: Presence,
    healer: Healer,
    peering: Peering,
    spread: Spread,
    wakes: Wakes,
    /// Members that the machines know.
    fed: BTreeSet<NodeId>,
    neighbors: BTreeSet<NodeId>,
    jobs: JoinSet<Done>,
    waiting: VecDeque<Job>,
    /// Judging everybody anew, and ending what removed members have here: no member's doings hold these up.
    recheck: Single,
    ends: Single,
    /// Where members were when they showed themselves.
    places: BTreeMap<NodeId, clankers_mesh::PeerAddress>,
    /// Members of whom something is to be remembered.
    news: BTreeSet<NodeId>,
    /// What this side dropped: payloads that could not be sent, work for which there was no room (count).
    dropped: u64,
    /// Somebody is new: that is remembered at once, for the node may be killed.
    urgent: bool,
    over: bool,
}

/// What the store has of a team.
type Remembered = (Vec<(NodeId, KeptMember)>, Vec<Noted>);

impl Task {
    /// Everything there is before the first word is said.
    pub(super) async fn start(
        hall: &Arc<Hall>,
        mesh: &Arc<Mesh>,
        team: &Arc<Team>,
        me: &Member,
        boot: u64,
    ) -> Result<Self, TeamFault> {
        let seed = u64::from_le_bytes(random()?);
        let screen = Arc::new(TeamScreen {
            team: team.id,
            me: me.id,
            roll: Arc::clone(&team.roll),
            newest: Mutex::default(),
        });
        let (gossip, events) = open(mesh, team, &screen)?;
        let own = work::own(hall).await;
        let mut task = Self {
            hall: Arc::clone(hall),
            mesh: Arc::clone(mesh),
            team: Arc::clone(team),
            screen,
            gossip,
            events,
            presence: Presence::new(team.id, me.id, boot, own, seed),
            healer: Healer::new(me.id, seed.rotate_left(17)),
            peering: Peering::new(me.id),
            spread: Spread::new(team.id, me.id).started(boot),
            wakes: [None; 4],
            fed: BTreeSet::new(),
            neighbors: BTreeSet::new(),
            jobs: JoinSet::new(),
            waiting: VecDeque::new(),
            // At once: something may have been revoked while nobody watched.
            recheck: Single::new(true),
            ends: Single::new(false),
            places: BTreeMap::new(),
            news: BTreeSet::new(),
            dropped: 0,
            urgent: false,
            over: false,
        };
        let (members, revoked) = task.remembered().await?;
        for noted in revoked {
            let known = spread::Input::Known { noted, how: How::Loaded };
            task.feed(Feed::Spread(known)).await;
        }
        for (id, kept) in members {
            task.remember(id, &kept).await;
        }
        task.feed(Feed::Presence(presence::Input::Start)).await;
        task.feed(Feed::Healer(healer::Input::Start)).await;
        Ok(task)
    }

    async fn remembered(&self) -> Result<Remembered, StoreError> {
        let team = self.team.id;
        self.hall
            .with_store(move |store| {
                let members = store.teams().members(team)?;
                let mut revoked = Vec::new();
                for cid in store.revocations().cids(team.node(), clock::now())? {
                    let row = store.revocations().get(&cid)?;
                    revoked.extend(row.map(|row| Noted { cid, subject: row.subject, expires: row.expires }));
                }
                Ok((members, revoked))
            })
            .await?
    }

    /// A member of before: whoever proves to be one still, and whom an invite named as a bootstrap.
    async fn remember(&mut self, id: NodeId, kept: &KeptMember) {
        if kept.parting == Some(Parting::Removed) {
            return;
        }
        let entered = kept.chains.iter().any(|chain| self.team.roll.enter(id, chain).is_ok());
        if kept.parting == Some(Parting::Left) {
            return;
        }
        if entered {
            self.meet_members(&[id]).await;
        } else if kept.chains.is_empty() {
            // A bootstrap, vouched for by whoever invited this node: it still has to show its membership.
            self.feed(Feed::Peering(peering::Input::Member(id))).await;
            self.feed(Feed::Healer(healer::Input::Remember(id))).await;
        }
    }

    /// Until the team is left, this node is removed, or the hall ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut changed = self.hall.context.authority.watch();
        let mut addresses = self.mesh.changes();
        let mut look = tokio::time::interval(TEAM_LOOK);
        let mut recheck = tokio::time::interval(TEAM_RECHECK);
        recheck.reset();
        let mut moves = true;
        while !self.over {
            if std::mem::take(&mut self.urgent) {
                self.note_news();
            }
            let wake = self.wakes.iter().flatten().min().copied();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Leave(done)) => {
                        self.leave().await;
                        let _gone = done.send(());
                        return;
                    }
                    Some(command) => self.command(command).await,
                    None => break,
                },
                event = self.events.next() => match event {
                    Some(event) => self.event(event).await,
                    None => self.reopen().await,
                },
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.done(done).await,
                () = until(wake), if wake.is_some() => self.tick().await,
                _ = look.tick() => {
                    self.job(Job::Own);
                    self.note_news();
                }
                turn = self.recheck.next() => match turn {
                    Some(done) => self.done(done).await,
                    None => self.recheck.begin(work::recheck(Arc::clone(&self.hall), Arc::clone(&self.team))),
                },
                turn = self.ends.next() => match turn {
                    Some(done) => self.done(done).await,
                    None => self.ends.begin(work::end(Arc::clone(&self.hall), Arc::clone(&self.team))),
                },
                _ = recheck.tick() => self.recheck.want(),
                changed = revoked(&mut changed) => match changed {
                    true => self.recheck.want(),
                    false => break,
                },
                address = addresses.next(), if moves => match address {
                    Some(_) => {
                        self.job(Job::Own);
                        self.feed(Feed::Healer(healer::Input::NetworkChanged)).await;
                    }
                    None => moves = false,
                },
            }
        }
        self.leave().await;
    }

    /// One goodbye, then silence.
    async fn leave(&mut self) {
        self.feed(Feed::Presence(presence::Input::Leave)).await;
        self.note_news();
        self.gossip.clone().quit().await;
        self.jobs.abort_all();
        while self.jobs.join_next().await.is_some() {}
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        let due = |wake: &mut Option<Instant>| wake.take_if(|at| *at <= now).is_some();
        let [presence, healer, peering, spread] = self.wakes.each_mut().map(due);
        if presence {
            self.feed(Feed::Presence(presence::Input::Tick)).await;
        }
        if healer {
            self.feed(Feed::Healer(healer::Input::Tick)).await;
        }
        if peering {
            self.feed(Feed::Peering(peering::Input::Tick)).await;
        }
        if spread {
            self.feed(Feed::Spread(spread::Input::Tick)).await;
        }
    }

    /// Gossip has ended by itself: it is begun anew, with whom it knew.
    async fn reopen(&mut self) {
        tracing::warn!(team = %self.team.id.short(), "gossip has ended; it is begun anew");
        tokio::time::sleep(Duration::from_secs(1)).await;
        match open(&self.mesh, &self.team, &self.screen) {
            Ok((gossip, events)) => (self.gossip, self.events) = (gossip, events),
            Err(error) => {
                tracing::error!(team = %self.team.id.short(), %error, "gossip does not begin anew");
                self.over = true;
                return;
            }
        }
        for id in std::mem::take(&mut self.neighbors) {
            self.feed(Feed::Presence(presence::Input::Down { member: id, broken: false })).await;
            self.feed(Feed::Peering(peering::Input::Down(id))).await;
        }
        let shown: Vec<NodeId> = self.peering.shown().collect();
        for id in &shown {
            self.allow(*id).await;
        }
        let _ended = self.gossip.join(shown).await;
        self.feed(Feed::Healer(healer::Input::Neighbors(0))).await;
    }

    /// Begins a piece of work, or lets it wait; the oldest that waits makes room.
    fn job(&mut self, job: Job) {
        self.waiting.push_back(job);
        if self.waiting.len() > TEAM_JOBS_WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.next_jobs();
    }

    fn next_jobs(&mut self) {
        while self.jobs.len() < TEAM_JOBS {
            let Some(job) = self.waiting.pop_front() else { return };
            self.jobs.spawn(work::run(Arc::clone(&self.hall), Arc::clone(&self.team), job));
        }
    }

    /// What a member's place among the remembered is changed to.
    fn note_news(&mut self) {
        let team = self.team.id;
        let mut news = Vec::new();
        for id in std::mem::take(&mut self.news) {
            let Some(seen) = self.presence.seen(id) else { continue };
            news.push((id, self.team.roll.chain(id), seen.record.cloned(), seen.heard, seen.standing));
        }
        if news.is_empty() {
            return;
        }
        let (hall, roll) = (Arc::clone(&self.hall), Arc::clone(&self.team.roll));
        self.jobs.spawn(async move {
            let done = hall.with_store(move |store| {
                for (id, chain, record, heard, standing) in news {
                    // Removed a moment ago: that stands, whatever it said before.
                    if !roll.is_member(id) {
                        continue;
                    }
                    store.teams().remember(team, id, |kept| {
                        chain.iter().for_each(|chain| kept.take_chain(chain));
                        kept.last_seen = heard.unwrap_or(Timestamp(kept.last_seen)).0;
                        let left = standing == presence::Standing::Left;
                        kept.parting = left.then_some(Parting::Left);
                        if let Some(record) = record.filter(|record| !record.leaving) {
                            kept.addrs = record.addrs.iter().map(ToString::to_string).collect();
                            kept.addrs.truncate(clankers_store::limits::PEER_ADDRESSES);
                            (kept.relay, kept.label) = (record.relay, record.label);
                            kept.version = Some(record.version);
                        }
                    })?;
                }
                Ok::<_, StoreError>(())
            });
            if let Ok(Err(error)) | Err(error) = done.await {
                tracing::warn!(%error, "what members say was not remembered");
            }
            Done::Nothing
        });
    }

    async fn event(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Received { payload, from, .. } => self.received(from, &payload).await,
            GossipEvent::NeighborUp(id) => {
                self.neighbors.insert(id);
                self.feed(Feed::Presence(presence::Input::Up(id))).await;
                self.feed(Feed::Peering(peering::Input::Up(id))).await;
                self.feed(Feed::Healer(healer::Input::Reached(id))).await;
                self.feed(Feed::Healer(healer::Input::Neighbors(self.neighbors.len()))).await;
            }
            GossipEvent::NeighborDown(id) => {
                self.neighbors.remove(&id);
                self.feed(Feed::Presence(presence::Input::Down { member: id, broken: false })).await;
                self.feed(Feed::Peering(peering::Input::Down(id))).await;
                self.feed(Feed::Healer(healer::Input::Evicted(id))).await;
                self.feed(Feed::Healer(healer::Input::Neighbors(self.neighbors.len()))).await;
            }
            GossipEvent::WantDial { id, .. } => self.feed(Feed::Peering(peering::Input::Want(id))).await,
            GossipEvent::Lost(id) => {
                self.feed(Feed::Presence(presence::Input::Down { member: id, broken: true })).await;
                self.feed(Feed::Healer(healer::Input::Broken(id))).await;
            }
            GossipEvent::Lagged(count) => {
                tracing::warn!(team = %self.team.id.short(), count, "news of gossip was lost");
                self.dropped += count;
                for id in self.neighbors.iter().copied().collect::<Vec<_>>() {
                    let have = self.presence.digests();
                    self.job(Job::Sync(id, have, TEAM_PAGES));
                }
            }
        }
    }

    /// A payload that the screen let through: signed by a member.
    async fn received(&mut self, from: NodeId, payload: &[u8]) {
        let Ok(said) = Gossiped::decode(payload) else { return };
        self.meet_members(&[from, said.author()]).await;
        match said {
            Gossiped::Presence(signed) => {
                let record = Arc::new(signed);
                let input = presence::Input::Record { from, age_ms: 0, record, verified: true };
                self.feed(Feed::Presence(input)).await;
            }
            Gossiped::Lost(lost) => {
                let input = presence::Input::Lost { from, lost, verified: true };
                self.feed(Feed::Presence(input)).await;
            }
            Gossiped::Revoked(signed) => {
                let input = spread::Input::Notice { from, notice: signed.body };
                self.feed(Feed::Spread(input)).await;
            }
        }
    }
}

/// Begins the gossip of a team.
fn open(
    mesh: &Arc<Mesh>,
    team: &Team,
    screen: &Arc<TeamScreen>,
) -> Result<(Gossip, GossipEvents), TeamFault> {
    let config = GossipConfig { seed: random()?, screen: Arc::<TeamScreen>::clone(screen) };
    Ok(mesh.gossip(&TeamTopic::of(&team.id.did()), config)?)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Something was revoked; `false` when nothing ever will be.
async fn revoked(changed: &mut watch::Receiver<u64>) -> bool {
    changed.changed().await.is_ok()
}
