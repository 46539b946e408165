//! The conditions of a token in words.

use clankers_protocol::{NanoUsd, text};
use ucan::{Chain, Delegation, Ipld, Policy, Verified};

use crate::{
    gate::says,
    mint::RENEW_META,
    preset::{GrantSpec, Sessions},
};

/// The longest policy that is shown as it is (characters).
pub(super) const POLICY_CHARS: usize = 2048;
/// The same where it stands in the list of what is granted, whose lines are kept and sent: at most 512 bytes (characters).
const POLICY_SHORT_CHARS: usize = 100;

/// Whether a policy narrows what may be done, and not only how far it may be passed on.
pub(super) fn narrows(policy: &Policy) -> bool {
    GrantSpec::read("/", policy).is_none()
}

/// The conditions of every link: all of them hold.
pub(super) fn limits(chain: &Chain<Verified<Delegation>>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for link in chain.links() {
        for word in of_link(link.payload()) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

/// The conditions of one link.
pub(super) fn of_link(link: &Delegation) -> Vec<String> {
    let mut words = match GrantSpec::read(link.command().as_str(), link.policy()) {
        Some(spec) => of_spec(&spec),
        None => {
            let command = match link.command().as_str() {
                "/" | "/clankers" => None,
                command => Some(format!("only commands under {}", text::line(command, POLICY_CHARS))),
            };
            let policy =
                (!link.policy().is_empty()).then(|| format!("as long as {}", as_text(link.policy())));
            command.into_iter().chain(policy).collect()
        }
    };
    if says(link, RENEW_META) {
        words.push("renewed on connecting".to_owned());
    }
    words
}

fn of_spec(spec: &GrantSpec) -> Vec<String> {
    let mut words = Vec::new();
    if !spec.paths.is_empty() {
        let slash = |path: &String| match path.as_str() {
            "." => "the workspace".to_owned(),
            path => format!("{path}/"),
        };
        let paths: Vec<String> = spec.paths.iter().map(slash).collect();
        words.push(format!("files only on {}", paths.join(", ")));
    } else if let Some(workspace) = &spec.workspace {
        let short: String = workspace.chars().take(8).collect();
        words.push(format!("only in the workspace {short}"));
    }
    match &spec.sessions {
        Sessions::Own => {}
        Sessions::All => words.push("in all sessions".to_owned()),
        Sessions::These(ids) => {
            let short: Vec<String> = ids.iter().map(|id| id.chars().take(8).collect()).collect();
            let noun = if ids.len() == 1 { "the session" } else { "the sessions" };
            words.push(format!("only in {noun} {}", short.join(", ")));
        }
    }
    if !spec.models.is_empty() {
        words.push(format!("only with {}", spec.models.join(", ")));
    }
    words.extend(spec.max_cost.map(|most| format!("at most {}", money(most))));
    words.extend(spec.max_tokens.map(|most| format!("at most {most} model tokens")));
    words.extend(spec.per_min.map(|most| format!("at most {most} prompts a minute")));
    words.extend(spec.concurrent.map(|most| format!("at most {most} prompts at a time")));
    words.extend(spec.max_size.map(|most| format!("transfers of at most {} each", size(most))));
    words.extend(spec.max_total.map(|most| format!("at most {} of files sent in all", size(most))));
    words.extend(spec.max_depth.map(|most| match most {
        0 => "may not be passed on".to_owned(),
        1 => "may be passed on once".to_owned(),
        most => format!("may be passed on {most} times in a row"),
    }));
    words.into_iter().map(|word| text::line(&word, POLICY_CHARS)).collect()
}

/// Bytes in the largest unit that they are a whole number of: a limit is not rounded.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 8] = [
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1_000),
    ];
    let whole = UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}

/// What and under which conditions, in one line.
pub(super) fn sentence(chain: &Chain<Verified<Delegation>>, grants: &[String], limits: &[String]) -> String {
    let named = match chain.link_count() {
        1 => preset(chain.root().payload()),
        _ => None,
    };
    let what = named.map_or_else(|| grants.join("; "), str::to_owned);
    let what = if what.is_empty() { "nothing".to_owned() } else { what };
    let scope = limits.iter().map(|limit| limit.strip_prefix("files only ").unwrap_or(limit));
    match (named, limits.first()) {
        // "read-only on src/, ..." and not "read-only, files only on src/, ...".
        (Some(what), Some(first)) if first.starts_with("files only on ") => {
            format!("{what} {}", scope.collect::<Vec<_>>().join(", "))
        }
        _ => std::iter::once(what.as_str())
            .chain(limits.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The preset that a link is, conditions aside.
fn preset(link: &Delegation) -> Option<&'static str> {
    let spec = GrantSpec::read(link.command().as_str(), link.policy())?;
    if spec.everything {
        return Some("everything");
    }
    let same = |preset: &GrantSpec| {
        let covers = |a: &GrantSpec, b: &GrantSpec| {
            a.commands.iter().all(|command| b.commands.contains(command))
                && a.tools.iter().all(|tool| b.tools.contains(tool))
        };
        covers(&spec, preset) && covers(preset, &spec)
    };
    [
        ("read-only", GrantSpec::read_only()),
        ("review", GrantSpec::reviewer()),
        ("operate", GrantSpec::operator()),
    ]
    .into_iter()
    .find_map(|(name, preset)| same(&preset).then_some(name))
}

/// An amount, in dollars: at least two decimals, and no more than it needs.
#[must_use]
pub fn money(amount: NanoUsd) -> String {
    let whole = amount.0 / clankers_protocol::money::NANO_PER_USD;
    let rest = format!("{:09}", amount.0 % clankers_protocol::money::NANO_PER_USD);
    let cents = rest.trim_end_matches('0');
    format!("${whole}.{cents:0<2}")
}

/// The policies of all links, cut to a readable length together.
pub(super) fn policies(chain: &Chain<Verified<Delegation>>) -> String {
    let all: Vec<String> = chain.links().map(|link| as_text(link.policy())).collect();
    text::line(&all.join(" and "), POLICY_SHORT_CHARS)
}

/// A policy as text, cut to a readable length, with nothing in it that a terminal would act upon.
fn as_text(policy: &Policy) -> String {
    let mut out = String::new();
    write_ipld(&policy.to_ipld(), &mut out);
    text::line(&out, POLICY_CHARS)
}

/// JSON, near enough for reading. Recursion is bounded by the decoder's depth limit.
fn write_ipld(value: &Ipld, out: &mut String) {
    match value {
        Ipld::List(list) => {
            out.push('[');
            for (place, item) in list.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                write_ipld(item, out);
            }
            out.push(']');
        }
        Ipld::Map(map) => {
            out.push('{');
            for (place, (key, item)) in map.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                out.push_str(&format!("{key:?}: "));
                write_ipld(item, out);
            }
            out.push('}');
        }
        Ipld::String(text) => out.push_str(&format!("{text:?}")),
        Ipld::Integer(number) => out.push_str(&number.to_string()),
        Ipld::Bool(flag) => out.push_str(&flag.to_string()),
        other => out.push_str(&format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_whole_units() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 KB"),
            (65_536, "64 KiB"),
            (1_000_000_000, "1 GB"),
            (1 << 30, "1 GiB"),
            (3 << 40, "3 TiB"),
            (1_000_000_001, "1000000001 bytes"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }
}
