//! The product as its users meet it: real processes of the real binary, each with a home of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "tests"
)]

#[path = "system/attacks.rs"]
mod attacks;
#[path = "system/bad_input.rs"]
mod bad_input;
#[path = "system/crash.rs"]
mod crash;
#[path = "system/daemon.rs"]
mod daemon;
#[path = "system/fences.rs"]
mod fences;
#[path = "system/main_job.rs"]
mod main_job;
#[path = "system/prompts.rs"]
mod prompts;
#[path = "system/tokens.rs"]
mod tokens;

const BIN: &str = env!("CARGO_BIN_EXE_clankers");
