//! What this machine's node has to settle with another one whenever they meet: revocations are exchanged, grants that
//! are to be renewed are. None of it keeps the command waiting or makes it fail, unless what it needs has ended.

use std::{net::SocketAddr, time::Duration};

use clankers_client::{
    Client,
    authority::{Renewal, Revocations, renewal},
};
use clankers_node::clock;
use clankers_protocol::{
    NodeId,
    message::Ext,
    request::peers::{EXT_REACHED, PeerResolve, PeerResolved},
};
use tokio::{task::JoinSet, time::timeout};

use crate::local::Local;

/// How long this machine's own node may take to say which revocations it knows (time).
const OWN_ANSWER: Duration = Duration::from_secs(1);
/// How long a command waits for its errands, at its end or where it needs what they bring (time).
const ERRANDS: Duration = Duration::from_secs(3);

/// What there is to settle with one peer.
pub(super) struct Agenda {
    subject: NodeId,
    /// What this machine's node knows to be revoked there.
    revoked: Revocations,
    /// What is to be issued again.
    renewals: Vec<Renewal>,
}

impl Agenda {
    /// Asks this machine's own node what it knows, and looks at the chains that it holds there.
    pub(super) async fn new(own: &Client, subject: NodeId, chains: &[Vec<u8>]) -> Self {
        let now = clock::now();
        let renewals = chains.iter().filter_map(|chain| renewal(chain, now)).collect();
        let revoked = match timeout(OWN_ANSWER, own.known_revocations(subject, now)).await {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the own node did not say which revocations it knows");
                Revocations::new()
            }
            Err(_) => Revocations::new(),
        };
        Self { subject, revoked, renewals }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.revoked.is_empty() && self.renewals.is_empty()
    }

    /// Whether nothing can be asked there before: all that is held has ended, and is to be renewed.
    pub(super) fn is_needed(&self, chains: &[Vec<u8>]) -> bool {
        let late = self.renewals.iter().filter(|renewal| renewal.late).count();
        late > 0 && late == chains.len()
    }
}

/// The errands of one connection.
pub(super) struct Errands {
    /// One task. What it brings: the chains that were issued again. Ends with this value.
    task: JoinSet<Vec<Vec<u8>>>,
}

impl Errands {
    /// Begins them beside the command. Takes leave of this machine's node when they are done; without it there are
    /// none, for what they bring could not be kept.
    ///
    /// `reached` is where the peer was reached, when this machine's node should know.
    pub(super) fn begin(
        local: Option<Local>,
        peer: Client,
        own: NodeId,
        agenda: Agenda,
        reached: Option<SocketAddr>,
    ) -> Self {
        let mut task = JoinSet::new();
        if let Some(local) = local {
            task.spawn(async move {
                let Agenda { subject, revoked, renewals } = agenda;
                if let Some(addr) = reached {
                    note(&local.client, subject, addr).await;
                }
                if !revoked.is_empty() {
                    exchange(&local.client, &peer, subject, revoked).await;
                }
                let renewed = renew(&local.client, &peer, subject, own, renewals).await;
                local.close().await;
                renewed
            });
        }
        Self { task }
    }

    /// Waits until they are done. What was renewed.
    pub(super) async fn done(&mut self) -> Vec<Vec<u8>> {
        match timeout(ERRANDS, self.task.join_next()).await {
            Ok(Some(Ok(renewed))) => renewed,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "the errands broke off");
                Vec::new()
            }
            Ok(None) => Vec::new(),
            Err(_) => {
                tracing::debug!("the errands took too long");
                Vec::new()
            }
        }
    }
}

/// Tells this machine's node where a peer was reached.
async fn note(own: &Client, subject: NodeId, addr: SocketAddr) {
    let ext = Ext([(EXT_REACHED, addr.to_string().into_bytes())].into_iter().collect());
    let request = PeerResolve { leaf: None, peer: subject.to_string(), wait_ms: 0, ext };
    let noted: Result<PeerResolved, _> = own.ask(&request).await;
    if let Err(error) = noted {
        tracing::debug!(peer = %subject, %error, "where it was reached was not noted");
    }
}

async fn exchange(own: &Client, peer: &Client, subject: NodeId, revoked: Revocations) {
    match peer.exchange_revocations(own, subject, revoked).await {
        Ok(exchanged) => tracing::debug!(peer = %subject, ?exchanged, "revocations were exchanged"),
        Err(error) => tracing::debug!(peer = %subject, %error, "revocations were not exchanged"),
    }
}

async fn renew(
    own: &Client,
    peer: &Client,
    subject: NodeId,
    audience: NodeId,
    renewals: Vec<Renewal>,
) -> Vec<Vec<u8>> {
    let mut renewed = Vec::new();
    for renewal in renewals {
        let new = match peer.renew(renewal.chain, subject, audience).await {
            Ok(new) => new,
            Err(error) => {
                tracing::debug!(peer = %subject, %error, "a grant was not renewed");
                continue;
            }
        };
        // It can be used now, whether or not it is kept for later.
        renewed.push(new.chain);
        match own.import(new.token).await {
            Ok(kept) => tracing::debug!(peer = %subject, cid = kept.record.cid, "a grant was renewed"),
            Err(error) => tracing::debug!(peer = %subject, %error, "a renewed grant was not kept"),
        }
    }
    renewed
}
