//! Judging a chain of three links, as the node does when it is shown and for each request.

use std::{hint::black_box, time::Instant};

use clankers_auth::{Args, Command, GrantSpec, Held, VerifiedTokens, admit, mint};
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
        let held =
            admit(now, self.node, self.run, Timestamp(0), &self.chain, verified).expect("a good chain");
        held.authorize(now, Command::ToolUse, args).expect("a granted request");
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
        black_box(held.authorize(now, Command::ToolUse, &args)).expect("a granted request");
        request.push(micros(start.elapsed()));
    }
    vec![
        Row::new("authorize, chain of 3, cold: shown + one request", "µs", cold, Judge::P50, 250.0, 150.0),
        Row::new("  verified before: shown again + one request", "µs", again, Judge::P50, 15.0, 5.0),
        Row::shown("  one more request under it", "µs", request),
    ]
}
