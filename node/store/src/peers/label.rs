//! What can be a label: a word that nobody takes for an id, a ticket or a path.

use clankers_protocol::text;

use super::PeerError;
use crate::limits;

/// Words that commands understand otherwise.
const RESERVED: [&str; 5] = ["all", "last", "local", "me", "self"];

/// The form under which labels are the same.
pub(super) fn key(label: &str) -> String {
    label.to_lowercase()
}

/// Whether it can be a label.
pub(super) fn check(label: &str) -> Result<(), PeerError> {
    let refuse = |why| Err(PeerError::BadLabel { label: label.to_owned(), why });
    let lower = key(label);
    if label.is_empty() {
        return refuse("it is empty");
    }
    if label.len() > limits::LABEL_BYTES || lower.len() > limits::LABEL_BYTES {
        return refuse("it is longer than 64 bytes");
    }
    if text::line(label, usize::MAX) != label || label.chars().any(char::is_whitespace) {
        return refuse("it has spaces, or characters that cannot be seen");
    }
    if label.starts_with('-') {
        return refuse("it begins like an option");
    }
    if RESERVED.contains(&lower.as_str()) {
        return refuse("commands use this word");
    }
    if looks_like_an_id(&lower) {
        return refuse("it looks like an id or a ticket");
    }
    Ok(())
}

fn looks_like_an_id(lower: &str) -> bool {
    let hex = lower.len() >= limits::PREFIX_DIGITS && lower.bytes().all(|b| b.is_ascii_hexdigit());
    let z32 = lower.len() == 52 && lower.bytes().all(|b| b.is_ascii_alphanumeric());
    let ticket = lower.starts_with("endpoint") && lower.len() > 32;
    hex || z32 || ticket || lower.starts_with("did:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_label() {
        for good in ["laptop", "Büro-2", "a.b_c", "x", "abc", "endpoint", "feedback", "café"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        let id = "ab".repeat(32);
        let ticket = format!("endpoint{}", "a".repeat(60));
        let z32 = "y".repeat(52);
        for bad in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\u{1b}[2J",
            "\u{202e}x",
            "beef",
            "BEEF",
            "12345",
            "-x",
            "last",
            "Me",
            "did:key:z6Mk",
            &long,
            &id,
            &ticket,
            &z32,
        ] {
            assert!(matches!(check(bad), Err(PeerError::BadLabel { .. })), "{bad:?}");
        }
    }
}
