//! How far a transfer is, for whoever watches.

use std::time::Duration;

use clankers_protocol::{
    Timestamp,
    transfer::{Root, talk::Progress as MachineProgress},
};

/// What a transfer is doing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What is to be sent is being listed.
    #[default]
    Looking,
    /// The receiver has yet to answer.
    Offering,
    /// The receiver's owner is asked.
    Waiting {
        /// Until when the offer stands.
        until: Timestamp,
    },
    /// What is there from before is read again.
    Checking,
    /// Bytes travel.
    Running,
    /// Everything is there: it is synced, named and signed.
    Finishing,
}

/// How far a transfer is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes that the receiver has and has verified, those from before counted in.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
    /// Files that the receiver has whole (count).
    pub files: u64,
    /// Files in all (count).
    pub all_files: u64,
    /// Bytes of content that travelled in this attempt.
    pub sent_bytes: u64,
    /// Bytes that were there from before.
    pub had: u64,
    /// Bytes that came to the receiver in this attempt, those of blocks that are not whole yet counted in.
    pub arrived: u64,
    /// Bytes that came in a second, of late.
    pub rate_bps: u64,
    /// How long the peer has said nothing (time).
    pub quiet: Duration,
    /// What was sent, once all of it is: the receipt's root has to be this.
    pub root: Option<Root>,
}

/// What the machine knows, as whoever watches is told.
pub(crate) fn progress(phase: Phase, of: MachineProgress, sent_bytes: u64, quiet_ms: u64) -> Progress {
    Progress {
        phase,
        bytes: of.bytes,
        total: of.total,
        files: of.files_done.into(),
        all_files: of.files.into(),
        sent_bytes,
        had: of.had,
        arrived: of.arrived,
        rate_bps: 0,
        quiet: Duration::from_millis(quiet_ms),
        root: None,
    }
}
