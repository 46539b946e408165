//! The bench's own words.

use std::path::PathBuf;

use clankers_tests::baseline::Carrier;

use crate::{
    limits::{ROUNDS, ROUNDS_MAX, ROUNDS_MIN},
    rows,
};

/// What this process is to be.
#[derive(Debug)]
pub(crate) enum Mode {
    /// A baseline's server.
    Serve(Carrier),
    /// A server that takes bulk over raw iroh.
    ServeBulk,
    /// Its client.
    Bulk {
        /// Where the server is, in its own words.
        at: String,
        /// How many bytes.
        bytes: u64,
    },
    /// A baseline's client.
    Ping {
        /// Over what.
        carrier: Carrier,
        /// Where its server is, in the server's own words.
        at: String,
        /// Round trips.
        count: u32,
    },
    /// Run by something else than `cargo bench`.
    NotABench,
    /// Names of the figures.
    List,
    /// The bench.
    Measure(Options),
}

/// What to measure, and how.
#[derive(Debug)]
pub(crate) struct Options {
    /// Interleaved rounds.
    pub(crate) rounds: usize,
    /// Where to write JSON.
    pub(crate) json: Option<PathBuf>,
    /// Measure on a busy machine.
    pub(crate) force: bool,
    /// Names of the figures; all when empty.
    names: Vec<String>,
}

impl Options {
    /// Whether this figure is wanted: by its name, or by the first word of it, such as `attach`.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name || is_of(name, wanted))
    }
}

impl Mode {
    /// The mode in these words.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words[..] {
            ["baseline-serve", carrier] => Ok(Self::Serve(carrier.parse()?)),
            ["baseline-bulk-serve"] => Ok(Self::ServeBulk),
            ["baseline-bulk", at, bytes] => {
                Ok(Self::Bulk { at: at.to_owned(), bytes: number(bytes, 1, u64::MAX)? })
            }
            ["baseline-ping", carrier, at, count] => Ok(Self::Ping {
                carrier: carrier.parse()?,
                at: at.to_owned(),
                count: number(count, 1, 1_000_000)?,
            }),
            _ if !words.contains(&"--bench") => Ok(Self::NotABench),
            _ => Self::measure(&words),
        }
    }

    fn measure(words: &[&str]) -> Result<Self, String> {
        let mut options = Options { rounds: ROUNDS, json: None, force: false, names: Vec::new() };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "--bench" => {}
                "--list" => return Ok(Self::List),
                "--force" => options.force = true,
                "--json" => options.json = Some(words.next().ok_or("--json needs a file")?.into()),
                "--rounds" => {
                    let count = words.next().ok_or("--rounds needs a number")?;
                    options.rounds = number(count, ROUNDS_MIN, ROUNDS_MAX)?;
                }
                name if rows::ALL.iter().any(|row| row.name == name || is_of(row.name, name)) => {
                    options.names.push(name.to_owned())
                }
                other => return Err(format!("{other:?} is no figure and no flag; --list names the figures")),
            }
        }
        Ok(Self::Measure(options))
    }
}

/// Whether a figure is one of several whose names begin alike, and no other has just that name.
fn is_of(name: &str, family: &str) -> bool {
    let begins = name.strip_prefix(family).is_some_and(|rest| rest.starts_with('-'));
    begins && rows::ALL.iter().all(|row| row.name != family)
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    min: T,
    max: T,
) -> Result<T, String> {
    match text.parse() {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ => Err(format!("{text:?} is not a number from {min} to {max}")),
    }
}
