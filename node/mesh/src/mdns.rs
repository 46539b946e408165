//! mDNS: announces this node and listens for others (RFC 6762, RFC 6763), by the mdns-sd daemon thread.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clankers_protocol::NodeId;
use mdns_sd::{IfKind, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    config::Mdns,
    discovery::{
        Discovery, OwnRecord,
        record::{self, SERVICE},
    },
    limits::{BROWSE_AGAIN_MAX_MS, BROWSE_AGAIN_MS, GOODBYE_MS, SWEEP_MS, VERIFY_MS},
};

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
    daemon: ServiceDaemon,
    announced: Option<String>,
    browse: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for MdnsService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MdnsService").field("announced", &self.announced).finish_non_exhaustive()
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
        let daemon = ServiceDaemon::new_with_port(config.port)?;
        let mut service = Self { daemon, announced: None, browse: None };
        // A mesh that only this machine can reach has nothing to tell the network.
        let loopback = config.loopback || own.ports.iter().all(|a| a.ip().is_loopback());
        if loopback {
            service.daemon.disable_interface(IfKind::All)?;
            service.daemon.enable_interface(IfKind::LoopbackV4)?;
        }
        if config.advertise {
            let info = announcement(own, loopback)?;
            let name = info.get_fullname().to_owned();
            service.daemon.register(info)?;
            service.announced = Some(name);
        }
        if let Some(discovery) = discovery.filter(|_| config.browse) {
            service.browse = Some(tokio::spawn(browse(service.daemon.clone(), own.id, discovery)));
        }
        Ok(service)
    }

    /// Asks whether a node is still there, since it did not answer a dial: without an answer its record goes,
    /// long before its time (RFC 6762 section 10.4).
    pub(crate) fn verify(&self, id: NodeId) {
        let name = format!("{}.{SERVICE}", record::instance(id));
        if let Err(e) = self.daemon.verify(name, Duration::from_millis(VERIFY_MS)) {
            tracing::debug!("cannot verify an mDNS record: {e}");
        }
    }

    /// Says goodbye and ends the daemon thread.
    pub(crate) async fn stop(mut self) {
        let limit = Duration::from_millis(GOODBYE_MS);
        if let Some(task) = self.browse.take() {
            task.abort();
        }
        if let Some(name) = self.announced.take()
            && let Ok(done) = self.daemon.unregister(&name)
        {
            drop(timeout(limit, done.recv_async()).await);
        }
        if let Ok(done) = self.daemon.shutdown() {
            drop(timeout(limit, done.recv_async()).await);
        }
    }
}

impl Drop for MdnsService {
    fn drop(&mut self) {
        if let Some(task) = self.browse.take() {
            task.abort();
        }
        // After a stop the daemon is gone already, and says so.
        drop(self.daemon.shutdown());
    }
}

fn announcement(own: &OwnRecord, loopback: bool) -> Result<ServiceInfo, MdnsError> {
    let instance = record::instance(own.id);
    let host = format!("{instance}.local.");
    let exact: Vec<IpAddr> = if loopback {
        vec![Ipv4Addr::LOCALHOST.into()]
    } else {
        own.ports.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect()
    };
    // SRV has room for one port; those of both sockets are in TXT.
    let port = own.port(true).or_else(|| own.port(false)).unwrap_or_default();
    let txt = own.txt();
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

/// Listens until aborted. mdns-sd closes a subscription that falls behind: it is opened again, and what was heard
/// before is kept in doubt until then.
async fn browse(daemon: ServiceDaemon, own: NodeId, discovery: Discovery) {
    let mut sweep = interval(Duration::from_millis(SWEEP_MS));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pause = BROWSE_AGAIN_MS;
    loop {
        match daemon.browse(SERVICE) {
            Ok(events) => {
                let opened = Instant::now();
                loop {
                    tokio::select! {
                        event = events.recv_async() => match event {
                            Ok(event) => take(own, &discovery, event),
                            Err(_) => break,
                        },
                        _ = sweep.tick() => discovery.sweep(),
                    }
                }
                if opened.elapsed() > Duration::from_millis(BROWSE_AGAIN_MAX_MS) {
                    pause = BROWSE_AGAIN_MS;
                }
                tracing::debug!("the mDNS subscription was closed; opening it again");
                discovery.doubt();
            }
            Err(mdns_sd::Error::DaemonShutdown) => return,
            Err(e) => tracing::debug!("cannot browse: {e}"),
        }
        sleep(Duration::from_millis(pause)).await;
        pause = pause.saturating_mul(2).min(BROWSE_AGAIN_MAX_MS);
    }
}

fn take(own: NodeId, discovery: &Discovery, event: ServiceEvent) {
    match event {
        ServiceEvent::ServiceResolved(found) => {
            let txt: Vec<(&str, &[u8])> =
                found.txt_properties.iter().map(|p| (p.key(), p.val().unwrap_or_default())).collect();
            let ips = found.addresses.iter().map(|ip| match ip {
                ScopedIp::V6(v6) => (ip.to_ip_addr(), v6.scope_id().index),
                _ => (ip.to_ip_addr(), 0),
            });
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
