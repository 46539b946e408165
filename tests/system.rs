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

#[path = "system/aimock.rs"]
mod aimock;
#[path = "system/attach.rs"]
mod attach;
#[path = "system/attacks.rs"]
mod attacks;
#[path = "system/authority.rs"]
mod authority;
#[path = "system/bad_input.rs"]
mod bad_input;
#[path = "system/crash.rs"]
mod crash;
#[path = "system/daemon.rs"]
mod daemon;
#[path = "system/fences.rs"]
mod fences;
#[path = "system/guide.rs"]
mod guide;
#[path = "system/headless.rs"]
mod headless;
#[path = "system/llamacpp.rs"]
mod llamacpp;
#[path = "system/main_job.rs"]
mod main_job;
#[path = "system/model_failures.rs"]
mod model_failures;
#[path = "system/prompts.rs"]
mod prompts;
#[path = "system/teams.rs"]
mod teams;
#[path = "system/tokens.rs"]
mod tokens;
#[path = "system/transfer.rs"]
mod transfer;

const BIN: &str = env!("CARGO_BIN_EXE_clankers");
