//! `rpc transfers list --watch`: how far all are that run, at either end, and how each ends.

mod looks;

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use clankers_client::transfer::{Phase, Progress};
use clankers_protocol::{Timestamp, jsonl::transfer as jsonl, refusal::ExitKind, text};
use indicatif::{MultiProgress, ProgressBar};
use serde_json::{Value, json};

use self::looks::{Looks, News, Which, which};
use super::{Line, lines};
use crate::{
    commands::progress::{self, size},
    error::{CliError, Outcome},
    local::{Local, Machine},
    output,
    signals::Interrupts,
};

/// How often the transfers are looked at (time).
const LOOK: Duration = Duration::from_secs(1);
/// How long the node may take to answer a look (time): one that was killed says nothing, and the next look is near.
const ANSWER: Duration = Duration::from_secs(3);
/// Characters of a name beside its numbers.
const NAME_CHARS: usize = 32;
/// Characters of a peer's name.
const PEER_CHARS: usize = 24;
/// Characters of why one ended.
const ERROR_CHARS: usize = 300;

/// Watches all of them until Ctrl-C, or one until its end.
pub(super) async fn run(machine: &Machine, id: Option<&str>, json: bool) -> Outcome {
    let mut interrupts = Interrupts::new().map_err(CliError::machine)?;
    let began = clankers_node::clock::now();
    let local = machine.node_or_hall().await?;
    let first = lines(machine, Some((&local.client, super::REPLY))).await;
    // A hall in this process would keep a node from starting here for as long as somebody watches.
    let mut node = if local.in_process() {
        local.close().await;
        None
    } else {
        Some(local)
    };
    let done = match first {
        Ok(first) => watch(machine, &mut node, (first, began), id, (&mut interrupts, json)).await,
        Err(error) => Err(error),
    };
    if let Some(node) = node {
        node.close().await;
    }
    done
}

async fn watch(
    machine: &Machine,
    node: &mut Option<Local>,
    (first, began): (Vec<Line>, Timestamp),
    id: Option<&str>,
    (interrupts, json): (&mut Interrupts, bool),
) -> Outcome {
    let only = id.map(|id| named(&first, id)).transpose()?;
    let mut looks = Looks::new(only, began);
    let mut show = Show::new(json);
    let (mut found, mut asked) = (first, true);
    let mut is_first = !json && id.is_none();
    loop {
        let news = looks.take(found, asked);
        show.take(&news)?;
        if std::mem::take(&mut is_first) && news.is_empty() {
            anstream::eprintln!("nothing is on its way now; what begins is shown, until Ctrl-C");
        }
        if let Some(end) = looks.end(&news, Instant::now()) {
            drop(show);
            return ended(&end);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = output::reader_gone() => return Err(CliError::unread()),
            () = interrupts.next() => return Err(CliError::said(ExitKind::Interrupted)),
        }
        (found, asked) = tokio::select! {
            found = look(machine, node) => found?,
            () = output::reader_gone() => return Err(CliError::unread()),
            () = interrupts.next() => return Err(CliError::said(ExitKind::Interrupted)),
        };
    }
}

/// How all are now, and whether the node was asked. One that has gone is said to have, and what is on the disk is looked
/// at until it is back: it goes on then with what it sends by itself.
async fn look(machine: &Machine, node: &mut Option<Local>) -> Result<(Vec<Line>, bool), CliError> {
    if node.is_none() {
        *node = match machine.node().await {
            Ok(back) => Some(back),
            // It may be about to start, too.
            Err(error) if is_away(&error) => None,
            Err(error) => return Err(error),
        };
    }
    if let Some(local) = node {
        match lines(machine, Some((&local.client, ANSWER))).await {
            Err(error) if is_away(&error) => {
                anstream::eprintln!("! this machine's node has gone; it is asked again when it is back");
            }
            found => return Ok((found?, true)),
        }
    }
    if let Some(gone) = node.take() {
        gone.close().await;
    }
    Ok((lines(machine, None).await?, false))
}

/// It stopped, was killed, or starts.
fn is_away(error: &CliError) -> bool {
    matches!(error.kind, ExitKind::Unreachable | ExitKind::Timeout)
}

/// The one whose id begins so. Of several with one id it is that which was begun here.
fn named(lines: &[Line], id: &str) -> Result<Which, CliError> {
    let shown = text::line(id, 40);
    let fits = || lines.iter().filter(|line| !id.is_empty() && line.id.starts_with(id));
    let found = fits().find(|line| line.own).or_else(|| fits().next());
    match found {
        Some(found) if fits().all(|line| line.id == found.id) => Ok(which(found)),
        Some(_) => {
            Err(CliError::usage(format!("several transfers begin with '{shown}'"))
                .hint("write more of the id"))
        }
        _ => Err(CliError::new(ExitKind::NotFound, format!("no transfer '{shown}' is here"))
            .hint("'clankers rpc transfers list' shows them")),
    }
}

/// What whoever waited for one is told by the exit code; how it ended was printed.
fn ended(end: &News) -> Outcome {
    let (News::Runs(line) | News::Rests(line) | News::Ended(line) | News::Gone(line)) = end;
    let short = text::head(&line.id, 10);
    match end {
        News::Ended(line) if line.state == "done" => Ok(()),
        News::Ended(line) => {
            let why = line.error.as_deref().map(|why| format!(": {}", text::line(why, ERROR_CHARS)));
            let words = format!("{short} ended, and is not whole: {}{}", line.state, why.unwrap_or_default());
            Err(CliError::new(ExitKind::Failed, words))
        }
        News::Gone(_) => {
            let words = format!("{short} is not listed here any more: somebody forgot it, or turned it down");
            Err(CliError::new(ExitKind::NotFound, words))
        }
        News::Runs(_) | News::Rests(_) => {
            let words = format!("{short} broke off, and nobody has gone on with it since");
            let hint = match line.direction {
                "receive" => "its sender goes on with: clankers rpc transfers resume",
                _ => "go on with: clankers rpc transfers resume",
            };
            Err(CliError::new(ExitKind::Unreachable, words).hint(format!("{hint} {short}")))
        }
    }
}

/// Where it is shown: bars on a terminal, a line a second elsewhere, JSON lines for programs.
enum Show {
    Bars(MultiProgress, BTreeMap<Which, ProgressBar>),
    Lines,
    Json,
}

impl Show {
    fn new(json: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        match (json, is_terminal) {
            (true, _) => Self::Json,
            (false, true) => Self::Bars(progress::bars(), BTreeMap::new()),
            (false, false) => Self::Lines,
        }
    }

    fn take(&mut self, news: &[News]) -> Outcome {
        for one in news {
            match (&mut *self, one) {
                (Self::Json, one) => {
                    if let News::Ended(Line { receipt: Some(receipt), .. }) = one {
                        output::json(&signed(receipt))?;
                    }
                    output::json(&value(one))?;
                }
                (Self::Lines, one) => output::lines([words(one).as_str()])?,
                (Self::Bars(bars, shown), News::Runs(line)) => {
                    let bar = shown.entry(which(line));
                    let bar = bar.or_insert_with(|| bars.add(progress::bar()));
                    progress::draw(bar, &label(line), &far(line));
                }
                (Self::Bars(bars, shown), News::Rests(line) | News::Ended(line) | News::Gone(line)) => {
                    if let Some(bar) = shown.remove(&which(line)) {
                        bar.finish_and_clear();
                        bars.remove(&bar);
                    }
                    let words = words(one);
                    bars.suspend(|| output::lines([words.as_str()]))?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Self::Bars(bars, _) = self {
            // What stays on the screen is what has happened.
            let _gone = bars.clear();
        }
    }
}

/// Which way, whose and what, in few characters.
fn label(line: &Line) -> String {
    let way = if line.direction == "send" { "→" } else { "←" };
    format!("{way} {}: {}", text::line(&line.peer, PEER_CHARS), text::line(&line.name, NAME_CHARS))
}

fn far(line: &Line) -> Progress {
    Progress {
        phase: if line.total > 0 { Phase::Running } else { Phase::Offering },
        bytes: line.bytes,
        total: line.total,
        files: line.files_done,
        all_files: line.files,
        rate_bps: line.rate.unwrap_or_default(),
        ..Progress::default()
    }
}

fn words(news: &News) -> String {
    let (News::Runs(line) | News::Rests(line) | News::Ended(line) | News::Gone(line)) = news;
    let who = format!("{}  {}", text::head(&line.id, 10), label(line));
    let state = match &line.error {
        Some(error) => format!("{}: {}", line.state, text::line(error, ERROR_CHARS)),
        None => line.state.to_owned(),
    };
    match news {
        News::Runs(line) => progress::words(&who, &far(line), line.rate.unwrap_or_default()),
        News::Rests(_) => format!("! {who}  {state}"),
        News::Ended(line) if line.state == "done" => {
            let files = if line.files == 1 { "1 file".to_owned() } else { format!("{} files", line.files) };
            format!("✓ {who}  done: {files}, {}", size(line.total))
        }
        News::Ended(_) => format!("✗ {who}  {state}"),
        News::Gone(_) => format!("✗ {who}  is not listed any more"),
    }
}

/// What was signed for, as the line that whoever sent or got it has seen.
fn signed(receipt: &Value) -> Value {
    let number = |key: &str| receipt.get(key).and_then(Value::as_u64).unwrap_or_default();
    let word = |key: &str| receipt.get(key).and_then(Value::as_str).unwrap_or_default();
    jsonl::receipt(&jsonl::Receipt {
        files: number("files"),
        bytes: number("bytes"),
        sent_bytes: number("sent_bytes"),
        root: word("root"),
        name: word("name"),
    })
}

fn value(news: &News) -> Value {
    let mut value = match news {
        News::Runs(line) | News::Rests(line) => jsonl::progress(&jsonl::Line {
            bytes: line.bytes,
            total: line.total,
            files: line.files_done,
            rate_bps: line.rate.unwrap_or_default(),
            eta_s: line.left(),
        }),
        News::Ended(line) | News::Gone(line) => {
            let receipt = line.receipt.as_ref().map(|receipt| {
                let mut receipt = signed(receipt);
                receipt.as_object_mut().map(|fields| fields.remove("type"));
                receipt
            });
            json!({"type": "end", "name": line.name, "error": line.error, "receipt": receipt})
        }
    };
    let (News::Runs(line) | News::Rests(line) | News::Ended(line) | News::Gone(line)) = news;
    if let Some(object) = value.as_object_mut() {
        let state = if matches!(news, News::Gone(_)) { "gone" } else { line.state };
        object.insert("id".into(), line.id.clone().into());
        object.insert("direction".into(), line.direction.into());
        object.insert("peer".into(), line.peer.clone().into());
        object.insert("state".into(), state.into());
    }
    value
}
