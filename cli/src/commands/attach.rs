//! `attach`: watch a session, and type into it, from anywhere.
//!
//! - [`way`]: how the node is reached, again and again
//! - [`pick`]: which session
//! - [`words`]: what is typed, as what is meant
//! - [`view`]: what is shown; [`older`]: what came before
//! - [`editor`], [`sheet`], [`markdown`]: the same on a terminal that is typed on while it prints

mod editor;
mod markdown;
mod older;
mod pick;
mod sheet;
mod view;
pub(super) mod way;
mod words;

use std::{io::IsTerminal, path::PathBuf};

use clankers_client::{AttachStream, Ended, Failure, Wish};
use clankers_node::store::Home;
use clankers_protocol::{
    PromptId,
    attach::{FromViewer, Shown},
    event::{Durable, Event, StreamItem},
    message::Ext,
    refusal::ExitKind,
    request::{
        attach::{Answer, AttachCancel, Detach, From, Input, Role, Unattended},
        prompt::When,
    },
};
use tokio::sync::mpsc;

use self::{
    editor::Editor,
    sheet::Sheet,
    view::View,
    way::Road,
    words::{Typed, Word},
};
use crate::{
    args::{AttachArgs, Mode},
    error::{CliError, Outcome},
    local::{Machine, random},
};

/// File of the home with what was typed at its terminals.
const HISTORY: &str = "attach_history";

/// Whether somebody sits here.
pub(crate) fn at_a_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// `clankers` alone, on a terminal: the node, started if need be, and a session of it.
pub(crate) async fn bare(home: Home) -> Outcome {
    Box::pin(run(home, AttachArgs { auto_daemon: true, ..AttachArgs::default() })).await
}

pub(crate) async fn run(home: Home, args: AttachArgs) -> Outcome {
    let machine = Machine::open(&home)?;
    if args.auto_daemon && machine.running()?.is_none() {
        super::daemon::start_beside(&home)?;
    }
    let history = home.root().join(HISTORY);
    let road = Road::new(machine, args.remote.clone());
    let session = pick::session(&road, &args).await?;
    if let Some(before) = args.before {
        let done = older::print(&road, &session, before, &args).await;
        return if args.remote.is_some() { done.map_err(|error| error.about(&road.machine)) } else { done };
    }
    let from = match (args.after, args.tail) {
        (Some((epoch, seq)), _) => From::After { epoch, seq },
        (None, Some(count)) => From::Tail(count),
        (None, None) => From::Begin,
    };
    let role = if args.read_only { Role::View } else { Role::Type };
    let mut stream = AttachStream::open(road, Wish { session: Some(session), role, from });
    let done = follow(&mut stream, &args, history).await;
    let about = |error: CliError| error.about(&stream.way().machine);
    let done = if args.remote.is_some() { done.map_err(about) } else { done };
    stream.close().await;
    done
}

/// What the person at the keyboard has at hand.
struct Desk {
    view: View,
    /// What is typed, as it comes.
    typed: mpsc::Receiver<Typed>,
    /// Seq of the oldest event that was shown.
    oldest: u64,
    /// The model that was asked for by `/model`.
    model: Option<String>,
    /// A cancellation was asked for, and nothing was said since: the next Ctrl-C leaves.
    interrupted: bool,
}

impl Desk {
    /// On a terminal that can do it the line is edited while text appears above it; else lines are read as they are.
    fn new(args: &AttachArgs, history: PathBuf) -> Self {
        let edited = if args.mode == Mode::Text { Editor::start(history) } else { None };
        let (sheet, typed) = match edited {
            Some((editor, typed)) => (Some(Sheet::new(editor)), typed),
            None => (None, words::lines(args.read_only && !std::io::stdin().is_terminal())),
        };
        Self { view: View::new(args.mode, sheet), typed, oldest: 1, model: None, interrupted: false }
    }

    fn show(&mut self, shown: &Shown, args: &AttachArgs) -> Outcome {
        match shown {
            Shown::Attached(attached, false) => {
                self.oldest = attached.first_seq;
                if !args.read_only {
                    self.view.granted(shown);
                }
            }
            Shown::Item(StreamItem::Durable(Durable { event: Event::Settled(_), .. })) => {
                self.interrupted = false
            }
            _ => {}
        }
        Ok(self.view.show(shown)?)
    }
}

async fn follow(stream: &mut AttachStream<Road>, args: &AttachArgs, history: PathBuf) -> Outcome {
    let mut signals = crate::signals::StopSignals::new()?;
    let mut desk = Desk::new(args, history);
    // What is typed before the session is there waits in the pipe.
    let (mut typing, mut entered) = (true, false);
    loop {
        desk.view.reached(&stream.way().peer_name(), &stream.way().look());
        let typed = tokio::select! {
            shown = stream.next() => match shown {
                Ok(shown) => {
                    entered |= matches!(&shown, Shown::Attached(..));
                    desk.show(&shown, args)?;
                    continue;
                }
                Err(end) => return ended(&mut desk.view, stream, args, end),
            },
            typed = desk.typed.recv(), if typing && entered => typed,
            signal = signals.next() => match signal {
                "SIGINT" => Some(Typed::Interrupt),
                // Whoever sent it does not wait for a goodbye; the terminal is given back.
                _ => return desk.view.detached(stream.cursor().place(), args).map_err(CliError::from)
                    .and(Err(CliError::said(ExitKind::Interrupted))),
            },
        };
        match typed {
            Some(Typed::Line(line)) => say(stream, &mut desk, &line, args).await?,
            Some(Typed::Leave) => stream.say(goodbye()),
            // Ctrl-D on a terminal leaves; the end of a file does not.
            None if std::io::stdin().is_terminal() && !args.read_only => stream.say(goodbye()),
            None => {
                typing = false;
                // It may watch on, but nobody is here who could answer what is asked.
                stream.say(FromViewer::Unattended(Unattended { ext: Ext::default() }));
            }
            Some(Typed::Interrupt) if desk.interrupted || args.read_only || !stream.is_attached() => {
                stream.say(goodbye());
            }
            Some(Typed::Interrupt) => {
                desk.interrupted = true;
                stream.say(cancel()?);
                desk.view.note(match desk.view.is_running() {
                    true => "cancelling; Ctrl-C again leaves, and what runs goes on",
                    false => "nothing runs; Ctrl-C again leaves",
                });
            }
        }
    }
}

fn goodbye() -> FromViewer {
    FromViewer::Detach(Detach { ext: Ext::default() })
}

fn fresh_id() -> Result<PromptId, CliError> {
    Ok(PromptId::from_random(random()?))
}

fn cancel() -> Result<FromViewer, CliError> {
    Ok(FromViewer::Cancel(AttachCancel { input_id: fresh_id()?, prompt_id: None, ext: Ext::default() }))
}

async fn say(stream: &mut AttachStream<Road>, desk: &mut Desk, line: &str, args: &AttachArgs) -> Outcome {
    desk.interrupted = false;
    let word = match words::parse(line) {
        Ok(word) => word,
        Err(why) => {
            desk.view.note(&why);
            return Ok(());
        }
    };
    if args.read_only
        && !matches!(word, Word::Nothing | Word::Help | Word::Who | Word::Older(_) | Word::Leave)
    {
        desk.view.note("attached read-only: attach without --read-only to type");
        return Ok(());
    }
    match word {
        Word::Nothing => {}
        Word::Help => desk.view.note(words::HELP),
        Word::Who => desk.view.who(),
        Word::Leave => stream.say(goodbye()),
        Word::Cancel => stream.say(cancel()?),
        Word::Older(count) => {
            desk.oldest = older::show(stream.way(), &mut desk.view, desk.oldest, count).await?;
        }
        Word::Model(None) => desk.view.model(desk.model.as_deref()),
        Word::Model(Some(name)) => {
            // No request asks a node for its models: the one that the next prompt is for is looked for then.
            desk.view.note(&format!(
                "what you type from now on is for {name}; whether the node has it shows with your next prompt"
            ));
            desk.model = Some(name);
        }
        Word::Answer(request, allow) => {
            let request = desk.view.request(request)?;
            let input_id = fresh_id()?;
            stream.say(FromViewer::Answer(Answer { input_id, request, allow, ext: Ext::default() }));
        }
        Word::Say(text) => {
            let (input_id, model) = (fresh_id()?, desk.model.clone());
            desk.view.typed(&input_id);
            let when = When::Queue;
            stream.say(FromViewer::Input(Input { input_id, text, when, model, ext: Ext::default() }));
        }
    }
    Ok(())
}

fn ended(view: &mut View, stream: &AttachStream<Road>, args: &AttachArgs, end: Ended<CliError>) -> Outcome {
    match end {
        Ended::Detached => Ok(view.detached(stream.cursor().place(), args)?),
        Ended::Refused(refusal) => Err(clankers_client::ClientError::Refused(refusal).into()),
        Ended::Unreachable(Some(Failure::Reach(error))) => Err(error),
        Ended::Unreachable(Some(Failure::Broke(error))) => Err(error.into()),
        Ended::Unreachable(None) => {
            Err(CliError::new(ExitKind::Unreachable, "the node cannot be reached any more"))
        }
    }
}
