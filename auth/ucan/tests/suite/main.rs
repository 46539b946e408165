//! The crate as its users see it: the official fixtures, attacks, and properties.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should say where, and stop"
)]

mod chain;
mod container;
mod encoding;
mod fixtures;
mod forge;
mod invocation;
mod payload;
mod properties;
mod revocation;
mod signature;
