//! The target behind the signatures: chains that are well signed and say whatever the input says.
//!
//! A delegate signs what they like, so everything that looks into policies (the check itself, the words that people are
//! told, what tools a model is offered) works on an attacker's text.

use clankers_auth::{
    Args, Asks, Command, Counters, Held, Standing, Unreadable, Usage, VerifiedTokens, admit,
    standing::Nothing, words,
};
use clankers_protocol::{CidDigest, Timestamp, text};
use serde_json::Value;
use ucan::{Container, ContainerLimits, Delegation, Did, Ipld, Policy, Profile, SigningKey};

use super::tokens::{NOW, id, ipld};

/// Links at most (count): each costs a signature.
const LINKS: usize = 3;

/// Use of every link, as the input says.
struct Used(u64);

impl Counters for Used {
    fn usage(&self, _: &CidDigest) -> Result<Usage, Unreadable> {
        let n = self.0;
        let usage = Usage { spent_nano_usd: n, tokens_used: n, per_min: n, concurrent: n, received_bytes: n };
        Ok(usage)
    }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// A link about node 1 from the one before it to `to`.
fn link(to: u8, command: &str, policy: &Value) -> Option<Vec<u8>> {
    let from = key(to.checked_sub(1)?);
    let at = |secs: u64| ucan::Timestamp::from_secs(NOW.as_secs().saturating_add(secs)).ok();
    let command = ucan::Command::parse(command).ok()?;
    let draft = Delegation::build(Did::from(id(1).0), Did::from(id(to).0), command, &[to; 16])
        .policy(Policy::from_ipld(&ipld(policy), Profile::Strict).ok()?)
        .meta("note", Ipld::String(policy.to_string()))
        .not_before(at(0)?)
        .expires(at(3600)?);
    Some(draft.sign(&from, Profile::Strict).ok()?.bytes().to_vec())
}

/// `{"links": [[command, policy], ...], "args": {...}, "used": number}`, as JSON.
pub fn grants(data: &[u8]) {
    let Ok(said) = serde_json::from_slice::<Value>(data) else { return };
    let Some(links) = said["links"].as_array().filter(|links| !links.is_empty() && links.len() <= LINKS)
    else {
        return;
    };
    let links: Option<Vec<_>> =
        (2..).zip(links).map(|(to, said)| link(to, said[0].as_str().unwrap_or("/"), &said[1])).collect();
    let Some(links) = links else { return };
    let used = Used(said["used"].as_u64().unwrap_or_default());
    let standing = Standing { now: NOW, epoch: Timestamp(0), revocations: &Nothing, counters: &used };
    let args = arguments(&said["args"]);
    let mut above: Option<Vec<bool>> = None;
    for (count, remote) in (1..=links.len()).zip(2..) {
        let Some(token) = contained(&links[..count]) else { return };
        let held = admit(&standing, id(1), id(remote), &token, &mut VerifiedTokens::default())
            .expect("a chain that was signed as it must be");
        assert!(!held.is_owner() && held.principal() == id(remote));
        let allowed: Vec<bool> =
            Command::ALL.iter().map(|command| allows(&held, &standing, *command, &args)).collect();
        if let Some(above) = above {
            assert!(allowed.iter().zip(&above).all(|(now, before)| *before || !now), "a link has widened");
        }
        above = Some(allowed);
        told(&token);
    }
}

fn contained(links: &[Vec<u8>]) -> Option<Vec<u8>> {
    Container::new(links, &ContainerLimits::CHAIN).ok()?.to_bytes().ok()
}

fn allows(held: &Held, standing: &Standing<'_>, command: Command, args: &Args) -> bool {
    let asked = held.authorize(standing, command, args).is_ok();
    let running = held.authorize_running(standing, command, args).is_ok();
    assert_eq!(asked, running, "without a run link both are the same");
    let _ = (held.offers_tool(standing, "read", args), held.reaches("s1"), held.metered().len());
    asked
}

/// Nothing that people are told moves their cursor.
fn told(token: &[u8]) {
    let said = words::describe(token).expect("a good chain");
    let links = words::tree(token, NOW).expect("a good chain");
    let lines = said.grants.iter().chain(&said.limits).chain([&said.sentence]);
    let lines = lines.chain(links.iter().flat_map(|link| link.words.iter().chain(&link.problems)));
    for line in lines {
        assert_eq!(text::line(line, usize::MAX), *line, "words that a terminal may take for orders");
    }
}

fn arguments(said: &Value) -> Args {
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    let number = |name: &str| said[name].as_u64();
    Args {
        session: text("session"),
        workspace: text("workspace"),
        path: text("path"),
        tool: text("tool"),
        argv0: text("argv0"),
        model: text("model"),
        size: number("size"),
        asks: Asks {
            spend_nano_usd: number("spend").unwrap_or_default(),
            tokens: number("tokens").unwrap_or_default(),
            starts: number("starts").unwrap_or_default(),
            bytes: number("bytes").unwrap_or_default(),
        },
    }
}
