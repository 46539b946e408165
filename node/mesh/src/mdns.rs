//! mDNS: announces this node and listens for others (RFC 6762, RFC 6763), by the mdns-sd daemon thread.

mod daemon;
mod pace;

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clankers_protocol::NodeId;
use mdns_sd::{IfKind, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::{
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{
    config::Mdns,
    discovery::{
        Discovery, OwnRecord,
        record::{self, SERVICE},
    },
    limits::{BROWSE_AGAIN_MAX_MS, MDNS_CACHE_RECORDS, MDNS_GUARD_MS, SWEEP_MS, VERIFY_MS},
};

use daemon::{Plan, Slot};
use pace::Pace;

/// Why discovery does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mDNS does not start: {0}; go on without it by `--mdns off`")]
pub struct MdnsError(String);

impl From<mdns_sd::Error> for MdnsError {
    fn from(e: mdns_sd::Error) -> Self {
        Self(e.to_string())
    }
}

/// The running service; stop it, so that others hear the goodbye.
pub(crate) struct MdnsService {
    slot: Slot,
    watch: JoinHandle<()>,
}

impl std::fmt::Debug for MdnsService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MdnsService").finish_non_exhaustive()
    }
}

impl MdnsService {
    pub(crate) fn start(
        config: &Mdns,
        own: &OwnRecord,
        discovery: Option<Discovery>,
    ) -> Result<Self, MdnsError> {
        if config.port == 0 {
            return Err(MdnsError("port 0 is no port to meet at (the standard one is 5353)".to_owned()));
        }
        // A mesh that only this machine can reach has nothing to tell the network.
        let loopback =
            config.loopback || (!own.ports.is_empty() && own.ports.iter().all(|a| a.ip().is_loopback()));
        let start = start_number();
        let announce = match config.advertise {
            true => {
                Some((announcement(own, loopback, start, false)?, announcement(own, loopback, start, true)?))
            }
            false => None,
        };
        let slot = Slot::start(Plan { port: config.port, loopback, announce })?;
        let discovery = discovery.filter(|_| config.browse);
        let watch = tokio::spawn(watch(slot.clone(), own.id, discovery));
        Ok(Self { slot, watch })
    }

    /// Asks whether a node is still there, since it did not answer a dial: without an answer its record goes,
    /// long before its time (RFC 6762 section 10.4).
    pub(crate) fn verify(&self, id: NodeId) {
        let name = format!("{}.{SERVICE}", record::instance(id));
        if let Err(e) = self.slot.daemon().verify(name, Duration::from_millis(VERIFY_MS)) {
            tracing::debug!("cannot verify an mDNS record: {e}");
        }
    }

    /// Says goodbye and ends the daemon thread.
    pub(crate) async fn stop(self) {
        self.watch.abort();
        self.slot.leave().await;
    }
}

impl Drop for MdnsService {
    fn drop(&mut self) {
        self.watch.abort();
        // After a stop the daemon is gone already, and says so.
        drop(self.slot.daemon().shutdown());
    }
}

/// Another one for each start. Without it a node that comes back within a second of its goodbye says what its listeners have
/// still kept, which is no news to mdns-sd: they would never hear that it is back.
fn start_number() -> u32 {
    let random = RandomState::new().build_hasher().finish();
    u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default()
}

fn announcement(
    own: &OwnRecord,
    loopback: bool,
    start: u32,
    leaving: bool,
) -> Result<ServiceInfo, MdnsError> {
    let instance = record::instance(own.id);
    let host = format!("{instance}.local.");
    let exact: Vec<IpAddr> = if loopback {
        vec![Ipv4Addr::LOCALHOST.into()]
    } else {
        own.ports.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect()
    };
    // SRV has room for one port; those of both sockets are in TXT.
    let port = own.port(true).or_else(|| own.port(false)).unwrap_or_default();
    let mut txt = own.txt(leaving);
    txt.push(("b", format!("{start:08x}")));
    let mut info = ServiceInfo::new(SERVICE, &instance, &host, exact.as_slice(), port, txt.as_slice())?;
    if exact.is_empty() {
        info = info.enable_addr_auto();
    }
    if loopback {
        info.set_interfaces(vec![IfKind::LoopbackV4]);
    }
    // The name holds the key, so nobody else has it by chance; probing would cost 750 ms.
    info.set_requires_probe(false);
    Ok(info)
}

/// Why listening ended.
enum End {
    /// mdns-sd closed the subscription: it does that to one that falls behind.
    Closed,
    /// mdns-sd holds too many records, or has no time to count them.
    Flooded,
    /// The daemon was shut down.
    Gone,
}

/// Listens until aborted. A lost subscription is opened again, a flooded daemon replaced; what was heard before is
/// kept in doubt until it is heard anew.
async fn watch(slot: Slot, own: NodeId, discovery: Option<Discovery>) {
    let mut pace = Pace::new();
    loop {
        let (daemon, opened) = (slot.daemon(), Instant::now());
        let end = listen(&daemon, own, discovery.as_ref(), pace.records()).await;
        match &end {
            End::Gone => return,
            End::Flooded => renew(&slot).await,
            End::Closed => tracing::debug!("the mDNS subscription was closed; opening it again"),
        }
        if let Some(discovery) = &discovery {
            discovery.doubt();
        }
        rest(&slot, pace.rest(matches!(end, End::Flooded), opened.elapsed())).await;
    }
}

/// Replaces the daemon; a port that cannot be had now is asked for again, or nobody would ever be heard any more.
async fn renew(slot: &Slot) {
    tracing::warn!("a flood of mDNS records; beginning anew");
    while let Err(e) = slot.renew().await {
        tracing::debug!("mDNS does not start again yet: {e}");
        sleep(Duration::from_millis(BROWSE_AGAIN_MAX_MS)).await;
    }
}

/// Lets so much time pass. While nobody listens, too, mdns-sd keeps addresses that nobody asked for.
async fn rest(slot: &Slot, pause: Duration) {
    let (over, guard) = (Instant::now() + pause, Duration::from_millis(MDNS_GUARD_MS));
    while Instant::now() < over {
        sleep_until(over.min(Instant::now() + guard)).await;
        if let Some(End::Flooded) = burden(&slot.daemon(), MDNS_CACHE_RECORDS).await {
            renew(slot).await;
        }
    }
}

fn timer(every_ms: u64) -> Interval {
    let mut timer = interval(Duration::from_millis(every_ms));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// Why listening should end, if mdns-sd keeps more than `most` records or does not say.
async fn burden(daemon: &ServiceDaemon, most: u64) -> Option<End> {
    match daemon::records(daemon).await {
        Ok(count) if count <= most => None,
        Err(mdns_sd::Error::DaemonShutdown) => Some(End::Gone),
        _ => Some(End::Flooded),
    }
}

async fn listen(daemon: &ServiceDaemon, own: NodeId, discovery: Option<&Discovery>, most: u64) -> End {
    let events = match discovery.map(|_| daemon.browse(SERVICE)) {
        Some(Ok(events)) => Some(events),
        Some(Err(mdns_sd::Error::DaemonShutdown)) => return End::Gone,
        Some(Err(e)) => {
            tracing::debug!("cannot browse: {e}");
            return End::Closed;
        }
        None => None,
    };
    let (mut sweep, mut guard) = (timer(SWEEP_MS), timer(MDNS_GUARD_MS));
    loop {
        tokio::select! {
            event = next(events.as_ref()) => match (event, discovery) {
                (Some(event), Some(discovery)) => take(own, discovery, event),
                _ => return End::Closed,
            },
            _ = guard.tick() => if let Some(end) = burden(daemon, most).await { return end },
            _ = sweep.tick() => if let Some(discovery) = discovery { discovery.sweep() },
        }
    }
}

/// The next event; without a subscription there is none, ever.
async fn next(events: Option<&mdns_sd::Receiver<ServiceEvent>>) -> Option<ServiceEvent> {
    match events {
        Some(events) => events.recv_async().await.ok(),
        None => std::future::pending().await,
    }
}

fn take(own: NodeId, discovery: &Discovery, event: ServiceEvent) {
    match event {
        ServiceEvent::ServiceResolved(found) => {
            let txt: Vec<(&str, &[u8])> =
                found.txt_properties.iter().map(|p| (p.key(), p.val().unwrap_or_default())).collect();
            let ips = found.addresses.iter().map(ScopedIp::to_ip_addr);
            match record::read(own, &found.fullname, &txt, ips) {
                Ok(heard) => discovery.heard(heard),
                Err(e) => tracing::trace!("an mDNS record was not used: {e}"),
            }
        }
        ServiceEvent::ServiceRemoved(_, fullname) => {
            if let Some(id) = record::id_of(&fullname) {
                discovery.gone(id);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
