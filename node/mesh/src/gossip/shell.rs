//! The task of one team: it drives the core, and owns its connections and dials.
//!
//! Nothing in here waits for a peer: a queue that is full costs its peer the connection. [`Shell::settle`] carries
//! out what the core wants; what comes from neighbours is judged in `inbound.rs`, connections are made and
//! given up in `reach.rs`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use clankers_protocol::NodeId;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Command, GossipConfig, GossipError, GossipEvent, Screen, TeamTopic,
    core::{Core, Effect},
    counters::{Counters, add, set},
    link::{LinkId, Report, Reported},
    peers::Peers,
    rate::{Authors, Bucket, Seen},
};
use crate::{
    connection::Connection,
    dial::DialError,
    limits::{
        GOSSIP_HELD, GOSSIP_HELD_MS, GOSSIP_INBOX, GOSSIP_OWN_MESSAGES_BURST, GOSSIP_OWN_MESSAGES_PER_S,
        GOSSIP_QUIT_MS, GOSSIP_SEEN_MS, GOSSIP_SWEEP_MS,
    },
    reach::Reach,
    routes::Route,
};

mod inbound;
mod outbound;

/// How a dial ended.
type Dialed = (NodeId, Result<Connection, DialError>);

pub(crate) struct Shell {
    me: NodeId,
    reach: Reach,
    topic: TeamTopic,
    screen: Arc<dyn Screen>,
    events: mpsc::Sender<GossipEvent>,
    /// Events dropped since the last that was taken.
    lagged: u64,
    counters: Arc<Counters>,
    core: Core,
    /// What the core wants done and has not been done yet.
    effects: VecDeque<Effect>,
    /// Who wrote the payload in hand.
    author: Option<NodeId>,
    peers: Peers,
    authors: Authors,
    seen: Seen,
    own: Bucket,
    /// Own payloads that wait for a first neighbour: the core would send them to nobody.
    held: VecDeque<(Instant, Bytes)>,
    links: JoinSet<()>,
    link_count: LinkId,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    dials: JoinSet<Dialed>,
    swept: Instant,
}

impl Shell {
    pub(crate) fn new(
        reach: Reach,
        topic: TeamTopic,
        config: GossipConfig,
        events: mpsc::Sender<GossipEvent>,
        counters: Arc<Counters>,
    ) -> Self {
        let (me, now) = (reach.id(), Instant::now());
        Self {
            me,
            reach,
            topic,
            screen: config.screen,
            events,
            lagged: 0,
            counters,
            core: Core::new(me, config.seed),
            effects: VecDeque::new(),
            author: None,
            peers: Peers::default(),
            authors: Authors::default(),
            seen: Seen::default(),
            own: Bucket::new(now, GOSSIP_OWN_MESSAGES_PER_S, GOSSIP_OWN_MESSAGES_BURST),
            held: VecDeque::new(),
            links: JoinSet::new(),
            link_count: 0,
            reports: mpsc::channel(GOSSIP_INBOX),
            dials: JoinSet::new(),
            swept: now,
        }
    }

    /// Runs until it is told to quit, or nobody holds a handle, or the mesh is closed.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut route: Route) {
        let mut sweep = interval(Duration::from_millis(GOSSIP_SWEEP_MS));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.core.join(Instant::now(), Vec::new(), &mut self.effects);
        loop {
            let timer = self.core.next_timer();
            // In this order, so that a flood from neighbours delays nothing but itself.
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Quit(done)) => {
                        drop(route);
                        self.quit().await;
                        // Who asked may have stopped waiting.
                        let _waits = done.send(());
                        return;
                    }
                    Some(command) => self.command(command),
                    None => {
                        drop(route);
                        return self.quit().await;
                    }
                },
                () = until(timer) => self.core.fire(Instant::now(), &mut self.effects),
                _ = sweep.tick() => self.sweep(Instant::now()),
                connection = route.next() => match connection {
                    Some(connection) => self.accepted(Instant::now(), connection),
                    None => return,
                },
                Some(dialed) = self.dials.join_next(), if !self.dials.is_empty() => self.dial_ended(dialed),
                Some(_) = self.links.join_next(), if !self.links.is_empty() => {}
                // Never None: we hold a sender.
                Some(report) = self.reports.1.recv() => self.report(report),
            }
            self.settle(Instant::now());
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        // Who asked may have stopped waiting for the answer.
        match command {
            Command::Broadcast(payload, answer) => {
                let _waits = answer.send(self.broadcast(now, payload));
            }
            Command::Join(mut peers) => {
                peers.retain(|id| *id != self.me);
                self.core.join(now, peers, &mut self.effects);
            }
            Command::Allow(peer, answer) => {
                let _waits = answer.send(self.allow(now, peer));
            }
            Command::Deny(id, answer) => {
                self.deny(now, id);
                let _waits = answer.send(());
            }
            Command::Unreachable(id) => {
                if self.peers.get(id).is_some_and(|p| p.asked.is_some()) {
                    self.give_up(now, id, Duration::from_millis(crate::limits::GOSSIP_WANTED_MS));
                }
            }
            Command::Moved => self.moved(now),
            Command::Neighbors(answer) => {
                let _waits = answer.send(self.peers.neighbors().collect());
            }
            Command::Ways(answer) => {
                let _waits = answer.send(self.peers.ways().collect());
            }
            Command::Quit(done) => drop(done),
        }
    }

    fn broadcast(&mut self, now: Instant, payload: Bytes) -> Result<(), GossipError> {
        if !self.own.take(now, 1) {
            return Err(GossipError::TooFast);
        }
        if self.peers.neighbors().next().is_some() {
            self.core.broadcast(now, payload, &mut self.effects);
        } else {
            if self.held.len() >= GOSSIP_HELD {
                self.held.pop_front();
            }
            self.held.push_back((now, payload));
        }
        Ok(())
    }

    /// Sends what waited for a neighbour, unless it has waited too long to be news.
    fn send_held(&mut self, now: Instant) {
        for (since, payload) in std::mem::take(&mut self.held) {
            if now.saturating_duration_since(since) < Duration::from_millis(GOSSIP_HELD_MS) {
                self.core.broadcast(now, payload, &mut self.effects);
            }
        }
    }

    /// Carries out what the core wants. That may make it want more, which ends: it gives up on each member once.
    fn settle(&mut self, now: Instant) {
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Send(to, message) => self.send(now, to, message),
                Effect::Release(peer) => self.release(now, peer),
                Effect::Up(peer) => {
                    self.peers.entry(now, peer).neighbor = true;
                    self.emit(GossipEvent::NeighborUp(peer));
                    self.send_held(now);
                }
                Effect::Down(peer) => {
                    self.peers.entry(now, peer).neighbor = false;
                    self.emit(GossipEvent::NeighborDown(peer));
                }
                Effect::Received(payload, from) => {
                    if let Some(author) = self.author.take() {
                        self.emit(GossipEvent::Received { payload, from, author });
                    }
                }
            }
        }
        self.author = None;
        set(&self.counters.connections, self.links.len());
        set(&self.counters.neighbors, self.peers.neighbors().count());
        set(&self.counters.timers, self.core.timers());
    }

    /// Tells the hall; says whether there was room.
    fn emit(&mut self, event: GossipEvent) -> bool {
        if self.lagged > 0 && self.events.try_send(GossipEvent::Lagged(self.lagged)).is_ok() {
            self.lagged = 0;
        }
        let delivered = matches!(event, GossipEvent::Received { .. });
        // After a gap that could not be told, nothing may be told.
        let taken = self.lagged == 0 && self.events.try_send(event).is_ok();
        if !taken {
            self.lagged += 1;
            add(&self.counters.dropped_lagged, 1);
        } else if delivered {
            add(&self.counters.delivered, 1);
        }
        taken
    }

    fn report(&mut self, report: Report) {
        let now = Instant::now();
        match report.what {
            Reported::Message(message) => self.message(now, report.peer, &message),
            Reported::Ended(end) => self.link_ended(now, report.peer, report.link, end),
        }
    }

    fn dial_ended(&mut self, dialed: Result<Dialed, JoinError>) {
        let now = Instant::now();
        if let Ok((id, result)) = dialed {
            self.dialed(now, id, result);
        }
        for id in self.peers.stuck() {
            self.reach_for(now, id);
        }
    }

    fn sweep(&mut self, now: Instant) {
        for id in self.peers.unanswered(now) {
            self.give_up(now, id, Duration::from_millis(crate::limits::GOSSIP_WANTED_MS));
        }
        for id in self.peers.spare(now) {
            self.release(now, id);
        }
        for id in self.peers.stuck() {
            self.reach_for(now, id);
        }
        self.peers.part_twins(now, self.me);
        self.peers.prune(now);
        set(&self.counters.shown, self.peers.shown());
        if now.saturating_duration_since(self.swept) >= Duration::from_millis(GOSSIP_SEEN_MS) {
            self.swept = now;
            self.core.sweep(now, &mut self.effects);
        }
    }

    async fn quit(mut self) {
        let now = Instant::now();
        self.core.quit(now, &mut self.effects);
        self.settle(now);
        self.peers.release_all();
        // Reports that nobody takes would hold the connections' tasks up.
        self.reports.1.close();
        let gone = async { while self.links.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(GOSSIP_QUIT_MS), gone).await.is_err() {
            tracing::debug!("some neighbours did not take the goodbye in time");
        }
        self.links.shutdown().await;
        self.dials.shutdown().await;
    }
}

/// Waits for a point in time; without one, for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
