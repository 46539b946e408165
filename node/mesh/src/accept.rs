//! Accepting: handshakes side by side, each bounded in time, all bounded in number and by source.

use std::time::Duration;

use iroh::{
    Endpoint,
    endpoint::{Incoming, IncomingAddr},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    connection::Connection,
    limits::{ACCEPTED_WAITING, UNAUTHENTICATED_HANDSHAKE_MS},
    routes::Routes,
    source::{SharedLimiter, Source, SourcePermit, Verdict},
};

/// The accept loop and what it has accepted.
#[derive(Debug)]
pub(crate) struct Acceptor {
    accepted: Option<mpsc::Receiver<Connection>>,
    task: JoinHandle<()>,
}

impl Acceptor {
    /// Starts the loop. Without protocols to accept, whoever dials is refused.
    pub(crate) fn start(endpoint: &Endpoint, routes: Option<Routes>) -> Self {
        let Some(routes) = routes else {
            return Self { accepted: None, task: tokio::spawn(refuse_all(endpoint.clone())) };
        };
        let (sender, accepted) = mpsc::channel(ACCEPTED_WAITING);
        let task = tokio::spawn(accept_all(endpoint.clone(), routes, sender));
        Self { accepted: Some(accepted), task }
    }

    /// The next accepted connection; `None` when there will be none.
    pub(crate) async fn next(&mut self) -> Option<Connection> {
        match &mut self.accepted {
            Some(accepted) => accepted.recv().await,
            None => None,
        }
    }

    /// Waits for the loop to end, after the endpoint was closed: it holds the sockets until then.
    pub(crate) async fn ended(&mut self) {
        if !self.task.is_finished() {
            // An error says that the task was cancelled or panicked: ended all the same.
            drop((&mut self.task).await);
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn refuse_all(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        incoming.refuse();
    }
}

async fn accept_all(endpoint: Endpoint, routes: Routes, accepted: mpsc::Sender<Connection>) {
    let limiter = SharedLimiter::default();
    // Bounded by the limiter: every task in it holds a permit.
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if let Some((incoming, permit)) = admit(incoming, &limiter) {
                        handshakes.spawn(handshake(incoming, routes.clone(), permit, accepted.clone()));
                    }
                }
                None => break,
            },
            // None says that the set is empty, which only disables this branch for one turn.
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => {}
        }
    }
}

fn admit(incoming: Incoming, limiter: &SharedLimiter) -> Option<(Incoming, SourcePermit)> {
    let source = match incoming.remote_addr() {
        IncomingAddr::Ip(addr) => Source::from(addr),
        _ => Source::Relayed,
    };
    // A relay delivers by endpoint id: there is no address whose ownership a Retry could prove.
    let proven = incoming.remote_addr_validated() || source == Source::Relayed;
    match limiter.judge(source, proven) {
        (Verdict::Accept, Some(permit)) => Some((incoming, permit)),
        (Verdict::Retry, _) => {
            if let Err(e) = incoming.retry() {
                e.into_incoming().refuse();
            }
            None
        }
        _ => {
            tracing::debug!(?source, "too many unauthenticated connections; refused");
            incoming.refuse();
            None
        }
    }
}

async fn handshake(
    incoming: Incoming,
    routes: Routes,
    permit: SourcePermit,
    accepted: mpsc::Sender<Connection>,
) {
    let Ok(accepting) = incoming.accept_with(routes.config()) else { return };
    match timeout(Duration::from_millis(UNAUTHENTICATED_HANDSHAKE_MS), accepting).await {
        Ok(Ok(conn)) => {
            if let Some(connection) = routes.hand_over(Connection::quic(conn, Some(permit))) {
                // When nobody accepts any more, dropping the connection closes it.
                drop(accepted.send(connection).await);
            }
        }
        Ok(Err(e)) => tracing::debug!("a handshake failed: {e:#}"),
        Err(_) => tracing::debug!("a handshake took over {UNAUTHENTICATED_HANDSHAKE_MS} ms"),
    }
}
