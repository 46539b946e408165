//! Reading the whole log.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use serde::Deserialize;

use super::{SEED, VERSION, codec};
use crate::{
    DiskError, limits, line,
    store::{StoreError, rows::Records},
};

#[derive(Deserialize)]
struct Header {
    v: u64,
}

/// What the log held.
#[derive(Debug, Default)]
pub(in crate::store) struct Replayed {
    /// What its lines come to, without what is over.
    pub(in crate::store) records: Records,
    /// All whole lines (count).
    pub(in crate::store) lines: u64,
    pub(in crate::store) missing: bool,
    /// Damaged lines (count), a header that is not there among them.
    pub(in crate::store) lost: u64,
}

/// Reads all lines; gives where the last finished one ends.
pub(super) fn replay(file: &File, path: &Path) -> Result<(Replayed, u64), StoreError> {
    let mut file = file;
    let fail = || DiskError::at("read", path);
    file.seek(SeekFrom::Start(0)).map_err(fail())?;
    let mut reader = BufReader::with_capacity(limits::READ_BUFFER_BYTES, file);
    let (mut out, mut text, mut end, mut first) = (Replayed::default(), Vec::new(), 0_u64, true);
    loop {
        text.clear();
        let limit = limits::AUTH_LINE_BYTES as u64 + 1;
        reader.by_ref().take(limit).read_until(b'\n', &mut text).map_err(fail())?;
        let Some(whole) = text.strip_suffix(b"\n") else {
            if (text.len() as u64) < limit {
                // A file without a header was not made by us, or was cut.
                out.lost = out.lost.saturating_add(u64::from(first));
                return Ok((out, end));
            }
            // A stretch without a newline: damage. What follows it may still be whole.
            out.lost = out.lost.saturating_add(1);
            end = end.saturating_add(text.len() as u64);
            continue;
        };
        if first
            && let Ok(Header { v }) = serde_json::from_slice(whole)
            && v > VERSION
        {
            return Err(StoreError::Newer { path: path.to_owned(), found: v });
        }
        match line::unseal(SEED, whole).map(|unsealed| line::object(unsealed.body)) {
            Some(object) if first && serde_json::from_str::<Header>(&object).is_ok() => {}
            Some(object) => {
                // A record where the header should be: what came before it is gone.
                out.lost = out.lost.saturating_add(u64::from(first));
                out.records.take(codec::open(&object, path)?);
                out.lines = out.lines.saturating_add(1);
            }
            None => out.lost = out.lost.saturating_add(1),
        }
        first = false;
        end = end.saturating_add(text.len() as u64);
    }
}
