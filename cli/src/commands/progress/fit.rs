//! A bar and its words on one row of the terminal, whatever its width: a row that breaks is not taken away again.

use clankers_client::transfer::{Phase, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use unicode_width::UnicodeWidthStr;

use super::{
    clock, left, phase_word,
    screen::{MARGIN, columns},
    size,
};

/// How long a bar is: the longest that fits (columns). Few lengths, so that it does not change with every number.
const BARS: [usize; 3] = [24, 16, 8];
/// So much of a name is shown before the bar or the numbers have to give way (columns).
pub(super) const NAME_LEAST: usize = 12;
/// The same of a name with its peer's before it (columns).
pub(super) const LABEL_LEAST: usize = 24;
/// Between a name and the numbers (columns).
const GAP: usize = 2;

/// What stands on the row.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// How long the bar is (columns); without one a spinner turns.
    bar: Option<usize>,
    words: String,
}

/// Draws it; so much of the name is worth more than the bar (columns).
pub(super) fn draw(bar: &ProgressBar, (name, least): (&str, usize), progress: &Progress) {
    let row = row((name, least), progress, progress.rate_bps, columns());
    let template = match row.bar {
        Some(long) => format!("{{bar:{long}.cyan/dim}} {{msg}}"),
        None => "{spinner} {msg}".to_owned(),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.set_length(progress.total.max(1));
    bar.set_position(progress.bytes);
    bar.set_message(row.words);
    bar.tick();
}

/// What fits on a row of so many columns: first the numbers that matter least give way, then the bar, then the name.
fn row((name, least): (&str, usize), progress: &Progress, rate: u64, columns: usize) -> Row {
    // A spinner and its space, at least.
    let room = columns.saturating_sub(MARGIN + 2);
    let (whole, mut chosen) = (name.width(), String::new());
    for numbers in numbers(progress, rate) {
        let fits = numbers.width() + GAP + whole.min(least) <= room;
        chosen = numbers;
        if fits {
            break;
        }
    }
    let left = room.saturating_sub(chosen.width() + GAP);
    let is_moving = matches!(progress.phase, Phase::Running | Phase::Finishing);
    // A bar takes the place of the spinner.
    let beside = |bar: &usize| (left + 1).checked_sub(*bar).is_some_and(|left| left >= whole.min(least));
    let roomy = |bar: &usize| (left + 1).checked_sub(*bar).is_some_and(|left| left >= whole);
    let [.., shortest] = BARS;
    let bar = BARS.into_iter().find(roomy).or(Some(shortest).filter(beside)).filter(|_| is_moving);
    let left = bar.map_or(left, |bar| (left + 1).saturating_sub(bar));
    let words = format!("{}{:GAP$}{chosen}", cut(name, left), "");
    Row { bar, words: cut(words.trim_start(), room) }
}

/// What may be said beside the name, the longest first.
fn numbers(progress: &Progress, rate: u64) -> Vec<String> {
    let done = format!("{} of {}", size(progress.bytes), size(progress.total));
    if progress.phase != Phase::Running {
        let phase = phase_word(progress.phase).to_owned();
        return if progress.total == 0 { vec![phase] } else { vec![format!("{done}  {phase}"), phase] };
    }
    let left = left(progress, rate).map_or_else(|| "-".into(), clock);
    let (files, all, rate) = (progress.files, progress.all_files, size(rate));
    let share = u128::from(progress.bytes) * 100 / u128::from(progress.total.max(1));
    vec![
        format!("{done}  {files}/{all} files  {rate}/s  {left} left"),
        format!("{done}  {rate}/s  {left} left"),
        format!("{share}%  {rate}/s  {left} left"),
        format!("{share}%  {left} left"),
        format!("{share}%"),
    ]
}

/// The beginning that fits in so many columns; what is longer ends in `…`.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let fits = |end: &usize| text.get(..*end).is_some_and(|head| head.width() < columns);
    let end = text.char_indices().map(|(at, _)| at).take_while(fits).last();
    end.and_then(|end| text.get(..end)).map_or_else(String::new, |head| format!("{head}…"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clankers_protocol::Timestamp;

    const MIB: u64 = 1024 * 1024;

    fn running(bytes: u64, total: u64) -> Progress {
        let phase = Phase::Running;
        Progress { phase, bytes, total, files: 0, all_files: 1, ..Progress::default() }
    }

    fn row(name: &str, progress: &Progress, rate: u64, columns: usize) -> Row {
        super::row((name, NAME_LEAST), progress, rate, columns)
    }

    /// Columns of a row as it is drawn.
    fn drawn(row: &Row) -> usize {
        row.bar.unwrap_or(1) + 1 + row.words.width()
    }

    #[test]
    fn a_usual_row_has_everything_in_80_columns() {
        let progress = running(7 * MIB, 60 * MIB);
        let rate = 4 * MIB;
        let words = "film  7.0 MiB of 60.0 MiB  0/1 files  4.0 MiB/s  0:13 left";
        assert_eq!(row("film", &progress, rate, 80), Row { bar: Some(16), words: words.into() });
        assert_eq!(row("film", &progress, rate, 120), Row { bar: Some(24), words: words.into() });
        let long = "the-one-that-was-made-in-summer";
        let words = "the-one-that-…  7.0 MiB of 60.0 MiB  0/1 files  4.0 MiB/s  0:13 left";
        assert_eq!(row(long, &progress, rate, 80), Row { bar: Some(8), words: words.into() });
        let words = "the-one-tha…  11%  4.0 MiB/s  0:13 left";
        assert_eq!(row(long, &progress, rate, 44), Row { bar: None, words: words.into() });
    }

    #[test]
    fn no_row_breaks_whatever_stands_on_it() {
        let names = [
            "a",
            "film",
            &"n".repeat(32),
            &"映".repeat(32),
            &"映画a".repeat(10),
            "e\u{301}e\u{301}e\u{301}e\u{301}",
            "🎬🎬🎬🎬🎬🎬🎬🎬🎬🎬🎬🎬🎬🎬",
            "",
        ];
        let until = Timestamp(0);
        let phases = [
            Phase::Looking,
            Phase::Offering,
            Phase::Waiting { until },
            Phase::Checking,
            Phase::Running,
            Phase::Finishing,
        ];
        let sizes = [(0, 0), (0, 2), (7 * MIB, 60 * MIB), (1023 * MIB, 1023 * MIB), (u64::MAX, 1)];
        let all = |name| phases.iter().flat_map(move |phase| sizes.map(|size| (name, *phase, size)));
        for (name, phase, (bytes, total)) in names.into_iter().flat_map(all) {
            let progress = Progress { phase, files: 999, all_files: 1000, ..running(bytes, total) };
            for columns in 0..200 {
                for rate in [0, 1, 1023 * MIB] {
                    let row = row(name, &progress, rate, columns);
                    assert!(
                        drawn(&row) + MARGIN <= columns.max(MARGIN + 2),
                        "{columns}: {} {row:?}",
                        drawn(&row)
                    );
                    assert!(columns < 40 || row.words.len() > 2, "{columns}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_of_wide_characters_is_cut_by_its_columns() {
        assert_eq!(cut("映画映画", 8), "映画映画");
        assert_eq!(cut("映画映画", 7), "映画映…");
        assert_eq!(cut("映画映画", 6), "映画…");
        assert_eq!(cut("abc", 2), "a…");
        assert_eq!((cut("abc", 1).as_str(), cut("abc", 0).as_str()), ("…", ""));
        let row = row(&"映".repeat(32), &running(7 * MIB, 60 * MIB), 4 * MIB, 80);
        assert!(row.words.starts_with("映映映映映映…  7.0 MiB of"), "{row:?}");
        assert!((74..=77).contains(&drawn(&row)), "{row:?}");
    }

    #[test]
    fn a_label_is_worth_more_than_the_bar() {
        let words = "← f6550866a0: film  7.0 MiB of 60.0 MiB  0/1 files  4.0 MiB/s  0:13 left";
        let label = ("← f6550866a0: film", LABEL_LEAST);
        let row = super::row(label, &running(7 * MIB, 60 * MIB), 4 * MIB, 80);
        assert_eq!(row, Row { bar: None, words: words.into() });
        let row = super::row(label, &running(7 * MIB, 60 * MIB), 4 * MIB, 90);
        assert_eq!(row, Row { bar: Some(8), words: words.into() });
    }

    #[test]
    fn narrow_rows_keep_what_matters() {
        let words = |columns| row("film", &running(7 * MIB, 60 * MIB), 4 * MIB, columns).words;
        assert_eq!(words(62), "film  7.0 MiB of 60.0 MiB  4.0 MiB/s  0:13 left");
        assert_eq!(words(42), "film  11%  4.0 MiB/s  0:13 left");
        assert_eq!(words(26), "film  11%  0:13 left");
        assert_eq!(words(16), "film  11%");
    }
}
