//! The network changes: this node's own addresses, and the way to its relay.

use std::time::Duration;

use futures_util::{StreamExt, stream::BoxStream};
use iroh::{Endpoint, Watcher as _};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    config::Relay,
    limits::{RELAY_CHECK_MS, RELAY_LOST_MAX_MS, RELAY_LOST_MS},
    peer::PeerAddress,
};

/// News of a node's own addresses and relay.
pub struct AddressChanges(BoxStream<'static, PeerAddress>);

impl std::fmt::Debug for AddressChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressChanges").finish_non_exhaustive()
    }
}

impl AddressChanges {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self(endpoint.watch_addr().stream_updates_only().map(|addr| PeerAddress::from_iroh(&addr)).boxed())
    }

    /// The addresses after the next change; several between two looks count as one. `None` when the mesh is
    /// gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<PeerAddress> {
        self.0.next().await
    }
}

/// Looks after the connection to the relay. iroh connects again by itself; but a client was reported to stay
/// wedged for hours (iroh #4476), so after a while without any relay the network is looked at anew, which
/// rebinds sockets and dials the relay afresh.
#[derive(Debug)]
pub(crate) struct RelayWatch(Option<JoinHandle<()>>);

impl RelayWatch {
    pub(crate) fn start(endpoint: &Endpoint, relay: &Relay) -> Self {
        let wanted = *relay != Relay::Off;
        Self(wanted.then(|| tokio::spawn(watch(endpoint.clone()))))
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Drop for RelayWatch {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn watch(endpoint: Endpoint) {
    let mut check = interval(Duration::from_millis(RELAY_CHECK_MS));
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut status = endpoint.home_relay_status();
    let mut patience = Patience::new(Instant::now());
    loop {
        check.tick().await;
        let connected = status.get().iter().any(iroh::endpoint::RelayStatus::is_connected);
        if patience.ends(Instant::now(), connected) {
            tracing::info!("no relay for a while; looking at the network anew");
            endpoint.network_change().await;
        }
    }
}

/// When to look at the network anew: pure.
#[derive(Debug)]
struct Patience {
    /// Since when no relay is connected, or when the last look was.
    since: Instant,
    pause: Duration,
}

impl Patience {
    fn new(now: Instant) -> Self {
        Self { since: now, pause: Duration::from_millis(RELAY_LOST_MS) }
    }

    fn ends(&mut self, now: Instant, connected: bool) -> bool {
        if connected {
            *self = Self::new(now);
            return false;
        }
        if now.saturating_duration_since(self.since) < self.pause {
            return false;
        }
        self.since = now;
        self.pause = self.pause.saturating_mul(2).min(Duration::from_millis(RELAY_LOST_MAX_MS));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_relay_is_looked_after_ever_more_rarely_until_it_is_back() {
        let begun = Instant::now();
        let mut patience = Patience::new(begun);
        let looks: Vec<u64> = (0..7_200)
            .step_by(15)
            .filter(|s| patience.ends(begun + Duration::from_secs(*s), false))
            .collect();
        assert_eq!(looks.get(..5), Some(&[60, 180, 420, 900, 1_800][..]));
        let longest = looks.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert_eq!(longest, RELAY_LOST_MAX_MS / 1_000);
        let later = begun + Duration::from_secs(7_200);
        assert!(!patience.ends(later, true));
        assert!(!patience.ends(later + Duration::from_secs(59), false));
        assert!(patience.ends(later + Duration::from_secs(60), false));
    }
}
