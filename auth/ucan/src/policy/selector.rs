//! Selectors: the jq-like paths by which a policy reaches into the arguments.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::limits::{SELECTOR_BYTES, SELECTOR_SEGMENTS};

/// A path into the arguments, such as `.path`, `.to[0]`, `.ctx["per min"]`, `.list[1:-1]`, `.map[]`.
///
/// Source: UCAN Delegation 1.0, "Selectors".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    step: Step,
    optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A value of a map.
    Field(String),
    /// An element of a list or a byte; negative from the end.
    Index(i64),
    /// A range of a list or of bytes; negative from the end.
    Slice(Option<i64>, Option<i64>),
    /// The elements of a list, the values of a map.
    Values,
}

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{selector}` is not a selector: {reason}")]
pub struct SelectorError {
    /// The text, cut to a readable length.
    pub selector: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a selector leads to when a key of a map is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingKey {
    /// Null, as the specification says.
    IsNull,
    /// Nothing: the selector does not resolve.
    Fails,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// [`SelectorError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let fail = |reason| SelectorError { selector: text.chars().take(40).collect(), reason };
        if text.len() > SELECTOR_BYTES {
            return Err(fail("it is too long"));
        }
        let segments = parse_segments(text).map_err(fail)?;
        if segments.len() > SELECTOR_SEGMENTS {
            return Err(fail("it has too many segments"));
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The text of the selector.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether some segment is optional (`?`).
    pub fn has_optional(&self) -> bool {
        self.segments.iter().any(|segment| segment.optional)
    }

    /// Whether following the path may look at the value at `path` (names of maps), at something that holds it, or
    /// at something inside it. A step that takes elements by number, or all of them, may.
    pub fn may_reach(&self, path: &[&str]) -> bool {
        for (segment, name) in self.segments.iter().zip(path) {
            match &segment.step {
                Step::Field(field) if field == name => {}
                Step::Field(_) => return false,
                Step::Index(_) | Step::Slice(..) | Step::Values => return true,
            }
        }
        true
    }

    /// Follows the path from `root`; `None` when it leads nowhere.
    pub(crate) fn resolve<'a>(&self, root: &'a Ipld, missing: MissingKey) -> Option<Cow<'a, Ipld>> {
        let mut at = Cow::Borrowed(root);
        for segment in &self.segments {
            at = match step(at, &segment.step, missing) {
                Some(next) => next,
                None if segment.optional => Cow::Owned(Ipld::Null),
                None => return None,
            };
        }
        Some(at)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_segments(text: &str) -> Result<Vec<Segment>, &'static str> {
    let mut rest = text.strip_prefix('.').ok_or("it must begin with a dot")?;
    let mut segments = Vec::new();
    if rest.is_empty() {
        return Ok(segments);
    }
    // The leading dot is read: a name or a bracket follows it.
    let mut after_dot = true;
    while !rest.is_empty() || after_dot {
        let (step, tail) = match rest.strip_prefix('[') {
            Some(inside) => parse_bracket(inside)?,
            None if after_dot => parse_name(rest)?,
            None => return Err("a segment begins with a dot or a bracket"),
        };
        let tail_without_marks = tail.trim_start_matches('?');
        segments.push(Segment { step, optional: tail_without_marks.len() != tail.len() });
        (rest, after_dot) = match tail_without_marks.strip_prefix('.') {
            Some(tail) => (tail, true),
            None => (tail_without_marks, false),
        };
    }
    Ok(segments)
}

fn parse_name(text: &str) -> Result<(Step, &str), &'static str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).ok_or("a name is cut off")?;
    match name.bytes().next() {
        None => Err("a name is missing after a dot"),
        Some(b'0'..=b'9') => Err("a name begins with a digit; write it as [\"...\"]"),
        Some(_) => Ok((Step::Field(name.to_owned()), rest)),
    }
}

fn parse_bracket(inside: &str) -> Result<(Step, &str), &'static str> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let (name, rest) = parse_quoted(quoted)?;
        let rest = rest.strip_prefix(']').ok_or("a bracket is not closed")?;
        return Ok((Step::Field(name), rest));
    }
    let (content, rest) = inside.split_once(']').ok_or("a bracket is not closed")?;
    let step = match content.split_once(':') {
        None if content.is_empty() => Step::Values,
        None => Step::Index(parse_number(content)?),
        Some((from, to)) => {
            let bound = |text: &str| if text.is_empty() { Ok(None) } else { parse_number(text).map(Some) };
            match (bound(from)?, bound(to)?) {
                (None, None) => return Err("a slice needs a bound"),
                (from, to) => Step::Slice(from, to),
            }
        }
    };
    Ok((step, rest))
}

fn parse_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((name, chars.as_str())),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => name.push(escaped),
                _ => return Err("only \\\" and \\\\ are escapes in a quoted name"),
            },
            other => name.push(other),
        }
    }
    Err("a quoted name is not closed")
}

fn parse_number(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !plain || !digits.bytes().all(|b| b.is_ascii_digit()) || text == "-0" {
        return Err("an index is a plain decimal number");
    }
    text.parse().map_err(|_| "an index is too large")
}

/// The position of `index` in something of this length, negative counting from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    let magnitude = usize::try_from(index.unsigned_abs()).ok()?;
    let at = if index < 0 { length.checked_sub(magnitude)? } else { magnitude };
    (at < length).then_some(at)
}

/// A bound of a slice, clamped as jq does.
fn bound(index: i64, length: usize) -> usize {
    let magnitude = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 { length.saturating_sub(magnitude) } else { magnitude.min(length) }
}

fn range(from: Option<i64>, to: Option<i64>, length: usize) -> std::ops::Range<usize> {
    let start = from.map_or(0, |i| bound(i, length));
    let end = to.map_or(length, |i| bound(i, length));
    start..end.max(start)
}

fn step<'a>(at: Cow<'a, Ipld>, step: &Step, missing: MissingKey) -> Option<Cow<'a, Ipld>> {
    // What is already a copy (a slice, the values of a map) is followed in the copy.
    match at {
        Cow::Borrowed(value) => step_into(value, step, missing),
        Cow::Owned(value) => step_into(&value, step, missing).map(|found| Cow::Owned(found.into_owned())),
    }
}

fn step_into<'a>(value: &'a Ipld, step: &Step, missing: MissingKey) -> Option<Cow<'a, Ipld>> {
    match (step, value) {
        (Step::Field(name), Ipld::Map(map)) => field(map, name, missing),
        (Step::Index(index), Ipld::List(list)) => list.get(position(*index, list.len())?).map(Cow::Borrowed),
        (Step::Index(index), Ipld::Bytes(bytes)) => {
            let byte = bytes.get(position(*index, bytes.len())?)?;
            Some(Cow::Owned(Ipld::Integer((*byte).into())))
        }
        (Step::Slice(from, to), Ipld::List(list)) => {
            list.get(range(*from, *to, list.len())).map(|part| Cow::Owned(Ipld::List(part.to_vec())))
        }
        (Step::Slice(from, to), Ipld::Bytes(bytes)) => {
            bytes.get(range(*from, *to, bytes.len())).map(|part| Cow::Owned(Ipld::Bytes(part.to_vec())))
        }
        (Step::Values, Ipld::List(_)) => Some(Cow::Borrowed(value)),
        (Step::Values, Ipld::Map(map)) => Some(Cow::Owned(Ipld::List(map.values().cloned().collect()))),
        _ => None,
    }
}

fn field<'a>(map: &'a BTreeMap<String, Ipld>, name: &str, missing: MissingKey) -> Option<Cow<'a, Ipld>> {
    match (map.get(name), missing) {
        (Some(value), _) => Some(Cow::Borrowed(value)),
        (None, MissingKey::IsNull) => Some(Cow::Owned(Ipld::Null)),
        (None, MissingKey::Fails) => None,
    }
}

#[cfg(test)]
mod tests;
