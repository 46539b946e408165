//! What is counted while a world runs.

use iroh_gossip::proto::state::MessageKind;

use crate::{
    event::{Ask, Packet},
    gossip,
};

/// Bytes by what they are for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// Gossip's payloads.
    pub data: u64,
    /// Gossip's own talk: views, announcements, pruning.
    pub control: u64,
    /// Presence and revocations told on meeting.
    pub sync: u64,
    /// Showing membership, and bodies of revocations.
    pub other: u64,
}

impl Bytes {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.data + self.control + self.sync + self.other
    }

    /// What came since.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            data: self.data - earlier.data,
            control: self.control - earlier.control,
            sync: self.sync - earlier.sync,
            other: self.other - earlier.other,
        }
    }
}

/// Counters of a world.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Bytes that all hosts sent.
    pub bytes: Bytes,
    /// Bytes that each host sent.
    pub by_host: Vec<u64>,
    /// Messages sent.
    pub messages: u64,
    /// The largest message of gossip, bytes.
    pub largest: usize,
    /// Payloads that were broadcast.
    pub broadcasts: u64,
    /// Payloads delivered.
    pub payloads: u64,
    /// Payloads that were not let through: forged, stale, of a removed member, or saying nothing.
    pub dropped: u64,
    /// Dials that the healers wished.
    pub heals: u64,
    /// Connections of a team that were refused.
    pub refused: u64,
    /// Connections given up because too much waited.
    pub overflows: u64,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self { by_host: vec![0; hosts], ..Self::default() }
    }

    /// A host sends.
    pub fn sent(&mut self, from: u32, packet: &Packet) {
        let size = match packet {
            Packet::Gossip(message, _) => {
                let size = gossip::size(message);
                self.largest = self.largest.max(size);
                size
            }
            Packet::Ask(ask) => ask.size(),
        };
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let sum = match packet {
            Packet::Gossip(message, _) => match message.kind() {
                MessageKind::Data => &mut self.bytes.data,
                MessageKind::Control => &mut self.bytes.control,
            },
            Packet::Ask(ask) => match &**ask {
                Ask::Sync { .. } | Ask::Synced { .. } | Ask::Tell { .. } => &mut self.bytes.sync,
                _ => &mut self.bytes.other,
            },
        };
        *sum += size;
        self.messages += 1;
        if let Some(sum) = usize::try_from(from).ok().and_then(|from| self.by_host.get_mut(from)) {
            *sum += size;
        }
    }
}
