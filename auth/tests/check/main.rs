//! The check: scopes, budgets, revocations, passing on, signed requests, words; and what holds for every chain.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

mod budgets;
mod cost;
mod forge;
mod hostile;
mod invocation;
mod onward;
mod properties;
mod removal;
mod revocations;
mod scopes;
mod sessions;
mod steps;
mod team;
mod words;
