//! The tools as the node uses them: real files, real commands, real attacks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

mod confinement;
mod differential;
mod files;
mod killed;
mod lab;
mod nasty;
mod searches;
mod shell;
mod swaps;
