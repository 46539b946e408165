//! The machine of a viewer: one session seen over any number of connections, none of which lasts.
//!
//! The shell dials when it is told to, and tells what came of it; streams are numbered by their try. Each durable
//! event is shown once and in order. A node that is silent for [`QUIET_MS`] is dialed anew, again and again, beside the
//! connection that there is, which is kept; the first stream that opens takes over at the cursor. After [`STALE_MS`]
//! whoever looks is told. Inputs are kept until the node has answered them, and sent again on each new stream: their
//! ids make that harmless.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Cursor, FromNode, FromViewer,
    steps::{End, Output, Shown, Step},
};
use crate::{
    PromptId, Timestamp,
    event::{DeltaKind, StreamItem},
    limits::{
        DETACH_MS, INPUTS_WAITING, QUIET_MS, REDIAL_FAST_MS, REDIAL_LIMIT_MS, REDIAL_MS, REDIAL_SLOW_MS,
        REDIALS, STALE_MS,
    },
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::attach::{Detach, From, Unattended},
};

/// See the module.
#[derive(Debug)]
pub struct Follower {
    cursor: Cursor,
    /// Number of the last try.
    tries: u64,
    /// Tries under way.
    open: BTreeSet<u64>,
    /// The stream that is followed.
    current: Option<u64>,
    /// When something was heard on it last.
    heard: Timestamp,
    /// Nothing was heard for [`QUIET_MS`]: nobody is told yet.
    quiet: bool,
    stale: bool,
    /// When the node was lost, and when the next try is due.
    lost: Option<(Timestamp, Timestamp)>,
    pause: u64,
    /// What the node has not answered.
    waiting: VecDeque<FromViewer>,
    /// Nobody answers approvals here any more: each new stream is told.
    unattended: bool,
    /// The viewer leaves: until when it waits for the goodbye.
    leaving: Option<Timestamp>,
    over: bool,
}

impl Follower {
    /// A viewer that wants to begin here.
    #[must_use]
    pub fn new(from: From) -> Self {
        Self {
            cursor: Cursor::new(from),
            tries: 0,
            open: BTreeSet::new(),
            current: None,
            heard: Timestamp(0),
            quiet: false,
            stale: false,
            lost: None,
            pause: REDIAL_MS,
            waiting: VecDeque::new(),
            unattended: false,
            leaving: None,
            over: false,
        }
    }

    /// Its place in the log.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Whether a stream is open.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.current.is_some()
    }

    /// What the node has not answered yet (count).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// One step. After [`Output::Over`] nothing comes any more.
    pub fn handle(&mut self, now: Timestamp, step: Step, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        match step {
            Step::Start => self.dial(out),
            Step::Frame(which, frame) if self.current == Some(which) => self.frame(now, which, frame, out),
            Step::Frame(which, frame) if self.open.contains(&which) => self.opened(now, which, frame, out),
            // Of a stream that was given up.
            Step::Frame(..) => {}
            Step::Lost(which) => self.lost(now, which, out),
            Step::Say(word) => self.say(now, word, out),
            Step::Moved if self.cursor.place().is_some() && self.leaving.is_none() => {
                (self.lost, self.pause, self.quiet) = (Some((now, now)), REDIAL_MS, false);
            }
            Step::Moved | Step::Tick => {}
        }
        self.look_at_the_clock(now, out);
    }

    fn dial(&mut self, out: &mut Vec<Output>) {
        self.tries += 1;
        self.open.insert(self.tries);
        out.push(Output::Dial(self.tries, self.cursor.from()));
    }

    /// The first frame of a try.
    fn opened(&mut self, now: Timestamp, which: u64, frame: FromNode, out: &mut Vec<Output>) {
        match frame {
            FromNode::Attached(attached) => {
                // The cursor has moved on since this try was made: what it has too much is dropped, and what it
                // skips cannot be, since the cursor never goes back but by a gap.
                self.open.remove(&which);
                let before = self.current.replace(which);
                out.extend(before.map(Output::Drop));
                out.extend(std::mem::take(&mut self.open).into_iter().map(Output::Drop));
                (self.heard, self.quiet, self.stale) = (now, false, false);
                (self.lost, self.pause) = (None, REDIAL_MS);
                let resumed = self.cursor.place().is_some();
                self.cursor.attached(&attached);
                out.push(show(Shown::Attached(attached, resumed)));
                out.extend(self.waiting.iter().map(|word| Output::Send(which, word.clone())));
                if self.unattended {
                    out.push(Output::Send(which, FromViewer::Unattended(Unattended { ext: Ext::default() })));
                }
                if self.leaving.is_some() {
                    out.push(Output::Send(which, goodbye()));
                }
            }
            // Whoever was never attached is told at once; a viewer comes back when the node has room again.
            FromNode::Refusal(refusal) if is_final(&refusal) || self.cursor.place().is_none() => {
                self.end(End::Refused(refusal), out);
            }
            _ => {
                out.push(Output::Drop(which));
                self.lost(now, which, out);
            }
        }
    }

    fn frame(&mut self, now: Timestamp, which: u64, frame: FromNode, out: &mut Vec<Output>) {
        self.heard = now;
        if self.stale || self.quiet {
            self.lost = None;
            out.extend(std::mem::take(&mut self.open).into_iter().map(Output::Drop));
            out.extend(self.stale.then(|| show(Shown::Back)));
            (self.quiet, self.stale) = (false, false);
        }
        match frame {
            FromNode::Item(StreamItem::Durable(durable)) => match self.cursor.durable(&durable) {
                Ok(true) => out.push(show(Shown::Item(StreamItem::Durable(durable)))),
                Ok(false) => {}
                Err(_) => {
                    out.push(Output::Drop(which));
                    self.lost(now, which, out);
                }
            },
            FromNode::Item(item @ StreamItem::Live(DeltaKind::Notice, _)) => {
                out.push(show(Shown::Item(item)))
            }
            FromNode::Item(StreamItem::Live(kind, delta)) => {
                let new = self.cursor.piece(kind, delta);
                out.extend(new.map(|delta| show(Shown::Item(StreamItem::Live(kind, delta)))));
            }
            FromNode::Gap(gap) => {
                self.cursor.gap(&gap);
                out.push(show(Shown::Gap(gap)));
            }
            FromNode::Presence(presence) => out.push(show(Shown::Presence(presence))),
            FromNode::Pending(pending) => out.push(show(Shown::Pending(pending))),
            FromNode::Resolved(resolved) => out.push(show(Shown::Resolved(resolved))),
            FromNode::State(state) => out.push(show(Shown::State(state))),
            FromNode::Beat(_) => {}
            FromNode::Taken(taken) => {
                self.answered(&taken.input_id);
                out.push(show(Shown::Taken(taken)));
            }
            FromNode::Done(done) => {
                self.answered(&done.input_id);
                out.push(show(Shown::Done(done)));
            }
            FromNode::Refused(refused) => {
                self.answered(&refused.input_id);
                out.push(show(Shown::Refused(refused)));
            }
            FromNode::Detached(_) if self.leaving.is_some() => self.end(End::Detached, out),
            FromNode::Refusal(refusal) if is_final(&refusal) => self.end(End::Refused(refusal), out),
            // The node stops, is full, or says what it has no reason to say.
            FromNode::Refusal(_) | FromNode::Detached(_) | FromNode::Attached(_) => {
                out.push(Output::Drop(which));
                self.lost(now, which, out);
            }
        }
    }

    fn answered(&mut self, id: &PromptId) {
        self.waiting.retain(|word| word.input_id() != Some(id));
    }

    fn lost(&mut self, now: Timestamp, which: u64, out: &mut Vec<Output>) {
        self.open.remove(&which);
        if self.current == Some(which) {
            self.current = None;
            if self.leaving.is_some() {
                return self.end(End::Detached, out);
            }
            out.push(show(Shown::Lost));
            if !self.stale {
                self.lost = Some((now, now));
            }
            (self.quiet, self.stale) = (false, false);
            // What was cancelled is another prompt by the time that somebody hears of it.
            let (kept, late) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|word| !matches!(word, FromViewer::Cancel(_)));
            self.waiting = kept;
            out.extend(ids(&late).map(|id| show(Shown::NotSent(id))));
        } else if self.current.is_none() && self.cursor.place().is_none() && self.open.is_empty() {
            // The node was never there.
            self.end(End::Unreachable, out);
        }
    }

    fn say(&mut self, now: Timestamp, word: FromViewer, out: &mut Vec<Output>) {
        if matches!(word, FromViewer::Unattended(_)) {
            self.unattended = true;
            out.extend(self.current.map(|which| Output::Send(which, word)));
            return;
        }
        let Some(id) = word.input_id().cloned() else {
            self.leaving = Some(now.plus_ms(DETACH_MS));
            match self.current {
                Some(which) => out.push(Output::Send(which, word)),
                None => self.end(End::Detached, out),
            }
            return;
        };
        if self.waiting.len() >= INPUTS_WAITING {
            out.push(show(Shown::NotSent(id)));
            return;
        }
        match self.current {
            Some(which) => {
                out.push(Output::Send(which, word.clone()));
                if self.stale {
                    out.push(show(Shown::Kept(id)));
                }
            }
            None if matches!(word, FromViewer::Cancel(_)) => {
                out.push(show(Shown::NotSent(id)));
                return;
            }
            None => out.push(show(Shown::Kept(id))),
        }
        self.waiting.push_back(word);
    }

    fn look_at_the_clock(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        if self.leaving.is_some_and(|until| now >= until) {
            return self.end(End::Detached, out);
        }
        let silent = now.since(self.heard);
        if self.current.is_some() && !self.stale && silent >= STALE_MS {
            (self.quiet, self.stale) = (false, true);
            self.lost = Some((now, now));
            out.push(show(Shown::Stale));
        } else if self.current.is_some() && self.lost.is_none() && silent >= QUIET_MS {
            self.quiet = true;
            self.lost = Some((now, now));
        }
        if let Some((since, next)) = self.lost {
            if self.current.is_some() && !self.stale && now.since(since) >= REDIAL_FAST_MS {
                // It moved, and the stream of before goes on: that will do.
                self.lost = None;
                out.extend(std::mem::take(&mut self.open).into_iter().map(Output::Drop));
            } else if now.since(since) >= REDIAL_LIMIT_MS {
                return self.end(End::Unreachable, out);
            } else if now >= next {
                if self.open.len() >= REDIALS {
                    self.drop_a_try(out);
                }
                self.dial(out);
                let fast = now.since(since) < REDIAL_FAST_MS;
                self.pause = if fast { REDIAL_MS } else { (self.pause * 2).min(REDIAL_SLOW_MS) };
                self.lost = Some((since, now.plus_ms(self.pause)));
            }
        }
        out.extend(self.next_wake().map(Output::WakeAt));
    }

    /// Makes room for a fresh try: one that has waited long waits ever longer between its own packets, and would
    /// not notice that the link is back. The very oldest stays, for a node that is slow rather than gone.
    fn drop_a_try(&mut self, out: &mut Vec<Output>) {
        let second = self.open.iter().nth(1).copied();
        if let Some(which) = second {
            self.open.remove(&which);
            out.push(Output::Drop(which));
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let stale = (self.current.is_some() && !self.stale)
            .then(|| self.heard.plus_ms(if self.lost.is_some() { STALE_MS } else { QUIET_MS }));
        let redial = self.lost.map(|(_, next)| next);
        [stale, redial, self.leaving].into_iter().flatten().min()
    }

    fn end(&mut self, end: End, out: &mut Vec<Output>) {
        self.over = true;
        let streams = self.current.take().into_iter().chain(std::mem::take(&mut self.open));
        out.extend(streams.map(Output::Drop));
        out.push(Output::Over(end));
    }
}

fn show(shown: Shown) -> Output {
    Output::Show(Box::new(shown))
}

fn goodbye() -> FromViewer {
    FromViewer::Detach(Detach { ext: Ext::default() })
}

fn ids(words: &VecDeque<FromViewer>) -> impl Iterator<Item = PromptId> {
    words.iter().filter_map(|word| word.input_id().cloned())
}

/// Whether trying again is of no use.
fn is_final(refusal: &Refusal) -> bool {
    !matches!(
        refusal.code(),
        RefusalCode::Stopping | RefusalCode::Busy | RefusalCode::RateLimited | RefusalCode::NodeTrouble
    )
}
