//! The text so far of everything unfinished, for those who come late: their deltas go on at the right place.

use std::collections::BTreeMap;

use clankers_protocol::{
    event::{Delta, DeltaKind, Durable, Event, StreamItem},
    limits::OPEN_ITEMS,
};

use crate::limits::OPEN_ITEM_BYTES;

/// What is unfinished in one session.
#[derive(Debug, Default)]
pub(super) struct OpenItems(BTreeMap<(String, DeltaKind), Text>);

#[derive(Debug)]
struct Text {
    prompt_seq: u64,
    from: u64,
    text: String,
}

/// One unfinished text, or the end of it when it is very long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenText {
    pub(crate) item: String,
    pub(crate) kind: DeltaKind,
    /// Where `text` begins (bytes).
    pub(crate) from: u64,
    pub(crate) text: String,
}

impl OpenItems {
    /// Takes in what was announced.
    pub(super) fn note(&mut self, prompt_seq: u64, item: &StreamItem) {
        match item {
            // Said once: nothing of it is unfinished.
            StreamItem::Live(DeltaKind::Notice, _) => {}
            StreamItem::Live(kind, delta) => self.grow(prompt_seq, *kind, delta),
            StreamItem::Durable(Durable { event, .. }) => match event {
                Event::Message(message) => {
                    self.0.retain(|(item, kind), _| *kind == DeltaKind::ToolOutput || *item != message.item);
                }
                Event::ToolResult(result) => {
                    self.0.remove(&(result.item.clone(), DeltaKind::ToolOutput));
                }
                Event::Settled(settled) => {
                    self.0.retain(|_, text| text.prompt_seq != settled.prompt_seq);
                }
                _ => {}
            },
        }
    }

    fn grow(&mut self, prompt_seq: u64, kind: DeltaKind, delta: &Delta) {
        let key = (delta.item.clone(), kind);
        while self.0.len() >= OPEN_ITEMS && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        let open =
            self.0.entry(key).or_insert_with(|| Text { prompt_seq, from: delta.offset, text: String::new() });
        if open.from + open.text.len() as u64 != delta.offset {
            // A piece is missing: what comes is kept from here on.
            (open.from, open.text) = (delta.offset, String::new());
        }
        open.text.push_str(&delta.text);
        if open.text.len() > 2 * OPEN_ITEM_BYTES {
            let cut = open.text.floor_char_boundary(open.text.len() - OPEN_ITEM_BYTES);
            open.text.drain(..cut);
            open.from += cut as u64;
        }
    }

    /// All of it, as it is now.
    pub(super) fn texts(&self) -> Vec<OpenText> {
        let texts = self.0.iter().map(|((item, kind), open)| OpenText {
            item: item.clone(),
            kind: *kind,
            from: open.from,
            text: open.text.clone(),
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{Timestamp, conversation::StopReason, event::MessageEvent};

    use super::*;

    fn delta(item: &str, offset: u64, text: &str) -> StreamItem {
        StreamItem::Live(DeltaKind::Text, Delta { item: item.into(), offset, text: text.into() })
    }

    #[test]
    fn text_grows_and_goes_with_its_item() {
        let mut open = OpenItems::default();
        open.note(1, &delta("m", 0, "grü"));
        open.note(1, &delta("m", 4, "ße"));
        open.note(1, &delta("n", 0, "x"));
        let texts = open.texts();
        assert_eq!((texts[0].text.as_str(), texts[0].from, texts.len()), ("grüße", 0, 2));
        let (item, thinking, text) = ("m".into(), Vec::new(), "grüße".into());
        let event = Event::Message(MessageEvent { item, thinking, text, stop: StopReason::EndTurn });
        open.note(1, &StreamItem::Durable(Durable { seq: 2, at: Timestamp(0), event }));
        assert_eq!(open.texts().iter().map(|t| t.item.as_str()).collect::<Vec<_>>(), ["n"]);
    }

    #[test]
    fn what_never_ends_is_kept_only_at_its_end() {
        let mut open = OpenItems::default();
        let piece = "ä".repeat(16 * 1024);
        let mut offset = 0;
        for _ in 0..100 {
            open.note(1, &delta("m", offset, &piece));
            offset += piece.len() as u64;
        }
        for n in 0..1000 {
            open.note(1, &delta(&format!("many{n:04}"), 0, "x"));
        }
        let texts = open.texts();
        assert!(texts.len() <= OPEN_ITEMS);
        assert!(texts.iter().all(|t| t.text.len() <= 2 * OPEN_ITEM_BYTES));
        let mut one = OpenItems::default();
        one.note(1, &delta("m", 0, &piece));
        one.note(1, &delta("m", 1_000_000, "after a hole"));
        assert_eq!((one.texts()[0].from, one.texts()[0].text.as_str()), (1_000_000, "after a hole"));
    }
}
