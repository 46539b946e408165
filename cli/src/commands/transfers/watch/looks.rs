//! What is new from one look at the transfers to the next.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clankers_protocol::{NodeId, Timestamp};

use super::Line;

/// Looks in a row without a transfer before it counts as gone (count): a long list that changes while it is read page by
/// page may miss one.
const MISSED: u8 = 2;
/// How long one that broke off may rest before whoever waits for its end is told that it does (time): its sender tries for
/// a minute, and mostly is back at once.
const RESTS: Duration = Duration::from_secs(30);

/// Something to be told.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// It runs, and is so far.
    Runs(Line),
    /// It is otherwise now, and neither runs nor is over: it waits, or broke off.
    Rests(Line),
    /// It is over.
    Ended(Line),
    /// It is not listed any more: forgotten, or an offer that came to nothing.
    Gone(Line),
}

/// Which one it is: an id alone does not tell, for each side chooses those of what it begins.
pub(super) type Which = (String, bool, &'static str, NodeId);

pub(super) fn which(line: &Line) -> Which {
    (line.id.clone(), line.own, line.direction, line.subject)
}

/// What was seen of one.
struct Seen {
    line: Line,
    missed: u8,
}

/// What was seen so far.
pub(super) struct Looks {
    /// The only one that matters.
    only: Option<Which>,
    began: Timestamp,
    seen: Option<BTreeMap<Which, Seen>>,
    /// Since when the only one rests.
    rests: Option<Instant>,
}

impl Looks {
    pub(super) fn new(only: Option<Which>, began: Timestamp) -> Self {
        Self { only, began, seen: None, rests: None }
    }

    /// Takes in how all are now; what is to be told, in the order of the list. While the node was not asked, those that it
    /// alone knows are not missed.
    pub(super) fn take(&mut self, lines: Vec<Line>, asked: bool) -> Vec<News> {
        let meant = |line: &Line| self.only.as_ref().is_none_or(|only| *only == which(line));
        let (first, mut before) = (self.seen.is_none(), self.seen.take().unwrap_or_default());
        let (mut now, mut news) = (BTreeMap::new(), Vec::new());
        for line in lines.into_iter().filter(meant) {
            // One peer's under one id: the latest counts.
            if now.contains_key(&which(&line)) {
                continue;
            }
            let known = before.remove(&which(&line)).map(|seen| seen.line.state);
            let is_new = match known {
                Some(known) => known != line.state,
                // What was there before is history, and is not told but to who asked for it.
                None if first => self.only.is_some() || is_live(&line),
                None => !is_over(&line) || line.at >= self.began,
            };
            match () {
                () if line.state == "running" => news.push(News::Runs(line.clone())),
                () if is_new && is_over(&line) => news.push(News::Ended(line.clone())),
                () if is_new => news.push(News::Rests(line.clone())),
                () => {}
            }
            now.insert(which(&line), Seen { line, missed: 0 });
        }
        for (id, seen) in before.into_iter().filter(|(_, seen)| !is_over(&seen.line)) {
            let missed = seen.missed + u8::from(asked || seen.line.own);
            if missed >= MISSED {
                news.push(News::Gone(seen.line));
            } else {
                now.insert(id, Seen { missed, ..seen });
            }
        }
        self.seen = Some(now);
        news
    }

    /// How the only one ended, for whoever waits for that.
    pub(super) fn end(&mut self, news: &[News], now: Instant) -> Option<News> {
        self.only.as_ref()?;
        if let Some(end) = news.iter().find(|one| matches!(one, News::Ended(_) | News::Gone(_))) {
            return Some(end.clone());
        }
        let line = self.seen.iter().flatten().map(|(_, seen)| &seen.line).next()?;
        if line.state != "interrupted" || line.detached {
            self.rests = None;
            return None;
        }
        let since = *self.rests.get_or_insert(now);
        (now.duration_since(since) >= RESTS).then(|| News::Rests(line.clone()))
    }
}

fn is_over(line: &Line) -> bool {
    matches!(line.state, "done" | "partial" | "failed" | "cancelled")
}

fn is_live(line: &Line) -> bool {
    matches!(line.state, "running" | "queued" | "waiting")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, state: &'static str, at: u64) -> Line {
        Line {
            id: id.into(),
            own: false,
            direction: "receive",
            peer: "lap".into(),
            subject: NodeId([1; 32]),
            name: "film".into(),
            state,
            bytes: 1,
            total: 2,
            files: 1,
            files_done: 0,
            rate: None,
            error: None,
            at: Timestamp(at),
            receipt: None,
            detached: false,
        }
    }

    fn told(news: &[News]) -> Vec<String> {
        let one = |news: &News| match news {
            News::Runs(line) => format!("{} runs", line.id),
            News::Rests(line) => format!("{} is {}", line.id, line.state),
            News::Ended(line) => format!("{} ended {}", line.id, line.state),
            News::Gone(line) => format!("{} gone", line.id),
        };
        news.iter().map(one).collect()
    }

    #[test]
    fn each_look_tells_what_runs_and_what_has_changed() {
        let mut looks = Looks::new(None, Timestamp(100));
        let mut look = |lines: &[(&str, &'static str, u64)]| {
            told(&looks.take(lines.iter().map(|(id, state, at)| line(id, state, *at)).collect(), true))
        };
        let first = [("a", "running", 90), ("b", "done", 50), ("c", "waiting", 90), ("d", "interrupted", 50)];
        assert_eq!(look(&first), ["a runs", "c is waiting"]);
        assert_eq!(
            look(&[("a", "running", 90), ("c", "waiting", 90), ("d", "running", 50)]),
            ["a runs", "d runs"]
        );
        // One that was over before comes into sight because another one was forgotten; one that was quick is told.
        let all = [("a", "interrupted", 90), ("c", "running", 90), ("d", "done", 102), ("e", "done", 40)];
        assert_eq!(look(&all), ["a is interrupted", "c runs", "d ended done"]);
        assert_eq!(look(&[("f", "failed", 105), ("c", "running", 90)]), ["f ended failed", "c runs"]);
        assert_eq!(look(&[("a", "running", 90)]), ["a runs"], "it was missed once, and so was c");
        assert_eq!(look(&[("a", "running", 90)]), ["a runs", "c gone"]);
        assert_eq!(look(&[("a", "done", 120)]), ["a ended done"]);
        assert_eq!(look(&[]), Vec::<String>::new());
        assert_eq!(look(&[]), Vec::<String>::new(), "what is over and forgotten is no news");
    }

    #[test]
    fn who_waits_for_one_hears_of_its_end_and_of_nothing_else() {
        let mut looks = Looks::new(Some(which(&line("a", "running", 50))), Timestamp(100));
        let begun = Instant::now();
        let mut look = |state, secs| {
            let news = looks.take(vec![line("a", state, 50), line("b", "running", 50)], true);
            let end = looks.end(&news, begun + Duration::from_secs(secs));
            (told(&news), told(&end.into_iter().collect::<Vec<_>>()))
        };
        let says = |text: &str| vec![text.to_owned()];
        assert_eq!(look("interrupted", 0), (says("a is interrupted"), vec![]));
        assert_eq!(look("interrupted", 29), (vec![], vec![]));
        assert_eq!(look("running", 30), (says("a runs"), vec![]));
        assert_eq!(look("interrupted", 31), (says("a is interrupted"), vec![]));
        assert_eq!(look("interrupted", 60), (vec![], vec![]));
        assert_eq!(look("interrupted", 61), (vec![], says("a is interrupted")));
        assert_eq!(look("waiting", 70), (says("a is waiting"), vec![]));
        assert_eq!(look("done", 80), (says("a ended done"), says("a ended done")));
        // One that was over when it was asked for.
        let mut looks = Looks::new(Some(which(&line("a", "running", 50))), Timestamp(100));
        let news = looks.take(vec![line("a", "failed", 50)], true);
        assert_eq!(told(&news), ["a ended failed"]);
        // The node itself goes on with this one, however long it takes.
        let mut looks = Looks::new(Some(which(&line("a", "running", 50))), Timestamp(100));
        for secs in [0, 1000] {
            let news = looks.take(vec![Line { detached: true, ..line("a", "interrupted", 50) }], true);
            assert!(looks.end(&news, begun + Duration::from_secs(secs)).is_none());
        }
    }

    #[test]
    fn what_the_node_alone_knows_is_not_missed_while_there_is_none() {
        let mut looks = Looks::new(None, Timestamp(100));
        let own = || Line { own: true, direction: "send", ..line("a", "running", 90) };
        assert_eq!(told(&looks.take(vec![own(), line("a", "running", 90)], true)), ["a runs", "a runs"]);
        for _look in 0..9 {
            assert_eq!(told(&looks.take(vec![own()], false)), ["a runs"]);
        }
        assert_eq!(told(&looks.take(vec![], false)), Vec::<String>::new());
        assert_eq!(told(&looks.take(vec![], false)), ["a gone"], "the record was removed");
        assert_eq!(told(&looks.take(vec![line("a", "done", 120)], true)), ["a ended done"]);
    }

    /// A peer chose the id of one that it was sent.
    #[test]
    fn who_waits_for_one_does_not_hear_of_another_with_its_id() {
        let own = |state| Line { own: true, direction: "send", ..line("a", state, 50) };
        let mut looks = Looks::new(Some(which(&own("running"))), Timestamp(100));
        let news = looks.take(vec![line("a", "done", 101), own("running")], true);
        assert_eq!(told(&news), ["a runs"]);
        assert!(looks.end(&news, Instant::now()).is_none());
    }
}
