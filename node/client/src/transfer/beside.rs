//! A peer that says nothing any more is looked for anew, beside the connection that there is.
//!
//! Each side of a transfer says at least once a second that it is there. A node that was killed, or whose machine lost
//! its power, closes nothing, and the silence is taken for the end only after half a minute, since a bad network is
//! silent as well. But whoever answers on a fresh connection as a node that has started since is not the one that this
//! connection leads to: then it is over at once.

use std::{pin::pin, time::Duration};

use clankers_mesh::Connection;
use clankers_protocol::limits::{QUIET_MS, REDIAL_MS};
use tokio::{sync::watch, time::sleep};

use super::Progress;
use crate::limits::DEAF;

const QUIET: Duration = Duration::from_millis(QUIET_MS);
const PAUSE: Duration = Duration::from_millis(REDIAL_MS);

/// Runs an attempt on a connection to a node of this boot. When the peer is quiet, `dial` is called again and again, one
/// call after the other; it tells the boot of the node that it reached, if any, and whatever is to be gone on with.
///
/// When that is another boot, or the peer stays silent although its node can be reached, the connection is closed, by
/// which the attempt ends as lost, and what `dial` brought is returned beside its end.
pub async fn beside<T, C, D: Future<Output = Option<(u64, C)>>>(
    attempt: impl Future<Output = T>,
    (connection, boot): (&Connection, u64),
    told: watch::Receiver<Progress>,
    mut dial: impl FnMut() -> D,
) -> (T, Option<C>) {
    let mut attempt = pin!(attempt);
    let found = {
        let mut looking = pin!(async {
            loop {
                quiet(told.clone()).await;
                if let Some((now, fresh)) = dial().await
                    && (now != boot || told.borrow().quiet >= DEAF)
                {
                    return fresh;
                }
                sleep(PAUSE).await;
            }
        });
        tokio::select! {
            biased;
            done = &mut attempt => return (done, None),
            fresh = &mut looking => fresh,
        }
    };
    connection.close(0, "the node is reached anew");
    (attempt.await, Some(found))
}

/// Until the peer has been quiet for a while.
async fn quiet(mut told: watch::Receiver<Progress>) {
    if told.wait_for(|now| now.quiet >= QUIET).await.is_err() {
        // Nobody tells any more: the attempt is about to end.
        std::future::pending::<()>().await;
    }
}
