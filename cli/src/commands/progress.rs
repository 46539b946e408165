//! How far a transfer is: a bar on a terminal ([`fit`]), a line each second elsewhere, JSON lines for programs.

mod fit;
mod screen;

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use clankers_client::transfer::{Phase, Progress};
use clankers_protocol::{Timestamp, jsonl::transfer as jsonl, text};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

pub(crate) use clankers_protocol::text::size;

use crate::{error::CliError, output, when};

/// How often a line is printed where there is no terminal (time).
const LINE_EVERY: Duration = Duration::from_secs(1);
/// The same for people while an owner is waited for, which may take a day (time).
const WAITING_EVERY: Duration = Duration::from_secs(60);
/// Characters of a name beside a bar.
const NAME_CHARS: usize = 32;

/// Where progress is shown.
pub(crate) struct Display {
    way: Way,
    printed: Option<Instant>,
    phase: Option<Phase>,
    /// Until when it waits, once that was said.
    waits: Option<Timestamp>,
    /// What may be sent without asking first (bytes), where there is a bound.
    pub(crate) bound: Option<u64>,
    id: String,
    name: String,
}

enum Way {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Display {
    /// For a transfer of this name and id.
    pub(crate) fn new(name: &str, id: &str, json: bool) -> Self {
        let way = if json {
            Way::Json
        } else if std::io::stderr().is_terminal() {
            Way::Bar(ProgressBar::with_draw_target(None, screen::target()))
        } else {
            Way::Lines
        };
        let name = text::line(name, NAME_CHARS);
        let id = id.to_owned();
        Self { way, printed: None, phase: None, waits: None, bound: None, id, name }
    }

    /// Takes in how far it is.
    pub(crate) fn update(&mut self, progress: &Progress) -> Result<(), CliError> {
        let is_new = self.phase.replace(progress.phase) != Some(progress.phase);
        if is_new && let Phase::Waiting { until } = progress.phase {
            self.waiting(until, progress.total)?;
        }
        let every = match (progress.phase, &self.way) {
            (Phase::Waiting { .. }, Way::Lines) => WAITING_EVERY,
            _ => LINE_EVERY,
        };
        let is_due = self.printed.is_none_or(|printed| printed.elapsed() >= every);
        match &self.way {
            Way::Bar(bar) => fit::draw(bar, (&self.name, fit::NAME_LEAST), progress),
            Way::Lines | Way::Json if !is_due => {}
            Way::Lines => {
                self.printed = Some(Instant::now());
                anstream::eprintln!("{}", words(&self.name, progress, progress.rate_bps));
            }
            Way::Json => {
                self.printed = Some(Instant::now());
                output::json(&jsonl::progress(&line(progress, progress.rate_bps)))?;
            }
        }
        Ok(())
    }

    /// It waits for the owner there: said once, not for each connection on which it does.
    fn waiting(&mut self, until: Timestamp, total: u64) -> Result<(), CliError> {
        if self.waits.replace(until) == Some(until) {
            return Ok(());
        }
        if matches!(self.way, Way::Json) {
            output::json(&jsonl::waiting(&self.id, &output::rfc3339(until)))?;
        }
        if let Some(bound) = self.bound.filter(|bound| total > *bound) {
            let (total, bound) = (size(total), size(bound));
            self.say(&format!(
                "! it has {total}, and what you may send there without asking ends at {bound}"
            ));
        }
        self.say(&format!("! it waits for the owner there to accept it, until {}", when::when(until)));
        self.say("  Ctrl-C leaves; the offer stands, and the same command sends what was accepted");
        Ok(())
    }

    /// Prints a line for people beside the bar.
    pub(crate) fn say(&self, line: &str) {
        let line = text::line(line, 500);
        match &self.way {
            Way::Bar(bar) => bar.suspend(|| anstream::eprintln!("{line}")),
            Way::Lines | Way::Json => anstream::eprintln!("{line}"),
        }
    }

    /// The last state, for programs; and the bar goes away.
    pub(crate) fn end(&mut self, progress: &Progress) -> Result<(), CliError> {
        match &self.way {
            Way::Bar(bar) => bar.finish_and_clear(),
            Way::Lines => {}
            Way::Json => {
                output::json(&jsonl::progress(&line(progress, progress.rate_bps)))?;
            }
        }
        Ok(())
    }
}

/// A place for the bars of several transfers, and [`bar`] one of them.
pub(crate) fn bars() -> MultiProgress {
    MultiProgress::with_draw_target(screen::target())
}

/// A bar that is drawn where it is added.
pub(crate) fn bar() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}

/// Draws how far one is beside its peer's and its own name.
pub(crate) fn draw(bar: &ProgressBar, label: &str, progress: &Progress) {
    fit::draw(bar, (label, fit::LABEL_LEAST), progress);
}

fn line(progress: &Progress, rate: u64) -> jsonl::Line {
    jsonl::Line {
        bytes: progress.bytes,
        total: progress.total,
        files: progress.files,
        rate_bps: rate,
        eta_s: left(progress, rate),
    }
}

/// Seconds that are left.
fn left(progress: &Progress, rate: u64) -> Option<u64> {
    let rest = progress.total.saturating_sub(progress.bytes);
    match progress.phase {
        Phase::Finishing if rest > 0 => None,
        Phase::Running | Phase::Finishing => left_of(rest, rate),
        _ => None,
    }
}

/// Seconds that so many bytes take at this rate (bytes in a second).
pub(crate) fn left_of(rest: u64, rate: u64) -> Option<u64> {
    if rest == 0 { Some(0) } else { rest.checked_div(rate) }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Looking => "listing",
        Phase::Offering => "asking",
        Phase::Waiting { .. } => "waiting for the owner there",
        Phase::Checking => "checking what is there",
        Phase::Running => "",
        Phase::Finishing => "finishing",
    }
}

/// A line of how far one is, beside its name.
pub(crate) fn words(name: &str, progress: &Progress, rate: u64) -> String {
    let done = format!("{name}  {} of {}", size(progress.bytes), size(progress.total));
    match progress.phase {
        Phase::Running => {
            let left = left(progress, rate).map_or_else(|| "-".into(), clock);
            let (files, all) = (progress.files, progress.all_files);
            format!("{done}  {files}/{all} files  {}/s  {left} left", size(rate))
        }
        phase if progress.total == 0 => format!("{name}  {}", phase_word(phase)),
        phase => format!("{done}  {}", phase_word(phase)),
    }
}

/// Seconds as people read them: `1:02:03`, `4:05`.
pub(crate) fn clock(secs: u64) -> String {
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_as_people_read_them() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (3_565_158, "3.4 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
        assert_eq!([clock(5), clock(245), clock(3723)], ["0:05", "4:05", "1:02:03"]);
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress {
            phase: Phase::Running,
            bytes: 512 * 1024,
            total: 1024 * 1024,
            files: 1,
            all_files: 2,
            ..Progress::default()
        };
        assert_eq!(words("a", &progress, 1024), "a  512.0 KiB of 1.0 MiB  1/2 files  1.0 KiB/s  8:32 left");
        assert_eq!(words("a", &progress, 0), "a  512.0 KiB of 1.0 MiB  1/2 files  0 B/s  - left");
        let waiting = Phase::Waiting { until: Timestamp(0) };
        assert!(
            words("a", &Progress { phase: waiting, ..progress }, 0).ends_with("waiting for the owner there")
        );
        assert_eq!(line(&progress, 1024).eta_s, Some(512));
        assert_eq!(line(&progress, 0).eta_s, None);
    }
}
