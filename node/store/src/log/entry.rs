//! What stands on the lines of a session log.
//!
//! ```text
//! {"c":"........","v":1,"session":"<id>","epoch":1763,"created":1763,"principal":"<id>","cwd":"/w","model":"m","title":null}
//! {"c":"........","seq":1,"at":1764,"event":{"type":"prompt",...}}
//! {"c":"........","epoch":1770,"after":1,"at":1770}
//! ```

use clankers_protocol::{
    NodeId, SessionId, Timestamp,
    event::{Durable, Event},
};
use serde::{Deserialize, Serialize};

use crate::line;

/// The version of the session log's format that is written and read here.
pub const LOG_VERSION: u64 = 1;

/// The first line of a session log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeader {
    /// The format's version: [`LOG_VERSION`].
    pub v: u64,
    /// The session.
    pub session: SessionId,
    /// The epoch it began with; [`crate::LogReader::epoch`] knows the current one.
    pub epoch: u64,
    /// When it was created.
    pub created: Timestamp,
    /// Who created it.
    pub principal: NodeId,
    /// The directory it works in.
    pub cwd: String,
    /// Its model, as `provider/name`.
    pub model: String,
    /// Its title, when it was given one.
    pub title: Option<String>,
}

/// Only the version: what every later format must keep readable.
#[derive(Deserialize)]
pub(crate) struct AnyVersion {
    pub(crate) v: u64,
}

#[derive(Serialize)]
struct EventLine<'a> {
    seq: u64,
    at: Timestamp,
    event: &'a Event,
}

#[derive(Serialize, Deserialize)]
struct EpochLine {
    epoch: u64,
    after: u64,
    at: Timestamp,
}

/// A checked line after the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A durable event, its content still text.
    Event(RawEvent<'a>),
    /// From here on cursors of earlier epochs are void: history after `after` was lost.
    Epoch { epoch: u64, after: u64 },
}

/// A durable event whose content is still text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawEvent<'a> {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) json: &'a str,
}

impl RawEvent<'_> {
    /// The event; `None` when this version does not know it.
    pub(crate) fn parse(&self) -> Option<Durable> {
        let event = serde_json::from_str(self.json).ok()?;
        Some(Durable { seq: self.seq, at: self.at, event })
    }

    /// Whether it is an event of this type, without parsing it.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.json
            .strip_prefix("{\"type\":\"")
            .and_then(|rest| rest.strip_prefix(kind))
            .is_some_and(|rest| rest.starts_with('"'))
    }
}

/// Takes a line's checked body apart. Cheap: the body is known to be what [`seal_event`] or [`seal_epoch`] wrote.
pub(crate) fn entry(body: &str) -> Option<Entry<'_>> {
    if let Some(rest) = body.strip_prefix("\"seq\":") {
        let (seq, rest) = number(rest)?;
        let (at, rest) = number(rest.strip_prefix(",\"at\":")?)?;
        let json = rest.strip_prefix(",\"event\":")?.strip_suffix('}')?;
        return Some(Entry::Event(RawEvent { seq, at: Timestamp(at), json }));
    }
    let line: EpochLine = serde_json::from_str(&line::object(body)).ok()?;
    Some(Entry::Epoch { epoch: line.epoch, after: line.after })
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

pub(crate) fn seal_event(
    seed: u32,
    seq: u64,
    at: Timestamp,
    event: &Event,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let text = serde_json::to_string(&EventLine { seq, at, event })?;
    line::seal(seed, &text, out);
    Ok(())
}

pub(crate) fn seal_epoch(
    seed: u32,
    epoch: u64,
    after: u64,
    at: Timestamp,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let text = serde_json::to_string(&EpochLine { epoch, after, at })?;
    line::seal(seed, &text, out);
    Ok(())
}

pub(crate) fn seal_header(header: &LogHeader, out: &mut Vec<u8>) -> serde_json::Result<u32> {
    let text = serde_json::to_string(header)?;
    Ok(line::seal(0, &text, out))
}
