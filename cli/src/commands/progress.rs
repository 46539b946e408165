//! How far a transfer is: a bar on a terminal ([`fit`]), a line each second elsewhere, JSON lines for programs.

mod fit;

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use clankers_client::transfer::{Phase, Progress};
use clankers_protocol::{Timestamp, jsonl::transfer as jsonl, text};
use indicatif::{ProgressBar, ProgressDrawTarget};

pub(crate) use clankers_protocol::text::size;

use crate::{error::CliError, output, when};

/// How far back the rate looks (time).
const WINDOW: Duration = Duration::from_secs(5);
/// How often a line is printed where there is no terminal (time).
const LINE_EVERY: Duration = Duration::from_secs(1);
/// The same for people while an owner is waited for, which may take a day (time).
const WAITING_EVERY: Duration = Duration::from_secs(60);
/// Bars are drawn so often (Hz).
const DRAWS: u8 = 10;
/// Characters of a name beside a bar.
const NAME_CHARS: usize = 32;

/// Bytes per second of late, from how many there were at what time.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    seen: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Notes how many bytes there are `at` this time since the beginning.
    pub(crate) fn note(&mut self, at: Duration, bytes: u64) {
        if self.seen.back().is_some_and(|(_, before)| bytes < *before) {
            self.seen.clear();
        }
        // Two for each second that is looked at.
        if self.seen.back().is_none_or(|(before, _)| at.saturating_sub(*before) >= WINDOW / 10) {
            self.seen.push_back((at, bytes));
        } else if let Some(last) = self.seen.back_mut() {
            last.1 = bytes;
        }
        while self.seen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Bytes per second, from the first that is remembered to `at`.
    pub(crate) fn per_second(&self, at: Duration) -> u64 {
        let (Some((from, first)), Some((_, last))) = (self.seen.front(), self.seen.back()) else { return 0 };
        let millis = at.saturating_sub(*from).as_millis();
        if millis < 100 {
            return 0;
        }
        u64::try_from(u128::from(last.saturating_sub(*first)) * 1000 / millis).unwrap_or(u64::MAX)
    }
}

/// How fast a transfer is.
#[derive(Debug, Default)]
struct Speed {
    /// By what comes: on a slow link a block takes longer than is looked back.
    came: Rate,
    /// By what is there: blocks that are there already do not come.
    there: Rate,
}

impl Speed {
    fn note(&mut self, at: Duration, progress: &Progress) {
        self.came.note(at, progress.arrived);
        self.there.note(at, progress.bytes);
    }

    fn per_second(&self, at: Duration) -> u64 {
        match self.came.per_second(at) {
            0 => self.there.per_second(at),
            rate => rate,
        }
    }
}

/// Where progress is shown.
pub(crate) struct Display {
    way: Way,
    begun: Instant,
    printed: Option<Instant>,
    rate: Speed,
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
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWS));
            Way::Bar(bar)
        } else {
            Way::Lines
        };
        let name = text::line(name, NAME_CHARS);
        let (rate, id) = (Speed::default(), id.to_owned());
        Self {
            way,
            begun: Instant::now(),
            printed: None,
            rate,
            phase: None,
            waits: None,
            bound: None,
            id,
            name,
        }
    }

    /// Takes in how far it is.
    pub(crate) fn update(&mut self, progress: &Progress) -> Result<(), CliError> {
        let at = self.begun.elapsed();
        if matches!(progress.phase, Phase::Running | Phase::Finishing) {
            self.rate.note(at, progress);
        }
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
            Way::Bar(bar) => fit::draw(bar, &self.name, progress, self.rate.per_second(at)),
            Way::Lines | Way::Json if !is_due => {}
            Way::Lines => {
                self.printed = Some(Instant::now());
                anstream::eprintln!("{}", words(&self.name, progress, self.rate.per_second(at)));
            }
            Way::Json => {
                self.printed = Some(Instant::now());
                output::json(&jsonl::progress(&line(progress, self.rate.per_second(at))))?;
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
                output::json(&jsonl::progress(&line(progress, self.rate.per_second(self.begun.elapsed()))))?;
            }
        }
        Ok(())
    }
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
        Phase::Running | Phase::Finishing if rest == 0 => Some(0),
        Phase::Running => rest.checked_div(rate),
        _ => None,
    }
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

fn words(name: &str, progress: &Progress, rate: u64) -> String {
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
fn clock(secs: u64) -> String {
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
    fn the_rate_is_of_late_and_forgets_what_was_there_before() {
        let mut rate = Rate::default();
        let at = Duration::from_millis;
        rate.note(at(0), 1_000_000);
        assert_eq!(rate.per_second(at(0)), 0, "what was there before is no speed");
        for tick in 1..=100 {
            rate.note(at(tick * 100), 1_000_000 + tick * 1_000);
        }
        assert!((9_000..=11_000).contains(&rate.per_second(at(10_000))), "{}", rate.per_second(at(10_000)));
        assert!(rate.seen.len() <= 12);
        // Nothing comes any more: it falls to nothing.
        rate.note(at(20_000), 1_100_000);
        assert_eq!(rate.per_second(at(26_000)), 0);
        rate.note(at(26_000), 5);
        assert_eq!(rate.per_second(at(26_000)), 0, "it began anew");
    }

    #[test]
    fn the_rate_does_not_fall_to_nothing_between_two_blocks_of_a_slow_link() {
        // 1 Mbit/s: a block takes eight seconds, and each side hears once in a second what has come.
        let (mut speed, link) = (Speed::default(), 131_072);
        for second in 0..60 {
            let arrived = second * link;
            let bytes = arrived / (1024 * 1024) * 1024 * 1024;
            let at = Duration::from_secs(second);
            speed.note(at, &Progress { arrived, bytes, ..Progress::default() });
            let rate = speed.per_second(at);
            assert!(second < 2 || (link * 9 / 10..=link * 11 / 10).contains(&rate), "{second}: {rate}");
        }
        // What is there and does not travel counts where nothing else does.
        let mut speed = Speed::default();
        for second in 0..9 {
            let at = Duration::from_secs(second);
            speed.note(at, &Progress { bytes: second << 20, ..Progress::default() });
            assert!(second < 2 || speed.per_second(at) > 1 << 19, "{second}");
        }
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
