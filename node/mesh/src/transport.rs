//! QUIC settings: what a peer may have under way, by who it is.
//!
//! iroh's defaults otherwise: CUBIC, 30 s idle, 5 s heartbeat, and a stream window of 1.25 MB, which must not grow
//! (4 MiB breaks whole connections on loopback).

use std::time::Duration;

use clankers_protocol::limits::CONNECTION_STREAMS;
use iroh::endpoint::{QuicTransportConfig, VarInt};

use crate::limits::{
    CONNECTION_UNI_STREAMS, CONNECTION_WINDOW_BYTES, GOSSIP_IDLE_MS, UNAUTHENTICATED_STREAMS,
    UNAUTHENTICATED_UNI_STREAMS, UNAUTHENTICATED_WINDOW_BYTES,
};

/// How much room the other side of a connection gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Whoever dialed and has shown nothing yet.
    Unadmitted,
    /// Whom we dial.
    Admitted,
    /// A neighbour in a team's gossip, which we dial: one stream, little under way, and soon missed.
    Team,
}

pub(crate) fn config(room: Room) -> QuicTransportConfig {
    let (window, bi, uni) = match room {
        Room::Unadmitted => {
            (UNAUTHENTICATED_WINDOW_BYTES, UNAUTHENTICATED_STREAMS, UNAUTHENTICATED_UNI_STREAMS)
        }
        Room::Admitted => (CONNECTION_WINDOW_BYTES, CONNECTION_STREAMS, CONNECTION_UNI_STREAMS),
        // The dialer opens the one stream.
        Room::Team => (UNAUTHENTICATED_WINDOW_BYTES, 0, 0),
    };
    let config = QuicTransportConfig::builder()
        .receive_window(VarInt::from_u32(window))
        .max_concurrent_bidi_streams(VarInt::from_u32(bi))
        .max_concurrent_uni_streams(VarInt::from_u32(uni));
    match (room, Duration::from_millis(GOSSIP_IDLE_MS).try_into()) {
        // The smaller of both sides' limits counts (RFC 9000 section 10.1), so the dialer's is enough.
        (Room::Team, Ok(idle)) => config.max_idle_timeout(Some(idle)).build(),
        _ => config.build(),
    }
}
