//! The two shells of file transfer with each other, over a connection in memory and real directories.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

mod cuts;
mod flips;
mod pair;
mod raw;
mod stalls;
mod whole;
