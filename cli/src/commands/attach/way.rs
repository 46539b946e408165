//! How the attached node is reached: the first time, and whenever the connection is lost.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clankers_client::{Client, Way};
use clankers_node::mesh::Path;
use tokio::time::{Instant, sleep_until};

use crate::{
    error::CliError,
    local::Machine,
    remote::{Again, DIAL_TIMEOUT, Peer},
};

/// Said of the way to a node that is not reached.
pub(super) const NO_WAY: &str = "no connection";
/// Characters of a peer's name: a ticket is longer.
const PEER_CHARS: usize = 16;
/// How often this machine's address is looked at while nothing is heard (time).
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every so many tries the node is looked up anew (count): it may have come back at another address.
const LOOKUP_EVERY: u32 = 16;

/// The way to one node.
pub(crate) struct Road {
    pub(crate) machine: Arc<Machine>,
    peer: String,
    /// A connection that was made to ask something first.
    first: Mutex<Option<Peer>>,
    /// The connection that was made last.
    last: Mutex<Option<Client>>,
    /// How the node was reached, to reach it again.
    again: tokio::sync::Mutex<Option<Again>>,
    /// One looks the node up at a time.
    lookup: tokio::sync::Mutex<()>,
    trail: Mutex<Trail>,
}

/// What a road remembers of its tries, and of this machine's own address.
struct Trail {
    tries: u32,
    /// Where this machine sent from when it was looked at last; and when to look again.
    source: Option<IpAddr>,
    look: Instant,
}

impl Road {
    pub(crate) fn new(machine: Machine, remote: Option<String>) -> Self {
        let peer = remote.unwrap_or_else(|| "local".to_owned());
        Self {
            machine: Arc::new(machine),
            peer,
            first: Mutex::new(None),
            last: Mutex::new(None),
            again: tokio::sync::Mutex::new(None),
            lookup: tokio::sync::Mutex::new(()),
            trail: Mutex::new(Trail { tries: 0, source: None, look: Instant::now() }),
        }
    }

    /// Reaches the node, whatever it is for.
    pub(crate) async fn peer(&self) -> Result<Peer, CliError> {
        Peer::reach(&self.machine, &self.peer, DIAL_TIMEOUT).await
    }

    /// Whose node it is, as it was named.
    pub(crate) fn peer_name(&self) -> String {
        clankers_protocol::text::line(&self.peer, PEER_CHARS)
    }

    /// The connection that was made last.
    pub(crate) fn last(&self) -> Option<Client> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How packets get there now, and how long a round trip takes.
    pub(crate) fn look(&self) -> String {
        let Some(client) = self.last() else { return NO_WAY.into() };
        let connection = client.connection();
        match connection.path() {
            Path::Unknown => String::new(),
            path => format!("{} {:.1} ms", path.word(), connection.rtt().as_secs_f64() * 1e3),
        }
    }

    /// The connection that was kept, or a new one.
    pub(crate) async fn peer_at_hand(&self) -> Result<Peer, CliError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(peer) => Ok(peer),
            None => self.peer().await,
        }
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaches the node as before, if it was reached before and this is not the time to look it up anew.
    async fn peer_again(&self) -> Option<Result<Peer, CliError>> {
        let tries = {
            let mut trail = self.trail();
            trail.tries = trail.tries.wrapping_add(1);
            trail.tries
        };
        if tries.is_multiple_of(LOOKUP_EVERY) && self.lookup.try_lock().is_ok() {
            return None;
        }
        let mut known = self.again.lock().await;
        let again = known.as_mut().filter(|again| again.is_fresh())?;
        let mesh = again.endpoint(&self.machine).await;
        let again = again.clone();
        drop(known);
        Some(match mesh {
            Ok(mesh) => again.reach(&self.machine, mesh, DIAL_TIMEOUT).await,
            Err(error) => Err(error),
        })
    }

    /// Keeps a connection for the stream to begin on.
    pub(crate) fn keep(&self, peer: Peer) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
    }
}

impl Way for Road {
    type Keep = Peer;
    type Error = CliError;

    async fn reach(&self) -> Result<(Client, Peer), CliError> {
        let peer = match self.peer_again().await {
            Some(reached) => reached?,
            None => {
                let _one_at_a_time = self.lookup.lock().await;
                self.peer_at_hand().await?
            }
        };
        if let Some(again) = peer.again() {
            self.trail().source = again.source();
            *self.again.lock().await = Some(again);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer.client.clone());
        Ok((peer.client.clone(), peer))
    }

    async fn moved(&self) {
        loop {
            let look = self.trail().look;
            sleep_until(look).await;
            self.trail().look = Instant::now() + LOOK_EVERY;
            let mut known = self.again.lock().await;
            let Some(again) = known.as_mut() else { continue };
            // Without a network there is nothing to go to yet.
            let Some(source) = again.source() else { continue };
            let before = self.trail().source.replace(source);
            if before.is_some_and(|before| before != source) {
                again.forget_endpoint();
                return;
            }
        }
    }

    async fn renew(&self, client: &Client, peer: &Peer) {
        if let Err(error) = self.machine.renew(client, peer.subject, &peer.held).await {
            tracing::debug!(message = error.message, "could not show a fresh link");
        }
    }

    async fn part(&self, peer: Peer) {
        peer.close().await;
    }
}
