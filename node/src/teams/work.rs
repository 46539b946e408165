//! What a team's task has done beside it: whatever takes time.

use std::{sync::Arc, time::Duration};

use clankers_auth::team::NotMember;
use clankers_client::ClientError;
use clankers_mesh::PeerAddress;
use clankers_protocol::{
    CidDigest, NodeId, TeamId, Timestamp,
    limits::{PRESENCE_PAGE, SPREAD_PULL_MS},
    message::Ext,
    presence::{Load, Noted, Own, is_own},
    request::{
        presence::{PresenceDigest, PresenceSync, PresenceSynced},
        team::{TeamShow, TeamShown},
    },
    spread::Got,
};

use super::{
    Team,
    roll::Roll,
    told::{self, Heard, Telling},
};
use crate::{
    hall::{Hall, SOFTWARE},
    limits::{LINK_STALE, TEAM_ANSWER, TEAM_MEET},
    links::{Link, LinkError},
};

/// Number of an `ext` value of a refusal: the revocation of the membership that was shown, with its witness.
pub(crate) const EXT_REVOCATION: u16 = 1;

/// Number of an `ext` value of `TeamShow`: what the peer was given by the template has ended, or is another.
pub(crate) const EXT_CHANGED: u16 = 1;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// Dial this member and show membership.
    Meet(NodeId),
    /// Exchange presence and revocations with it; and how many pages more it may be asked for then (count).
    Sync(NodeId, Vec<PresenceDigest>, u32),
    /// Ask the first for the memberships of others.
    Ask(NodeId, Vec<NodeId>),
    /// Tell it records that it wants.
    Tell(NodeId, Telling),
    /// Fetch the revocation of this link from the first: about the second, this node or the team.
    Pull(CidDigest, NodeId, NodeId),
    /// Ask it, or this node itself, for another membership.
    Renew(NodeId),
    /// Make a connection to it, for its endpoint to see where this node is.
    Call(PeerAddress),
    /// Close the link to it unless it answers there.
    Probe(NodeId),
    /// Look at what this node is to say of itself.
    Own,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Met(PeerAddress),
    NotMet(NodeId),
    /// Records from somebody, which records of ours it wants, and revocations that are new here.
    Synced {
        from: NodeId,
        heard: Vec<Heard>,
        want: Vec<NodeId>,
        revoked: Vec<Noted>,
        /// There may be more: so many pages may be asked for yet (count); 0: there is no more.
        more: u32,
    },
    Pulled {
        cid: CidDigest,
        from: NodeId,
        got: Got,
    },
    Own(Box<Own>),
    /// Who is no member any more; this node itself among them when it is not.
    Rechecked(Vec<(NodeId, NotMember)>),
    Nothing,
}

/// Why two members did not meet.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeetFault {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it is no member: {0}")]
    NotMember(#[from] NotMember),
}

/// A link on which both have shown their membership.
pub(super) async fn meet(
    hall: &Arc<Hall>,
    team: &Arc<Team>,
    peer: NodeId,
    limit: Duration,
) -> Result<Link, MeetFault> {
    meet_saying(hall, team, peer, limit, false).await
}

/// The same, saying on the way that what the peer was given here has `changed`.
pub(super) async fn meet_saying(
    hall: &Arc<Hall>,
    team: &Arc<Team>,
    peer: NodeId,
    limit: Duration,
    changed: bool,
) -> Result<Link, MeetFault> {
    // A link that was there before may lead to where the peer was.
    let kept = hall.links.kept(peer).map(|link| patience(&link));
    let link = hall.link(peer, limit).await?;
    let ext = if changed { vec![(EXT_CHANGED, Vec::new())] } else { Vec::new() };
    let show = TeamShow { team: team.id, chain: team.chain().to_vec(), ext: Ext(ext) };
    let patience = limit.min(TEAM_ANSWER);
    let first = kept.map_or(patience, |stale| stale.min(patience));
    let shown: Result<TeamShown, ClientError> = link.ask_within(&show, first).await;
    let (link, shown) = match shown {
        Ok(shown) => (link, shown),
        // It was closed as idle while nobody looked, or says nothing any more.
        Err(error @ (ClientError::Closed(_) | ClientError::Timeout(_))) => {
            if matches!(error, ClientError::Timeout(_)) {
                if kept.is_none() {
                    return Err(error.into());
                }
                hall.links.close(peer);
            }
            drop(link);
            let again = hall.link(peer, limit).await?;
            let shown: TeamShown = again.ask_within(&show, patience).await?;
            (again, shown)
        }
        Err(error) => return Err(error.into()),
    };
    team.roll.shown(peer, &shown.chain)?;
    Ok(link)
}

/// How long a link that was there before may take to answer.
fn patience(link: &Link) -> Duration {
    (link.connection().rtt() * 8).max(LINK_STALE)
}

/// Where a member is, as far as the link to it says.
fn address(link: &Link, peer: NodeId) -> PeerAddress {
    PeerAddress { addrs: link.connection().remote_addr().into_iter().collect(), ..PeerAddress::from(peer) }
}

/// Does it.
pub(super) async fn run(hall: Arc<Hall>, team: Arc<Team>, job: Job) -> Done {
    match job {
        Job::Meet(peer) => match meet(&hall, &team, peer, TEAM_MEET).await {
            Ok(link) => Done::Met(address(&link, peer)),
            Err(error) => {
                tracing::debug!(peer = %peer.short(), team = %team.id.short(), %error, "a member was not met");
                refused(&hall, &team, peer, &error).await;
                Done::NotMet(peer)
            }
        },
        Job::Sync(peer, have, pages) => match sync(&hall, &team, peer, have, pages).await {
            Ok(done) => done,
            Err(error) => {
                tracing::debug!(peer = %peer.short(), team = %team.id.short(), %error, "presence was not compared");
                Done::Nothing
            }
        },
        Job::Ask(peer, members) => {
            let question = PresenceSync { ask: members, ..question(team.id) };
            told_by(&hall, &team, peer, &question).await.map_or(Done::Nothing, |(done, _)| done)
        }
        Job::Tell(peer, telling) => {
            let Telling { records, chains, .. } = telling;
            let question = PresenceSync { records, chains, ..question(team.id) };
            told_by(&hall, &team, peer, &question).await.map_or(Done::Nothing, |(done, _)| done)
        }
        Job::Pull(cid, from, subject) => {
            // The machine waits no longer, and asks another then.
            let limit = Duration::from_millis(SPREAD_PULL_MS);
            let pulled = tokio::time::timeout(limit, pull(&hall, &team, (cid, from), subject)).await;
            pulled.unwrap_or(Done::Pulled { cid, from, got: Got::Failed })
        }
        Job::Renew(peer) => {
            if let Err(error) = hall.renew_at(&team, peer).await {
                tracing::debug!(peer = %peer.short(), team = %team.id.short(), %error, "not renewed");
            }
            Done::Nothing
        }
        Job::Call(address) => {
            let _boot = hall.boot_of(&address, TEAM_MEET).await;
            Done::Nothing
        }
        Job::Probe(peer) => {
            if let Some(link) = hall.links.kept(peer)
                && let Err(error) = link.ping(1, patience(&link)).await
            {
                tracing::debug!(peer = %peer.short(), %error, "a member has moved away from its link");
                hall.links.close(peer);
            }
            Done::Nothing
        }
        Job::Own => Done::Own(Box::new(own(&hall).await)),
    }
}

fn question(team: TeamId) -> PresenceSync {
    PresenceSync {
        team,
        have: None,
        records: Vec::new(),
        chains: Vec::new(),
        ask: Vec::new(),
        ext: Ext::default(),
    }
}

/// One question, and what came of it.
async fn told_by(
    hall: &Arc<Hall>,
    team: &Arc<Team>,
    peer: NodeId,
    question: &PresenceSync,
) -> Result<(Done, Link), MeetFault> {
    let link = meet(hall, team, peer, TEAM_MEET).await?;
    let synced: PresenceSynced = link.ask(question).await?;
    told::enter(&team.roll, &synced.chains);
    let heard = told::read(team.id, &synced.records);
    Ok((Done::Synced { from: peer, heard, want: synced.want, revoked: Vec::new(), more: 0 }, link))
}

/// Revocations first: whom to believe is known before what they say.
async fn sync(
    hall: &Arc<Hall>,
    team: &Arc<Team>,
    peer: NodeId,
    have: Vec<PresenceDigest>,
    pages: u32,
) -> Result<Done, MeetFault> {
    let link = meet(hall, team, peer, TEAM_MEET).await?;
    let fresh = match hall.exchange_revoked(team.id, &link).await {
        Ok(fresh) => fresh,
        Err(error) => {
            tracing::debug!(peer = %peer.short(), %error, "revocations were not compared");
            Vec::new()
        }
    };
    if let Err(error) = hall.ask_about_me(&link).await {
        tracing::debug!(peer = %peer.short(), %error, "revocations about this node were not asked for");
    }
    let question = PresenceSync { have: Some(have), ..question(team.id) };
    let (done, _link) = told_by(hall, team, peer, &question).await?;
    Ok(match done {
        Done::Synced { from, heard, want, .. } => {
            let full = heard.len() >= PRESENCE_PAGE || want.len() >= PRESENCE_PAGE;
            Done::Synced { from, heard, want, revoked: fresh, more: if full { pages } else { 0 } }
        }
        other => other,
    })
}

async fn pull(hall: &Arc<Hall>, team: &Arc<Team>, (cid, from): (CidDigest, NodeId), subject: NodeId) -> Done {
    let done = |got| Done::Pulled { cid, from, got };
    let Ok(link) = meet(hall, team, from, TEAM_MEET).await else { return done(Got::Failed) };
    if let Err(error) = hall.fetch_revoked(subject, &link, cid).await {
        tracing::debug!(peer = %from.short(), %error, "a revocation was not fetched");
        return done(Got::Failed);
    }
    let known = hall.with_store(move |store| store.revocations().is_revoked(&cid)).await;
    done(if matches!(known, Ok(Ok(true))) { Got::Stored } else { Got::Missing })
}

/// What this node says of itself.
pub(super) async fn own(hall: &Arc<Hall>) -> Own {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let load = hall.sessions.load();
    let mesh = hall.mesh.get();
    Own {
        addrs: mesh.map(|mesh| mesh.addrs()).unwrap_or_default().into_iter().filter(is_own).collect(),
        relay: mesh.and_then(|mesh| mesh.relay_url()),
        label: hall.settings.label.clone(),
        version: SOFTWARE.to_owned(),
        load: Load {
            sessions: count(hall.sessions.count(hall).await),
            running: count(load.running.saturating_add(load.queued)),
        },
    }
}

/// Judges everybody anew.
pub(super) async fn recheck(hall: Arc<Hall>, team: Arc<Team>) -> Done {
    let (own, roll, me) = (team.chain(), Arc::clone(&team.roll), hall.id);
    let judged = tokio::task::spawn_blocking(move || {
        let mut over = Roll::recheck(&roll);
        over.extend(roll.judge(me, &own).err().map(|error| (me, error)));
        over
    });
    judged.await.map_or(Done::Nothing, Done::Rechecked)
}

/// Ends what members of before still have here.
pub(super) async fn end(hall: Arc<Hall>, team: Arc<Team>) -> Done {
    if let Err(error) = hall.end_claims_of_before(&team).await {
        tracing::error!(team = %team.id.short(), %error, "tokens of removed members were not revoked");
    }
    Done::Nothing
}

/// Takes back what removed members came back with.
pub(super) async fn take_back(hall: Arc<Hall>, team: Arc<Team>, chains: Vec<(Vec<u8>, Timestamp)>) -> Done {
    if let Err(error) = hall.take_back(&team, chains).await {
        tracing::error!(team = %team.id.short(), %error, "a removed member's other membership was not revoked");
    }
    Done::Nothing
}

/// Somebody who says that this node's membership was revoked shows the revocation.
async fn refused(hall: &Arc<Hall>, team: &Arc<Team>, peer: NodeId, error: &MeetFault) {
    let MeetFault::Client(ClientError::Refused(refusal)) = error else { return };
    let Some(revocation) = refusal.ext.get(EXT_REVOCATION) else { return };
    match hall.take_revoked(team.id.node(), revocation).await {
        Ok(Some(_)) => {
            tracing::info!(team = %team.id.short(), peer = %peer.short(), "a member showed a revocation");
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "a revocation was not stored"),
    }
}
