//! What came of several worlds of one scenario, as people read it.

use std::fmt::Write as _;

use crate::{
    digest,
    scenario::{Bar, Measures, Outcome, Scenario, Unit},
    world::Setup,
};

/// The summary of a scenario's worlds.
#[derive(Debug)]
pub struct Report {
    /// Which scenario.
    pub scenario: Scenario,
    /// What its worlds are made of; the seed is the first's.
    pub setup: Setup,
    /// What came of each, by seed.
    pub outcomes: Vec<Outcome>,
    /// Bars that were missed, each in one line.
    pub missed: Vec<String>,
}

impl Report {
    /// Sum up.
    #[must_use]
    pub fn new(scenario: Scenario, setup: &Setup, mut outcomes: Vec<Outcome>) -> Self {
        outcomes.sort_by_key(|outcome| outcome.seed);
        let mut missed = Vec::new();
        for bar in scenario.bars() {
            let values = gathered(&outcomes, bar.measure);
            let found = percentile(&values, bar.percent);
            if found.is_some_and(|found| found > bar.most) {
                let (found, most) = (bar.unit.text(found.unwrap_or(0)), bar.unit.text(bar.most));
                missed.push(format!("{}: {found} for {} %, the bar is {most}", bar.measure, bar.percent));
            }
        }
        Self { scenario, setup: setup.clone(), outcomes, missed }
    }

    /// Whether nothing was wrong, and all bars were kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.missed.is_empty() && self.outcomes.iter().all(|outcome| outcome.faults.is_empty())
    }

    /// The hash of all worlds.
    #[must_use]
    pub fn hash(&self) -> String {
        let hashes: Vec<String> = self.outcomes.iter().map(|outcome| outcome.hash.clone()).collect();
        digest::all(&hashes)
    }

    /// The line that plays one world again.
    #[must_use]
    pub fn replay(&self, seed: u64) -> String {
        let (scenario, nodes) = (self.scenario, self.setup.hosts);
        let healer = if self.setup.healer { "" } else { " --no-healer" };
        format!(
            "cargo run --release -p clankers-simulations -- run {scenario} --nodes {nodes} --seed {seed}{healer}"
        )
    }

    /// The report without the hash.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: {} nodes, {} seed", self.scenario, self.setup.hosts, self.outcomes.len());
        if self.outcomes.len() != 1 {
            text.push('s');
        }
        let events: u64 = self.outcomes.iter().map(|outcome| outcome.events).sum();
        let _ = writeln!(text, ", {events} events\n");
        let _ =
            writeln!(text, "| measure | p50 | p99 | worst | bar | worst seed |\n|---|---|---|---|---|---|");
        for (measure, unit) in self.measures() {
            let values = gathered(&self.outcomes, measure);
            let show =
                |percent| percentile(&values, percent).map_or_else(String::new, |value| unit.text(value));
            let bars: Vec<String> = self
                .scenario
                .bars()
                .iter()
                .filter(|bar| bar.measure == measure)
                .map(|bar| match bar.percent {
                    100 => format!("{} always", bar.unit.text(bar.most)),
                    percent => format!("{} p{percent}", bar.unit.text(bar.most)),
                })
                .collect();
            let (p50, p99, worst) = (show(50), show(99), show(100));
            let (bars, seed) = (bars.join(", "), self.worst_seed(measure));
            let _ = writeln!(text, "| {measure} | {p50} | {p99} | {worst} | {bars} | {seed} |");
        }
        text.push('\n');
        for outcome in &self.outcomes {
            for fault in &outcome.faults {
                let _ = writeln!(text, "✗ seed {}: {fault}", outcome.seed);
            }
            if !outcome.faults.is_empty() {
                let _ = writeln!(text, "  again: {}", self.replay(outcome.seed));
            }
        }
        for missed in &self.missed {
            let _ = writeln!(text, "✗ {missed}");
        }
        if !self.missed.is_empty() {
            let seed = self.worst();
            let _ = writeln!(text, "  the worst seed is {seed}; again: {}", self.replay(seed));
        }
        if self.is_good() {
            let _ = writeln!(
                text,
                "✓ nothing forbidden happened, every bar was kept; the worst seed is {}",
                self.worst()
            );
        }
        text
    }

    /// All values of a measure, the smallest first.
    #[must_use]
    pub fn values(&self, measure: &str) -> Vec<u64> {
        gathered(&self.outcomes, measure)
    }

    /// The mean of a measure's values; 0 when there are none.
    #[must_use]
    pub fn mean(&self, measure: &str) -> f64 {
        let values = self.values(measure);
        let sum: f64 = values.iter().map(|value| f64::from(u32::try_from(*value).unwrap_or(u32::MAX))).sum();
        sum / f64::from(u32::try_from(values.len().max(1)).unwrap_or(u32::MAX))
    }

    fn measures(&self) -> Vec<(&'static str, Unit)> {
        let mut all = Measures::default();
        for outcome in &self.outcomes {
            for (measure, (unit, _)) in &outcome.measures.0 {
                all.0.entry(measure).or_insert((*unit, Vec::new()));
            }
        }
        all.0.into_iter().map(|(measure, (unit, _))| (measure, unit)).collect()
    }

    /// The seed with the largest value.
    fn worst_seed(&self, measure: &str) -> u64 {
        let worst = self
            .outcomes
            .iter()
            .max_by_key(|outcome| (outcome.measures.worst(measure), std::cmp::Reverse(outcome.seed)));
        worst.map_or(0, |outcome| outcome.seed)
    }

    /// The seed that came off worst: one with faults, or the one with the value that took most of its bar.
    #[must_use]
    pub fn worst(&self) -> u64 {
        let faulty = self.outcomes.iter().find(|outcome| !outcome.faults.is_empty());
        let share = |bar: &Bar| {
            let most = self.outcomes.iter().filter_map(|outcome| outcome.measures.worst(bar.measure)).max();
            most.unwrap_or(0).saturating_mul(1_000) / bar.most.max(1)
        };
        let measure = self.scenario.bars().iter().max_by_key(|bar| share(bar)).map_or("", |bar| bar.measure);
        faulty.map_or_else(|| self.worst_seed(measure), |outcome| outcome.seed)
    }
}

fn gathered(outcomes: &[Outcome], measure: &str) -> Vec<u64> {
    let mut values: Vec<u64> = outcomes
        .iter()
        .filter_map(|outcome| outcome.measures.0.get(measure))
        .flat_map(|(_, values)| values.iter().copied())
        .collect();
    values.sort_unstable();
    values
}

/// The smallest value that is no smaller than so many percent of all.
fn percentile(sorted: &[u64], percent: u32) -> Option<u64> {
    let percent = usize::try_from(percent).ok()?;
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::SECOND;

    #[test]
    fn percentiles() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Some(50));
        assert_eq!(percentile(&values, 99), Some(99));
        assert_eq!(percentile(&values, 100), Some(100));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 99), None);
    }

    fn outcome(seed: u64, took: u64, faults: &[&str]) -> Outcome {
        let mut measures = Measures::default();
        measures.time("the last to come is known to all", SECOND);
        measures.time("one component again", took);
        let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        Outcome { seed, measures, faults, events: 1, hash: seed.to_string() }
    }

    #[test]
    fn a_missed_bar_names_the_worst_seed_and_how_to_play_it_again() {
        let scenario = Scenario::ALL[1];
        let report = Report::new(
            scenario,
            &Setup::new(3, 50),
            vec![outcome(4, 61 * SECOND, &[]), outcome(3, SECOND, &[])],
        );
        assert!(!report.is_good());
        let text = report.text();
        let again = "cargo run --release -p clankers-simulations -- run partition-halves --nodes 50 --seed 4";
        assert!(text.contains(again) && text.contains("the bar is 60.00 s"), "{text}");
        // In order of seed, whatever the threads did.
        let turned = Report::new(
            scenario,
            &Setup::new(3, 50),
            vec![outcome(3, SECOND, &[]), outcome(4, 61 * SECOND, &[])],
        );
        assert_eq!((report.hash(), report.text()), (turned.hash(), turned.text()));
    }

    #[test]
    fn a_fault_is_told_whatever_the_bars_say() {
        let report =
            Report::new(Scenario::ALL[1], &Setup::new(3, 50), vec![outcome(9, 1, &["at 1.0 s: host 3 ..."])]);
        assert!(!report.is_good());
        assert!(report.text().contains("✗ seed 9: at 1.0 s: host 3 ...") && report.worst() == 9);
    }
}
