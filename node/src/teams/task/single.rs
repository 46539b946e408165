//! Work of which one piece at a time is enough: wanted again while it runs, it is done once more.

use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::work::Done;
use crate::limits::TEAM_RECHECK_PAUSE;

/// See the module. It never waits for other work, and is never dropped to make room.
#[derive(Debug)]
pub(super) struct Single {
    wanted: bool,
    running: JoinSet<Done>,
    not_before: Instant,
}

impl Single {
    /// One that is to be done at once, or not before it is wanted.
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, running: JoinSet::new(), not_before: Instant::now() }
    }

    /// It is to be done, however often this is said until it begins.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// What came of the piece that runs; `None` when the next is to begin. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<Done, JoinError>> {
        if !self.running.is_empty() {
            return self.running.join_next().await;
        }
        if !self.wanted {
            return std::future::pending().await;
        }
        sleep_until(self.not_before).await;
        self.wanted = false;
        None
    }

    /// Begins a piece.
    pub(super) fn begin(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.not_before = Instant::now() + TEAM_RECHECK_PAUSE;
        self.running.spawn(work);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Done, Instant, Single, TEAM_RECHECK_PAUSE};

    #[tokio::test]
    async fn many_wishes_are_one_piece_and_the_next_one_waits() {
        let mut single = Single::new(false);
        assert!(single.next().now_or_never().is_none(), "nothing is wanted");
        for _ in 0..10 {
            single.want();
        }
        assert!(single.next().await.is_none());
        let began = Instant::now();
        single.begin(async { Done::Nothing });
        single.want();
        assert!(matches!(single.next().await, Some(Ok(Done::Nothing))));
        assert!(single.next().await.is_none());
        assert!(began.elapsed() >= TEAM_RECHECK_PAUSE);
        single.begin(async { Done::Nothing });
        assert!(single.next().await.is_some());
        assert!(single.next().now_or_never().is_none(), "nothing more is wanted");
    }
}
