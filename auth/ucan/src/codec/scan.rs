//! Walks over encoded bytes without recursion and without building values.

use super::CodecError;
use crate::limits::MAX_SAFE_INTEGER;

/// What an encoded value may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most bytes of input.
    pub(crate) bytes: usize,
    /// Deepest nesting of lists and maps.
    pub(crate) depth: usize,
    /// Most data items, keys included.
    pub(crate) items: usize,
    /// Whether floats are allowed.
    pub(crate) floats: bool,
    /// Whether integers must be within ±(2^53 - 1).
    pub(crate) safe_integers: bool,
}

const MAJOR_UNSIGNED: u8 = 0;
const MAJOR_NEGATIVE: u8 = 1;
const MAJOR_BYTES: u8 = 2;
const MAJOR_TEXT: u8 = 3;
const MAJOR_LIST: u8 = 4;
const MAJOR_MAP: u8 = 5;
const MAJOR_TAG: u8 = 6;
/// The tag of a link in DAG-CBOR.
const TAG_LINK: u64 = 42;
/// Shortest content of a link: the identity multibase byte and a CID of a few bytes.
const LINK_MIN_BYTES: usize = 5;

/// The first bytes of a data item.
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

/// An open list or map.
struct Frame<'a> {
    /// Items still to come; a key and its value are two.
    remaining: u64,
    is_map: bool,
    previous_key: Option<&'a [u8]>,
}

struct Scanner<'a> {
    input: &'a [u8],
    bounds: Bounds,
    items: usize,
    open: Vec<Frame<'a>>,
}

/// Checks that `bytes` is one canonical DAG-CBOR value within `bounds`.
///
/// Costs one pass and at most `bounds.depth` frames, whatever the input claims about lengths.
pub(crate) fn scan(bytes: &[u8], bounds: &Bounds) -> Result<(), CodecError> {
    if bytes.len() > bounds.bytes {
        return Err(CodecError::TooLarge { found: bytes.len(), limit: bounds.bytes });
    }
    let mut scanner = Scanner { input: bytes, bounds: *bounds, items: 0, open: Vec::new() };
    loop {
        scanner.item()?;
        while scanner.open.last().is_some_and(|frame| frame.remaining == 0) {
            scanner.open.pop();
        }
        match scanner.open.last_mut() {
            Some(frame) => frame.remaining = frame.remaining.saturating_sub(1),
            None => break,
        }
    }
    match scanner.input.len() {
        0 => Ok(()),
        extra => Err(CodecError::TrailingBytes { extra }),
    }
}

impl<'a> Scanner<'a> {
    /// Reads one item; of a list or map only its head.
    fn item(&mut self) -> Result<(), CodecError> {
        self.items = self.items.saturating_add(1);
        if self.items > self.bounds.items {
            return Err(CodecError::TooManyItems { limit: self.bounds.items });
        }
        let head = self.head()?;
        if self.at_key() {
            return self.key(&head);
        }
        match head.major {
            MAJOR_UNSIGNED => self.integer(head.argument <= MAX_SAFE_INTEGER),
            // A negative integer is -1 - argument.
            MAJOR_NEGATIVE => self.integer(head.argument < MAX_SAFE_INTEGER),
            MAJOR_BYTES => self.take(head.argument).map(|_| ()),
            MAJOR_TEXT => self.text(head.argument).map(|_| ()),
            MAJOR_LIST => self.open(head.argument, false),
            MAJOR_MAP => self.open(head.argument, true),
            MAJOR_TAG => self.link(head.argument),
            _ => self.simple(&head),
        }
    }

    /// Whether the item at hand is a key of a map. `remaining` was already lowered for it, so an
    /// odd number of items is left when it is a key.
    fn at_key(&self) -> bool {
        self.open.last().is_some_and(|frame| frame.is_map && frame.remaining % 2 == 1)
    }

    fn head(&mut self) -> Result<Head, CodecError> {
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let width = 1u64 << (info - 24);
                let wide = self.take(width)?.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
                // Floats carry bits, not a number: there the width itself is the form.
                let smallest = match info {
                    _ if major == 7 => 0,
                    24 => 24,
                    25 => 1 << 8,
                    26 => 1 << 16,
                    _ => 1 << 32,
                };
                if wide < smallest {
                    return Err(CodecError::NotShortest);
                }
                wide
            }
            28..=30 => return Err(CodecError::Reserved),
            _ if matches!(major, MAJOR_BYTES..=MAJOR_MAP | 7) => return Err(CodecError::Indefinite),
            _ => return Err(CodecError::Reserved),
        };
        Ok(Head { major, info, argument })
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.input.split_first().ok_or(CodecError::Truncated)?;
        self.input = rest;
        Ok(*first)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CodecError> {
        let length = usize::try_from(length).map_err(|_| CodecError::Truncated)?;
        let (taken, rest) = self.input.split_at_checked(length).ok_or(CodecError::Truncated)?;
        self.input = rest;
        Ok(taken)
    }

    fn text(&mut self, length: u64) -> Result<&'a [u8], CodecError> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| CodecError::NotUtf8)?;
        Ok(bytes)
    }

    fn integer(&self, safe: bool) -> Result<(), CodecError> {
        if safe || !self.bounds.safe_integers { Ok(()) } else { Err(CodecError::IntegerTooLarge) }
    }

    fn open(&mut self, length: u64, is_map: bool) -> Result<(), CodecError> {
        if self.open.len() >= self.bounds.depth {
            return Err(CodecError::TooDeep { limit: self.bounds.depth });
        }
        // Every item takes a byte at least: a claim beyond the input is known to be cut off.
        let items = if is_map { length.saturating_mul(2) } else { length };
        if items > self.input.len() as u64 {
            return Err(CodecError::Truncated);
        }
        self.open.push(Frame { remaining: items, is_map, previous_key: None });
        Ok(())
    }

    fn key(&mut self, head: &Head) -> Result<(), CodecError> {
        if head.major != MAJOR_TEXT {
            return Err(CodecError::KeyNotText);
        }
        let key = self.text(head.argument)?;
        let Some(frame) = self.open.last_mut() else { return Err(CodecError::Reserved) };
        if let Some(previous) = frame.previous_key {
            match (previous.len(), previous).cmp(&(key.len(), key)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(CodecError::DuplicateKey),
                std::cmp::Ordering::Greater => return Err(CodecError::KeyOrder),
            }
        }
        frame.previous_key = Some(key);
        Ok(())
    }

    fn link(&mut self, tag: u64) -> Result<(), CodecError> {
        if tag != TAG_LINK {
            return Err(CodecError::UnknownTag { tag });
        }
        let head = self.head()?;
        if head.major != MAJOR_BYTES {
            return Err(CodecError::BadLink);
        }
        let content = self.take(head.argument)?;
        if content.len() < LINK_MIN_BYTES || content.first() != Some(&0) {
            return Err(CodecError::BadLink);
        }
        Ok(())
    }

    fn simple(&self, head: &Head) -> Result<(), CodecError> {
        match head.info {
            20..=22 => Ok(()),
            27 if !self.bounds.floats => Err(CodecError::Float),
            27 if !f64::from_bits(head.argument).is_finite() => Err(CodecError::NotFinite),
            27 => Ok(()),
            _ => Err(CodecError::BadSimple),
        }
    }
}
