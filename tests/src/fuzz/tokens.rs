//! Targets that read authority: tokens, their parts, and what is made of them.
//!
//! Each takes any bytes. It must not panic, and what it accepts must hold: one spelling for each thing, the strict
//! reader accepts nothing that the lenient one refuses.

use clankers_auth::{Standing, VerifiedTokens, admit, invocation, revoke, words};
use clankers_protocol::{NodeId, Timestamp};
use ucan::{
    AnyToken, Cid, Command, Container, ContainerLimits, Delegation, Did, Invocation, Ipld, Payload, Policy,
    Profile, SigningKey, Unverified, policy::Selector,
};

/// The moment at which everything is judged: that of the checked-in vectors.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

pub(super) fn id(n: u8) -> NodeId {
    NodeId(SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes())
}

/// A container, in any of its forms.
pub fn container(data: &[u8]) {
    for limits in [ContainerLimits::CHAIN, ContainerLimits::WITH_INVOCATION] {
        let lenient = Container::decode(data, &limits, Profile::Spec);
        let Ok(strict) = Container::decode(data, &limits, Profile::Strict) else { continue };
        assert_eq!(lenient.as_ref(), Ok(&strict), "strict reads what lenient does not");
        let (raw, said) = (strict.to_bytes().unwrap(), strict.to_text().unwrap());
        assert!(raw == data || said.as_bytes() == data, "a second spelling of one container");
        assert_eq!(Container::decode(&raw, &limits, Profile::Strict), Ok(strict));
    }
}

fn token<T: Payload>(data: &[u8]) -> Option<Unverified<T>> {
    let lenient = Unverified::<T>::decode(data, Profile::Spec);
    let strict = Unverified::<T>::decode(data, Profile::Strict).ok()?;
    assert!(lenient.is_ok(), "strict reads what lenient does not");
    assert_eq!(strict.bytes(), data);
    assert_eq!(strict.cid(), &Cid::of(data));
    Some(strict)
}

/// One delegation.
pub fn delegation(data: &[u8]) {
    let Some(token) = token::<Delegation>(data) else { return };
    let claims = token.claims();
    assert!(claims.subject().is_some() && claims.expires().is_some() && claims.not_before().is_some());
    assert!(Policy::from_ipld(&claims.policy().to_ipld(), Profile::Strict).is_ok());
    let _ = token.verify();
}

/// One invocation.
pub fn invocation_token(data: &[u8]) {
    if let Some(token) = token::<Invocation>(data) {
        assert!(matches!(token.claims().args(), Ipld::Map(_)));
        assert!(AnyToken::decode(data, Profile::Strict).is_ok());
        let _ = token.verify();
    }
}

/// A chain that peer 2 shows to node 1, with what is said of it.
pub fn chain(data: &[u8]) {
    let standing = Standing::offline(NOW, Timestamp(0));
    let mut verified = VerifiedTokens::default();
    let first = admit(&standing, id(1), id(2), data, &mut verified);
    let second = admit(&standing, id(1), id(2), data, &mut verified);
    assert_eq!(
        first.as_ref().map(|held| held.cids()),
        second.as_ref().map(|held| held.cids()),
        "memory decides"
    );
    if let Ok(said) = words::describe(data) {
        let shown = said.grants.iter().chain([&said.sentence]);
        assert!(shown.flat_map(|line| line.chars()).all(|c| !c.is_control()), "words that move a cursor");
    }
}

/// A signed request to node 1.
pub fn invocation(data: &[u8]) {
    let standing = Standing::offline(NOW, Timestamp(0));
    let mut asked = 0;
    let mut replay = |_, _| {
        asked += 1;
        Ok(true)
    };
    let judged = invocation::admit(&standing, id(1), data, &mut replay);
    assert_eq!(asked, usize::from(judged.is_ok()), "what is refused uses nothing up");
}

/// A revocation and its witness.
pub fn revocation(data: &[u8]) {
    if let Ok(judged) = revoke::judge(data, NOW) {
        assert_eq!(revoke::judge(&judged.bytes, NOW), Ok(judged));
    }
}

/// A policy and arguments, as JSON: `[policy, arguments]`.
pub fn policy(data: &[u8]) {
    let Ok(serde_json::Value::Array(pair)) = serde_json::from_slice(data) else { return };
    let [policy, args] = pair.as_slice() else { return };
    let (policy, args) = (ipld(policy), ipld(args));
    let lenient = Policy::from_ipld(&policy, Profile::Spec);
    if let Ok(lenient) = &lenient {
        let _ = lenient.evaluate(&args, Profile::Spec);
    }
    let Ok(strict) = Policy::from_ipld(&policy, Profile::Strict) else { return };
    assert_eq!(strict.to_ipld(), policy);
    if strict.evaluate(&args, Profile::Strict).is_ok() {
        let lenient = lenient.expect("strict reads what lenient does not");
        assert!(lenient.evaluate(&args, Profile::Spec).is_ok(), "strict allows what lenient denies");
    }
}

pub(super) fn ipld(value: &serde_json::Value) -> Ipld {
    use serde_json::Value;
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(value) => Ipld::Bool(*value),
        Value::Number(number) => {
            number.as_i128().map_or_else(|| Ipld::Float(number.as_f64().unwrap_or_default()), Ipld::Integer)
        }
        Value::String(text) => Ipld::String(text.clone()),
        Value::Array(items) => Ipld::List(items.iter().map(ipld).collect()),
        Value::Object(entries) => Ipld::Map(entries.iter().map(|(k, v)| (k.clone(), ipld(v))).collect()),
    }
}

/// A selector.
pub fn selector(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(selector) = Selector::parse(text) {
        assert_eq!(selector.as_str(), text);
        assert!(selector.may_reach(&[]));
        let _ = (selector.has_optional(), selector.may_reach(&["ctx", "depth"]));
    }
}

/// A did:key.
pub fn did(data: &[u8]) {
    if let Some(did) = text(data).and_then(|text| text.parse::<Did>().ok()) {
        assert_eq!(did.to_string().as_bytes(), data, "a second spelling of one principal");
    }
}

/// A CID, as text or as bytes.
pub fn cid(data: &[u8]) {
    if let Some(cid) = text(data).and_then(|text| text.parse::<Cid>().ok()) {
        assert_eq!(cid.to_string().as_bytes(), data, "a second spelling of one CID");
    }
    if let Ok(cid) = Cid::from_bytes(data) {
        assert_eq!(cid.to_bytes().as_slice(), data);
    }
}

/// A command path.
pub fn command(data: &[u8]) {
    let Some(command) = text(data).and_then(|text| Command::parse(text).ok()) else { return };
    assert_eq!(command.as_str().as_bytes(), data);
    assert!(command.covers(&command) && Command::root().covers(&command));
    assert_eq!(command.covers(&Command::root()), command == Command::root());
}
