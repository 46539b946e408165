//! Golden vectors: what version 1 looks like on the wire, for ever.
//!
//! `tests/vectors/frames.json` maps a name (`KIND` or `KIND/variant`) to a whole frame in hex: header and body.

use std::{collections::BTreeMap, fs, path::PathBuf};

use clankers_protocol::{frame::Decoder, kind, limits::FRAME_BYTES};

use super::{
    root,
    samples::{self, Sample},
    update,
};

fn path() -> PathBuf {
    root().join("tests/vectors/frames.json")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(pair).collect()
}

fn golden() -> BTreeMap<String, String> {
    if update("UPDATE_VECTORS") {
        let new: BTreeMap<String, String> =
            samples::all().iter().map(|s| (s.name.clone(), hex(&s.frame))).collect();
        fs::write(path(), serde_json::to_string_pretty(&new).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap()
}

/// What is wrong between the vectors and this version, each in one line. Pure.
fn faults(golden: &BTreeMap<String, String>, samples: &[Sample]) -> Vec<String> {
    let mut faults = Vec::new();
    for sample in samples {
        let name = &sample.name;
        let Some(old) = golden.get(name) else {
            faults.push(format!("{name}: has no vector"));
            continue;
        };
        if *old != hex(&sample.frame) {
            faults.push(format!("{name}: is written as\n  {}\nand was\n  {old}", hex(&sample.frame)));
        }
        if let Err(why) = reads(&bytes(old), sample) {
            faults.push(format!("{name}: the vector {why}"));
        }
    }
    for kind in kind::ALL.iter().filter(|kind| samples.iter().all(|s| s.kind != **kind)) {
        faults.push(format!("{kind}: no sample in tests/house/samples.rs"));
    }
    for name in golden.keys().filter(|name| samples.iter().all(|s| s.name != **name)) {
        faults.push(format!("{name}: a vector of nothing; kinds are never taken away"));
    }
    faults
}

/// Reads a frame from the wire, one byte at a time, and compares what it says.
fn reads(wire: &[u8], sample: &Sample) -> Result<(), String> {
    let mut decoder = Decoder::new(FRAME_BYTES);
    let mut frames = Vec::new();
    for byte in wire {
        decoder.push(&[*byte]);
        frames.extend(decoder.next_frame().map_err(|e| e.to_string())?);
    }
    decoder.finish().map_err(|e| e.to_string())?;
    match frames.as_slice() {
        [frame] if frame.kind == sample.kind => (sample.same)(&frame.body),
        other => Err(format!("holds {} frames, or one of another kind", other.len())),
    }
}

#[test]
fn no_frame_changes() {
    let found = faults(&golden(), &samples::all());
    assert!(
        found.is_empty(),
        "the wire of version 1 is frozen. A new kind: UPDATE_VECTORS=1. A changed one breaks every peer:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_change_a_gap_and_a_leftover_are_found() {
    let samples = samples::all();
    let golden = golden();
    for name in golden.keys() {
        let mut gap = golden.clone();
        gap.remove(name);
        assert_eq!(faults(&gap, &samples), [format!("{name}: has no vector")]);
    }
    let mut changed = golden.clone();
    // Another nonce: still a Ping, another value.
    let ping = changed["PING"].replace("b424", "b524");
    assert_ne!(ping, changed["PING"]);
    changed.insert("PING".into(), ping);
    let found = faults(&changed, &samples);
    assert!(
        found.len() == 2 && found[0].contains("is written as") && found[1].contains("decodes to"),
        "{found:?}"
    );
    let mut more = golden.clone();
    more.insert("GONE".into(), String::new());
    assert_eq!(faults(&more, &samples).len(), 1);
    let without_ping: Vec<Sample> = samples::all().into_iter().filter(|s| s.name != "PING").collect();
    assert!(faults(&golden, &without_ping).contains(&"PING: no sample in tests/house/samples.rs".to_owned()));
}

/// The attack: a body that is longer or shorter than its message says.
#[test]
fn bytes_too_many_and_too_few_are_refused() {
    for sample in samples::all() {
        let body = &sample.frame[clankers_protocol::frame::HEADER_BYTES..];
        assert_eq!((sample.same)(body), Ok(()), "{}", sample.name);
        let mut longer = body.to_vec();
        longer.push(0);
        assert!((sample.same)(&longer).is_err(), "{}", sample.name);
        for cut in 0..body.len() {
            assert!((sample.same)(&body[..cut]).is_err(), "{} cut to {cut}", sample.name);
        }
    }
}
