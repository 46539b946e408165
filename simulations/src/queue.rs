//! What is to happen, in order: by time, and by the order in which it was decided for one and the same time.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Microseconds since the world began.
pub type Micros = u64;
/// Microseconds of a second.
pub const SECOND: Micros = 1_000_000;
/// Microseconds of a millisecond.
pub const MILLI: Micros = 1_000;

/// Events by time. Nothing about it depends on addresses, hashes or threads.
#[derive(Debug)]
pub struct Queue<E> {
    /// (when, how manieth, place in `kept`): small, since a heap moves its entries about.
    heap: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    kept: Vec<Option<E>>,
    free: Vec<usize>,
    count: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), kept: Vec::new(), free: Vec::new(), count: 0 }
    }
}

impl<E> Queue<E> {
    /// Let `event` happen at `at`.
    pub fn push(&mut self, at: Micros, event: impl Into<E>) {
        let event = event.into();
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.kept.push(None);
                self.kept.len() - 1
            }
        };
        if let Some(slot) = self.kept.get_mut(place) {
            *slot = Some(event);
        }
        self.heap.push(Reverse((at, self.count, place)));
        self.count += 1;
    }

    /// The next event, when it happens no later than `until`.
    pub fn pop(&mut self, until: Micros) -> Option<(Micros, E)> {
        let Reverse((at, _, _)) = self.heap.peek()?;
        if *at > until {
            return None;
        }
        let Reverse((at, _, place)) = self.heap.pop()?;
        let event = self.kept.get_mut(place)?.take()?;
        self.free.push(place);
        Some((at, event))
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Queue;

    proptest! {
        #[test]
        fn events_come_by_time_and_then_as_they_were_pushed(times in prop::collection::vec(0_u64..20, 0..200)) {
            let mut queue = Queue::<usize>::default();
            for (number, at) in times.iter().enumerate() {
                queue.push(*at, number);
            }
            let mut wanted: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            wanted.sort_unstable();
            let mut got = Vec::new();
            while let Some(next) = queue.pop(9) {
                got.push(next);
            }
            prop_assert!(got.iter().all(|(at, _)| *at <= 9));
            prop_assert_eq!(queue.len(), wanted.len() - got.len());
            while let Some(next) = queue.pop(u64::MAX) {
                got.push(next);
            }
            prop_assert_eq!(got, wanted);
            prop_assert!(queue.is_empty());
        }
    }
}
