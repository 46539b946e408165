//! The tables, and the form of their values.

use redb::{TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// The version of the tables below. A change of any of them is a new version.
pub(crate) const SCHEMA_VERSION: u64 = 4;
/// Where the version stands in [`META`].
pub(crate) const SCHEMA: &str = "schema";
/// Mark in [`META`]: what `auth.log` had was taken over once. Until then the database counts as lost.
pub(crate) const MERGED: &str = "merged";

type Id = [u8; 32];

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Node id -> what is known of the peer.
pub(crate) const PEERS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("peers");
/// (last seen, node id) of those that the owner did not add: the order in which they make room.
pub(crate) const STRANGERS: TableDefinition<'_, (u64, Id), ()> = TableDefinition::new("strangers");
/// Label in lower case -> node id.
pub(crate) const LABELS: TableDefinition<'_, &str, Id> = TableDefinition::new("labels");
/// `i:` or `h:`, subject in hex, `:`, CID -> token.
pub(crate) const TOKENS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tokens");
/// (expiry, key of the token).
pub(crate) const TOKEN_EXPIRY: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("token_expiry");
/// (CID, 1 if issued) -> key of the token.
pub(crate) const TOKEN_CIDS: TableDefinition<'_, (&str, u8), &str> = TableDefinition::new("token_cids");
/// Key of a token -> what is noted about it.
pub(crate) const TOKEN_NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("token_notes");
/// (who delivered it, key of the token): tokens that nobody here asked for.
pub(crate) const DELIVERED: TableDefinition<'_, (Id, &str), ()> = TableDefinition::new("delivered");
/// (audience, key of the token): tokens to be renewed.
pub(crate) const RENEWALS: TableDefinition<'_, (Id, &str), ()> = TableDefinition::new("renewals");
/// (CID of the first, key of the token): tokens that were renewed one from the other.
pub(crate) const LINES: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("lines");
/// Digest of the revoked token's CID -> revocation.
pub(crate) const REVOCATIONS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("revocations");
/// (the target's expiry, digest).
pub(crate) const REVOCATION_EXPIRY: TableDefinition<'_, (u64, Id), ()> =
    TableDefinition::new("revocation_expiry");
/// Revoker -> until when its quota counts as overflowed.
pub(crate) const OVERFLOWS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("overflows");
/// Digest of a link's CID -> what was used under it.
pub(crate) const COUNTERS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("counters");
/// (the link's expiry, digest).
pub(crate) const COUNTER_EXPIRY: TableDefinition<'_, (u64, Id), ()> = TableDefinition::new("counter_expiry");
/// Number -> files that come, and what is reserved for them.
pub(crate) const ARRIVALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("arrivals");
/// Digest of an invocation's CID -> until when it is remembered.
pub(crate) const REPLAY: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("replay");
/// (until, digest).
pub(crate) const REPLAY_EXPIRY: TableDefinition<'_, (u64, Id), ()> = TableDefinition::new("replay_expiry");
/// `authority` -> epoch, and whether authority was lost.
pub(crate) const AUTHORITY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("authority");
/// Session id -> what its log said when it was last read.
pub(crate) const SESSIONS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("sessions");
/// (principal, prompt id) -> (session, seq).
pub(crate) const PROMPTS: TableDefinition<'_, (Id, &str), (Id, u64)> = TableDefinition::new("prompts");
/// Team's key -> what is kept of the team.
pub(crate) const TEAMS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("teams");
/// (team's key, node id) -> what is remembered of the member.
pub(crate) const TEAM_MEMBERS: TableDefinition<'_, (Id, Id), &[u8]> = TableDefinition::new("team_members");
/// (team, node) -> memberships that were written here for it.
pub(crate) const TEAM_INVITED: TableDefinition<'_, (Id, Id), &[u8]> = TableDefinition::new("team_invited");
/// (team's key, node id, CID of a token of the team's template) -> when that ends.
pub(crate) const TEAM_CLAIMS: TableDefinition<'_, (Id, Id, &str), u64> = TableDefinition::new("team_claims");
/// (team's key, node id of who was removed, who removed it) -> (when, digest of the CID of the link that was taken back).
pub(crate) const TEAM_REMOVALS: TableDefinition<'_, (Id, Id, Id), (u64, Id)> =
    TableDefinition::new("team_removals");

pub(super) fn make_all(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(PEERS)?;
    transaction.open_table(STRANGERS)?;
    transaction.open_table(LABELS)?;
    transaction.open_table(TOKENS)?;
    transaction.open_table(TOKEN_EXPIRY)?;
    transaction.open_table(TOKEN_CIDS)?;
    transaction.open_table(TOKEN_NOTES)?;
    transaction.open_table(DELIVERED)?;
    transaction.open_table(RENEWALS)?;
    transaction.open_table(LINES)?;
    transaction.open_table(REVOCATIONS)?;
    transaction.open_table(REVOCATION_EXPIRY)?;
    transaction.open_table(OVERFLOWS)?;
    transaction.open_table(COUNTERS)?;
    transaction.open_table(COUNTER_EXPIRY)?;
    transaction.open_table(ARRIVALS)?;
    transaction.open_table(REPLAY)?;
    transaction.open_table(REPLAY_EXPIRY)?;
    transaction.open_table(AUTHORITY)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_table(PROMPTS)?;
    transaction.open_table(TEAMS)?;
    transaction.open_table(TEAM_MEMBERS)?;
    transaction.open_table(TEAM_INVITED)?;
    transaction.open_table(TEAM_CLAIMS)?;
    transaction.open_table(TEAM_REMOVALS)?;
    Ok(())
}

/// A value: the CRC-32 of the rest (little-endian), then postcard.
pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let body = postcard::to_stdvec(value).map_err(|_| StoreError::bad_value("a value cannot be encoded"))?;
    let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = || StoreError::bad_value("a value does not match its checksum");
    let (sum, body) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(StoreError::bad_value("a value has another form than this version writes")),
    }
}
