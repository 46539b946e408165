//! Every bound of a simulated world, with its unit.

use crate::queue::{MILLI, Micros, SECOND};

/// Hosts of one world, count.
pub const HOSTS: u32 = 100_000;
/// Worlds of one command, count.
pub const SEEDS: u64 = 10_000;
/// Threads of one command, count.
pub const THREADS: usize = 64;
/// After so long without a word a connection is given up, microseconds: iroh's own 30 s.
pub const IDLE_TIMEOUT: Micros = 30 * SECOND;
/// A connection says something this often, microseconds: iroh's own 5 s.
pub const KEEP_ALIVE: Micros = 5 * SECOND;
/// A dial that nobody answers ends after so long, microseconds.
pub const DIAL_TIMEOUT: Micros = 10 * SECOND;
/// What QUIC adds to its probe timeout, microseconds (RFC 9000: `max_ack_delay`).
pub const ACK_DELAY: Micros = 25 * MILLI;
/// Messages held for a connection that is not open yet or is cut, count. More end it, as a full stream would.
pub const HELD: usize = 1_024;
/// Largest payload of a gossip broadcast, bytes: above 4,057 gossip's own shell goes mute.
pub const PAYLOAD_BYTES: usize = 3_500;
/// Remembered members that a joining host dials, count.
pub const BOOTSTRAPS: usize = 3;
/// How long gossip waits for leave to talk to a member, microseconds.
pub const WANT_TIMEOUT: Micros = 10 * SECOND;
/// Records, or memberships, told in one message, count: as the protocol has it.
pub const PAGE: usize = clankers_protocol::limits::PRESENCE_PAGE;
/// Pages of presence that are asked of one member in a row, count: as the hall has it.
pub const PAGES: u32 = 32;
/// Between two looks at who is a member still, microseconds: as the hall has it.
pub const RECHECK_PAUSE: Micros = 200 * MILLI;
/// What the judge takes for every limit where that is to be seen, count.
pub const CRAMPED: usize = 4;
/// Payloads whose decoded form is kept, count.
pub const PAYLOADS: usize = 4_096;
/// Faults that are told, count: the first says most.
pub const FAULTS: usize = 8;
/// Every so many events, or as many as there are hosts, one host is looked at as a whole, count.
pub const SWEEP_EVENTS: u64 = 64;
/// What a record may be older than its lease says when it is shown as live, microseconds: connections hold packets
/// while they are silent, once for each of a few hops.
pub const LEASE_SLACK: Micros = 90 * SECOND;
/// Connections for requests of one host, whoever dialed, count: what the hall keeps.
pub const CONNECTIONS: usize = 1_024;
/// Of these, those that the host dialed, count: what the hall keeps.
pub const LINKS: usize = 256;
/// A connection for requests that carries nothing is closed after so long, microseconds.
pub const LINK_IDLE: Micros = 300 * SECOND;
/// A connection of the team with one that is no neighbour is kept unused for so long, microseconds: as the mesh has it.
pub const SPARE: Micros = 10 * SECOND;
/// How long a payload that was let through is known, microseconds: as long as gossip's core knows it.
pub const PASSED: Micros = 90 * SECOND;
/// Between a goodbye and the end, microseconds: a neighbour that gossip only announces payloads to has to ask for it.
pub const FAREWELL: Micros = 300 * MILLI;
