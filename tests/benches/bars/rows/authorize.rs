//! Judging a chain of three links, as the node does when it is shown and for each request.

use std::{hint::black_box, time::Instant};

use clankers_auth::{Args, Command, GrantSpec, Held, Standing, VerifiedTokens, admit, mint};
use clankers_protocol::{NodeId, Timestamp};
use clankers_tests::{
    forge,
    stats::{Samples, micros},
};

use crate::{
    limits::CHAINS,
    peers::Lab,
    report::{Judge, Row},
};

/// A grant of the node to a first peer, who passes it on to a second, whose command line makes one run.
struct Shown {
    node: NodeId,
    run: NodeId,
    chain: Vec<u8>,
}

impl Shown {
    fn fresh() -> Self {
        let (node, first, second, run) = (forge::random(), forge::random(), forge::random(), forge::random());
        let [subject, to_first, to_second, to_run] = [&node, &first, &second, &run].map(forge::id_of);
        let (command, policy) = GrantSpec::reviewer().compile().expect("a preset");
        let root = forge::Link::new(node, subject, to_first).command(command).policy(policy.clone());
        let next = forge::Link::new(first, subject, to_second).command(command).policy(policy);
        let held = forge::container([root.bytes(), next.bytes()]);
        let chain = mint::for_run(&second, Some(&held), subject, to_run, forge::now(), forge::random());
        let chain = chain.and_then(|chain| Ok(chain.to_bytes()?)).expect("a chain of three");
        Self { node: subject, run: to_run, chain }
    }

    /// Shown, and one request under it.
    fn judge(&self, now: Timestamp, args: &Args, verified: &mut VerifiedTokens) -> Held {
        let standing = Standing::offline(now, Timestamp(0));
        let held = admit(&standing, self.node, self.run, &self.chain, verified).expect("a good chain");
        held.authorize(&standing, Command::ToolUse, args).expect("a granted request");
        held
    }
}

pub(crate) fn chain_of_three(lab: &Lab) -> Vec<Row> {
    let args = Args { tool: Some("grep".into()), ..Args::default() };
    let (mut cold, mut again, mut request) = (Samples::new(), Samples::new(), Samples::new());
    for _ in 0..lab.rounds * CHAINS {
        let shown = Shown::fresh();
        let now = forge::now();
        let mut verified = VerifiedTokens::default();
        let mut timed = |times: &mut Samples| {
            let start = Instant::now();
            let held = black_box(shown.judge(now, &args, &mut verified));
            times.push(micros(start.elapsed()));
            held
        };
        timed(&mut cold);
        let held = timed(&mut again);
        let start = Instant::now();
        black_box(held.authorize(&Standing::offline(now, Timestamp(0)), Command::ToolUse, &args))
            .expect("a granted request");
        request.push(micros(start.elapsed()));
    }
    vec![
        Row::new("authorize, chain of 3, cold: shown + one request", "µs", cold, Judge::P50, 250.0, 150.0),
        Row::new("  verified before: shown again + one request", "µs", again, Judge::P50, 15.0, 5.0),
        Row::shown("  one more request under it", "µs", request),
    ]
}

/// How the cold check grows with the chain: what is printed is microseconds for each link.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn growth(lab: &Lab) -> Vec<Row> {
    let lengths = [1, 3, 5, 7];
    let mut times = lengths.map(|_| Samples::new());
    let (command, policy) = GrantSpec::reviewer().compile().expect("a preset");
    let args = Args { tool: Some("grep".into()), ..Args::default() };
    for _ in 0..lab.rounds * CHAINS {
        for (length, times) in lengths.iter().zip(&mut times) {
            let keys: Vec<[u8; 32]> = (0..=*length).map(|_| forge::random()).collect();
            let ids: Vec<NodeId> = keys.iter().map(forge::id_of).collect();
            let links = keys.iter().zip(&ids[1..]).map(|(key, next)| {
                forge::Link::new(*key, ids[0], *next).command(command).policy(policy.clone()).bytes()
            });
            let chain = forge::container(links);
            let standing = Standing::offline(forge::now(), Timestamp(0));
            let start = Instant::now();
            let mut verified = VerifiedTokens::default();
            let held = admit(&standing, ids[0], ids[*length], &chain, &mut verified).expect("a good chain");
            held.authorize(&standing, Command::ToolUse, &args).expect("a granted request");
            times.push(micros(start.elapsed()) / *length as f64);
        }
    }
    let rows = lengths.iter().zip(times);
    rows.map(|(n, times)| Row::shown(&format!("chain of {n}, cold, each link"), "µs", times)).collect()
}
