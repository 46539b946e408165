//! A ping on a connection that is kept: the whole way through our node and back, beside plain echoes.

use clankers_tests::{Node, baseline::Carrier, stats::Samples};

use crate::{
    limits::{PINGS, WARM_UP},
    peers::{Lab, Server},
    report::{Judge, Row},
};

pub(crate) fn kept(lab: &Lab) -> Vec<Row> {
    let node = lab.home().start();
    let servers: Vec<_> = [Carrier::Iroh, Carrier::Quinn, Carrier::Tcp]
        .into_iter()
        .map(|carrier| (carrier, Server::start(lab, carrier), Samples::new()))
        .collect();
    let (mut ours, mut servers) = (Samples::new(), servers);
    for round in 0..lab.rounds {
        // Whoever comes first in a round is somebody else in the next.
        if round % 2 == 0 {
            ours.extend(pings(&node));
        }
        for (_, server, times) in &mut servers {
            times.extend(server.ping(PINGS).1.into_iter().skip(WARM_UP));
        }
        if round % 2 == 1 {
            ours.extend(pings(&node));
        }
    }
    let row = Row::new("ping on a kept connection", "µs", ours, Judge::Ratio, 1.25, 1.1);
    vec![servers.into_iter().fold(row, |row, (carrier, _, times)| row.beside(carrier.name(), times))]
}

/// Round trips in microseconds, as `rpc ping` tells them.
fn pings(node: &Node) -> Vec<f64> {
    let count = PINGS.to_string();
    let ran = node.cli(["rpc", "ping", &node.id().to_string(), "-c", &count, "--json"]).run().ok();
    let lines = ran.json_lines();
    assert_eq!(lines.len(), PINGS as usize, "{}", ran.story());
    lines.iter().skip(WARM_UP).map(|line| line["rtt_us"].as_f64().expect("rtt_us")).collect()
}
