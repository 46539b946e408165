//! What a peer exports: its names, page by page.

use clankers_protocol::{
    CidDigest, Timestamp,
    limits::TRANSFER_ENTRIES,
    request::transfer::{Entry, EntryKind, FileFetch, FileOffer, listed},
    transfer::TransferId,
};

use super::TransferError;
use crate::client::Client;

/// Something that can be got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// What to ask for: the name of an export, and a path in it.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for a directory.
    pub bytes: u64,
    /// When it was changed last; not told of an export.
    pub changed: Option<Timestamp>,
}

/// What may be got: the exports when the path is empty, else what is at this path: a file, or what is in a directory.
///
/// # Errors
/// [`TransferError::Client`] when the peer refuses or does not answer, [`TransferError::Broken`] when what it answers is no
/// list.
pub async fn exports(
    client: &Client,
    leaf: Option<CidDigest>,
    path: &str,
) -> Result<Vec<Exported>, TransferError> {
    let broken = |why: &str| Err(TransferError::Broken(why.to_owned()));
    let mut found: Vec<Exported> = Vec::new();
    let mut after = String::new();
    loop {
        let ext = listed::with_list(&after);
        let ask = FileFetch { leaf, transfer: TransferId([0; 16]), path: path.to_owned(), ext };
        let answer: FileOffer = client.ask(&ask).await?;
        let Some(more) = listed::has_more(&answer) else {
            return broken("it offers files where names were asked for, as older nodes do");
        };
        let Some((root, entries)) = answer.entries.split_first() else {
            return broken("its list does not say of what it is");
        };
        if root.kind == EntryKind::File {
            return Ok(vec![exported(path.to_owned(), root)]);
        }
        for entry in entries {
            if !listed::follows(&entry.name, &after) {
                return broken("its list has names that cannot be, or twice");
            }
            after.clone_from(&entry.name);
            let whole = if path.is_empty() { after.clone() } else { format!("{path}/{after}") };
            found.push(exported(whole, entry));
        }
        if found.len() > TRANSFER_ENTRIES as usize {
            return broken("its list does not end");
        }
        if !more || entries.is_empty() {
            return Ok(found);
        }
    }
}

fn exported(path: String, entry: &Entry) -> Exported {
    let ms = u64::try_from(entry.mtime_ns / 1_000_000).ok();
    Exported { path, kind: entry.kind, bytes: entry.size, changed: ms.filter(|ms| *ms > 0).map(Timestamp) }
}
