use std::sync::Arc;

use super::*;
use crate::{
    event::Ask,
    limits::IDLE_TIMEOUT,
    links::Weather,
    queue::{MILLI, SECOND},
};

/// A wire between a few running hosts, what waits, and what was brought: (when, from, to, which).
struct Play {
    wire: Wire,
    queue: Queue<Event>,
    now: Micros,
    brought: Vec<(Micros, u32, u32, bool)>,
    ended: Vec<(Micros, u32, u32)>,
}

const PAIR: (u32, u32, Lane) = (0, 1, Lane::Hall);

impl Play {
    fn new() -> Self {
        let weather = Weather { delay_ms: (10, 10), jitter_ms: 0, loss_ppm: 0 };
        let mut wire = Wire::new(Links::new(1, 3, weather), 3);
        (0..3).for_each(|host| wire.start(host));
        Self { wire, queue: Queue::default(), now: 0, brought: Vec::new(), ended: Vec::new() }
    }

    fn send(&mut self, way: (u32, u32, Lane), which: bool) -> bool {
        let packet = Packet::Ask(Arc::new(Ask::Shown(which)));
        self.wire.send(self.now, way, packet, &mut self.queue)
    }

    fn run(&mut self, until: Micros) {
        while let Some((at, event)) = self.queue.pop(until) {
            self.now = at;
            let Event::Net(transport) = event else { continue };
            match transport {
                Transport::Arrive(way, Packet::Ask(ask)) => {
                    if self.wire.takes(at, way, &mut self.queue) {
                        let Ask::Shown(which) = *ask else { continue };
                        self.brought.push((at, way.from, way.to, which));
                    }
                }
                Transport::Arrive(..) => {}
                Transport::Dialed(way, since) => {
                    if self.wire.answered(at, way, since, &mut self.queue) {
                        self.wire.accept(at, way, &mut self.queue);
                    }
                }
                Transport::Undialed(way) => {
                    if self.wire.drop_end(way).is_some() {
                        self.ended.push((at, way.from, way.to));
                    }
                }
                Transport::Hangup(way) => {
                    if self.wire.drop_end(Way { from: way.to, to: way.from, ..way }).is_some() {
                        self.ended.push((at, way.to, way.from));
                    }
                }
                Transport::Silent(way) => {
                    if self.wire.given_up(way) {
                        self.ended.push((at, way.from, way.to));
                    }
                }
            }
        }
        self.now = until;
    }
}

#[test]
fn a_first_packet_takes_a_handshake_and_the_next_do_not() {
    let mut play = Play::new();
    assert!(play.send(PAIR, true) && play.send(PAIR, false));
    play.run(SECOND);
    assert_eq!(play.brought, [(30 * MILLI, 0, 1, true), (30 * MILLI, 0, 1, false)]);
    assert!(play.send((1, 0, Lane::Hall), true));
    play.run(2 * SECOND);
    assert_eq!(play.brought[2], (SECOND + 10 * MILLI, 1, 0, true), "both ends are open");
    assert_eq!((play.wire.count(0, Lane::Hall), play.wire.count(1, Lane::Hall)), (1, 1));
    assert_eq!((play.wire.dialed(0, Lane::Hall), play.wire.dialed(1, Lane::Hall)), (1, 0));
}

#[test]
fn two_dials_that_meet_become_one_connection() {
    let mut play = Play::new();
    assert!(play.send(PAIR, true) && play.send((1, 0, Lane::Hall), false));
    play.run(SECOND);
    assert_eq!(play.brought.len(), 2);
    assert_eq!((play.wire.count(0, Lane::Hall), play.wire.count(1, Lane::Hall)), (1, 1));
    // And it goes on.
    assert!(play.send(PAIR, true) && play.send((1, 0, Lane::Hall), true));
    play.run(2 * SECOND);
    assert_eq!(play.brought.len(), 4);
    assert_eq!(play.ended, []);
}

#[test]
fn a_dial_into_nothing_fails_when_its_time_is_over() {
    let mut play = Play::new();
    play.wire.kill(0, 1, &mut play.queue);
    assert!(play.send(PAIR, true));
    play.run(60 * SECOND);
    assert_eq!(play.ended, [(DIAL_TIMEOUT, 0, 1)]);
    assert!(play.brought.is_empty() && play.wire.count(0, Lane::Hall) == 0);
}

#[test]
fn a_short_cut_is_a_delay_and_a_long_one_an_end() {
    for (length, survives) in [(10 * SECOND, true), (60 * SECOND, false)] {
        let mut play = Play::new();
        assert!(play.send(PAIR, true));
        play.run(SECOND);
        play.wire.cut(play.now, &[(1, 1)], &mut play.queue);
        assert!(play.send(PAIR, false));
        play.run(SECOND + length);
        play.wire.cut(play.now, &[(1, 0)], &mut play.queue);
        play.run(SECOND + length + 20 * SECOND);
        assert_eq!(play.brought.len(), if survives { 2 } else { 1 }, "{length}");
        assert_eq!(play.ended.is_empty(), survives);
        for (at, ..) in &play.ended {
            assert!((25 * SECOND..=IDLE_TIMEOUT + SECOND).contains(&(at - SECOND)), "{at}");
        }
    }
}

#[test]
fn a_killed_process_is_silence_and_a_goodbye_is_heard_at_once() {
    let mut play = Play::new();
    assert!(play.send(PAIR, true) && play.send((2, 1, Lane::Hall), true));
    play.run(SECOND);
    play.wire.hangup(play.now, (1, 2, Lane::Hall), &mut play.queue);
    play.run(2 * SECOND);
    assert_eq!(play.ended, [(SECOND + 10 * MILLI, 2, 1)]);
    play.wire.kill(play.now, 1, &mut play.queue);
    // Restarted soon: the new process does not know the connection, and says nothing on it.
    play.wire.start(1);
    assert!(play.send(PAIR, false));
    play.run(60 * SECOND);
    assert_eq!(play.brought.len(), 2);
    let (at, ..) = play.ended[1];
    assert!((27 * SECOND..=32 * SECOND).contains(&at), "{at}");
}

#[test]
fn what_carries_nothing_is_idle() {
    let mut play = Play::new();
    assert!(play.send(PAIR, true));
    play.run(10 * SECOND);
    for host in [0, 1] {
        assert_eq!(play.wire.idle(host, Lane::Hall, 5 * SECOND), [1 - host]);
        assert!(play.wire.idle(host, Lane::Team, 5 * SECOND).is_empty());
        assert!(play.wire.idle(host, Lane::Hall, MILLI).is_empty());
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut play = Play::new();
    assert!((0..HELD).all(|_| play.send(PAIR, true)));
    assert!(!play.send(PAIR, true));
}
