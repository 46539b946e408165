//! What a viewer has seen: its place in the log, and how far it is in everything unfinished.

use std::collections::BTreeMap;

use crate::{
    event::{Delta, DeltaKind, Durable, Event},
    limits::OPEN_ITEMS,
    request::attach::{Attached, From, Gap},
};

/// A viewer's place. Pure; survives any number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    from: From,
    /// Epoch of the log, and the last durable event seen in it; none before the first stream has begun.
    place: Option<(u64, u64)>,
    /// Epoch of the stream that is read now: that of `place` too, once a gap has said where it goes on.
    stream_epoch: u64,
    /// The stream was asked for before more was seen on another: it repeats events at first.
    behind: bool,
    /// How far each unfinished item was shown (bytes).
    shown: BTreeMap<(String, DeltaKind), u64>,
}

/// A durable event came whose predecessors did not, and no [`Gap`] said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {got} came where {expected} had to follow")]
pub struct Hole {
    /// What had to follow.
    pub expected: u64,
    /// What came.
    pub got: u64,
}

impl Cursor {
    /// A viewer that has seen nothing yet and wants to begin here.
    #[must_use]
    pub fn new(from: From) -> Self {
        Self { from, place: None, stream_epoch: 0, behind: false, shown: BTreeMap::new() }
    }

    /// Where the next stream has to begin.
    #[must_use]
    pub fn from(&self) -> From {
        match self.place {
            Some((epoch, seq)) => From::After { epoch: Some(epoch), seq },
            None => self.from,
        }
    }

    /// Epoch and last seq seen.
    #[must_use]
    pub fn place(&self) -> Option<(u64, u64)> {
        self.place
    }

    /// A stream begins.
    pub fn attached(&mut self, attached: &Attached) {
        self.stream_epoch = attached.epoch;
        // A cursor of another epoch stays what it is until the gap comes: the stream may be cut before.
        let (epoch, seq) = *self.place.get_or_insert(match self.from {
            // Whoever gave this cursor has these; what is missing after them is a gap.
            From::After { epoch, seq } => (epoch.unwrap_or(attached.epoch), seq),
            _ => (attached.epoch, attached.first_seq.saturating_sub(1)),
        });
        self.behind = epoch == attached.epoch && attached.first_seq <= seq;
    }

    /// Events are missing. What was unfinished is of another history when the log begins anew.
    pub fn gap(&mut self, gap: &Gap) {
        self.place = Some((self.stream_epoch, gap.to));
        self.behind = false;
        self.shown.clear();
    }

    /// A durable event came: whether it is to be shown, or was before.
    ///
    /// # Errors
    /// [`Hole`] when events are missing before it: the stream is of no use, the next one begins at the cursor.
    pub fn durable(&mut self, durable: &Durable) -> Result<bool, Hole> {
        let (_, seen) = self.place.get_or_insert((0, durable.seq.saturating_sub(1)));
        let expected = seen.saturating_add(1);
        self.behind &= durable.seq < *seen;
        if durable.seq < expected {
            return Ok(false);
        }
        if durable.seq > expected {
            return Err(Hole { expected, got: durable.seq });
        }
        *seen = durable.seq;
        match &durable.event {
            Event::Message(message) => {
                self.shown.remove(&(message.item.clone(), DeltaKind::Text));
                self.shown.remove(&(message.item.clone(), DeltaKind::Thinking));
            }
            Event::ToolResult(result) => {
                self.shown.remove(&(result.item.clone(), DeltaKind::ToolOutput));
            }
            _ => {}
        }
        Ok(true)
    }

    /// The part of a delta that was not shown yet. It may begin later than what was shown ended: a viewer that was
    /// too slow misses pieces, and the completed item has the whole. While events are repeated, pieces between them
    /// may be of items that are complete by now: none is shown.
    pub fn piece(&mut self, kind: DeltaKind, delta: Delta) -> Option<Delta> {
        if self.behind {
            return None;
        }
        let end = delta.offset.saturating_add(delta.text.len() as u64);
        let key = (delta.item, kind);
        let before = self.shown.get(&key).copied().unwrap_or(0);
        if end <= before {
            return None;
        }
        while self.shown.len() >= OPEN_ITEMS && !self.shown.contains_key(&key) {
            self.shown.pop_first();
        }
        self.shown.insert(key.clone(), end);
        let cut = usize::try_from(before.saturating_sub(delta.offset)).ok()?;
        // A node that cuts characters in two is not shown half of one.
        let text = delta.text.get(cut..)?.to_owned();
        Some(Delta { item: key.0, offset: delta.offset.max(before), text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(offset: u64, text: &str) -> Delta {
        Delta { item: "m".into(), offset, text: text.into() }
    }

    #[test]
    fn pieces_are_cut_to_what_is_new() {
        let mut cursor = Cursor::new(From::Begin);
        let mut show = |offset, text: &str| {
            cursor.piece(DeltaKind::Text, delta(offset, text)).map(|d| (d.offset, d.text))
        };
        assert_eq!(show(0, "hello"), Some((0, "hello".into())));
        assert_eq!(show(0, "hel"), None);
        assert_eq!(show(0, "hello, you"), Some((5, ", you".into())));
        assert_eq!(show(20, "late"), Some((20, "late".into())), "a jump is shown with its offset");
        assert_eq!(show(10, "what was missed"), Some((24, "d".into())));
        let mut half = Cursor::new(From::Begin);
        assert!(half.piece(DeltaKind::Text, delta(0, "a")).is_some());
        assert_eq!(half.piece(DeltaKind::Text, delta(0, "ü!")), None, "half a character");
        let huge = delta(u64::MAX, "x");
        assert_eq!(half.piece(DeltaKind::Text, huge), Some(delta(u64::MAX, "x")));
    }

    #[test]
    fn memory_of_unfinished_items_is_bounded() {
        let mut cursor = Cursor::new(From::Begin);
        for n in 0..1000 {
            let item = format!("m{n}");
            assert!(cursor.piece(DeltaKind::Text, Delta { item, offset: 0, text: "x".into() }).is_some());
        }
        assert!(cursor.shown.len() <= OPEN_ITEMS);
    }
}
