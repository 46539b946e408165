//! The line at the bottom of a terminal: edited while text appears above it, with a history of what was typed here.
//!
//! The editor has a thread of its own, since it reads the terminal for as long as nothing is typed. What it changed of
//! the terminal is put back when [`Editor`] is dropped, whatever the thread is at.

use std::{
    borrow::Cow,
    io::{IsTerminal, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::termios::{self, OptionalActions, Termios};
use rustyline::{
    ColorMode, Config, ExternalPrinter, Helper, completion::Completer, error::ReadlineError,
    highlight::Highlighter, hint::Hinter, history::FileHistory, validate::Validator,
};
use tokio::sync::mpsc;

use super::words::{TYPED_LINES, Typed};

/// Lines of history that are kept (count).
const HISTORY_LINES: usize = 1_000;
/// The longest line that goes into the history (bytes).
const HISTORY_LINE_BYTES: usize = 4 * 1024;
/// The widest status line (characters).
const STATUS_CHARS: usize = 100;
/// The narrowest terminal that is edited on (columns).
const COLUMNS_MIN: usize = 20;
/// The width when the terminal does not say (columns).
const COLUMNS: usize = 80;

/// Pieces of the transcript that wait to be printed (count).
const PRINTED_LINES: usize = 256;
/// How long the last of them may take (time).
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long they take to be drawn (time).
const LAST_DRAWN: Duration = Duration::from_millis(30);

/// What stands above the line that is edited.
type Status = Arc<Mutex<String>>;

/// A terminal that is typed on.
pub(super) struct Editor {
    /// Whole lines, on their way to the thread that puts them above the edited one: it may have to wait for the
    /// editor, which may wait for its lines to be taken.
    lines: Option<std::sync::mpsc::SyncSender<String>>,
    printed: std::sync::mpsc::Receiver<()>,
    status: Status,
    before: Termios,
    /// Whether it may be coloured.
    pub(super) colour: bool,
}

impl Editor {
    /// Takes the terminal, if it is one that can do that; what is typed comes through the channel.
    pub(super) fn start(history: PathBuf) -> Option<(Self, mpsc::Receiver<Typed>)> {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        if !input.is_terminal() || !output.is_terminal() || columns() < COLUMNS_MIN {
            return None;
        }
        let before = termios::tcgetattr(&input).ok()?;
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .ok()?
            // The status line goes through the highlighter also when it has no colour.
            .color_mode(ColorMode::Forced)
            .build();
        let mut editor = rustyline::Editor::<Face, FileHistory>::with_config(config).ok()?;
        let mut printer = editor.create_external_printer().ok()?;
        let (lines, to_print) = std::sync::mpsc::sync_channel::<String>(PRINTED_LINES);
        let (done, printed) = std::sync::mpsc::sync_channel(1);
        // A history that cannot be read is begun anew.
        let _none = editor.load_history(&history);
        let status = Status::default();
        editor.set_helper(Some(Face { status: Arc::clone(&status), colour }));
        let (send, typed) = mpsc::channel(TYPED_LINES);
        let shown = Arc::clone(&status);
        std::thread::spawn(move || {
            // The terminal may be gone; the session goes on.
            to_print.iter().for_each(|lines| drop(printer.print(lines)));
            let _gone = done.send(());
        });
        std::thread::spawn(move || read(editor, &shown, &history, &send));
        Some((Self { lines: Some(lines), printed, status, before, colour }, typed))
    }

    /// Prints whole lines above the one that is edited.
    pub(super) fn print(&mut self, lines: String) {
        if let Some(printer) = &self.lines {
            let _gone = printer.send(lines);
        }
    }

    /// Draws the status line anew. What is printed has to end a line, so that is taken back first.
    pub(super) fn refresh(&mut self) {
        self.print("\x1b[A\n".to_owned());
    }

    /// What stands above the line from the next change on.
    pub(super) fn status(&self, words: &str) {
        words.clone_into(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.lines = None;
        let _late = self.printed.recv_timeout(LAST_LINES);
        // The editor draws what it was handed without telling when it has.
        std::thread::sleep(LAST_DRAWN);
        let mut out = std::io::stdout();
        // The thread may be in the midst of a line: out of its way, and no longer raw.
        let _gone = out.write_all(b"\r\n\x1b[J\x1b[?2004l").and_then(|()| out.flush());
        let _gone = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Columns of the terminal.
pub(super) fn columns() -> usize {
    let size = termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if size == 0 { COLUMNS } else { size }
}

fn read(
    mut editor: rustyline::Editor<Face, FileHistory>,
    status: &Status,
    history: &std::path::Path,
    send: &mpsc::Sender<Typed>,
) {
    loop {
        let words = status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let width = STATUS_CHARS.min(columns().saturating_sub(1));
        let prompt = format!("{}\n> ", fitted(&words, width));
        let typed = match editor.readline(&prompt) {
            Ok(line) => {
                if !line.trim().is_empty()
                    && line.len() <= HISTORY_LINE_BYTES
                    && editor.add_history_entry(line.as_str()).unwrap_or(false)
                {
                    // Typing works without a history as well.
                    let _kept = editor.append_history(history);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(ReadlineError::Eof) => Typed::Leave,
            // A byte that is no text, a signal: the line is begun anew.
            Err(ReadlineError::Signal(_)) => continue,
            Err(error) => {
                tracing::debug!(%error, "the terminal cannot be read");
                Typed::Leave
            }
        };
        let over = matches!(typed, Typed::Leave);
        if send.blocking_send(typed).is_err() || over {
            return;
        }
    }
}

/// Exactly so many characters.
fn fitted(words: &str, width: usize) -> String {
    format!("{:<width$}", clankers_protocol::text::line(words, width))
}

/// The status line as it is now, in place of the one that the prompt began with.
struct Face {
    status: Status,
    colour: bool,
}

impl Completer for Face {
    type Candidate = String;
}

impl Hinter for Face {
    type Hint = String;
}

impl Validator for Face {}

impl Helper for Face {}

impl Highlighter for Face {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        let Some((old, rest)) = prompt.split_once('\n').filter(|_| default) else {
            return Cow::Borrowed(prompt);
        };
        let words = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fitted(&words, old.chars().count());
        Cow::Owned(if self.colour {
            format!("\x1b[2m{now}\x1b[0m\n{rest}")
        } else {
            format!("{now}\n{rest}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_keeps_its_width_and_carries_no_escape() {
        assert_eq!(fitted("ab", 5), "ab   ");
        assert_eq!(fitted("abcdef", 4), "abc…");
        let status = Status::default();
        "a\x1b[2Jb".clone_into(&mut status.lock().unwrap());
        let mut face = Face { status, colour: false };
        let prompt = format!("{}\n> ", fitted("old words", 12));
        assert_eq!(face.highlight_prompt(&prompt, true), "a\u{fffd}[2Jb      \n> ");
        face.colour = true;
        assert!(face.highlight_prompt(&prompt, true).contains("\x1b[2ma\u{fffd}[2Jb"));
    }
}
