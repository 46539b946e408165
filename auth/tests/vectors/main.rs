//! Tokens that must be refused, each in a situation and with the reason, and some that must not: checked in as
//! `tests/vectors/tokens/*.json`, for other implementations as well.
//!
//! This is the program that makes them (`UPDATE_VECTORS=1 cargo test -p clankers-auth --test vectors`) and the test that
//! each is judged right, for the right reason.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

mod authority;
mod chain;
mod container;
mod encoding;
mod forge;
mod good;
mod invocation;
mod name;
mod payload;
mod policy;
mod revocation;
mod signature;
mod time;
mod vector;

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use vector::{Expect, Judge, Vector};

/// Makes the vectors of a file.
type Make = fn() -> Vec<Vector>;
/// The files, and what is in each.
const FILES: &[(&str, Make)] = &[
    ("container", container::all),
    ("encoding", encoding::all),
    ("payload", payload::all),
    ("policy", policy::all),
    ("signature", signature::all),
    ("chain", chain::all),
    ("time", time::all),
    ("authority", authority::all),
    ("revocation", revocation::all),
    ("invocation", invocation::all),
    ("good", good::all),
];
/// Vectors that must be refused, at least (issue 3).
const REFUSED: usize = 200;
/// Vectors that must be allowed, at least.
const ALLOWED: usize = 20;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/tokens")
}

fn read(file: &str) -> Vec<Vector> {
    let path = folder().join(format!("{file}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn all() -> Vec<Vector> {
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        return FILES.iter().flat_map(|(_, make)| make()).collect();
    }
    FILES.iter().flat_map(|(file, _)| read(file)).collect()
}

#[test]
fn the_files_are_what_this_program_makes() {
    for (file, make) in FILES {
        let made = serde_json::to_string_pretty(&make()).unwrap() + "\n";
        let path = folder().join(format!("{file}.json"));
        if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == made, "{file}.json is not what the program makes; UPDATE_VECTORS=1 writes it anew");
    }
}

/// What is wrong with the verdict on a vector.
fn fault(vector: &Vector) -> Option<String> {
    let found = match vector.judge(&vector.token()) {
        Ok(()) => "allowed".to_owned(),
        Err(denial) => format!("{} ({})", name::name(&denial), denial.code().name()),
    };
    let expected = match &vector.expect {
        Expect::Allowed => "allowed".to_owned(),
        Expect::Refused { denial, code, .. } => format!("{denial} ({code})"),
    };
    (found != expected).then(|| format!("{}: {found}, expected {expected}", vector.name))
}

#[test]
fn every_vector_is_judged_right_and_for_its_reason() {
    let vectors = all();
    let faults: Vec<String> = vectors.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), vectors.len(), faults.join("\n"));
}

#[test]
fn there_are_enough_of_them_and_no_name_twice() {
    let vectors = all();
    let refused = vectors.iter().filter(|vector| vector.expect != Expect::Allowed).count();
    assert!(refused >= REFUSED, "{refused} are to be refused");
    assert!(vectors.len() - refused >= ALLOWED, "{} are to be allowed", vectors.len() - refused);
    let names: BTreeSet<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    assert_eq!(names.len(), vectors.len());
    let steps: BTreeSet<&str> = vectors
        .iter()
        .filter_map(|vector| match &vector.expect {
            Expect::Refused { step, .. } => Some(step.as_str()),
            Expect::Allowed => None,
        })
        .collect();
    for step in clankers_auth::step::Step::ALL {
        assert!(steps.contains(step.name()), "no vector is refused by the step {}", step.name());
    }
}

/// An attack on the good ones: each of their bits is signed, counted or compared. One turned bit in a byte is tried
/// for each byte, so that this stays quick.
#[test]
fn no_good_vector_survives_a_turned_bit() {
    for vector in good::all() {
        let token = vector.token();
        // Text has bits of its own, and long ones take long.
        if token.first() != Some(&b'@') || token.len() > 1500 {
            continue;
        }
        for at in 0..token.len() {
            let mut bent = token.clone();
            bent[at] ^= 1 << (at % 8);
            assert!(vector.judge(&bent).is_err(), "{} with byte {at} bent", vector.name);
        }
    }
}

/// How long each takes; the bar is a millisecond (design: `bars.md`).
#[test]
#[ignore = "a measurement: run it alone, in a release build, with --nocapture"]
fn each_is_judged_within_a_millisecond() {
    let mut slowest = [(0.0, String::new()), (0.0, String::new())];
    for vector in all() {
        let token = vector.token();
        let best = (0..20)
            .map(|_| {
                let start = Instant::now();
                let _ = std::hint::black_box(vector.judge(&token));
                start.elapsed().as_secs_f64() * 1e6
            })
            .fold(f64::MAX, f64::min);
        let slowest = &mut slowest[usize::from(vector.expect == Expect::Allowed)];
        if best > slowest.0 {
            *slowest = (best, vector.name.clone());
        }
    }
    println!("the slowest, refused and allowed (µs): {slowest:?}");
    assert!(slowest.iter().all(|(micros, _)| *micros < 1000.0), "{slowest:?}");
}

/// The vectors of a table: a name, the bytes, the variants of the denial; all refused by one step with one code.
fn table(
    prefix: &str,
    judge: Judge,
    (step, code): (clankers_auth::step::Step, &str),
    rows: Vec<(&str, Vec<u8>, &str)>,
) -> Vec<Vector> {
    rows.into_iter()
        .map(|(name, bytes, denial)| {
            Vector::new(judge, format!("{prefix}: {name}"), bytes).refused(step, denial, code)
        })
        .collect()
}
