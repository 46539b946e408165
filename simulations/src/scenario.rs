//! What is played in a world: a team comes together, something befalls it, and what came of it is measured.

mod churn;
mod partition;
mod presence;
mod revocation;
mod stage;

use std::{collections::BTreeMap, fmt, str::FromStr};

pub use partition::Shape;

use crate::{
    queue::Micros,
    world::{Setup, World},
};

/// The scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A team comes together, rests, and some go, with and without a word.
    Presence,
    /// Cut apart for 900 s.
    Partition(Shape),
    /// A tenth of the hosts is replaced every minute.
    Churn,
    /// Tokens and memberships are taken back.
    Revocation,
}

impl Scenario {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::Presence,
        Self::Partition(Shape::Halves),
        Self::Partition(Shape::Tenth),
        Self::Partition(Shape::Alone),
        Self::Churn,
        Self::Revocation,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Partition(Shape::Halves) => "partition-halves",
            Self::Partition(Shape::Tenth) => "partition-tenth",
            Self::Partition(Shape::Alone) => "partition-alone",
            Self::Churn => "churn",
            Self::Revocation => "revocation",
        }
    }

    /// What its measures may be at most.
    #[must_use]
    pub fn bars(self) -> &'static [Bar] {
        match self {
            Self::Presence => presence::BARS,
            Self::Partition(_) => partition::BARS,
            Self::Churn => churn::BARS,
            Self::Revocation => revocation::BARS,
        }
    }

    /// Play it in a world.
    #[must_use]
    pub fn play(self, setup: &Setup) -> Outcome {
        let mut world = World::new(setup);
        let mut measures = Measures::default();
        match self {
            Self::Presence => presence::play(&mut world, &mut measures),
            Self::Partition(shape) => partition::play(&mut world, shape, &mut measures),
            Self::Churn => churn::play(&mut world, &mut measures),
            Self::Revocation => revocation::play(&mut world, &mut measures),
        }
        for bar in self.bars().iter().filter(|bar| bar.percent == 100) {
            let worst = measures.worst(bar.measure);
            if worst.is_some_and(|worst| worst > bar.most) {
                let (worst, most) = (bar.unit.text(worst.unwrap_or(0)), bar.unit.text(bar.most));
                world.fault(format!("{}: {worst}, the bar is {most}", bar.measure));
            }
        }
        Outcome {
            seed: setup.seed,
            measures,
            faults: world.faults().to_vec(),
            events: world.digest().count(),
            hash: world.digest().hex(),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No scenario of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no scenario '{0}'; there are: presence, partition-halves, partition-tenth, partition-alone, churn, revocation"
)]
pub struct NoScenario(String);

impl FromStr for Scenario {
    type Err = NoScenario;

    fn from_str(name: &str) -> Result<Self, NoScenario> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| NoScenario(name.to_owned()))
    }
}

/// In what a measure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// Bytes a second.
    Rate,
    /// Things.
    Count,
    /// Hundredths of a percent.
    Share,
}

impl Unit {
    /// A value, as people read it.
    #[must_use]
    pub fn text(self, value: u64) -> String {
        match self {
            Self::Time => format!("{}.{:02} s", value / 1_000_000, value / 10_000 % 100),
            Self::Rate => format!("{value} B/s"),
            Self::Count => value.to_string(),
            Self::Share => format!("{}.{:02} %", value / 100, value % 100),
        }
    }
}

/// What a measure may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// Of which measure.
    pub measure: &'static str,
    /// In what it counts.
    pub unit: Unit,
    /// For how many percent of all values; 100: for each.
    pub percent: u32,
    /// The most.
    pub most: u64,
}

/// What was measured: values by name, with their unit.
#[derive(Debug, Default, Clone)]
pub struct Measures(pub BTreeMap<&'static str, (Unit, Vec<u64>)>);

impl Measures {
    /// One more value.
    pub fn add(&mut self, measure: &'static str, unit: Unit, value: u64) {
        let entry = self.0.entry(measure).or_insert_with(|| (unit, Vec::new()));
        entry.1.push(value);
    }

    /// One more time.
    pub fn time(&mut self, measure: &'static str, value: Micros) {
        self.add(measure, Unit::Time, value);
    }

    /// The largest value.
    #[must_use]
    pub fn worst(&self, measure: &str) -> Option<u64> {
        self.0.get(measure)?.1.iter().max().copied()
    }
}

/// What came of one world.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What was measured.
    pub measures: Measures,
    /// What was wrong.
    pub faults: Vec<String>,
    /// Events that happened.
    pub events: u64,
    /// The hash of them all.
    pub hash: String,
}
