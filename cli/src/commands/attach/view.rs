//! What a viewer gets to see: the transcript on standard output, everything else beside it.

use std::{collections::BTreeMap, io};

use clankers_protocol::{
    NanoUsd, NodeId, PromptId, SessionId,
    attach::Shown,
    event::{Delta, DeltaKind, Durable, Event, MessageEvent, StreamItem},
    jsonl,
    request::attach::{Attached, Attendee, Gap, GapWhy, Pending, Role, State},
    text::{self, Clean},
};

use super::{sheet::Sheet, way::NO_WAY};
use crate::{
    args::{AttachArgs, Mode},
    commands::transcript::{Printer, line},
    error::CliError,
};

/// Characters of a line that stands for something longer.
const LINE_CHARS: usize = 200;

/// What is shown, and what is known beside it.
pub(super) struct View {
    mode: Mode,
    session: SessionId,
    printer: Printer,
    roster: BTreeMap<u64, Attendee>,
    pending: Vec<Pending>,
    model: String,
    own: Option<u64>,
    /// What was typed here and is still to come back as an event.
    typed: Vec<PromptId>,
    /// The message that is being printed, and how much of it was (bytes): without a hole.
    printed: (String, u64),
    /// The terminal, when it is one that can be typed on while it prints.
    sheet: Option<Sheet>,
    /// Whose node it is, and the way there while it is heard.
    peer: String,
    way: String,
    /// Nothing is heard from the node: it was attached, and is to be reached again.
    away: bool,
    role: Option<Role>,
    /// What the prompts cost whose ends were seen here.
    cost: NanoUsd,
    /// Whether a prompt runs.
    running: bool,
}

impl View {
    pub(super) fn new(mode: Mode, sheet: Option<Sheet>) -> Self {
        let session = SessionId([0; 32]);
        let printer = Printer::new(mode, session);
        let (roster, pending) = (BTreeMap::new(), Vec::new());
        let (model, printed) = (String::new(), (String::new(), 0));
        Self {
            mode,
            session,
            printer,
            roster,
            pending,
            model,
            own: None,
            typed: Vec::new(),
            printed,
            sheet,
            peer: String::new(),
            way: String::new(),
            away: false,
            role: None,
            cost: NanoUsd::default(),
            running: false,
        }
    }

    /// Says something to the person, not to a program.
    pub(super) fn note(&mut self, words: &str) {
        if let Some(sheet) = &mut self.sheet {
            return sheet.note(words);
        }
        // Where the words go there may be nobody; that ends nothing.
        let _whole = self.printer.end_line();
        for line in words.lines() {
            anstream::eprintln!("! {}", Clean::line(line, LINE_CHARS));
        }
    }

    /// Whom it is about and the way there, for the line above the one that is edited.
    pub(super) fn reached(&mut self, peer: &str, way: &str) {
        peer.clone_into(&mut self.peer);
        way.clone_into(&mut self.way);
        self.status();
    }

    fn status(&mut self) {
        let Some(sheet) = &mut self.sheet else { return };
        let role = match self.role.filter(|_| !self.away) {
            None => "not attached",
            Some(Role::Type) => "typing",
            Some(Role::View) => "watching",
        };
        let busy = if self.running { " · running" } else { "" };
        let waits = if self.pending.is_empty() { "" } else { " · waits for /approve or /deny" };
        let (model, cost) = (&self.model, self.cost);
        let way = if self.away { NO_WAY } else { &self.way };
        sheet.status(&format!("{} · {way}", self.peer), &format!("{role} · {model} · {cost}{busy}{waits}"));
    }

    /// Says so when the viewer may only watch.
    pub(super) fn granted(&mut self, shown: &Shown) {
        if let Shown::Attached(attached, _) = shown
            && attached.role_granted == Role::View
        {
            self.note("you may watch this session, not type into it");
        }
    }

    /// Whether a prompt runs, as far as is known here.
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Which session is shown.
    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// A page of its past is shown.
    pub(super) fn about(&mut self, session: SessionId) {
        if self.session != session {
            self.session = session;
            self.printer = Printer::new(self.mode, session);
        }
    }

    /// An event of the past: it changes nothing of what is known.
    pub(super) fn past(&mut self, item: &StreamItem) -> io::Result<()> {
        match (self.mode, item) {
            (Mode::Json, StreamItem::Durable(durable)) => {
                let mut value = jsonl::event(self.session, durable);
                // Among the events of a stream it is to be told from those that come.
                if let Some(fields) = value.as_object_mut().filter(|_| self.own.is_some()) {
                    fields.insert("older".into(), true.into());
                }
                line(&value)
            }
            (Mode::Json, StreamItem::Live(..)) => Ok(()),
            (Mode::Text, item) => self.item(item),
        }
    }

    /// Events that are no more.
    pub(super) fn missing(&mut self, gap: &Gap) -> io::Result<()> {
        self.show(&Shown::Gap(gap.clone()))
    }

    pub(super) fn typed(&mut self, input_id: &PromptId) {
        self.typed.push(input_id.clone());
    }

    pub(super) fn who(&mut self) {
        let lines: Vec<String> = self.roster.values().map(|who| self.attendee(who)).collect();
        lines.iter().for_each(|line| self.note(line));
    }

    pub(super) fn model(&mut self, chosen: Option<&str>) {
        let words = format!("model {}", chosen.unwrap_or(&self.model));
        self.note(&words);
    }

    fn attendee(&self, who: &Attendee) -> String {
        let role = if who.role == Role::Type { "types" } else { "watches" };
        let own = if self.own == Some(who.attach_id) { " (you)" } else { "" };
        let since = crate::output::ago(who.since, clankers_node::clock::now());
        format!("{} {role}, since {since}{own}", who.principal.short())
    }

    /// The approval that is meant: the one that was named by its beginning, or the only one.
    pub(super) fn request(&self, named: Option<String>) -> Result<String, CliError> {
        let Some(named) = named else {
            return Ok(match self.pending.as_slice() {
                [only] => only.request.clone(),
                // The node says what is wrong with that.
                _ => String::new(),
            });
        };
        let known = self.pending.iter().find(|pending| pending.request.starts_with(&named));
        Ok(known.map_or(named, |pending| pending.request.clone()))
    }

    /// Shows one thing.
    pub(super) fn show(&mut self, shown: &Shown) -> io::Result<()> {
        self.learn(shown);
        self.status();
        match self.mode {
            Mode::Json => self.json(shown),
            Mode::Text => self.text(shown),
        }
    }

    fn learn(&mut self, shown: &Shown) {
        match shown {
            Shown::Attached(attached, _) => self.enter(attached),
            Shown::State(state) => self.state(state),
            // A connection that nothing is heard on may look well for long.
            Shown::Stale | Shown::Lost => self.away = true,
            Shown::Back => self.away = false,
            Shown::Presence(presence) => {
                let id = presence.who.attach_id;
                if presence.joined {
                    self.roster.insert(id, presence.who);
                } else {
                    self.roster.remove(&id);
                }
            }
            Shown::Pending(pending) => self.pending.push(pending.clone()),
            Shown::Resolved(resolved) => self.pending.retain(|p| p.request != resolved.request),
            Shown::Item(StreamItem::Durable(Durable { event: Event::Prompt(prompt), .. })) => {
                self.model.clone_from(&prompt.model);
                self.running = true;
            }
            Shown::Item(StreamItem::Durable(Durable { event: Event::Settled(settled), .. })) => {
                self.running = false;
                let cost = self.cost.0.saturating_add(settled.cost.unwrap_or_default().0);
                self.cost = NanoUsd(cost);
            }
            _ => {}
        }
    }

    fn enter(&mut self, attached: &Attached) {
        if self.session != attached.session {
            self.session = attached.session;
            self.printer = Printer::new(self.mode, self.session);
        }
        self.own = Some(attached.attach_id);
        self.away = false;
        self.role = Some(attached.role_granted);
        self.state(&attached.state);
    }

    fn state(&mut self, state: &State) {
        self.roster = state.roster.iter().map(|who| (who.attach_id, *who)).collect();
        self.pending.clone_from(&state.pending);
        self.model.clone_from(&state.model);
        self.running = state.running;
    }

    fn json(&mut self, shown: &Shown) -> io::Result<()> {
        use jsonl::attach as say;
        let session = self.session;
        let value = match shown {
            Shown::Attached(attached, resumed) => say::attached(attached, *resumed),
            Shown::Item(StreamItem::Durable(durable)) => jsonl::event(session, durable),
            Shown::Item(live) => return jsonl::item(session, live).map_or(Ok(()), |value| line(&value)),
            Shown::Gap(gap) => say::gap(session, gap),
            Shown::Presence(presence) => say::presence(session, presence),
            Shown::Pending(pending) => say::pending(session, pending),
            Shown::Resolved(resolved) => say::resolved(session, resolved),
            Shown::State(state) => say::behind(session, state),
            Shown::Taken(taken) => say::input_taken(session, taken),
            Shown::Done(done) => say::input_done(session, done),
            Shown::Refused(refused) => say::input_refused(session, &refused.input_id, &refused.refusal),
            Shown::Kept(id) => say::input_waits(session, id, true),
            Shown::NotSent(id) => say::input_waits(session, id, false),
            Shown::Stale => say::connection(session, "stale"),
            Shown::Back => say::connection(session, "back"),
            Shown::Lost => say::connection(session, "lost"),
        };
        line(&value)
    }

    fn text(&mut self, shown: &Shown) -> io::Result<()> {
        match shown {
            Shown::Item(item) => return self.item(item),
            Shown::Attached(attached, resumed) => self.greet(attached, *resumed),
            Shown::Gap(gap) => {
                let words = match gap.why {
                    GapWhy::Epoch => "the history was lost in part at the node: it is shown anew".to_owned(),
                    GapWhy::Lost => format!("events {} to {} are lost at the node", gap.from, gap.to),
                };
                self.note(&words);
            }
            Shown::Presence(presence) if self.own != Some(presence.who.attach_id) => {
                let how = if presence.joined { "came" } else { "left" };
                let words = format!("{} {how}", presence.who.principal.short());
                self.note(&words);
            }
            Shown::Pending(pending) => self.ask(pending),
            Shown::Resolved(resolved) => {
                let by = resolved.by.map_or_else(|| "nobody".to_owned(), |by| by.short());
                let answer = if resolved.allowed { "allowed" } else { "denied" };
                let why = resolved.reason.as_deref().unwrap_or_default();
                let words = format!("{} was {answer} by {by} {why}", resolved.request);
                self.note(&words);
            }
            Shown::Refused(refused) => {
                let refusal = &refused.refusal;
                self.note(&refusal.message);
                refusal.hints.iter().for_each(|hint| self.note(hint));
            }
            Shown::Kept(_) => self.note("the node does not answer now: this is sent when it does"),
            Shown::NotSent(_) => self.note("not sent: the node does not answer"),
            Shown::Stale => self.note("nothing heard for 3 s: trying to reach the node"),
            Shown::Back => self.note("it is heard again"),
            Shown::Lost => self.note("the connection is lost: trying to reach the node"),
            Shown::Taken(_) | Shown::Done(_) | Shown::State(_) | Shown::Presence(_) => {}
        }
        Ok(())
    }

    fn greet(&mut self, attached: &Attached, resumed: bool) {
        let role = if attached.role_granted == Role::Type { "typing" } else { "watching" };
        let (id, model) = (attached.session.short(), text::line(&attached.state.model, LINE_CHARS));
        let others = attached.state.attached.saturating_sub(1);
        let words = if resumed {
            "attached again".to_owned()
        } else {
            format!("session {id}, {role}, {others} others, model {model}; /help says what there is")
        };
        self.note(&words);
        let pending = self.pending.clone();
        pending.iter().for_each(|pending| self.ask(pending));
    }

    fn ask(&mut self, pending: &Pending) {
        let words = format!(
            "{} wants to {}: {}  (/approve {} or /deny {})",
            pending.principal.short(),
            pending.tool,
            pending.what,
            pending.request,
            pending.request
        );
        self.note(&words);
    }

    fn item(&mut self, item: &StreamItem) -> io::Result<()> {
        if let StreamItem::Durable(Durable { event: Event::Prompt(prompt), .. }) = item {
            let own = self.typed.iter().position(|id| *id == prompt.prompt_id);
            match own {
                // It stands on the terminal already.
                Some(place) => {
                    drop(self.typed.remove(place));
                    self.printer.end_line()?;
                }
                None => self.said(prompt.principal, &prompt.text)?,
            }
            return Ok(());
        }
        match item {
            StreamItem::Live(DeltaKind::Text, delta) => {
                if self.printed.0 != delta.item {
                    self.printed = (delta.item.clone(), 0);
                }
                if self.printed.1 != delta.offset {
                    // Pieces were missed: the rest is printed when it is whole.
                    return Ok(());
                }
                self.printed.1 += delta.text.len() as u64;
            }
            StreamItem::Durable(Durable { event: Event::Message(message), .. })
                if self.printed.0 == message.item =>
            {
                self.rest(message)?;
            }
            StreamItem::Durable(Durable { event: Event::Settled(settled), .. }) if self.sheet.is_none() => {
                // How it ended, unless well: a tool that was called without a model says only here why it was not run.
                self.put(item)?;
                let why = settled.reason.as_deref().and_then(|reason| reason.lines().next());
                why.into_iter().for_each(|why| self.note(why));
                return Ok(());
            }
            _ => {}
        }
        self.put(item)
    }

    fn put(&mut self, item: &StreamItem) -> io::Result<()> {
        match &mut self.sheet {
            Some(sheet) => {
                sheet.item(item);
                Ok(())
            }
            None => self.printer.item(item),
        }
    }

    /// What was not printed of a message that is whole now.
    fn rest(&mut self, message: &MessageEvent) -> io::Result<()> {
        let (item, offset) = std::mem::take(&mut self.printed);
        let rest = usize::try_from(offset).ok().and_then(|offset| message.text.get(offset..));
        match rest {
            None | Some("") => Ok(()),
            Some(rest) => {
                let delta = Delta { item, offset, text: rest.to_owned() };
                self.put(&StreamItem::Live(DeltaKind::Text, delta))
            }
        }
    }

    /// The last line.
    pub(super) fn detached(&mut self, cursor: Option<(u64, u64)>, args: &AttachArgs) -> io::Result<()> {
        // The terminal is given back first: what is said now is said after it.
        self.sheet = None;
        if self.mode == Mode::Json {
            return line(&jsonl::attach::detached(self.session, cursor));
        }
        let session = self.session.short();
        let words = match cursor {
            Some((epoch, seq)) => {
                let peer = args.remote.as_ref().map(|peer| format!(" --remote {peer}")).unwrap_or_default();
                let role = if args.read_only { " --read-only" } else { "" };
                format!(
                    "detached; come back with: clankers attach {session}{peer}{role} --after {epoch}:{seq}"
                )
            }
            None => "detached".to_owned(),
        };
        self.note(&words);
        Ok(())
    }

    /// Somebody's words.
    fn said(&mut self, principal: NodeId, words: &str) -> io::Result<()> {
        let who = principal.short();
        if let Some(sheet) = &mut self.sheet {
            sheet.said(&who, words);
            return Ok(());
        }
        self.printer.end_line()?;
        let mut lines = words.lines();
        let first = text::line(lines.next().unwrap_or_default(), LINE_CHARS);
        anstream::eprintln!("{who} ❯ {first}");
        lines.for_each(|line| anstream::eprintln!("  {}", Clean::line(line, LINE_CHARS)));
        Ok(())
    }
}
