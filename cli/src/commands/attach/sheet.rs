//! The transcript on a terminal that is typed on: text as it streams, row by row; calls folded to one line with their
//! outcome.

use std::collections::BTreeMap;

use clankers_protocol::{
    conversation::ToolStatus,
    event::{Delta, DeltaKind, Durable, Event, StreamItem},
    text::{self, Clean},
};

use super::{
    editor::{Editor, columns},
    markdown::Style,
};

/// Characters of a call's arguments, and of the first line of its outcome.
const FOLDED_CHARS: usize = 60;
/// Characters of any other line that stands for something longer.
const LINE_CHARS: usize = 400;
/// Lines of what a directly called tool printed (count).
const DIRECT_LINES: usize = 200;

/// Text above the edited line.
pub(super) struct Sheet {
    editor: Editor,
    style: Style,
    /// What has begun and fills no row yet.
    row: String,
    /// What the status line said last, but for the numbers of the way there.
    told: String,
    /// Whether the row begins where a line of the text does.
    begins: bool,
    /// The message whose text streams.
    item: Option<String>,
    /// Calls that have begun: what they are.
    calls: BTreeMap<String, (String, bool)>,
}

impl Sheet {
    pub(super) fn new(editor: Editor) -> Self {
        let style = Style::new(editor.colour);
        let (row, calls) = (String::new(), BTreeMap::new());
        Self { editor, style, row, told: String::new(), begins: true, item: None, calls }
    }

    /// What stands above the line that is edited.
    pub(super) fn status(&mut self, way: &str, words: &str) {
        self.editor.status(&format!("{way} · {words}"));
        // A round trip takes another time with every packet: that alone is not worth a line.
        let plain = |c: &char| !c.is_ascii_digit() && *c != '.';
        let told = format!("{} · {words}", way.chars().filter(plain).collect::<String>());
        if self.told != told {
            self.told = told;
            self.editor.refresh();
        }
    }

    /// Says something that is no part of the transcript.
    pub(super) fn note(&mut self, words: &str) {
        let lines = words.lines().map(|line| format!("! {}\n", Clean::line(line, LINE_CHARS)));
        self.out(lines.collect());
    }

    /// Somebody's prompt.
    pub(super) fn said(&mut self, who: &str, words: &str) {
        let mut out = String::new();
        for (number, line) in Clean::block(words).as_str().lines().enumerate() {
            let head = if number == 0 { self.style.bold(&format!("{who} ❯ ")) } else { "  ".to_owned() };
            out += &format!("{head}{line}\n");
        }
        self.out(out);
    }

    /// A piece of an answer.
    fn piece(&mut self, delta: &Delta) {
        if self.item.as_deref() != Some(delta.item.as_str()) {
            self.end_row();
            self.item = Some(delta.item.clone());
        }
        let mut out = String::new();
        for part in Clean::block(&delta.text).as_str().split_inclusive('\n') {
            self.row.push_str(part.trim_end_matches('\n'));
            self.wrap(&mut out);
            if part.ends_with('\n') {
                let row = std::mem::take(&mut self.row);
                out += &format!("{}\n", self.style.line(&row, self.begins));
                self.begins = true;
            }
        }
        if !out.is_empty() {
            self.editor.print(out);
        }
    }

    /// Takes off what fills rows: up to the last space, else all of it.
    fn wrap(&mut self, out: &mut String) {
        let width = columns().saturating_sub(1);
        while let Some((end, _)) = self.row.char_indices().nth(width) {
            let at = self.row.get(..end).and_then(|row| row.rfind(' ')).map_or(end, |space| space + 1);
            let rest = self.row.split_off(at);
            let row = std::mem::replace(&mut self.row, rest);
            *out += &format!("{}\n", self.style.line(row.trim_end(), false));
            self.begins = false;
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if !row.is_empty() {
            let line = self.style.line(&row, self.begins);
            self.editor.print(format!("{line}\n"));
        }
        self.begins = true;
    }

    fn out(&mut self, lines: String) {
        self.end_row();
        if !lines.is_empty() {
            self.editor.print(lines);
        }
    }

    /// One item; `rest` of a message that was not shown as pieces.
    pub(super) fn item(&mut self, item: &StreamItem) {
        match item {
            StreamItem::Live(DeltaKind::Text, delta) => self.piece(delta),
            StreamItem::Live(DeltaKind::Notice, delta) => self.note(&delta.text),
            StreamItem::Live(..) => {}
            StreamItem::Durable(Durable { event, .. }) => self.event(event),
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Message(message) => {
                if self.item.take().as_deref() != Some(message.item.as_str()) {
                    let (item, text) = (message.item.clone(), message.text.clone());
                    self.piece(&Delta { item, offset: 0, text });
                    self.item = None;
                }
                self.end_row();
                self.style = Style::new(self.editor.colour);
            }
            Event::ToolCall(call) => {
                let words = format!("{} {}", call.name, text::line(&call.arguments, FOLDED_CHARS));
                self.calls.insert(call.item.clone(), (words, call.message.is_empty()));
            }
            Event::ToolResult(result) => {
                let (words, direct) = self.calls.remove(&result.item).unwrap_or((result.name.clone(), false));
                let ok = result.status == ToolStatus::Ok;
                let glyph = if ok { '✓' } else { '✗' };
                let clean = Clean::block(&result.text);
                let first = text::line(clean.as_str().lines().next().unwrap_or_default(), FOLDED_CHARS);
                let words = text::line(&words, LINE_CHARS);
                let mut out = self.style.dim(&format!("{glyph} {words} → {first}")) + "\n";
                if direct && ok {
                    out = clean.as_str().lines().take(DIRECT_LINES).map(|line| format!("{line}\n")).collect();
                }
                self.out(out);
            }
            Event::Settled(settled) => {
                let why = settled.reason.as_deref().and_then(|reason| reason.lines().next());
                let words = why.map(|why| format!("! {}\n", Clean::line(why, LINE_CHARS)));
                self.out(words.unwrap_or_default());
                self.calls.clear();
            }
            Event::Steered(steered) => self.said(&steered.principal.short(), &steered.text),
            Event::Prompt(_) | Event::Usage(_) | Event::Compacted(_) | Event::Resolved(_) => {}
        }
    }
}
