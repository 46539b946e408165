//! Where a model's events go: a bounded queue that a cancellation and a lost listener interrupt.

use std::{fmt, sync::Arc, time::Duration};

use clankers_protocol::conversation::ModelEvent;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::ModelError;

/// What a caller may want to know while a call is under way, beside the answer itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A try failed before anything was said; there will be another one.
    Retry {
        /// How it failed.
        error: ModelError,
        /// Tries so far (count).
        tries: u32,
        /// The pause before the next one.
        pause: Duration,
    },
}

/// Hears of [`Notice`]s. Called between two awaits of the call: it must not block.
pub type Notify = Arc<dyn Fn(&Notice) + Send + Sync>;

pub(crate) struct Sink {
    provider: &'static str,
    events: mpsc::Sender<ModelEvent>,
    cancel: CancellationToken,
    notify: Option<Notify>,
    sent: bool,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("provider", &self.provider).field("sent", &self.sent).finish()
    }
}

impl Sink {
    pub(crate) fn new(
        provider: &'static str,
        events: mpsc::Sender<ModelEvent>,
        cancel: CancellationToken,
    ) -> Self {
        Self { provider, events, cancel, notify: None, sent: false }
    }

    pub(crate) fn notify(mut self, notify: Option<Notify>) -> Self {
        self.notify = notify;
        self
    }

    pub(crate) fn tell(&self, notice: &Notice) {
        if let Some(notify) = &self.notify {
            notify(notice);
        }
    }

    /// Whether anything was forwarded: after that a failed call is not tried again.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Forwards one event, waiting while the queue is full.
    pub(crate) async fn send(&mut self, event: ModelEvent) -> Result<(), ModelError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ModelError::cancelled(self.provider)),
            sent = self.events.send(event) => {
                sent.map_err(|_| ModelError::cancelled(self.provider))?;
                self.sent = true;
                Ok(())
            }
        }
    }

    /// Waits for `work`, unless cancelled or nobody listens any more.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, ModelError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ModelError::cancelled(self.provider)),
            () = self.events.closed() => Err(ModelError::cancelled(self.provider)),
            done = work => Ok(done),
        }
    }

    /// A pause; [`Duration::MAX`] is until cancelled.
    pub(crate) async fn pause(&self, time: Duration) -> Result<(), ModelError> {
        if time.is_zero() {
            return Ok(());
        }
        self.unless_cancelled(tokio::time::sleep(time)).await
    }
}
