//! The official fixtures of UCAN 1.0.0. They are not part of this project: when they are absent,
//! these tests say so and pass.

use std::path::PathBuf;

use data_encoding::{BASE64, BASE64_NOPAD};
use serde_json::Value;
use ucan::{
    Cid, Command, Delegation, Did, Invocation, InvocationError, Ipld, Policy, Profile, SigningKey, Timestamp,
    Unverified, Verified,
};

fn read(name: &str) -> Option<Value> {
    let folder = std::env::var_os("UCAN_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/ucan-1.0.0"),
        PathBuf::from,
    );
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            println!("skipped: {}: {error}; set UCAN_FIXTURES to the folder of the fixtures", path.display());
            None
        }
    }
}

fn ipld(value: &Value) -> Ipld {
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(b) => Ipld::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| Ipld::Float(n.as_f64().unwrap()), |i| Ipld::Integer(i.into()))
        }
        Value::String(s) => Ipld::String(s.clone()),
        Value::Array(list) => Ipld::List(list.iter().map(ipld).collect()),
        Value::Object(map) => Ipld::Map(map.iter().map(|(k, v)| (k.clone(), ipld(v))).collect()),
    }
}

fn dag_json_bytes(value: &Value) -> Vec<u8> {
    BASE64_NOPAD.decode(value["/"]["bytes"].as_str().unwrap().as_bytes()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn the_delegation_is_reproduced_byte_for_byte() {
    let Some(fixtures) = read("delegation.json") else { return };
    for fixture in list(&fixtures["valid"]) {
        let bytes = BASE64.decode(fixture["token"].as_str().unwrap().as_bytes()).unwrap();
        let cid: Cid = fixture["cid"].as_str().unwrap().parse().unwrap();
        let want = &fixture["envelope"]["payload"];
        let field = |name: &str| want[name].as_str().unwrap();

        let bob = BASE64.decode(fixtures["principals"]["bob"].as_str().unwrap().as_bytes()).unwrap();
        let bob = SigningKey::from_bytes(bob.strip_prefix(&[0x80, 0x26]).unwrap().try_into().unwrap());
        let made = Delegation::build(
            field("sub").parse().unwrap(),
            field("aud").parse().unwrap(),
            Command::parse(field("cmd")).unwrap(),
            &BASE64.decode(field("nonce").as_bytes()).unwrap(),
        )
        .policy(Policy::from_ipld(&ipld(&want["pol"]), Profile::Spec).unwrap())
        .expires(Timestamp::from_secs(want["exp"].as_u64().unwrap()).unwrap())
        .sign(&bob, Profile::Spec)
        .unwrap();
        assert_eq!(made.bytes(), bytes);
        assert_eq!(made.cid(), &cid);

        let read = Unverified::<Delegation>::decode(&bytes, Profile::Spec).unwrap().verify().unwrap();
        assert_eq!(read.cid(), &cid);
        assert_eq!(read.issuer(), &field("iss").parse::<Did>().unwrap());
        assert_eq!(read.payload(), made.payload());
    }
}

#[test]
fn the_policies_accept_and_refuse() {
    let Some(fixtures) = read("policy.json") else { return };
    let mut seen = 0;
    for (kind, accepted) in [("valid", true), ("invalid", false)] {
        for fixture in list(&fixtures[kind]) {
            for source in list(&fixture["policies"]) {
                let policy = Policy::from_ipld(&ipld(source), Profile::Spec).unwrap();
                let verdict = policy.evaluate(&ipld(&fixture["args"]), Profile::Spec);
                assert_eq!(verdict.is_ok(), accepted, "{source}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 25, "the fixtures hold 17 policies that accept and 8 that refuse");
}

fn validate(fixture: &Value, profile: Profile) -> Result<(), InvocationError> {
    let invocation =
        Unverified::<Invocation>::decode(&dag_json_bytes(&fixture["invocation"]), profile)?.verify()?;
    let proofs = list(&fixture["proofs"])
        .iter()
        .map(|proof| Ok(Unverified::decode(&dag_json_bytes(proof), profile)?.verify()?))
        .collect::<Result<Vec<Verified<Delegation>>, InvocationError>>()?;
    let now = Timestamp::from_secs(fixture["time"].as_u64().unwrap()).unwrap();
    let resolve = |cid: &Cid| proofs.iter().find(|proof| proof.cid() == cid).cloned();
    invocation.validate(resolve, now, 0, profile).map(|_| ())
}

#[test]
fn the_invocations_get_the_right_verdict_for_the_right_reason() {
    let Some(fixtures) = read("invocation.json") else { return };
    assert_eq!((list(&fixtures["valid"]).len(), list(&fixtures["invalid"]).len()), (7, 13));
    for fixture in list(&fixtures["valid"]) {
        assert_eq!(validate(fixture, Profile::Spec), Ok(()), "{}", fixture["name"]);
    }
    for fixture in list(&fixtures["invalid"]) {
        let error = validate(fixture, Profile::Spec).unwrap_err();
        assert_eq!(error.name(), fixture["error"]["name"].as_str().unwrap(), "{}: {error}", fixture["name"]);
    }
}

#[test]
fn what_the_specification_refuses_the_strict_profile_refuses() {
    let Some(fixtures) = read("invocation.json") else { return };
    for fixture in list(&fixtures["invalid"]) {
        assert!(validate(fixture, Profile::Strict).is_err(), "{}", fixture["name"]);
    }
}
