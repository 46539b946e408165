//! From a file's bytes to text that may stand in a prompt.

use clankers_protocol::text::{Clean, head};

/// Text of a file: UTF-8, one kind of line end, nothing invisible. `None` for what is no text (it holds a NUL byte).
///
/// Bytes that are not UTF-8, control characters, bidirectional overrides and invisible characters become `\u{fffd}`
/// each: what the model reads is what a person sees in an editor.
pub(crate) fn clean(bytes: &[u8]) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n");
    Some(Clean::block(&text).as_str().to_owned())
}

/// The longest beginning that fits and ends at a line's end (or at a character's, when its first line does not fit).
pub(crate) fn fit(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let start = head(text, max_bytes);
    match start.rfind('\n') {
        Some(end) => head(start, end + 1),
        None => start,
    }
}

/// Bytes of which the file may go on: without half a character at their end.
pub(crate) fn whole_chars(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_not_told() {
        assert_eq!(clean(b"\xef\xbb\xbfa\r\nb\x1b[2J\xff").unwrap(), "a\nb\u{fffd}[2J\u{fffd}");
        assert_eq!(clean("hi\u{e0041}\u{202e}".as_bytes()).unwrap(), "hi\u{fffd}\u{fffd}");
        assert_eq!(clean(b"a\0b"), None);
        assert_eq!(fit("one\ntwo\nthree", 9), "one\ntwo\n");
        assert_eq!(fit("añb", 2), "a");
        assert_eq!(whole_chars("añ".as_bytes().get(..2).unwrap()), b"a");
    }

    proptest! {
        #[test]
        fn clean_is_clean_and_stays(bytes in proptest::collection::vec(1_u8.., 0..200)) {
            let text = clean(&bytes).unwrap();
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            prop_assert_eq!(clean(text.as_bytes()).unwrap(), text);
        }

        #[test]
        fn what_fits_is_a_beginning(text in any::<String>(), max in 0_usize..100) {
            let start = fit(&text, max);
            prop_assert!(start.len() <= max);
            prop_assert!(text.starts_with(start));
        }
    }
}
