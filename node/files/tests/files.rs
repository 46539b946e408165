//! File transfer's disk, driven as the engine drives it, without a network.

// What goes wrong in a test must end it at once, helpers included.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "files/again.rs"]
mod again;
#[path = "files/attacks.rs"]
mod attacks;
#[path = "files/conflicts.rs"]
mod conflicts;
#[path = "files/damage.rs"]
mod damage;
#[path = "files/kills.rs"]
mod kills;
#[path = "files/landings.rs"]
mod landings;
#[path = "files/many.rs"]
mod many;
#[path = "files/sources.rs"]
mod sources;
#[path = "files/support.rs"]
mod support;
