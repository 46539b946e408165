//! How programs see a transfer of files: a line each second while it runs, and one at its end.

use serde_json::{Value, json};

/// How far a transfer is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Bytes that the receiver has and has verified.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
    /// Files that the receiver has whole (count).
    pub files: u64,
    /// Bytes per second lately.
    pub rate_bps: u64,
    /// Seconds that are left at this rate; `None` while nothing moves.
    pub eta_s: Option<u64>,
}

/// A transfer that runs.
#[must_use]
pub fn progress(line: &Line) -> Value {
    json!({
        "type": "progress",
        "bytes": line.bytes,
        "total": line.total,
        "files": line.files,
        "rate_bps": line.rate_bps,
        "eta_s": line.eta_s,
    })
}

/// An offer that begins to wait for the receiver's owner, until a time as RFC 3339 says it.
#[must_use]
pub fn waiting(id: &str, until: &str) -> Value {
    json!({ "type": "waiting", "id": id, "until": until })
}

/// What the receiver signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Files that landed (count).
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes of content that travelled for it.
    pub sent_bytes: u64,
    /// BLAKE3 of the file, or of a directory's list of files (hex).
    pub root: &'a str,
    /// The name that it has at the receiver.
    pub name: &'a str,
}

/// A transfer that is over.
#[must_use]
pub fn receipt(receipt: &Receipt<'_>) -> Value {
    json!({
        "type": "receipt",
        "files": receipt.files,
        "bytes": receipt.bytes,
        "sent_bytes": receipt.sent_bytes,
        "root": receipt.root,
        "name": receipt.name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_the_contract() {
        let line = Line { bytes: 1, total: 4, files: 1, rate_bps: 3, eta_s: Some(1) };
        let text = r#"{"type":"progress","bytes":1,"total":4,"files":1,"rate_bps":3,"eta_s":1}"#;
        assert_eq!(progress(&line).to_string(), text);
        assert_eq!(progress(&Line { eta_s: None, ..line })["eta_s"], Value::Null);
        let text = r#"{"type":"waiting","id":"ab","until":"2027-01-15T08:00:00Z"}"#;
        assert_eq!(waiting("ab", "2027-01-15T08:00:00Z").to_string(), text);
        let said = Receipt { files: 1, bytes: 4, sent_bytes: 4, root: "00", name: "a" };
        let text = r#"{"type":"receipt","files":1,"bytes":4,"sent_bytes":4,"root":"00","name":"a"}"#;
        assert_eq!(receipt(&said).to_string(), text);
    }
}
