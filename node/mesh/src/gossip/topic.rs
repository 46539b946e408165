//! A team's own protocol name.

/// What every team's ALPN begins with.
pub const TEAM_ALPN: &str = "clankers/team/1/";

/// The gossip of one team: its ALPN, derived from the team's DID. Whoever does not know the DID cannot ask for it,
/// and the ALPN (which a handshake shows to nobody but the peer) does not tell the DID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TeamTopic {
    alpn: Vec<u8>,
}

impl TeamTopic {
    /// The topic of the team with this DID: [`TEAM_ALPN`], then the first 16 bytes of the DID's BLAKE3 in hex.
    #[must_use]
    pub fn of(team_did: &str) -> Self {
        let hash = blake3::derive_key("clankers 2026 team gossip topic v1", team_did.as_bytes());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { alpn: format!("{TEAM_ALPN}{hex}").into_bytes() }
    }

    /// The protocol name on the wire.
    #[must_use]
    pub fn alpn(&self) -> &[u8] {
        &self.alpn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_teams_never_share_a_protocol_and_one_always_does() {
        let (a, b) = (TeamTopic::of("did:key:z6MkA"), TeamTopic::of("did:key:z6MkB"));
        assert_ne!(a, b);
        assert_eq!(a, TeamTopic::of("did:key:z6MkA"));
        assert_eq!(a.alpn().len(), TEAM_ALPN.len() + 32);
        assert!(a.alpn().starts_with(TEAM_ALPN.as_bytes()));
    }
}
