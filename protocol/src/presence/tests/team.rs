//! Many machines that hear each other at once.

use std::collections::BTreeSet;

use super::*;

fn member(n: usize) -> NodeId {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
    NodeId(bytes)
}

/// A team under one clock. Whoever is cut off neither hears nor is heard.
struct Team {
    members: Vec<Presence>,
    now: Timestamp,
    cut: BTreeSet<usize>,
    /// Payloads that came to somebody (count).
    heard: usize,
}

impl Team {
    fn new(count: usize) -> Self {
        let one = |n: usize| Presence::new(TEAM, member(n), 1, own(), n as u64);
        let mut team =
            Self { members: (0..count).map(one).collect(), now: START, cut: BTreeSet::new(), heard: 0 };
        for n in 0..count {
            (0..count).for_each(|other| team.step(n, Input::Member(member(other))));
            team.step(n, Input::Up(member((n + 1) % count)));
            team.step(n, Input::Start);
        }
        team
    }

    fn step(&mut self, n: usize, input: Input) {
        let mut out = Vec::new();
        self.members[n].handle(self.now, input, &mut out);
        for output in out {
            if let Output::Broadcast(say) = output {
                self.broadcast(n, say);
            }
        }
    }

    fn broadcast(&mut self, n: usize, say: Say) {
        let from = member(n);
        let input = match say {
            Say::Presence(body) => {
                Input::Record { from, age_ms: 0, record: Arc::new(signed(body)), verified: true }
            }
            Say::Lost(body) => Input::Lost { from, lost: signed(body), verified: true },
            Say::Revoked(_) => panic!("not its business"),
        };
        for other in (0..self.members.len()).filter(|other| *other != n) {
            if self.cut.contains(&n) == self.cut.contains(&other) {
                self.heard += 1;
                self.step(other, input.clone());
            }
        }
    }

    /// Goes on for so many seconds.
    fn run(&mut self, secs: u64) {
        for _ in 0..secs * 2 {
            self.now = self.now.plus_ms(500);
            (0..self.members.len()).for_each(|n| self.step(n, Input::Tick));
        }
    }

    fn standing(&self, at: usize, of: usize) -> Standing {
        self.members[at].seen(member(of)).unwrap().standing
    }
}

/// Beats that one member hears in a second, once all know each other.
fn heard_a_second(count: usize) -> f64 {
    let mut team = Team::new(count);
    // Until the first beats, which came faster, are over.
    team.run(30 + count as u64);
    assert!(team.members.iter().all(|it| it.live() == count), "all are there");
    team.heard = 0;
    team.run(600);
    assert!(team.members.iter().all(|it| it.live() == count), "and stay");
    team.heard as f64 / count as f64 / 600.0
}

#[test]
fn what_a_member_hears_does_not_grow_with_the_team() {
    for count in [3, 10, 40, 120] {
        let heard = heard_a_second(count);
        let most = if count < 11 { count as f64 / 5.0 } else { 2.0 };
        assert!((most * 0.5..=most * 1.02).contains(&heard), "{count} members: {heard} beats a second");
    }
}

#[test]
fn one_that_falls_silent_is_seen_to_and_comes_back_by_itself() {
    let mut team = Team::new(12);
    team.run(20);
    team.cut.insert(3);
    // Its neighbour's connection breaks, and some say so; nobody denies it.
    [2, 4].into_iter().for_each(|n| team.step(n, Input::Down { member: member(3), broken: true }));
    team.run(12);
    assert!((0..12).filter(|n| *n != 3).all(|n| team.standing(n, 3) == Standing::Silent));
    team.run(30);
    assert_eq!(team.members[3].live(), 1, "it knows that it is alone");
    team.cut.clear();
    team.run(7);
    assert!(team.members.iter().all(|it| it.live() == 12), "with the next beats");
}

#[test]
fn a_living_member_that_is_called_lost_by_all_stays() {
    let mut team = Team::new(8);
    team.run(20);
    for _ in 0..60 {
        [0, 1, 2, 4].into_iter().for_each(|n| team.step(n, Input::Down { member: member(3), broken: true }));
        [0, 1, 2, 4].into_iter().for_each(|n| team.step(n, Input::Up(member(3))));
        team.step(5, Input::Down { member: member(3), broken: true });
        team.run(2);
        let there = |n: usize| matches!(team.standing(n, 3), Standing::Live | Standing::Suspect);
        assert!((0..8).filter(|n| *n != 3).all(there));
    }
}
