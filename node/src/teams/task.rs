//! The task of one team: hands what happens to the machines, and does what they want done.

mod feed;
mod jobs;
mod memory;
mod neighbors;
mod single;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use clankers_auth::team::Member;
use clankers_mesh::{Gossip, GossipConfig, GossipEvent, GossipEvents, Mesh, TeamTopic};
use clankers_protocol::{
    NodeId,
    healer::{self, Healer},
    limits::SPREAD_PULLS,
    peering::{self, Peering},
    presence::{self, Gossiped, Presence},
    spread::{self, How, Spread},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use self::memory::last_words;
use self::{feed::Feed, jobs::Jobs, single::Single};
use super::{
    Command, Team, TeamFault,
    invite::random,
    renewal::Renewal,
    screen::TeamScreen,
    work::{self, Done, Job},
};
use crate::{
    clock,
    hall::Hall,
    limits::{TEAM_FAREWELL, TEAM_LOOK, TEAM_RECHECK},
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
    /// When those changed last, and how often the neighbours were called from there since (count).
    moved: Option<(Instant, usize)>,
    /// Members that the machines know.
    fed: BTreeSet<NodeId>,
    neighbors: BTreeSet<NodeId>,
    renewal: Renewal,
    /// This node's own addresses.
    addrs: Vec<SocketAddr>,
    /// Those of them, without ports, that gossip's connections were made under.
    stands: BTreeSet<IpAddr>,
    /// The neighbour that was asked last about somebody unknown.
    asked: Option<NodeId>,
    jobs: Jobs,
    /// Revocations that are being fetched: one that answers slowly, or not at all, holds nothing else up.
    pulls: JoinSet<Done>,
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
            stands: own.addrs.iter().map(SocketAddr::ip).collect(),
            addrs: own.addrs.clone(),
            presence: Presence::new(team.id, me.id, boot, own, seed),
            healer: Healer::new(me.id, seed.rotate_left(17)),
            peering: Peering::new(me.id),
            spread: Spread::new(team.id, me.id).started(boot),
            moved: None,
            wakes: [None; 4],
            fed: BTreeSet::new(),
            neighbors: BTreeSet::new(),
            asked: None,
            renewal: Renewal::default(),
            jobs: Jobs::default(),
            pulls: JoinSet::new(),
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
                        self.goodbye().await;
                        let _gone = done.send(());
                        break;
                    }
                    Some(command) => self.command(command).await,
                    None => break,
                },
                event = self.events.next() => match event {
                    Some(event) => self.event(event).await,
                    None => self.reopen().await,
                },
                done = self.jobs.ended() => self.done(done).await,
                Some(done) = self.pulls.join_next(), if !self.pulls.is_empty() => self.done(done).await,
                () = until(wake), if wake.is_some() => self.tick().await,
                _ = look.tick() => {
                    self.job(Job::Own);
                    self.call_neighbors();
                    self.note_news();
                    self.renew();
                }
                turn = self.recheck.next() => match turn {
                    Some(done) => self.done(done).await,
                    None => self.recheck.begin(work::recheck(Arc::clone(&self.hall), Arc::clone(&self.team))),
                },
                turn = self.ends.next() => match turn {
                    Some(done) => self.done(done).await,
                    None => self.ends.begin(work::end(Arc::clone(&self.hall), Arc::clone(&self.team))),
                },
                chains = self.team.roll.returned() => {
                    let (hall, team) = (Arc::clone(&self.hall), Arc::clone(&self.team));
                    self.jobs.spawn(work::take_back(hall, team, chains));
                }
                _ = recheck.tick() => self.recheck.want(),
                changed = revoked(&mut changed) => match changed {
                    true => self.recheck.want(),
                    false => break,
                },
                address = addresses.next(), if moves => match address {
                    Some(address) => self.moved(&address.addrs).await,
                    None => moves = false,
                },
            }
        }
        self.farewell().await;
    }

    /// Says goodbye; nothing more is begun.
    async fn goodbye(&mut self) {
        self.over = true;
        self.jobs.stop().await;
        self.pulls.shutdown().await;
        self.feed(Feed::Presence(presence::Input::Leave)).await;
        if self.hall.context.draining.is_cancelled() {
            // The team is not left for good.
            self.note_news();
        }
    }

    /// Silence, once the goodbye was heard: neighbours to which gossip only announces payloads have to ask for it.
    async fn farewell(&mut self) {
        if self.over && !self.neighbors.is_empty() {
            tokio::time::sleep(TEAM_FAREWELL).await;
        }
        self.gossip.clone().quit().await;
        self.jobs.stop().await;
        self.pulls.shutdown().await;
    }

    /// This node's addresses are others now. What it says of that travels by connections that it makes from there.
    async fn moved(&mut self, addrs: &[SocketAddr]) {
        let stands: BTreeSet<IpAddr> = addrs.iter().map(SocketAddr::ip).collect();
        // Without any there is nowhere to call from yet; one more takes nothing away from those that there are.
        if !stands.is_empty() {
            if !self.stands.is_subset(&stands) {
                let _ended = self.gossip.moved().await;
                self.call_from_now_on();
            }
            self.stands = stands;
        }
        self.job(Job::Own);
        self.feed(Feed::Healer(healer::Input::NetworkChanged)).await;
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

    /// Begins a piece of work, or lets it wait.
    fn job(&mut self, job: Job) {
        if matches!(job, Job::Pull(..)) && self.pulls.len() < SPREAD_PULLS {
            self.pulls.spawn(work::run(Arc::clone(&self.hall), Arc::clone(&self.team), job));
            return;
        }
        self.dropped += self.jobs.add(job);
        self.next_jobs();
    }

    fn next_jobs(&mut self) {
        while let Some(job) = self.jobs.next() {
            let (with, own) = (job.with(), matches!(job, Job::Own));
            self.jobs.begin(with, own, work::run(Arc::clone(&self.hall), Arc::clone(&self.team), job));
        }
    }

    /// Asks for another membership when this node's own ends soon.
    fn renew(&mut self) {
        let now = clock::now();
        let is_admin = |id: &NodeId| self.team.roll.member(*id).is_some_and(|member| member.admin);
        let is_there = |id: &NodeId| is_admin(id) && self.presence.is_live(now, *id);
        let there = || self.fed.iter().copied().filter(is_there).collect();
        if let Some(peer) = self.renewal.due(&self.team, self.hall.id, there) {
            self.job(Job::Renew(peer));
        }
    }

    async fn event(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Received { payload, from, .. } => self.received(from, &payload).await,
            GossipEvent::NeighborUp(id) => self.neighbor_up(id).await,
            GossipEvent::NeighborDown(id) => self.neighbor_down(id).await,
            GossipEvent::WantDial { id, .. } => self.feed(Feed::Peering(peering::Input::Want(id))).await,
            GossipEvent::Lost(id) => {
                self.feed(Feed::Presence(presence::Input::Down { member: id, broken: true })).await;
                self.feed(Feed::Healer(healer::Input::Broken(id))).await;
            }
            GossipEvent::Lagged(count) => self.lagged(count).await,
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
