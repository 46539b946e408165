//! What has happened already: how soon a late comer has it, and whether anything of it is lost, doubled or reordered
//! for one that is cut a thousand times.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clankers_protocol::{
    attach::Shown,
    event::StreamItem,
    request::{attach::From, prompt::SessionChoice},
};
use clankers_tests::{
    forge,
    owner::Owner,
    script::{Script, Turn},
    stats::{Samples, millis},
};
use tokio::time::{Instant as Clock, timeout_at};

use super::{next, open, run, runtime};
use crate::{
    limits::{CUT_FRAMES, CUT_MICROS, CUTS, LATE_EVENTS},
    peers::Lab,
    report::{Judge, Row},
};

/// Ten thousand events, to a viewer that comes late, over loopback.
pub(crate) fn late_join(lab: &Lab) -> Vec<Row> {
    let node = lab.home().start();
    let times: Samples = runtime().block_on(async {
        let owner = Owner::of(&node).await;
        let (session, mut head) = run(&owner, SessionChoice::New { cwd: None }, "/ls").await;
        while head < LATE_EVENTS {
            (_, head) = run(&owner, SessionChoice::Existing(session.clone()), "/ls").await;
        }
        let mut times = Vec::new();
        for _ in 0..lab.rounds {
            let start = Instant::now();
            let mut stream = open(&owner, &session, From::Tail(LATE_EVENTS));
            let mut seen = 0;
            while seen < LATE_EVENTS {
                seen += u64::from(matches!(next(&mut stream).await, Shown::Item(StreamItem::Durable(_))));
            }
            times.push(millis(start.elapsed()));
        }
        owner.close().await;
        times.into_iter().collect()
    });
    vec![Row::new(
        "late join of 10,000 events, loopback, warm connection",
        "ms",
        times,
        Judge::P50,
        100.0,
        50.0,
    )]
}

/// A small generator (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % sides
    }
}

/// What went wrong over all cuts (counts).
#[derive(Debug, Default)]
struct Wrong {
    lost: u64,
    doubled: u64,
    reordered: u64,
    gaps: u64,
}

/// One viewer, cut again and again at random places while somebody prompts, taken up again by its cursor.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn cuts(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    home.script(&Script::always(Turn::says("a few words, piece by piece").piece_chars(3)));
    let node = home.start();
    let seed = u64::from_le_bytes(forge::random()) | 1;
    let (wrong, seen) = runtime().block_on(async {
        let (owner, prompter) = (Owner::of(&node).await, Owner::of(&node).await);
        let (session, _) = run(&owner, SessionChoice::New { cwd: None }, "begin").await;
        let (enough, place) = (Arc::new(AtomicBool::new(false)), session.clone());
        let stop = Arc::clone(&enough);
        let prompting = tokio::spawn(async move {
            let mut head = 0;
            while !stop.load(Ordering::Relaxed) {
                (_, head) = run(&prompter, SessionChoice::Existing(place.clone()), "again").await;
            }
            prompter.close().await;
            head
        });
        let (mut dice, mut wrong) = (Dice(seed), Wrong::default());
        let (mut epoch, mut last) = (None, 0);
        let mut head = None;
        let mut prompting = Some(prompting);
        for cut in 0.. {
            if cut == CUTS
                && let Some(prompting) = prompting.take()
            {
                enough.store(true, Ordering::Relaxed);
                head = Some(prompting.await.expect("the prompter"));
            }
            if head.is_some_and(|head| last >= head) {
                break;
            }
            let from = if last == 0 { From::Begin } else { From::After { epoch, seq: last } };
            let mut stream = open(&owner, &session, from);
            // Cut after some frames or some time, whichever is first; not cut when all that is left is to catch up.
            let until = Clock::now() + Duration::from_micros(dice.roll(CUT_MICROS));
            let frames = 1 + dice.roll(CUT_FRAMES);
            for _ in 0..frames {
                let shown = match head {
                    Some(_) => next(&mut stream).await,
                    None => match timeout_at(until, next(&mut stream)).await {
                        Ok(shown) => shown,
                        Err(_cut) => break,
                    },
                };
                match shown {
                    Shown::Attached(attached, _) => epoch = Some(attached.epoch),
                    Shown::Gap(_) => wrong.gaps += 1,
                    Shown::Item(StreamItem::Durable(durable)) => {
                        match durable.seq {
                            seq if seq == last => wrong.doubled += 1,
                            seq if seq < last => wrong.reordered += 1,
                            seq => wrong.lost += seq - last - 1,
                        }
                        last = last.max(durable.seq);
                        if head.is_some_and(|head| last >= head) {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
        owner.close().await;
        (wrong, last)
    });
    eprintln!("  {CUTS} cuts, seed {seed}, {seen} events: {wrong:?}");
    let row = |what: &str, count: u64| {
        let figure = format!("  {what}");
        Row::new(&figure, "events", [count as f64].into_iter().collect(), Judge::P50, 0.0, 0.0)
    };
    let title = "events that a viewer saw who was cut 1,000 times at random";
    vec![
        Row::shown(title, "events", [seen as f64].into_iter().collect()),
        row("lost", wrong.lost + wrong.gaps),
        row("doubled", wrong.doubled),
        row("reordered", wrong.reordered),
    ]
}
