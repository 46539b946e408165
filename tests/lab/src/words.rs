//! The words by which a lab is told what to do: on the command line, on standard input, at the control socket.
//!
//! ```text
//! set a->b delay 50ms loss 1% rate 10mbit     links: a->b  a<->b  a->*  *->a  a (both ways)  *
//! clear *                                     back to a perfect link
//! cut a<->b 5s  (or: blackhole 5s)            without a time: until `heal`
//! heal a<->b
//! move a 10.0.0.9
//! sleep 2s      show      quit
//! ```

use std::{net::Ipv4Addr, time::Duration};

use thiserror::Error;

use crate::{
    limits::{DELAY, HOSTS, LINK_BYTES},
    link::{Chance, Loss, Rate, Reorder, Setting},
};

/// What was not understood, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}: {why}; write {hint}")]
pub struct BadWords {
    what: String,
    why: &'static str,
    hint: &'static str,
}

fn bad(what: &str, why: &'static str, hint: &'static str) -> BadWords {
    BadWords { what: format!("'{}'", what.escape_debug()), why, hint }
}

/// Directed links, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// From this host; `None`: from every one.
    pub from: Option<usize>,
    /// To this host; `None`: to every one.
    pub to: Option<usize>,
    /// And the same in the other direction.
    pub both: bool,
}

impl Links {
    /// Every link there is.
    pub const ALL: Self = Self { from: None, to: None, both: false };

    /// Whether the link from one host to another is meant.
    #[must_use]
    pub fn includes(&self, from: usize, to: usize) -> bool {
        let is = |wanted: Option<usize>, host| wanted.is_none_or(|wanted| wanted == host);
        from != to
            && ((is(self.from, from) && is(self.to, to))
                || (self.both && is(self.from, to) && is(self.to, from)))
    }
}

/// The name of a host: `a` to `z`, then `h26` and on.
#[must_use]
pub fn host_name(index: usize) -> String {
    match u8::try_from(index) {
        Ok(small) if small < 26 => char::from(b'a' + small).to_string(),
        _ => format!("h{index}"),
    }
}

/// The host of this name or number, out of `hosts`.
///
/// # Errors
/// When there is none.
pub fn host(word: &str, hosts: usize) -> Result<usize, BadWords> {
    let found = word.parse().ok().or_else(|| (0..HOSTS).find(|index| host_name(*index) == word));
    found
        .filter(|index| *index < hosts)
        .ok_or_else(|| bad(word, "no such host", "a, b, c, ... or 0, 1, 2, ..."))
}

/// Parses `a->b`, `a<->b`, `a->*`, `a` or `*`.
///
/// # Errors
/// When it is none of these, or means nothing but a host's link to itself.
pub fn links(word: &str, hosts: usize) -> Result<Links, BadWords> {
    let end = |word: &str| if word == "*" { Ok(None) } else { host(word, hosts).map(Some) };
    let found = if let Some((from, to)) = word.split_once("<->") {
        Links { from: end(from)?, to: end(to)?, both: true }
    } else if let Some((from, to)) = word.split_once("->") {
        Links { from: end(from)?, to: end(to)?, both: false }
    } else {
        Links { from: end(word)?, to: None, both: true }
    };
    if found.from.is_some() && found.from == found.to {
        return Err(bad(word, "a host has no link to itself", "two hosts: a->b"));
    }
    Ok(found)
}

/// A length of time such as `50ms`.
///
/// # Errors
/// When it is none.
pub fn time(word: &str) -> Result<Duration, BadWords> {
    if word == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(word).map_err(|_| bad(word, "not a time", "50ms, 2s, 1m"))
}

fn delay(word: &str) -> Result<Duration, BadWords> {
    time(word).and_then(|time| {
        if time <= DELAY { Ok(time) } else { Err(bad(word, "more than a minute", "60s or less")) }
    })
}

/// A chance such as `1%` or `0.05%`.
///
/// # Errors
/// When it is none, or not within 0 and 100 percent.
pub fn chance(word: &str) -> Result<Chance, BadWords> {
    let wrong = || bad(word, "not a chance", "1%, 0.05% or 0");
    let digits = if word == "0" { word } else { word.strip_suffix('%').ok_or_else(wrong)? };
    // Only digits and a point: no 1e9, no infinity, no sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let percent: f64 = digits.parse().map_err(|_| wrong())?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(wrong());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
    Ok(Chance::ppm((percent * 10_000.0).round() as u32))
}

/// A rate such as `10mbit`, in powers of 1,000; `none` is no limit.
///
/// # Errors
/// When it is none of these, or zero.
pub fn rate(word: &str) -> Result<Option<Rate>, BadWords> {
    let wrong = || bad(word, "not a rate", "10mbit, 64kbit, 1gbit or none");
    if word == "none" {
        return Ok(None);
    }
    let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
    let (digits, unit): (&str, u64) =
        units.iter().find_map(|(name, unit)| Some((word.strip_suffix(name)?, *unit))).ok_or_else(wrong)?;
    let bits = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|bits| *bits > 0);
    bits.map(|bits| Some(Rate::bits(bits))).ok_or_else(wrong)
}

fn queue(word: &str) -> Result<usize, BadWords> {
    let bytes = parse_size::parse_size(word).ok().and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|bytes| *bytes <= LINK_BYTES).ok_or_else(|| bad(word, "not a queue", "64KiB, up to 64MiB"))
}

fn bursts(word: &str) -> Result<Loss, BadWords> {
    let parts: Vec<Chance> = word.split('/').map(chance).collect::<Result<_, _>>()?;
    let (enter, leave, bad_loss, good) = match parts[..] {
        [enter, leave] => (enter, leave, Chance::ALWAYS, Chance::NEVER),
        [enter, leave, inside] => (enter, leave, inside, Chance::NEVER),
        [enter, leave, inside, outside] => (enter, leave, inside, outside),
        _ => return Err(bad(word, "not bursty loss", "enter/leave[/loss inside[/loss outside]]: 1%/25%")),
    };
    Ok(Loss::Bursts { enter, leave, bad: bad_loss, good })
}

fn reorder(word: &str) -> Result<Reorder, BadWords> {
    if word == "0" {
        return Ok(Reorder::default());
    }
    let (share, by) =
        word.split_once('/').ok_or_else(|| bad(word, "not a reordering", "how many/held for: 5%/30ms"))?;
    Ok(Reorder { chance: chance(share)?, by: delay(by)? })
}

/// Changes one thing about a setting: `delay 50ms`.
///
/// # Errors
/// When the key or its value is not known.
pub fn change(setting: &mut Setting, key: &str, value: &str) -> Result<(), BadWords> {
    match key {
        "delay" => setting.delay = delay(value)?,
        "jitter" => setting.jitter = delay(value)?,
        "loss" => setting.loss = Loss::Each(chance(value)?),
        "bursts" => setting.loss = bursts(value)?,
        "rate" => setting.rate = rate(value)?,
        "queue" => setting.queue = queue(value)?,
        "reorder" => setting.reorder = reorder(value)?,
        "duplicate" => setting.duplicate = chance(value)?,
        "corrupt" => setting.corrupt = chance(value)?,
        _ => {
            let known = "delay, jitter, loss, bursts, rate, queue, reorder, duplicate or corrupt";
            return Err(bad(key, "not a setting", known));
        }
    }
    Ok(())
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Change these keys of these links.
    Set(Links, Vec<(String, String)>),
    /// Make them perfect again.
    Clear(Links),
    /// Let nothing pass, for a time or until healed.
    Cut(Links, Option<Duration>),
    /// Let it pass again.
    Heal(Links),
    /// Give a host another address.
    Move(usize, Ipv4Addr),
    /// Wait before the next command.
    Sleep(Duration),
    /// Print hosts, links and counts.
    Show,
    /// End the lab.
    Quit,
}

/// Parses a line for a lab of this many hosts; `None` for an empty one or a comment.
///
/// # Errors
/// When it is not a command.
pub fn command(line: &str, hosts: usize) -> Result<Option<Command>, BadWords> {
    let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
    let usage = "set, clear, cut, heal, move, sleep, show or quit (see docs/lab.md)";
    let found = match words[..] {
        [] => return Ok(None),
        ["set", at, ref pairs @ ..] if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
            let at = links(at, hosts)?;
            let mut trial = Setting::default();
            for pair in pairs.chunks_exact(2) {
                change(&mut trial, pair[0], pair[1])?;
            }
            Command::Set(at, pairs.chunks_exact(2).map(|p| (p[0].to_owned(), p[1].to_owned())).collect())
        }
        ["set", ..] => return Err(bad(line.trim(), "pairs are wanted", "set a->b delay 50ms loss 1%")),
        ["clear", at] => Command::Clear(links(at, hosts)?),
        ["cut" | "blackhole"] => Command::Cut(Links::ALL, None),
        ["cut" | "blackhole", one] => match (time(one), links(one, hosts)) {
            (Ok(long), _) => Command::Cut(Links::ALL, Some(long)),
            (_, Ok(at)) => Command::Cut(at, None),
            (_, Err(error)) => return Err(error),
        },
        ["cut" | "blackhole", at, long] => Command::Cut(links(at, hosts)?, Some(time(long)?)),
        ["heal"] => Command::Heal(Links::ALL),
        ["heal", at] => Command::Heal(links(at, hosts)?),
        ["move", who, to] => {
            let address = to.parse().map_err(|_| bad(to, "not an IPv4 address", "move a 10.0.0.9"))?;
            Command::Move(host(who, hosts)?, address)
        }
        ["sleep", long] => Command::Sleep(time(long)?),
        ["show"] => Command::Show,
        ["quit"] => Command::Quit,
        _ => return Err(bad(line.trim(), "not a command", usage)),
    };
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(line: &str) -> Command {
        command(line, 3).unwrap().unwrap()
    }

    #[test]
    fn commands_are_understood() {
        let both = Links { from: Some(0), to: Some(1), both: true };
        assert_eq!(parsed("cut a<->b 5s # gone"), Command::Cut(both, Some(Duration::from_secs(5))));
        assert_eq!(parsed("blackhole 5s"), Command::Cut(Links::ALL, Some(Duration::from_secs(5))));
        assert_eq!(parsed("blackhole"), Command::Cut(Links::ALL, None));
        assert_eq!(parsed("heal b"), Command::Heal(Links { from: Some(1), to: None, both: true }));
        assert_eq!(parsed("move 2 10.0.0.9"), Command::Move(2, Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(parsed("sleep 0"), Command::Sleep(Duration::ZERO));
        let Command::Set(at, pairs) = parsed("set a->* delay 50ms rate 10mbit bursts 1%/25% reorder 5%/30ms")
        else {
            panic!("set")
        };
        assert!(at.includes(0, 2) && at.includes(0, 1) && !at.includes(1, 0) && !at.includes(0, 0));
        let mut setting = Setting::default();
        for (key, value) in pairs {
            change(&mut setting, &key, &value).unwrap();
        }
        assert_eq!(setting.delay, Duration::from_millis(50));
        assert_eq!(setting.rate, Some(Rate::mbit(10)));
        assert_eq!(setting.reorder, Reorder { chance: Chance::percent(5), by: Duration::from_millis(30) });
        assert_eq!(command("  # nothing", 2), Ok(None));
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for line in [
            "set a->b",
            "set a->b delay",
            "set a->b delay 50",
            "set a->b delay 2m",
            "set a->a delay 5ms",
            "set a->d delay 5ms",
            "set * loss 101%",
            "set * loss 1",
            "set * loss -1%",
            "set * loss 1e1%",
            "set * loss nan%",
            "set * rate 0mbit",
            "set * rate 99999999999999999999gbit",
            "set * queue 65MiB",
            "set * colour red",
            "move a 10.0.0",
            "cut a->b->c",
            "dance",
        ] {
            let error = command(line, 3).expect_err(line);
            assert!(error.to_string().contains("; write "), "{line}: {error}");
        }
    }

    #[test]
    fn hosts_have_names() {
        let names: std::collections::BTreeSet<String> = (0..HOSTS).map(host_name).collect();
        assert_eq!(names.len(), HOSTS);
        for index in 0..HOSTS {
            assert_eq!(host(&host_name(index), HOSTS), Ok(index));
        }
        assert!(host("c", 2).is_err());
    }

    proptest! {
        /// What a setting says about itself sets the same again.
        #[test]
        fn a_setting_can_be_read_back(
            delay in 0u64..60_000_000, jitter in 0u64..60_000, parts in prop::array::uniform5(0u32..=1_000_000),
            rate in prop::option::of(1u64..1_000_000_000_000), queue in 0usize..LINK_BYTES, bursty: bool,
        ) {
            let chance = Chance::ppm;
            let setting = Setting {
                delay: Duration::from_micros(delay),
                jitter: Duration::from_micros(jitter),
                loss: if bursty {
                    let (enter, leave) = (chance(parts[0]), chance(parts[1]));
                    Loss::Bursts { enter, leave, bad: chance(parts[2]), good: chance(parts[3]) }
                } else {
                    Loss::Each(chance(parts[0]))
                },
                rate: rate.map(Rate::bits),
                queue,
                reorder: Reorder { chance: chance(parts[4]), by: Duration::from_micros(jitter) },
                duplicate: chance(parts[2]),
                corrupt: chance(parts[3]),
            };
            let line = format!("set a->b {setting}");
            let Ok(Some(Command::Set(_, pairs))) = command(&line, 2) else { panic!("{line}") };
            let mut again = Setting::default();
            for (key, value) in pairs {
                change(&mut again, &key, &value).unwrap();
            }
            prop_assert_eq!(again, setting, "{}", line);
        }

        #[test]
        fn no_line_is_too_much(line in ".{0,200}", hosts in 0usize..HOSTS) {
            let _whatever = command(&line, hosts);
        }
    }
}
