//! Clocks: every link, at every use; how long; since when.

use clankers_auth::{Command, step::Step};
use ucan::Ipld;

use crate::{
    forge::{DAY, NOW_SECS, container, delegation, fields, int, link, map, with},
    vector::{Judge, Vector},
};

/// Valid from `from` until `to`, seconds from now.
fn lasting(by: u8, audience: u8, from: i64, to: i64) -> Vec<u8> {
    let at = |secs: i64| int(NOW_SECS.checked_add_signed(secs).unwrap());
    delegation(by, with(with(fields(by, audience), "nbf", at(from)), "exp", at(to)))
}

fn shown(name: &str, tokens: &[Vec<u8>], remote: u8) -> Vector {
    Vector::new(Judge::Chain, format!("time: {name}"), container(tokens)).by(remote)
}

const DAY_SECS: i64 = 86_400;
const DAY_MS: i64 = 86_400_000;

pub(crate) fn all() -> Vec<Vector> {
    [shown_too_late(), lifetimes(), epochs(), used_too_late()].concat()
}

fn expired(vector: Vector) -> Vector {
    vector.refused(Step::Time, "Chain.Expired", "expired")
}

fn shown_too_late() -> Vec<Vector> {
    let early = |vector: Vector| vector.refused(Step::Time, "Chain.NotYetValid", "not_yet_valid");
    let hour = |by, to| lasting(by, to, -60, 3600);
    vec![
        expired(shown("a second too late", &[link(1, 2)], 2).after_ms(DAY_MS + 1000)),
        expired(shown("no leeway at the end", &[link(1, 2)], 2).after_ms(DAY_MS + 30_000)),
        expired(shown("a year too late", &[link(1, 2)], 2).after_ms(365 * DAY_MS)),
        expired(
            shown("an expired root under a fresh leaf", &[hour(1, 2), link(2, 3)], 3).after_ms(7_200_000),
        ),
        expired(shown("an expired middle", &[link(1, 2), hour(2, 3), link(3, 4)], 4).after_ms(7_200_000)),
        expired(shown("an expired leaf", &[link(1, 2), hour(2, 3)], 3).after_ms(7_200_000)),
        early(shown("61 seconds too early", &[link(1, 2)], 2).after_ms(-61_000)),
        early(shown("a leaf of tomorrow", &[link(1, 2), lasting(2, 3, DAY_SECS, 2 * DAY_SECS)], 3)),
        early(shown("a root of tomorrow", &[lasting(1, 2, DAY_SECS, 2 * DAY_SECS), link(2, 3)], 3)),
        early(shown("a clock at 1970", &[link(1, 2)], 2).after_ms(-1_800_000_000_000)),
        early(shown("a clock that was set back", &[link(1, 2)], 2).after_ms(-DAY_MS)),
    ]
}

fn lifetimes() -> Vec<Vector> {
    let long = |vector: Vector| vector.refused(Step::Lifetime, "Chain.LivesTooLong", "bad_token");
    let days = |count: i64| count * DAY_SECS;
    vec![
        long(shown("400 days and a second", &[lasting(1, 2, 0, days(400) + 1)], 2)),
        long(shown("a long leaf", &[link(1, 2), lasting(2, 3, 0, days(401))], 3)),
        long(shown("a long root under a short leaf", &[lasting(1, 2, 0, days(401)), link(2, 3)], 3)),
        long(shown("from long ago", &[lasting(1, 2, -days(399), days(2))], 2)),
        long(shown(
            "until the end of numbers",
            &[delegation(1, with(fields(1, 2), "exp", int((1_u64 << 53) - 1)))],
            2,
        )),
        long(shown("since 1970", &[delegation(1, with(fields(1, 2), "nbf", int(0)))], 2)),
    ]
}

fn epochs() -> Vec<Vector> {
    let withdrawn = |vector: Vector| vector.refused(Step::Epoch, "Chain.BeforeEpoch", "revoked");
    let backdated = lasting(2, 3, -3600, DAY_SECS);
    vec![
        withdrawn(shown("older than the epoch", &[link(1, 2)], 2).epoch_in(1)),
        withdrawn(
            shown("a root older than the epoch", &[link(1, 2), lasting(2, 3, 20, DAY_SECS)], 3).epoch_in(10),
        ),
        withdrawn(shown("a leaf dated back", &[link(1, 2), backdated], 3).epoch_in(0)),
        withdrawn(
            Vector::new(
                Judge::Request,
                "time: the epoch was moved after it was shown",
                container(&[link(1, 2)]),
            )
            .asks(Command::NodeInfo, &[])
            .epoch_in(1),
        ),
        withdrawn(
            Vector::new(Judge::Effect, "time: the epoch was moved while it ran", container(&[link(1, 2)]))
                .asks(Command::NodeInfo, &[])
                .epoch_in(1),
        ),
    ]
}

/// A run of ten minutes from one who was granted a day.
pub(crate) fn run() -> Vec<u8> {
    let marked = with(fields(2, 40), "meta", map(&[("run", Ipld::Bool(true))]));
    delegation(2, with(marked, "exp", int(NOW_SECS + 600)))
}

fn used_too_late() -> Vec<Vector> {
    let use_of = |judge: Judge, name: &str, tokens: &[Vec<u8>], remote: u8| {
        Vector::new(judge, format!("time: {name}"), container(tokens)).by(remote).asks(Command::NodeInfo, &[])
    };
    let day = i64::try_from(DAY).unwrap() * 1000;
    vec![
        expired(use_of(Judge::Request, "a request after the end", &[link(1, 2)], 2).after_ms(day + 1000)),
        expired(use_of(Judge::Effect, "an effect after the end", &[link(1, 2)], 2).after_ms(day + 1000)),
        expired(
            use_of(Judge::Request, "a request after the run", &[link(1, 2), run()], 40).after_ms(601_000),
        ),
        expired(
            use_of(Judge::Effect, "an effect after the grant behind the run", &[link(1, 2), run()], 40)
                .after_ms(day + 1000),
        ),
        use_of(Judge::Request, "a request on a clock set back", &[link(1, 2)], 2).after_ms(-61_000).refused(
            Step::Time,
            "Chain.NotYetValid",
            "not_yet_valid",
        ),
    ]
}
