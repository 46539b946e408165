//! Deterministic worlds: hosts with the machines that ship (presence, healer, peering, the spread of revocations) over
//! gossip's sans-IO core, links between them that delay, lose and part, and one queue of what happens.
//!
//! - A world ([`world`]) is made of a seed: dice ([`dice`]), links ([`links`]), connections ([`wire`]) and events
//!   ([`queue`], [`event`]). The shell of a host ([`host`], [`gossip`], [`payload`]) only translates, as the hall's does.
//! - A judge ([`judge`]) looks at each step for what must never happen; a tally ([`tally`]) counts; everything that
//!   happens goes into a hash ([`digest`]).
//! - Scenarios ([`scenario`]) let something befall a team and measure what came of it; many worlds play at once
//!   ([`fleet`]), and what came of them is summed up ([`report`]) and drawn ([`plots`]).
//!
//! The same seed is the same world, on any machine and any number of threads. docs/simulations.md tells what is
//! modelled, what is not, and what was found.

pub mod dice;
pub mod digest;
pub mod event;
pub mod fleet;
pub mod gossip;
pub mod graph;
pub mod host;
pub mod judge;
pub mod limits;
pub mod links;
pub mod names;
pub mod payload;
pub mod plots;
pub mod queue;
pub mod report;
pub mod scenario;
pub mod tally;
pub mod wire;
pub mod world;
