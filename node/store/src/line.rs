//! A line that knows when it was damaged.
//!
//! Every line of a session log and of `auth.log` is one JSON object whose first member, at a fixed place, is the CRC-32
//! (ISO-HDLC) of all that follows it, as eight lower-case hex digits:
//!
//! ```text
//! {"c":"1a2b3c4d","seq":7,...}
//! ```
//!
//! Damage may well leave valid JSON behind; it does not leave a right checksum. The sum is seeded: lines of one file
//! begin from the sum of its header, so that a line from another file is as foreign as a damaged one.

const OPEN: &[u8] = b"{\"c\":\"";
const CLOSE: &[u8] = b"\",";
const DIGITS: usize = 8;

/// A line's text and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealed<'a> {
    /// What follows the checksum's comma, the closing brace included.
    pub(crate) body: &'a str,
    /// The checksum.
    pub(crate) sum: u32,
}

fn sum(seed: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(body);
    hasher.finalize()
}

/// Appends the line of `object`, a JSON object's text with at least one member and no raw newline; gives its checksum.
pub(crate) fn seal(seed: u32, object: &str, out: &mut Vec<u8>) -> u32 {
    let body = object.strip_prefix('{').unwrap_or(object).as_bytes();
    let sum = sum(seed, body);
    out.extend_from_slice(OPEN);
    out.extend_from_slice(format!("{sum:08x}").as_bytes());
    out.extend_from_slice(CLOSE);
    out.extend_from_slice(body);
    out.push(b'\n');
    sum
}

/// Takes a line (without its newline) apart; `None` when it is not exactly what [`seal`] wrote.
pub(crate) fn unseal(seed: u32, line: &[u8]) -> Option<Unsealed<'_>> {
    let rest = line.strip_prefix(OPEN)?;
    let (digits, rest) = rest.split_at_checked(DIGITS)?;
    let body = rest.strip_prefix(CLOSE)?;
    // One spelling only: a flipped case bit must not pass.
    if !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let told = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    let body_text = str::from_utf8(body).ok()?;
    (sum(seed, body) == told).then_some(Unsealed { body: body_text, sum: told })
}

/// The text that [`Unsealed::body`] is the rest of, for a JSON parser.
pub(crate) fn object(body: &str) -> String {
    let mut text = String::with_capacity(body.len().saturating_add(1));
    text.push('{');
    text.push_str(body);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_and_the_sum_are_fixed() {
        let mut line = Vec::new();
        seal(0, "{\"v\":1}", &mut line);
        // CRC-32 of `"v":1}`, as any other tool computes it.
        assert_eq!(str::from_utf8(&line).unwrap(), "{\"c\":\"461a1d31\",\"v\":1}\n");
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["v"], 1);
    }

    proptest! {
        #[test]
        fn any_flip_is_seen(seed: u32, text in "[a-z0-9\\\\\"é ]{0,60}", at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let object = serde_json::json!({"text": text}).to_string();
            let mut line = Vec::new();
            seal(seed, &object, &mut line);
            line.pop();
            prop_assert_eq!(unseal(seed, &line).map(|u| super::object(u.body)), Some(object));
            prop_assert_eq!(unseal(seed.wrapping_add(1), &line), None);
            let at = at.index(line.len());
            line[at] ^= flip;
            prop_assert_eq!(unseal(seed, &line), None);
            prop_assert_eq!(unseal(seed, &line[..at]), None);
        }
    }
}
