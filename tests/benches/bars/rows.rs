//! The figures, one file for each kind.

mod authorize;
mod node;
mod ping;
mod process;
mod prompt;
mod size;

use crate::{peers::Lab, report::Row};

/// Something that can be measured.
pub(crate) struct Figure {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// Measures it.
    pub(crate) measure: fn(&Lab) -> Vec<Row>,
}

/// All of them, in the order of the table.
pub(crate) const ALL: &[Figure] = &[
    Figure { name: "ping", about: "ping on a kept connection", measure: ping::kept },
    Figure { name: "ping-process", about: "a whole `clankers rpc ping` process", measure: process::ping },
    Figure { name: "version", about: "`clankers --version`", measure: process::version },
    Figure {
        name: "one-shot",
        about: "`clankers -p` against a loopback mock model",
        measure: process::one_shot,
    },
    Figure {
        name: "prompt",
        about: "a prompt accepted, and its first event at the client",
        measure: prompt::overhead,
    },
    Figure { name: "authorize", about: "judging a chain of three", measure: authorize::chain_of_three },
    Figure {
        name: "node",
        about: "a node: ready after start, and its memory when idle",
        measure: node::start_and_idle,
    },
    Figure { name: "size", about: "the stripped release binary", measure: size::binary },
];
