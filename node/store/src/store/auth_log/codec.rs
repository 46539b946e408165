//! Records as lines.

use std::path::Path;

use clankers_protocol::{CidDigest, NodeId, Timestamp, request::tokens::TokenRecord};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::{SEED, VERSION};
use crate::{
    limits, line,
    revocations::RevocationRow,
    store::{
        StoreError,
        authority::AuthorityRow,
        rows::{Counter, Record},
    },
    tokens::{TokenNote, TokenRow},
};

#[derive(Serialize, Deserialize)]
struct Line<W> {
    at: Timestamp,
    #[serde(flatten)]
    what: W,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Token(TokenLine),
    Dropped(String),
    Revocation(RevocationLine),
    Overflow { revoker: NodeId, until: Timestamp },
    Counters(Vec<Counter>),
    Replay { cid: CidDigest, until: Timestamp },
    Authority(AuthorityRow),
}

#[derive(Serialize, Deserialize)]
struct TokenLine {
    record: TokenRecord,
    container: String,
    #[serde(default, skip_serializing_if = "is_plain")]
    note: TokenNote,
}

#[derive(Serialize, Deserialize)]
struct RevocationLine {
    cid: CidDigest,
    subject: NodeId,
    revoker: NodeId,
    /// Not in lines of before there were grantees.
    #[serde(default)]
    grantee: Option<NodeId>,
    expires: Timestamp,
    container: String,
}

fn is_plain(note: &TokenNote) -> bool {
    *note == TokenNote::default()
}

/// Appends the record's line.
pub(super) fn seal(record: &Record, at: Timestamp, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let what = match record.clone() {
        Record::Token(TokenRow { record, container, note }) => {
            What::Token(TokenLine { record, container: BASE64URL_NOPAD.encode(&container), note })
        }
        Record::Dropped(key) => What::Dropped(key),
        Record::Revocation(RevocationRow { cid, subject, revoker, grantee, expires, container }) => {
            let container = BASE64URL_NOPAD.encode(&container);
            let grantee = Some(grantee);
            What::Revocation(RevocationLine { cid, subject, revoker, grantee, expires, container })
        }
        Record::Overflow(revoker, until) => What::Overflow { revoker, until },
        Record::Counters(counters) => What::Counters(counters),
        Record::Replay(cid, until) => What::Replay { cid, until },
        Record::Authority(row) => What::Authority(row),
    };
    let text = serde_json::to_string(&Line { at, what })
        .map_err(|_| StoreError::bad_value("a record of authority cannot be encoded"))?;
    let before = out.len();
    line::seal(SEED, &text, out);
    if out.len().saturating_sub(before) > limits::AUTH_LINE_BYTES {
        let (limit, hint) =
            (limits::AUTH_LINE_BYTES as u64, "this cannot be kept; ask for something smaller");
        return Err(StoreError::Full { what: "bytes of a record", limit, hint });
    }
    Ok(())
}

/// The record on a line whose checksum is right. One that this version cannot read came from a later one: refused, since
/// authority must not be forgotten silently.
pub(super) fn open(object: &str, path: &Path) -> Result<Record, StoreError> {
    let newer = || StoreError::Newer { path: path.to_owned(), found: VERSION + 1 };
    let line: Line<What> = serde_json::from_str(object).map_err(|_| newer())?;
    let bytes = |text: String| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| newer());
    Ok(match line.what {
        What::Token(TokenLine { record, container, note }) => {
            Record::Token(TokenRow { record, container: bytes(container)?, note })
        }
        What::Dropped(key) => Record::Dropped(key),
        What::Revocation(RevocationLine { cid, subject, revoker, grantee, expires, container }) => {
            let (grantee, container) = (grantee.unwrap_or(revoker), bytes(container)?);
            Record::Revocation(RevocationRow { cid, subject, revoker, grantee, expires, container })
        }
        What::Overflow { revoker, until } => Record::Overflow(revoker, until),
        What::Counters(counters) => Record::Counters(counters),
        What::Replay { cid, until } => Record::Replay(cid, until),
        What::Authority(row) => Record::Authority(row),
    })
}
