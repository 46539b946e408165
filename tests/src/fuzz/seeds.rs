//! What each target begins with: the checked-in vectors, and a few words.

use clankers_protocol::{
    CidDigest, Ext, NodeId, TeamId, Timestamp,
    event::{Event, StreamItem},
    kind::Kind,
    presence::{Gossiped, Load, Lost, Noted, Notice, Record, Say},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;
use ucan::{Container, ContainerLimits, Did, Profile};

use super::{disk, wire};

/// The largest seed (bytes): large ones slow every later step.
const SEED_BYTES: usize = 4096;

macro_rules! vectors {
    ($($name:literal),*) => {
        &[$(include_str!(concat!("../../vectors/tokens/", $name, ".json"))),*]
    };
}

/// The vectors of tokens, as they are checked in.
const VECTORS: &[&str] = vectors!(
    "authority",
    "chain",
    "container",
    "encoding",
    "good",
    "invocation",
    "payload",
    "policy",
    "revocation",
    "signature",
    "time"
);
const FRAMES: &str = include_str!("../../vectors/frames.json");

/// The bytes of all vectors that are judged in one of these ways.
pub fn shown(judged: &[&str]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for file in VECTORS {
        let Value::Array(vectors) = serde_json::from_str(file).unwrap() else { panic!("not a list") };
        let fits = |vector: &&Value| judged.contains(&vector["judge"].as_str().unwrap());
        let bytes = |vector: &Value| BASE64URL_NOPAD.decode(vector["bytes"].as_str().unwrap().as_bytes());
        all.extend(vectors.iter().filter(fits).map(|vector| bytes(vector).unwrap()));
    }
    all.retain(|bytes| bytes.len() <= SEED_BYTES);
    all.sort_unstable();
    all.dedup();
    all
}

/// A chain that must be refused when it is shown, and where.
pub struct Refused {
    /// The vector's name.
    pub name: String,
    /// Who judges.
    pub me: NodeId,
    /// Who shows it.
    pub remote: NodeId,
    /// When.
    pub now: Timestamp,
    /// The node's epoch.
    pub epoch: Timestamp,
    /// What is shown.
    pub bytes: Vec<u8>,
    /// The name of the code that the peer is told.
    pub code: String,
}

/// The vectors of chains that are refused for what they are, not for what the node has stored.
pub fn refused() -> Vec<Refused> {
    let mut all = Vec::new();
    for file in VECTORS {
        let Value::Array(vectors) = serde_json::from_str(file).unwrap() else { panic!("not a list") };
        let stored =
            |vector: &Value| ["revoked", "overflowed", "unreadable"].iter().any(|key| !vector[key].is_null());
        for vector in vectors.iter().filter(|vector| vector["judge"] == "chain" && !stored(vector)) {
            let Some(code) = vector["expect"]["refused"]["code"].as_str() else { continue };
            let text = |key: &str| vector[key].as_str().unwrap();
            let node = |key: &str| NodeId(text(key).parse::<Did>().unwrap().into());
            let time = |key: &str| Timestamp(vector[key].as_u64().unwrap());
            all.push(Refused {
                name: text("name").to_owned(),
                me: node("me"),
                remote: node("remote"),
                now: time("now_ms"),
                epoch: time("epoch_ms"),
                bytes: BASE64URL_NOPAD.decode(text("bytes").as_bytes()).unwrap(),
                code: code.to_owned(),
            });
        }
    }
    all
}

/// Every way.
pub const ANY: &[&str] = &["chain", "request", "effect", "invocation", "revocation"];

/// The single tokens in them.
pub fn tokens() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = shown(ANY)
        .iter()
        .filter_map(|bytes| Container::decode(bytes, &ContainerLimits::WITH_INVOCATION, Profile::Spec).ok())
        .flat_map(|container| container.tokens().map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The golden frames: header and body.
fn golden() -> Vec<Vec<u8>> {
    let Value::Object(frames) = serde_json::from_str(FRAMES).unwrap() else { panic!("not a map") };
    frames.values().map(|hex| HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap()).collect()
}

/// Streams of frames, in small and large pieces.
pub fn streams() -> Vec<Vec<u8>> {
    let golden = golden();
    let in_pieces = |piece: u8, frames: &[Vec<u8>]| [&[piece][..], &frames.concat()].concat();
    golden.chunks(8).flat_map(|frames| [in_pieces(0, frames), in_pieces(200, frames)]).collect()
}

/// Kind and body of the golden frames of events, or of all others.
pub fn bodies(events: bool) -> Vec<Vec<u8>> {
    let kind = |frame: &[u8]| Kind(u16::from_le_bytes([frame[0], frame[1]]));
    let wanted = |frame: &&Vec<u8>| wire::is_event(kind(frame)) == events;
    golden().iter().filter(wanted).map(|frame| [&frame[..2], &frame[6..]].concat()).collect()
}

/// Payloads of a team's gossip: each kind, small and large.
pub fn payloads() -> Vec<Vec<u8>> {
    let (team, author) = (TeamId([7; 32]), NodeId([1; 32]));
    let record = Record {
        team,
        author,
        boot_id: 1_800_000_000_000,
        counter: 3,
        at: Timestamp(1_800_000_000_000),
        lease_ms: 16_500,
        addrs: vec!["10.0.0.1:4433".parse().unwrap(), "[2001:db8::1]:4434".parse().unwrap()],
        relay: Some("https://relay.example".into()),
        label: Some("desk".into()),
        version: "clankers/0.1.0".into(),
        load: Load { sessions: 2, running: 1 },
        leaving: false,
        ext: Ext(vec![(1, vec![2, 3])]),
    };
    let bare = Record { addrs: Vec::new(), relay: None, label: None, ext: Ext::default(), ..record.clone() };
    let lost = Lost { team, author, counter: 1, member: NodeId([2; 32]), boot_id: 5, heard: 9 };
    let noted =
        Noted { cid: CidDigest([3; 32]), subject: team.node(), expires: Timestamp(1_900_000_000_000) };
    let notice = |count| Say::Revoked(Notice { team, author, counter: 2, revoked: vec![noted; count] });
    [Say::Presence(record), Say::Presence(bare), Say::Lost(lost), notice(0), notice(1), notice(32)]
        .into_iter()
        .map(|say| Gossiped::unsigned(say).encode().unwrap())
        .collect()
}

/// Logs of one event each, and of all.
pub fn logs() -> Vec<Vec<u8>> {
    let event =
        |data: &Vec<u8>| match StreamItem::decode(Kind(u16::from_le_bytes([data[0], data[1]])), &data[2..]) {
            Ok(Some(StreamItem::Durable(durable))) => Some(durable.event),
            _ => None,
        };
    let events: Vec<Event> = bodies(true).iter().filter_map(event).collect();
    let mut logs: Vec<_> = events.iter().map(|event| disk::log_of(std::slice::from_ref(event))).collect();
    logs.push(disk::log_of(&events[..events.len().min(6)]));
    logs
}

/// Some words.
pub fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
