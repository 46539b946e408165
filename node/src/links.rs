//! Links to other nodes: one kept [`Client`] for each peer, shared by whoever in this node has something to ask there.
//!
//! A link says Hello as the node itself, with the tokens that this node holds at the peer; tokens that came later are
//! shown when the link is next asked for. Whoever asks while a dial is under way waits for that dial. A link that
//! nobody has used for a while is closed, and there are only so many: nothing here dials anybody unasked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clankers_client::{Client, ClientError, Introduction};
use clankers_mesh::PeerAddress;
use clankers_protocol::{
    ALPN, NodeId,
    hello::PeerKind,
    limits::{ADDRESSES, CHAINS},
};
use clankers_store::StoreError;
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::{
    clock,
    hall::{Hall, SOFTWARE},
    limits::{LINK_IDLE, LINKS},
    teams::Command,
};

/// Why there is no link to a peer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// It is this node itself.
    #[error("this is this node itself")]
    Myself,
    /// This hall has no network: it serves one command.
    #[error("no node runs here: start it with 'clankers daemon start -d'")]
    NoNetwork,
    /// As many links as there may be are in use.
    #[error("{LINKS} links to other nodes are in use; wait until one is free")]
    Full,
    /// No answer in time, counted from when the link was asked for.
    #[error("no link to {0} within {1:?}")]
    Timeout(NodeId, Duration),
    /// The dial for which this caller waited has failed a moment ago.
    #[error("{0}")]
    Lately(Arc<str>),
    /// The peer could not be reached, or refused Hello.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Which tokens are held there could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All links of a node.
#[derive(Debug, Default)]
pub(crate) struct Links {
    slots: Mutex<BTreeMap<NodeId, Arc<Slot>>>,
}

/// The place of one peer.
#[derive(Debug)]
struct Slot {
    /// One dial at a time; whoever has this decides what becomes of the link.
    link: AsyncMutex<Option<Kept>>,
    /// When somebody last had the link.
    used: Mutex<Instant>,
    /// How the last dial failed, and when it had.
    failed: Mutex<Option<(Instant, Arc<str>)>>,
}

/// A link that was made.
#[derive(Debug, Clone)]
struct Kept {
    client: Client,
    /// What was shown on it.
    chains: Vec<Vec<u8>>,
}

/// A link in use: a [`Client`] that said Hello and was welcomed. Keep it for as long as it is used; what is kept is not
/// closed for being idle.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    client: Client,
    slot: Arc<Slot>,
}

impl Deref for Link {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.slot.touch();
    }
}

impl Slot {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn failed_since(&self, asked: Instant) -> Option<Arc<str>> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| *at >= asked).map(|(_, why)| Arc::clone(why))
    }
}

impl Links {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer's place; the one that was idle longest makes room when there are too many.
    fn slot(&self, peer: NodeId) -> Result<Arc<Slot>, LinkError> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&peer) {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= LINKS {
            let free = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
            let longest = free.max_by_key(|(_, slot)| slot.idle()).map(|(id, _)| *id);
            let slot = longest.and_then(|id| slots.remove(&id)).ok_or(LinkError::Full)?;
            close(&slot);
        }
        let slot = Arc::new(Slot {
            link: AsyncMutex::new(None),
            used: Mutex::new(Instant::now()),
            failed: Mutex::new(None),
        });
        slots.insert(peer, Arc::clone(&slot));
        Ok(slot)
    }

    /// The link to a peer if there is a living one now. Dials nobody.
    pub(crate) fn kept(&self, peer: NodeId) -> Option<Link> {
        let slot = self.slots().get(&peer).map(Arc::clone)?;
        let client = slot.link.try_lock().ok()?.as_ref().filter(|kept| kept.lives())?.client.clone();
        slot.touch();
        Some(Link { client, slot })
    }

    /// Closes the link to a peer, in use or not.
    pub(crate) fn close(&self, peer: NodeId) {
        if let Some(slot) = self.slots().remove(&peer) {
            close(&slot);
        }
    }

    /// Closes what nobody has used for [`LINK_IDLE`], and forgets what has ended.
    pub(crate) fn sweep(&self) {
        self.slots().retain(|_, slot| {
            if Arc::strong_count(slot) > 1 {
                return true;
            }
            let Ok(link) = slot.link.try_lock() else { return true };
            let stays = link.as_ref().is_some_and(Kept::lives) && slot.idle() < LINK_IDLE;
            drop(link);
            if !stays {
                close(slot);
            }
            stays
        });
    }

    /// Says goodbye to all.
    pub(crate) fn close_all(&self) {
        for slot in std::mem::take(&mut *self.slots()).into_values() {
            close(&slot);
        }
    }
}

impl Kept {
    fn lives(&self) -> bool {
        self.client.connection().close_reason().is_none()
    }
}

/// A link that is being dialed now is dropped by the dialer, whose slot is in no table any more.
fn close(slot: &Slot) {
    if let Ok(mut link) = slot.link.try_lock()
        && let Some(kept) = link.take()
    {
        kept.client.close();
    }
}

impl Hall {
    /// The link to a peer: the one that there is, or a fresh one, at the addresses that the peer book, its teams and the
    /// local network know. All of it within `limit`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(crate) async fn link(self: &Arc<Self>, peer: NodeId, limit: Duration) -> Result<Link, LinkError> {
        let found = async {
            if let Some(link) = self.links.kept(peer) {
                return self.with_chains(peer, link).await;
            }
            let address = self.address_of(peer).await?;
            self.link_at(&address, limit).await
        };
        timeout(limit, found).await.unwrap_or(Err(LinkError::Timeout(peer, limit)))
    }

    /// The same, at an address that the caller knows.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(crate) async fn link_at(
        self: &Arc<Self>,
        address: &PeerAddress,
        limit: Duration,
    ) -> Result<Link, LinkError> {
        if address.id == self.id {
            return Err(LinkError::Myself);
        }
        let asked = Instant::now();
        let slot = self.links.slot(address.id)?;
        let link = timeout(limit, self.made(address, &slot, asked, limit)).await;
        link.unwrap_or(Err(LinkError::Timeout(address.id, limit)))
    }

    async fn made(
        self: &Arc<Self>,
        address: &PeerAddress,
        slot: &Arc<Slot>,
        asked: Instant,
        limit: Duration,
    ) -> Result<Link, LinkError> {
        let mut link = slot.link.lock().await;
        if let Some(kept) = link.as_ref().filter(|kept| kept.lives()) {
            let client = kept.client.clone();
            drop(link);
            slot.touch();
            return self.with_chains(address.id, Link { client, slot: Arc::clone(slot) }).await;
        }
        *link = None;
        if let Some(why) = slot.failed_since(asked) {
            return Err(LinkError::Lately(why));
        }
        match self.dialed(address, limit.saturating_sub(asked.elapsed())).await {
            Ok(kept) => {
                let client = kept.client.clone();
                *link = Some(kept);
                slot.touch();
                Ok(Link { client, slot: Arc::clone(slot) })
            }
            Err(error) => {
                let why: Arc<str> = error.to_string().into();
                *slot.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), why));
                Err(error)
            }
        }
    }

    async fn dialed(self: &Arc<Self>, address: &PeerAddress, limit: Duration) -> Result<Kept, LinkError> {
        let mesh = Arc::clone(self.mesh.get().ok_or(LinkError::NoNetwork)?);
        let chains = self.chains_at(address.id).await?;
        let connection = mesh.dial(address, ALPN, limit).await.map_err(ClientError::from)?;
        let who = Introduction {
            software: SOFTWARE.to_owned(),
            kind: PeerKind::Node,
            label: self.settings.label.clone(),
            boot_id: self.boot_id,
            now: clock::now(),
            chains: chains.clone(),
        };
        let client = Client::greet(connection, who).await?;
        let welcome = client.welcome().await?;
        if let Some(addr) = client.connection().remote_addr() {
            self.reached(address.id, addr).await;
        }
        tracing::debug!(
            peer = %clankers_protocol::hello::describe(address.id, welcome.label.as_deref()),
            "a link was made"
        );
        Ok(Kept { client, chains })
    }

    /// Notes where a peer was really reached of whom the local network tells: anybody may tell there that it is elsewhere, or gone.
    pub(crate) async fn reached(self: &Arc<Self>, peer: NodeId, addr: SocketAddr) {
        let discovery = self.mesh.get().and_then(|mesh| mesh.discovery());
        let Some(discovery) = discovery.filter(|discovery| !discovery.addrs(peer).is_empty()) else { return };
        discovery.reached(peer, addr);
        let noted = self.with_store(move |store| {
            let addrs = [addr.to_string()];
            let heard = clankers_store::Heard { via: "dial", addrs: &addrs, ..Default::default() };
            store.peers().heard(peer, heard, clock::now())
        });
        if let Ok(Err(error)) = noted.await {
            tracing::debug!(%error, "where a peer was reached was not noted");
        }
    }

    /// Which boot of a peer's node answers on a fresh connection, beside the link that there may be; `None` when none does
    /// within `limit`.
    pub(crate) async fn boot_of(self: &Arc<Self>, address: &PeerAddress, limit: Duration) -> Option<u64> {
        let asked = async {
            let kept = self.dialed(address, limit).await.ok()?;
            let boot = kept.client.welcome().await.ok()?.boot_id;
            kept.client.close();
            Some(boot)
        };
        timeout(limit, asked).await.ok().flatten()
    }

    /// Shows what this node has come to hold there since the link was made.
    async fn with_chains(self: &Arc<Self>, peer: NodeId, link: Link) -> Result<Link, LinkError> {
        let held = self.chains_at(peer).await?;
        let mut kept = link.slot.link.lock().await;
        let fresh: Vec<Vec<u8>> = match kept.as_ref() {
            Some(kept) => held.iter().filter(|chain| !kept.chains.contains(chain)).cloned().collect(),
            None => Vec::new(),
        };
        if !fresh.is_empty() {
            link.client.present(fresh).await?;
            if let Some(kept) = kept.as_mut() {
                kept.chains = held;
            }
        }
        drop(kept);
        Ok(link)
    }

    pub(crate) async fn chains_at(self: &Arc<Self>, peer: NodeId) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with_store(move |store| store.tokens().held_for_subject(peer, clock::now(), CHAINS)).await?
    }

    /// Where a peer may be, as far as is known. What the local network says besides is asked by the dial itself.
    pub(crate) async fn address_of(self: &Arc<Self>, peer: NodeId) -> Result<PeerAddress, StoreError> {
        let (known, members) = self
            .with_store(move |store| {
                let known = match store.peers().get(peer) {
                    Ok(known) => known,
                    Err(clankers_store::PeerError::Store(error)) => return Err(error),
                    Err(_) => None,
                };
                let mut members = Vec::new();
                for team in store.teams().list()? {
                    members.extend(store.teams().member(team.id, peer)?);
                }
                Ok((known, members))
            })
            .await??;
        let mut address = PeerAddress::from(peer);
        let mut take = |addrs: &[String], relay: Option<String>| {
            for addr in addrs.iter().filter_map(|addr| addr.parse::<SocketAddr>().ok()) {
                if !address.addrs.contains(&addr) && address.addrs.len() < ADDRESSES {
                    address.addrs.push(addr);
                }
            }
            address.relay = address.relay.take().or(relay);
        };
        for team in self.teams.shared_with(peer) {
            if let Some(now) = team.ask(|answer| Command::Where(peer, answer)).await {
                let addrs: Vec<String> = now.addrs.iter().map(ToString::to_string).collect();
                take(&addrs, now.relay);
            }
        }
        // What members said of themselves is newer than the book.
        for member in members {
            take(&member.addrs, member.relay);
        }
        if let Some(known) = known {
            take(&known.addrs, known.relay);
        }
        Ok(address)
    }
}
