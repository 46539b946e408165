//! The figures, one file for each kind.

mod agent;
mod attach;
mod authorize;
mod discover;
mod invalid;
mod node;
mod ping;
mod process;
mod prompt;
mod revocation;
mod size;
pub(crate) mod transfer;

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
    Figure { name: "agent-session", about: "opening a session of 2,000 turns", measure: agent::session },
    Figure { name: "agent-grep", about: "searching a large tree, beside `rg`", measure: agent::grep },
    Figure {
        name: "agent-beside",
        about: "`clankers -p` beside another agent's one-shot",
        measure: agent::beside_another,
    },
    Figure {
        name: "prompt",
        about: "a prompt accepted, and its first event at the client",
        measure: prompt::overhead,
    },
    Figure { name: "authorize", about: "judging a chain of three", measure: authorize::chain_of_three },
    Figure { name: "invalid", about: "refusing tokens that are no good", measure: invalid::vectors },
    Figure { name: "chains", about: "judging chains of one to seven links", measure: authorize::growth },
    Figure { name: "attach-fan-out", about: "a viewer of 1,000 events a second", measure: attach::fan_out },
    Figure { name: "attach-frozen", about: "16 viewers, one of them frozen", measure: attach::frozen },
    Figure { name: "attach-late", about: "a late comer and 10,000 events", measure: attach::late_join },
    Figure { name: "attach-cuts", about: "a viewer that is cut 1,000 times", measure: attach::cuts },
    Figure {
        name: "revocation",
        about: "taking a token back, until what runs under it has ended",
        measure: revocation::closing,
    },
    Figure { name: "transfer-file", about: "one large file", measure: transfer::file },
    Figure { name: "transfer-many", about: "10,000 small files", measure: transfer::many },
    Figure {
        name: "transfer-first",
        about: "from the command to the first bytes at the other side",
        measure: transfer::first,
    },
    Figure { name: "transfer-resume", about: "going on after kill -9", measure: transfer::resume },
    Figure {
        name: "transfer-memory",
        about: "memory of both sides of a transfer",
        measure: transfer::memory,
    },
    Figure { name: "transfer-far", about: "a file over a long and narrow link", measure: transfer::far },
    Figure { name: "transfer-beside", about: "an echo beside a transfer", measure: transfer::beside },
    Figure { name: "discover-lan", about: "finding a node on the LAN", measure: discover::lan },
    Figure {
        name: "discover-goodbye",
        about: "a node's goodbye on the LAN",
        measure: discover::storm::goodbye,
    },
    Figure {
        name: "discover-storm",
        about: "a node in a storm of made-up mDNS answers",
        measure: discover::storm::storm,
    },
    Figure { name: "gossip-spam", about: "gossip beside one that spams", measure: discover::gossip::spam },
    Figure {
        name: "presence",
        about: "memory of a node for each member that is there",
        measure: discover::members::presence,
    },
    Figure {
        name: "removal",
        about: "`team remove`, until the other nodes know",
        measure: discover::members::removal,
    },
    Figure {
        name: "node",
        about: "a node: ready after start, and its memory when idle",
        measure: node::start_and_idle,
    },
    Figure { name: "size", about: "the stripped release binary", measure: size::binary },
];
