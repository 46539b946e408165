//! Gossip within one team: a payload that one member broadcasts reaches all.
//!
//! The overlay and the broadcast tree are iroh-gossip's core (HyParView and PlumTree, no IO); the IO is ours, so
//! that no byte is exchanged before membership was shown, and so that connections, queues and rates are bounded.
//! `docs/decisions/0013-gossip-shell.md` has the figures that led there.
//!
//! - [`topic`]: a team's protocol name
//! - `wire`: messages on a stream, and a look at them before the core sees them
//! - `core`: the core with its timers
//! - `rate`: how much a neighbour may send, and how much of an author is passed on
//! - [`link`]: one connection
//! - `peers`: who may be dialed and accepted, and the connections there are
//! - `shell`: the task that holds it all together
//! - [`counters`]: what was dropped, and why

mod core;
pub mod counters;
pub mod link;
mod peers;
mod rate;
mod shell;
pub mod topic;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use clankers_protocol::NodeId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    connection::Path,
    endpoint::Mesh,
    limits::{GOSSIP_COMMANDS, GOSSIP_EVENTS, GOSSIP_PAYLOAD_BYTES, GOSSIP_SHOWN, GOSSIP_TEAMS},
    peer::PeerAddress,
};
use counters::Counters;
pub use counters::GossipCounters;
use shell::Shell;
pub use topic::TeamTopic;

/// A member, the way that packets take to it, and its round trip (time).
pub type Way = (NodeId, Path, Duration);

/// Judges every payload before it is passed on or delivered.
pub trait Screen: Send + Sync {
    /// Runs in the team's task, so it must be quick and must not block; checking a signature (42 µs) is fine.
    fn judge(&self, from: NodeId, payload: &[u8]) -> Screened;

    /// A payload that was judged good is within its author's rate too, and goes on. One over the rate may come again from
    /// another neighbour, and must then be judged the same.
    fn passed(&self, payload: &[u8]) {
        let _ = payload;
    }
}

/// What becomes of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screened {
    /// It is passed on and delivered, as far as its author's rate allows.
    Pass {
        /// The author, whose signature was checked.
        author: NodeId,
    },
    /// It is dropped and nobody is blamed: stale, replayed, of an author who was removed.
    Drop,
    /// It is dropped and whoever forwarded it is blamed, since no honest node does: a bad signature, not
    /// decodable.
    Forged,
}

/// What a team's gossip is started with.
#[derive(Clone)]
pub struct GossipConfig {
    /// Seeds the choice of neighbours. Fresh random bytes, so that nobody can predict it.
    pub seed: [u8; 32],
    /// Judges payloads.
    pub screen: Arc<dyn Screen>,
}

impl fmt::Debug for GossipConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GossipConfig").finish_non_exhaustive()
    }
}

/// Why gossip did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// A payload over the limit; nothing was sent.
    #[error("a gossip payload of {0} bytes; the limit is {GOSSIP_PAYLOAD_BYTES}")]
    TooLarge(usize),
    /// More payloads than others would pass on; this one was not sent.
    #[error("too many gossip payloads at once; try again in a second")]
    TooFast,
    /// The team's gossip has ended.
    #[error("the team's gossip has ended; join the team again")]
    Closed,
    /// Too many members have shown their membership.
    #[error("more than {GOSSIP_SHOWN} members of this team have shown themselves; no more are let in")]
    Full,
    /// This team gossips here already.
    #[error("this team's gossip runs already")]
    Taken,
    /// Too many teams.
    #[error("this node gossips in {GOSSIP_TEAMS} teams already; leave one first")]
    Teams,
    /// A mesh that accepts nobody cannot be a neighbour.
    #[error("this node only dials and cannot take part in gossip; start it as a node")]
    DialsOnly,
}

/// News from a team's gossip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GossipEvent {
    /// A payload that was judged well. It comes once, unless it is broadcast again after a while; order is not
    /// kept.
    Received {
        /// The payload.
        payload: Bytes,
        /// The neighbour that forwarded it.
        from: NodeId,
        /// Who wrote it, as the judgement said.
        author: NodeId,
    },
    /// A new neighbour.
    NeighborUp(NodeId),
    /// A neighbour less; frequent, and no reason to join again.
    NeighborDown(NodeId),
    /// Gossip wants to reach this id, and may not or cannot. Answer with [`Gossip::allow`] after membership was
    /// shown on both sides, else with [`Gossip::unreachable`]; without an answer in
    /// [`GOSSIP_WANTED_MS`](crate::limits::GOSSIP_WANTED_MS) it is the latter.
    WantDial {
        /// Whom.
        id: NodeId,
        /// Why it is asked.
        why: WantDial,
    },
    /// The connection to this member was lost without a goodbye.
    Lost(NodeId),
    /// So many events were dropped since the last one, because they were not taken in time.
    Lagged(u64),
}

/// Why gossip asks for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantDial {
    /// It has not shown its membership here.
    Unknown,
    /// It refused a connection: it does not know that we are a member. Show it again.
    Forgotten,
}

pub(crate) enum Command {
    Broadcast(Bytes, oneshot::Sender<Result<(), GossipError>>),
    Join(Vec<NodeId>),
    Allow(PeerAddress, oneshot::Sender<Result<(), GossipError>>),
    Deny(NodeId, oneshot::Sender<()>),
    Unreachable(NodeId),
    Moved,
    Neighbors(oneshot::Sender<Vec<NodeId>>),
    Ways(oneshot::Sender<Vec<Way>>),
    Quit(oneshot::Sender<()>),
}

/// A handle to a team's gossip. It runs until [`Gossip::quit`], or until its [`GossipEvents`] are dropped.
#[derive(Clone)]
pub struct Gossip {
    commands: mpsc::Sender<Command>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Gossip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gossip").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

/// News from a team's gossip; it owns the gossip's task, which ends when this is dropped.
#[derive(Debug)]
pub struct GossipEvents {
    events: mpsc::Receiver<GossipEvent>,
    task: JoinHandle<()>,
}

impl GossipEvents {
    /// The next event; `None` when the gossip has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<GossipEvent> {
        self.events.recv().await
    }
}

impl Drop for GossipEvents {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mesh {
    /// Starts the gossip of a team: from now on, its protocol is accepted, from members who have shown
    /// themselves ([`Gossip::allow`]).
    ///
    /// # Errors
    /// [`GossipError::Taken`], [`GossipError::Teams`] or [`GossipError::DialsOnly`].
    pub fn gossip(
        &self,
        topic: &TeamTopic,
        config: GossipConfig,
    ) -> Result<(Gossip, GossipEvents), GossipError> {
        let route = self.route(topic.alpn())?;
        let (commands, commanded) = mpsc::channel(GOSSIP_COMMANDS);
        let (events, received) = mpsc::channel(GOSSIP_EVENTS);
        let counters = Arc::new(Counters::default());
        let shell = Shell::new(self.reach().clone(), topic.clone(), config, events, Arc::clone(&counters));
        let task = tokio::spawn(shell.run(commanded, route));
        Ok((Gossip { commands, counters }, GossipEvents { events: received, task }))
    }
}

impl Gossip {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, GossipError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| GossipError::Closed)?;
        answered.await.map_err(|_| GossipError::Closed)
    }

    async fn tell(&self, command: Command) -> Result<(), GossipError> {
        self.commands.send(command).await.map_err(|_| GossipError::Closed)
    }

    /// Sends a payload to every member that is connected, over others. Equal bytes count as one payload for 90 s:
    /// a counter must make them differ.
    ///
    /// # Errors
    /// [`GossipError::TooLarge`], [`GossipError::TooFast`], [`GossipError::Closed`]; nothing is sent then.
    pub async fn broadcast(&self, payload: Bytes) -> Result<(), GossipError> {
        if payload.len() > GOSSIP_PAYLOAD_BYTES {
            return Err(GossipError::TooLarge(payload.len()));
        }
        self.ask(|answer| Command::Broadcast(payload, answer)).await?
    }

    /// Asks these members to become neighbours: on start, and to mend the overlay. A lost request is not made
    /// again.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn join(&self, peers: Vec<NodeId>) -> Result<(), GossipError> {
        self.tell(Command::Join(peers)).await
    }

    /// Lets a member in that has shown its membership, and to which this node has shown its own: it is accepted
    /// from now on, and dialed when gossip wants to. Calling it again brings newer addresses.
    ///
    /// # Errors
    /// [`GossipError::Full`], [`GossipError::Closed`].
    pub async fn allow(&self, peer: PeerAddress) -> Result<(), GossipError> {
        self.ask(|answer| Command::Allow(peer, answer)).await?
    }

    /// Shuts a member out: its connections are closed before this returns, and no more are accepted.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn deny(&self, id: NodeId) -> Result<(), GossipError> {
        self.ask(|answer| Command::Deny(id, answer)).await
    }

    /// Answers [`GossipEvent::WantDial`]: it cannot be reached, or is no member.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn unreachable(&self, id: NodeId) -> Result<(), GossipError> {
        self.tell(Command::Unreachable(id)).await
    }

    /// This node's own addresses have changed. A connection that a neighbour made leads to where this node was, and the neighbour
    /// would notice that only by the silence; so this node makes another, and what it says meanwhile waits for that one.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn moved(&self) -> Result<(), GossipError> {
        self.tell(Command::Moved).await
    }

    /// The neighbours of this moment, by id.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn neighbors(&self) -> Result<Vec<NodeId>, GossipError> {
        self.ask(Command::Neighbors).await
    }

    /// The way that packets take to each member to which there is a connection now, by id.
    ///
    /// # Errors
    /// [`GossipError::Closed`].
    pub async fn ways(&self) -> Result<Vec<Way>, GossipError> {
        self.ask(Command::Ways).await
    }

    /// What was sent, received and dropped so far.
    #[must_use]
    pub fn counters(&self) -> GossipCounters {
        self.counters.snapshot()
    }

    /// Leaves the team's gossip: neighbours are told, for at most
    /// [`GOSSIP_QUIT_MS`](crate::limits::GOSSIP_QUIT_MS), connections are closed, the protocol is accepted no
    /// more. A gossip that has ended already is left already.
    pub async fn quit(self) {
        drop(self.ask(Command::Quit).await);
    }
}
