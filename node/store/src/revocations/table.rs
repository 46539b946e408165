//! Revocations in the database.

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use redb::WriteTransaction;
use serde::Deserialize;

use super::RevocationRow;
use crate::{
    StoreError, limits,
    store::{
        rows::is_over,
        tables::{OVERFLOWS, REVOCATION_EXPIRY, REVOCATIONS, pack, unpack},
    },
};

pub(crate) fn insert(transaction: &WriteTransaction, row: &RevocationRow) -> Result<(), StoreError> {
    transaction.open_table(REVOCATIONS)?.insert(row.cid.0, pack(row)?.as_slice())?;
    transaction.open_table(REVOCATION_EXPIRY)?.insert((row.expires.0, row.cid.0), ())?;
    Ok(())
}

pub(crate) fn insert_mark(
    transaction: &WriteTransaction,
    revoker: NodeId,
    until: Timestamp,
) -> Result<(), StoreError> {
    transaction.open_table(OVERFLOWS)?.insert(revoker.0, pack(&until)?.as_slice())?;
    Ok(())
}

/// A row as it is kept; one of before there were grantees counts as its revoker's.
pub(crate) fn open_row(bytes: &[u8]) -> Result<RevocationRow, StoreError> {
    #[derive(Deserialize)]
    struct Before {
        cid: CidDigest,
        subject: NodeId,
        revoker: NodeId,
        expires: Timestamp,
        container: Vec<u8>,
    }
    unpack(bytes).or_else(|error| {
        let Before { cid, subject, revoker, expires, container } = unpack(bytes).map_err(|_| error)?;
        Ok(RevocationRow { cid, subject, revoker, grantee: revoker, expires, container })
    })
}

/// Removes what is over.
pub(crate) fn prune(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let Some(before) = now.0.checked_sub(limits::TOKEN_GRACE_MS) else { return Ok(()) };
    let mut expiry = transaction.open_table(REVOCATION_EXPIRY)?;
    let mut rows = transaction.open_table(REVOCATIONS)?;
    for entry in expiry.extract_from_if(..(before, [0; 32]), |_, ()| true)? {
        rows.remove(entry?.0.value().1)?;
    }
    let mut marks = transaction.open_table(OVERFLOWS)?;
    for entry in marks.extract_if(|_, until| unpack(until).is_ok_and(|until| is_over(until, now)))? {
        entry?;
    }
    Ok(())
}
