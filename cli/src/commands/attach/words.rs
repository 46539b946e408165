//! What is typed, and what is meant by it.

use std::io::BufRead;

use clankers_auth::vocab;
use clankers_protocol::{
    limits::{HISTORY_EVENTS, PROMPT_BYTES},
    text,
};
use tokio::sync::mpsc;

/// Events of '/older' when nobody says how many (count).
const OLDER_EVENTS: u32 = 20;
/// Characters of a word that is no command, where that is said.
const WORD_CHARS: usize = 40;
/// Lines that were typed and wait to be read (count).
pub(super) const TYPED_LINES: usize = 16;

pub(super) const HELP: &str = "\
type to prompt; a line '/grep TODO src' runs a tool without a model
/who            who is attached
/cancel         cancel the running prompt (Ctrl-C)
/approve [ID]   let a waiting tool call run
/deny [ID]      do not let it run
/older [N]      events before those that were shown
/model [NAME]   the model that answers, or another one for what you type
/detach         leave; what runs goes on (Ctrl-D, or Ctrl-C twice)
a line that begins with another '/word' is not sent, unless a space stands before it";

/// What comes from whoever types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// Ctrl-C, on a terminal that is edited on.
    Interrupt,
    /// Ctrl-D there.
    Leave,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Nothing,
    Help,
    Who,
    Cancel,
    Leave,
    Model(Option<String>),
    /// So many events before those that were shown.
    Older(u32),
    /// An approval, by name or the only one, and the answer.
    Answer(Option<String>, bool),
    /// Anything else is a prompt, direct ones such as `/ls` too.
    Say(String),
}

/// What a line means; else why it means nothing.
pub(super) fn parse(line: &str) -> Result<Word, String> {
    let meant = line.starts_with(char::is_whitespace);
    let line = line.trim();
    if line.len() > PROMPT_BYTES {
        return Err(format!("a line is at most {PROMPT_BYTES} bytes"));
    }
    let mut parts = line.split_whitespace();
    let (head, rest) = (parts.next().unwrap_or_default(), parts.next().map(str::to_owned));
    let more = parts.next().is_some();
    Ok(match head {
        "" => Word::Nothing,
        "/help" | "/?" if rest.is_none() => Word::Help,
        "/who" if rest.is_none() => Word::Who,
        "/cancel" if rest.is_none() => Word::Cancel,
        "/detach" | "/quit" | "/exit" if rest.is_none() => Word::Leave,
        "/older" if !more => Word::Older(number(rest.as_deref())?),
        "/model" if !more => Word::Model(rest),
        "/approve" if !more => Word::Answer(rest, true),
        "/deny" if !more => Word::Answer(rest, false),
        "/help" | "/?" | "/who" | "/cancel" | "/detach" | "/quit" | "/exit" | "/older" | "/model"
        | "/approve" | "/deny" => {
            return Err(format!("'{head}' takes less than that; /help says what there is"));
        }
        // A slip would be paid for as a prompt, and whoever made it would believe to have answered.
        _ if !meant && is_no_command(head) => {
            let word = text::line(head, WORD_CHARS);
            return Err(format!(
                "there is no command {word}; /help lists them; begin with a space to send it as it is"
            ));
        }
        _ => Word::Say(line.to_owned()),
    })
}

/// Whether a first word looks like a command and is none: neither a tool that is called by hand nor a path.
fn is_no_command(head: &str) -> bool {
    let name = head.strip_prefix('/').filter(|name| !name.contains('/'));
    name.is_some_and(|name| !vocab::all_tools().any(|tool| tool == name))
}

/// How many events are meant.
fn number(rest: Option<&str>) -> Result<u32, String> {
    let most = u32::try_from(HISTORY_EVENTS).unwrap_or(u32::MAX);
    match rest.map_or(Ok(OLDER_EVENTS), str::parse) {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("'/older' takes a number from 1 to {most}")),
    }
}

/// The lines of standard input, as they come; none when nothing is to be read.
pub(super) fn lines(none: bool) -> mpsc::Receiver<Typed> {
    let (send, lines) = mpsc::channel(TYPED_LINES);
    if !none {
        // A read from a terminal cannot be taken back: the thread ends with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if send.blocking_send(Typed::Line(line)).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_something() {
        assert_eq!(parse("  "), Ok(Word::Nothing));
        assert_eq!(parse("/grep TODO src"), Ok(Word::Say("/grep TODO src".into())));
        assert_eq!(parse(" hello there "), Ok(Word::Say("hello there".into())));
        assert_eq!(parse("/approve c1"), Ok(Word::Answer(Some("c1".into()), true)));
        assert_eq!(parse("/deny"), Ok(Word::Answer(None, false)));
        assert_eq!(parse("/model openai/gpt"), Ok(Word::Model(Some("openai/gpt".into()))));
        assert_eq!(parse("/older 5"), Ok(Word::Older(5)));
        for bad in ["/older 0", "/older 1001", "/older x", "/cancel it all", "/approve a b", "/who is that"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"x".repeat(PROMPT_BYTES + 1)).is_err());
    }

    #[test]
    fn a_slip_is_no_prompt() {
        for slip in ["/appr", "/approv c1", "/nonsense", "/Approve", "/", "/greppy TODO", "/* so"] {
            let why = parse(slip).unwrap_err();
            let head = slip.split(' ').next().unwrap();
            assert!(why.starts_with(&format!("there is no command {head}; /help lists them; ")), "{why}");
            assert!(why.ends_with("begin with a space to send it as it is"), "{why}");
            // On purpose it is one, without what made it one.
            assert_eq!(parse(&format!(" {slip}")), Ok(Word::Say(slip.into())));
        }
        assert!(parse(&format!("/{}", "x".repeat(500))).unwrap_err().len() < 150);
        for path in ["/etc/hosts is what?", "/tmp/", "//", "//host/share", "a /appr"] {
            assert_eq!(parse(path), Ok(Word::Say(path.into())));
        }
        // A space before a command does not make a prompt of it.
        assert_eq!(parse(" /approve"), Ok(Word::Answer(None, true)));
    }

    #[test]
    fn every_tool_can_be_called_by_hand() {
        for spec in clankers_tools::specs() {
            let line = format!("/{} a b", spec.name);
            assert_eq!(parse(&line), Ok(Word::Say(line.clone())));
        }
    }
}
