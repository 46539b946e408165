//! The rules of the house that a program can check: floors, sizes, golden vectors, documents.
//!
//! `UPDATE_VECTORS=1` writes `tests/vectors/frames.json` anew, `UPDATE_DOCS=1` the generated parts of `docs/`.
//! Look at the difference before you keep it: a changed vector breaks every peer that is out there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "house/documents.rs"]
mod documents;
#[path = "house/floors.rs"]
mod floors;
#[path = "house/help.rs"]
mod help;
#[path = "house/markdown.rs"]
mod markdown;
#[path = "house/plan.rs"]
mod plan;
#[path = "house/samples.rs"]
mod samples;
#[path = "house/sizes.rs"]
mod sizes;
#[path = "house/tables.rs"]
mod tables;
#[path = "house/vectors.rs"]
mod vectors;

use std::path::{Path, PathBuf};

/// The built command line.
const BIN: &str = env!("CARGO_BIN_EXE_clankers");

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Whether a file that the tests generate is to be written anew.
fn update(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}
