//! What was measured, as a table and as JSON.

use clankers_tests::{load, stats::Samples};
use serde_json::{Value, json};

/// Which number is held against the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Ours over the baseline's, medians.
    Ratio,
    /// Our median.
    P50,
    /// Our 99th percentile.
    P99,
    /// Nothing: it is shown for comparison.
    Nothing,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) figure: String,
    /// Of all times and sizes in the row.
    pub(crate) unit: &'static str,
    /// Ours.
    pub(crate) ours: Samples,
    /// What it is compared with, the one that counts first.
    pub(crate) baselines: Vec<(String, Samples)>,
    /// What is held against the bar.
    pub(crate) judge: Judge,
    /// What must hold: at most this.
    pub(crate) goal: f64,
    /// What we brag with: at most this.
    pub(crate) reach: f64,
}

impl Row {
    /// A figure without a baseline.
    pub(crate) fn new(
        figure: &str,
        unit: &'static str,
        ours: Samples,
        judge: Judge,
        goal: f64,
        reach: f64,
    ) -> Self {
        Self { figure: figure.to_owned(), unit, ours, baselines: Vec::new(), judge, goal, reach }
    }

    /// A figure for comparison.
    pub(crate) fn shown(figure: &str, unit: &'static str, ours: Samples) -> Self {
        Self::new(figure, unit, ours, Judge::Nothing, f64::NAN, f64::NAN)
    }

    /// The same, beside one more baseline.
    pub(crate) fn beside(mut self, name: &str, samples: Samples) -> Self {
        self.baselines.push((name.to_owned(), samples));
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.baselines.first().map(|(_, first)| self.ours.p50() / first.p50())
    }

    fn judged(&self) -> Option<f64> {
        match self.judge {
            Judge::Ratio => self.ratio(),
            Judge::P50 => Some(self.ours.p50()),
            Judge::P99 => Some(self.ours.p99()),
            Judge::Nothing => None,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.judged() {
            None => "",
            Some(value) if value <= self.reach => "✓ reach",
            Some(value) if value <= self.goal => "✓ goal",
            Some(_) => "✗ missed",
        }
    }

    fn bar(&self, value: f64) -> String {
        match self.judge {
            Judge::Nothing => String::new(),
            Judge::Ratio => format!("{value}x"),
            Judge::P50 => format!("{} {}", short(value), self.unit),
            Judge::P99 => format!("{} {} (p99)", short(value), self.unit),
        }
    }

    fn cells(&self) -> [String; 7] {
        let spread = |samples: &Samples| format!("{} ({})", short(samples.p50()), short(samples.p99()));
        let baselines: Vec<_> =
            self.baselines.iter().map(|(name, samples)| format!("{name} {}", spread(samples))).collect();
        [
            self.figure.clone(),
            format!("{} {}", spread(&self.ours), self.unit),
            baselines.join(", "),
            self.ratio().map(|ratio| format!("{ratio:.2}x")).unwrap_or_default(),
            self.bar(self.goal),
            self.bar(self.reach),
            self.verdict().to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let numbers =
            |samples: &Samples| json!({"p50": samples.p50(), "p99": samples.p99(), "samples": samples.len()});
        let baselines: serde_json::Map<_, _> =
            self.baselines.iter().map(|(name, samples)| (name.clone(), numbers(samples))).collect();
        let judge = match self.judge {
            Judge::Ratio => json!("ratio"),
            Judge::P50 => json!("p50"),
            Judge::P99 => json!("p99"),
            Judge::Nothing => Value::Null,
        };
        let judged = self.judged();
        json!({
            "figure": self.figure, "unit": self.unit, "ours": numbers(&self.ours), "baselines": baselines,
            "ratio": self.ratio(), "judged_by": judge, "goal": self.goal, "reach": self.reach,
            "goal_met": judged.map(|value| value <= self.goal), "reach_met": judged.map(|value| value <= self.reach),
        })
    }
}

/// Three or four digits: more would be noise.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All rows of a run.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: usize,
    load_before: Option<f64>,
    rows: Vec<Row>,
}

impl Report {
    /// A run that begins now.
    pub(crate) fn new(rounds: usize) -> Self {
        Self { rounds, load_before: load::load_average(), rows: Vec::new() }
    }

    /// More rows.
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let heading = ["figure", "ours p50 (p99)", "baseline p50 (p99)", "ratio", "goal", "reach", "met?"];
        let mut lines = vec![heading.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..heading.len()).map(width).collect();
        let mut out = String::new();
        for line in &lines {
            let cells: Vec<_> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}", width = *width))
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out.push_str(&format!(
            "{} rounds; load average at the start: {}",
            self.rounds,
            load(self.load_before)
        ));
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        json!({
            "rounds": self.rounds,
            "machine": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores},
            "load_average": {"before": self.load_before, "after": load::load_average()},
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

fn load(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"))
}
