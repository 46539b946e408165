//! A file over a link of 100 ms round trip and 400 Mb/s, emulated by the lab.

use std::time::Duration;

use clankers_lab::{Lab as Net, Setting, link::Rate};
use clankers_tests::{NodeHome, Start, stats::millis};

use super::{Race, beside_rival, corpus::Corpus, ours::Pair, rivals::Sendme};
use crate::{limits::TRANSFER_FAR_MIB, peers::Lab, report::Row};

/// One way (time).
const DELAY: Duration = Duration::from_millis(50);
/// How fast the link is (Mb/s).
const RATE: u64 = 400;
/// What waits in its queue: one round trip's worth (bytes).
const QUEUE: usize = 5_000_000;

pub(crate) fn far(lab: &Lab) -> Vec<Row> {
    let setting = Setting { delay: DELAY, rate: Some(Rate::mbit(RATE)), queue: QUEUE, ..Setting::default() };
    let Some(net) = Net::builder().setting(setting).seed(7).start() else {
        eprintln!("  (not measured: the lab cannot run here)");
        return Vec::new();
    };
    let corpus = Corpus::new();
    let scripts = corpus.dir("scripts");
    let on = |host: usize| NodeHome::new(net.host(host).stand_in(&lab.binary, &scripts));
    let path = corpus.file("big.bin", TRANSFER_FAR_MIB << 20);
    let pair = Pair::of(on(1), on(0), &corpus, Start::new().bind(Some("0.0.0.0:0")));
    let sendme = Sendme::program().map(|program| Sendme::on(program, [lab.home(), lab.home()]));
    let mut race = Race::default();
    race.runner("ours", || {
        let sent = pair.send(&path);
        sent.clear();
        millis(sent.took)
    });
    if let Some(sendme) = &sendme {
        race.runner("sendme", || {
            millis(sendme.race(&path, &corpus, |command, side| net.host(side).carry(&command)))
        });
    }
    let times = race.run(lab.rounds.min(7));
    let figure = format!("{TRANSFER_FAR_MIB} MiB over 100 ms round trip, {RATE} Mb/s");
    let row = beside_rival(&figure, &times, "sendme", 0.4, 0.285);
    row.or_else(|| Some(Row::shown(&figure, "ms", times.get("ours")?.clone()))).into_iter().collect()
}
