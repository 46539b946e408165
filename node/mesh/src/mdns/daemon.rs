//! The mdns-sd daemon, and its replacement when it is flooded.
//!
//! mdns-sd keeps every record that anyone sends, for as long as its sender says, and takes longer over each the
//! more it has; it even keeps addresses and services that nobody asked for, as long as no pointer is among
//! them. It cannot be told to forget, but it can be replaced: its goodbye and the new announcement are heard
//! within moments of each other.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use tokio::time::timeout;

use super::MdnsError;
use crate::limits::{GOODBYE_MS, INTERFACES_CHECK_S, MDNS_COUNT_MS};

/// What a daemon is started with.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) port: u16,
    pub(super) loopback: bool,
    /// What is announced; and what at the end, for those who listen.
    pub(super) announce: Option<(ServiceInfo, ServiceInfo)>,
}

/// The daemon of this moment. Clones share it.
#[derive(Clone)]
pub(super) struct Slot {
    plan: Arc<Plan>,
    daemon: Arc<Mutex<ServiceDaemon>>,
}

impl Slot {
    pub(super) fn start(plan: Plan) -> Result<Self, MdnsError> {
        let daemon = Arc::new(Mutex::new(plan.start()?));
        Ok(Self { plan: Arc::new(plan), daemon })
    }

    pub(super) fn daemon(&self) -> ServiceDaemon {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the daemon; the old one says goodbye first.
    pub(super) async fn renew(&self) -> Result<(), MdnsError> {
        self.stop().await;
        let fresh = self.plan.start()?;
        *self.daemon.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Says that this node leaves, and stops.
    pub(super) async fn leave(&self) {
        if let Some((_, leaving)) = &self.plan.announce
            && let Err(e) = self.daemon().register(leaving.clone())
        {
            tracing::debug!("others are not told at once that this node leaves: {e}");
        }
        self.stop().await;
    }

    /// Says goodbye and ends the daemon thread.
    async fn stop(&self) {
        let (limit, daemon) = (Duration::from_millis(GOODBYE_MS), self.daemon());
        if let Some((info, _)) = &self.plan.announce
            && let Ok(done) = daemon.unregister(info.get_fullname())
        {
            drop(timeout(limit, done.recv_async()).await);
        }
        if let Ok(done) = daemon.shutdown() {
            drop(timeout(limit, done.recv_async()).await);
        }
    }
}

impl Plan {
    fn start(&self) -> Result<ServiceDaemon, MdnsError> {
        let daemon = ServiceDaemon::new_with_port(self.port)?;
        // Interfaces and addresses come and go: whoever walks into another network is found there soon.
        daemon.set_ip_check_interval(INTERFACES_CHECK_S)?;
        if self.loopback {
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(IfKind::LoopbackV4)?;
        }
        if let Some((info, _)) = &self.announce {
            daemon.register(info.clone())?;
        }
        Ok(daemon)
    }
}

/// How many records of others the daemon keeps.
///
/// # Errors
/// When the daemon is gone, or has no time to say.
pub(super) async fn records(daemon: &ServiceDaemon) -> Result<u64, mdns_sd::Error> {
    let metrics = match daemon.get_metrics() {
        Ok(metrics) => metrics,
        // Its queue of commands is full: it is behind, but will be asked again in a moment.
        Err(mdns_sd::Error::Again) => return Ok(0),
        Err(e) => return Err(e),
    };
    let late = || mdns_sd::Error::Msg("the mDNS daemon does not answer".to_owned());
    let counted = timeout(Duration::from_millis(MDNS_COUNT_MS), metrics.recv_async()).await;
    let counted = counted.map_err(|_| late())?.map_err(|_| late())?;
    let cached = counted.iter().filter(|(name, _)| name.starts_with("cached-"));
    Ok(cached.map(|(_, count)| u64::try_from(*count).unwrap_or(0)).sum())
}
