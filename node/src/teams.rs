//! The teams of this node: one task for each, which lets the pure machines of presence, healing, peering and spreading
//! run over the team's gossip.
//!
//! - [`roll`]: who has proven to be a member
//! - [`screen`]: what of gossip is taken at all
//! - [`places`]: where they can be reached
//! - [`task`]: the machines, and what they want done; [`work`]: the part of that which takes time
//! - [`told`]: what members tell each other when they meet
//! - [`revoked`]: revocations about the team, fetched and taken
//! - [`removal`]: who was removed, and comes back with what was written before
//! - [`renewal`]: memberships that end soon
//! - [`ending`]: what ends with a membership
//! - [`claims`]: tokens by another node's template
//! - [`invite`]: memberships written

pub(crate) mod claims;
pub(crate) mod ending;
pub(crate) mod invite;
mod places;
pub(crate) mod removal;
pub(crate) mod renewal;
pub(crate) mod revoked;
pub(crate) mod roll;
pub(crate) mod screen;
mod task;
pub(crate) mod told;
mod work;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clankers_auth::team::{Member, NotMember};
use clankers_mesh::{Path, PeerAddress};
use clankers_protocol::{
    NodeId, TeamId, Timestamp,
    presence::{Noted, Record, Standing, rate::Meters},
    request::presence::{PresenceDigest, PresenceSynced},
};
use clankers_store::{KeptTeam, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::roll::Roll;
pub(crate) use self::task::last_words;
pub(crate) use self::work::{EXT_CHANGED, EXT_REVOCATION};
use crate::{
    hall::Hall,
    limits::{
        CLAIMS_TRIED, MEMBER_ASK_EACH_MS, MEMBER_ASKS, TEAM_AGAIN, TEAM_COMMANDS, TEAM_FAREWELL,
        TEAM_GOODBYE, TEAM_LEFT, TEAM_VIEW,
    },
};

/// The teams that run.
#[derive(Debug, Default)]
pub(crate) struct Teams {
    running: Mutex<BTreeMap<TeamId, Arc<Team>>>,
    /// Those that were left a moment ago: they are still being heard to say goodbye.
    leaving: Mutex<BTreeMap<TeamId, Arc<Team>>>,
    tasks: TaskTracker,
    /// The number of this start, once it is known.
    boot: Mutex<Option<u64>>,
    pub(crate) claims: claims::Tried,
    /// Held by whoever gives a member what a template says, or ends that.
    pub(crate) giving: tokio::sync::Mutex<()>,
    /// How often members may ask about presence.
    asks: Mutex<Option<Meters>>,
}

/// A team that runs: the way to its task.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) id: TeamId,
    pub(crate) roll: Arc<Roll>,
    /// This node's own membership, as it is shown.
    chain: Mutex<Arc<Vec<u8>>>,
    commands: mpsc::Sender<Command>,
    /// Its task has ended.
    over: CancellationToken,
}

/// What a team's task is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Both have shown their membership on a connection that the other one made.
    Shown(PeerAddress),
    /// A bootstrap, or somebody who was invited: to be dialed.
    Reach(Vec<NodeId>),
    /// Answer a member's question about presence.
    Sync { from: NodeId, asked: Box<Asked>, answer: oneshot::Sender<PresenceSynced> },
    /// A revocation about the team, or about a member, was stored.
    Revoked(Noted),
    /// What is known now.
    View(oneshot::Sender<View>),
    /// Where a member was met, or says that it is.
    Where(NodeId, oneshot::Sender<PeerAddress>),
    /// Say goodbye, answer, and end a moment later.
    Leave(oneshot::Sender<()>),
}

/// A member's question about presence, with what it told on the way, which was looked at already.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) have: Option<Vec<PresenceDigest>>,
    pub(crate) heard: Vec<told::Heard>,
    pub(crate) ask: Vec<NodeId>,
}

/// What a team's task knows.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// All members but this node.
    pub(crate) members: Vec<MemberView>,
    /// Those that are there, this node included (count).
    pub(crate) live: usize,
    /// What came and was dropped (count).
    pub(crate) dropped: u64,
}

/// One member.
#[derive(Debug)]
pub(crate) struct MemberView {
    pub(crate) id: NodeId,
    pub(crate) standing: Standing,
    pub(crate) record: Option<Record>,
    pub(crate) heard: Option<Timestamp>,
    /// The way that packets take to it and the round trip, while gossip has a connection to it.
    pub(crate) way: Option<(Path, Duration)>,
}

/// Why a team does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TeamFault {
    /// This node is no member (any more).
    #[error("this node is no member of it: {0}")]
    NotMember(#[from] NotMember),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Gossip.
    #[error(transparent)]
    Gossip(#[from] clankers_mesh::GossipError),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl Team {
    /// This node's membership.
    pub(crate) fn chain(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.chain.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_chain(&self, chain: Vec<u8>) {
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(chain);
    }

    /// Tells the task something; when it has too much to do already, or has ended, that is lost.
    pub(crate) fn tell(&self, command: Command) {
        if let Err(error) = self.commands.try_send(command) {
            tracing::debug!(team = %self.id.short(), %error, "a team's task was not told something");
        }
    }

    /// Asks the task something.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.commands.send(command(answer)).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(TEAM_VIEW, asked).await.ok()?
    }
}

impl Teams {
    fn running(&self) -> MutexGuard<'_, BTreeMap<TeamId, Arc<Team>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The team, if it runs.
    pub(crate) fn get(&self, id: TeamId) -> Option<Arc<Team>> {
        self.running().get(&id).map(Arc::clone)
    }

    /// All that run.
    pub(crate) fn all(&self) -> Vec<Arc<Team>> {
        self.running().values().map(Arc::clone).collect()
    }

    /// Teams that this node shares with a peer.
    pub(crate) fn shared_with(&self, peer: NodeId) -> Vec<Arc<Team>> {
        self.all().into_iter().filter(|team| team.roll.is_member(peer)).collect()
    }

    /// Whether this member may ask about presence now: it costs signatures.
    pub(crate) fn may_ask(&self, member: NodeId) -> bool {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = asks.get_or_insert_with(|| Meters::new(MEMBER_ASKS, MEMBER_ASK_EACH_MS, CLAIMS_TRIED));
        asks.take(crate::clock::now(), member)
    }

    /// A revocation was stored, by whatever way it came: who is concerned by it hears it by gossip. What is about this node
    /// (`me`) it knows by itself; what is about a member travels in the teams that are shared with it.
    pub(crate) fn revoked(&self, me: NodeId, noted: Noted) {
        if let Some(team) = self.get(TeamId(noted.subject.0)) {
            team.tell(Command::Revoked(noted));
        } else if noted.subject != me {
            for team in self.shared_with(noted.subject) {
                team.tell(Command::Revoked(noted));
            }
        }
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeMap<TeamId, Arc<Team>>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves one team: it has said goodbye when this is over, and ends by itself a moment later.
    pub(crate) async fn leave(&self, id: TeamId) {
        let team = self.running().remove(&id);
        if let Some(team) = team {
            self.leaving().insert(id, Arc::clone(&team));
            let _left = tokio::time::timeout(TEAM_GOODBYE, team.ask(Command::Leave)).await;
        }
    }

    /// Waits until what is left of this team from the last time has ended: gossip has one voice for each team.
    async fn left(&self, id: TeamId) {
        let old = self.leaving().get(&id).map(Arc::clone);
        if let Some(old) = old
            && tokio::time::timeout(TEAM_LEFT, old.over.cancelled()).await.is_err()
        {
            tracing::warn!(team = %id.short(), "what was left of a team does not end");
        }
    }

    /// Ends all.
    pub(crate) async fn leave_all(&self) {
        let all: Vec<_> = std::mem::take(&mut *self.running()).into_values().collect();
        let goodbyes = all.iter().map(|team| team.ask(Command::Leave));
        let _left = tokio::time::timeout(TEAM_GOODBYE, futures_util::future::join_all(goodbyes)).await;
        self.tasks.close();
        let _late = tokio::time::timeout(TEAM_FAREWELL + TEAM_FAREWELL / 3, self.tasks.wait()).await;
    }

    /// It has ended by itself.
    fn ended(&self, team: &Arc<Team>) {
        team.over.cancel();
        for mut known in [self.running(), self.leaving()] {
            if known.get(&team.id).is_some_and(|known| Arc::ptr_eq(known, team)) {
                known.remove(&team.id);
            }
        }
    }
}

impl Hall {
    /// Starts all teams of the store, and now and then those that do not run: what a daemon does once it has a network. A
    /// clock that was wrong for a while, at the start or later, ends no team for good.
    pub(crate) async fn keep_teams(self: &Arc<Self>) {
        let mut said = BTreeMap::new();
        self.start_teams(&mut said).await;
        let hall = Arc::clone(self);
        let stops = self.context.draining.clone();
        self.teams.tasks.spawn(stops.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(TEAM_AGAIN).await;
                hall.start_teams(&mut said).await;
            }
        }));
    }

    /// Starts those that do not run. `said`: what was said of them already.
    async fn start_teams(self: &Arc<Self>, said: &mut BTreeMap<TeamId, String>) {
        // Nobody leaves one meanwhile.
        let _nobody_leaves = self.teams.giving.lock().await;
        let kept = match self.with_store(|store| store.teams().list()).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) | Err(error) => {
                tracing::error!(%error, "the teams could not be read");
                return;
            }
        };
        for team in kept {
            let (id, name) = (team.id, clankers_protocol::text::line(&team.name, 64));
            if self.teams.get(id).is_some() {
                continue;
            }
            let why = match self.start_team(team).await {
                Ok(_) => {
                    if said.remove(&id).is_some() {
                        tracing::info!(team = name, "the team runs again");
                    }
                    continue;
                }
                Err(error) => error.to_string(),
            };
            if said.get(&id) != Some(&why) {
                tracing::warn!(
                    team = name,
                    error = why,
                    "a team does not run; it is tried again now and then"
                );
                said.insert(id, why);
            }
        }
    }

    /// Starts a team, or gives the one that runs its new membership. Without a network nothing runs.
    pub(crate) async fn start_team(self: &Arc<Self>, kept: KeptTeam) -> Result<Option<Arc<Team>>, TeamFault> {
        if let Some(team) = self.teams.get(kept.id) {
            team.roll.judge(self.id, &kept.chain)?;
            team.set_chain(kept.chain);
            return Ok(Some(team));
        }
        let roll = Arc::new(self.roll(kept.id).await?);
        let me = roll.judge(self.id, &kept.chain)?;
        let Some(mesh) = self.mesh.get() else { return Ok(None) };
        let boot = self.boot_number().await?;
        self.teams.left(kept.id).await;
        let (commands, commanded) = mpsc::channel(TEAM_COMMANDS);
        let chain = Mutex::new(Arc::new(kept.chain.clone()));
        let over = CancellationToken::new();
        let team = Arc::new(Team { id: kept.id, roll, chain, commands, over });
        let task = task::Task::start(self, mesh, &team, &me, boot).await?;
        self.teams.running().insert(kept.id, Arc::clone(&team));
        self.teams.claims.clear();
        let hall = Arc::clone(self);
        self.teams.tasks.spawn(async move {
            task.run(commanded).await;
            hall.teams.ended(&team);
        });
        Ok(self.teams.get(kept.id))
    }

    /// The roll of a team, with what is known of its removals.
    async fn roll(self: &Arc<Self>, id: TeamId) -> Result<Roll, StoreError> {
        let hall = Arc::clone(self);
        let known = self.with_store(move |store| {
            let key = hall.team_key(id).ok().flatten();
            let key = key.map(|key| clankers_auth::mint::id_of(key.expose()));
            removal::note_kept(store, id)?;
            Ok::<_, StoreError>((key, removal::known(store, id)?))
        });
        let (key, removals) = known.await??;
        let ours = key.into_iter().chain([self.id]).collect();
        Ok(Roll::new(id, Arc::clone(&self.context.authority), ours, removals))
    }

    /// Whether a chain makes this one a member, as far as this node knows; removals are not looked at.
    pub(crate) fn judge_member(
        &self,
        team: TeamId,
        member: NodeId,
        chain: &[u8],
    ) -> Result<Member, NotMember> {
        self.context.authority.judge_member(team, member, chain)
    }

    async fn boot_number(self: &Arc<Self>) -> Result<u64, StoreError> {
        let known = *self.teams.boot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(boot) = known {
            return Ok(boot);
        }
        let boot = self.with_store(|store| store.teams().next_boot(crate::clock::now())).await??;
        *self.teams.boot.lock().unwrap_or_else(PoisonError::into_inner) = Some(boot);
        Ok(boot)
    }
}
