//! What a check costs: linear in the links, of which there are at most eight.

use std::{cell::Cell, time::Instant};

use clankers_auth::{
    Args, Command, Counters, GrantSpec, Revocations, Standing, Unreadable, Usage, VerifiedTokens, admit,
};
use clankers_protocol::{CidDigest, NodeId, Timestamp};
use ucan::Policy;

use crate::forge::{NOW, calm, chain, id, link, tool};

/// Counts how often it is asked.
#[derive(Default)]
struct Asked {
    revocations: Cell<usize>,
    counters: Cell<usize>,
}

impl Revocations for Asked {
    fn is_revoked(&self, _: &CidDigest, _: &[NodeId]) -> Result<bool, Unreadable> {
        self.revocations.set(self.revocations.get() + 1);
        Ok(false)
    }
}

impl Counters for Asked {
    fn usage(&self, _: &CidDigest) -> Result<Usage, Unreadable> {
        self.counters.set(self.counters.get() + 1);
        Ok(Usage::default())
    }
}

fn links(count: u8) -> Vec<Vec<u8>> {
    let budget = || {
        [
            Policy::or([Policy::eq(".tool", "grep"), Policy::eq(".tool", "read")]),
            Policy::le(".ctx.spent_nano_usd", 1_u64),
        ]
    };
    (1..=count).map(|n| link(n, n + 1, budget())).collect()
}

#[test]
fn each_store_is_asked_once_for_each_link() {
    for count in 1..=8_u8 {
        let asked = Asked::default();
        let standing = Standing { now: NOW, epoch: Timestamp(0), revocations: &asked, counters: &asked };
        let token = chain(&links(count));
        let held = admit(&standing, id(1), id(count + 1), &token, &mut VerifiedTokens::default()).unwrap();
        assert_eq!((asked.revocations.take(), asked.counters.take()), (count.into(), 0));
        held.authorize(&standing, Command::ToolUse, &tool("read", "src")).unwrap();
        assert_eq!((asked.revocations.take(), asked.counters.take()), (count.into(), count.into()));
        held.check_running(&standing).unwrap();
        assert_eq!((asked.revocations.take(), asked.counters.take()), (count.into(), 0));
    }
}

#[test]
fn nine_links_are_not_read() {
    let many = ucan::ContainerLimits { tokens: 9, ..ucan::ContainerLimits::CHAIN };
    let token = ucan::Container::new(links(9), &many).unwrap().to_bytes().unwrap();
    assert!(admit(&calm(), id(1), id(10), &token, &mut VerifiedTokens::default()).is_err());
}

/// The dearest policy that passes: all of the 64 statements, asked at every depth.
#[test]
#[ignore = "a measurement: run it alone, in a release build, with --nocapture"]
fn cost_by_links() {
    let args = Args { asks: clankers_auth::Asks::default(), ..tool("read", "src") };
    let micros = |rounds: u32, work: &mut dyn FnMut()| {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            (0..rounds).for_each(|_| work());
            best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
        }
        best
    };
    let dear = || Policy::and((0..62).map(|_| Policy::le(".ctx.depth", 9_u64)));
    let reviewer = GrantSpec::reviewer().compile().unwrap().1;
    let mut cold = Vec::new();
    for count in 1..=8_u8 {
        let token = chain(&links(count));
        let shown = || admit(&calm(), id(1), id(count + 1), &token, &mut VerifiedTokens::default()).unwrap();
        let held = shown();
        cold.push(micros(20, &mut || drop(shown())));
        let warm = micros(500, &mut || drop(held.authorize(&calm(), Command::ToolUse, &args).unwrap()));
        let plain: Vec<_> = (1..=count)
            .map(|n| {
                let draft = crate::forge::draft(1, n + 1, "/clankers", n).policy(reviewer.clone());
                crate::forge::signed(draft, n)
            })
            .collect();
        let plain = crate::forge::held(count + 1, &chain(&plain));
        let plain = micros(500, &mut || drop(plain.authorize(&calm(), Command::ToolUse, &args).unwrap()));
        let worst: Vec<_> = (1..=count).map(|n| link(n, n + 1, [dear()])).collect();
        let worst = crate::forge::held(count + 1, &chain(&worst));
        let worst = micros(20, &mut || drop(worst.authorize(&calm(), Command::ToolUse, &args).unwrap()));
        println!(
            "{count} links: shown {:.0} µs, a request {plain:.1} µs, with budgets {warm:.1} µs, at worst {worst:.0} µs",
            cold.last().unwrap()
        );
    }
    assert!(cold[7] < cold[0] * 8.0 * 2.0, "not linear: {cold:?}");
}
