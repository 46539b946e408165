//! The TXT record of `_clankers._udp.local.` (RFC 6763 section 6), version 1.
//!
//! | key | value |
//! |---|---|
//! | `txtvers` | `1` |
//! | `id` | the node id in z-base-32, 52 characters; also the instance label |
//! | `v` | version of the software |
//! | `p4`, `p6` | UDP ports of the IPv4 and IPv6 sockets |
//! | `f` | flags as a hexadecimal number; 1: this node is leaving, to be forgotten at once |
//! | `n` | label, optional: a claim |
//! | `b` | a number made up at each start, hexadecimal: who is back at once says something new |
//!
//! No session names, user names, paths or tokens.

use std::net::{IpAddr, SocketAddr};

use clankers_protocol::{NodeId, text};

use super::table::Heard;
use crate::{
    limits::{
        DISCOVERED_ADDRESSES, INSTANCE_BYTES, TXT_BYTES, TXT_BYTES_READ, TXT_LABEL_BYTES, TXT_VERSION_BYTES,
    },
    peer::is_dialable,
};

/// The service type.
pub const SERVICE: &str = "_clankers._udp.local.";

/// The flag of a node that is leaving. A goodbye alone is heard a second later: receivers keep what was taken back
/// for that long (RFC 6762 section 10.1).
const LEAVING: u32 = 1;

/// What this node announces.
#[derive(Debug, Clone)]
pub(crate) struct OwnRecord {
    pub(crate) id: NodeId,
    /// The bound sockets.
    pub(crate) ports: Vec<SocketAddr>,
    pub(crate) label: Option<String>,
}

/// Why a record that was heard is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Longer than any honest record.
    #[error("TXT record too large")]
    TooLarge,
    /// Written in another version of the format.
    #[error("TXT record of another version")]
    Version,
    /// The id is missing, not 52 characters of z-base-32, or not the instance's name.
    #[error("TXT record without a proper id")]
    Id,
    /// It is our own.
    #[error("our own record")]
    Own,
    /// No address to which a packet could be sent.
    #[error("record without a usable address")]
    NoAddress,
}

/// The instance label of a node: its id in z-base-32 (52 bytes of the 63 that DNS allows).
#[must_use]
pub fn instance(id: NodeId) -> String {
    let mut label = z32::encode(&id.0);
    label.truncate(INSTANCE_BYTES);
    label
}

/// The id in a full name such as `<instance>._clankers._udp.local.`; DNS compares names without case.
#[must_use]
pub fn id_of(fullname: &str) -> Option<NodeId> {
    let (label, rest) = fullname.split_once('.')?;
    rest.eq_ignore_ascii_case(SERVICE).then_some(label).and_then(id_from_z32)
}

fn id_from_z32(label: &str) -> Option<NodeId> {
    let id = z32::decode(label.to_ascii_lowercase().as_bytes()).ok()?.try_into().ok().map(NodeId)?;
    // 52 digits hold 260 bits: of the spellings that differ in the last four, only one is the id's.
    (instance(id) == label.to_ascii_lowercase()).then_some(id)
}

impl OwnRecord {
    /// Keys and values to announce; within [`TXT_BYTES`].
    pub(crate) fn txt(&self, leaving: bool) -> Vec<(&'static str, String)> {
        let mut version = env!("CARGO_PKG_VERSION").to_owned();
        version.truncate(TXT_VERSION_BYTES);
        let mut txt = vec![("txtvers", "1".to_owned()), ("id", instance(self.id)), ("v", version)];
        for (key, v4) in [("p4", true), ("p6", false)] {
            if let Some(port) = self.port(v4) {
                txt.push((key, port.to_string()));
            }
        }
        txt.push(("f", format!("{:x}", if leaving { LEAVING } else { 0 })));
        if let Some(label) = &self.label {
            let label = text::line(label, TXT_LABEL_BYTES);
            let label = text::head(&label, TXT_LABEL_BYTES).trim().to_owned();
            if !label.is_empty() {
                txt.push(("n", label));
            }
        }
        // Cannot happen with the limits above; were it to, the last keys are the dispensable ones.
        while size(txt.iter().map(|(k, v)| (*k, v.len()))) > TXT_BYTES {
            txt.pop();
        }
        txt
    }

    /// The port of the IPv4 or the IPv6 socket.
    pub(crate) fn port(&self, v4: bool) -> Option<u16> {
        self.ports.iter().find(|a| a.is_ipv4() == v4).map(SocketAddr::port)
    }
}

/// Bytes of a TXT record: each pair is `key=value` after a length byte.
fn size<'a>(pairs: impl Iterator<Item = (&'a str, usize)>) -> usize {
    pairs.map(|(key, value)| key.len() + value + 2).sum()
}

/// Reads a record that anyone may have sent.
///
/// # Errors
/// [`RecordError`] when it is not used.
pub(crate) fn read(
    own: NodeId,
    fullname: &str,
    txt: &[(&str, &[u8])],
    ips: impl Iterator<Item = IpAddr>,
) -> Result<Heard, RecordError> {
    if size(txt.iter().map(|(k, v)| (*k, v.len()))) > TXT_BYTES_READ {
        return Err(RecordError::TooLarge);
    }
    // The first of several equal keys counts, keys have no case (RFC 6763 section 6.4).
    let get = |key: &str| {
        txt.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).and_then(|(_, v)| std::str::from_utf8(v).ok())
    };
    if get("txtvers") != Some("1") {
        return Err(RecordError::Version);
    }
    let id = get("id").and_then(id_from_z32).ok_or(RecordError::Id)?;
    if id_of(fullname) != Some(id) {
        return Err(RecordError::Id);
    }
    if id == own {
        return Err(RecordError::Own);
    }
    let port = |key| get(key).and_then(|p| p.parse::<u16>().ok());
    let (p4, p6) = (port("p4"), port("p6"));
    let mut addrs: Vec<_> = ips
        .filter_map(|ip| match ip.to_canonical() {
            IpAddr::V4(v4) => p4.map(|port| SocketAddr::from((v4, port))),
            IpAddr::V6(v6) => p6.map(|port| SocketAddr::from((v6, port))),
        })
        .filter(is_dialable)
        .collect();
    addrs.sort_unstable();
    addrs.dedup();
    addrs.truncate(DISCOVERED_ADDRESSES);
    if addrs.is_empty() {
        return Err(RecordError::NoAddress);
    }
    let label = get("n").map(|n| text::line(n.trim(), TXT_LABEL_BYTES)).filter(|n| !n.is_empty());
    let version = text::line(get("v").unwrap_or("?"), TXT_VERSION_BYTES);
    let flags = get("f").and_then(|f| u32::from_str_radix(f, 16).ok()).unwrap_or(0);
    Ok(Heard { id, addrs, label, version, leaving: flags & LEAVING != 0 })
}
